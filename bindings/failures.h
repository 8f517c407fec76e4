/* failures.h: what the children and the body of a TaskGroup have failed with. The group is a
 * userdata at `index`. */
#ifndef TL_FAILURES_H
#define TL_FAILURES_H

#include <lua.h>
#include <stdbool.h>

typedef struct tl_runtime tl_runtime;

/* User values of a group. */
enum {
  TL_GROUP_FAILURES = 1, /* the record, or nil */
  TL_GROUP_NAME,         /* a string, or nil */
  TL_GROUP_ON_ERROR,     /* a function, or nil */
  TL_GROUP_VALUES = TL_GROUP_ON_ERROR,
};

/* Adds a failure: pops the error, its traceback or nil, and a text that says whose it was. */
void tl_failures_add(lua_State *L, const tl_runtime *rt, int index);

lua_Integer tl_failures_count(lua_State *L, int index);
bool tl_failures_has(lua_State *L, int index, int error); /* the value at `error` */

/* Raises them all, of which there are some. `by_body`: one of them is the body's. */
int tl_failures_raise(lua_State *L, const tl_runtime *rt, int index, bool by_body);

/* Raises the body's error alone, the value at `error`: where nothing was added. */
int tl_failures_raise_body(lua_State *L, const tl_runtime *rt, int index, int error);
#define TL_IN_BODY "in the body of this group:"

/* They are somebody's now. Needs no memory. */
void tl_failures_told(lua_State *L, const tl_runtime *rt, int index);

/* Reports what the group at this address has failed with and nobody was told. */
void tl_failures_report(lua_State *L, tl_runtime *rt, const void *group);
void tl_failures_report_left(lua_State *L, tl_runtime *rt); /* of all groups that are not open */

#endif
