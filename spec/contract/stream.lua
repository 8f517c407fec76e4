-- spec.contract.stream: what every Stream must do, whatever is under it.
--
-- contract(make_pair, name, opts) defines the specs, inside a describe of that name.
--   make_pair()  (may wait) gives two connected streams, new ones at each call; closed or collected,
--                they leave nothing behind
--   opts.run     options for testing.run, such as seeds or an autojump_threshold; the clock is real
--                unless they say otherwise
--   opts.memory  there is no descriptor under them
local tide = require "tide"
local busted = require "busted"
local assert = busted.assert
local helper = require "spec.helper"

local describe, it = busted.describe, busted.it

local sleep, spawn = tide.sleep, tide.spawn
local raises, fails, turns = helper.raises, helper.fails, helper.turns

-- Different everywhere, so that nothing can be exchanged unnoticed.
local all_bytes

local MIB, PIECE = helper.size(1 << 20), helper.size(50000)

local function pattern(size)
  if not all_bytes then
    local hundred, parts = {}, {} -- "00,0;", "01,919;" ..., between which stands a count of hundreds
    for i = 0, 99 do hundred[i] = ("%02d,%d;"):format(i, i * 7919 % 1000) end
    for i = 1, 10000 do parts[i] = i .. table.concat(hundred, i, 0, 99) end
    all_bytes = table.concat(parts)
  end
  return all_bytes:sub(1, size)
end

-- Writes piece after piece, each some turns after the other, and ends.
local function dribble(stream, pieces)
  return spawn(function()
    for _, piece in ipairs(pieces) do
      stream:write(piece)
      turns(2)
    end
    stream:close_write()
  end)
end

