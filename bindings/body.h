/* body.h: what the coroutine of a task runs. */
#ifndef TL_BODY_H
#define TL_BODY_H

#include <lua.h>
#include <stdbool.h>

typedef struct tl_task tl_task;

/* Return 0 or 1 values, which the task is to end with; tl_step.how says what it is. On the
 * stack: message handler, function, arguments; for a child, the handler, its group, ... */
int tl_body(lua_State *L);
int tl_child_body(lua_State *L);

/* What runs behind the body, for tasks with greenlets, and for those with loops that may be open:
 * left by a `break` which, in Lua before 5.4.5, skips the closing value. */
int tl_body_close_behind(lua_State *L);
/* A part of that may have ended with the error on top: reports it as the failure of `what`. */
void tl_body_behind_failed(lua_State *L, int status, const char *what);

/* Pushes what the current task is to end with that has failed: its error is on top, and has come to
 * `co`. Of a cancellation that was asked for only the reason is kept. */
int tl_body_keep_failure(lua_State *L, lua_State *co);

bool tl_is_child_body(lua_CFunction function);
/* The group of a child that has not ended; false: it has none. */
bool tl_task_group_push(lua_State *L, const tl_task *child);

#endif
