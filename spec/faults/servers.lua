-- spec.faults.servers: servers and their clients in one program, in a run of tide.testing. Nobody may
-- be kept waiting: whatever fails, all the others get an answer, an error or the end of the stream.
local tide = require "tide"
local net, testing = tide.net, require "tide.testing"

local scenarios = {}

-- The body in a run of its own; after those seconds somebody was kept waiting.
local function define(name, body)
  scenarios[name] = function()
    testing.run(function() tide.timeout(5, body) end)
  end
end

local function echo(stream)
  for chunk in stream:chunks() do stream:write(chunk) end
end

local function call(...)
  local stream <close> = net.connect(...)
  stream:write "hello\n"
  assert(stream:read_line() == "hello")
  stream:close_write()
  assert(stream:read_all() == "")
end

-- One server, one client.
define("served", function()
  local server <close> = net.serve(echo, "127.0.0.1", 0)
  call(server:address())
end)

define("served_unix", function()
  local server <close> = net.serve(echo, ("unix:@tide-servers-%p"):format(scenarios))
  call(server:address())
end)

-- The end of the run ends the server.
define("left_open", function()
  local server = net.serve(echo, "127.0.0.1", 0)
  call(server:address())
end)

-- A client that meets a failure tries again: the server has a seat for it, or is closed.
define("seats", function()
  local server <close> = net.serve(echo, "127.0.0.1", 0, { max_connections = 1 })
  for _ = 1, 4 do
    local ok, err = pcall(call, server:address())
    if not ok and tide.is(err, "timeout") then error(err, 0) end
  end
end)

-- Clients in a group, all at once.
define("crowd", function()
  local server <close> = net.serve(echo, "127.0.0.1", 0, { max_connections = 2 })
  tide.TaskGroup(function(g)
    for _ = 1, 4 do g:spawn(call, server:address()) end
  end)
end)

-- Who waits for the server's end learns of it.
define("waited_for", function()
  local server <close> = net.serve(echo, "127.0.0.1", 0)
  local waiting = tide.spawn(server.wait_closed, server)
  call(server:address())
  server:close()
  waiting:await()
end)

-- Clients that only listen hear of the server's end, also where it is accepting that fails.
define("listened_to", function()
  local server <close> = net.serve(function() tide.sleep(math.huge) end, "127.0.0.1", 0)
  local connected = 0
  tide.TaskGroup(function(g)
    for _ = 1, 3 do
      g:spawn(function()
        local stream <close> = net.connect(server:address())
        connected = connected + 1
        pcall(stream.read, stream)
      end)
    end
    while connected < 3 do tide.sleep(0.001) end
    server:close()
  end)
end)

-- A handler closes the server, with another connection open; where that fails, it tries again.
define("closed_by_handler", function()
  local server
  server = net.serve(function(stream)
    if stream:read_line() == "stop" then server:close { grace = 0.001 } end
  end, "127.0.0.1", 0, { on_error = function() server:close() end })
  local idle <close> = net.connect(server:address())
  local stream <close> = net.connect(server:address())
  stream:write "stop\n"
  assert(stream:read() == nil)
  server:wait_closed()
  assert(idle:read() == nil)
end)

-- Accepting by hand: a task per connection in a group.
local function serve_by_hand(listener, handler)
  tide.TaskGroup(function(g)
    for stream in listener:iter() do
      g:spawn(function()
        local _ <close> = stream
        handler(stream)
      end)
    end
  end)
end

define("by_hand", function()
  local listener <close> = net.listen("127.0.0.1", 0)
  tide.TaskGroup(function(g)
    g:spawn(serve_by_hand, listener, echo)
    call(listener:address())
    call(listener:address())
    listener:close()
  end)
end)

define("by_hand_unix", function()
  local listener <close> = net.listen(("unix:@tide-by-hand-%p"):format(scenarios))
  tide.TaskGroup(function(g)
    g:spawn(serve_by_hand, listener, echo)
    call(listener:address())
    listener:close()
  end)
end)

-- The same in the block form, where the server is cancelled in the end.
define("by_hand_cancelled", function()
  local listener <close> = net.listen("127.0.0.1", 0)
  local g <close> = tide.TaskGroup()
  g:spawn(serve_by_hand, listener, echo)
  call(listener:address())
  g:cancel()
end)

-- A reader and a writer per connection, with a queue in between.
local function in_two_tasks(stream)
  local lines = tide.Queue(2)
  tide.TaskGroup(function(g)
    g:spawn(function()
      for line in lines:iter() do stream:write(line, "\n") end
    end)
    for line in stream:lines() do lines:put(line) end
    lines:close()
  end)
end

define("two_tasks", function()
  local server <close> = net.serve(in_two_tasks, "127.0.0.1", 0)
  call(server:address())
end)

-- Handlers that fail, and are told of to a function.
define("on_error", function()
  local server <close> = net.serve(function(stream)
    stream:read(1)
    error "as planned"
  end, "127.0.0.1", 0, { on_error = function(_, stream) stream:write "sorry" end })
  local stream <close> = net.connect(server:address())
  stream:write "x"
  local said = stream:read_all()
  assert(said == "sorry" or said == "")
end)

-- The server is slow, and the client has a timeout of its own.
define("slow", function()
  local server <close> = net.serve(function(stream)
    tide.sleep(0.002)
    stream:write "late\n"
  end, "127.0.0.1", 0)
  local stream <close> = net.connect(server:address())
  tide.move_on_after(0.001, stream.read_line, stream)
  stream:read_line()
end)

-- What one connection says, all others hear.
define("chat", function()
  local members = {}
  local server <close> = net.serve(function(stream)
    members[stream] = true
    for line in stream:lines() do
      for member in pairs(members) do member:write(line, "\n") end
    end
    members[stream] = nil
  end, "127.0.0.1", 0)
  local one <close> = net.connect(server:address())
  local other <close> = net.connect(server:address())
  one:write "a\n"
  assert(one:read_line() == "a")
  other:write "b\n"
  local line = other:read_line()
  assert(line == "a" or line == "b")
end)

-- Much, against a slow reader: what is unsent goes out in the background.
define("much", function()
  local block = ("x"):rep(1 << 18)
  local server <close> = net.serve(function(stream)
    for _ = 1, 4 do stream:write(block) end
  end, ("unix:@tide-much-%p"):format(scenarios))
  local stream <close> = net.connect(server:address())
  tide.sleep(0.001)
  stream:read_all()
end)

return scenarios
