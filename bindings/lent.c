/* lent.c: objects that Lua and C share. All of them are Lua's: C has pointers into them, and keeps
 * them by a reference in the registry or on a stack, as any value of Lua's.
 *
 * TL_LENT knows those of which C was given a pointer: the table has weak values, and is asked for
 * the object of a pointer, and at the end of the state for all. */
#include "lent.h"

#include <errno.h>
#include <fcntl.h>

#include "class.h"
#include "error.h"
#include "future.h"
#include "make.h"
#include "net.h"
#include "queue.h"
#include "runtime.h"
#include "tide_lua.h"

tl_runtime *tl_lent_runtime(lua_State *L) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  tl_runtime *rt = tl_runtime_find(L);
  if (rt == NULL) luaL_error(L, "tide is not loaded in this Lua state");
  tl_loop(L, rt);
  return rt;
}

/* Takes note of the object at `index`, whose address it gives. */
static void *lend(lua_State *L, const tl_runtime *rt, int index) {
  index = lua_absindex(L, index);
  void *object = lua_touserdata(L, index);
  tl_table_push(L, rt, TL_LENT);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, object);
  lua_pop(L, 1);
  return object;
}

static void *take(lua_State *L, int index, tl_class class) {
  const tl_runtime *rt = tl_lent_runtime(L);
  tl_check(L, rt, lua_absindex(L, index), class);
  return lend(L, rt, index);
}

void tl_lent_push(lua_State *L, const tl_runtime *rt, const void *address) {
  tl_table_push(L, rt, TL_LENT);
  lua_rawgetp(L, -1, address);
  lua_remove(L, -2);
}

void tl_lent_check(lua_State *L, const tl_runtime *rt, const void *address, tl_class class) {
  tl_lent_push(L, rt, address);
  if (tl_test(L, rt, -1, class) != NULL) return;
  tl_class_push(L, rt, class);
  lua_getfield(L, -1, "__name");
  lua_pushfstring(L, "the pointer is not to a %s that this Lua state has given to C",
                  lua_tostring(L, -1));
  tl_raise_message(L, rt, TIDE_EMISUSE, lua_tostring(L, -1));
}

void tide_lua_push_lent(lua_State *L, const void *object) {
  tl_runtime *rt;
  if (tl_runtime_ask(L, &rt) == TIDE_OK)
    tl_lent_push(L, rt, object);
  else
    lua_pushnil(L);
}

/* The end. The lists that tasks wait in, of each class that has some; streams, listeners, queues
 * and semaphores are closed, which says the same. */

static void break_queue(tide_queue *queue) {
  tide_waits_break(&queue->getters, TIDE_ECLOSED);
  tide_waits_break(&queue->putters, TIDE_ECLOSED);
  tide_waits_break(&queue->joiners, TIDE_ECLOSED);
}

static tide_list *waiters_of(lua_State *L, const tl_runtime *rt, void *object) {
  if (tl_test(L, rt, -1, TL_TASK) || tl_test(L, rt, -1, TL_FUTURE))
    return &((tide_future *)object)->waiters;
  if (tl_test(L, rt, -1, TL_LOCK)) return &((tide_lock *)object)->waiters;
  if (tl_test(L, rt, -1, TL_RWLOCK)) return &((tide_rwlock *)object)->waiters;
  if (tl_test(L, rt, -1, TL_SEMAPHORE)) return &((tide_semaphore *)object)->waiters;
  if (tl_test(L, rt, -1, TL_EVENT)) return &((tide_event *)object)->waiters;
  if (tl_test(L, rt, -1, TL_CONDITION)) return &((tide_condition *)object)->waiters;
  if (tl_test(L, rt, -1, TL_BARRIER)) return &((tide_barrier *)object)->waiters;
  return NULL;
}

/* In a group's list children may wait for what they are part of: only C's tasks are left by now. */
void tl_lent_end(lua_State *L, const tl_runtime *rt) {
  tl_table_push(L, rt, TL_LENT);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    void *object = lua_touserdata(L, -1);
    tide_list *waiters = waiters_of(L, rt, object);
    if (waiters != NULL) tide_waits_break(waiters, TIDE_ECLOSED);
    if (tl_test(L, rt, -1, TL_QUEUE)) break_queue(object);
    if (tl_test(L, rt, -1, TL_GROUP)) tide_waits_break(&((tide_group *)object)->idle, TIDE_ECLOSED);
  }
  lua_pop(L, 1);
}

