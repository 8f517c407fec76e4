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

-- server:close{grace=0} (waits): stops accepting; connections get `grace` seconds to end, then are
-- cancelled. Returns when all have ended. Connections that call this themselves are neither
-- cancelled nor awaited by each other. Cancelling the caller cuts the grace short. Outside a task
-- there is no grace and no wait.
function Server:close(opts)
  local grace = check.options(1, "close", "grace:seconds", opts, 2) or 0
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
  return string.format("Server(%s, %d connection%s, %s)", table.concat(self.bound, ":"), #self,
    #self == 1 and "" or "s", self.closing and "closed" or "open")
end

-- The Server over a listener: net.serve, whose arguments were checked by C. handler(stream) runs in a
-- task of its own for each connection, whose stream is closed when it returns or fails. Accepting
-- pauses at `max_connections`; on_error(err, stream) comes instead of the report that a background
-- task's failure gets. The server lasts until it is closed, or until the run ends.
tide.set_hook("serve", function(handler, listener, max_connections, on_error)
  local server = setmetatable({
    handler = handler,
    on_error = on_error,
    listener = listener,
    bound = { listener:address() },
    max_connections = max_connections,
    starting = {},
    checking = false,
    closing = false,
  }, Server)
  server.acceptor = spawn(run_server, server):set_name("server " .. table.concat(server.bound, ":"))
  server.acceptor:add_done_callback(function(acceptor) acceptor_ended(server, acceptor) end)
  return server
end)

return net
