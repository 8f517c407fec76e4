-- Tasks: spawn, await, what can be asked, done callbacks, kill, failure reports, fairness.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, failing, raises = helper.run, helper.turns, helper.failing, helper.raises
local wrap = tide.testing.wrap

describe("tide.spawn", function()
  it("starts at the next turn, in order, never inside the caller", run(function()
    local log = helper.log()
    for i = 1, 3 do tide.spawn(function() log(i) end) end
    log "spawned"
    tide.sleep(0)
    assert.are.same({ "spawned", 1, 2, 3 }, { table.unpack(log) })
  end))

  it("hands arguments and results over, nil too", run(function()
    local task = tide.spawn(function(...) return select("#", ...), ... end, nil, 2, nil)
    assert.are.same({ 3, nil, 2, nil, n = 4 }, table.pack(task:await()))
    assert.are.same({ n = 0 }, table.pack(tide.spawn(function() end):await()))
    assert.are.same({ nil, n = 1 }, table.pack(tide.spawn(function() return nil end):await()))
    assert.are.same({ nil, nil, n = 2 }, table.pack(tide.spawn(function() return nil, nil end):await()))
  end))

  it("takes callable objects", run(function()
    local callable = setmetatable({}, { __call = function(_, x) return x * 2 end })
    assert.are.equal(42, tide.spawn(callable, 21):await())
  end))

  it("takes many arguments and gives many results", run(function()
    local list = {}
    for i = 1, 200 do list[i] = i end
    local results = table.pack(tide.spawn(function(...) return ... end, table.unpack(list)):await())
    assert.are.equal(200, results.n)
    assert.are.equal(200, results[200])
  end))

  it("makes very many tasks", run(function()
    local sum = 0
    for i = 1, 20000 do tide.spawn(function() sum = sum + i end) end
    turns(2)
    assert.are.equal(200010000, sum)
  end))

  it("works from within a task that has just begun, in a chain", run(function()
    local function chain(n)
      if n == 0 then return "end" end
      return tide.spawn(chain, n - 1):await()
    end
    assert.are.equal("end", chain(500))
  end))

  if not helper.inside then
    it("outside a run waits for one", function()
      local ran = false
      tide.spawn(function() ran = true end)
      assert.is_false(ran)
      tide.run(turns, 2)
      assert.is_true(ran)
    end)
  end
end)

