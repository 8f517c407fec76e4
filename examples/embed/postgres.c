/* libpq for scripts: what its non-blocking functions would have to wait for, the script part below
 * waits for by tide.fd, so that a query suspends the task that makes it, and no other. A query that
 * is cancelled, or whose time is up, is cancelled in the server too, and the connection stays good.
 *
 * postgres CONNINFO, such as "host=/run/postgresql dbname=postgres" */
#include <lauxlib.h>
#include <libpq-fe.h>
#include <lualib.h>
#include <stdio.h>
#include <tide_lua.h>

enum { PARAMETERS_MAX = 16 };

/* ---- a connection: an object with libpq's functions, none of which waits, but for `cancel` */

static PGconn *check_connection(lua_State *L) {
  PGconn **self = luaL_checkudata(L, 1, "PGconn");
  if (*self == NULL) luaL_error(L, "the connection is closed");
  return *self;
}

static int fail(lua_State *L, const char *message) {
  return tide_lua_raise(L, TIDE_EFAILED, message);
}

static int l_close(lua_State *L) {
  PGconn **self = luaL_checkudata(L, 1, "PGconn");
  PQfinish(*self);
  *self = NULL;
  return 0;
}

/* start(conninfo) -> connection, which is to be polled */
static int l_start(lua_State *L) {
  const char *conninfo = luaL_checkstring(L, 1);
  PGconn **self = lua_newuserdatauv(L, sizeof *self, 0);
  *self = NULL;
  luaL_setmetatable(L, "PGconn");
  *self = PQconnectStart(conninfo);
  if (*self == NULL) return fail(L, "not enough memory");
  return 1;
}

/* connection:poll() -> what is to be waited for, "r" or "w", or nil: it is open */
static int l_poll(lua_State *L) {
  PGconn *self = check_connection(L);
  switch (PQstatus(self) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PQconnectPoll(self)) {
  case PGRES_POLLING_READING:
    lua_pushliteral(L, "r");
    return 1;
  case PGRES_POLLING_WRITING:
    lua_pushliteral(L, "w");
    return 1;
  case PGRES_POLLING_OK:
    PQsetnonblocking(self, 1);
    return 0;
  default:
    return fail(L, PQerrorMessage(self));
  }
}

static int l_socket(lua_State *L) {
  lua_pushinteger(L, PQsocket(check_connection(L)));
  return 1;
}

/* connection:send(sql, parameters...) begins a query */
static int l_send(lua_State *L) {
  PGconn *self = check_connection(L);
  const char *sql = luaL_checkstring(L, 2), *parameters[PARAMETERS_MAX];
  int count = lua_gettop(L) - 2;
  luaL_argcheck(L, count <= PARAMETERS_MAX, 3, "too many parameters");
  for (int i = 0; i < count; i++)
    parameters[i] = lua_isnil(L, i + 3) ? NULL : luaL_tolstring(L, i + 3, NULL);
  if (!PQsendQueryParams(self, sql, count, NULL, parameters, NULL, NULL, 0))
    return fail(L, PQerrorMessage(self));
  return 0;
}

/* connection:advance() -> what is to be waited for until there is a result, or nil */
static int l_advance(lua_State *L) {
  PGconn *self = check_connection(L);
  if (!PQconsumeInput(self)) return fail(L, PQerrorMessage(self));
  int unsent = PQflush(self);
  if (unsent < 0) return fail(L, PQerrorMessage(self));
  if (unsent == 0 && !PQisBusy(self)) return 0;
  lua_pushstring(L, unsent > 0 ? "rw" : "r");
  return 1;
}

