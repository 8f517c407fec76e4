-- Relative times count from the call, also where the task, or another one in the same turn, was busy before it.
local tide = require "tide"
local helper = require "spec.helper"

local run = helper.run

local SPAN = 0.04

-- A clock that tide has no say in, in hundredths of a second.
local function uptime()
  local file <close> = assert(io.open "/proc/uptime")
  return file:read "n"
end

local function work()
  local over = uptime() + SPAN + 0.02
  while uptime() < over do end
end

-- How long the function took, called after work in the same turn.
local function after_work(fn, ...)
  work()
  local began = uptime()
  fn(...)
  return uptime() - began
end

local function lasts(fn, ...)
  local args = table.pack(...)
  return run(function()
    assert.is_true(after_work(fn, table.unpack(args, 1, args.n)) >= SPAN - 0.02)
    work()
    helper.turns(3) -- the loop is not polled in each
    assert.is_true(after_work(fn, table.unpack(args, 1, args.n)) >= SPAN - 0.02)
  end)
end

describe("A relative time counts from the call", function()
  it("in sleep", lasts(tide.sleep, SPAN))

  it("in timeout", lasts(function()
    assert.is_true(tide.is(select(2, pcall(tide.timeout, SPAN, tide.sleep, 60)), "timeout"))
  end))

  it("in the block form of timeout", lasts(function()
    pcall(function()
      local _ <close> = tide.timeout(SPAN)
      tide.sleep(60)
    end)
  end))

  it("in move_on_after", lasts(function() assert.is_false(tide.move_on_after(SPAN, tide.sleep, 60)) end))

  it("in scope", lasts(function() assert.is_false(tide.scope(function() tide.sleep(60) end, { timeout = SPAN })) end))

  it("in wait_for", lasts(function() pcall(tide.wait_for, tide.Future(), SPAN) end))

  it("in call_later", lasts(function()
    local called = tide.Event()
    tide.call_later(SPAN, called.set, called)
    called:wait()
  end))

  it("in select's after", lasts(function() tide.select(tide.after(SPAN)) end))

  it("in interval", lasts(function()
    local ticks = tide.interval(SPAN)
    ticks()
  end))

  it("in an iterator's timeout", lasts(function()
    pcall(tide.iter(tide.Queue(1)):timeout(SPAN))
  end))

  it("in debounce", lasts(function()
    local queue = tide.Queue(1)
    queue:put(1)
    local values <close> = tide.iter(queue):debounce(SPAN)
    assert.are.equal(1, values())
  end))

  it("in throttle", run(function()
    local queue = tide.Queue(2)
    local values = tide.iter(queue):throttle(SPAN)
    queue:put(1)
    assert.are.equal(1, values())
    work()
    queue:put(2)
    assert.are.equal(2, values())
  end))

  it("so that what another task did in the turn is no part of it", run(function()
    local task = tide.spawn(work)
    local slept = tide.spawn(after_work, tide.sleep, SPAN)
    task:await()
    assert.is_true(slept:await() >= SPAN - 0.02)
  end))

  it("as tide.time does", run(function()
    local began = tide.time()
    work()
    assert.is_true(tide.time() - began >= SPAN)
  end))

  it("and ticks that passed meanwhile are left out", run(function()
    local ticks = tide.interval(SPAN / 4)
    local first = ticks()
    work()
    assert.is_true(ticks() > first + 3)
  end))
end)

describe("Equal sleeps begun together", function()
  it("end in one turn", run(function()
    local turns, tried = 2, 0
    while turns > 1 and tried < 20 do -- a busy machine may take the process away in the middle
      tried = tried + 1
      local ends = {}
      local function sleeper(seconds)
        tide.sleep(seconds)
        ends[tide.stats().turns] = true
      end
      tide.gather { tide.spawn(sleeper, 0.005), tide.spawn(sleeper, 0.005), tide.spawn(sleeper, 0.005) }
      turns = 0
      for _ in pairs(ends) do turns = turns + 1 end
    end
    assert.are.equal(1, turns)
  end))
end)
