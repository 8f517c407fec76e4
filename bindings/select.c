/* select.c: select over whatever can be waited for, and the cases that are objects of their own:
 * queue:putting(value), channel:sending(value), group:ended(), stream:readable(), fd:readable(),
 * fd:writable() and tide.after(seconds). */
#include "channel.h"
#include "class.h"
#include "error.h"
#include "fd.h"
#include "future.h"
#include "group.h"
#include "net.h"
#include "parts.h"
#include "queue.h"
#include "runtime.h"
#include "rwlock.h"
#include "semaphore.h"
#include "shared_queue.h"
#include "task.h"
#include "wait.h"

enum {
  SELF = 1,       /* on the stack of select: its record, */
  STREAM = 2,     /* for a listener's connection, or nil, */
  PERMITS = 3,    /* a guard for a semaphore's, or nil, */
  FIRST = 4,      /* and the cases as they were given */
  SPARE_ROOM = 8, /* cases for which every record has room */
};

static const uint32_t NO_CASE = UINT32_MAX;

typedef struct tl_select {
  tide_select select; /* first */
  bool gives;         /* there are cases of putting or sending */
  tide_case cases[];  /* as many as there are arguments, or SPARE_ROOM */
} tl_select;

typedef enum tl_case_kind {
  TL_CASE_PUTTING,
  TL_CASE_SENDING,
  TL_CASE_ENDED,
  TL_CASE_AFTER,
  TL_CASE_STREAM, /* is readable */
  TL_CASE_READABLE,
  TL_CASE_WRITABLE,
} tl_case_kind;

/* A case that is an object. Its user values: what it is of, value. */
typedef struct tl_case {
  tl_case_kind kind;
  void *source;    /* the core's object, in the first user value; NULL: a time */
  double seconds;  /* from the call of select on */
  double priority; /* of what is put */
} tl_case;

/* Replaces the object at 1, and the value at 2 where that belongs to the case, by a case. */
static int push_case(lua_State *L, tl_runtime *rt, tl_case self, int values) {
  lua_settop(L, values);
  tl_case *kept = tl_object_new(L, rt, TL_CASE, sizeof *kept, 2);
  *kept = self;
  lua_insert(L, 1);
  for (int i = values; i > 0; i--) lua_setiuservalue(L, 1, i);
  return 1;
}

static int case_of(lua_State *L, tl_class class, tl_case_kind kind) {
  tl_runtime *rt = tl_rt(L);
  void *source = tl_check(L, rt, 1, class);
  return push_case(L, rt, (tl_case){.kind = kind, .source = source}, 1);
}

/* queue:putting(value[, priority]) -> case */
int tl_queue_putting(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tide_queue *queue = tl_check(L, rt, 1, TL_QUEUE);
  double priority = tl_queue_check_item(L, queue);
  return push_case(L, rt, (tl_case){.kind = TL_CASE_PUTTING, .source = queue, .priority = priority},
                   2);
}

/* channel:sending(value) -> case */
int tl_channel_sending(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tide_channel *channel = tl_channel_check(L, rt, 1);
  tl_channel_check_value(L);
  return push_case(L, rt, (tl_case){.kind = TL_CASE_SENDING, .source = channel}, 2);
}

/* group:ended() -> case */
int tl_group_ended(lua_State *L) { return case_of(L, TL_GROUP, TL_CASE_ENDED); }

/* stream:readable() -> case */
int tl_stream_readable(lua_State *L) { return case_of(L, TL_STREAM, TL_CASE_STREAM); }

/* fd:readable() -> case */
int tl_fd_readable(lua_State *L) { return case_of(L, TL_FD, TL_CASE_READABLE); }

/* fd:writable() -> case */
int tl_fd_writable(lua_State *L) { return case_of(L, TL_FD, TL_CASE_WRITABLE); }

/* tide.after(seconds) -> case */
static int after(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0, 1, "must not be negative or NaN");
  return push_case(L, tl_rt(L), (tl_case){.kind = TL_CASE_AFTER, .seconds = seconds}, 0);
}

/* Whether there is something to give in that case, to be taken back where another one happens. */
static bool is_giving(lua_State *L, const tl_runtime *rt, int index) {
  const tl_case *self = tl_test(L, rt, index, TL_CASE);
  return self != NULL && (self->kind == TL_CASE_PUTTING || self->kind == TL_CASE_SENDING);
}