describe("task:await", function()
  it("gives the results as often as asked", run(function()
    local task = tide.spawn(function() return 1, 2 end)
    assert.are.same({ 1, 2 }, { task:await() })
    assert.are.same({ 1, 2 }, { task:await() })
    assert.are.same({ 1, 2 }, { tide.await(task) })
  end))

  it("raises the task's error, by identity", run(function()
    for _, failure in ipairs { {}, "string", 5, true, tide.error("mine", "m"), coroutine.create(print) } do
      local task = tide.spawn(failing(failure))
      local ok, err = pcall(task.await, task)
      assert.is_false(ok)
      assert.are.equal(failure, err)
    end
    local task = tide.spawn(error)
    assert.are.same({ false, nil, n = 2 }, table.pack(pcall(task.await, task)))
    assert.are.equal("failed", task:status())
  end))

  it("may be done by many", run(function()
    local task = tide.spawn(function() turns(2) return "r" end)
    assert.are.same({ "r", "r", "r", n = 3 }, tide.gather {
      function() return task:await() end, function() return task:await() end, task,
    })
  end))

  it("wakes its waiters in order", run(function()
    local log, task = helper.log(), tide.spawn(turns, 3)
    for i = 1, 3 do tide.spawn(function() task:await() log(i) end) end
    turns(6)
    assert.are.same({ 1, 2, 3 }, { table.unpack(log) })
  end))

  it("raises `cancelled` with the task where it was cancelled", run(function()
    local task = tide.spawn(tide.sleep, 5)
    task:cancel()
    local err = raises("cancelled", task.await, task)
    assert.are.equal(task, err.task)
    tide.sleep(0) -- this one is not
  end))

  it("is given up by one who is cancelled at once where others wait for the task too", run(function()
    for _, others in ipairs {
      function(task) return task:await() end,
      function(task) return tide.shield(task) end,
      function(task) return tide.gather({ task })[1] end,
      function(task) return tide.wait({ task })[1]:result() end,
      function(task)
        local result
        for done in tide.as_completed { task } do result = done:result() end
        return result
      end,
      function(task) return select(2, tide.select(task)) end,
      function(task) return select(2, tide.race { task }) end,
      function(task) return tide.wait_for(task, 60) end,
      function(task)
        local future = tide.Future()
        task:add_done_callback(function(t) future:set_result(t:result()) end)
        return future:await()
      end,
    } do
      for _, wait in ipairs {
        function(task) task:await() end,
        function(task) tide.gather { task, tide.Future() } end,
        function(task) tide.wait_for(task, 60) end,
        function(task) tide.timeout(60, task.await, task) end,
      } do
        local go_on = tide.Event()
        local task = tide.spawn(function()
          go_on:wait()
          return "page"
        end)
        local patient = tide.spawn(others, task)
        local hasty = tide.spawn(wait, task)
        turns(2)
        hasty:cancel()
        turns(2)
        assert.is_true(hasty:cancelled())
        assert.are.equal(0, task:cancelling())
        go_on:set()
        assert.are.equal("page", patient:await())
      end
    end
  end))

  it("hands the cancellation of the last waiter on, once", run(function()
    local task = tide.spawn(tide.sleep, 5)
    local waiters = {}
    for i = 1, 3 do waiters[i] = tide.spawn(task.await, task) end
    turns(2)
    for i = 1, 3 do
      assert.are.equal(0, task:cancelling())
      waiters[i]:cancel()
    end
    assert.are.equal(1, task:cancelling())
    turns(3)
    assert.is_true(task:cancelled())
    for i = 1, 3 do assert.is_true(waiters[i]:cancelled()) end
  end))

  it("cancels the task when the waiter is cancelled", run(function()
    local inner = tide.spawn(tide.sleep, 5)
    local outer = tide.spawn(function() inner:await() end)
    turns(2)
    outer:cancel()
    tide.wait { outer }
    assert.is_true(inner:cancelled())
    assert.is_true(outer:cancelled())
  end))
end)