local function letters(s)
  local list = {}
  for letter in s:gmatch "." do list[#list + 1] = letter end
  return list
end

-- Cuts s at random.
local function cut(s, most)
  local pieces, at = {}, 1
  while at <= #s do
    local size = math.random(most)
    pieces[#pieces + 1] = s:sub(at, at + size - 1)
    at = at + size
  end
  return pieces
end

-- Compares without printing megabytes.
local function same(expected, got)
  if expected == got then return end
  local at = 1
  while expected:byte(at) == got:byte(at) do at = at + 1 end
  error(("%d bytes instead of %d, different from byte %d on"):format(#got, #expected, at), 2)
end

-- Writes pieces until a write waits. What was accepted, and the task, which waits to write "!".
local function fill(stream)
  local accepted = {}
  local piece = pattern(PIECE)
  local task = spawn(function()
    while true do
      local label = ("<%d>"):format(#accepted + 1)
      stream:write(label, piece)
      accepted[#accepted + 1] = label .. piece
    end
  end)
  local count, quiet = 0, 0
  repeat -- the system may have more room a little later
    sleep(0.002)
    assert.is_false(task:done())
    quiet = task:status() == "waiting" and #accepted == count and quiet + 1 or 0
    count = #accepted
  until quiet == 2
  return accepted, task
end

local function drain(stream)
  local parts = {}
  for data in stream:chunks() do parts[#parts + 1] = data end
  return table.concat(parts)
end

-- Defines the specs, whose bodies get two connected streams, which are closed in the end.
local function contract(connect, opts)
  local function it_with(name, body)
    it(name, helper.run(function()
      local one, other = connect()
      local _ <close> = one
      local _ <close> = other
      body(one, other)
    end, opts.run))
  end

  describe("read", function()
    it_with("gives what there is, at most n bytes", function(a, b)
      a:write "hello"
      assert.equal("he", b:read(2))
      assert.equal("llo", b:read(10))
      a:write "again"
      assert.equal("again", b:read())
    end)

    it_with("waits until something comes", function(a, b)
      local reader = spawn(b.read, b, 10)
      turns(3)
      assert.equal("waiting", reader:status())
      a:write "x"
      assert.equal("x", reader:await())
    end)

    it_with("returns nil at the end, again and again", function(a, b)
      a:write "x"
      a:close()
      assert.equal("x", b:read(10))
      for _ = 1, 3 do assert.is_nil(b:read(10)) end
      assert.is_nil(b:read_line())
      assert.equal("", b:read_all())
      assert.equal("", b:read_exactly(0))
    end)

    it_with("keeps bytes of every value", function(a, b)
      local all = {}
      for i = 0, 255 do all[i + 1] = string.char(i) end
      local bytes = table.concat(all)
      a:write(bytes)
      assert.equal(bytes, b:read_exactly(256))
    end)

    it_with("checks its arguments", function(a)
      for _, n in ipairs { 0, -1, math.mininteger, 1.5, 0 / 0, "x", {} } do
        fails("bad argument #1 to 'read'", function() a:read(n) end)
      end
      fails("Stream expected", a.read, nil, 1)
      fails("Stream expected", a.read, io.stdout, 1)
    end)
  end)

  describe("read_exactly", function()
    it_with("joins what comes in pieces", function(a, b)
      local writer = dribble(a, letters "abcdefghij")
      assert.equal("abc", b:read_exactly(3))
      assert.equal("", b:read_exactly(0))
      assert.equal("defghij", b:read_exactly(7))
      writer:await()
    end)

    it_with("takes no more than it was asked for", function(a, b)
      a:write "abcdefgh"
      for letter in ("abcdefgh"):gmatch "." do assert.equal(letter, b:read_exactly(1)) end
    end)

    it_with("raises eof with what came before the end", function(a, b)
      a:write "abc"
      a:close()
      local err = raises("eof", b.read_exactly, b, 10)
      assert.equal("abc", err.partial)
      assert.equal("", raises("eof", b.read_exactly, b, 1).partial)
      assert.is_nil(b:read(1))
    end)

    it_with("reads megabytes", function(a, b)
      local data = pattern(3 * MIB)
      local writer = spawn(a.write, a, data)
      same(data, b:read_exactly(#data))
      writer:await()
    end)

    it_with("checks its arguments", function(a)
      fails("bad argument #1 to 'read_exactly'", function() a:read_exactly() end)
      fails("bad argument #1 to 'read_exactly'", function() a:read_exactly(-1) end)
    end)
  end)

  describe("read_line", function()
    it_with("gives lines without their end, \\n or \\r\\n", function(a, b)
      a:write "one\ntwo\r\n\n\r\nfi\rve\r\r\nlast"
      a:close()
      for _, line in ipairs { "one", "two", "", "", "fi\rve\r", "last" } do assert.equal(line, b:read_line()) end
      assert.is_nil(b:read_line())
    end)

    it_with("finds ends that come in pieces", function(a, b)
      local writer = dribble(a, letters "one\ntwo\r\n\r\n\nend\r")
      for _, line in ipairs { "one", "two", "", "", "end\r" } do assert.equal(line, b:read_line()) end
      assert.is_nil(b:read_line())
      writer:await()
    end)

    it_with("raises limit for a longer line, which stays", function(a, b)
      a:write "abcdefgh\nnext\n"
      raises("limit", b.read_line, b, { max = 4 })
      raises("limit", b.read_line, b, { max = 8 })
      assert.equal("abcdefgh", b:read_line { max = 9 })
      assert.equal("next", b:read_line { max = math.huge })
    end)

    it_with("raises limit before the end of the line comes", function(a, b)
      a:write "abcdefgh"
      raises("limit", b.read_line, b, { max = 8 })
      a:write "\n"
      assert.equal("abcdefgh", b:read_line { max = 9 })
    end)

    it_with("has a limit of a mebibyte unless told", function(a, b)
      local size = 1024 * 1024
      local data = ("x"):rep(size) .. "\n"
      local writer = spawn(a.write, a, data)
      raises("limit", b.read_line, b)
      same(data, b:read_line { max = size + 1 } .. "\n")
      writer:await()
    end)

    it_with("checks its arguments", function(a)
      fails("bad argument #1 to 'read_line' (table expected", function() a:read_line(5) end)
      fails("'max' must be", a.read_line, a, { max = 0 })
      fails("'max' must be", a.read_line, a, { max = 0 / 0 })
      fails("'max' must be", a.read_line, a, { max = {} })
    end)

    it_with("does not care what becomes of its options meanwhile", function(a, b)
      local options = { max = 100 }
      local reader = spawn(b.read_line, b, options)
      turns(2)
      options.max = -1
      a:write "x\ny\n"
      assert.equal("x", reader:await())
      assert.equal("y", b:read_line())
    end)
  end)

  describe("read_until", function()
    it_with("gives all up to and with the separator", function(a, b)
      a:write "GET / HTTP/1.1\r\nHost: x\r\n\r\nbody"
      assert.equal("GET / HTTP/1.1\r\nHost: x\r\n\r\n", b:read_until "\r\n\r\n")
      assert.equal("bo", b:read_until "o")
      assert.equal("dy", b:read_exactly(2))
    end)

    it_with("finds a separator that comes in pieces, or overlaps itself", function(a, b)
      local writer = dribble(a, letters "aaabaab\0\0x\r\r\n\r\n--boundary--boundary-limit--")
      assert.equal("aaab", b:read_until "aab")
      assert.equal("aab", b:read_until "aab")
      assert.equal("\0\0x", b:read_until "\0x")
      assert.equal("\r\r\n\r\n", b:read_until "\r\n\r\n")
      assert.equal("--boundary--boundary-limit", b:read_until "--boundary-limit")
      assert.equal("--", b:read_until "--")
      writer:await()
    end)

    it_with("begins anew where another separator was looked for", function(a, b)
      a:write "a;b,c"
      raises("timeout", tide.timeout, 0.003, b.read_until, b, "X")
      assert.equal("a;b,", b:read_until ",")
      raises("timeout", tide.timeout, 0.003, b.read_until, b, "long separator")
      a:write "c;"
      assert.equal("cc;", b:read_until ";")
    end)

    it_with("raises eof with what came before the end", function(a, b)
      a:write "abc"
      a:close()
      assert.equal("abc", raises("eof", b.read_until, b, "\n").partial)
      assert.equal("", raises("eof", b.read_until, b, "\n").partial)
    end)

    it_with("raises limit, and the bytes stay", function(a, b)
      a:write "abcdefgh;rest"
      raises("limit", b.read_until, b, ";", { max = 8 })
      raises("limit", b.read_until, b, "?", { max = 13 })
      assert.equal("abcdefgh;", b:read_until(";", { max = 9 }))
      assert.equal("rest", b:read(10))
    end)

    it_with("checks its arguments", function(a)
      fails("bad argument #1 to 'read_until' (string expected", function() a:read_until() end)
      fails("bad argument #1 to 'read_until' (must not be empty)", function() a:read_until "" end)
      fails("bad argument #2 to 'read_until' (table expected", function() a:read_until("x", 5) end)
      fails("'max' must be", a.read_until, a, "x", { max = -1 })
    end)
  end)

  describe("read_all", function()
    it_with("gives all up to the end", function(a, b)
      local writer = dribble(a, { "one", "two", "three" })
      assert.equal("onetwothree", b:read_all())
      assert.equal("", b:read_all())
      writer:await()
    end)

    it_with("raises limit, and the bytes stay", function(a, b)
      a:write "abcdefgh"
      raises("limit", b.read_all, b, { max = 7 })
      assert.equal("a", b:read(1))
      a:close()
      assert.equal("bcdefgh", b:read_all { max = 7 })
    end)

    it_with("loses nothing to a timeout", function(a, b)
      a:write "abc"
      raises("timeout", tide.timeout, 0.003, b.read_all, b)
      a:write "def"
      a:close()
      assert.equal("abcdef", b:read_all())
    end)
  end)

  describe("a read that is cancelled", function()
    -- What comes of `data` when a reader is cancelled after each byte that is sent.
    local function read_with_cancellations(a, b, data, read)
      local parts = {}
      local function note(task)
        tide.wait { task }
        if not task:cancelled() then parts[#parts + 1] = task:result() end
      end
      for i, letter in ipairs(letters(data)) do
        local reader = spawn(read, b)
        turns(i % 4)
        a:write(letter)
        turns(i // 4 % 4)
        reader:cancel()
        note(reader)
      end
      a:close_write()
      parts[#parts + 1] = b:read_all()
      return table.concat(parts)
    end

    for name, read in pairs {
      read = function(s) return s:read(2) end,
      read_exactly = function(s) return s:read_exactly(3) end,
      read_until = function(s) return s:read_until ";" end,
      read_all = function(s) return s:read_all() end,
    } do
      it_with("loses no byte: " .. name, function(a, b)
        local data = pattern(200)
        assert.equal(data, read_with_cancellations(a, b, data, read))
      end)
    end

    it_with("leaves the place to the next reader", function(a, b)
      for _ = 1, 3 do
        local reader = spawn(b.read_line, b)
        turns(2)
        reader:cancel()
        tide.wait { reader }
      end
      a:write "x\n"
      assert.equal("x", b:read_line())
    end)
  end)

  describe("lines and chunks", function()
    it_with("iterate up to the end", function(a, b)
      local writer = dribble(a, { "one\ntw", "o\n", "\nlast" })
      local lines = {}
      for line in b:lines() do lines[#lines + 1] = line end
      assert.same({ "one", "two", "", "last" }, lines)
      for _ in b:lines() do error "there is no line left" end
      for _ in b:chunks() do error "there is no chunk left" end
      writer:await()
    end)

    it_with("give at most what they are asked for", function(a, b)
      a:write "abcdefg"
      a:close()
      local chunks = {}
      for chunk in b:chunks(3) do chunks[#chunks + 1] = chunk end
      for i, chunk in ipairs(chunks) do assert.is_true(#chunk <= 3, i) end
      assert.equal("abcdefg", table.concat(chunks))
    end)

    it_with("leave the stream open, with what was not asked for", function(a, b)
      a:write "one\ntwo\nthree"
      for line in b:lines() do
        if line == "two" then break end
        assert.equal("one", line)
      end
      local got = ""
      for chunk in b:chunks(2) do
        assert.is_true(#chunk <= 2)
        got = got .. chunk
        if #got == 4 then break end
      end
      assert.equal("thre", got)
      a:write "!"
      assert.equal("e!", b:read_exactly(2))
    end)

    it_with("have limits", function(a, b)
      a:write "abcdefgh\n"
      raises("limit", function()
        for _ in b:lines { max = 4 } do error "it is longer" end
      end)
      assert.equal("abcdefgh", b:read_line())
      fails("'max' must be", b.lines, b, { max = 0 })
      fails("bad argument #1 to 'chunks'", function() b:chunks(0) end)
    end)

    it_with("reach through coroutines", function(a, b)
      local writer = dribble(a, { "1\n", "2\n3\n" })
      local sum = 0
      for n in coroutine.wrap(function()
        for line in b:lines() do coroutine.yield(tonumber(line)) end
      end) do sum = sum + n end
      assert.equal(6, sum)
      writer:await()
    end)
  end)

  describe("write", function()
    it_with("takes several strings and numbers, also empty ones", function(a, b)
      a:write("a", 1, "", 2.5, "\0", -3)
      assert.equal("a12.5\0-3", b:read_exactly(8))
      a:write()
      a:write("", "")
      a:write "end"
      assert.equal("end", b:read_exactly(3))
    end)

    it_with("takes many parts", function(a, b)
      local parts = {}
      for count = 15, 18 do
        for i = 1, count do parts[i] = i .. ";" end
        a:write(table.unpack(parts))
        assert.equal(table.concat(parts), b:read_exactly(#table.concat(parts)))
      end
      for i = 1, 5000 do parts[i] = i end
      local writer = spawn(a.write, a, table.unpack(parts))
      local all = table.concat(parts)
      same(all, b:read_exactly(#all))
      writer:await()
    end)

    it_with("returns nothing", function(a)
      assert.equal(0, select("#", a:write "x"))
      assert.equal(0, select("#", a:flush()))
    end)

    it_with("delivers bytes that are written one at a time", function(a, b)
      local data = pattern(500)
      local writer = dribble(a, letters(data))
      assert.equal(data, b:read_all())
      writer:await()
    end)

    it_with("delivers 10 MiB to a slow reader", function(a, b)
      local data = pattern(10 * MIB)
      local writer = spawn(function()
        for at = 1, #data, 123457 do a:write(data:sub(at, at + 123456)) end
        a:close_write()
      end)
      local parts, i = {}, 0
      for chunk in b:chunks() do
        i = i + 1
        parts[i] = chunk
        if i % 10 == 0 then sleep(i % 100 == 0 and i <= 10000 and 0.001 or 0) end
      end
      writer:await()
      same(data, table.concat(parts))
    end)

    it_with("delivers 10 MiB in one piece, both ways at once", function(a, b)
      local data = pattern(10 * MIB)
      local function exchange(stream)
        stream:write(data)
        stream:close_write()
        return stream:read_all()
      end
      for _, got in ipairs(tide.gather { function() return exchange(a) end, function() return exchange(b) end }) do
        same(data, got)
      end
    end)

    it_with("waits while the reader does not read", function(a, b)
      local accepted, writer = fill(a)
      local count = #accepted
      assert.is_true(count < 400) -- the system's buffers and ours have their bounds
      sleep(0.005)
      assert.equal(count, #accepted)
      local got = 0
      while got < 10 * PIECE do got = got + #b:read() end
      sleep(0.005)
      writer:cancel()
      tide.wait { writer }
      a:close_write()
      got = got + #drain(b)
      assert.equal(#table.concat(accepted), got)
    end)

    it_with("that is cancelled did not happen", function(a, b)
      local accepted, writer = fill(a)
      writer:cancel()
      tide.wait { writer }
      raises("timeout", tide.timeout, 0.003, a.write, a, "not this")
      local last = spawn(a.write, a, "the last")
      turns(2)
      assert.equal("waiting", last:status())
      local reader = spawn(drain, b)
      last:await()
      a:close_write()
      same(table.concat(accepted) .. "the last", reader:await())
    end)

    it_with("waits above the high mark, until the low one", function(a, b)
      a:set { low = 0, high = 0 }
      local accepted, writer = fill(a)
      writer:cancel()
      tide.wait { writer }
      a:set { low = MIB, high = 2 * MIB } -- now nothing needs to wait
      a:write "more"
      a:write(("x"):rep(3 * MIB))
      raises("timeout", tide.timeout, 0.003, a.write, a, "above")
      local reader = spawn(drain, b)
      a:write "below"
      a:close()
      same(table.concat(accepted) .. "more" .. ("x"):rep(3 * MIB) .. "below", reader:await())
    end)

    it_with("fails once the peer has closed", function(a, b)
      b:close()
      local _, err = tide.try(function()
        while true do
          a:write(pattern(1000))
          sleep(0)
        end
      end)
      assert.is_true(tide.is(err, "os"))
      assert.is_truthy(err.code == "EPIPE" or err.code == "ECONNRESET", err.code)
      raises("os", a.write, a, "again")
      raises("os", a.flush, a)
    end)

    it_with("that waits learns that the peer has closed", function(a, b)
      local _, writer = fill(a)
      b:close()
      tide.wait { writer }
      assert.is_true(tide.is(writer:error(), "os"))
    end)

    it_with("checks its arguments", function(a, b)
      fails("bad argument #1 to 'write' (string expected, got nil)", function() a:write(nil) end)
      fails("bad argument #2 to 'write' (string expected", function() a:write("x", {}) end)
      fails("bad argument #1 to 'write' (string expected", function() a:write(true) end)
      fails("field 'low' must not be above", a.set, a, { low = 2, high = 1 })
      fails("field 'low' must not be above", a.set, a, { low = 1 << 20 })
      fails("bad argument #1 to 'set' (field 'low' must not be negative)", function() a:set { low = -1, high = 1 } end)
      fails("bad argument #1 to 'set' (table expected", function() a:set(1) end)
      fails("field 'high' must be below 4 GiB", a.set, a, { low = 1, high = 1 << 33 })
      a:close()
      assert.equal("", b:read_all())
    end)
  end)

  describe("flush", function()
    it_with("returns at once where nothing is unsent", function(a)
      a:flush()
      a:write "x"
      a:flush()
    end)

    it_with("waits until the system has taken all", function(a, b)
      a:set { low = MIB, high = 16 * MIB }
      a:write(("x"):rep(12 * MIB))
      local flush = spawn(a.flush, a)
      turns(3)
      assert.equal("waiting", flush:status())
      local reader = spawn(b.read_exactly, b, 12 * MIB)
      flush:await()
      assert.equal(12 * MIB, #reader:await())
    end)

    it_with("may be cancelled, and the bytes go on", function(a, b)
      a:set { low = MIB, high = 16 * MIB }
      local data = pattern(9 * MIB)
      a:write(data)
      raises("timeout", tide.timeout, 0.003, a.flush, a)
      local reader = spawn(b.read_exactly, b, #data)
      a:flush()
      same(data, reader:await())
    end)
  end)

  describe("close_write", function()
    it_with("ends one direction, behind what was written", function(a, b)
      a:write "question"
      a:close_write()
      assert.equal("question", b:read_all())
      b:write "answer"
      b:close_write()
      assert.equal("answer", a:read_all())
      assert.is_false(a:closed())
    end)

    it_with("waits for unsent bytes in the background", function(a, b)
      a:set { low = MIB, high = 16 * MIB }
      local data = pattern(9 * MIB)
      a:write(data)
      a:close_write()
      same(data, b:read_all())
      a:flush()
    end)

    it_with("makes writing raise closed, and is harmless when repeated", function(a, b)
      a:close_write()
      a:close_write()
      raises("closed", a.write, a, "x")
      a:flush()
      assert.is_nil(b:read(1))
    end)

    it_with("is refused while a task writes", function(a, b)
      local accepted, writer = fill(a)
      raises("invalid_state", a.close_write, a)
      writer:cancel()
      tide.wait { writer }
      a:close_write()
      same(table.concat(accepted), drain(b))
    end)
  end)

  describe("close", function()
    it_with("wakes who reads, and leaves the stream closed", function(a)
      for _, method in ipairs { "read", "read_line", "read_all" } do
        local one, other = connect()
        local reader = spawn(one[method], one)
        turns(2)
        one:close()
        assert.is_true(tide.is(select(2, tide.try(reader.await, reader)), "closed"))
        assert.is_nil(other:read(1))
        other:close()
      end
      assert.is_false(a:closed())
    end)

    it_with("wakes who writes and who flushes", function(a, b)
      local accepted, writer = fill(a)
      local reader = spawn(drain, b)
      a:close()
      local err = select(2, tide.try(writer.await, writer))
      assert.is_true(tide.is(err, "closed"), tostring(err))
      same(table.concat(accepted), reader:await())

      local one, other = connect()
      local _ <close> = one
      local _ <close> = other
      accepted, writer = fill(one)
      writer:cancel()
      tide.wait { writer }
      local flush = spawn(one.flush, one)
      turns(2)
      one:close()
      raises("closed", flush.await, flush)
      same(table.concat(accepted), drain(other))
    end)

    it_with("sends what is unsent", function(a, b)
      a:set { low = MIB, high = 16 * MIB }
      local data = pattern(9 * MIB)
      a:write(data)
      a:close()
      same(data, b:read_all())
    end)

    it_with("may be called in the turn in which bytes come", function(a, b)
      for wait = 0, 3 do
        local one, other = connect()
        local reader = spawn(one.read, one, 10)
        turns(2)
        other:write "x"
        turns(wait)
        one:close()
        other:close()
        local data, err = tide.try(reader.await, reader)
        assert.is_true(data == "x" or tide.is(err, "closed"))
      end
      a:write "x"
      assert.equal("x", b:read(1))
    end)

    it_with("makes every use raise closed, except closing", function(a)
      a:close()
      a:close()
      assert.is_true(a:closed())
      raises("closed", a.read, a, 1)
      raises("closed", a.read_exactly, a, 1)
      raises("closed", a.read_exactly, a, 0)
      raises("closed", a.read_line, a)
      raises("closed", a.read_until, a, "x")
      raises("closed", a.read_all, a)
      raises("closed", a:lines(), a)
      raises("closed", a:chunks(), a)
      raises("closed", a.write, a, "x")
      raises("closed", a.write, a)
      raises("closed", a.flush, a)
      raises("closed", a.close_write, a)
      raises("closed", a.address, a)
      raises("closed", a.peer, a)
    end)

    it_with("drops what was read and not asked for", function(a, b)
      a:write "abcdef"
      a:flush()
      assert.equal("a", b:read(1))
      b:close()
      raises("closed", b.read, b, 1)
    end)

    it_with("comes with <close> and with garbage collection", function(a)
      sleep(0.005) -- for what the spec before has closed, but not sent
      local fds = helper.count_fds()
      local one, other = connect()
      do
        local _ <close> = one
      end
      assert.is_true(one:closed())
      assert.is_nil(other:read(1))
      other:close()
      sleep(0.005)

      other = select(2, connect())
      collectgarbage()
      collectgarbage()
      assert.is_nil(other:read(1))
      local open = helper.count_fds() - fds -- over TLS an end that was told may wait for the other's
      assert.is_true(open == (opts.memory and 0 or math.min(fds, 1)) or opts.tls and open == 2)
      other:close()
      sleep(0.005)
      assert.equal(fds, helper.count_fds())
      assert.is_false(a:closed())
    end)

    it_with("by garbage collection sends what is unsent", function(a)
      local data = pattern(5 * MIB)
      local function write_and_forget()
        local one, other = connect()
        one:set { low = MIB, high = 16 * MIB }
        one:write(data)
        return other
      end
      local other <close> = write_and_forget()
      collectgarbage()
      collectgarbage()
      same(data, other:read_all())
      assert.is_false(a:closed())
    end)
  end)

  describe("two tasks", function()
    it_with("may read and write at once", function(a, b)
      local reader = spawn(a.read_exactly, a, 2)
      turns(2)
      a:write "out"
      assert.equal("out", b:read_exactly(3))
      b:write "in"
      assert.equal("in", reader:await())
    end)

    it_with("cannot both read", function(a, b)
      local reader = spawn(b.read, b, 10)
      turns(2)
      raises("invalid_state", b.read, b, 1)
      raises("invalid_state", b.read_line, b)
      raises("invalid_state", b:lines(), b)
      a:write "x" -- it comes to the first, who may not have run yet
      raises("invalid_state", b.read, b, 1)
      assert.equal("x", reader:await())
      a:write "y"
      assert.equal("y", b:read(1))
    end)

    it_with("take turns at writing, in the order of their calls, each with the whole", function(a, b)
      local expected, first = fill(a)
      local writers = {}
      for i = 1, 6 do
        local parts = { ("<%d"):format(i), pattern(4 * PIECE), ">" }
        expected[#expected + 1] = table.concat(parts)
        writers[i] = spawn(a.write, a, table.unpack(parts))
        turns(2)
        assert.equal("waiting", writers[i]:status())
      end
      local flush = spawn(a.flush, a)
      turns(2)
      first:cancel()
      tide.wait { first }
      raises("invalid_state", a.close_write, a)
      local reader = spawn(drain, b)
      flush:await()
      for _, writer in ipairs(writers) do writer:await() end
      a:close_write()
      same(table.concat(expected), reader:await())
    end)

    it_with("give up their turn without a trace", function(a, b)
      for _, how in ipairs { "cancel", "kill", "timeout" } do
        local accepted, first = fill(a)
        local second = spawn(how == "timeout" and function()
          raises("timeout", tide.timeout, 0.003, a.write, a, "second")
        end or function() a:write "second" end)
        local third = spawn(a.write, a, "third")
        turns(2)
        assert.equal("waiting", second:status())
        if how == "timeout" then
          second:await()
        else
          second[how](second)
          tide.wait { second }
        end
        assert.equal("waiting", third:status())
        first:cancel()
        tide.wait { first }
        local data = table.concat(accepted) .. "third"
        same(data, b:read_exactly(#data))
        third:await()
      end
    end)

    it_with("all learn that it is closed, or that the peer is gone", function(a, b)
      local _, first = fill(a)
      local second, third = spawn(a.write, a, "x"), spawn(a.flush, a)
      turns(2)
      b:close()
      tide.wait { first, second, third }
      -- over TLS the other end takes what comes for a while, and drops it: memory has no more than that
      local dropped = opts.tls and opts.memory
      for _, task in ipairs { first, second, third } do
        assert.is_true(tide.is(task:error(), "os") or dropped and not task:error())
      end

      local one, other = connect()
      local accepted
      accepted, first = fill(one)
      second, third = spawn(one.write, one, "x"), spawn(one.flush, one)
      turns(2)
      one:close()
      tide.wait { first, second, third }
      for _, task in ipairs { first, second, third } do assert.is_true(tide.is(task:error(), "closed")) end
      same(table.concat(accepted), drain(other))
      other:close()
    end)

    it_with("may follow each other, also after a kill", function(a, b)
      for _, how in ipairs { "cancel", "kill" } do
        local reader = spawn(b.read, b, 10)
        turns(2)
        reader[how](reader)
        tide.wait { reader }
        a:write(how)
        assert.equal(how, b:read_exactly(#how))
      end
      for _, how in ipairs { "cancel", "kill" } do
        local accepted, writer = fill(a)
        writer[how](writer)
        tide.wait { writer }
        local data = table.concat(accepted)
        same(data, b:read_exactly(#data))
      end
    end)
  end)

  describe("a timeout", function()
    it_with("around reads loses nothing", function(a, b)
      local data = pattern(2000)
      local writer = spawn(function()
        for _, piece in ipairs(cut(data, 30)) do
          a:write(piece)
          sleep(0.0002)
        end
        a:close_write()
      end)
      local timeouts, parts = 0, {}
      local reads = {
        function() return b:read(7) end,
        function() return b:read_exactly(41) end,
        function() return b:read_until ";" end,
        function() return b:read_until "0;" end,
      }
      while true do
        local ok, got = tide.try(function()
          return true, tide.timeout(math.random() * 0.001, reads[math.random(#reads)])
        end)
        if ok then
          if not got then break end
          parts[#parts + 1] = got
        elseif tide.is(got, "timeout") then
          timeouts = timeouts + 1
        else
          assert.is_true(tide.is(got, "eof"), tostring(got))
          parts[#parts + 1] = got.partial
        end
      end
      writer:await()
      assert.is_true(timeouts > 0)
      same(data, table.concat(parts))
    end)

    it_with("may be zero, and what is there stays", function(a, b)
      a:write "abc"
      turns(2)
      for _ = 1, 3 do raises("timeout", tide.timeout, 0, b.read_exactly, b, 4) end
      assert.equal("abc", b:read_exactly(3))
    end)
  end)

  it_with("reads anything that is cut anywhere", function(a, b)
    local seed = os.time()
    math.randomseed(seed)
    local alphabet = { "a", "b", "\n", "\r\n", ";", "ab;", ("x"):rep(20), ("\0"):rep(3) }
    local parts = {}
    for i = 1, 3000 do parts[i] = alphabet[math.random(#alphabet)] end
    local data = table.concat(parts)
    local writer = spawn(function()
      for _, piece in ipairs(cut(data, 200)) do
        a:write(piece)
        if math.random(3) == 1 then sleep(0) end
      end
      a:close_write()
    end)
    local at = 1 -- in data: the next byte to be read
    local function expect(got, expected, what)
      if got ~= expected then
        error(("seed %d, byte %d: %s gave %q, not %q"):format(seed, at, what, tostring(got), expected))
      end
    end
    local function until_(separator, keep)
      local _, last = data:find(separator, at, true)
      local ok, got = tide.try(function()
        return true, keep and b:read_until(separator) or b:read_line()
      end)
      if keep and not last then got = tide.is(got, "eof") and got.partial end
      assert(ok or keep)
      local expected = data:sub(at, last)
      expect(got, keep and expected or (expected:gsub("\r?\n$", "")), "read to " .. separator)
      at = at + #expected
    end
    local function exactly(count)
      count = math.min(count, #data - at + 1)
      expect(b:read_exactly(count), data:sub(at, at + count - 1), "read_exactly")
      at = at + count
    end
    while at <= #data do
      local dice = math.random(6)
      if dice == 1 then
        local got = b:read(math.random(30))
        expect(got, data:sub(at, at + #got - 1), "read")
        at = at + #got
      elseif dice == 2 then
        exactly(math.random(0, 300))
      elseif dice == 3 then
        until_("\n", false)
      else
        until_(alphabet[math.random(#alphabet)], true)
      end
    end
    assert.is_nil(b:read(1))
    writer:await()
  end)

  it_with("lets others run though its bytes never run out", function(a, b)
    local data = ("x"):rep(5000)
    a:write(data)
    local ticks, over_yet = 0, false
    local ticker = spawn(function()
      while not over_yet do
        ticks = ticks + 1
        sleep(0)
      end
    end)
    for _ = 1, 5000 do assert.equal("x", b:read(1)) end
    over_yet = true
    ticker:await()
    assert.is_true(ticks > 10, ticks)
  end)

  if opts.memory then
    it_with("has no addresses", function(a)
      assert.equal("ENOTSOCK", fails("os", a.address, a).code)
      assert.equal("ENOTSOCK", fails("os", a.peer, a).code)
    end)
  else
    it_with("tells both addresses, the same at both ends", function(a, b)
      for _, ends in ipairs { { a, b }, { b, a } } do
        local near, far = table.unpack(ends)
        local host, port, more = near:address()
        assert.equal("string", type(host))
        assert.is_true(port == nil or math.type(port) == "integer")
        assert.is_nil(more)
        assert.same({ host, port }, { far:peer() })
      end
    end)
  end

  it_with("cannot be used outside a task", function(a)
    local err
    tide.call_soon(function() err = select(2, pcall(a.read, a, 1)) end)
    turns(2)
    assert.is_true(tide.is(err, "no_task"))
  end)

  it_with("tells its state as text", function(a)
    assert.matches("^Stream%(.+%)$", tostring(a))
    a:close()
    assert.equal("Stream(closed)", tostring(a))
  end)
end

return function(make_pair, name, opts)
  describe(name, function()
    busted.teardown(function() all_bytes = nil end) -- megabytes make collections rare in other specs
    contract(make_pair, opts or {})
  end)
end