static int case_tostring(lua_State *L) {
  static const char *const names[] = {
      [TL_CASE_PUTTING] = "Queue.putting", [TL_CASE_SENDING] = "Channel.sending",
      [TL_CASE_ENDED] = "TaskGroup.ended", [TL_CASE_STREAM] = "Stream.readable",
      [TL_CASE_READABLE] = "Fd.readable",  [TL_CASE_WRITABLE] = "Fd.writable",
  };
  const tl_case *self = tl_check(L, tl_rt(L), 1, TL_CASE);
  if (self->kind == TL_CASE_AFTER)
    lua_pushfstring(L, "case(after %f s)", self->seconds);
  else
    lua_pushfstring(L, "case(%s)", names[self->kind]);
  return 1;
}

/* Making the cases. */

/* Stores the value of the object at `index` in its queue, and takes the slot. */
static void make_putting(lua_State *L, tide_case *out, const tl_case *self, int index) {
  lua_getiuservalue(L, index, 1);
  lua_getiuservalue(L, index, 2);
  uint32_t slot = tl_queue_store(L, self->source, lua_gettop(L) - 1);
  tide_case_put(out, self->source, slot, self->priority);
  lua_pop(L, 3);
}

/* The message is made now, of what the value is now. */
static void make_sending(lua_State *L, tide_case *out, const tl_case *self, int index) {
  lua_getiuservalue(L, index, 2);
  tide_case_send(out, self->source, tide_lua_encode(L, -1, 0, 0));
  lua_pop(L, 1);
}

static void make_own(lua_State *L, const tl_runtime *rt, tide_case *out, int index) {
  const tl_case *self = lua_touserdata(L, index);
  switch (self->kind) {
  case TL_CASE_PUTTING:
    make_putting(L, out, self, index);
    break;
  case TL_CASE_SENDING:
    make_sending(L, out, self, index);
    break;
  case TL_CASE_ENDED:
    tide_case_group(out, self->source);
    break;
  case TL_CASE_AFTER:
    tide_case_at(out, tide_loop_after(rt->loop, tide_time_from_seconds(self->seconds)));
    break;
  case TL_CASE_STREAM:
    tide_case_readable(out, self->source);
    break;
  case TL_CASE_READABLE:
    tide_case_fd(out, self->source, TIDE_READABLE);
    break;
  case TL_CASE_WRITABLE:
    tide_case_fd(out, self->source, TIDE_WRITABLE);
  }
}

/* The class of the argument at `index`; TL_SELECT: it is no case. May leave a value on the stack.
 */
static tl_class class_of(lua_State *L, const tl_runtime *rt, int index) {
  static const tl_class classes[] = {TL_CASE,    TL_EVENT,       TL_TASK,      TL_LISTENER,
                                     TL_FUTURE,  TL_LOCK,        TL_SEMAPHORE, TL_RWGUARD,
                                     TL_CHANNEL, TL_SHARED_QUEUE};
  if (lua_touserdata(L, index) == NULL || !lua_getmetatable(L, index)) return TL_SELECT;
  const void *metatable = lua_topointer(L, -1);
  if (metatable == rt->classes.metatables[TL_QUEUE]) return TL_QUEUE;
  for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
    if (metatable == rt->classes.metatables[classes[i]]) return classes[i];
  return TL_SELECT;
}

/* Makes a case of the argument at `index`, whose class is known. */
static void make_case(lua_State *L, const tl_runtime *rt, tide_case *out, int index,
                      tl_class class) {
  void *object = lua_touserdata(L, index);
  switch (class) {
  case TL_QUEUE:
    tide_case_get(out, object);
    break;
  case TL_SHARED_QUEUE:
    tide_case_get(out, tl_shared_queue_core(L, rt, index));
    break;
  case TL_CASE:
    make_own(L, rt, out, index);
    break;
  case TL_CHANNEL:
    tide_case_recv(out, tl_channel_check(L, rt, index));
    break;
  case TL_EVENT:
    tide_case_event(out, object);
    break;
  case TL_LOCK:
    tide_case_lock(out, object);
    break;
  case TL_SEMAPHORE:
    tide_case_semaphore(out, object);
    break;
  case TL_RWGUARD:
    tl_rwguard_case(L, out, index);
    break;
  case TL_LISTENER:
    tide_case_accept(out, object);
    break;
  default:
    tide_case_future(out, object);
  }
}

/* The end. */

static void withdraw_putting(lua_State *L, const tide_case *one, int index) {
  uint32_t slot = (uint32_t)one->wait.value.number;
  lua_getiuservalue(L, index, 1);
  tl_queue_clear(L, slot, lua_gettop(L));
  tl_queue_free(L, lua_touserdata(L, -1), slot, lua_gettop(L));
  lua_pop(L, 1);
}

