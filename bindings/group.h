/* group.h: what others must know of a TaskGroup. */
#ifndef TL_GROUP_H
#define TL_GROUP_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;
typedef struct tl_task tl_task;

bool tl_group_is_ours(const tide_group *group);     /* a script's */
const char *tl_group_name(const tide_group *group); /* NULL where it is not one of ours */
tide_group *tl_group_for_spawn(lua_State *L, tl_runtime *rt, int index); /* or raises */
/* Pushes "TaskGroup 'name' opened at ...", of the group at this address. */
void tl_group_describe(lua_State *L, const void *group);
/* Takes note, for the group at `index`, of the current child's failure: pops error and traceback.
 */
void tl_group_add_failure(lua_State *L, const tl_runtime *rt, int index);
/* Pushes what the group at `index` has for failures of children, of which the current task is one;
 * false: nothing. */
bool tl_group_on_error_push(lua_State *L, const tl_runtime *rt, int index);
/* The task has ended by itself, with scopes open: groups among them whose children run, which are
 * cancelled for it, are reported. */
void tl_group_report_open(lua_State *L, tl_runtime *rt, const tl_task *task);
bool tl_group_was_left(const void *group); /* the group at this address */

int tl_group_ended(lua_State *L); /* select.c: TaskGroup.ended */

#endif
