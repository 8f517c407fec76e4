/* address.c: addresses from text and back. */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

static const char UNIX[] = "unix:";
enum { PREFIX = sizeof UNIX - 1, PATH_AT = offsetof(struct sockaddr_un, sun_path) };

static int parse_unix(tide_address *address, const char *path) {
  struct sockaddr_un *local = &address->as.local;
  size_t length = strlen(path);
  bool abstract = path[0] == '@';
  if (length == 0) return TIDE_OS(EINVAL);
  if (length >= sizeof local->sun_path) return TIDE_OS(ENAMETOOLONG);
  local->sun_family = AF_UNIX;
  memcpy(local->sun_path, path, length + 1);
  if (abstract) local->sun_path[0] = '\0';
  address->length = (socklen_t)(PATH_AT + length + (abstract ? 0 : 1)); /* abstract: no end */
  return TIDE_OK;
}

static bool parse_ipv4(tide_address *address, const char *host, uint16_t port) {
  struct sockaddr_in *ipv4 = &address->as.ipv4;
  if (inet_pton(AF_INET, host, &ipv4->sin_addr) != 1) return false;
  ipv4->sin_family = AF_INET;
  ipv4->sin_port = htons(port);
  address->length = sizeof *ipv4;
  return true;
}

/* A zone is an interface's name, or its number. */
static bool parse_zone(const char *zone, uint32_t *number) {
  *number = if_nametoindex(zone);
  if (*number != 0) return true;
  char *end;
  unsigned long value = strtoul(zone, &end, 10);
  *number = (uint32_t)value;
  return *zone >= '0' && *zone <= '9' && *end == '\0' && value <= UINT32_MAX;
}

static bool parse_ipv6(tide_address *address, const char *host, uint16_t port) {
  struct sockaddr_in6 *ipv6 = &address->as.ipv6;
  char digits[INET6_ADDRSTRLEN];
  size_t length = strcspn(host, "%");
  if (length >= sizeof digits) return false;
  memcpy(digits, host, length);
  digits[length] = '\0';
  if (inet_pton(AF_INET6, digits, &ipv6->sin6_addr) != 1) return false;
  if (host[length] == '%' && !parse_zone(host + length + 1, &ipv6->sin6_scope_id)) return false;
  ipv6->sin6_family = AF_INET6;
  ipv6->sin6_port = htons(port);
  address->length = sizeof *ipv6;
  return true;
}

bool tide__address_read(tide_address *address, const char *host, uint16_t port) {
  memset(address, 0, sizeof *address);
  return parse_ipv4(address, host, port) || parse_ipv6(address, host, port);
}

int tide_address_parse(tide_address *address, const char *host, uint16_t port) {
  memset(address, 0, sizeof *address);
  if (strncmp(host, UNIX, PREFIX) == 0) return parse_unix(address, host + PREFIX);
  if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
  return tide__address_read(address, host, port) ? TIDE_OK : TIDE_EDNS;
}

static void format_unix(const tide_address *address, char *text) {
  const char *path = address->as.local.sun_path;
  size_t length = address->length > PATH_AT ? address->length - PATH_AT : 0;
  if (length > sizeof address->as.local.sun_path) length = sizeof address->as.local.sun_path;
  bool abstract = length > 0 && path[0] == '\0';
  memcpy(text, UNIX, sizeof UNIX);
  if (abstract) text[PREFIX] = '@';
  size_t from = abstract ? 1 : 0, end = from;
  while (end < length && path[end] != '\0') end++;
  memcpy(text + PREFIX + from, path + from, end - from);
  text[PREFIX + end] = '\0';
}

static void format_ipv6(const tide_address *address, char *text) {
  const struct sockaddr_in6 *ipv6 = &address->as.ipv6;
  char zone[IF_NAMESIZE];
  inet_ntop(AF_INET6, &ipv6->sin6_addr, text, TIDE_ADDRESS_TEXT);
  if (ipv6->sin6_scope_id == 0) return;
  size_t length = strlen(text);
  if (if_indextoname(ipv6->sin6_scope_id, zone) == NULL)
    snprintf(zone, sizeof zone, "%u", (unsigned)ipv6->sin6_scope_id);
  snprintf(text + length, TIDE_ADDRESS_TEXT - length, "%%%s", zone);
}

void tide_address_host(const tide_address *address, char text[TIDE_ADDRESS_TEXT]) {
  switch (address->as.any.sa_family) {
  case AF_UNIX:
    format_unix(address, text);
    break;
  case AF_INET:
    inet_ntop(AF_INET, &address->as.ipv4.sin_addr, text, TIDE_ADDRESS_TEXT);
    break;
  case AF_INET6:
    format_ipv6(address, text);
    break;
  default:
    text[0] = '\0';
  }
}

uint16_t tide_address_port(const tide_address *address) {
  switch (address->as.any.sa_family) {
  case AF_INET:
    return ntohs(address->as.ipv4.sin_port);
  case AF_INET6:
    return ntohs(address->as.ipv6.sin6_port);
  default:
    return 0;
  }
}

void tide_address_format(const tide_address *address, char text[TIDE_ADDRESS_TEXT]) {
  char host[TIDE_ADDRESS_TEXT];
  tide_address_host(address, host);
  int family = address->as.any.sa_family;
  const char *shape = family == AF_INET ? "%s:%u" : family == AF_INET6 ? "[%s]:%u" : "%s";
  snprintf(text, TIDE_ADDRESS_TEXT, shape, host, (unsigned)tide_address_port(address));
}
