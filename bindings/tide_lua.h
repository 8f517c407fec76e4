/* tide_lua.h: embedding tide in a program that hosts Lua 5.4. */
#ifndef TIDE_LUA_H
#define TIDE_LUA_H

#include <lua.h>

#include "tide.h"

TIDE_BEGIN_DECLS

/* Opens the module, as `require "tide"` does: pushes its table. Makes a loop for this Lua state
 * and replaces coroutine.*, pcall and xpcall by versions that tasks can wait in. Raises Lua errors:
 * call it in protected mode. */
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

TIDE_END_DECLS

#endif
