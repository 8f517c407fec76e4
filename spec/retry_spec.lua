-- tide.retry: calling a function until it does not fail.
local tide = require "tide"
local helper = require "spec.helper"

local run = tide.testing.wrap
local raises, fails, failing = helper.raises, helper.fails, helper.failing

-- A function that fails so many times, with that error, and then gives the results.
local function flaky(times, err, ...)
  local results = table.pack(...)
  local self = { calls = 0, times = {} }
  return setmetatable(self, { __call = function()
    self.calls = self.calls + 1
    self.times[self.calls] = tide.time()
    if self.calls <= times then error(err, 0) end
    return table.unpack(results, 1, results.n)
  end })
end

-- The spans between its calls.
local function pauses(f)
  local spans = {}
  for i = 2, #f.times do spans[i - 1] = f.times[i] - f.times[i - 1] end
  return spans
end

describe("tide.retry", function()
  it("gives the results of the first call that does not fail", run(function()
    for times = 0, 2 do
      local f = flaky(times, "oops", "a", nil, 3)
      assert.are.same({ "a", nil, 3, n = 3 }, table.pack(tide.retry(f)))
      assert.are.equal(times + 1, f.calls)
    end
    assert.are.equal(0, select("#", tide.retry(function() end)))
  end))

  it("raises the last error, by identity, with the number of tries", run(function()
    local calls, last = 0, nil
    local function f()
      calls = calls + 1
      last = tide.error("mine", "try " .. calls)
      error(last)
    end
    local err = raises("mine", tide.retry, f, { times = 5 })
    assert.are.equal(last, err)
    assert.are.same({ 5, 5 }, { calls, err.tries })
    assert.are.equal(1, raises("mine", tide.retry, f, { times = 1 }).tries)
    fails("a string", tide.retry, failing "a string")
    assert.are.same({ false, nil, n = 2 }, table.pack(pcall(tide.retry, failing(nil))))
  end))

  it("keeps the traceback of the error", run(function()
    local function culprit() error "oops" end
    local task = tide.spawn(tide.retry, function() culprit() return 1 end)
    pcall(task.await, task)
    assert.matches("'culprit'", task:traceback())
  end))

  it("sleeps between the calls, each time longer by the factor", run(function()
    local f = flaky(9, "oops")
    pcall(tide.retry, f, { times = 5, delay = 1, jitter = false })
    assert.are.same({ 1.0, 2.0, 4.0, 8.0 }, pauses(f))
    f = flaky(9, "oops")
    pcall(tide.retry, f, { times = 4, delay = 2, factor = 1, jitter = false })
    assert.are.same({ 2.0, 2.0, 2.0 }, pauses(f))
  end))

  it("sleeps no longer than a minute, or than it is told", run(function()
    local function pauses_with(opts)
      local f = flaky(99, "oops")
      opts.jitter = false
      pcall(tide.retry, f, opts)
      return pauses(f)
    end
    assert.are.same({ 25.0, 50.0, 60.0, 60.0 }, pauses_with { times = 5, delay = 25 })
    assert.are.same({ 1.0, 2.0, 3.5, 3.5 }, pauses_with { times = 5, delay = 1, max_delay = 3.5 })
    assert.are.same({ 2.0, 2.0 }, pauses_with { times = 3, delay = 5, max_delay = 2 })
    assert.are.same({ 100.0, 100.0 }, pauses_with { times = 3, delay = 100 }) -- who asks for more gets it
    assert.are.same({ 50.0, 100.0, 200.0 }, pauses_with { times = 4, delay = 50, max_delay = math.huge })
    assert.are.same({ 0.0, 0.0 }, pauses_with { times = 3, delay = 5, max_delay = 0 })
    assert.are.equal(60.0, pauses_with { times = 66, delay = 1, factor = 1e300 }[65]) -- not infinity, nor NaN
  end))

  it("sleeps by chance down to half as long", run(function()
    local least, most = math.huge, 0
    for _ = 1, 100 do
      local f = flaky(1, "oops")
      tide.retry(f, { delay = 4 })
      local pause = pauses(f)[1]
      least, most = math.min(least, pause), math.max(most, pause)
    end
    assert.is_true(least >= 2 and least < 2.5 and most > 3.5 and most <= 4, least .. " " .. most)
  end))

  it("lets others run where it does not sleep", run(function()
    local ran = false
    tide.spawn(function() ran = true end)
    tide.retry(flaky(1, "oops"))
    assert.is_true(ran)
  end))

  it("is for some errors only: a kind, kinds, what a function says", run(function()
    local closed, other = tide.error("closed", "c"), tide.error("other", "o")
    for _, on in ipairs { "closed", { "timeout", "closed" }, function(err) return err == closed end } do
      assert.are.equal("ok", tide.retry(flaky(2, closed, "ok"), { on = on }))
      local f = flaky(1, other, "ok")
      assert.are.equal(other, raises("other", tide.retry, f, { on = on }))
      assert.are.same({ 1, 1 }, { f.calls, other.tries })
    end
    fails("predicate", tide.retry, flaky(1, "oops"), { on = failing "predicate" })
  end))

  it("ends when the task is cancelled, in a call or between two", run(function()
    for _, f in ipairs { function() tide.sleep(5) end, failing "oops" } do
      local calls = 0
      local task = tide.spawn(tide.retry, function() calls = calls + 1 f() end, { times = 100, delay = 5 })
      tide.sleep(1)
      task:cancel()
      raises("cancelled", task.await, task)
      assert.are.equal(1, calls)
    end
    raises("timeout", tide.timeout, 3, tide.retry, failing "oops", { times = 100, delay = 1, factor = 1, jitter = false })
  end))

  it("refuses wrong arguments", run(function()
    fails("bad argument #1 to 'retry' (function expected, got nil)", tide.retry)
    for field, value in pairs { times = 0, delay = -1, factor = 0.5, max_delay = -1, jitter = 1, on = 5 } do
      fails(("bad argument #2 to 'retry' (field '%s' must be"):format(field), tide.retry, print, { [field] = value })
    end
    fails("field 'on' must be a kind, a list of kinds or a function", tide.retry, print, { on = { 1 } })
    fails("unknown option 'time'", tide.retry, print, { time = 1 })
  end))
end)
