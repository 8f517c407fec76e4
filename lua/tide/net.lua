-- tide.net: servers, over the listener and the tasks.
local tide = require "tide"
local check = require "tide.check"

local net = tide.net
local Event, Semaphore, current_task, spawn = tide.Event, tide.Semaphore, tide.current_task, tide.spawn
local call_soon, enclosing_tasks, move_on_after = tide.call_soon, tide.enclosing_tasks, tide.move_on_after
local raw_pcall, shield = tide.raw.pcall, tide.shield

-- A connection costs its task, its stream and an entry in a table: no closure, no callback. Its task
-- is a background task of the run. What is done when a task leaves its connection hangs on a value of
-- the server's that every connection's task closes.
--
-- A task that ends before it begins (cancelled or killed while it is ready, or without memory for
-- its coroutine) closes nothing. Until it begins it is in `starting`, with its stream, and as long
-- as anything is, the server looks there once a turn. From its beginning on it is in `tasks`.
local Server = { __name = "Server" }
Server.__index = Server
tide.add_class(Server)

local Leave = {}

local SERVING, CLOSING = 1, 2 -- values in `tasks`: CLOSING where it has called server:close itself

local function forget(server)
  server.count = server.count - 1
  if server.seats then server.seats:release() end
  if server.closing then server.changed:set() end
end

function Leave:__close()
  local server, me = self.server, current_task()
  if server.tasks[me] == CLOSING then server.closers = server.closers - 1 end
  server.tasks[me] = nil
  forget(server)
end

local function handle(server, stream)
  local on_error = server.on_error
  if not on_error then return server.handler(stream) end
  local ok, err = pcall(server.handler, stream)
  if not ok then on_error(err, stream) end
end

local function serve_connection(server, stream)
  if not server.starting[current_task()] then return stream:close() end -- given up already
  local _ <close> = server.leave
  local _ <close> = stream
  server.starting[current_task()] = nil
  server.tasks[current_task()] = SERVING
  handle(server, stream)
end

local function give_up(server, task)
  server.starting[task]:close()
  server.starting[task] = nil
  forget(server)
end

-- Gives up the connections whose tasks have ended without having begun. The callback runs behind the
-- tasks that were spawned before it, so that one check is nearly always enough.
local function check_starting(server)
  for task in pairs(server.starting) do
    if task:done() then give_up(server, task) end
  end
  server.checking = next(server.starting) ~= nil
  if server.checking then call_soon(check_starting, server) end
end

-- Where there is no memory for a task, the connection is closed, and not kept waiting for the
-- collector.
local function begin_connection(server, stream)
  local ok, task = raw_pcall(spawn, serve_connection, server, stream)
  if not ok then
    stream:close()
    if server.seats then server.seats:release() end
    error(task, 0)
  end
  server.count = server.count + 1
  server.starting[task] = stream
end

local function accept_all(server)
  local listener, seats = server.listener, server.seats
  while true do
    if seats then seats:acquire() end
    local stream = listener:accept()
    if server.closing then return stream:close() end
    begin_connection(server, stream)
    if not server.checking then check_starting(server) end
  end
end

local function stop_accepting(server)
  server.closing = true
  server.listener:close()
  server.acceptor:cancel("the server was closed")
end

-- Cancels all connections or, for one that closes the server, those that do not close it too.
local function cancel_connections(server, for_closer)
  for task, state in pairs(server.tasks) do
    if not (for_closer and state == CLOSING) then task:cancel("the server was closed") end
  end
  for task in pairs(server.starting) do
    task:cancel("the server was closed")
    give_up(server, task)
  end
end

-- The acceptor's done callback. Unless the server was closed, it was cancelled, as with all of the
-- run, or accepting failed: that closes the server.
local function acceptor_ended(server, acceptor)
  server.accepting = false
  server.changed:set()
  if server.closing then return end
  stop_accepting(server)
  cancel_connections(server)
  if acceptor:cancelled() then return end
  server.failure = acceptor:error()
  spawn(error, server.failure, 0) -- is reported
end

-- Whether all have ended whose end a closer waits for.
local function have_left(server, for_closer)
  return not server.accepting and server.count <= (for_closer and server.closers or 0)
end

local function wait_until_left(server, for_closer)
  while not have_left(server, for_closer) do
    server.changed:clear()
    server.changed:wait()
  end
end

-- If the caller is a connection's task or, through groups, a child of one, notes that this closes
-- the server: connections that do so neither cancel one another nor wait for one another. Whether it
-- is one.
local function note_closer(server)
  local is_connection = false
  for _, task in ipairs(enclosing_tasks()) do
    local state = server.tasks[task]
    is_connection = is_connection or state ~= nil
    if state == SERVING then
      server.tasks[task] = CLOSING
      server.closers = server.closers + 1
      server.changed:set() -- those before it need not wait for it any more
    end
  end
  return is_connection
