/* owner.h: tasks that own to-be-closed values. */
#ifndef TL_OWNER_H
#define TL_OWNER_H

#include <lua.h>

typedef struct tl_task tl_task;

/* On the stack: count, group | nil, x, values. Spawns a task that owns the first `count` values
 * (nil and false are nothing to close), and leaves it on top; they are closed also where this
 * raises. Its body, which may wait, is called with x and the values. */
int tl_owner_spawn(lua_State *L, lua_CFunction body);

/* What such a body begins with: makes to-be-closed variables of them. Needs room for two values. */
void tl_owner_take(lua_State *L, tl_task *task);

/* Of a task that ends without having come so far: closes them. */
void tl_owner_close(lua_State *L, tl_task *task);

#endif