/* Takes back what was to be given, but for the case given. */
static void withdraw(lua_State *L, const tl_runtime *rt, const tl_select *self, uint32_t but) {
  for (uint32_t i = 0; self->gives && i < self->select.count; i++) {
    int index = FIRST + (int)i;
    if (i == but || !is_giving(L, rt, index)) continue;
    if (((const tl_case *)lua_touserdata(L, index))->kind == TL_CASE_PUTTING)
      withdraw_putting(L, &self->cases[i], index);
    else
      tide_message_free(self->cases[i].wait.value.pointer);
  }
}

/* What is wrong with the case at `index`. */
static const char *why(lua_State *L, const tl_runtime *rt, int index, int error) {
  if (error != TIDE_EINVALID_STATE) return tide_error_message(error);
  return class_of(L, rt, index) == TL_LOCK ? "the task holds the lock already"
                                           : "a task cannot wait for itself";
}

/* Which case failed: one of several, the first of which is at `first`. */
static int raise_case(lua_State *L, const tl_runtime *rt, const tide_select *select, int first,
                      int error) {
  int number = (int)select->chosen + 1;
  lua_pushfstring(L, "case %d: %s", number, why(L, rt, first + number - 1, error));
  return tl_raise_message(L, rt, error, lua_tostring(L, -1));
}

/* Called where a wait ended with an error: of the task's, or of a case. */
static void abandoned(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  const tl_select *self = lua_touserdata(L, SELF);
  int outcome = rt->current->task.outcome;
  withdraw(L, rt, self, NO_CASE);
  if (outcome != TIDE_ECANCELLED && outcome != TIDE_EDEADLOCK)
    raise_case(L, rt, &self->select, FIRST, outcome);
}

/* Pushes the number of the chosen case, of that class, and what it gave; the first argument is at
 * `first`. */
static int push_values(lua_State *L, tl_runtime *rt, uint32_t number, const tide_case *chosen,
                       int first, tl_class class) {
  int index = first + (int)number;
  lua_pushinteger(L, (lua_Integer)number + 1);
  switch (class) {
  case TL_QUEUE:
    tl_queue_take(L, lua_touserdata(L, index), (uint32_t)chosen->wait.value.number, index);
    lua_remove(L, -2); /* its table */
    return 2;
  case TL_SHARED_QUEUE:
    return 1 + tl_shared_queue_take(L, rt, index, (uint32_t)chosen->wait.value.number);
  case TL_TASK:
  case TL_FUTURE:
    return 1 + tl_result_push(L, rt, tl_check_future(L, rt, index), index);
  case TL_CHANNEL:
    tl_message_open(L, chosen->wait.value.pointer);
    return 2;
  case TL_LISTENER:
    lua_pushvalue(L, STREAM);
    tide_stream_init(lua_touserdata(L, -1), rt->loop, (int)chosen->wait.value.integer);
    return 2;
  case TL_RWGUARD:
    tl_rwguard_acquired(L, rt, index);
    lua_pushvalue(L, index);
    return 2;
  case TL_SEMAPHORE:
    tl_permits_acquired(L, PERMITS, index, 1);
    lua_pushvalue(L, PERMITS);
    return 2;
  case TL_LOCK: /* it releases at the end of a block */
    lua_pushvalue(L, index);
    return 2;
  default:
    return 1;
  }
}

static int try_select(lua_State *L, tl_runtime *rt, void *record) {
  tl_select *self = record;
  int result = tide_select_wait(&self->select, &rt->current->task);
  if (result == TIDE_PENDING) return TL_AGAIN;
  uint32_t number = result == TIDE_OK ? self->select.chosen : NO_CASE;
  withdraw(L, rt, self, number);
  if (result != TIDE_OK) return raise_case(L, rt, &self->select, FIRST, result);
  tl_shelf_give(L, &rt->selects, SELF);
  tl_class class = class_of(L, rt, FIRST + (int)number);
  return push_values(L, rt, number, &self->cases[number], FIRST, class);
}

/* The beginning. */

static tl_select *push_record(lua_State *L, tl_runtime *rt, int count) {
  tl_select *self = count <= SPARE_ROOM ? tl_shelf_take(L, &rt->selects) : NULL;
  if (self != NULL) return self;
  size_t room = count > SPARE_ROOM ? (size_t)count : SPARE_ROOM;
  return lua_newuserdatauv(L, sizeof *self + room * sizeof self->cases[0], 0);
}