end

local function grace_of(opts)
  if opts == nil then return 0 end
  check.type(1, "close", "table", opts, 3)
  local grace = opts.grace
  if grace ~= nil and (type(grace) ~= "number" or grace ~= grace) then
    check.fail(1, "close", "field 'grace' must be a number", 3)
  end
  return grace or 0
end

-- server:close{grace=0} (waits): stops accepting; connections get `grace` seconds to end, then are
-- cancelled. Returns when all have ended. Connections that call this themselves are neither
-- cancelled nor awaited by each other. Cancelling the caller cuts the grace short. Outside a task
-- there is no grace and no wait.
function Server:close(opts)
  local grace = grace_of(opts)
  local for_closer = note_closer(self)
  local ok, err = true, nil
  if not self.closing then stop_accepting(self) end
  if not current_task() then return cancel_connections(self) end
  if grace > 0 then ok, err = raw_pcall(move_on_after, grace, wait_until_left, self, for_closer) end
  cancel_connections(self, for_closer)
  if not have_left(self, for_closer) then shield(wait_until_left, self, for_closer) end
  if not ok then error(err, 0) end
end

function Server:__close()
  self:close()
end

-- server:wait_closed() (waits): until the server was closed and its last connection has ended.
-- Raises what made accepting fail.
function Server:wait_closed()
  wait_until_left(self)
  if self.failure then error(self.failure, 0) end
end

-- server:address() -> host, port, or "unix:/path"; also after it was closed
function Server:address()
  return table.unpack(self.bound)
end

-- #server: connections that have not ended
function Server:__len()
  return self.count
end

-- server:statistics() -> {connections=, max_connections=, accepting=, closed=}
function Server:statistics()
  return {
    connections = self.count,
    max_connections = self.max_connections,
    accepting = self.accepting,
    closed = self.closing,
  }
end

function Server:__tostring()
  return ("Server(%s, %d connection%s, %s)"):format(table.concat(self.bound, ":"), self.count,
    self.count == 1 and "" or "s", self.closing and "closed" or "open")
end

local function check_options(position, opts)
  check.type(position, "serve", "table", opts, 4)
  local max = opts.max_connections
  if max ~= nil and (math.type(max) ~= "integer" or max < 1) then
    check.fail(position, "serve", "field 'max_connections' must be a positive integer", 4)
  end
  if opts.on_error ~= nil and not check.is_callable(opts.on_error) then
    check.fail(position, "serve", "field 'on_error' must be a function", 4)
  end
end

-- What net.listen does not check. The options, which come third where there is no port.
local function check_arguments(handler, host, port, opts)
  check.callable(1, "serve", handler, 3)
  check.type(2, "serve", "string", host, 3)
  local is_unix = host:find "^unix:"
  if not is_unix and not math.tointeger(port) then check.unexpected(3, "serve", "integer", port, 3) end
  local position = 4
  if is_unix and type(port) == "table" then position, opts = 3, port end
  if opts ~= nil then check_options(position, opts) end
  return opts or {}
end

local function listen(...)
  local listener = net.listen(...) -- no tail call: errors name it
  return listener
end

-- net.listen, for serve: what it says of its arguments is said of serve's, which come one later.
local function listen_for_serve(...)
  local ok, result = raw_pcall(listen, ...)
  if ok then return result end
  local position, what
  if type(result) == "string" then position, what = result:match "bad argument #(%d+) to 'listen' %((.*)%)$" end
  if not position then error(result, 0) end
  check.fail(math.tointeger(position) + 1, "serve", what, 3)
end

-- net.serve(handler, host, port[, opts]), net.serve(handler, "unix:/path"[, opts]) -> Server, which
-- listens already. handler(stream) runs in a task of its own for each connection, whose stream is
-- closed when it returns or fails. opts are those of net.listen, and max_connections (accepting
-- pauses at so many), on_error(err, stream) (instead of the report that a background task's failure
-- gets). The server lasts until it is closed, or until the run ends.
function net.serve(handler, host, port, opts)
  local options = check_arguments(handler, host, port, opts)
  local listener = listen_for_serve(host, port, opts)
  local server = setmetatable({
    handler = handler,
    on_error = options.on_error,
    listener = listener,
    bound = { listener:address() },
    max_connections = options.max_connections,
    seats = options.max_connections and Semaphore(options.max_connections),
    starting = {},
    checking = false,
    tasks = {},
    count = 0,
    closers = 0,
    changed = Event(),
    accepting = true,
    closing = false,
  }, Server)
  server.leave = setmetatable({ server = server }, Leave)
  server.acceptor = spawn(accept_all, server):set_name("server " .. table.concat(server.bound, ":"))
  server.acceptor:add_done_callback(function(acceptor) acceptor_ended(server, acceptor) end)
  return server
end

return net
