-- tide.net: connecting, listening, accepting, and talking to programs that know nothing of tide.
local tide = require "tide"
local helper = require "spec.helper"

local net, run, sleep, spawn = tide.net, helper.run, tide.sleep, tide.spawn
local raises, fails, turns = helper.raises, helper.fails, helper.turns

-- ---- parts of specs

local function temporary()
  local path = os.tmpname()
  os.remove(path)
  return path
end

local function exists(path)
  local pipe = io.popen(("test -e '%s' && echo yes"):format(path))
  local found = pipe:read "a" ~= ""
  pipe:close()
  return found
end

local function listen(opts) return net.listen("127.0.0.1", 0, opts) end

-- A port that nobody listens on.
local function free_port()
  local listener <close> = listen()
  return select(2, listener:address())
end

-- Accepts n connections, and closes them.
local function accept_and_close(listener, n)
  for _ = 1, n do listener:accept():close() end
end

local hung_up, max_fds = helper.hung_up, helper.max_fds

-- A connection that is accepted at once, or nil. Twice, and for long: a machine that pauses, or whose
-- loopback is late, is no full backlog.
local function connect_at_once(listener)
  for _ = 1, 2 do
    local done, stream = tide.move_on_after(0.2, net.connect, listener:address())
    if done then return stream end
  end
end

