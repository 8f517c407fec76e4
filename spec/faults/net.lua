-- spec.faults.net: connections over TCP and unix sockets, streams in all manners, servers.
local tide = require "tide"
local size = require "spec.size"
local net = tide.net

local scenarios = {}

-- Two streams that are connected, and a third value that closes both.
local function pair()
  local one, other = net.pair()
  return one, other, setmetatable({}, { __close = function()
    one:close()
    other:close()
  end })
end

local function echo(stream)
  for chunk in stream:chunks() do stream:write(chunk) end
end

local function call(stream)
  local _ <close> = stream
  stream:write("hello ", "there\n")
  assert(stream:read_line() == "hello there")
  stream:write "done"
  stream:close_write()
  assert(stream:read_all() == "done")
end

local function serve_and_call(host, port, opts)
  local server <close> = net.serve(echo, host, port, opts)
  tide.TaskGroup(function(g)
    for _ = 1, 3 do
      g:spawn(function() call(net.connect(server:address())) end)
    end
  end)
end

function scenarios.serve_tcp() serve_and_call("127.0.0.1", 0, { max_connections = 2 }) end

function scenarios.serve_unix()
  serve_and_call(("unix:@tide-faults-%p"):format(scenarios))
end

function scenarios.serve_path()
  local path = os.tmpname()
  os.remove(path)
  local _ <close> = setmetatable({}, { __close = function() os.remove(path) end })
  serve_and_call("unix:" .. path)
end

function scenarios.failing_handler()
  local failed = 0
  local server <close> = net.serve(function(stream)
    stream:read(1)
    error "as planned"
  end, "127.0.0.1", 0, { on_error = function() failed = failed + 1 end })
  local stream <close> = net.connect(server:address())
  stream:write "x"
  local ok, data
  for _ = 1, 1000 do
    collectgarbage() -- closes what there was no memory to call a __close for
    ok, data = pcall(tide.timeout, 0.01, stream.read, stream)
    if ok or not tide.is(data, "timeout") then break end
  end
  assert((not ok or data == nil) and failed == 1)
end

function scenarios.listener()
  local listener <close> = net.listen("127.0.0.1", 0)
  local accepted = tide.spawn(function() return (listener:iter()(listener)) end)
  local one <close> = net.connect(listener:address())
  local other <close> = accepted:await()
  assert(select(2, one:peer()) == select(2, listener:address()) and other:address())
end

function scenarios.refused()
  local listener = net.listen("127.0.0.1", 0)
  local host, port = listener:address()
  listener:close()
  local ok, err = pcall(net.connect, host, port)
  assert(not ok and tide.is(err, "os") and err.code == "ECONNREFUSED")
end

function scenarios.back_pressure()
  local one, other, _ <close> = pair()
  local block = ("0123456789abcdef"):rep(size(4096))
  tide.TaskGroup(function(g)
    g:spawn(function()
      for _ = 1, 8 do one:write(block) end
      one:flush()
      one:close_write()
    end)
    tide.sleep(0.0001)
    for _ = 1, 8 do assert(other:read_exactly(#block) == block) end
    assert(other:read() == nil)
  end)
end

local PIECES = { "li", "ne\r\nne", "xt\n", "abc;de", "f;", "12345678901234567890", "rest" }

function scenarios.reading()
  local one, other, _ <close> = pair()
  tide.TaskGroup(function(g)
    g:spawn(function()
      for _, piece in ipairs(PIECES) do
        one:write(piece)
        tide.sleep(0)
      end
      one:close_write()
    end)
    assert(other:read_line() == "line" and other:read_line() == "next")
    assert(other:read_until(";") == "abc;" and other:read_until(";") == "def;")
    assert(other:read_exactly(20) == "12345678901234567890")
    assert(other:read_all() == "rest" and other:read() == nil)
  end)
end

function scenarios.ends_early()
  local one, other <close> = net.pair()
  one:write "partial"
  one:close()
  local ok, err = pcall(other.read_exactly, other, 100)
  assert(not ok and tide.is(err, "eof") and err.partial == "partial")
end

function scenarios.lingers()
  local one, other <close> = net.pair()
  local block = ("x"):rep(size(1 << 18))
  one:write(block)
  one:close() -- what is unsent goes out in the background
  assert(#other:read_all() == #block)
end

function scenarios.timeouts()
  local one, other, _ <close> = pair()
  assert(tide.move_on_after(0.0001, one.read, one) == false)
  other:write "late"
  assert(one:read_exactly(4) == "late")
end

function scenarios.selecting()
  local one <close> = net.listen("127.0.0.1", 0)
  local other <close> = net.listen("127.0.0.1", 0)
  assert(tide.select(one, other, tide.after(0.0001)) == 3)
  local connecting = tide.spawn(net.connect, other:address())
  local index, accepted = tide.select(one, other, tide.after(5))
  assert(index == 2)
  local _ <close> = accepted
  local stream <close> = connecting:await()
  accepted:write "hello"
  assert(stream:read_exactly(5) == "hello")
end

function scenarios.iterating()
  local one, other, _ <close> = pair()
  one:write("1\n2\n", "3\n4\n")
  one:close_write()
  local lines = tide.iter(other:lines()):map(tonumber):buffer(2)
  assert(lines:map_concurrent(2, function(x) return x * 2 end):reduce(function(a, b) return a + b end, 0) == 20)
end

function scenarios.in_virtual_time()
  tide.testing.run(function()
    local one, other, _ <close> = pair()
    tide.TaskGroup(function(group) -- whose body is told where closing fails
      group:spawn(function()
        tide.sleep(0.0002)
        other:close()
      end)
      assert(tide.move_on_after(0.0001, one.read, one) == false)
      other:write "late"
      assert(one:read_exactly(4) == "late" and one:read() == nil)
    end)
  end, { seed = 1 })
end

return scenarios
