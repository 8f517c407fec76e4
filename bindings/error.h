/* error.h: errors of tide's, and telling them apart. */
#ifndef TL_ERROR_H
#define TL_ERROR_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

/* Messages that are kept in the registry, where there may be no memory to make them: references. */
typedef struct tl_messages {
  int no_memory;
  int foreign_yield; /* of a task that yielded to nobody */
  int too_many;      /* results for the stack */
  int too_deep;      /* a close inside of others */
} tl_messages;

void tl_messages_open(lua_State *L, tl_messages *messages);

void tl_error_push(lua_State *L, const tl_runtime *rt, int error, const char *message);
int tl_raise(lua_State *L, const tl_runtime *rt, int error);
int tl_raise_message(lua_State *L, const tl_runtime *rt, int error, const char *message);
/* The misuse of an iterator while another task is inside: its field `in_use` says that it goes on.
 */
int tl_raise_in_use(lua_State *L, const tl_runtime *rt, const char *message);
/* Pushes the error at `index` for a list of errors: nil, which a list cannot hold, as a string. */
void tl_error_value_push(lua_State *L, int index);

bool tl_is_error(lua_State *L, const tl_runtime *rt, int index);        /* one of tide's */
bool tl_error_kind_push(lua_State *L, const tl_runtime *rt, int index); /* of those of tide's */
bool tl_error_is(lua_State *L, const tl_runtime *rt, int index, const char *kind);
bool tl_error_is_cancel(lua_State *L, const tl_runtime *rt, int index); /* of one's own scopes */
/* Whether the error, which leaves that scope's body, is a cancellation that was asked of it. One
 * that was not, of a task that was awaited, or raised by the program, is a failure as any other. */
bool tl_error_was_asked(lua_State *L, const tl_runtime *rt, int index, const tide_scope *scope);
/* What the core would call the error at `index`: TIDE_EFAILED where it is none of its own. */
int tl_error_number(lua_State *L, const tl_runtime *rt, int index);
/* The field of the error at `index` itself, on top; its type. */
int tl_error_field_push(lua_State *L, int index, const char *name);
/* Says more of the error on top where it is Lua's limit of nested C calls; [-1, +1, m] */
void tl_error_explain(lua_State *L);

#endif
