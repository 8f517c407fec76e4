/* memory.c: sweeps the scenarios while memory is short: the first allocation fails, the second ...
 * until none does. In Lua's memory and in the core's, in three manners.
 *
 *     memory STRIDE FILE...     every STRIDEth point of the scenarios in the files
 *
 * Passing: the scenario fails or succeeds; nothing crashes, hangs or leaks; the next task runs. */
#include <signal.h>

#include "sweep.h"

typedef enum manner {
  ONCE,  /* the allocation fails, and so does Lua's second try after a collection */
  RETRY, /* only the first try fails: a collection happens at that very point */
  EVER,  /* all fail from then on */
  MANNERS
} manner;

static const char *const manner_names[MANNERS] = {"once", "with a collection", "from then on"};

/* Memory that is counted, whose sizes are checked, that moves whenever it can, and runs short. */
typedef struct supply {
  size_t in_use;    /* bytes */
  unsigned asked;   /* allocations since it was armed */
  unsigned fail_at; /* the allocation of this number fails; 0: none */
  manner how;
  bool failed;       /* ... and it has */
  void *block;       /* what failed last: the same request again is Lua's second try */
  size_t size;       /* ... how much was asked for */
  bool second_fails; /* the next one may be that */
} supply;

static supply luas, cores;

static void arm(supply *self, unsigned fail_at, manner how) {
  self->asked = 0;
  self->failed = self->second_fails = false;
  self->fail_at = fail_at;
  self->how = how;
}

/* A second try comes next, if at all: a collection asks for nothing that may fail. */
static bool fails(supply *self, void *block, size_t size) {
  bool second = self->second_fails && self->block == block && self->size == size;
  self->second_fails = false;
  if (second) return true;
  self->asked++;
  if (self->fail_at == 0 || self->asked < self->fail_at) return false;
  if (self->asked > self->fail_at && self->how != EVER) return false;
  self->failed = true;
  self->second_fails = self->how == ONCE;
  self->block = block;
  self->size = size;
  return true;
}

enum { HEADER = 16 }; /* before each block: its size */

static void *supply_resize(void *context, void *block, size_t old_size, size_t new_size) {
  supply *self = context;
  if (block == NULL) old_size = 0; /* from Lua: what it is for */
  if (new_size > old_size && fails(self, block, new_size)) return NULL;
  char *old = block == NULL ? NULL : (char *)block - HEADER;
  if (old != NULL && *(size_t *)(void *)old != old_size) abort(); /* a wrong size */
  self->in_use += new_size - old_size;
  char *grown = new_size == 0 ? NULL : malloc(new_size + HEADER);
  if (grown != NULL) {
    *(size_t *)(void *)grown = new_size;
    memset(grown + HEADER, 0xA5, new_size);
    if (old != NULL) memcpy(grown + HEADER, block, old_size < new_size ? old_size : new_size);
  }
  if (old != NULL) memset(old, 0xDD, HEADER + old_size);
  free(old);
  return grown != NULL ? grown + HEADER : NULL;
}

static int panic(lua_State *L) {
  printf("panic: %s\n", lua_tostring(L, -1));
  return 0; /* Lua aborts */
}

/* The points. */

typedef struct series {
  const char *file; /* NULL: opening the module is the scenario */
  const char *name;
  supply *short_of; /* which memory */
  manner how;
} series;

static lua_State *new_state(void) {
  lua_State *L = lua_newstate(supply_resize, &luas);
  const tide_allocator allocator = {.resize = supply_resize, .context = &cores};
  if (L == NULL) exit(2);
  lua_atpanic(L, panic);
  luaL_openlibs(L);
  tide_lua_set_allocator(L, &allocator);
  return L;
}

/* Pushes what is called with memory short, and its arguments, whose number it returns. */
static int push_series(lua_State *L, const series *s) {
  if (s->file != NULL) return push_scenario(L, s->file, s->name);
  lua_pushcfunction(L, open_module);
  return 0;
}

/* Where all memory fails a peer may fall silent; one shortage must not keep anybody waiting. */
static void check_error(lua_State *L, const series *s, bool failed) {
  bool late = kept_waiting(L);
  if (!failed || (late && s->how != EVER)) point_failed("%s", luaL_tolstring(L, -1, NULL));
}

static void check_nothing_left(void) {
  if (luas.in_use != 0) point_failed("%zu bytes of Lua's are left", luas.in_use);
  if (cores.in_use != 0) point_failed("%zu bytes of the core's are left", cores.in_use);
  luas.in_use = cores.in_use = 0;
}

/* False: nothing failed, the scenario is done with. */
static bool run_point(const series *s, unsigned point) {
  point_begin(point);
  lua_State *L = new_state();
  int arguments = push_series(L, s);
  arm(s->short_of, point, s->how);
  int status = lua_pcall(L, arguments, 0, 0);
  bool failed = s->short_of->failed;
  arm(s->short_of, 0, ONCE);
  if (s->file != NULL && status != LUA_OK) check_error(L, s, failed);
  if (s->file != NULL || status == LUA_OK) check_next_task(L);
  lua_close(L);
  check_nothing_left();
  point_end();
  return failed;
}

static void run_series(const void *self, unsigned point, unsigned stride) {
  while (run_point(self, point)) point += stride;
}

static void sweep_scenario(const char *file, const char *name, unsigned stride) {
  char where[160];
  for (manner how = 0; how < MANNERS; how++) {
    for (int core = 0; core <= 1; core++) {
      if (core && how == RETRY) continue; /* the core tries once */
      series s = {.file = file, .name = name, .short_of = core ? &cores : &luas, .how = how};
      snprintf(where, sizeof where, "%s %s, %s memory fails %s", file != NULL ? stem(file) : "tide",
               name, core ? "the core's" : "Lua's", manner_names[how]);
      sweep(where, run_series, &s, core ? 1 : stride);
    }
  }
}

static void sweep_file(const char *file, unsigned stride, const char *only) {
  const scenario_list *list = scenarios_of(file);
  for (int i = 0; i < list->count; i++)
    if (only == NULL || strcmp(list->names[i], only) == 0)
      sweep_scenario(file, list->names[i], stride);
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  unsigned stride = (unsigned)atoi(argv[1]);
  const char *only = getenv("SCENARIO"); /* the one to sweep; NULL: all */
  sweep_open();
  if (only == NULL) sweep_scenario(NULL, "opens", stride);
  for (int i = 2; i < argc; i++) sweep_file(argv[i], stride, only);
  printf("memory: %u points, %u failed\n", now->points, now->failed);
  return now->failed == 0 ? 0 : 1;
}
