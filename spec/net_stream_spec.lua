-- Stream: what differs between kinds of socket. What does not is in spec/stream_contract_spec.lua.
local tide = require "tide"
local helper = require "spec.helper"

local net, sleep = tide.net, tide.sleep
local raises, fails = helper.raises, helper.fails

local function unix_path()
  local path = os.tmpname()
  os.remove(path)
  return "unix:" .. path
end

describe("Stream:", function()
  it("over TCP, both ends know both addresses", helper.run(function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local a <close> = net.connect(listener:address())
    local b <close> = listener:accept()
    assert.same({ listener:address() }, { a:peer() })
    assert.same({ listener:address() }, { b:address() })
    assert.same({ a:address() }, { b:peer() })
    assert.equal(("Stream(127.0.0.1:%d)"):format(select(2, listener:address())), tostring(a))
  end))

  it("over IPv6 its address is told in brackets", helper.run(function()
    local ok, listener = pcall(net.listen, "::1", 0)
    if not ok then return pending "IPv6 is not available here" end
    local _ <close> = listener
    local a <close> = net.connect(listener:address())
    assert.equal("::1", a:peer())
    assert.equal(("Stream([::1]:%d)"):format(select(2, a:peer())), tostring(a))
  end))

  it("over a unix socket, has one value for an address", helper.run(function()
    local path = unix_path()
    local listener <close> = net.listen(path)
    local a <close> = net.connect(path)
    local b <close> = listener:accept()
    assert.same({ path }, { a:peer() })
    assert.same({ path }, { b:address() })
    assert.same({ "unix:" }, { b:peer() })
    assert.equal("Stream(" .. path .. ")", tostring(a))
  end))

  it("reports a reset connection, after which nothing more can be read", helper.run(function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local a <close> = net.connect(listener:address())
    local b <close> = listener:accept()
    a:write "never read"
    sleep(0.001)
    b:close() -- with bytes unread: TCP resets
    for _ = 1, 2 do assert.equal("ECONNRESET", raises("os", a.read, a, 1).code) end
    assert.equal("ECONNRESET", raises("os", a.read_all, a).code)
  end))

  it("has the system ask a silent peer whether it is there", helper.run(function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local host, port = listener:address()
    local function timer_of(stream)
      local pipe <close> = io.popen(("ss -Htno 'sport = :%d and dport = :%d' 2>/dev/null"):format(select(2, stream:address()), port))
      return pipe:read("a"):match "timer:%((%w+)"
    end
    local a <close> = net.connect { host = host, port = port, keepalive = 30 }
    if not timer_of(a) then return pending "ss is not available here" end
    assert.equal("keepalive", timer_of(a))
    a:set { keepalive = false }
    assert.is_nil(timer_of(a))
    a:set { keepalive = 0x7fff, nodelay = false }
    assert.equal("keepalive", timer_of(a))
    for _, wrong in ipairs { 0, -1, 40000, true, "1" } do
      fails("field 'keepalive' must be false, or 1 to 32767 seconds", a.set, a, { keepalive = wrong })
      fails("field 'keepalive' must be false", net.connect, host, port, { keepalive = wrong })
    end
  end))

  it("has options of TCP only where it is that", helper.run(function()
    local a <close> = net.pair()
    assert.equal("EOPNOTSUPP", raises("os", a.set, a, { nodelay = true }).code)
    local memory <close> = net.memory_pair()
    assert.equal("ENOTSOCK", raises("os", memory.set, memory, { keepalive = 1 }).code)
    memory:close()
    raises("closed", memory.set, memory, { nodelay = true })
    fails("unknown option 'keepalve'", a.set, a, { keepalve = 1 })
  end))

  it("is connected by one table of all, too", helper.run(function()
    local path = "unix:@tide-one-table-" .. tostring(os.time())
    local unix <close> = net.listen(path)
    net.connect({ host = path }):close()
    local options = { host = path, delay = 1 }
    net.connect(options):close()
    assert.same({ host = path, delay = 1 }, options)
    fails("bad argument #1 to 'tide.net.connect' (field 'host' must be a string)", net.connect, {})
    fails("field 'port' must be a port", net.connect, { host = "127.0.0.1" })
    fails("field 'port' must be a port", net.connect, { host = "127.0.0.1", port = "http" })
    fails("unknown option 'prt'", net.connect, { host = "127.0.0.1", port = 1, prt = 2 })
    assert.is_true(unix:statistics().closed == false)
  end))

  it("cannot be made but by tide", function()
    local a, b = net.pair()
    assert.is_nil(debug.getmetatable(a).__call)
    fails("Stream expected", a.close, tide.Event())
    a:close()
    b:close()
  end)

  it("is open outside a task, where it cannot wait", function()
    local a, b = net.pair()
    if not helper.inside then
      raises("no_task", a.read, a, 1)
      raises("no_task", a.write, a, "x")
    end
    a:close_write()
    helper.run_now(function() assert.is_nil(b:read(1)) end)
    a:close()
    b:close()
  end)
end)