/* From Lua to C. */

tide_task *tide_lua_to_task(lua_State *L, int index) { return take(L, index, TL_TASK); }

tide_future *tide_lua_to_future(lua_State *L, int index) {
  const tl_runtime *rt = tl_lent_runtime(L);
  tl_check_future(L, rt, lua_absindex(L, index));
  return lend(L, rt, index);
}

tide_lock *tide_lua_to_lock(lua_State *L, int index) { return take(L, index, TL_LOCK); }

tide_rwlock *tide_lua_to_rwlock(lua_State *L, int index) { return take(L, index, TL_RWLOCK); }

tide_semaphore *tide_lua_to_semaphore(lua_State *L, int index) {
  return take(L, index, TL_SEMAPHORE);
}

tide_event *tide_lua_to_event(lua_State *L, int index) { return take(L, index, TL_EVENT); }

tide_condition *tide_lua_to_condition(lua_State *L, int index) {
  return take(L, index, TL_CONDITION);
}

tide_barrier *tide_lua_to_barrier(lua_State *L, int index) { return take(L, index, TL_BARRIER); }

tide_queue *tide_lua_to_queue(lua_State *L, int index) { return take(L, index, TL_QUEUE); }

tide_group *tide_lua_to_group(lua_State *L, int index) { return take(L, index, TL_GROUP); }

tide_scope *tide_lua_to_scope(lua_State *L, int index) { return take(L, index, TL_SCOPE); }

tide_stream *tide_lua_to_stream(lua_State *L, int index) { return take(L, index, TL_STREAM); }

tide_listener *tide_lua_to_listener(lua_State *L, int index) { return take(L, index, TL_LISTENER); }

/* From C to Lua. */

tide_future *tide_lua_push_future(lua_State *L) {
  tl_runtime *rt = tl_lent_runtime(L);
  tl_future_push(L, rt);
  return lend(L, rt, -1);
}

tide_lock *tide_lua_push_lock(lua_State *L) {
  tl_runtime *rt = tl_lent_runtime(L);
  tl_lock_push(L, rt);
  return lend(L, rt, -1);
}

tide_rwlock *tide_lua_push_rwlock(lua_State *L) {
  tl_runtime *rt = tl_lent_runtime(L);
  tl_rwlock_push(L, rt);
  return lend(L, rt, -1);
}

tide_semaphore *tide_lua_push_semaphore(lua_State *L, size_t permits, size_t bound) {
  tl_runtime *rt = tl_lent_runtime(L);
  tl_semaphore_push(L, rt, permits, bound);
  return lend(L, rt, -1);
}

tide_event *tide_lua_push_event(lua_State *L) {
  tl_runtime *rt = tl_lent_runtime(L);
  tl_event_push(L, rt);
  return lend(L, rt, -1);
}

tide_condition *tide_lua_push_condition(lua_State *L, int lock) {
  tl_runtime *rt = tl_lent_runtime(L);
  lock = lua_absindex(L, lock);
  tl_check(L, rt, lock, TL_LOCK);
  tl_condition_push(L, rt, lock);
  return lend(L, rt, -1);
}

tide_barrier *tide_lua_push_barrier(lua_State *L, size_t parties) {
  tl_runtime *rt = tl_lent_runtime(L);
  if (parties == 0) tl_raise_message(L, rt, TIDE_EMISUSE, "a barrier has one party at least");
  tl_barrier_push(L, rt, parties);
  return lend(L, rt, -1);
}

tide_queue *tide_lua_push_queue(lua_State *L, tide_queue_order order, size_t max) {
  tl_runtime *rt = tl_lent_runtime(L);
  tl_queue_push(L, rt, order, max);
  return lend(L, rt, -1);
}

tide_group *tide_lua_push_group(lua_State *L, uint32_t max) {
  tl_runtime *rt = tl_lent_runtime(L);
  tide_group *group = tl_group_push(L, rt, max);
  lend(L, rt, -1);
  tide_group_enter(group, &rt->current->task);
  return group;
}