-- Connections until one is not accepted at once: the listener's backlog is full.
local function fill_backlog(listener)
  local streams = setmetatable({}, { __close = function(list)
    for _, stream in ipairs(list) do stream:close() end
  end })
  for stream in connect_at_once, listener do streams[#streams + 1] = stream end
  return streams
end

local function command_output(command)
  local pipe <close> = assert(io.popen(command))
  return assert(pipe:read "a")
end

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function has(program) return command_output("command -v " .. program) ~= "" end

local function needs(condition, what)
  return condition and it or function(name)
    it(name, function() pending(what .. " is not available here") end)
  end
end

describe("net.connect, net.listen and net.serve", function()
  local calls = {
    connect = net.connect,
    listen = net.listen,
    serve = function(...) return net.serve(print, ...) end,
  }
  for name, call in pairs(calls) do
    it("look at the options before they look at the address: " .. name, run(function()
      fails("unknown option 'nodelya'", call, "nowhere", 80, { nodelya = true })
      fails("unknown option 'nodelya'", call, "a\0b", 80, { nodelya = true })
      fails("unknown option 'nodelya'", call, "unix:", { nodelya = true })
      raises("dns", call, "nowhere", 80, { nodelay = true })
    end))
  end
end)

describe("net.connect", function()
  it("raises the system's refusal, with the address", run(function()
    local port = free_port()
    local err = raises("os", net.connect, "127.0.0.1", port)
    assert.equal("ECONNREFUSED", err.code)
    assert.is_true(err.errno > 0)
    assert.matches("127.0.0.1:" .. port, tostring(err), 1, true)
    assert.matches("Connection refused", tostring(err), 1, true)
  end))

  it("raises what is wrong with a unix path", run(function()
    local path = temporary()
    local err = raises("os", net.connect, "unix:" .. path)
    assert.equal("ENOENT", err.code)
    assert.matches("unix:" .. path, tostring(err), 1, true)
    assert.equal("ECONNREFUSED", raises("os", net.connect, "unix:@" .. path).code)
    assert.equal("ENAMETOOLONG", raises("os", net.connect, "unix:/" .. ("x"):rep(200)).code)
    assert.equal("EINVAL", raises("os", net.connect, "unix:").code)
    assert.equal("EINVAL", raises("os", net.connect, "unix:" .. path .. "\0x").code)
    io.open(path, "w"):close()
    assert.equal("ECONNREFUSED", raises("os", net.connect, "unix:" .. path).code)
    os.remove(path)
  end))

  it("raises dns for what is no host", run(function()
    for _, host in ipairs { "no-such-host.invalid", "256.0.0.1", "127.0.0.1\0.invalid", "[::1]" } do
      raises("dns", net.connect, host, 80)
    end
  end))

  it("knows localhost", run(function()
    local listener <close> = net.listen("localhost", 0)
    local stream <close> = net.connect("localhost", (select(2, listener:address())))
    assert.same({ listener:address() }, { stream:peer() })
  end))

  it("checks its arguments", run(function()
    fails("bad argument #1 to 'tide.net.connect' (string expected, got no value)", net.connect)
    fails("bad argument #1 to 'tide.net.connect' (field 'host' must be a string)", net.connect, {}, 80)
    fails("bad argument #2 to 'tide.net.connect' (number expected, got no value)", net.connect, "127.0.0.1")
    fails("bad argument #2 to 'tide.net.connect' (number expected, got string)", net.connect, "127.0.0.1", "http")
    fails("bad argument #2 to 'tide.net.connect' (number has no integer", net.connect, "127.0.0.1", 80.5)
    fails("bad argument #2 to 'tide.net.connect' (not a port", net.connect, "127.0.0.1", 65536)
    fails("bad argument #2 to 'tide.net.connect' (not a port", net.connect, "127.0.0.1", -1)
    fails("bad argument #3 to 'tide.net.connect' (table expected", net.connect, "127.0.0.1", 80, "fast")
    fails("bad argument #3 to 'tide.net.connect' (field 'local_address' must be a string", net.connect, "127.0.0.1", 80,
      { local_address = {} })
    fails("field 'tls' must be a boolean or a table", net.connect, "127.0.0.1", 80, { tls = "yes" })
    raises("dns", net.connect, "127.0.0.1", 80, { local_address = "nowhere" })
  end))

  if not helper.inside then
    it("needs a task", function() raises("no_task", net.connect, "127.0.0.1", 80) end)
  end

  it("connects from local_address", run(function()
    local listener <close> = listen()
    local host, port = listener:address()
    local stream <close> = net.connect(host, port, { local_address = "127.0.0.2" })
    local accepted <close> = listener:accept()
    assert.equal("127.0.0.2", (stream:address()))
    assert.equal("127.0.0.2", (accepted:peer()))
    local err = raises("os", net.connect, host, port, { local_address = "192.0.2.77" })
    assert.equal("EADDRNOTAVAIL", err.code)
    raises("os", net.connect, host, port, { local_address = "::1" })
  end))

  it("does not let small writes wait, unless nodelay=false", run(function()
    local listener <close> = listen()
    local host, port = listener:address()
    local stream <close> = net.connect(host, port)
    local accepted <close> = listener:accept()
    local function exchange()
      local began = tide.time()
      for _ = 1, 20 do -- with Nagle's rule each would wait 40 ms for an acknowledgement
        stream:write "1"
        stream:flush()
        stream:write "2"
        assert.equal("12", accepted:read_exactly(2))
        accepted:write "3"
        assert.equal("3", stream:read(1))
      end
      return tide.time() - began
    end
    local fastest = math.huge -- a slow machine gets several tries
    for _ = 1, 20 do
      fastest = math.min(fastest, exchange())
      if fastest < 0.4 then break end
    end
    assert.is_true(fastest < 0.4, fastest)
    local slow <close> = net.connect(host, port, { nodelay = false })
    slow:write "x"
    local other <close> = listener:accept()
    assert.equal("x", other:read(1))
  end))

  it("connects many at once, and gives each its own", run(function()
    local listener <close> = listen()
    local server = spawn(function()
      for _ = 1, 100 do
        local stream <close> = listener:accept()
        stream:write(stream:read_line(), "!")
      end
    end)
    local clients = {}
    for i = 1, 100 do
      clients[i] = function()
        local stream <close> = net.connect(listener:address())
        stream:write(i, "\n")
        return stream:read_all()
      end
    end
    for i, got in ipairs(tide.gather(clients)) do assert.equal(i .. "!", got) end
    server:await()
  end))

  describe("that waits for a full backlog", function()
    local addresses = { TCP = { "127.0.0.1", 0 }, ["a unix socket"] = { "unix:@" .. temporary() } }
    for name, address in pairs(addresses) do
      local function full_listener()
        local opts = { backlog = 1 }
        return address[2] and net.listen(address[1], 0, opts) or net.listen(address[1], opts)
      end

      it("can be cancelled, of " .. name, run(function()
        local listener <close> = full_listener()
        local _ <close> = fill_backlog(listener)
        local before = helper.holdings()
        local connecting = {}
        for i = 1, 3 do connecting[i] = spawn(net.connect, listener:address()) end
        sleep(0.005)
        -- a unix one is tried again at times, so it may just be ready for that
        for i = 1, 3 do assert.is_false(connecting[i]:done()) end
        connecting[1]:cancel()
        connecting[2]:kill()
        tide.race { connecting[3], function() turns(2) end }
        tide.wait(connecting)
        for i = 1, 3 do
          assert.is_true(connecting[i]:cancelled())
          connecting[i] = nil
        end
        assert.is_nil(helper.leaked(before, helper.holdings()))
      end))

      it("can time out, of " .. name, run(function()
        local listener <close> = full_listener()
        local _ <close> = fill_backlog(listener)
        local before = helper.holdings()
        raises("timeout", tide.timeout, 0.02, net.connect, listener:address())
        raises("timeout", tide.timeout, 0, net.connect, listener:address())
        assert.is_nil(helper.leaked(before, helper.holdings()))
      end))

      it("lets go of its socket when it is killed, of " .. name, run(function()
        local listener <close> = full_listener()
        local _ <close> = fill_backlog(listener)
        local before = helper.count_fds()
        local connecting = spawn(net.connect, listener:address())
        sleep(0.001)
        if helper.count_fds() > 0 then assert.equal(before + 1, helper.count_fds()) end
        connecting:kill()
        assert.equal(before, helper.count_fds())
      end))

      it("goes on once there is room, of " .. name, run(function()
        local listener <close> = full_listener()
        local waiting <close> = fill_backlog(listener)
        local connecting = spawn(net.connect, listener:address())
        sleep(0.005)
        accept_and_close(listener, #waiting)
        local stream <close> = tide.timeout(20, connecting.await, connecting) -- TCP asks again after 1 s
        local accepted <close> = listener:accept()
        accepted:write "hello"
        assert.equal("hello", stream:read_exactly(5))
      end))

      it("learns of the listener's end, of " .. name, run(function()
        local listener = full_listener()
        local _ <close> = fill_backlog(listener)
        local connecting = spawn(net.connect, listener:address())
        sleep(0.005)
        listener:close()
        tide.wait { connecting }
        assert.equal("ECONNREFUSED", connecting:error().code)
      end))
    end
  end)

  it("raises at once in a cancelled scope", run(function()
    local listener <close> = listen()
    local before = helper.holdings()
    assert.is_false(tide.scope(function(scope)
      scope:cancel()
      net.connect(listener:address())
    end))
    assert.is_nil(helper.leaked(before, helper.holdings()))
  end))
end)

describe("net.listen", function()
  it("gives the port that the system chose", run(function()
    local listener <close> = listen()
    local host, port = listener:address()
    assert.equal("127.0.0.1", host)
    assert.is_true(port > 0)
    assert.equal("Listener(127.0.0.1:" .. port .. ")", tostring(listener))
    listener:close()
    assert.equal("Listener(closed)", tostring(listener))
    raises("closed", listener.address, listener)
  end))

  it("refuses an address in use, until it is not", run(function()
    local listener = listen()
    local host, port = listener:address()
    local err = raises("os", net.listen, host, port)
    assert.equal("EADDRINUSE", err.code)
    assert.matches("127.0.0.1:" .. port, tostring(err), 1, true)
    local stream = net.connect(host, port)
    local accepted = listener:accept()
    accepted:close() -- the server's side first: it has to remember the connection
    stream:close()
    listener:close()
    net.listen(host, port):close()
  end))

  it("refuses an address that is not this host's", run(function()
    assert.equal("EADDRNOTAVAIL", raises("os", net.listen, "192.0.2.77", 0).code)
    for _, open in ipairs { net.listen, function(host) return net.udp { host = host } end } do
      local err = raises("dns", open, "no-such-host.invalid", 0)
      assert.matches("no%-such%-host.invalid: not a numeric address", err.message)
    end
    assert.equal("ENOENT", raises("os", net.listen, "unix:" .. temporary() .. "/socket").code)
  end))

  it("checks its arguments", run(function()
    fails("bad argument #1 to 'tide.net.listen' (string expected, got no value)", net.listen)
    fails("bad argument #2 to 'tide.net.listen' (number expected", net.listen, "127.0.0.1")
    fails("bad argument #2 to 'tide.net.listen' (not a port", net.listen, "127.0.0.1", 70000)
    fails("bad argument #3 to 'tide.net.listen' (table expected", net.listen, "127.0.0.1", 0, true)
    for _, backlog in ipairs { 0, -1, 1.5, 1 << 40, "many" } do
      fails("'backlog' must be a positive integer", net.listen, "127.0.0.1", 0, { backlog = backlog })
    end
    fails("field 'tls' must be a boolean or a table", net.listen, "127.0.0.1", 0, { tls = 1 })
  end))

  it("shares a port with reuseport", run(function()
    local one <close> = listen { reuseport = true }
    local host, port = one:address()
    local other <close> = net.listen(host, port, { reuseport = true })
    assert.equal("EADDRINUSE", raises("os", net.listen, host, port).code)
    local counts = { 0, 0 }
    local function accept_all(listener, i)
      for stream in listener:iter() do
        counts[i] = counts[i] + 1
        stream:close()
      end
    end
    local acceptors = { spawn(accept_all, one, 1), spawn(accept_all, other, 2) }
    for _ = 1, 60 do
      local stream <close> = net.connect(host, port)
      assert.is_true(hung_up(stream))
    end
    one:close()
    other:close()
    tide.wait(acceptors)
    assert.equal(60, counts[1] + counts[2])
    assert.is_true(counts[1] > 0 and counts[2] > 0)
  end))

  it("keeps backlog connections waiting, not more", run(function()
    for _, backlog in ipairs { 1, 5 } do
      local listener <close> = net.listen("unix:@" .. temporary(), { backlog = backlog })
      local waiting <close> = fill_backlog(listener)
      assert.equal(backlog + 1, #waiting) -- Linux lets one more in
    end
  end))

  describe("on a unix path", function()
    it("makes the file, and removes it when it closes", run(function()
      local path = temporary()
      local listener = net.listen("unix:" .. path)
      assert.is_true(exists(path))
      assert.same({ "unix:" .. path }, { listener:address() })
      assert.equal("Listener(unix:" .. path .. ")", tostring(listener))
      listener:close()
      assert.is_false(exists(path))
    end))

    it("refuses one that another listens on", run(function()
      local path = temporary()
      local listener <close> = net.listen("unix:" .. path)
      assert.equal("EADDRINUSE", raises("os", net.listen, "unix:" .. path).code)
      local stream <close> = net.connect("unix:" .. path)
      listener:accept():close() -- not of the one that asked
      listener:accept():close()
      assert.is_true(hung_up(stream))
    end))

    it("takes over one that was left behind", run(function()
      local path, moved = temporary(), temporary()
      local lost = net.listen("unix:" .. path)
      os.rename(path, moved)
      lost:close()
      assert.is_true(exists(moved))
      local listener <close> = net.listen("unix:" .. moved)
      local stream <close> = net.connect("unix:" .. moved)
      listener:accept():close()
      assert.is_true(hung_up(stream))
      listener:close()
      assert.is_false(exists(moved))
    end))

    it("leaves other files alone", run(function()
      local path = temporary()
      io.open(path, "w"):close()
      assert.equal("EADDRINUSE", raises("os", net.listen, "unix:" .. path).code)
      assert.is_true(exists(path))
      os.remove(path)
      local lost = net.listen("unix:" .. path)
      os.remove(path)
      io.open(path, "w"):close()
      lost:close()
      assert.is_true(exists(path))
      os.remove(path)
    end))

    it("does not remove the file of who came after", run(function()
      local path = temporary()
      local first = net.listen("unix:" .. path)
      os.remove(path)
      local second <close> = net.listen("unix:" .. path)
      first:close()
      assert.is_true(exists(path))
      local stream <close> = net.connect("unix:" .. path)
      second:accept():close()
      assert.is_true(hung_up(stream))
    end))

    it("needs no file for an abstract name", run(function()
      local name = "unix:@" .. temporary()
      local listener <close> = net.listen(name)
      assert.equal(name, listener:address())
      assert.equal("EADDRINUSE", raises("os", net.listen, name).code)
      local stream <close> = net.connect(name)
      assert.equal(name, stream:peer())
      listener:close()
      net.listen(name):close()
    end))
  end)
end)

describe("Listener", function()
  it("accepts in the order of connecting", run(function()
    local listener <close> = listen()
    local clients = {}
    for i = 1, 10 do
      clients[i] = net.connect(listener:address())
      clients[i]:write(i)
    end
    for i = 1, 10 do
      local stream <close> = listener:accept()
      assert.equal(tostring(i), stream:read_exactly(#tostring(i)))
      clients[i]:close()
    end
  end))

  it("accepts connections that were closed meanwhile", run(function()
    local listener <close> = listen()
    for _ = 1, 3 do
      local stream <close> = net.connect(listener:address())
      stream:write "bye"
    end
    for _ = 1, 3 do
      local stream <close> = listener:accept()
      assert.equal("bye", stream:read_all())
    end
  end))

  it("ends its iteration when it is closed", run(function()
    local listener = listen()
    local count = 0
    local task = spawn(function()
      for stream in listener:iter() do
        count = count + 1
        stream:close()
      end
      for _ in listener:iter() do error "it is closed" end
      return "ended"
    end)
    for _ = 1, 3 do
      local stream <close> = net.connect(listener:address())
      assert.is_true(hung_up(stream))
    end
    listener:close()
    assert.equal("ended", task:await())
    assert.equal(3, count)
  end))

  it("ends its iteration when the loop's body closes it", run(function()
    local listener <close> = listen()
    local stream <close> = net.connect(listener:address())
    local _ <close> = net.connect(listener:address())
    for accepted in listener:iter() do
      accepted:close()
      listener:close()
    end
    assert.is_true(hung_up(stream))
  end))

  it("raises closed in accept, when and after it is closed", run(function()
    local listener = listen()
    local task = spawn(listener.accept, listener)
    turns(2)
    listener:close()
    listener:close()
    raises("closed", task.await, task)
    raises("closed", listener.accept, listener)
  end))

  it("lets other errors and cancellation out of the iteration", run(function()
    local listener <close> = listen()
    raises("timeout", tide.timeout, 0.003, function()
      for _ in listener:iter() do error "nobody comes" end
    end)
    local other = spawn(listener.accept, listener)
    turns(2)
    raises("invalid_state", listener.accept, listener)
    raises("invalid_state", function()
      for _ in listener:iter() do error "it is another's" end
    end)
    other:cancel()
    tide.wait { other }
  end))

  it("loses no connection to a cancelled accept", run(function()
    local listener <close> = listen()
    for i = 1, 20 do
      local task = spawn(listener.accept, listener)
      turns(2)
      local stream <close> = net.connect(listener:address())
      turns(i % 3)
      task:cancel()
      local accepted = tide.try(task.await, task) or listener:accept()
      accepted:write(i)
      assert.equal(tostring(i), stream:read_exactly(#tostring(i)))
      accepted:close()
    end
  end))

  it("closes with its block and with garbage collection", run(function()
    local host, port
    do
      local listener <close> = listen()
      host, port = listener:address()
    end
    raises("os", net.connect, host, port)
    host, port = listen():address()
    collectgarbage()
    collectgarbage()
    raises("os", net.connect, host, port)
  end))

  it("refuses connections that wait when it is closed", run(function()
    local listener = listen()
    local stream <close> = net.connect(listener:address())
    listener:close()
    assert.is_true(hung_up(stream))
  end))

  it("checks its arguments", run(function()
    local listener <close> = listen()
    fails("Listener expected", listener.accept, nil)
    fails("Listener expected", listener.iter, tide.Event())
    fails("Listener expected", listener.close, {})
  end))

  it("takes 1,000 connections opened at once, and starves none", run(function()
    local listener <close> = listen()
    local count, rounds = math.min(1000, (max_fds() - 50) // 2), 10
    spawn(function()
      for stream in listener:iter() do
        spawn(function()
          local _ <close> = stream
          for line in stream:lines() do stream:write(line, "\n") end
        end)
      end
    end)
    local first_end, done = nil, {}
    local clients = {}
    for i = 1, count do
      clients[i] = function()
        done[i] = 0
        local stream <close> = net.connect(listener:address())
        for round = 1, rounds do
          stream:write(i, " ", round, "\n")
          assert.equal(i .. " " .. round, stream:read_line())
          done[i] = round
        end
        if not first_end then
          first_end = {}
          for client = 1, count do first_end[client] = done[client] or -1 end
        end
      end
    end
    tide.timeout(60, tide.gather, clients)
    for i = 1, count do assert.equal(rounds, done[i]) end
    -- when the first was done, all were on their way
    table.sort(first_end)
    assert.is_true(first_end[1] >= 1, ("the slowest had done %d of %d"):format(first_end[1], rounds))
    listener:close()
  end))
end)

-- ---- without descriptors: in a process of its own, whose limit is low

local interpreter = command_output("readlink /proc/$PPID/exe 2>/dev/null"):match "^[^\n]+"

describe("a stream over TCP that is closed with unsent bytes", function()
  local function closed_after(size)
    local listener <close> = net.listen("127.0.0.1", 0)
    local one = net.connect(listener:address())
    local other <close> = listener:accept()
    other:write(("x"):rep(size))
    return one
  end

  it("ends in order where the peer takes them", run(function()
    local size = helper.size(1 << 24)
    local stream <close> = closed_after(size)
    assert.equal(size, #stream:read_all())
  end))

  it("ends with a reset where the peer does not take them in time", run(function()
    local stream <close> = closed_after(1 << 24)
    tide.sleep(6)
    assert.equal("ECONNRESET", raises("os", stream.read_all, stream).code)
  end, { clock = "virtual" }))
end)

describe("where no descriptors are left, accept", function()
  needs(interpreter, "/proc")("waits without spinning, and goes on", function()
    local script = [[
      local tide = require "tide"
      local net = tide.net
      local function main()
        local listener <close> = net.listen("127.0.0.1", 0)
        local client <close> = net.connect(listener:address())
        local accepted, hoard = listener:accept(), {}
        local function fill()
          for file in function() return (io.open "/dev/null") end do hoard[#hoard + 1] = file end
        end
        local second <close> = net.connect(listener:address())
        fill()
        print("connect", select(2, tide.try(net.connect, listener:address())).code)
        print("pair", select(2, tide.try(net.pair)).code)
        local accepting = tide.spawn(listener.accept, listener)
        tide.sleep(0.45) -- if it tried on and on, time would not jump
        print("waits", accepting:status())
        print("cancelled", (tide.move_on_after(0.01, accepting.await, accepting)))
        print("and", accepting:status())
        accepting = tide.spawn(listener.accept, listener)
        tide.sleep(0.05)
        for i = 1, 5 do hoard[i]:close() end
        local began = tide.time()
        local other <close> = tide.timeout(10, accepting.await, accepting)
        print("soon", tide.time() - began <= 0.1)
        second:write "hello"
        print("works", other:read_exactly(5))
        for i = 6, #hoard do hoard[i]:close() end
        hoard = {}
        local third <close> = net.connect(listener:address())
        fill()
        accepting = tide.spawn(listener.accept, listener)
        tide.sleep(0.05)
        listener:close()
        print("closed", select(2, tide.try(accepting.await, accepting)).kind)
        hoard[#hoard]:close()
        local name = ("unix:@tide-spec-%p"):format(hoard)
        local last = net.listen(name)
        fill()
        hoard[#hoard]:close()
        local fourth <close> = net.connect(name)
        local choosing = tide.spawn(tide.select, tide.after(60), last)
        tide.sleep(0.05)
        print("choosing", choosing:status(), last:statistics().paused)
        last:close()
        print("told", select(2, tide.try(choosing.await, choosing)).kind)
        accepted:close()
      end
      tide.testing.run(main)
    ]]
    local output = command_output(("ulimit -n 40; exec timeout -k 10 100 %s -e %s 2>&1"):format(quote(interpreter), quote(script)))
    assert.equal(table.concat({
      "connect\tEMFILE", "pair\tEMFILE", "waits\twaiting", "cancelled\tfalse", "and\tcancelled",
      "soon\ttrue", "works\thello", "closed\tclosed", "choosing\twaiting\ttrue", "told\tclosed", "",
    }, "\n"), output)
  end)
end)

-- ---- programs that know nothing of tide

-- Runs the shell command beside this process; call the result for its output. The loop must have
-- nothing to do for it any more by then.
local function beside(command)
  local pipe = assert(io.popen("exec 2>&1; exec timeout -k 10 100 sh -c " .. quote(command)))
  return function()
    local output = pipe:read "a"
    pipe:close()
    return output
  end, pipe
end

-- Connects as soon as somebody listens.
local function connect_soon(...)
  for _ = 1, 1000 do
    local stream, err = tide.try(net.connect, ...)
    if stream then return stream end
    if not tide.is(err, "os") then error(err, 0) end
    sleep(0.01)
  end
  error "nobody listens"
end

local has_nc = command_output("nc -h 2>&1"):find "OpenBSD"

describe("netcat", function()
  local with_nc = needs(has_nc, "netcat-openbsd")

  with_nc("connects, sends, and gets the reply behind its end", run(function()
    local listener <close> = listen()
    local output = beside(("printf 'one\\ntwo\\n' | nc -N %s %d"):format(listener:address()))
    do
      local stream <close> = listener:accept()
      assert.equal("one", stream:read_line())
      assert.equal("two\n", stream:read_all())
      stream:write("three\n", "four")
      stream:flush() -- the loop stands still while the output is read
    end
    assert.equal("three\nfour", output())
  end))

  with_nc("connects to a unix socket", run(function()
    local path = temporary()
    local listener <close> = net.listen("unix:" .. path)
    local output = beside(("echo hello | nc -N -U '%s'"):format(path))
    do
      local stream <close> = listener:accept()
      for line in stream:lines() do stream:write(line:upper()) stream:flush() end
    end
    assert.equal("HELLO", output())
  end))

  with_nc("listens", run(function()
    local port = free_port()
    local output = beside(("echo welcome | nc -N -l 127.0.0.1 %d"):format(port))
    do
      local stream <close> = connect_soon("127.0.0.1", port)
      assert.equal("welcome", stream:read_line())
      assert.is_nil(stream:read_line())
      stream:write "thanks"
      stream:flush() -- the loop stands still while the output is read
      stream:close_write()
    end
    assert.equal("thanks", output())
  end))

  with_nc("listens on a unix socket, and is sent megabytes", run(function()
    local path = temporary()
    local output = beside(("nc -l -U '%s' </dev/null | cksum"):format(path))
    local data = ("0123456789abcdef"):rep(helper.size(1 << 18))
    do
      local stream <close> = connect_soon("unix:" .. path)
      stream:write(data)
      stream:flush() -- the loop stands still while the output is read
      stream:close_write()
      assert.equal("", stream:read_all())
    end
    local file = temporary()
    local out <close> = io.open(file, "w")
    out:write(data):close()
    assert.equal(command_output(("cksum <'%s'"):format(file)), output())
    os.remove(file)
    os.remove(path)
  end))
end)

local python = has "python3" and "python3"

-- Runs the Python program beside.
local function python_beside(program, ...)
  local words = { python, "-c", quote(program), ... }
  return beside(table.concat(words, " "))
end

describe("Python", function()
  local with_python = needs(python, "python3")

  with_python("connects as an asyncio client, and gets a megabyte back", run(function()
    local ended = tide.Event()
    local server <close> = net.serve(function(stream)
      for data in stream:chunks() do stream:write(data) end
      stream:flush()
      ended:set()
    end, "127.0.0.1", 0)
    local output, pipe = python_beside([[
import asyncio, sys
async def main():
    reader, writer = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    data = bytes(i * i % 251 for i in range(1000000))
    async def send():
        writer.write(data)
        await writer.drain()
        writer.write_eof()
    sending = asyncio.create_task(send())
    print("same" if await reader.read() == data else "different")
    await sending
    writer.close()
asyncio.run(main())
print("over", flush=True)
]], server:address())
    tide.timeout(60, ended.wait, ended)
    while #server > 0 do sleep(0) end
    assert.equal("same\nover\n", output())
    assert.equal("closed file", io.type(pipe))
  end))

  with_python("connects with blocking sockets, one byte at a time", run(function()
    local path = temporary()
    local listener <close> = net.listen("unix:" .. path)
    local output = python_beside([[
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
for byte in b"one\r\ntwo\r\n\r\nrest":
    s.send(bytes([byte]))
s.shutdown(socket.SHUT_WR)
print(s.recv(100, socket.MSG_WAITALL).decode())
]], quote(path))
    do
      local stream <close> = listener:accept()
      assert.equal("one", stream:read_line())
      assert.equal("two\r\n\r\n", stream:read_until "\r\n\r\n")
      assert.equal("re", stream:read_exactly(2))
      assert.equal("st", raises("eof", stream.read_exactly, stream, 10).partial)
      stream:write("bye", 1)
      stream:flush() -- the loop stands still while the output is read
    end
    assert.equal("bye1\n", output())
  end))

  with_python("resets connections", run(function()
    local listener <close> = listen()
    local output = python_beside([[
import socket, struct, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(b"x")
s.recv(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()
]], listener:address())
    local stream <close> = listener:accept()
    assert.equal("x", stream:read(1))
    stream:write "y"
    stream:flush() -- the loop stands still while the output is read
    assert.equal("ECONNRESET", raises("os", stream.read, stream, 1).code)
    assert.equal("", output())
  end))

  with_python("listens as an asyncio server", run(function()
    local output, pipe = python_beside [[
import asyncio
async def handle(reader, writer):
    while line := await reader.readline():
        writer.write(line[::-1][1:] + b"\n")
        await writer.drain()
    writer.write(b"end")
    await writer.drain()
    writer.close()
    done.set_result(None)
async def main():
    global done
    done = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await done
asyncio.run(main())
]]
    local port = pipe:read "n"
    do
      local stream <close> = net.connect("127.0.0.1", port)
      for _, word in ipairs { "stressed", "live", ("ab"):rep(10000) } do
        stream:write(word, "\n")
        assert.equal(word:reverse(), stream:read_line())
      end
      stream:close_write()
      assert.equal("end", stream:read_all())
    end
    assert.equal("\n", output())
  end))

  with_python("listens, and reads slowly", run(function()
    local output, pipe = python_beside [[
import socket, time, zlib
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
s, _ = listener.accept()
size = crc = 0
while data := s.recv(200000):
    size, crc = size + len(data), zlib.crc32(data, crc)
    time.sleep(0.001)
s.sendall(b"%d %d" % (size, crc))
]]
    local port = pipe:read "n"
    do
      local stream <close> = net.connect("127.0.0.1", port)
      for _ = 1, 100 do stream:write(("x"):rep(100000)) end
      stream:close_write()
      assert.equal("10000000 3955074224", stream:read_all())
    end
    assert.equal("\n", output())
  end))
end)

describe("curl", function()
  local with_curl = needs(has "curl", "curl")

  -- As little HTTP/1.1 as will do; connections last as long as the client likes.
  local function answer(stream)
    while true do
      local request = stream:read_line()
      if not request then return end
      local length, expects = 0, false
      for header in stream:lines() do
        if header == "" then break end
        length = tonumber(header:lower():match "^content%-length: (%d+)$") or length
        expects = expects or header:lower() == "expect: 100-continue"
      end
      if expects then stream:write "HTTP/1.1 100 Continue\r\n\r\n" end
      local body = stream:read_exactly(length)
      local reply = ("%s, %d bytes\n"):format(request:match "^(%u+ %S+)", #body)
      stream:write("HTTP/1.1 200 OK\r\nContent-Length: ", #reply, "\r\n\r\n", reply)
      stream:flush() -- the loop stands still while the output is read
    end
  end

  -- The output of the shell command, in which URL is the server's.
  local function output_of(command, server)
    local host, port = server:address()
    local over = temporary()
    command = command:gsub("curl", "curl -s -S --noproxy '*'")
    command = command:gsub("URL", port and ("http://%s:%d"):format(host, port) or "http://localhost")
    local output = beside(("%s; : >'%s'"):format(command, over))
    tide.timeout(60, function()
      while not exists(over) do sleep(0.01) end
    end)
    os.remove(over)
    return output()
  end

  local function serve(opts) return net.serve(answer, "127.0.0.1", 0, opts) end

  with_curl("gets a reply", run(function()
    local server <close> = serve()
    assert.equal("GET /path?q=1, 0 bytes\n", output_of("curl 'URL/path?q=1'", server))
  end))

  with_curl("gets several over one connection", run(function()
    local server <close> = serve { max_connections = 1 }
    assert.equal("GET /1, 0 bytes\nGET /2, 0 bytes\nGET /3, 0 bytes\n", output_of("curl 'URL/[1-3]'", server))
  end))

  with_curl("posts megabytes", run(function()
    local server <close> = serve()
    local command = "head -c 3000000 /dev/zero | curl -H 'Expect: 100-continue' --data-binary @- URL/"
    assert.equal("POST /, 3000000 bytes\n", output_of(command, server))
  end))

  with_curl("talks over a unix socket", run(function()
    local path = temporary()
    local server <close> = net.serve(answer, "unix:" .. path)
    assert.equal("GET /unix, 0 bytes\n", output_of(("curl --unix-socket '%s' URL/unix"):format(path), server))
  end))

  with_curl("gets many at once", run(function()
    local server <close> = serve()
    local output = output_of("curl -Z --parallel-max 20 'URL/[1-50]'", server)
    local seen = {}
    for n in output:gmatch "GET /(%d+), 0 bytes\n" do seen[tonumber(n)] = true end
    assert.equal(50, #seen)
  end))
end)
