-- Cancellation at every point of what waits in tide.net: no byte and no connection is lost or
-- doubled, and nothing is left open.
local tide = require "tide"
local helper = require "spec.helper"
local sweep = require "spec.sweep"

local net, turns = tide.net, helper.turns

local function little_memory() return net.memory_pair(5) end

local function tcp_pair()
  local listener <close> = net.listen("127.0.0.1", 0)
  local stream = net.connect(listener:address())
  return stream, listener:accept()
end

local function unix_path()
  local path = os.tmpname()
  os.remove(path)
  return "unix:@" .. path
end

-- f(...); an error of one of the kinds only ends it.
local function tolerate(kinds, f, ...)
  local ok, err = tide.raw.pcall(f, ...)
  if ok then return end
  for _, kind in ipairs(kinds) do
    if tide.is(err, kind) then return end
  end
  error(err, 0)
end

local SOON = 1e-5 -- seconds

-- Waits until the condition holds. Time must be able to pass meanwhile.
local function wait_until(condition)
  while not condition() do tide.sleep(SOON) end
end

-- ---- reading

local PIECES = { "one\n", "t", "wo", "\n\n", "three\nfour\nfi", "v", "e", "\n", "last" }
local TEXT = table.concat(PIECES)

-- read(stream) gives what it has taken, or nil at the end.
local function reading(connect, read)
  return {
    setup = function(s)
      s.writer, s.stream = connect()
      s.writer:set { low = #TEXT, high = #TEXT } -- a subject that is cancelled reads no more
      s.parts = {}
    end,
    others = { function(s)
      for i, piece in ipairs(PIECES) do
        s.writer:write(piece)
        turns(i % 3)
      end
      s.writer:close_write()
    end },
    subject = function(s)
      for data in read, s.stream do s.parts[#s.parts + 1] = data end
    end,
    check = function(s, ended)
      local rest = s.stream:read_all()
      if ended == "done" then assert.equal("", rest) end
      assert.equal(TEXT, table.concat(s.parts) .. rest)
      s.stream:close()
      s.writer:close()
    end,
  }
end

-- What came before the end of the stream, if anything did.
local function partial(f, stream, ...)
  local ok, result = tide.raw.pcall(f, stream, ...)
  if ok then return result end
  if not tide.is(result, "eof") then error(result, 0) end
  return result.partial ~= "" and result.partial or nil
end

local reads = {
  ["read"] = function(stream) return stream:read(3) end,
  ["read_exactly"] = function(stream) return partial(stream.read_exactly, stream, 7) end,
  ["read_until"] = function(stream) return partial(stream.read_until, stream, "e\n") end,
  ["read_line"] = function(stream)
    local line = stream:read_line()
    return line and line .. (line ~= "last" and "\n" or "")
  end,
  ["read_all"] = function(stream)
    local data = stream:read_all()
    return data ~= "" and data or nil
  end,
  ["read with a timeout around"] = function(stream)
    while true do
      local in_time, data = tide.move_on_after(0.00005, partial, stream.read_exactly, stream, 9)
      if in_time then return data end
    end
  end,
}

describe("cancelled at every suspension:", function()
  for name, read in pairs(reads) do
    it(name, sweep.it(reading(net.pair, read)))
    it(name .. ", over TCP", sweep.it(reading(tcp_pair, read)))
    it(name .. ", over memory", sweep.it(reading(little_memory, read)))
  end

  it("read, of a stream that another closes", sweep.it {
    setup = function(s) s.writer, s.stream = net.pair() end,
    others = { function(s)
      turns(1)
      s.writer:write "a"
      turns(2)
      s.stream:close()
    end },
    subject = function(s)
      tolerate({ "closed" }, function()
        while true do s.stream:read(1) end
      end)
    end,
    check = function(s)
      tolerate({ "os" }, function() assert.is_nil(s.writer:read(1)) end) -- "a" may be unread
      s.writer:close()
    end,
  })

  -- ---- writing

  local SHORT = ("0123456789abcdef"):rep(helper.size(100))
  local BLOCK = ("0123456789abcdef"):rep(helper.size(5000))

  -- More than the system takes at once, so that every write but the first waits.
  local function writing(connect, subject, count)
    return {
      setup = function(s)
        s.stream, s.reader = connect()
        s.stream:set { low = 0, high = 0 }
        s.accepted, s.got = {}, {}
      end,
      others = { function(s)
        turns(2)
        while true do
          local data = partial(s.reader.read_exactly, s.reader, helper.size(150000))
          if not data then return end
          s.got[#s.got + 1] = data
          turns(1)
        end
      end, function(s)
        tide.wait { s.task }
        if not s.stream:closed() then s.stream:close_write() end
      end },
      subject = subject,
      check = function(s, ended)
        if ended == "done" then assert.equal(count or 6, #s.accepted) end
        assert.is_true(table.concat(s.accepted) == table.concat(s.got))
        s.stream:close()
        s.reader:close()
      end,
    }
  end

  local function write_each(s, block)
    for i = 1, 6 do
      s.stream:write(i, block)
      s.accepted[i] = i .. block
    end
  end

  local function write(s) write_each(s, BLOCK) end
  local function write_short(s) write_each(s, SHORT) end

  it("write", sweep.it(writing(net.pair, write)))
  it("write, over memory", sweep.it(writing(function() return net.memory_pair(helper.size(200)) end, write_short)))

  it("write, and the end of the stream's block", sweep.it(writing(net.pair, function(s)
    local _ <close> = s.stream
    write(s)
  end)))

  it("write and flush, over TCP", sweep.it(writing(tcp_pair, function(s)
    s.stream:set { low = 100000, high = 200000 }
    for i = 1, 12 do
      s.stream:write(i, BLOCK, BLOCK, BLOCK, BLOCK)
      s.accepted[i] = i .. BLOCK:rep(4)
      if i % 4 == 0 then s.stream:flush() end
    end
  end, 12)))

  it("flush", sweep.it(writing(net.pair, function(s)
    s.stream:set { low = 1 << 20, high = 2 << 20 }
    write(s)
    s.stream:flush()
  end)))

  it("write, of a stream whose peer is closed", sweep.it {
    setup = function(s) s.stream, s.reader = net.pair() end,
    others = { function(s)
      turns(3)
      s.reader:close()
    end },
    subject = function(s)
      tolerate({ "os" }, function()
        while true do s.stream:write(BLOCK) end
      end)
    end,
    check = function(s)
      helper.raises("os", function()
        while true do s.stream:write(BLOCK) end
      end)
      s.stream:close()
    end,
  })

  it("reading and writing at once", sweep.it {
    setup = function(s)
      s.stream, s.peer = net.pair()
      s.got = {}
    end,
    others = {
      function(s) -- an echo
        for data in s.peer:chunks() do s.peer:write(data) end
        s.peer:close()
      end,
      function(s)
        for data in s.stream:chunks() do s.got[#s.got + 1] = data end
      end,
      function(s)
        tide.wait { s.task }
        s.stream:close_write()
      end,
    },
    subject = function(s)
      for i = 1, 5 do
        s.stream:write(i, SHORT)
        s.sent = i
        turns(1)
      end
    end,
    check = function(s)
      local expected = {}
      for i = 1, s.sent or 0 do expected[i] = i .. SHORT end
      assert.is_true(table.concat(expected) == table.concat(s.got))
      s.stream:close()
    end,
  })

  -- ---- connecting and accepting

  -- `room` is how many connections wait in the listener before the subject comes.
  local function connecting(open, room)
    return {
      setup = function(s)
        s.listener = open()
        s.before, s.connected, s.accepted = {}, 0, 0
        for i = 1, room do s.before[i] = net.connect(s.listener:address()) end
      end,
      others = { function(s)
        turns(4)
        for stream in s.listener:iter() do
          s.accepted = s.accepted + 1
          stream:close()
          turns(1)
        end
      end, function(s)
        tide.wait { s.task }
        turns(3)
        s.listener:close()
        for _, stream in ipairs(s.before) do stream:close() end
      end },
      subject = function(s)
        for _ = 1, 3 do
          local stream <close> = net.connect(s.listener:address())
          s.connected = s.connected + 1
          assert(stream:read(1) == nil)
        end
      end,
      check = function(s, ended)
        if ended == "done" then assert.equal(room + 3, s.accepted) end
      end,
    }
  end

  it("connect", sweep.it(connecting(function() return net.listen("127.0.0.1", 0) end, 0)))

  it("connect, to a unix socket", sweep.it(connecting(function() return net.listen(unix_path()) end, 0)))

  it("connect, where the backlog is full", sweep.it(connecting(function()
    return net.listen(unix_path(), { backlog = 1 })
  end, 2)))

  it("connect, refused", sweep.it {
    subject = function()
      for _, address in ipairs { "127.0.0.1", unix_path() } do
        tolerate({ "os" }, net.connect, address, 1)
        turns(1)
      end
    end,
  })

  for _, step in ipairs { "accept", "iter" } do
    it(step, sweep.it {
      setup = function(s)
        s.listener = net.listen("127.0.0.1", 0)
        s.clients, s.accepted = {}, {}
      end,
      others = { function(s)
        for i = 1, 4 do
          turns(i % 3)
          s.clients[i] = net.connect(s.listener:address())
          s.clients[i]:write(i)
        end
      end },
      subject = function(s)
        if step == "accept" then
          for _ = 1, 4 do s.accepted[#s.accepted + 1] = s.listener:accept() end
        else
          for stream in s.listener:iter() do
            s.accepted[#s.accepted + 1] = stream
            if #s.accepted == 4 then s.listener:close() end
          end
        end
      end,
      check = function(s, ended)
        if ended == "done" then assert.equal(4, #s.accepted) end
        for i = 1, 4 do
          local stream <close> = s.accepted[i] or s.listener:accept()
          assert.equal(tostring(i), stream:read(10))
          s.clients[i]:close()
        end
        s.listener:close()
      end,
    })
  end

  it("accept, of a listener that another closes", sweep.it {
    setup = function(s) s.listener = net.listen("127.0.0.1", 0) end,
    others = { function(s)
      local _ <close> = net.connect(s.listener:address())
      turns(2)
      s.listener:close()
    end },
    subject = function(s)
      tolerate({ "closed" }, function()
        while true do s.listener:accept():close() end
      end)
    end,
    check = function(s) s.listener:close() end,
  })

  -- ---- serving

  local function echo(s)
    return function(stream)
      s.live = (s.live or 0) + 1
      local _ <close> = helper.closer(function() s.live = s.live - 1 end)
      for line in stream:lines() do stream:write(line, "\n") end
    end
  end

  -- Talks to the server as long as it is there.
  local function client(s)
    wait_until(function() return s.address end)
    tolerate({ "os" }, function()
      local stream <close> = net.connect(s.address)
      for i = 1, 3 do
        stream:write(i, "\n")
        local line = stream:read_line()
        if not line then return end
        assert(line == tostring(i))
      end
    end)
    s.served = (s.served or 0) + 1
  end

  local function serving(opts, subject)
    return {
      setup = function(s) s.failures = helper.collect_failures() end,
      leaves = true, -- where the server never began
      others = { client, client, client },
      subject = function(s)
        local server <close> = net.serve(echo(s), unix_path(), opts)
        s.server, s.address = server, server:address()
        subject(s)
      end,
      check = function(s, ended)
        if s.mode == "kill" then
          turns(16) -- its connections still have to end
          for _, failure in ipairs(s.failures) do -- the end of its block cannot wait for them
            assert.equal("the cleanup of a killed task", failure.what)
          end
        else
          assert.same({}, s.failures)
        end
        if ended == "done" then assert.equal(3, s.served) end
        assert.equal(0, s.live or 0)
        if not s.server then return end
        assert.equal(0, #s.server)
        assert.matches("closed", tostring(s.server))
        helper.raises("os", net.connect, s.address)
        s.server:wait_closed()
      end,
    }
  end

  local function until_served(s)
    wait_until(function() return s.served == 3 end)
  end

  it("serve", sweep.it(serving({}, until_served)))

  it("serve, with max_connections", sweep.it(serving({ max_connections = 1 }, until_served)))

  it("server:close, with grace", sweep.it(serving({}, function(s)
    turns(12)
    s.server:close { grace = 5 }
    until_served(s)
  end)))

  local waiting = serving({}, function(s) s.server:wait_closed() end)
  waiting.others[4] = function(s)
    until_served(s)
    s.server:close()
  end

  it("server:wait_closed", sweep.it(waiting))
end)
