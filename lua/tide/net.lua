-- tide.net: servers, over the listener and the tasks.
local tide = require "tide"
local check = require "tide.check"
local ends = require "tide.ends"

local net = tide.net
local current_task, is = tide.current_task, tide.is
local spawn_connection, spawn_owning = tide.spawn_connection, tide.spawn_owning
local move_on_after, scope = tide.move_on_after, tide.scope
local shield_call, timeout = tide.shield_call, tide.timeout
local raw_pcall, raise_traced = tide.raw.pcall, tide.raise_traced
local Semaphore, new_error = tide.Semaphore, tide.error
local begins, counts = tide.begins, tide.counts

-- A server is a task, the acceptor, and a task for each connection: background tasks, or children of the
-- group that the server was given. A connection's task owns its stream and its seat, the acceptor what
-- ends the server; so all of that is closed even where the task never begins.
--
-- Any call may fail where memory is short, that of a `__close` too. So nobody is ever to be woken by Lua
-- code that runs at the end of a task: who waits for connections to end, or for the server, waits for
-- their tasks, whose ends the core tells without memory. And what has begun is noted in fields that
-- there are already, before the next call: a stream until a task owns it, a task until it is in `tasks`.
local Server, meta, face = tide.new_class "Server"
net.Server = face

local HANDSHAKE = 10 -- seconds that one may take

local REASON = "the server was closed"

-- Looked up when it is called: only closing needs it, and bears that it fails.
local function wait(tasks) return tide.wait(tasks) end

-- Entries for tasks or scopes, whether they have ended or not: these sets know only who is there.
local function new_set()
  return setmetatable({}, { __mode = "k" })
end

-- ---- connections

-- Whether that is how it shows that the stream's peer has gone: not that of any other stream.
local function is_lost(err, stream)
  if is(err, "os") then
    return err.stream == stream and (err.code == "EPIPE" or err.code == "ECONNRESET")
  end
  local parts = is(err, "group") and err.errors
  if type(parts) ~= "table" then return false end
  for _, part in ipairs(parts) do
    if not is_lost(part, stream) then return false end
  end
  return #parts > 0
end

-- The handler of one whose connections are encrypted. A slow handshake delays nobody else; what fails
-- in one is not the handler's failure, but a client's.
local function behind_handshake(server, handler, span)
  local tls = require "tide.tls"
  local function agree(stream)
    local _, err = tls.context_of(server.tls.entry)
    if err and server.on_error then server.on_error(err, stream) end
    timeout(span, tls.serve, stream, server.tls)
  end
  return function(stream)
    local ok, err = raw_pcall(agree, stream)
    if ok then return handler(stream) end
    if is(err, "cancelled") then error(err, 0) end
    server.dropped = server.dropped + 1
    stream:close()
    local gone = is_lost(err, stream) or is(err, "tls") and err.reason == "truncated"
    if server.on_error and not gone then server.on_error(err, stream) end
  end
end

-- What a connection's handler has failed with.
tide.set_hook("connection_failed", function(server, stream, err, traceback)
  if server.cancelled and is(err, "cancelled") then return end -- also where that was withdrawn
  if is_lost(err, stream) then
    server.dropped = server.dropped + 1
  elseif server.on_error then
    server.on_error(err, stream, traceback)
  else
    raise_traced(err, traceback)
  end
end)