/* What there is among the arguments. */
typedef struct kinds {
  bool gives;                   /* a case of putting or sending */
  bool listener;                /* a Listener */
  bool semaphore;               /* a Semaphore */
  tl_class classes[SPARE_ROOM]; /* of the first ones */
} kinds;

/* Raises for what is no case, before anything is done. With `out`, makes cases of what needs no
 * memory for that. */
static void check_cases(lua_State *L, const tl_runtime *rt, int count, kinds *found,
                        tide_case *out) {
  found->gives = found->listener = found->semaphore = false;
  luaL_argcheck(L, count > 0, 1, "there is no case to wait for");
  luaL_checkstack(L, 2 * count + LUA_MINSTACK, "too many cases");
  for (int i = 1; i <= count; i++) {
    tl_class class = class_of(L, rt, i);
    if (i <= SPARE_ROOM) found->classes[i - 1] = class;
    if (TL_UNLIKELY(class == TL_SELECT))
      luaL_typeerror(L, i,
                     "Queue, Event, Lock, Semaphore, Task, Future, Listener, Channel or case");
    if (class == TL_LISTENER) found->listener = true;
    if (class == TL_SEMAPHORE) found->semaphore = true;
    if (class == TL_CASE && is_giving(L, rt, i)) {
      found->gives = true;
    } else if (out != NULL) {
      make_case(L, rt, &out[i - 1], i, class);
    }
  }
  lua_settop(L, count);
}

/* The arguments are at FIRST. What was made before an error is counted. */
static void make_cases(lua_State *L, const tl_runtime *rt, tl_select *self) {
  for (int top = lua_gettop(L), i = FIRST; i <= top; i++, lua_settop(L, top)) {
    tl_class class = class_of(L, rt, i);
    make_case(L, rt, &self->cases[i - FIRST], i, class);
    self->select.count++;
  }
}

/* In protected mode. */
static int make_in_copy(lua_State *L) {
  make_cases(L, tl_runtime_find(L), lua_touserdata(L, SELF));
  return 0;
}

/* The same; after an error what was to be given is taken back. */
static void make_cases_that_give(lua_State *L, const tl_runtime *rt, const tl_select *self) {
  int top = lua_gettop(L);
  lua_pushcfunction(L, make_in_copy);
  for (int i = SELF; i <= top; i++) lua_pushvalue(L, i);
  if (lua_pcall(L, top, 0, 0) == LUA_OK) return;
  withdraw(L, rt, self, NO_CASE);
  lua_error(L);
}

/* Waits with a record that outlives this call. */
static int select_waiting(lua_State *L, tl_runtime *rt, int count, const kinds *found) {
  static const tl_recall recall = {
      .class = TL_SELECT, .attempt = try_select, .abandoned = abandoned};
  tl_select *self = push_record(L, rt, count);
  self->gives = found->gives;
  if (found->listener)
    tl_stream_new(L, rt);
  else
    lua_pushnil(L);
  if (found->semaphore)
    tl_permits_new(L, rt);
  else
    lua_pushnil(L);
  lua_rotate(L, 1, PERMITS);
  self->select.count = 0;
  if (self->gives)
    make_cases_that_give(L, rt, self);
  else
    make_cases(L, rt, self);
  tide_select_init(&self->select, self->cases, (uint32_t)count);
  return tl_call(L, rt, &recall, self);
}

/* tide.select(case, ...) -> index, values... (waits) */
static int select_(lua_State *L) {
  kinds found;
  tide_select select;
  tide_case cases[SPARE_ROOM];
  tl_runtime *rt = tl_rt(L);
  int count = lua_gettop(L);
  bool few = count <= SPARE_ROOM;
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  check_cases(L, rt, count, &found, few ? cases : NULL);
  if (!few || found.gives || found.listener || found.semaphore)
    return select_waiting(L, rt, count, &found); /* it makes what these need */
  tide_select_init(&select, cases, (uint32_t)count);
  int result = tide_select_try(&select, &task->task);
  if (result == TIDE_PENDING) return select_waiting(L, rt, count, &found);
  if (TL_UNLIKELY(result != TIDE_OK)) return raise_case(L, rt, &select, 1, result);
  tl_class class = found.classes[select.chosen];
  return push_values(L, rt, select.chosen, &cases[select.chosen], 1, class);
}

void tl_select_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"select", select_}, {"after", after}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", case_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_CASE, "case", NULL, metamethods);
  tl_functions(L, rt, functions);
}
