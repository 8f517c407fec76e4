-- Iterators that have tasks: buffer, map_concurrent, merge, debounce.
local tide = require "tide"
local helper = require "spec.helper"
local sweep = require "spec.sweep"

local run, turns, raises, fails = tide.testing.wrap, helper.turns, helper.raises, helper.fails

-- An Iter whose body yields what it gives.
local function generator(body)
  return tide.generator(body)
end

-- An Iter over the values, each after so many turns, and a table {closed=, pulled=} of how often it
-- was; what is no number fails with that value.
local function watched(list, pause)
  local seen, i = { closed = 0, pulled = 0 }, 0
  local function step()
    turns(pause or 1)
    i = i + 1
    if list[i] == nil then return nil end
    seen.pulled = seen.pulled + 1
    if type(list[i]) ~= "number" then error(list[i], 0) end
    return list[i]
  end
  return tide.iter(step, nil, nil, helper.closer(function() seen.closed = seen.closed + 1 end)), seen
end

local steps_of = helper.steps_of

local VIRTUAL = { clock = "virtual" }

local function double(x) return x * 2 end
local function same(expected, actual) assert.are.same(expected, actual) end

-- All the iterator gives before it fails, and the error.
local function until_error(iter)
  local list = {}
  local ok, err = pcall(function()
    for x in iter:each() do list[#list + 1] = x end
  end)
  assert(not ok, "no error")
  return list, err
end

-- Takes a step that is cancelled when the tasks have begun.
local function begin(iter)
  local task = tide.spawn(iter)
  turns(8)
  task:cancel()
  raises("cancelled", task.await, task)
end

local function count_tasks() return #tide.all_tasks() end

-- What every combinator with tasks does, given what makes one over a source.
local function behaves(make)
  it("gives nothing where there is nothing", run(function()
    same({}, make(tide.iter {}):collect())
  end))

  it("does nothing before the first step", run(function()
    local before = count_tasks()
    local source, seen = watched { 1, 2 }
    local iter = make(source)
    turns(5)
    assert.are.equal(0, seen.pulled)
    assert.are.equal(before, count_tasks())
    iter:close()
    assert.are.equal(1, seen.closed)
    assert.is_nil(iter())
  end))

  it("leaves no task at the end, and closes the source", run(function()
    local before = count_tasks()
    local source, seen = watched { 1, 2, 3 }
    make(source):foreach(function() end)
    assert.are.equal(before, count_tasks())
    assert.are.equal(1, seen.closed)
  end))

  it("gives nil after the end", run(function()
    local iter = make(tide.iter { 1 })
    assert.are.equal(1, (iter()))
    for _ = 1, 3 do assert.is_nil(iter()) end
  end))

  it("gives the source's error once, after what came before", run(function()
    local failure = {}
    local before = count_tasks()
    local source, seen = watched { 1, 2, failure, 4 }
    local iter = make(source)
    local got, err = until_error(iter)
    assert.are.equal(2, got[#got])
    assert.are.equal(failure, err)
    assert.is_nil(iter())
    assert.are.equal(before, count_tasks())
    same({ closed = 1, pulled = 3 }, seen)
  end))

  for name, leave in pairs {
    ["break"] = function(iter)
      for _ in iter:each() do break end -- luacheck: ignore
    end,
    ["return"] = function(iter)
      for x in iter:each() do
        if x then return x end
      end
    end,
    ["an error"] = function(iter)
      pcall(function()
        for _ in iter:each() do error "left" end
      end)
    end,
    ["close"] = function(iter)
      iter()
      iter:close()
    end,
    ["take"] = function(iter)
      local taken = iter:take(1)
      taken()
    end,
    ["first"] = function(iter) iter:first() end,
  } do
    it(name .. " closes it: its tasks have ended", run(function()
      local before = count_tasks()
      local source, seen = watched { 1, 2, 3, 4, 5, 6 }
      local iter = make(source)
      leave(iter)
      assert.are.equal(before, count_tasks())
      assert.are.equal(1, seen.closed)
      assert.is_nil(iter())
    end))
  end

  it("awaits its tasks also where the closer is cancelled", run(function()
    local cleaned, before = false, count_tasks()
    local task = tide.spawn(function()
      local iter <close> = make(tide.iter(function()
        local _ <close> = helper.closer(function()
          tide.shield(turns, 3)
          cleaned = true
        end)
        tide.sleep(60)
      end))
      iter()
    end)
    turns(3)
    task:cancel()
    raises("cancelled", task.await, task)
    assert.is_true(cleaned)
    assert.are.equal(before, count_tasks())
  end))

  it("raises from close what cleaning up raises", run(function()
    local failure = {}
    local iter = make(tide.iter(function()
      local _ <close> = helper.closer(helper.failing(failure))
      tide.sleep(60)
    end))
    begin(iter)
    same({ false, failure }, { pcall(iter.close, iter) })
    iter:close()
  end))

  it("can be closed by another task while one waits in it", run(function()
    local iter = make(tide.iter(function() tide.sleep(60) end))
    local task = tide.spawn(iter)
    turns(3)
    iter:close()
    assert.is_nil(task:await())
  end))

  it("dropped unfinished it is collected, and its tasks are cancelled", run(function()
    local before, ended = count_tasks(), false
    local function drop()
      local iter = make(tide.iter(function()
        local _ <close> = helper.closer(function() ended = true end)
        tide.sleep(60)
      end))
      begin(iter)
    end
    drop()
    assert.is_true(count_tasks() > before)
    collectgarbage()
    collectgarbage()
    turns(4)
    assert.is_true(ended)
    assert.are.equal(before, count_tasks())
  end))

  it("dropped unfinished, its cleanup's failure is reported", run(function()
    local failures = helper.collect_failures()
    local function drop()
      begin(make(tide.iter(function()
        local _ <close> = helper.closer(helper.failing "in cleanup")
        tide.sleep(60)
      end)))
    end
    drop()
    collectgarbage()
    collectgarbage()
    turns(6)
    assert.are.equal(1, #failures)
    assert.matches("in cleanup", tostring(failures[1].err))
  end))

  it("is not collected while only its step is held", run(function()
    local function step_of()
      return (make(tide.iter { 1, 2, 3 }):map(double):each())
    end
    local step = step_of()
    assert.are.equal(2, (step()))
    collectgarbage()
    collectgarbage()
    turns(4)
    assert.is_truthy(step())
    step = nil -- luacheck: ignore
    collectgarbage()
    turns(4)
  end))

  it("hears of it where somebody else cancels its tasks", run(function()
    local known = {}
    for _, task in ipairs(tide.all_tasks()) do known[task] = true end
    local iter = make(tide.iter(function() tide.sleep(60) end))
    begin(iter)
    for _, task in ipairs(tide.all_tasks()) do
      if not known[task] then task:cancel() end
    end
    local ok, err = tide.raw.pcall(iter)
    if not ok then assert.is_true(tide.is(err, "cancelled")) end
    iter:close()
  end))

  if not helper.inside then
    it("needs a task", function()
      local iter = make(tide.iter { 1 })
      raises("no_task", iter)
      assert.is_nil(iter())
    end)
  end

  it("ends where its task is ended before it has begun", run(function()
    for _, method in ipairs { "cancel", "kill" } do
      local known = {}
      for _, task in ipairs(tide.all_tasks()) do known[task] = true end
      local iter = make(tide.iter { 1 })
      local consumer = tide.spawn(iter)
      known[consumer] = true
      local killer = tide.spawn(function()
        for _, task in ipairs(tide.all_tasks()) do
          if not known[task] and task ~= tide.current_task() then task[method](task) end
        end
      end)
      tide.wait { killer, consumer }
      raises("cancelled", consumer.result, consumer)
      assert.is_nil(iter())
    end
  end))

  it("whose consumer is killed closes a generator without complaint", run(function()
    local failures, closed = helper.collect_failures(), false
    local before = count_tasks()
    local iter = make(generator(function(yield)
      local _ <close> = helper.closer(function() closed = true end)
      for i = 1, 100 do
        tide.sleep(0)
        yield(i)
      end
    end))
    local consumer = tide.spawn(function()
      for _ in iter:each() do tide.sleep(0) end
    end)
    turns(6)
    consumer:kill()
    turns(6)
    same({}, failures)
    assert.is_true(closed)
    assert.are.equal(before, count_tasks())
  end))

  local function sweep_setup(s)
    s.queue = tide.Queue()
    for i = 1, 5 do s.queue:put(i) end
    s.queue:close()
    s.got = {}
    s.iter = make(tide.iter(function()
      turns(1)
      return not s.queue:empty() and s.queue:get_nowait() or nil
    end))
  end

  it("cancelled at every suspension: a step loses nothing", sweep.it {
    setup = sweep_setup,
    subject = function(s)
      for x in function() return (s.iter()) end do
        s.got[#s.got + 1] = x
        turns(1)
      end
    end,
    check = function(s)
      for x in s.iter:each() do s.got[#s.got + 1] = x end
      table.sort(s.got)
      same({ 1, 2, 3, 4, 5 }, s.got)
    end,
  })

  it("cancelled at every suspension: a loop leaves no task", sweep.it {
    setup = sweep_setup,
    subject = function(s)
      for x in s.iter:each() do
        turns(1)
        if x == 4 then break end
      end
    end,
    check = function(s)
      s.iter:close()
      assert.is_nil(s.iter())
      if s.mode == "nested" then turns(16) end -- in coroutine.close nothing can wait
    end,
  })
end

describe("buffer", function()
  behaves(function(source) return source:buffer(2) end)
  behaves(function(source) return source:buffer(1):buffer(3) end)

  it("gives the same values in order", run(function()
    same({ 1, 2, 3, 4, 5 }, tide.iter { 1, 2, 3, 4, 5 }:buffer(2):collect())
    same({ { 1, "x" }, { 2, "y" } }, steps_of(tide.iter(ipairs { "x", "y" }):buffer(1)))
    same({ false, 1 }, tide.iter { false, 1 }:buffer(9):collect())
  end))

  it("reads ahead at most n", run(function()
    local source, seen = watched({ 1, 2, 3, 4, 5, 6, 7 }, 0)
    local iter <close> = source:buffer(3)
    assert.are.equal(1, iter())
    turns(10)
    assert.are.equal(4, seen.pulled)
    iter()
    turns(10)
    assert.are.equal(5, seen.pulled)
  end))

  it("reads while the consumer is at work", run(function()
    local log = helper.log()
    local iter = tide.iter { 1, 2 }:map(function(x)
      log("read " .. x)
      return x
    end):buffer(1)
    for x in iter:each() do
      turns(4)
      log("used " .. x)
    end
    same({ "read 1", "read 2", "used 1", "used 2" }, { table.unpack(log) })
  end))

  it("may be shared by tasks", run(function()
    local iter <close> = watched({ 1, 2, 3, 4 }):buffer(1)
    local tasks = {}
    for i = 1, 4 do tasks[i] = tide.spawn(iter) end
    same({ 1, 2, 3, 4, n = 4 }, tide.gather(tasks))
  end))

  it("passes on an error object by identity, several values intact", run(function()
    local failure = tide.error("mine", "broken")
    local got, err = until_error(generator(function(yield)
      yield(1, nil, 3)
      error(failure)
    end):buffer(5))
    same({ 1 }, got)
    assert.are.equal(failure, err)
    assert.are.equal(4, select("#", tide.iter(function() return 1, nil, 3, nil end):buffer(1):first()))
  end))
end)

describe("map_concurrent", function()
  describe("in order", function()
    behaves(function(source) return source:map_concurrent(2, function(x) return x end) end)
  end)

  describe("as they come", function()
    behaves(function(source)
      return source:map_concurrent(2, function(x)
        turns(1)
        return x
      end, { ordered = false })
    end)
  end)

  -- Takes longer the smaller the number is.
  local function slowest_first(x)
    turns(2 * (6 - x))
    return x * 10
  end

  it("gives results in order", run(function()
    same({ 10, 20, 30, 40, 50 }, tide.iter { 1, 2, 3, 4, 5 }:map_concurrent(5, slowest_first):collect())
    same({ 10, 20 }, tide.iter { 1, 2 }:map_concurrent(1, slowest_first, { ordered = true }):collect())
    same({ 10, 20 }, tide.iter { 1, 2 }:map_concurrent(2, slowest_first, {}):collect())
  end))

  it("gives results as they come", run(function()
    same({ 50, 40, 30, 20, 10 },
      tide.iter { 1, 2, 3, 4, 5 }:map_concurrent(5, slowest_first, { ordered = false }):collect())
  end))

  it("has at most n at work, and gets there", run(function()
    for _, ordered in ipairs { true, false } do
      local at_work, most, list = 0, 0, {}
      for i = 1, 20 do list[i] = i end
      tide.iter(list):map_concurrent(3, function(x)
        at_work = at_work + 1
        most = math.max(most, at_work)
        turns(x % 4)
        at_work = at_work - 1
        return x
      end, { ordered = ordered }):collect()
      assert.are.equal(3, most)
    end
  end))

  it("takes no more than n values before the first result is taken", run(function()
    local source, seen = watched({ 1, 2, 3, 4, 5, 6 }, 0)
    local iter <close> = source:map_concurrent(2, double)
    iter()
    turns(10)
    assert.are.equal(3, seen.pulled)
  end))

  it("passes several values in and out", run(function()
    same({ { "x", 1 }, { "y", 2 } },
      steps_of(tide.iter(ipairs { "x", "y" }):map_concurrent(2, function(i, v) return v, i end)))
  end))

  it("refuses nil", run(function()
    fails("bad result of the function given to 'map_concurrent' (value expected, got nil)",
      tide.iter({ 1 }):map_concurrent(2, function() end))
  end))

  it("in order, an error comes after the results before it, and cancels the work behind it", run(function()
    local failure, cancelled, before = {}, {}, count_tasks()
    local iter = tide.iter { 1, 2, 3, 4, 5 }:map_concurrent(5, function(x)
      if x == 3 then
        turns(1)
        error(failure, 0)
      end
      local _ <close> = helper.closer(function(_, err)
        if err then cancelled[#cancelled + 1] = x end
      end)
      turns(x < 3 and 8 or 100)
      return x
    end)
    local got, err = until_error(iter)
    same({ 1, 2 }, got)
    assert.are.equal(failure, err)
    table.sort(cancelled)
    same({ 4, 5 }, cancelled)
    assert.are.equal(before, count_tasks())
  end))

  it("in order, of two errors the one in front counts", run(function()
    local got, err = until_error(tide.iter { 1, 2, 3 }:map_concurrent(3, function(x)
      turns(2 * (6 - x))
      if x > 1 then error("error " .. x, 0) end
      return x
    end))
    same({ 1 }, got)
    assert.are.equal("error 2", err)
  end))

  it("as they come, an error cancels all others at once", run(function()
    local failure, ended = {}, 0
    local iter = tide.iter { 1, 2, 3, 4 }:map_concurrent(4, function(x)
      if x == 1 then return x end
      local _ <close> = helper.closer(function() ended = ended + 1 end)
      turns(x)
      if x == 2 then error(failure, 0) end
      tide.sleep(60)
    end, { ordered = false })
    local got, err = until_error(iter)
    same({ 1 }, got)
    assert.are.equal(failure, err)
    assert.are.equal(3, ended)
  end))

  it("gives the results of what came before an error of the source", run(function()
    for _, ordered in ipairs { true, false } do
      local failure = {}
      local got, err = until_error(watched { 1, 2, failure }:map_concurrent(3, function(x)
        turns(10)
        return x
      end, { ordered = ordered }))
      same({ 1, 2 }, got)
      assert.are.equal(failure, err)
    end
  end))

  it("can be closed by its own function", run(function()
    local before, iter = count_tasks(), nil
    iter = tide.iter { 1, 2, 3 }:map_concurrent(2, function(x)
      if x == 2 then iter:close() end
      turns(2)
      return x
    end)
    same({}, iter:collect())
    turns(6)
    assert.are.equal(before, count_tasks())
  end))

  it("checks its arguments", function()
    local iter = tide.iter {}
    fails("bad argument #1 to 'map_concurrent' (number expected, got nil)", function() iter:map_concurrent() end)
    fails("bad argument #1 to 'map_concurrent' (must be at least 1)", function() iter:map_concurrent(0, double) end)
    fails("bad argument #2 to 'map_concurrent' (function expected", function() iter:map_concurrent(1) end)
    fails("bad argument #3 to 'map_concurrent' (table expected", function() iter:map_concurrent(1, double, 1) end)
    fails("bad argument #1 to 'buffer' (must be at least 1)", function() iter:buffer(0) end)
    fails("bad argument #1 to 'debounce' (number expected", function() iter:debounce "x" end)
    fails("bad argument #2 to 'merge' (something to iterate expected, got number)", function() iter:merge({}, 5) end)
  end)
end)

describe("merge", function()
  behaves(function(source) return source:merge {} end)
  behaves(function(source) return tide.iter({}):merge({}, source) end)

  it("gives the values of all as they come", run(function()
    local function after(pause, ...) return (watched({ ... }, pause)) end
    same({ 10, 20, 1, 2 }, after(20, 1, 2):merge(after(2, 10, 20)):collect())
  end))

  it("passes several values, and ends with the last", run(function()
    same({ { 1, "x" }, { 2, "y" } }, steps_of(tide.iter({}):merge(tide.iter(ipairs { "x", "y" }))))
    assert.are.equal(6, tide.iter({ 1, 2 }):merge({ 3 }, { 4, 5, 6 }):count())
    assert.are.equal(2, tide.iter({ 1, 2 }):merge():count())
  end))

  it("lets none of them wait for another", run(function()
    local queue = tide.Queue()
    local iter <close> = tide.iter(queue):merge { 1, 2, 3 }
    same({ 1, 2, 3 }, { iter(), iter(), iter() })
    queue:put(4)
    assert.are.equal(4, iter())
  end))

  it("reads one value ahead of each", run(function()
    local a, a_seen = watched({ 1, 2, 3, 4 }, 0)
    local b, b_seen = watched({ 1, 2, 3, 4 }, 0)
    local iter <close> = a:merge(b)
    iter()
    turns(10)
    assert.are.equal(3, a_seen.pulled + b_seen.pulled)
  end))

  it("ends all where one fails", run(function()
    local failure, before = {}, count_tasks()
    local endless, seen = watched({ 1, 1, 1, 1, 1, 1, 1, 1 }, 60)
    local other, other_seen = watched { failure }
    local got, err = until_error(tide.iter { 5 }:merge(endless, other))
    same({ 5 }, got)
    assert.are.equal(failure, err)
    assert.are.equal(1, seen.closed)
    assert.are.equal(1, other_seen.closed)
    assert.are.equal(before, count_tasks())
  end))

  it("that never began closes all its sources, where closing one fails", run(function()
    local a, a_seen = watched { 1 }
    local c, c_seen = watched { 1 }
    local b = tide.iter(function() return 1 end, nil, nil, helper.closer(helper.failing "closing"))
    local iter = a:merge(b, c)
    fails("closing", iter.close, iter)
    assert.are.equal(1, a_seen.closed)
    assert.are.equal(1, c_seen.closed)
  end))
end)

describe("debounce", function()
  -- Values, each with the pause before it.
  local function timed(list)
    return generator(function(yield)
      for i, pause in ipairs(list) do
        tide.sleep(pause)
        yield(i, "v")
      end
    end)
  end

  it("gives the last before each quiet spell, and the last of all", run(function()
    same({ { 2, "v" }, { 4, "v" }, { 5, "v" } }, steps_of(timed { 0, 1, 100, 29, 31 }:debounce(30)))
  end, VIRTUAL))

  it("of nothing is nothing", run(function()
    same({}, tide.iter({}):debounce(0.01):collect())
  end, VIRTUAL))

  it("waits no longer than the end", run(function()
    local before = tide.time()
    same({ 3 }, tide.iter({ 1, 2, 3 }):debounce(60):collect())
    assert.are.equal(before, tide.time())
  end, VIRTUAL))

  it("gives what it has before an error", run(function()
    local failure = {}
    local got, err = until_error(watched { 1, 2, failure }:debounce(60))
    same({ 2 }, got)
    assert.are.equal(failure, err)
  end, VIRTUAL))

  it("sees quiet spells that pass while the consumer is at work", run(function()
    local log = {}
    for x in timed { 0, 40, 1 }:debounce(10):each() do
      log[#log + 1] = x
      tide.sleep(100)
    end
    same({ 1, 3 }, log)
  end, VIRTUAL))

  it("leaves no task where the loop is left", run(function()
    local before = count_tasks()
    for _ in timed { 0, 50, 60 }:debounce(1):each() do break end -- luacheck: ignore
    assert.are.equal(before, count_tasks())
  end, VIRTUAL))

  it("dropped unfinished it is collected, and its tasks are cancelled", run(function()
    local before = count_tasks()
    local function drop() begin(timed({ 60 }):debounce(1)) end
    drop()
    collectgarbage()
    collectgarbage()
    turns(8)
    collectgarbage()
    turns(8)
    assert.are.equal(before, count_tasks())
  end))

  it("cancelled at every suspension: leaves no task", sweep.it {
    setup = function(s)
      s.iter = watched({ 1, 2, 3 }):debounce(0)
    end,
    subject = function(s)
      for _ in s.iter:each() do turns(1) end
    end,
    check = function(s)
      s.iter:close()
      if s.mode == "nested" then turns(16) end
    end,
  })
end)
