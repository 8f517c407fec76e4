// tide in C++: the headers are C++ as they are. A state is an object that closes itself, a script's
// task is awaited by a callback.
#include <lauxlib.h>
#include <lualib.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <tide_lua.h>

namespace {

struct close_state {
  void operator()(lua_State *L) const { tide_lua_close(L, tide_time_from_seconds(1)); }
};

struct free_loop {
  void operator()(tide_loop *loop) const { tide_loop_free(loop); }
};

int open(lua_State *L) {
  luaL_openlibs(L);
  tide_lua_open(L, static_cast<tide_loop *>(lua_touserdata(L, 1)), nullptr);
  lua_setglobal(L, "tide");
  return 0;
}

class script {
public:
  explicit script(tide_loop *loop) : state(luaL_newstate()) {
    if (!state) throw std::bad_alloc();
    lua_pushcfunction(state.get(), open);
    lua_pushlightuserdata(state.get(), loop);
    check(lua_pcall(state.get(), 1, 0, 0));
  }

  // Runs the text as a task; `done` is told what it returned.
  void spawn(const char *text, tide_lua_done_fn done, void *context) {
    lua_State *L = state.get();
    check(luaL_loadstring(L, text));
    lua_pushcfunction(L, spawn_protected);
    lua_insert(L, -2);
    request r = {done, context};
    lua_pushlightuserdata(L, &r);
    check(lua_pcall(L, 2, 0, 0));
  }

private:
  struct request {
    tide_lua_done_fn done;
    void *context;
  };

  // Lua's errors must not cross C++ frames that have something to clean up.
  static int spawn_protected(lua_State *L) {
    const request *r = static_cast<request *>(lua_touserdata(L, 2));
    lua_settop(L, 1);
    tide_lua_spawn_cb(L, 0, r->done, r->context);
    return 0;
  }

  void check(int status) {
    if (status == LUA_OK) return;
    std::string what = luaL_tolstring(state.get(), -1, nullptr);
    lua_settop(state.get(), 0);
    throw std::runtime_error(what);
  }

  std::unique_ptr<lua_State, close_state> state;
};

void on_done(lua_State *L, int error, int count, void *context) {
  std::printf("%s: %s\n", static_cast<const char *>(context),
              error == TIDE_OK && count > 0 ? lua_tostring(L, -1) : tide_error_kind(error));
}

} // namespace

int main() try {
  std::unique_ptr<tide_loop, free_loop> loop(tide_loop_new(nullptr));
  if (!loop) return 1;
  script s(loop.get());
  char first[] = "first", second[] = "second";
  s.spawn("tide.sleep(0.02) return 'slept well'", on_done, first);
  s.spawn("tide.timeout(0.01, tide.sleep, 1)", on_done, second);
  tide_loop_run(loop.get(), nullptr);
  return 0;
} catch (const std::exception &e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
