/* event.c: Event. */
#include "class.h"
#include "make.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "value.h"
#include "wait.h"

static tide_event *check_event(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_EVENT); }

static int event_set(lua_State *L) {
  tide_event_set(check_event(L));
  return 0;
}

static int event_clear(lua_State *L) {
  tide_event_clear(check_event(L));
  return 0;
}

static int event_is_set(lua_State *L) {
  lua_pushboolean(L, check_event(L)->is_set);
  return 1;
}

static int waited(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  tl_outcome(L, tl_rt(L));
  return 0;
}

/* event:wait() (waits) */
static int event_wait(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_event *event = check_event(L);
  return tl_finish(L, rt, tide_event_wait(event, &task->task), 0, waited);
}

/* event:statistics() -> {is_set=, tasks_waiting=} */
static int event_statistics(lua_State *L) {
  const tide_event *event = check_event(L);
  lua_createtable(L, 0, 2);
  tl_set_boolean(L, "is_set", event->is_set);
  tl_set_waiters(L, "tasks_waiting", &event->waiters);
  return 1;
}

static int event_tostring(lua_State *L) {
  lua_pushfstring(L, "Event(%s)", check_event(L)->is_set ? "set" : "clear");
  return 1;
}

tide_event *tl_event_push(lua_State *L, tl_runtime *rt) {
  tide_event *event = tl_object_new(L, rt, TL_EVENT, sizeof *event, 0);
  tide_event_init(event);
  return event;
}

static int new_event(lua_State *L) {
  tl_event_push(L, tl_rt(L));
  return 1;
}

void tl_event_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {
      {"set", event_set},   {"clear", event_clear},           {"is_set", event_is_set},
      {"wait", event_wait}, {"statistics", event_statistics}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", event_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_EVENT, "Event", methods, metamethods);
  tl_constructor(L, rt, "Event", TL_EVENT, new_event);
}
