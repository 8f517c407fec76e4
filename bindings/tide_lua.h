/* tide_lua.h: embedding tide in a program that hosts Lua 5.4. */
#ifndef TIDE_LUA_H
#define TIDE_LUA_H

#include <lua.h>

#include "tide.h"

TIDE_BEGIN_DECLS

/* Opens the module, as `require "tide"` does: pushes its table. Makes a loop for this Lua state
 * and replaces coroutine.*, pcall and xpcall by versions that tasks can wait in. Needs of Lua's
 * libraries base, package, coroutine, table, string and math. Raises Lua errors: call it in
 * protected mode. After an error all is as before, and it may be called again. */
TIDE_API int luaopen_tide(lua_State *L);

/* The same, as `require "tide.net"` does: pushes that part's table. For hosts that fill
 * package.preload; after luaopen_tide, require finds it. */
TIDE_API int luaopen_tide_net(lua_State *L);

/* Where the memory of tide's C part is to come from, for this state: call it before luaopen_tide,
 * which makes the loop with it. The struct is copied; its context must outlive the state. Without
 * it: the C library's. The memory of Lua objects comes from the state's lua_Alloc in any case.
 * Raises `not enough memory`: call it in protected mode. */
TIDE_API void tide_lua_set_allocator(lua_State *L, const tide_allocator *allocator);

/* The loop of this state, or NULL before luaopen_tide. It belongs to the state and is freed by
 * lua_close. */
TIDE_API tide_loop *tide_lua_loop(lua_State *L);

/* Cancels the task that tide.run is running, with a string as the reason (copied), as task:cancel()
 * does. From the loop's thread. False where none runs. */
TIDE_API bool tide_lua_cancel_main(lua_State *L, const char *reason);

/* The same, of all that the task has open: neither a shield nor pcall keeps it up. */
TIDE_API bool tide_lua_interrupt_main(lua_State *L, const char *reason);

/* Whether tide.run's task has ended, and the others are being ended. From a signal handler too. */
typedef struct tl_runtime tide_lua_interrupter;
TIDE_API bool tide_lua_main_has_ended(const tide_lua_interrupter *interrupter);

/* What signal handlers know this state by, which cannot ask Lua. Valid until lua_close. */
TIDE_API tide_lua_interrupter *tide_lua_get_interrupter(lua_State *L);

/* Ends what runs in this state at the moment without waiting: the task is cancelled, with all that
 * it has open, and an error `cancelled` with that reason (a string that stays) is raised where its
 * code is; no pcall holds it. `<close>` variables run. Code that goes on all the same, in the same
 * step, is interrupted for good when this is called once more. Nothing happens where the loop
 * polls.
 *
 * To be called by a signal handler in the loop's thread, or from Lua. Not interrupted are
 * finalizers, what stays inside one C function, and a coroutine that a function kept from before
 * tide was loaded has resumed, until they are left. */
TIDE_API void tide_lua_interrupt(tide_lua_interrupter *interrupter, const char *reason);

/* Leaving. */

/* Who is told the status that tide.exit was called with, when all that ran has ended; NULL: nobody.
 * Called inside tide.run, where there is one, else inside the loop. It may stop the loop, and not
 * close the state. */
typedef void (*tide_lua_exit_fn)(lua_State *L, int status, void *context);
TIDE_API void tide_lua_on_exit(lua_State *L, tide_lua_exit_fn fn, void *context);

/* Runs the `<close>` variables of tide.run's task, also of the one that calls this: they cannot
 * wait. For who ends the process there and then: nothing of it may run afterwards. */
TIDE_API void tide_lua_unwind_main(lua_State *L);

/* Iterators (sched/iter.h), from C to Lua and from Lua to C. */

/* Pushes the values of an item that `iter` has just given, and gives their number: one at least,
 * the first not nil. It takes over what the item stands for, and may raise. It must not wait. */
typedef int (*tide_lua_item_fn)(lua_State *L, tide_iter *iter, tide_item item);

/* Pushes an object over an iterator of C's: it is called for the values of the next step, or nil at
 * the end; has `close`, which waits; is a to-be-closed value; and tide.iter takes it. The iterator
 * is Lua's from now on: tide_iter_free is called when the object is collected, the state is closed,
 * or this raises; nobody is inside then, but it may not have been closed. Needs three places on the
 * stack. Raises `not enough memory`: call it in protected mode. [-0, +1, m] */
TIDE_API void tide_lua_push_iter(lua_State *L, tide_iter *iter, tide_lua_item_fn push);

/* Makes an iterator of the core, in the state's loop, of the Lua value at `index`: any that
 * tide.iter takes. Each step runs in a Lua task of its own; who is cancelled cancels that one and
 * waits until it has ended. What a task that was killed did not take, the next step gives.
 * `item.pointer` is the iterator, for tide_lua_push_item. An error is told by its number: that of
 * its kind, TIDE_OS(errno), TIDE_ENOMEM, or TIDE_EFAILED where it has none; and tide_lua_push_error
 * has the value.
 *
 * tide_iter_close closes the Lua iterator, whose cleanup may wait. The caller frees it by
 * tide_iter_free, before lua_close or after; unclosed it is left to the garbage collector. After
 * lua_close nothing else may be called. Its memory is from the loop's allocator. Raises a bad
 * argument and `not enough memory`: call it in protected mode. [-0, +0, e] */
TIDE_API tide_iter *tide_lua_to_iter(lua_State *L, int index);

/* Pushes the values of the item that such an iterator gave last, until it is called again; gives
 * their number. Raises `not enough memory`. [-0, +n, m] */
TIDE_API int tide_lua_push_item(lua_State *L, const tide_iter *iter);

/* Pushes the error that the last call on such an iterator failed with, until it is called again;
 * nil where there is none. Raises `not enough memory`. [-0, +1, m] */
TIDE_API void tide_lua_push_error(lua_State *L, const tide_iter *iter);

TIDE_END_DECLS

#endif
