/* address.h: where a socket is: IPv4 or IPv6 address and port, or a unix path. */
#ifndef TIDE_ADDRESS_H
#define TIDE_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../base/config.h"
#include "../base/error.h"

TIDE_BEGIN_DECLS

typedef struct tide_address {
  union {
    struct sockaddr any; /* its family tells which of the others it is */
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_un local;
    struct sockaddr_storage storage;
  } as;             /* as the system takes it */
  socklen_t length; /* bytes of it that count */
} tide_address;

/* Bytes that any address needs as text, with its end. */
enum { TIDE_ADDRESS_TEXT = 128 };

/* Reads a numeric IPv4 or IPv6 address ("fe80::1%eth0" too), "localhost" (127.0.0.1), or, for
 * which `port` is ignored, "unix:/path" or "unix:@name" (of Linux's abstract names). TIDE_EDNS:
 * the host is none of these; TIDE_OS(ENAMETOOLONG), TIDE_OS(EINVAL): not a path for a socket.
 * Asks no name server; never waits. */
TIDE_API int tide_address_parse(tide_address *address, const char *host, uint16_t port);

/* The host alone, as tide_address_parse reads it ("unix:" where a socket has no name). */
TIDE_API void tide_address_host(const tide_address *address, char text[TIDE_ADDRESS_TEXT]);

/* 0 for unix paths. */
TIDE_API uint16_t tide_address_port(const tide_address *address);

/* "127.0.0.1:80", "[::1]:80", "unix:/path". */
TIDE_API void tide_address_format(const tide_address *address, char text[TIDE_ADDRESS_TEXT]);

static inline bool tide_address_is_unix(const tide_address *address) {
  return address->as.any.sa_family == AF_UNIX;
}

TIDE_END_DECLS

#endif