tide_scope *tide_lua_push_scope(lua_State *L, tide_time span) {
  tl_runtime *rt = tl_lent_runtime(L);
  tide_scope *scope = tl_scope_push(L, rt);
  lend(L, rt, -1);
  tl_scope_enter(L, rt, scope, tide_loop_after(rt->loop, span));
  return scope;
}

/* libev aborts where it is to watch what is not open. -1 is a closed stream. */
static int check_descriptor(int fd) {
  int before = errno;
  if (fd < 0 || fcntl(fd, F_GETFD) >= 0) return TIDE_OK;
  int error = TIDE_OS(errno);
  errno = before;
  return error;
}

tide_stream *tide_lua_push_stream(lua_State *L, int fd) {
  tl_runtime *rt = tl_lent_runtime(L);
  int error = check_descriptor(fd);
  if (error != TIDE_OK) tl_raise(L, rt, error);
  tide_stream *stream = tl_stream_new(L, rt);
  lend(L, rt, -1);
  tide_stream_init(stream, rt->loop, fd);
  return stream;
}

tide_listener *tide_lua_push_listener(lua_State *L) {
  tl_runtime *rt = tl_lent_runtime(L);
  tl_listener_new(L, rt);
  return lend(L, rt, -1);
}

/* What is in them. */

/* Calls the method of the Future that is lent under that address, with what is on top. */
static bool call_method(lua_State *L, const tide_future *future, const char *name, int count) {
  const tl_runtime *rt = tl_lent_runtime(L);
  int first = lua_gettop(L) - count + 1;
  luaL_checkstack(L, count + LUA_MINSTACK, NULL);
  tl_lent_check(L, rt, future, TL_FUTURE);
  lua_getfield(L, -1, name);
  lua_insert(L, first);
  lua_insert(L, first + 1);
  lua_call(L, count + 1, 1);
  bool answer = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return answer;
}

bool tide_lua_set_result(lua_State *L, const tide_future *future, int count) {
  return call_method(L, future, "set_result", count);
}

bool tide_lua_set_error(lua_State *L, const tide_future *future) {
  return call_method(L, future, "set_error", 1);
}

uint32_t tide_lua_queue_store(lua_State *L, tide_queue *queue) {
  const tl_runtime *rt = tl_lent_runtime(L);
  if (lua_isnil(L, -1)) luaL_error(L, "nil cannot be put into a queue");
  tl_lent_check(L, rt, queue, TL_QUEUE);
  lua_insert(L, -2);
  uint32_t slot = tl_queue_store(L, queue, lua_gettop(L) - 1);
  lua_pop(L, 3);
  return slot;
}

void tide_lua_queue_take(lua_State *L, tide_queue *queue, uint32_t slot) {
  int top = lua_gettop(L);
  tl_runtime *rt;
  lua_pushnil(L);
  if (tl_runtime_ask(L, &rt) != TIDE_OK) return;
  tl_lent_push(L, rt, queue);
  if (tl_test(L, rt, -1, TL_QUEUE) != NULL) { /* else another state's, or it was collected */
    tl_queue_take_back(L, queue, slot, top + 2);
    lua_replace(L, top + 1);
  }
  lua_settop(L, top + 1);
}

/* Cancelling: the object's own method, which scripts cannot replace. */
bool tide_lua_cancel(lua_State *L, int index, const char *reason) {
  const tl_runtime *rt = tl_lent_runtime(L);
  index = lua_absindex(L, index);
  bool task = tl_test(L, rt, index, TL_TASK), group = tl_test(L, rt, index, TL_GROUP);
  bool can = task || group || tl_test(L, rt, index, TL_FUTURE) || tl_test(L, rt, index, TL_SCOPE);
  if (!can) luaL_typeerror(L, index, "Task, Future, TaskGroup or Scope");
  lua_getfield(L, index, "cancel");
  lua_pushvalue(L, index);
  lua_pushstring(L, reason); /* nil for NULL */
  lua_call(L, 2, 1);
  bool answer = lua_isnil(L, -1) || lua_toboolean(L, -1);
  lua_pop(L, 1);
  return answer;
}