/* In protected mode: a list of rows, each {column = text}; NULL is absent. */
static int push_rows(lua_State *L) {
  const PGresult *result = lua_touserdata(L, 1);
  lua_newtable(L);
  for (int row = 0; row < PQntuples(result); row++) {
    lua_newtable(L);
    for (int column = 0; column < PQnfields(result); column++) {
      if (PQgetisnull(result, row, column)) continue;
      lua_pushlstring(L, PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
      lua_setfield(L, -2, PQfname(result, column));
    }
    lua_rawseti(L, -2, row + 1);
  }
  return 1;
}

/* connection:result() -> rows or nil, the error's message; nothing: there was no more */
static int l_result(lua_State *L) {
  PGresult *result = PQgetResult(check_connection(L));
  if (result == NULL) return 0;
  ExecStatusType how = PQresultStatus(result);
  lua_settop(L, 0);
  lua_pushcfunction(L, push_rows);
  lua_pushlightuserdata(L, result);
  int status = lua_pcall(L, 1, 1, 0);
  if (status == LUA_OK && how != PGRES_TUPLES_OK && how != PGRES_COMMAND_OK) {
    lua_pushnil(L);
    lua_pushstring(L, PQresultErrorMessage(result)); /* the library's copy goes with the result */
  }
  PQclear(result);
  if (status != LUA_OK) return lua_error(L);
  return lua_gettop(L) > 1 ? 2 : 1;
}

/* connection:cancel() asks the server to end the query; takes a connection to it, and waits here */
static int l_cancel(lua_State *L) {
  char message[256];
  PGcancel *cancel = PQgetCancel(check_connection(L));
  if (cancel != NULL) PQcancel(cancel, message, sizeof message);
  PQfreeCancel(cancel);
  return 0;
}

/* ---- the part in Lua: connect, db:query, db:transaction */

static const char library[] =
    "local tide, start = require 'tide', ...\n"
    "local function wait(pg, mode)\n"
    "  local fd <close> = tide.fd.open(pg:socket())\n"
    "  fd:wait(mode)\n"
    "end\n"
    "local function await(pg, step)\n"
    "  for mode in step, pg do wait(pg, mode) end\n"
    "end\n"
    "local function results(pg)\n"
    "  local rows, message, failed\n"
    "  repeat\n"
    "    await(pg, pg.advance)\n"
    "    local more, err = pg:result()\n"
    "    rows, failed = more or rows, failed or err\n"
    "  until more == nil and err == nil\n"
    "  if failed then error(tide.error('postgres', failed), 0) end\n"
    "  return rows\n"
    "end\n"
    "local DB, Transaction = {}, {}\n"
    "DB.__index, Transaction.__index = DB, Transaction\n"
    "function connect(conninfo)\n"
    "  local pg = start(conninfo)\n"
    "  await(pg, pg.poll)\n"
    "  return setmetatable({ pg = pg, lock = tide.RLock() }, DB)\n"
    "end\n"
    "function DB:close() self.pg:close() end\n"
    "DB.__close = DB.close\n"
    "function DB:query(sql, ...)\n"
    "  local _ <close> = self.lock:acquire() -- one at a time\n"
    "  self.pg:send(sql, ...)\n"
    "  local ok, rows = tide.raw.pcall(results, self.pg)\n"
    "  if ok then return rows end\n"
    "  if tide.is(rows, 'cancelled') or tide.is(rows, 'timeout') then\n"
    "    self.pg:cancel()\n"
    "    pcall(tide.shield, results, self.pg) -- what it was told, and that it was cancelled\n"
    "  end\n"
    "  error(rows, 0)\n"
    "end\n"
    "function DB:transaction()\n"
    "  self.lock:acquire() -- until it ends\n"
    "  local ok, err = tide.raw.pcall(self.query, self, 'BEGIN')\n"
    "  if ok then return setmetatable({ db = self }, Transaction) end\n"
    "  self.lock:release()\n"
    "  error(err, 0)\n"
    "end\n"
    "function Transaction:commit() self:finish 'COMMIT' end\n"
    "function Transaction:finish(how)\n"
    "  if self.ended then return end\n"
    "  self.ended = true\n"
    "  local _ <close> = tide.defer(self.db.lock.release, self.db.lock)\n"
    "  tide.shield(self.db.query, self.db, how)\n"
    "end\n"
    "function Transaction:__close() self:finish 'ROLLBACK' end\n";

static const char script[] =
    "local tide, conninfo = require 'tide', ...\n"
    "tide.run(function()\n"
    "  local db <close> = connect(conninfo)\n"
    "  print('sum', db:query('SELECT $1::int + $2::int AS sum', 40, 2)[1].sum)\n"
    "  local ticks = 0\n"
    "  local ticker = tide.spawn(function() while true do tide.sleep(0.01) ticks = ticks + 1 end "
    "end)\n"
    "  db:query 'SELECT pg_sleep(0.3)'\n"
    "  print('others went on', ticks > 3)\n"
    "  ticker:cancel()\n"
    "  local ok, err = pcall(tide.timeout, 0.1, db.query, db, 'SELECT pg_sleep(60)')\n"
    "  print('too slow', err.kind)\n"
    "  db:query 'CREATE TEMPORARY TABLE t (n int)'\n"
    "  ok, err = pcall(function()\n"
    "    local _ <close> = db:transaction()\n"
    "    db:query 'INSERT INTO t VALUES (1)'\n"
    "    db:query 'SELECT no_such_column'\n"
    "  end)\n"
    "  print('failed', err.kind, (err.message:match '^[^\\n]*'))\n"
    "  do\n"
    "    local transaction <close> = db:transaction()\n"
    "    db:query('INSERT INTO t SELECT generate_series(1, $1::int)', 100000)\n"
    "    transaction:commit()\n"
    "  end\n"
    "  local rows = db:query 'SELECT n FROM t'\n"
    "  print('rows', #rows, rows[1].n)\n"
    "end)\n";

static void open_library(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"__gc", l_close},    {"close", l_close},   {"poll", l_poll},
      {"socket", l_socket}, {"send", l_send},     {"advance", l_advance},
      {"result", l_result}, {"cancel", l_cancel}, {NULL, NULL}};
  luaL_newmetatable(L, "PGconn");
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  if (luaL_loadstring(L, library) != LUA_OK) lua_error(L);
  lua_pushcfunction(L, l_start);
  lua_call(L, 1, 0);
}

/* In protected mode. */
static int run(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "tide", luaopen_tide, 0);
  open_library(L);
  if (luaL_loadstring(L, script) != LUA_OK) return lua_error(L);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  return 0;
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (L == NULL || argc != 2) {
    fprintf(stderr, "usage: postgres CONNINFO\n");
    return 2;
  }
  lua_pushcfunction(L, run);
  lua_pushstring(L, argv[1]);
  int status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status;
}
