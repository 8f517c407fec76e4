-- tide.net: servers, over the listener and the tasks.
local tide = require "tide"
local check = require "tide.check"

local net = tide.net
local current_task, enclosing_tasks, spawn = tide.current_task, tide.enclosing_tasks, tide.spawn
local call_soon, move_on_after, wait = tide.call_soon, tide.move_on_after, tide.wait
local run_group, wait_few, move = tide.group_parts.run, tide.group_parts.wait_few, tide.group_parts.move
local raw_pcall, shield = tide.raw.pcall, tide.shield

-- A server is a task, the acceptor, and its two groups: the children of one are the connections, those
-- of the other the connections that close the server themselves. A connection costs its task and its
-- stream: no closure, no callback.
--
-- Any call may fail where memory is short, that of a `__close` or a callback too. So nobody is ever to
-- be woken by Lua code that runs at the end of a task: who waits for connections to end, or for the
-- server, waits for the groups or the acceptor, whose ends the core tells without memory.
--
-- A task that ends before it begins (cancelled or killed while it is ready, or without memory for
-- its coroutine) closes nothing. Until it begins it is in `starting`, with its stream, and as long
-- as anything is, the server looks there once a turn.
local Server = { __name = "Server" }
Server.__index = Server
net.Server = tide.add_class(Server)

local REASON = "the server was closed"

local function handle(server, stream)
  local on_error = server.on_error
  if not on_error then return server.handler(stream) end
  local ok, err = pcall(server.handler, stream)
  if not ok then on_error(err, stream) end
end

local function serve_connection(server, stream)
  local _ <close> = stream
  local me = current_task()
  if not server.starting[me] then return end -- given up already
  server.starting[me] = nil
  handle(server, stream)
end

local function give_up(server, task, stream)
  stream:close()
  server.starting[task] = nil
end

-- Gives up the connections whose tasks have ended without having begun. The callback runs behind the
-- tasks that were spawned before it, so that one check is nearly always enough.
local function check_starting(server)
  for task, stream in pairs(server.starting) do
    if task:done() then give_up(server, task, stream) end
  end
  server.checking = false
  if next(server.starting) == nil then return end
  call_soon(check_starting, server)
  server.checking = true
end

local function begin_connection(server, stream)
  server.starting[server.connections:spawn(serve_connection, server, stream)] = stream
  if not server.checking then check_starting(server) end
end

-- Where there is no memory for a task, the connection is closed, and not kept waiting for the
-- collector. The pcall itself needs none: it comes right behind another call.
local function accept_all(server)
  local listener, max = server.listener, server.max_connections
  while true do
    if max then wait_few(server.connections, max - 1) end
    local stream = listener:accept()
    local ok, err = raw_pcall(begin_connection, server, stream)
    if not ok then
      stream:close()
      error(err, 0)
    end
  end
end

-- Unless the server is being closed, it was cancelled, as with all of the run, or accepting failed: that
-- closes the server and ends its connections.
local function accept_until_closed(server)
  local _ <close> = server.listener
  local _, err = raw_pcall(accept_all, server)
  if server.closing then return end
  server.closing = true
  error(err, 0)
end

-- The acceptor's body.
local function run_server(server)
  run_group(function(closers)
    run_group(function(connections)
      server.closers, server.connections = closers, connections
      accept_until_closed(server)
    end, { name = "connections" })
  end, { name = "closing the server" })
end

local function stop_accepting(server)
  server.closing = true
  server.listener:close()
end

local function give_up_starting(server)
  for task, stream in pairs(server.starting) do give_up(server, task, stream) end
end

-- What made accepting fail, or a false value.
local function failure_of(acceptor)
  return not acceptor:cancelled() and acceptor:error()
end

-- The acceptor's done callback: it, or connections, may have ended before they began, and its failure
-- is to be reported.
local function acceptor_ended(server, acceptor)
  stop_accepting(server)
  give_up_starting(server)
  local failure = failure_of(acceptor)
  if failure then spawn(error, failure, 0) end
end

-- Cancels all connections or, for one that closes the server, those that do not close it too.
local function cancel_connections(server, for_closer)
  give_up_starting(server)
  if not server.connections then return end -- the acceptor has not begun
  server.connections:cancel(REASON)
  if not for_closer then server.closers:cancel(REASON) end
end

-- Until all have ended whose end a closer waits for.
local function wait_until_left(server, for_closer)
  if for_closer then
    wait_few(server.connections, 0)
  elseif not server.acceptor:done() then
    wait { server.acceptor }
  end
end

-- If the caller is a connection's task or, through groups, a child of one, notes that this closes
-- the server: connections that do so neither cancel one another nor wait for one another. Whether it
-- is one.
local function note_closer(server)
  local is_connection = false
  if not server.connections then return false end
  for _, task in ipairs(enclosing_tasks()) do
    if move(task, server.connections, server.closers) then is_connection = true end
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
  stop_accepting(self)
  if not current_task() then return cancel_connections(self) end
  if grace > 0 then ok, err = raw_pcall(move_on_after, grace, wait_until_left, self, for_closer) end
  cancel_connections(self, for_closer)
  shield(wait_until_left, self, for_closer)
  if not ok then error(err, 0) end
end

function Server:__close()
  self:close()
end

-- server:wait_closed() (waits): until the server was closed and its last connection has ended.
-- Raises what made accepting fail.
function Server:wait_closed()
  wait_until_left(self)
  local failure = failure_of(self.acceptor)
  if failure then error(failure, 0) end
end

-- server:address() -> host, port, or "unix:/path"; also after it was closed
function Server:address()
  return table.unpack(self.bound)
end

-- #server: connections that have not ended
function Server:__len()
  return self.connections and #self.connections + #self.closers or 0
end

-- server:statistics() -> {connections=, max_connections=, accepting=, closed=}
function Server:statistics()
  return {
    connections = #self,
    max_connections = self.max_connections,
    accepting = not self.closing,
    closed = self.closing,
  }
end

function Server:__tostring()
  return ("Server(%s, %d connection%s, %s)"):format(table.concat(self.bound, ":"), #self,
    #self == 1 and "" or "s", self.closing and "closed" or "open")
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
    starting = {},
    checking = false,
    closing = false,
  }, Server)
  server.acceptor = spawn(run_server, server):set_name("server " .. table.concat(server.bound, ":"))
  server.acceptor:add_done_callback(function(acceptor) acceptor_ended(server, acceptor) end)
  return server
end

return net
