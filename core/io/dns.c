/* dns.c: names: what is known of them without asking, and who waits for what is asked. */
#include "dns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#include "answer.h"
#include "lookup.h"
#include "private.h"

const char *tide_dns_code_name(tide_dns_code code) {
  static const char *const names[] = {"OK",
#define NAME(identifier, name, message) name,
                                      TIDE_DNS_CODES(NAME)
#undef NAME
  };
  return (size_t)code < sizeof names / sizeof *names ? names[code] : "unknown";
}

const char *tide_dns_code_message(tide_dns_code code) {
  static const char *const messages[] = {"found",
#define MESSAGE(identifier, name, message) message,
                                         TIDE_DNS_CODES(MESSAGE)
#undef MESSAGE
  };
  return (size_t)code < sizeof messages / sizeof *messages ? messages[code] : "unknown";
}

tide_dns_type tide_dns_type_of(const char *name) {
#define TYPE(identifier, text, number) \
  if (strcmp(name, text) == 0) return TIDE_DNS_##identifier;
  TIDE_DNS_TYPES(TYPE)
#undef TYPE
  return 0;
}

/* What is known without asking. */

static bool is_wanted(const tide_address *address, int family) {
  return family == AF_UNSPEC || address->as.any.sa_family == family;
}

/* Whether the name ends with that label, or is no more than it. */
static bool ends_with(const char *name, const char *label) {
  size_t length = strlen(name), size = strlen(label);
  if (length > 0 && name[length - 1] == '.') length--;
  if (length < size || strncasecmp(name + length - size, label, size) != 0) return false;
  return length == size || name[length - size - 1] == '.';
}

/* What no server needs to be asked for: names under "invalid" (RFC 6761, 6.4), those that end in a
 * number, as no domain does, and those that have what no host's name has. */
static bool is_no_host(const char *name) {
  size_t length = strlen(name), digits = 0;
  if (length > 0 && name[length - 1] == '.') length--;
  while (digits < length && name[length - 1 - digits] >= '0' && name[length - 1 - digits] <= '9')
    digits++;
  if (digits > 0 && (digits == length || name[length - 1 - digits] == '.')) return true;
  for (const char *at = name; *at != '\0'; at++) {
    unsigned char c = (unsigned char)*at;
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
    if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.') return true;
  }
  return ends_with(name, "invalid");
}

/* What the name itself says. TIDE_DNS_OK without an answer: nothing. */
static tide_dns_code look_at_name(tide_loop *loop, const char *name, int family,
                                  tide_dns_answer **answer) {
  tide_address list[2];
  size_t count = 0;
  if (ends_with(name, "localhost")) { /* RFC 6761, 6.3 */
    tide__address_read(&list[0], "::1", 0);
    tide__address_read(&list[1], "127.0.0.1", 0);
    if (family == AF_INET) list[0] = list[1];
    count = family == AF_UNSPEC ? 2 : 1;
    tide__addresses_sort(loop, list, count);
  } else if (tide__address_read(&list[0], name, 0)) {
    if (!is_wanted(&list[0], family)) return TIDE_DNS_NODATA;
    count = 1;
  } else if (is_no_host(name)) {
    return TIDE_DNS_NXDOMAIN;
  }
  if (count == 0) return TIDE_DNS_OK;
  *answer = tide__answer_of(loop, list, count);
  return *answer != NULL ? TIDE_DNS_OK : TIDE_DNS_NOMEM;
}

/* RFC 1035, 3.5; RFC 3596, 2.5 */
static void reverse_name(const tide_address *address, char name[80]) {
  static const char digits[] = "0123456789abcdef";
  if (address->as.any.sa_family == AF_INET) {
    const uint8_t *bytes = (const uint8_t *)&address->as.ipv4.sin_addr;
    snprintf(name, 80, "%d.%d.%d.%d.in-addr.arpa", bytes[3], bytes[2], bytes[1], bytes[0]);
    return;
  }
  const uint8_t *bytes = address->as.ipv6.sin6_addr.s6_addr;
  for (int i = 15; i >= 0; i--) {
    *name++ = digits[bytes[i] & 0x0f];
    *name++ = '.';
    *name++ = digits[bytes[i] >> 4];
    *name++ = '.';
  }
  memcpy(name, "ip6.arpa", 9);
}

/* Waiting. */

/* What the wait is told: the answer, of which it gets a reference, or why there is none. */
int tide__dns_tell(tide_wait *wait, tide_dns_code code, tide_dns_answer *answer) {
  if (code == TIDE_DNS_NOMEM) return TIDE_ENOMEM;
  if (code == TIDE_DNS_OK)
    wait->value.pointer = tide__answer_ref(answer);
  else
    wait->value.integer = code;
  return code == TIDE_DNS_OK ? TIDE_OK : TIDE_EDNS;
}

/* Its task will not see the answer. */
static void give_back(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) tide_dns_answer_drop(wait->value.pointer);
}

static const tide_wait_ops resolve_ops = {
    .name = "dns.resolve", .abandon = tide__lookup_leave, .reject = give_back};
static const tide_wait_ops query_ops = {
    .name = "dns.query", .abandon = tide__lookup_leave, .reject = give_back};

int tide__dns_start(tide_loop *loop, tide_wait *wait, const char *host, int family) {
  tide_dns_answer *answer = NULL;
  if (*host == '\0') return TIDE_EMISUSE;
  tide_dns_code code = look_at_name(loop, host, family, &answer);
  if (code == TIDE_DNS_OK && answer == NULL) return tide__lookup_join(loop, wait, host, family);
  int result = tide__dns_tell(wait, code, answer);
  tide_dns_answer_drop(answer);
  return result;
}

/* The running task's wait, which was entered. */
static int wait_for(tide_task *task, int result) {
  return result == TIDE_PENDING ? tide__task_park(task) : tide__wait_over(task, result);
}

int tide_dns_resolve(tide_task *task, const char *host, int family) {
  if (!tide__wait_enter(task, &resolve_ops, NULL)) return TIDE_PENDING;
  return wait_for(task, tide__dns_start(task->loop, &task->wait, host, family));
}

int tide_dns_query(tide_task *task, const char *name, tide_dns_type type) {
  if (!tide__wait_enter(task, &query_ops, NULL)) return TIDE_PENDING;
  if (*name == '\0') return tide__wait_over(task, TIDE_EMISUSE);
  return wait_for(task, tide__lookup_join(task->loop, &task->wait, name, -(int)type));
}

int tide_dns_reverse(tide_task *task, const char *address) {
  char name[80] = "";
  tide_address parsed;
  if (tide__address_read(&parsed, address, 0)) reverse_name(&parsed, name);
  return tide_dns_query(task, name, TIDE_DNS_PTR);
}
