/* cares.h: c-ares, loaded when a name is first looked up; and questions to one name server by it.
 * Internal to core.
 *
 * Of the library only what sends, receives and reads messages is used: which server is asked, how
 * often and for how long is question.c's. It is opened by dlopen, so that who asks for no name
 * neither needs it nor pays for it. (Manual pages: ares_init_options(3), ares_send(3).) */
#ifndef TIDE_CARES_H
#define TIDE_CARES_H

#include <ares.h>

#include "../sched/private.h"

/* X(function): what is used of it. */
#define TIDE__CARES_MAP(X)     \
  X(ares_cancel)               \
  X(ares_create_query)         \
  X(ares_destroy)              \
  X(ares_destroy_options)      \
  X(ares_expand_name)          \
  X(ares_free_data)            \
  X(ares_free_hostent)         \
  X(ares_free_string)          \
  X(ares_get_servers_ports)    \
  X(ares_gethostbyname_file)   \
  X(ares_init_options)         \
  X(ares_process_fd)           \
  X(ares_save_options)         \
  X(ares_send)                 \
  X(ares_set_servers_ports)    \
  X(ares_set_socket_functions) \
  X(ares_timeout)

typedef struct tide__cares {
  void *library;                                         /* as dlopen gave it; NULL: not open */
#define TIDE__CARES_MEMBER(name) __typeof__(name) *name; /* NOLINT(bugprone-macro-parentheses) */
  TIDE__CARES_MAP(TIDE__CARES_MEMBER)
#undef TIDE__CARES_MEMBER
} tide__cares;

/* TIDE_OK, or TIDE_OS(ENOSYS): it is not there, or too old. */
int tide__cares_open(tide__cares *self);
void tide__cares_close(tide__cares *self);

/* One name server. */
typedef struct tide__server tide__server;

/* What came of a question: the answer with ARES_SUCCESS, of which nothing stays; ARES_ETIMEOUT, or
 * another error of c-ares's. Called once, maybe before tide__server_ask returns; never while the
 * server is freed. */
typedef void tide__answer_fn(void *context, int number, int status, const unsigned char *answer,
                             int length);

/* It is asked once, and has `timeout` milliseconds to answer. TIDE_OK, TIDE_ENOMEM. */
int tide__server_new(tide__server **server, const tide__cares *cares, tide_loop *loop,
                     const struct ares_addr_port_node *address, int timeout);

/* Asks it; by TCP, where the answer is too long for UDP. `context` and `number` are the caller's.
 */
void tide__server_ask(tide__server *self, const unsigned char *question, int length,
                      tide__answer_fn *answered, void *context, int number);

/* Not inside an `answered`. NULL is ignored. */
void tide__server_free(tide__server *self);

#endif
