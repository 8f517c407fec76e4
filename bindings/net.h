/* net.h: what stream.c, listener.c and net.c share. */
#ifndef TL_NET_H
#define TL_NET_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

/* A closed Stream, on top; to be given a descriptor with tide_stream_init. Its user value is the
 * host that it was connected to, if any. */
tide_stream *tl_stream_new(lua_State *L, tl_runtime *rt);

/* Raises what a function of the stream at 1 has come to. */
int tl_raise_stream(lua_State *L, tl_runtime *rt, int result);

/* A closed Listener, on top. */
tide_listener *tl_listener_new(lua_State *L, tl_runtime *rt);

/* stream.c: the seconds of an option `keepalive`, a field of the argument at `position`; 0: off. */
unsigned tl_check_keepalive(lua_State *L, int index, int position);

/* select.c: the case stream:readable(). */
int tl_stream_readable(lua_State *L);

/* host, port; or one value for a unix socket. The number of values. */
int tl_address_push(lua_State *L, const tide_address *address);

/* Raises `error`, with the address in its message. */
int tl_raise_address(lua_State *L, const tl_runtime *rt, int error, const tide_address *address);

/* What a host names that is no name to be looked up; raises where it is none. */
void tl_address_parse(lua_State *L, const tl_runtime *rt, const char *host, uint16_t port,
                      tide_address *address);

/* dns.c: raises that the name could not be looked up, and why; or that nothing can. */
int tl_raise_dns(lua_State *L, const tl_runtime *rt, tide_dns_code code, const char *name);
int tl_raise_no_dns(lua_State *L, const tl_runtime *rt);

#endif