-- The tasks of the connections that have not ended, but for those that close the server if `spare`.
local function connections_of(server, spare)
  local list, newest = {}, server.newest
  for task in pairs(server.tasks) do
    if not task:done() and not (spare and server.closers[task]) then list[#list + 1] = task end
  end
  if newest and not newest:done() then list[#list + 1] = newest end
  return list
end

-- Needs no memory.
local function cancel_connections(server, spare)
  if not spare then server.cancelled = true end
  for task in pairs(server.tasks) do
    if not (spare and server.closers[task]) then task:cancel(REASON) end
  end
  if server.newest then server.newest:cancel(REASON) end
end

-- ---- the acceptor

-- What the acceptor owns: unless it is the server that is being closed, the acceptor was cancelled, as
-- with all of the run, or accepting failed. That closes the server and ends its connections.
local Ending = {}

function Ending:__close()
  local server = self.server
  server.listener:close()
  if server.accepted then server.accepted:close() end
  if server.closing then return end
  server.closing = true
  cancel_connections(server)
end

-- Of the stream in `accepted`. A group that was cancelled or closed takes no more children: then the
-- server is closed.
local function begin_connection(server, seat)
  local ok, task = raw_pcall(spawn_connection, server.group, server, server.accepted, seat)
  if ok then
    server.accepted, server.newest = false, task
    server.tasks[task] = true
    server.newest = false
  elseif server.group and is(task, "closed") then
    server.closing = true
  else
    error(task, 0)
  end
end

-- The acceptor's body.
local function accept_all(ending)
  local server = ending.server
  local listener, seats = server.listener, server.seats
  while not server.closing do
    local seat = seats and seats:acquire()
    local ok, stream = raw_pcall(listener.accept, listener)
    if ok then
      server.accepted = stream
    elseif not server.closing then
      error(stream, 0)
    end
    if not server.closing then begin_connection(server, seat) end
  end
end

local function stop_accepting(server)
  server.closing = true
  server.listener:close()
  server.acceptor:cancel(REASON)
end

-- What made accepting fail, or a false value.
local function failure_of(acceptor)
  return not acceptor:cancelled() and acceptor:error()
end

-- ---- closing

-- Until no connection is left but those that close the server. `await` is tide.wait, or, in a shield, ends.
local function wait_for_others(server, await)
  repeat
    local others = connections_of(server, true)
    local waited = scope(function(waiting)
      server.waiting[waiting] = true
      await(others)
    end)
  until waited -- else another one has begun to close it
end

local function wait_for_all(server, await)
  if not server.acceptor:done() then await { server.acceptor } end
  await(connections_of(server))
end

-- The connection that the caller is in: its task or, through groups, one that it is a descendant of. It
-- is noted that it closes the server: such connections neither cancel nor await one another.
local function note_closer(server)
  local task = current_task()
  while task and not server.tasks[task] do task = task:parent() end
  if task and not server.closers[task] then
    server.closers[task] = true
    for waiting in pairs(server.waiting) do waiting:cancel() end
  end
  return task
end

-- server:close{grace=0} (waits): stops accepting; connections get `grace` seconds to end, then are
-- cancelled. Returns when all have ended. Connections that call this themselves are neither
-- cancelled nor awaited by each other. Cancelling the caller cuts the grace short. Outside a task
-- there is no grace and no wait.
function Server:close(opts)
  counts()
  local grace = check.options(1, "close", "grace:seconds", opts, 2) or 0
  local closer = note_closer(self)
  local wait_until_left = closer and wait_for_others or wait_for_all
  local ok, err = true, nil
  stop_accepting(self)
  if not current_task() then return cancel_connections(self) end
  if grace > 0 then ok, err = raw_pcall(move_on_after, grace, wait_until_left, self, wait) end
  cancel_connections(self, closer)
  shield_call(wait_until_left, self, ends)
  if not ok then error(err, 0) end
end

function meta:__close()
  self:close()
end

-- server:wait_closed() (waits): until the server was closed and its last connection has ended.
-- Raises what made accepting fail.
function Server:wait_closed()
  begins()
  wait_for_all(self, wait)
  local failure = failure_of(self.acceptor)
  if failure then error(failure, 0) end
end

-- ---- looking at it

-- server:address() -> host, port, or "unix:/path"; also after it was closed
function Server:address()
  return table.unpack(self.bound)
end

-- server:set{tls=}: the options of TLS for connections to come
function Server:set(opts)
  local options = check.options(1, "set", "tls:any", opts, 2)
  if options == nil then return end
  if not self.tls then error(new_error("invalid_state", "the server has no TLS"), 2) end
  self.tls = require("tide.tls").prepare(options, "server", nil, 1, "set", 2)
end

-- #server: connections that have not ended
function meta:__len()
  return #connections_of(self)
end

-- server:statistics() -> {connections=, max_connections=, dropped=, accepting=, closed=}
function Server:statistics()
  return {
    connections = #self,
    max_connections = self.max_connections,
    dropped = self.dropped,
    accepting = not self.closing,
    closed = self.closing,
  }
end

function meta:__tostring()
  local count = #self
  return string.format("Server(%s, %d connection%s, %s)", table.concat(self.bound, ":"), count,
    count == 1 and "" or "s", self.closing and "closed" or "open")
end

-- The Server over a listener: net.serve, whose arguments were checked by C. handler(stream) runs in a
-- task of its own for each connection, whose stream is closed when it returns or fails. Accepting
-- pauses at `max_connections`. on_error(err, stream, traceback) comes instead of what becomes of the
-- failure of a background task, or of the group's child. The server lasts until it is closed, or until
-- the run ends, or the group is cancelled.
tide.set_hook("serve", function(handler, listener, max_connections, on_error, group, prepared, span)
  local server = setmetatable({
    handler = handler,
    on_error = on_error,
    listener = listener,
    group = group,
    bound = { listener:address() },
    max_connections = max_connections,
    seats = max_connections and Semaphore(max_connections),
    tasks = new_set(), -- of connections
    closers = new_set(), -- of those tasks: they close the server themselves
    waiting = new_set(), -- scopes in which closers wait for the others
    accepted = false, -- a stream that no task owns yet
    newest = false, -- a connection's task that is not in `tasks` yet
    dropped = 0, -- connections whose client has gone
    closing = false, -- no more are accepted
    cancelled = false, -- none are to begin
    tls = false, -- what lua/tide/tls.lua makes of its options
  }, meta)
  if prepared then
    server.tls = prepared
    server.handler = behind_handshake(server, handler, span or HANDSHAKE)
  end
  server.acceptor = spawn_owning(1, group, accept_all, setmetatable({ server = server }, Ending))
  server.acceptor:set_name("server " .. table.concat(server.bound, ":"))
  return server
end)

return net
