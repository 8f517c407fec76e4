/* order.c: in which order a host's addresses are tried (RFC 6724, 6). Rules 3, 4 and 7, about which
 * the system would have to be asked by netlink, are left out. */
#include <arpa/inet.h>

#include "answer.h"
#include "sys.h"

enum { LINK_LOCAL = 2, SITE_LOCAL = 5, GLOBAL = 14 }; /* scopes (RFC 4291, 2.7) */

typedef struct candidate {
  struct in6_addr to, from; /* IPv4 is mapped */
  bool usable;              /* there is a way to it, from `from` */
} candidate;

static struct in6_addr bytes_of(const tide_address *address) {
  struct in6_addr bytes = {{{[10] = 0xff, [11] = 0xff}}};
  if (address->as.any.sa_family == AF_INET6) return address->as.ipv6.sin6_addr;
  memcpy(&bytes.s6_addr[12], &address->as.ipv4.sin_addr, 4);
  return bytes;
}

/* 2.1, longest prefixes first. */
static const struct policy {
  struct in6_addr prefix;
  uint8_t bits, precedence, label;
} policies[] = {
    {{{{[15] = 1}}}, 128, 50, 0},  {{{{[10] = 0xff, [11] = 0xff}}}, 96, 35, 4},
    {{{{0}}}, 96, 1, 3},           {{{{0x20, 0x01}}}, 32, 5, 5},
    {{{{0x20, 0x02}}}, 16, 30, 2}, {{{{0x3f, 0xfe}}}, 16, 1, 12},
    {{{{0xfe, 0xc0}}}, 10, 1, 11}, {{{{0xfc}}}, 7, 3, 13},
    {{{{0}}}, 0, 40, 1},
};

static int common_bits(const struct in6_addr *one, const struct in6_addr *other) {
  for (int i = 0; i < 16; i++) {
    unsigned differing = one->s6_addr[i] ^ other->s6_addr[i];
    if (differing != 0) return i * 8 + __builtin_clz(differing) - 24;
  }
  return 128;
}

static const struct policy *policy_of(const struct in6_addr *address) {
  const struct policy *at = policies;
  while (common_bits(address, &at->prefix) < at->bits) at++;
  return at;
}

/* 3.1, 3.2 */
static int scope_of(const struct in6_addr *address) {
  const uint8_t *bytes = address->s6_addr;
  if (IN6_IS_ADDR_V4MAPPED(address))
    return bytes[12] == 127 || (bytes[12] == 169 && bytes[13] == 254) ? LINK_LOCAL : GLOBAL;
  if (IN6_IS_ADDR_MULTICAST(address)) return bytes[1] & 0x0f;
  if (IN6_IS_ADDR_LINKLOCAL(address) || IN6_IS_ADDR_LOOPBACK(address)) return LINK_LOCAL;
  return IN6_IS_ADDR_SITELOCAL(address) ? SITE_LOCAL : GLOBAL;
}

/* From where the system would send to it; nothing is sent. */
static bool find_source(const tide_loop *loop, const tide_address *to, struct in6_addr *from) {
  tide_address target = *to, local = {0};
  int fd = tide__sys_socket(loop, to->as.any.sa_family, SOCK_DGRAM);
  if (fd < 0) return false;
  if (to->as.any.sa_family == AF_INET)
    target.as.ipv4.sin_port = htons(53); /* any; 0 is refused */
  else
    target.as.ipv6.sin6_port = htons(53);
  bool found =
      tide__sys_connect(loop, fd, &target) == 0 && tide__sys_local_address(loop, fd, &local) == 0;
  tide__sys_close(fd);
  if (found) *from = bytes_of(&local);
  return found;
}

/* Positive: `one` is to be tried first; 0: neither. */
static int compare(const candidate *one, const candidate *other) {
  if (one->usable != other->usable) return one->usable - other->usable; /* 1 */
  bool matches[] = {scope_of(&one->to) == scope_of(&one->from),
                    scope_of(&other->to) == scope_of(&other->from)};
  if (one->usable && matches[0] != matches[1]) return matches[0] - matches[1]; /* 2 */
  const struct policy *ones = policy_of(&one->to), *others = policy_of(&other->to);
  bool alike[] = {policy_of(&one->from)->label == ones->label,
                  policy_of(&other->from)->label == others->label};
  if (one->usable && alike[0] != alike[1]) return alike[0] - alike[1];                      /* 5 */
  if (ones->precedence != others->precedence) return ones->precedence - others->precedence; /* 6 */
  if (scope_of(&one->to) != scope_of(&other->to))
    return scope_of(&other->to) - scope_of(&one->to); /* 8 */
  bool four = IN6_IS_ADDR_V4MAPPED(&one->to), others_four = IN6_IS_ADDR_V4MAPPED(&other->to);
  if (!one->usable || four || others_four) return 0;
  return common_bits(&one->to, &one->from) - common_bits(&other->to, &other->from); /* 9 */
}

enum { MOST = 64 }; /* so many at most are put in order; more come behind */

void tide__addresses_sort(const tide_loop *loop, tide_address *list, size_t count) {
  candidate known[MOST];
  if (count > MOST) count = MOST;
  for (size_t i = 0; count > 1 && i < count; i++) {
    candidate fresh = {.to = bytes_of(&list[i])};
    tide_address address = list[i];
    size_t at = i;
    fresh.usable = find_source(loop, &list[i], &fresh.from);
    for (; at > 0 && compare(&fresh, &known[at - 1]) > 0; at--) {
      known[at] = known[at - 1];
      list[at] = list[at - 1];
    }
    known[at] = fresh;
    list[at] = address;
  }
}
