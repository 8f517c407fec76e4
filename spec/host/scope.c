/* scope.c: scopes and groups of the host's own, around tasks of scripts. */
#include "host.h"

/* What lies behind the host's scope is no deadline, site or name of tide's. */
typedef struct hosts_scope {
  tide_group group; /* only its scope, where it is none */
  const char *words[16];
} hosts_scope;

static hosts_scope scopes[8];
static int opened;
static host *here;

static tide_task *running(void) { return tide_loop_current(here->w.loop); }

static hosts_scope *next_scope(void) {
  hosts_scope *self = &scopes[opened++];
  for (int i = 0; i < 16; i++) self->words[i] = "of the host's";
  return self;
}

static int open_scope(lua_State *L) {
  (void)L;
  hosts_scope *self = next_scope();
  tide_scope *scope = &self->group.scope;
  /* right behind a scope, where a scope of tide's has more */
  for (const char **word = (const char **)(scope + 1); word < self->words; word++) *word = "mine";
  tide_scope_init(scope, TIDE_SCOPE_OWNER);
  tide_scope_enter(scope, running());
  return 0;
}

static int open_group(lua_State *L) {
  (void)L;
  hosts_scope *self = next_scope();
  tide_group_init(&self->group, here->w.loop, 0, true);
  self->group.scope.flags |= TIDE_SCOPE_OWNER;
  tide_group_enter(&self->group, running());
  return 0;
}

/* Cancels the one that was opened last. */
static int cancel_scope(lua_State *L) {
  (void)L;
  tide_scope_cancel(&scopes[opened - 1].group.scope, here->w.loop);
  return 0;
}

static int close_scope(lua_State *L) {
  (void)L;
  tide_scope_exit(&scopes[--opened].group.scope);
  return 0;
}

/* Spawns a task of C's in the group that was opened last. */
static void wait_long(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 60000));
  END;
}

static int spawn_inside(lua_State *L) {
  (void)L;
  spawn_in(&here->w, &scopes[opened - 1].group, "child", wait_long);
  return 0;
}

static void open_with_scopes(host *h) {
  host_open_for_lua(h);
  here = h;
  opened = 0;
  lua_register(h->L, "open_scope", open_scope);
  lua_register(h->L, "open_group", open_group);
  lua_register(h->L, "cancel_scope", cancel_scope);
  lua_register(h->L, "close_scope", close_scope);
  lua_register(h->L, "spawn_inside", spawn_inside);
  host_do(h, "tide.on_failure(function(name, err) say('report', tostring(err)) end)");
}

static void time_left_tells_of_the_scripts_deadlines_only(void) {
  host h;
  open_with_scopes(&h);
  host_do(&h, "run(function()\n"
              "  open_scope() say(tostring(tide.time_left()))\n"
              "  open_group() say(tostring(tide.time_left()))\n"
              "  tide.timeout(5, function() say(tide.time_left()) end)\n"
              "  close_scope() close_scope()\n"
              "  tide.timeout(7, function() open_scope() say(tide.time_left()) close_scope() end)\n"
              "end)");
  CHECK_LUA_LOG(&h, "nil, nil, 5.0, 7.0");
  host_close(&h);
}

static void the_tree_has_them_without_names_or_deadlines(void) {
  host h;
  open_with_scopes(&h);
  host_do(&h, "run(function()\n"
              "  open_scope() open_group()\n"
              "  local scope = tide.tree().children[1].children[1]\n"
              "  say(scope.kind, tostring(scope.deadline))\n"
              "  local group = scope.children[1]\n"
              "  say(group.kind, tostring(group.name))\n"
              "  close_scope() close_scope()\n"
              "end)");
  CHECK_LUA_LOG(&h, "scope nil, group nil");
  host_close(&h);
}

static void left_open_they_are_not_taken_for_the_scripts(void) {
  host h;
  open_with_scopes(&h);
  host_do(&h, "function told(open, ends)\n"
              "  say((select(2, tide.raw.pcall(tide.timeout, 60, function()\n"
              "    open() if ends then cancel_scope() sleep(1) end\n"
              "  end)).message))\n"
              "  close_scope()\n"
              "end\n"
              "run(function()\n"
              "  told(open_scope, false) told(open_group, false)\n"
              "  told(open_scope, true) told(open_group, true)\n"
              "end)");
  CHECK_LUA_LOG(&h, "the scope was left before one, which is inside it, "
                    "the scope was left before one, which is inside it, "
                    "cancelled, cancelled");
  host_close(&h);
}

static void the_end_of_a_task_reports_no_group_of_the_hosts(void) {
  host h;
  open_with_scopes(&h);
  host_do(&h, "run(function() tide.await(spawn(function() open_group() spawn_inside() end)) end)\n"
              "say('over')");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "over");
  host_close(&h);
}

static void a_task_that_has_them_open_can_be_killed(void) {
  host h;
  open_with_scopes(&h);
  host_do(&h, "run(function()\n"
              "  local task = spawn(function()\n"
              "    open_scope() open_group() spawn_inside()\n"
              "    local timeout <close> = tide.timeout(5)\n"
              "    open_scope()\n"
              "    sleep(9)\n"
              "  end)\n"
              "  sleep(1) task:kill() say(task:status())\n"
              "end)");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "cancelled");
  for (int i = 0; i < opened; i++) CHECK(scopes[i].group.scope.parent == NULL);
  host_close(&h);
}

int main(void) {
  RUN(time_left_tells_of_the_scripts_deadlines_only);
  RUN(the_tree_has_them_without_names_or_deadlines);
  RUN(left_open_they_are_not_taken_for_the_scripts);
  RUN(the_end_of_a_task_reports_no_group_of_the_hosts);
  RUN(a_task_that_has_them_open_can_be_killed);
  return check_summary();
}