describe("a task", function()
  it("knows its status", run(function()
    local future = tide.Future()
    local task = tide.spawn(function()
      assert.are.equal("running", tide.current_task():status())
      return future:await()
    end)
    assert.are.equal("ready", task:status())
    assert.is_false(task:done())
    turns(1)
    assert.are.equal("waiting", task:status())
    future:set_result(1)
    assert.are.equal("ready", task:status())
    task:await()
    assert.are.equal("done", task:status())
    assert.is_true(task:done())
    local failed, cancelled = tide.spawn(failing "x"), tide.spawn(tide.sleep, 1)
    cancelled:cancel()
    tide.wait { failed, cancelled }
    assert.are.equal("failed", failed:status())
    assert.are.equal("cancelled", cancelled:status())
    assert.is_true(failed:done())
    assert.is_false(failed:cancelled())
    assert.is_true(cancelled:cancelled())
  end))

  it("gives its result or error without waiting", run(function()
    local task = tide.spawn(function() tide.sleep(0) return 1, nil end)
    raises("invalid_state", task.result, task)
    raises("invalid_state", task.error, task)
    tide.wait { task }
    assert.are.same({ 1, nil, n = 2 }, table.pack(task:result()))
    assert.is_nil(task:error())
    local failure = {}
    task = tide.spawn(failing(failure))
    tide.wait { task }
    assert.are.equal(failure, task:error())
    assert.are.equal(failure, select(2, pcall(task.result, task)))
    task = tide.spawn(turns)
    task:cancel()
    tide.wait { task }
    assert.are.equal(task, raises("cancelled", task.result, task).task)
    assert.are.equal(task, raises("cancelled", task.error, task).task)
  end))

  it("has a name and an id", run(function()
    local task = tide.spawn(turns)
    assert.matches("^task%-%d+$", task:name())
    assert.are.equal(task, task:set_name "worker")
    assert.are.equal("worker", task:name())
    assert.are.equal(task:id() + 1, tide.spawn(turns):id())
    assert.matches("Task%(worker, ready%)", tostring(task))
    turns(2)
    assert.are.equal("worker", task:name())
    assert.matches("Task%(worker, done%)", tostring(task))
  end))

  it("shows what it waits for", run(function()
    local task = tide.spawn(tide.sleep, 5)
    turns(1)
    assert.matches("waiting: sleep", tostring(task))
    task:cancel()
  end))

  it("has a traceback: where it waits, or failed", run(function()
    local function where_it_waits() tide.sleep(0) end
    local task = tide.spawn(function() where_it_waits() end)
    turns(1)
    assert.matches("task_spec.lua.*where_it_waits", task:traceback())
    task:await()
    assert.is_nil(task:traceback())
    local function where_it_fails() error "oops" end
    task = tide.spawn(function() where_it_fails() return 1 end)
    tide.wait { task }
    assert.matches("task_spec.lua.*where_it_fails", task:traceback())
  end))

  it("is the current one only in its own steps", run(function()
    local me, other = tide.current_task()
    other = tide.spawn(function()
      assert.are.equal(other, tide.current_task())
      tide.sleep(0)
      assert.are.equal(other, tide.current_task())
    end)
    assert.are.equal(me, tide.current_task())
    other:await()
    assert.are.equal(me, tide.current_task())
  end))

  it("is among all_tasks until it has ended", run(function()
    local before = #tide.all_tasks()
    local task = tide.spawn(turns, 2)
    assert.are.equal(before + 1, #tide.all_tasks())
    local found = false
    for _, each in ipairs(tide.all_tasks()) do found = found or each == task end
    assert.is_true(found)
    task:await()
    assert.are.equal(before, #tide.all_tasks())
  end))

  it("is not collected while it lives, and is afterwards", run(function()
    local weak = setmetatable({}, { __mode = "k" })
    local ended = false
    weak[tide.spawn(function()
      turns(3)
      ended = true
    end)] = true
    collectgarbage()
    collectgarbage()
    assert.is_not_nil(next(weak))
    turns(5)
    assert.is_true(ended)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end))

  for _, how in ipairs { "cancel", "kill" } do
    it("lets go of its function and arguments by " .. how .. " before it begins", run(function()
      local weak = setmetatable({}, { __mode = "k" })
      local group <close> = tide.TaskGroup()
      local function spawn(in_group)
        local argument = {}
        local function fn() return argument end
        weak[argument], weak[fn] = true, true
        local task = in_group and group:spawn(fn, argument) or tide.spawn(fn, argument)
        task[how](task)
        return task
      end
      local tasks = { spawn(true), spawn(false) }
      turns(2)
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
      for _, task in ipairs(tasks) do assert.is_true(task:cancelled()) end
    end))
  end
end)

describe("a done callback", function()
  it("is called in the loop once the task has ended, with it", run(function()
    local log = helper.log()
    local task = tide.spawn(function() tide.sleep(0) return "r" end)
    task:add_done_callback(function(t)
      assert.is_nil(tide.current_task())
      log(t:result())
    end)
    task:await()
    turns(2)
    assert.are.same({ "r" }, { table.unpack(log) })
  end))

  it("is called soon where the task has ended already", run(function()
    local task, called = tide.spawn(turns), false
    task:await()
    task:add_done_callback(function() called = true end)
    assert.is_false(called)
    turns(2)
    assert.is_true(called)
  end))

  it("can be removed", run(function()
    local called = 0
    local function callback() called = called + 1 end
    local task = tide.spawn(turns, 2)
    task:add_done_callback(callback)
    task:add_done_callback(callback)
    assert.are.equal(2, task:remove_done_callback(callback))
    assert.are.equal(0, task:remove_done_callback(callback))
    task:add_done_callback(callback)
    turns(6)
    assert.are.equal(1, called)
  end))

  it("counts as watching a failure", run(function()
    local failures, seen = helper.collect_failures(), nil
    tide.spawn(failing "known"):add_done_callback(function(t) seen = t:error() end)
    turns(4)
    assert.are.equal("known", seen)
    assert.are.equal(0, #failures)
  end))

  it("that fails is reported, the others are called", run(function()
    local failures, called = helper.collect_failures(), false
    local task = tide.spawn(turns)
    task:add_done_callback(failing "callback failed")
    task:add_done_callback(function() called = true end)
    turns(4)
    assert.are.equal(1, #failures)
    assert.are.equal("callback failed", failures[1].err)
    assert.is_true(called)
  end))
end)

describe("a failure that nobody awaits", function()
  it("is reported with its traceback at the end of the turn", run(function()
    local failures = helper.collect_failures()
    local function guilty() error "oops" end
    tide.spawn(function() guilty() return 1 end):set_name "culprit"
    turns(2)
    assert.are.equal(1, #failures)
    assert.matches("culprit", failures[1].what)
    assert.matches("oops", failures[1].err)
    assert.matches("guilty", failures[1].traceback)
  end))

  it("is not reported where somebody waits for it, or came in that turn", run(function()
    local failures = helper.collect_failures()
    local awaited = tide.spawn(failing "a")
    tide.spawn(function() pcall(awaited.await, awaited) end)
    local watched = tide.spawn(failing "b")
    tide.spawn(function() watched:error() end)
    tide.gather { failing "c", return_errors = true }
    turns(3)
    assert.are.equal(0, #failures)
  end))

  it("of a cancelled task is none", run(function()
    local failures = helper.collect_failures()
    tide.spawn(tide.sleep, 5):cancel()
    local late = tide.spawn(tide.sleep, 5)
    turns(2)
    late:cancel()
    turns(3)
    assert.are.equal(0, #failures)
  end))

  it("is a cancellation that nobody asked of the task", run(function()
    local failures = helper.collect_failures()
    local shared = tide.spawn(tide.sleep, 5)
    local function waits() shared:await() end
    local by_hand = tide.error("cancelled", "by hand")
    local tasks = {
      tide.spawn(waits),
      tide.spawn(function() tide.gather { waits, return_errors = false } end),
      tide.spawn(coroutine.wrap(waits)),
      tide.spawn(tide.timeout, 5, waits),
      tide.spawn(tide.shield, shared),
      tide.spawn(tide.select, shared),
      tide.spawn(error, by_hand),
      tide.spawn(function()
        tide.current_task():cancel()
        local err = raises("cancelled", tide.sleep, 5)
        tide.current_task():uncancel()
        error(err, 0)
      end),
    }
    turns(2)
    shared:cancel()
    turns(8)
    for i, task in ipairs(tasks) do
      assert.are.equal("failed", task:status(), "task " .. i)
      assert.are.equal("cancelled", task:error().kind)
      assert.is_false(task:cancelled())
    end
    assert.are.equal(shared, tasks[1]:error().task)
    assert.are.equal(by_hand, tasks[7]:error())
    assert.are.equal(#tasks, #failures)
    for _, failure in ipairs(failures) do assert.matches("stack traceback", failure.traceback) end
  end))

  it("is none where the task was cancelled too, whatever it had awaited", run(function()
    local failures = helper.collect_failures()
    local shared = tide.spawn(tide.sleep, 5)
    local task = tide.spawn(function()
      local err = raises("cancelled", shared.await, shared)
      raises("cancelled", tide.sleep, 5)
      error(err, 0)
    end)
    turns(2)
    shared:cancel()
    turns(2)
    task:cancel()
    turns(3)
    assert.is_true(task:cancelled())
    assert.are.equal(0, #failures)
  end))

  it("keeps its identity", run(function()
    local failures, failure = helper.collect_failures(), {}
    tide.spawn(failing(failure))
    turns(2)
    assert.are.equal(failure, failures[1].err)
  end))

  it("does not keep the task alive", run(function()
    local weak = setmetatable({}, { __mode = "k" })
    helper.collect_failures()
    weak[tide.spawn(failing "x")] = true
    turns(3)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end))
end)

describe("task:kill", function()
  it("ends a task that ignores cancellation", run(function()
    local task = tide.spawn(function()
      while true do tide.raw.pcall(tide.sleep, 1) end
    end)
    turns(2)
    task:cancel()
    turns(3)
    assert.is_false(task:done())
    assert.is_true(task:kill())
    assert.is_true(task:cancelled())
    raises("cancelled", task.await, task)
    assert.is_false(task:kill())
  end))

  it("runs <close> variables, which cannot wait", run(function()
    local closed, err
    local task = tide.spawn(function()
      local _ <close> = helper.closer(function()
        closed = true
        err = select(2, tide.raw.pcall(tide.sleep, 0))
      end)
      tide.sleep(5)
    end)
    turns(2)
    task:kill()
    assert.is_true(closed)
    assert.matches("cannot wait", tostring(err))
  end))

  it("releases what was held", run(function()
    local lock = tide.Lock()
    local task = tide.spawn(function()
      local _ <close> = lock:acquire()
      tide.sleep(5)
    end)
    turns(2)
    task:kill()
    assert.is_false(lock:locked())
    task = tide.spawn(lock.with, lock, tide.sleep, 5)
    turns(2)
    assert.is_true(lock:locked())
    task:kill()
    assert.is_false(lock:locked())
  end))

  it("works before the first step, and in the ready list", run(function()
    local ran = false
    local task = tide.spawn(function() ran = true end)
    assert.is_true(task:kill())
    turns(2)
    assert.is_false(ran)
    task = tide.spawn(function()
      tide.sleep(0)
      ran = true
    end)
    turns(1)
    task:kill()
    turns(2)
    assert.is_false(ran)
  end))

  it("survives errors in <close> variables", run(function()
    local task = tide.spawn(function()
      local _ <close> = helper.closer(failing "in close")
      tide.sleep(5)
    end)
    turns(2)
    assert.is_true(task:kill())
    assert.is_true(task:cancelled())
  end))

  it("wakes who awaits it", run(function()
    local task = tide.spawn(tide.sleep, 5)
    local waiter = tide.spawn(raises, "cancelled", task.await, task)
    turns(2)
    task:kill()
    turns(1)
    assert.are.equal(task, waiter:result().task)
  end))
end)

describe("fairness:", function()
  it("sleep(0) lets every other ready task run once", run(function()
    local log = helper.log()
    local function loop(name)
      return function()
        for i = 1, 3 do
          log(name .. i)
          tide.sleep(0)
        end
      end
    end
    tide.gather { loop "a", loop "b", loop "c" }
    assert.are.equal("a1 b1 c1 a2 b2 c2 a3 b3 c3", table.concat(log, " "))
  end))

  it("equal sleeps begun in one turn end in one turn, in order", run(function()
    local log, marks, tasks = helper.log(), {}, {}
    for i = 1, 20 do
      tasks[i] = tide.spawn(function()
        tide.sleep(0.002)
        log(i)
        marks[tide.stats().turns] = true
      end)
    end
    tide.wait(tasks)
    local count, expected = 0, {}
    for _ in pairs(marks) do count = count + 1 end
    for i = 1, 20 do expected[i] = i end
    assert.are.equal(1, count)
    assert.are.same(expected, { table.unpack(log) })
  end))

  it("the clock never goes back within a turn, and lags by a millisecond at most", run(function()
    local before = tide.time()
    local begun = os.clock()
    while os.clock() - begun < 0.005 do assert.is_true(tide.time() >= before) end
    assert.is_true(tide.time() - before >= 0.004)
  end))

  it("a sleep lasts at least as long as asked, and not much longer", run(function()
    local begun = tide.time()
    tide.sleep(0.003)
    local lasted = tide.time() - begun
    assert.is_true(lasted >= 0.003 and lasted < 5)
  end))

  it("busy tasks do not keep sleepers from waking", run(function()
    local stop = false
    tide.spawn(function() while not stop do tide.sleep(0) end end)
    tide.sleep(0.002)
    stop = true
  end))
end)

describe("tide.type", function()
  it("names objects of tide", run(function()
    assert.are.equal("Task", tide.type(tide.current_task()))
    assert.are.equal("Future", tide.type(tide.Future()))
    assert.are.equal("Queue", tide.type(tide.Queue()))
    assert.are.equal("Iter", tide.type(tide.iter({}):map(print)))
    assert.is_nil(tide.type({}))
    assert.is_nil(tide.type(io.stdout))
    assert.is_nil(tide.type("x"))
    assert.is_nil(tide.type(nil))
  end))

  it("may be spawned by finalizers, whenever these run", run(function()
    local collected, made = 0, 0
    local function make_garbage()
      made = made + 1
      setmetatable({}, { __gc = function()
        collected = collected + 1
        if made < 20000 then make_garbage() end
        tide.spawn(turns, 1):cancel()
        tide.call_soon(function() end)
      end })
    end
    for _ = 1, 50 do make_garbage() end
    local rounds = 0
    repeat -- how many it takes depends on what other specs left in the heap
      rounds = rounds + 1
      local tasks = {}
      for i = 1, 300 do
        tasks[i] = tide.spawn(function()
          turns(i % 3)
          return i, {}
        end)
      end
      for i = 1, 300 do assert.equal(i, (tasks[i]:await())) end
    until collected > 100 or rounds == 500
    made = 20000
    assert.is_true(collected > 0)
    collectgarbage()
    turns(3)
  end))

end)

describe("the failure of a task is reported", function()
  local function failing_later()
    return tide.spawn(function()
      tide.sleep(0.002)
      error("later", 0)
    end)
  end

  local function reported(watch)
    local failures = helper.collect_failures()
    local task = failing_later()
    watch(task)
    while not task:done() do tide.sleep(0.001) end
    turns(2)
    assert.are.equal(1, #failures)
    assert.are.equal("later", failures[1].err)
  end

  it("though somebody asked for its result before", wrap(function()
    reported(function(task) pcall(task.result, task) end)
    reported(function(task) pcall(task.error, task) end)
  end))

  it("though somebody waited for it before", wrap(function()
    reported(function(task) tide.wait { task, timeout = 0.0005 } end)
    reported(function(task) tide.move_on_after(0.0005, tide.shield, task) end)
    reported(function(task)
      local waiter = tide.spawn(task.await, task)
      turns()
      waiter:kill()
    end)
  end))

  it("though a done callback was there before", wrap(function()
    reported(function(task)
      local function callback() end
      task:add_done_callback(callback)
      task:remove_done_callback(callback)
    end)
  end))

  it("with the traceback of this failure, not of an equal one", wrap(function()
    local failures = helper.collect_failures()
    local function first() error("boom", 0) end
    local function second() error("boom", 0) end
    tide.spawn(function() first() return 1 end)
    turns(2)
    tide.spawn(function() second() return 1 end)
    turns(2)
    tide.spawn(function()
      tide.try(first)
      second()
      return 1
    end)
    turns(2)
    assert.matches("'first'", failures[1].traceback)
    assert.matches("'second'", failures[2].traceback)
    assert.matches("'second'", failures[3].traceback)
    assert.not_matches("'first'", failures[3].traceback)
  end))

  it("with the traceback of where it was raised, through scopes", wrap(function()
    local failures = helper.collect_failures()
    local function deep() error("deep", 0) end
    tide.spawn(function()
      tide.timeout(1, function()
        tide.scope(function() deep() return 1 end)
      end)
    end)
    turns(2)
    assert.matches("'deep'", failures[1].traceback)
  end))
end)

describe("a task", function()
  it("cannot be among those it waits for", run(function()
    local me = tide.current_task()
    for _, name in ipairs { "gather", "wait", "race" } do
      assert.matches("cannot wait for itself", raises("invalid_state", tide[name], { me }).message)
    end
  end))

  it("takes its debug hook with it", run(function()
    local calls = 0
    tide.spawn(function()
      tide.sleep(0)
      debug.sethook(function() calls = calls + 1 end, "l")
    end):await()
    local before = calls
    for _ = 1, 5 do
      tide.spawn(function()
        local x = 0
        for i = 1, 100 do x = x + i end
        tide.sleep(0)
        return x
      end):await()
    end
    assert.are.equal(before, calls)
  end))
end)
