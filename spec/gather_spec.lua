-- Several at once: gather, wait, race, as_completed, wait_for, and shield of an awaitable.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, failing = helper.run, helper.turns, helper.failing
local raises, fails = helper.raises, helper.fails

-- A function that takes n turns and gives the results.
local function after(n, ...)
  local results = table.pack(...)
  return function()
    turns(n)
    return table.unpack(results, 1, results.n)
  end
end

-- f gets a function that cleans up for a while, twice: both have done so when its cancellation ends.
local function cancels_all(f)
  local cleaned = 0
  local function worker()
    local _ <close> = helper.closer(function()
      tide.shield(turns, 2)
      cleaned = cleaned + 1
    end)
    tide.sleep(5)
  end
  local task = tide.spawn(f, worker)
  turns(3)
  task:cancel()
  raises("cancelled", task.await, task)
  assert.are.equal(2, cleaned)
end

describe("tide.gather", function()
  it("gives the first results in order", run(function()
    assert.are.same({ "a", "b", "c", n = 3 }, tide.gather { after(3, "a", "x"), after(1, "b"), after(2, "c") })
  end))

  it("runs functions concurrently", run(function()
    local log = helper.log()
    local function worker(name)
      return function()
        for i = 1, 2 do
          log(name .. i)
          tide.sleep(0)
        end
      end
    end
    tide.gather { worker "a", worker "b" }
    assert.are.same({ "a1", "b1", "a2", "b2" }, { table.unpack(log) })
  end))

  it("takes Tasks, Futures and awaitables", run(function()
    local future = tide.Future()
    tide.spawn(function()
      turns(2)
      future:set_result("future", 2)
    end)
    local awaitable = setmetatable({}, { __await = function() return "awaited" end })
    assert.are.same({ "task", "future", "awaited", "function", n = 4 },
      tide.gather { tide.spawn(after(1, "task")), future, awaitable, after(0, "function") })
  end))

  it("leaves nil where there was no result", run(function()
    assert.are.same({ nil, 2, nil, n = 3 }, tide.gather { after(0), after(0, 2), after(1, nil) })
  end))

  it("of nothing is empty", run(function()
    assert.are.same({ n = 0 }, tide.gather {})
    assert.are.same({ n = 0 }, tide.gather { limit = 3 })
  end))

  it("may have the same task twice", run(function()
    local task = tide.spawn(after(1, "r"))
    assert.are.same({ "r", "r", n = 2 }, tide.gather { task, task })
  end))

  it("raises the first error; the others run on", run(function()
    local failure, finished = {}, false
    local ok, err = pcall(tide.gather, {
      function()
        turns(4)
        finished = true
      end,
      function()
        turns(1)
        error(failure, 0)
      end,
    })
    assert.are.same({ false, failure }, { ok, err })
    assert.is_false(finished)
    turns(5)
    assert.is_true(finished)
  end))

  it("gives errors among the results where that was asked for", run(function()
    local failure = {}
    local results = tide.gather { failing(failure), after(1, 2), return_errors = true }
    assert.are.equal(failure, results[1])
    assert.are.equal(2, results[2])
  end))

  it("raises `cancelled` where an entry was cancelled", run(function()
    local task = tide.spawn(tide.sleep, 5)
    task:cancel()
    local err = raises("cancelled", tide.gather, { task })
    assert.are.equal(task, err.task)
    tide.sleep(0)
  end))

  it("cancelled cancels all and waits for their ends", run(function()
    cancels_all(function(worker) tide.gather { worker, worker } end)
  end))

  it("cancelled raises what an entry fails with in its cleanup", run(function()
    local function worker()
      local _ <close> = helper.closer(function() error("could not save", 0) end)
      tide.sleep(5)
    end
    for _, return_errors in ipairs { false, true } do
      local task = tide.spawn(tide.gather, { after(900), worker, return_errors = return_errors })
      turns(2)
      task:cancel()
      assert.are.equal("could not save", helper.fails("could not save", task.await, task))
      assert.are.equal("failed", task:status())
    end
  end))

  it("in a cancelled scope leaves nothing running", run(function()
    local ran = 0
    local before = #tide.all_tasks()
    tide.scope(function(scope)
      scope:cancel()
      tide.gather { function() ran = ran + 1 turns(5) end, function() ran = ran + 1 turns(5) end }
    end)
    assert.are.equal(before, #tide.all_tasks())
    assert.are.equal(0, ran)
  end))

  it("cancelled between two results leaves nothing running", run(function()
    local before = #tide.all_tasks()
    local task = tide.spawn(tide.gather, { after(1), after(20) })
    turns(1)
    while task:status() == "waiting" do tide.sleep(0) end
    task:cancel()
    tide.wait { task }
    assert.is_true(task:cancelled())
    assert.are.equal(before, #tide.all_tasks())
  end))
end)

describe("tide.wait", function()
  it("gives done and pending, of all", run(function()
    local a, b = tide.spawn(after(2)), tide.spawn(failing "x")
    local done, pending = tide.wait { a, b }
    assert.are.same({ a, b }, done)
    assert.are.same({}, pending)
  end))

  it("returns when the first has ended", run(function()
    local slow, fast = tide.spawn(after(9)), tide.spawn(after(1))
    local done, pending = tide.wait { slow, fast, return_when = "first" }
    assert.are.same({ fast }, done)
    assert.are.same({ slow }, pending)
  end))

  it("returns at the first error, or when all have ended", run(function()
    local good, bad, slow = tide.spawn(after(1)), tide.spawn(function() turns(3) error "x" end), tide.spawn(after(20))
    local done, pending = tide.wait { good, bad, slow, return_when = "first_error" }
    assert.are.same({ good, bad }, done)
    assert.are.same({ slow }, pending)
    done, pending = tide.wait { good, return_when = "first_error" }
    assert.are.same({ { good }, {} }, { done, pending })
    local cancelled = tide.spawn(tide.sleep, 5)
    cancelled:cancel()
    done = tide.wait { cancelled, good, return_when = "first_error" }
    assert.are.equal(2, #done)
  end))

  it("has a timeout, which raises nothing and cancels nothing", run(function()
    local fast, slow = tide.spawn(turns), tide.spawn(tide.sleep, 5)
    local done, pending = tide.wait { fast, slow, timeout = 0.002 }
    assert.are.same({ fast }, done)
    assert.are.same({ slow }, pending)
    assert.are.equal("waiting", slow:status())
    slow:cancel()
  end))

  it("of nothing returns at once", run(function()
    assert.are.same({ {}, {} }, { tide.wait {} })
  end))

  it("spawns functions", run(function()
    local done = tide.wait { after(1, "r") }
    assert.are.equal("r", done[1]:result())
  end))

  it("cancelled leaves its tasks alone", run(function()
    local task = tide.spawn(after(4, "r"))
    local waiter = tide.spawn(tide.wait, { task })
    turns(2)
    waiter:cancel()
    turns(1)
    assert.is_true(waiter:cancelled())
    assert.are.equal("r", task:await())
  end))
end)

-- Counts how many of its functions run at a time.
local function counter()
  local self = { running = 0, most = 0, begun = 0 }
  function self.work(n, ...)
    local results = table.pack(...)
    return function()
      self.begun, self.running = self.begun + 1, self.running + 1
      self.most = math.max(self.most, self.running)
      local _ <close> = helper.closer(function() self.running = self.running - 1 end)
      turns(n)
      return table.unpack(results, 1, results.n)
    end
  end
  return self
end

describe("tide.gather with a limit", function()
  it("runs so many functions at once, in order, each as another one ends", run(function()
    for limit = 1, 7 do
      local c = counter()
      local entries = { limit = limit }
      for i = 1, 6 do entries[i] = c.work(7 - i, i) end
      assert.are.same({ 1, 2, 3, 4, 5, 6, n = 6 }, tide.gather(entries))
      assert.are.equal(math.min(limit, 6), c.most)
    end
  end))

  it("does not count what runs already", run(function()
    local c = counter()
    local future = tide.Future()
    local task = tide.spawn(after(3, "task"))
    local results = tide.gather {
      future, c.work(1, "a"), task, function() future:set_result "future" return "b" end, c.work(2, "c"), future,
      limit = 1,
    }
    assert.are.same({ "future", "a", "task", "b", "c", "future", n = 6 }, results)
    assert.are.equal(1, c.most)
  end))

  it("begins none of those kept back after an error; those that run go on", run(function()
    local c = counter()
    local ended = false
    fails("oops", tide.gather, {
      limit = 3,
      function() turns(4) ended = true end,
      function() turns(1) error("oops", 0) end,
      c.work(1), -- ends in the same turn
      c.work(1),
      c.work(1),
    })
    turns(5)
    assert.are.same({ true, 1 }, { ended, c.begun })
  end))

  it("gives errors among the results, and goes on", run(function()
    local results = tide.gather { failing "a", after(1, 2), failing "c", after(0, 4), limit = 1, return_errors = true }
    assert.are.same({ "a", 2, "c", 4, n = 4 }, results)
  end))

  it("cancelled ends those that run and begins no others", run(function()
    local c = counter()
    local task = tide.spawn(tide.gather, { c.work(9), c.work(9), c.work(9), limit = 2 })
    turns(3)
    task:cancel()
    raises("cancelled", task.await, task)
    assert.are.same({ 2, 0 }, { c.begun, c.running })
  end))

  it("goes through many entries with few tasks", run(function()
    local entries = { limit = 3 }
    for i = 1, 20000 do entries[i] = function() return i end end
    collectgarbage()
    local before = collectgarbage "count"
    local results = tide.gather(entries)
    assert.are.equal(20000, results[20000])
    assert.is_true(#tide.all_tasks() < 10)
    assert.is_true(collectgarbage "count" - before < 32768)
  end))

  it("refuses what is no limit", run(function()
    for _, limit in ipairs { 0, -1, 1.5, "2" } do
      fails("field 'limit' must be a positive integer", tide.gather, { limit = limit })
    end
  end))
end)

describe("an entry that is the result of a call", function()
  it("is refused, with what to write", run(function()
    local begun = false
    for _, name in ipairs { "gather", "wait", "race", "as_completed", "first_success" } do
      fails("expected, got number: the result of a call was given; to have it called, write function() return f(...) end",
        tide[name], { function() begun = true end, math.max(1, 2) })
    end
    turns(2)
    assert.is_false(begun)
  end))
end)

describe("tide.first_success", function()
  it("gives the first that does not fail, with all its results, and ends the others", run(function()
    local ended = {}
    local function loser(name)
      return function()
        local _ <close> = helper.closer(function() tide.shield(turns, 2) ended[#ended + 1] = name end)
        tide.sleep(5)
      end
    end
    assert.are.same({ 3, "x", nil, 2, n = 4 }, table.pack(tide.first_success {
      failing "a", loser "b", after(2, "x", nil, 2), loser "d", tide.spawn(failing "e"),
    }))
    assert.are.same({ "b", "d" }, ended)
  end))

  it("raises an ErrorGroup of all, in the order of the entries, where all fail", run(function()
    local failures = helper.collect_failures()
    local task = tide.spawn(tide.sleep, 5)
    task:cancel()
    local err = raises("group", tide.first_success, {
      function() turns(3) error("a", 0) end, failing "b", failing(nil), task,
    })
    assert.are.same({ "a", "b", "<no error object>" }, { table.unpack(err.errors, 1, 3) })
    assert.is_true(tide.is(err.errors[4], "cancelled"))
    assert.are.equal(task, err.errors[4].task)
    turns(2)
    assert.are.equal(0, #failures)
  end))

  it("reports what fails behind the first success", run(function()
    local failures = helper.collect_failures()
    assert.are.equal(1, tide.first_success {
      after(1, "a"),
      function() turns(1) error("same turn", 0) end,
      function() local _ <close> = helper.closer(failing "cleanup") tide.sleep(5) end,
      function() turns(0) error("before", 0) end, -- taken notice of
    })
    turns(3)
    local texts = {}
    for i, failure in ipairs(failures) do texts[i] = tostring(failure.err) end
    table.sort(texts)
    assert.are.same({ "cleanup", "same turn" }, texts)
  end))

  it("cancelled cancels all and waits for their ends", run(function()
    cancels_all(function(worker) tide.first_success { failing "a", worker, worker } end)
  end))

  it("of nothing is refused", run(function()
    fails("nothing to race", tide.first_success, {})
  end))
end)

describe("tide.race", function()
  it("gives the index and the results of the first; the others are cancelled and awaited", run(function()
    local state
    local index, a, b, c = tide.race {
      function()
        state = "running"
        local _ <close> = helper.closer(function()
          tide.shield(turns, 2)
          state = "closed"
        end)
        tide.sleep(5)
      end,
      after(2, "x", nil, "z"),
    }
    assert.are.same({ 2, "x", nil, "z" }, { index, a, b, c })
    assert.are.equal("closed", state)
  end))

  it("takes the first of those that have ended already", run(function()
    local a, b = tide.spawn(after(0, "a")), tide.spawn(after(0, "b"))
    turns(2)
    assert.are.same({ 1, "a" }, { tide.race { a, b } })
  end))

  it("raises the error where the first failed", run(function()
    local task = tide.spawn(tide.sleep, 5)
    local ok, err = pcall(tide.race, { task, failing "oops" })
    assert.are.same({ false, "oops" }, { ok, err })
    assert.is_true(task:cancelled())
  end))

  it("reports what losers fail with: in the same turn, and in their cleanup", run(function()
    local failures = helper.collect_failures()
    assert.are.equal(1, tide.race { after(1, "a"), function() turns(1) error("same turn", 0) end })
    assert.are.equal(1, tide.race { after(1, "a"), function()
      local _ <close> = helper.closer(function() error("cleanup", 0) end)
      tide.sleep(5)
    end })
    turns(2)
    assert.are.same({ "same turn", "cleanup" }, { failures[1].err, failures[2].err })
    assert.are.equal(2, #failures)
  end))

  it("leaves nobody behind where it fails itself, or is killed", run(function()
    local begun, state = {}, "not cancelled"
    local function waiter()
      begun[#begun + 1] = tide.current_task()
      tide.Event():wait()
    end
    raises("deadlock", tide.race, { tide.Future(), waiter, waiter })
    assert.is_true(begun[1]:cancelled() and begun[2]:cancelled())
    local task = tide.spawn(tide.race, { waiter, function()
      local _ <close> = helper.closer(function() state = "cancelled" end)
      waiter()
    end })
    turns(2)
    task:kill()
    turns(2)
    assert.are.equal("cancelled", state)
  end))

  it("cancels its tasks though others wait for them, when it is over and when it is cancelled", run(function()
    local task = tide.spawn(tide.sleep, 5)
    local patient = tide.spawn(raises, "cancelled", task.await, task)
    assert.are.equal(2, tide.race { task, after(2) })
    assert.is_true(task:cancelled())
    turns(1)
    assert.are.equal(task, patient:result().task)

    task = tide.spawn(tide.sleep, 5)
    patient = tide.spawn(raises, "cancelled", task.await, task)
    local race = tide.spawn(tide.race, { task })
    turns(2)
    race:cancel()
    turns(3)
    assert.is_true(race:cancelled() and task:cancelled() and patient:done())
  end))

  it("cancelled cancels all", run(function()
    local a, b = tide.spawn(tide.sleep, 5), tide.spawn(tide.sleep, 5)
    local task = tide.spawn(tide.race, { a, b })
    turns(2)
    task:cancel()
    tide.wait { task }
    assert.is_true(a:cancelled() and b:cancelled() and task:cancelled())
  end))
end)

describe("tide.as_completed", function()
  it("gives the tasks in order of completion", run(function()
    local results = {}
    for task in tide.as_completed { after(5, "c"), after(1, "a"), after(3, "b") } do
      results[#results + 1] = task:result()
    end
    assert.are.same({ "a", "b", "c" }, results)
  end))

  it("gives failed ones too, which are not reported", run(function()
    local failures, states = helper.collect_failures(), {}
    for task in tide.as_completed { failing "x", after(2) } do states[#states + 1] = task:status() end
    assert.are.same({ "failed", "done" }, states)
    assert.are.equal(0, #failures)
  end))

  it("may be left", run(function()
    local slow = tide.spawn(after(5, "slow"))
    for task in tide.as_completed { slow, after(1, "fast") } do
      if task:result() == "fast" then break end
    end
    assert.are.equal("slow", slow:await())
  end))

  -- Ways to leave its loop.
  local leave = {
    ["break"] = function(list)
      for _ in tide.as_completed(list) do break end -- luacheck: ignore 512
    end,
    ["return"] = function(list)
      for task in tide.as_completed(list) do return task end -- luacheck: ignore 512
    end,
    ["goto"] = function(list)
      for _ in tide.as_completed(list) do goto done end -- luacheck: ignore 512
      ::done::
    end,
    ["error"] = function(list)
      pcall(function()
        for _ in tide.as_completed(list) do error "left" end -- luacheck: ignore 512
      end)
    end,
    ["a timeout"] = function(list)
      tide.move_on_after(0.001, function()
        for _ in tide.as_completed(list) do tide.sleep(60) end
      end)
    end,
  }

  -- Whether cancelling one who awaits `slow` reaches it: nobody else waits for it.
  local function hands_on(slow)
    local waiter = tide.spawn(slow.await, slow)
    turns(1)
    waiter:cancel()
    turns(4)
    return slow:cancelled()
  end

  -- Lua before 5.4.5 miscompiles loops with a closing value.
  local closes = select(4, tide.as_completed {}) ~= nil

  for how, fn in pairs(leave) do
    it("waits no more where its loop was left by " .. how .. ", or when the task of that has ended", run(function()
      local slow = tide.spawn(tide.sleep, 60)
      local ended = false
      local task = tide.spawn(function()
        fn { slow, after(1) }
        if closes then
          assert.is_true(hands_on(slow))
          slow = tide.spawn(tide.sleep, 60)
        end
        ended = true
      end)
      while not ended do tide.sleep(0.001) end
      task:await()
      turns(1)
      assert.is_true(hands_on(slow))
    end))
  end

  it("waits while its loop goes on", run(function()
    local slow = tide.spawn(tide.sleep, 60)
    local task = tide.spawn(function()
      for _ in tide.as_completed { slow, after(1) } do tide.sleep(30) end
    end)
    turns(5)
    assert.is_false(hands_on(slow))
    task:kill()
    turns(1)
    assert.is_true(hands_on(slow))
  end))

  it("has a closing value where Lua does not lose it at a break", function()
    assert.are.equal(helper.break_closes(), closes)
  end)

  it("of nothing is over at once", run(function()
    for _ in tide.as_completed {} do error "not reached" end
  end))

  it("may be used inside a coroutine", run(function()
    local results = {}
    local generate = coroutine.wrap(function()
      for task in tide.as_completed { after(2, "b"), after(1, "a") } do coroutine.yield(task:result()) end
    end)
    for result in generate do results[#results + 1] = result end
    assert.are.same({ "a", "b" }, results)
  end))

  it("with a timeout around it leaves the tasks alone", run(function()
    local task = tide.spawn(tide.sleep, 0.005)
    raises("timeout", tide.timeout, 0.001, function()
      for _ in tide.as_completed { task } do error "not reached" end
    end)
    task:await()
  end))
end)

describe("an argument that is refused", function()
  it("leaves none of the entries running", run(function()
    local ran = false
    local function entry() ran = true end
    local before = #tide.all_tasks()
    for _, name in ipairs { "gather", "wait", "race", "as_completed" } do
      helper.fails(("bad argument #3 to '%s' (function, Task, Future or awaitable expected, got number:"):format(name),
        tide[name], { entry, entry, 42 })
    end
    helper.fails("bad argument #1 to 'wait' (field 'timeout' must be a number)", tide.wait, { entry, timeout = "x" })
    helper.fails("bad argument #1 to 'wait' (field 'timeout' must be a number)", tide.wait, { entry, timeout = 0 / 0 })
    helper.fails("bad argument #1 to 'wait' (field 'return_when'", tide.wait, { entry, return_when = "never" })
    assert.are.equal(before, #tide.all_tasks())
    turns(2)
    assert.is_false(ran)
  end))
end)

describe("tide.wait_for", function()
  it("gives the results in time", run(function()
    assert.are.same({ 1, 2 }, { tide.wait_for(after(1, 1, 2), 5) })
    assert.are.same({ 1, 2 }, { tide.wait_for(tide.spawn(after(1, 1, 2)), 5) })
    local future = tide.Future()
    future:set_result(3)
    assert.are.equal(3, tide.wait_for(future, 5))
  end))

  it("runs a function in the task that calls", run(function()
    local me = tide.current_task()
    tide.wait_for(function() assert.are.equal(me, tide.current_task()) end, 5)
  end))

  it("cancels what it waited for", run(function()
    local task, future = tide.spawn(tide.sleep, 5), tide.Future()
    raises("timeout", tide.wait_for, task, 0.001)
    assert.is_true(task:cancelled())
    raises("timeout", tide.wait_for, future, 0.001)
    assert.is_false(future:done()) -- it is no task
    raises("timeout", tide.wait_for, function() tide.sleep(5) end, 0.001)
  end))

  it("waits until what it cancelled has ended", run(function()
    local told = {}
    raises("timeout", tide.wait_for, helper.slow_cleanup(told), 0.001)
    assert.is_true(told.cleaned)
  end))

  it("raises the error of what it waits for", run(function()
    helper.fails("oops", tide.wait_for, tide.spawn(failing "oops"), 5)
  end))
end)

describe("tide.shield of an awaitable", function()
  it("gives its results", run(function()
    assert.are.same({ 1, nil, 3 }, { tide.shield(tide.spawn(after(1, 1, nil, 3))) })
    local awaitable = setmetatable({}, { __await = function() tide.sleep(0) return "r" end })
    assert.are.equal("r", tide.shield(awaitable))
  end))

  it("keeps cancellation of the waiter from it", run(function()
    local task = tide.spawn(after(5, "r"))
    local waiter = tide.spawn(tide.shield, task)
    turns(2)
    waiter:cancel()
    turns(1)
    assert.is_true(waiter:cancelled())
    assert.are.equal("r", task:await())
  end))

  it("raises where the shielded itself is cancelled", run(function()
    local task = tide.spawn(tide.sleep, 5)
    local waiter = tide.spawn(tide.shield, task)
    turns(2)
    task:cancel()
    raises("cancelled", waiter.await, waiter)
  end))
end)
