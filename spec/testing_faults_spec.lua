-- testing.faults: system calls and allocations that fail, each in turn; testing.one_byte.
local tide = require "tide"
local helper = require "spec.helper"

local testing = tide.testing
local faults = testing.faults
local raises, fails, failing = helper.raises, helper.fails, helper.failing

-- In a task or outside.
local function both(f)
  return function()
    f()
    helper.run_now(f)
  end
end

-- A conversation: one end writes so many messages, and the other reads them.
local function talk(messages)
  return function()
    local one, other = tide.net.pair()
    local _ <close> = one
    local _ <close> = other
    for i = 1, messages do
      one:write("message " .. i .. "\n")
      other:read_line()
    end
  end
end

if not tide.net then return end

describe("testing.faults", function()
  it("fails each call in turn, and counts them", both(function()
    local reads = faults(talk(1), { syscalls = "read" })
    assert.is_true(reads >= 2 and reads % 2 == 0 and faults(talk(9), { syscalls = "read" }) >= reads + 16)
    local some = faults(talk(2), { syscalls = { "read", "write" } })
    local all = faults(talk(2), { syscalls = true })
    assert.is_true(some >= 8 and all > some)
    assert.are.equal(0, faults(talk(2), { syscalls = { "listen", "unlink" } }))
  end))

  it("fails with the error that it is told, at the call that it is told", both(function()
    local seen = {}
    local function reads()
      local one, other = tide.net.pair()
      local _ <close> = one
      local _ <close> = other
      for i = 1, 3 do
        one:write "x"
        local data, err = tide.try(other.read, other, 1)
        seen[#seen + 1] = data or err.code
        if not data then return i end
      end
    end
    assert.are.equal(1, faults(reads, { syscalls = "read", errors = "EIO", at = 2 }))
    assert.are.same({ "x", "EIO" }, seen)
    seen = {}
    assert.are.equal(2, faults(reads, { syscalls = "read", errors = { "EIO", "ENOTCONN" }, at = 1 }))
    assert.are.same({ "EIO", "ENOTCONN" }, seen)
    assert.are.equal(0, faults(reads, { syscalls = "read", errors = "EIO", at = 100 }))
  end))

  it("fails each allocation in turn", both(function()
    local failed = 0
    local points = faults(function()
      local queue = tide.Queue(100)
      local ok, err = pcall(function()
        for i = 1, 100 do queue:put(i) end
      end)
      if ok then return end
      failed = failed + 1
      assert(tostring(err):find "memory")
    end, { memory = true })
    assert.is_true(points >= 1 and failed == points, points .. " " .. failed)
    assert.is_true(faults(talk(1), { memory = true }) >= 1)
  end))

  it("does both where neither is named", both(function()
    local either = faults(talk(1), { memory = true }) + faults(talk(1), { syscalls = true })
    assert.are.equal(either, faults(talk(1)))
    assert.are.equal(either, faults(talk(1), {}))
  end))

  it("finds what is left behind", both(function()
    local held
    fails("testing.faults: write 1, EPIPE: left behind", faults, function()
      local one, other = tide.net.pair()
      held = { one, other }
      one:write "x"
      one:close()
      other:close()
      held = nil
    end, { syscalls = "write" })
    held[1]:close()
    held[2]:close()
    tide.net.pair() -- garbage is not left
    fails("read 1, ECONNRESET: left behind: Task(", faults, function()
      local one, other = tide.net.pair()
      local _ <close> = one
      local _ <close> = other
      local task = tide.spawn(tide.sleep, 1e6)
      one:write "x"
      other:read(1)
      task:cancel()
    end, { syscalls = "read" })
  end))

  it("finds failures that nobody awaits, but for that of the fault", both(function()
    local function in_the_background(f)
      return function()
        local one, other = tide.net.pair()
        local _ <close> = one
        local _ <close> = other
        one:write "x"
        local task = tide.spawn(f, other)
        tide.wait { task }
      end
    end
    assert.is_true(2 <= faults(in_the_background(function(stream) stream:read(1) end), { syscalls = "read" }))
    fails("read 1, ECONNRESET: task", faults, in_the_background(function(stream)
      local ok = tide.try(stream.read, stream, 1)
      if not ok then error "another" end
    end), { syscalls = "read" })
  end))

  it("lets the function fail with error objects, but not by mistakes", both(function()
    local function answers(answer)
      return function()
        local one, other = tide.net.pair()
        local _ <close> = one
        local _ <close> = other
        one:write "x"
        local data = tide.try(other.read, other, 1)
        if not data then answer() end
      end
    end
    local only = { syscalls = "read", errors = "EIO", at = 1 }
    assert.are.equal(1, faults(answers(function() error(tide.error("mine", "it is gone")) end), only))
    fails("read 1, EIO: " , faults, answers(failing "a mistake"), only)
    fails("attempt to index a nil value", faults, answers(function() return (nil).x end), only)
    fails("it does not end", faults, answers(function() tide.Event():wait() end), only)
    fails("it does not end", faults, answers(function()
      while true do tide.sleep(60) end
    end), only)
  end))

  it("raises what the function fails with without a fault", both(function()
    fails("testing.faults: allocation 1: oops", faults, failing "oops")
  end))

  it("leaves nothing on", both(function()
    for _, fn in ipairs { talk(1), failing "oops", function() tide.current_task():cancel() tide.sleep(1) end } do
      pcall(faults, fn, { syscalls = { "write" }, at = 1 })
      helper.run_now(talk(3))
    end
  end))

  it("leaves nothing on where who runs it is killed", function()
    local function body()
      local began
      local task = tide.spawn(faults, function()
        began = true
        tide.sleep(5)
        error "it went on"
      end, { syscalls = "write" })
      helper.turns(4)
      assert.is_true(began)
      task:kill()
      helper.turns(4)
      talk(3)()
    end
    if helper.inside then body() else tide.run(body) end
  end)

  it("is one at a time", both(function()
    local kind
    faults(function()
      kind = raises("already_running", faults, talk(1)).kind
      raises("already_running", testing.one_byte, true)
    end, { memory = true })
    assert.are.equal("already_running", kind)
  end))

  it("refuses wrong arguments", both(function()
    fails("bad argument #1 to 'faults' (function expected, got nil)", faults)
    fails("bad argument #2 to 'faults' (unknown option 'syscall': there are 'memory', 'syscalls', 'errors', 'at')", faults,
      print, { syscall = true })
    fails("bad argument #2 to 'faults' (field 'syscalls': 'raed' is not the name of a system call)", faults, print,
      { syscalls = { "read", "raed" } })
    fails("field 'syscalls': 'allocation' is not", faults, print, { syscalls = "allocation" })
    fails("field 'syscalls' must be the name of a system call, or a list of them", faults, print, { syscalls = 1 })
    fails("field 'errors': 'EWHAT' is not the name of an error, such as 'EPIPE'", faults, print, { errors = "EWHAT" })
    fails("field 'at' must be a positive integer", faults, print, { at = 0 })
    fails("field 'memory' must be a boolean", faults, print, { memory = 1 })
  end))
end)

describe("testing.one_byte", function()
  it("makes each call move one byte, as long as it is on", helper.run(function()
    local one, other = tide.net.pair()
    local _ <close> = one
    local _ <close> = other
    local function pieces()
      one:write "abc"
      local sizes = {}
      local got = 0
      while got < 3 do
        sizes[#sizes + 1] = #other:read()
        got = got + sizes[#sizes]
      end
      return sizes
    end
    local was = os.getenv "TIDE_ONE_BYTE" ~= nil
    testing.one_byte(true)
    testing.one_byte(true)
    assert.are.same({ 1, 1, 1 }, pieces())
    if was then return end
    testing.one_byte(false)
    assert.are.same({ 3 }, pieces())
    testing.one_byte(false)
    fails("bad argument #1 to 'one_byte' (boolean expected, got nil)", testing.one_byte)
  end))
end)
