-- Cancellation: by scope, level-triggered, counted.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises = helper.run, helper.turns, helper.raises

describe("task:cancel", function()
  it("makes the pending wait raise", run(function()
    local err
    local task = tide.spawn(function()
      err = raises("cancelled", tide.sleep, 5)
      error(err, 0)
    end)
    turns(2)
    assert.is_true(task:cancel { why = "test" })
    tide.wait { task }
    assert.are.equal("test", err.reason.why)
    assert.is_nil(err.task)
    assert.is_true(task:cancelled())
    assert.is_false(task:cancel())
  end))

  it("before the first step: the task never runs", run(function()
    local ran = false
    local task = tide.spawn(function() ran = true end)
    task:cancel()
    raises("cancelled", task.await, task)
    assert.is_false(ran)
  end))

  it("of itself: the next wait raises", run(function()
    local before, after = false, false
    local task = tide.spawn(function()
      tide.current_task():cancel()
      before = true
      tide.sleep(0)
      after = true
    end)
    raises("cancelled", task.await, task)
    assert.is_true(before)
    assert.is_false(after)
  end))

  it("is level-triggered: each wait raises, each after one turn", run(function()
    local count, last = 0, 0
    local task = tide.spawn(function()
      for _ = 1, 5 do
        raises("cancelled", tide.sleep, 5)
        count = count + 1
        assert(tide.stats().turns > last)
        last = tide.stats().turns
      end
    end)
    turns(2)
    task:cancel()
    task:await()
    assert.are.equal(5, count)
    assert.are.equal("done", task:status())
    assert.is_false(task:cancelled())
  end))

  it("does not make a task that ignores it block the loop", run(function()
    local stop, others = false, 0
    local task = tide.spawn(function()
      while not stop do tide.raw.pcall(tide.sleep, 5) end
    end)
    turns(1)
    task:cancel()
    for _ = 1, 10 do
      tide.sleep(0)
      others = others + 1
    end
    stop = true
    task:await()
    assert.are.equal(10, others)
  end))

  it("makes waits raise that need not wait", run(function()
    local queue, event = tide.Queue(), tide.Event()
    queue:put(1)
    event:set()
    local task = tide.spawn(function()
      tide.current_task():cancel()
      raises("cancelled", queue.get, queue)
      raises("cancelled", queue.put, queue, 2)
      raises("cancelled", event.wait, event)
      raises("cancelled", tide.sleep, 0)
      raises("cancelled", tide.Lock().acquire, tide.Lock())
    end)
    task:await()
    assert.are.equal(1, #queue)
  end))

  it("delivers the result of a wait that had completed; the next wait raises", run(function()
    local future, got = tide.Future(), nil
    local task = tide.spawn(function()
      got = future:await()
      tide.sleep(0)
      error "not reached"
    end)
    turns(2)
    future:set_result "result"
    task:cancel()
    raises("cancelled", task.await, task)
    assert.are.equal("result", got)
  end))

  it("leaves a task that returns done with its result", run(function()
    local task = tide.spawn(function()
      tide.raw.pcall(tide.sleep, 5)
      return "result"
    end)
    turns(2)
    task:cancel()
    assert.are.equal("result", task:await())
    assert.is_false(task:cancelled())
    assert.are.equal("done", task:status())
  end))

  it("leaves a task that fails failed", run(function()
    local task = tide.spawn(function()
      tide.raw.pcall(tide.sleep, 5)
      error("other", 0)
    end)
    turns(2)
    task:cancel()
    local ok, err = pcall(task.await, task)
    assert.are.same({ false, "other" }, { ok, err })
    assert.are.equal("failed", task:status())
  end))

  it("runs <close> variables in reverse order", run(function()
    local log = helper.log()
    local task = tide.spawn(function()
      local _ <close> = helper.closer(function() log "first" end)
      local _ <close> = helper.closer(function(_, err)
        log "second"
        assert(tide.is(err, "cancelled"))
      end)
      tide.sleep(5)
    end)
    turns(2)
    task:cancel()
    tide.wait { task }
    assert.are.same({ "second", "first" }, { table.unpack(log) })
  end))

  it("does not reach tasks that were spawned by it", run(function()
    local child
    local task = tide.spawn(function()
      child = tide.spawn(turns, 4)
      tide.sleep(5)
    end)
    turns(2)
    task:cancel()
    child:await()
    assert.are.equal("done", child:status())
  end))
end)

describe("what a cancelled task awaits", function()
  it("is cancelled first, and may take its time", run(function()
    local log = helper.log()
    local inner = tide.spawn(function()
      local _ <close> = helper.closer(function()
        tide.shield(turns, 3)
        log "inner cleaned"
      end)
      tide.sleep(5)
    end)
    local outer = tide.spawn(function()
      local _ <close> = helper.closer(function() log "outer" end)
      inner:await()
    end)
    turns(2)
    outer:cancel()
    tide.wait { outer }
    assert.are.same({ "inner cleaned", "outer" }, { table.unpack(log) })
    assert.is_true(inner:cancelled() and outer:cancelled())
  end))

  it("may refuse: then the await gives its result, and the next wait raises", run(function()
    local got
    local inner = tide.spawn(function()
      tide.raw.pcall(tide.sleep, 5)
      return "refused"
    end)
    local outer = tide.spawn(function()
      got = inner:await()
      tide.sleep(0)
      error "not reached"
    end)
    turns(2)
    outer:cancel()
    tide.wait { outer }
    assert.are.equal("refused", got)
    assert.is_true(outer:cancelled())
  end))

  it("is cancelled down a long chain", run(function()
    local function chain(n)
      if n == 0 then tide.sleep(5) end
      tide.spawn(chain, n - 1):await()
    end
    local before = #tide.all_tasks()
    local task = tide.spawn(chain, 200)
    turns(210)
    task:cancel()
    tide.wait { task }
    turns(2)
    assert.is_true(task:cancelled())
    assert.are.equal(before, #tide.all_tasks())
  end))

  -- A function that cancels all tasks that begin from now on, which they are to obey.
  local function newcomers_canceller()
    local known = {}
    for _, task in ipairs(tide.all_tasks()) do known[task] = true end
    return function()
      for _, task in ipairs(tide.all_tasks()) do
        if not known[task] then task:cancel() end
      end
      turns(4)
      for _, task in ipairs(tide.all_tasks()) do assert.is_true(known[task]) end
    end
  end

  -- Ways to wait for a task.
  local function rest() tide.sleep(60) end
  local waits = {
    function(task) task:await() end,
    function(task) tide.gather { task } end,
    function(task) tide.gather { task, rest } end,
    function(task) tide.wait_for(task, 60) end,
    function(task) tide.timeout(60, task.await, task) end,
    function(task) tide.TaskGroup(function(g) g:spawn(task.await, task) end) end,
    function(task) tide.TaskGroup(function(g) g:spawn(tide.gather, { task, tide.Future() }) rest() end) end,
    function(task)
      local g <close> = tide.TaskGroup()
      g:spawn(task.await, task)
      g:wait()
    end,
    function(task) tide.TaskGroup(function(g) g:start(function(started) started() task:await() end) end) end,
    function(task) tide.TaskGroup(function(g) g:start(function(started) started(task:await()) end) end) end,
    function(task) tide.race { task } end,
    function(task) tide.race { rest, task } end,
    function(task) tide.first_success { rest, task } end,
    function(task) tide.map({ 1, 2, 3 }, function() task:await() end, { limit = 2 }) end,
    function(task) tide.retry(function() task:await() end) end,
    function(task) tide.iter(function() task:await() end):buffer(1):collect() end,
    function(task) tide.iter({ 1, 2 }):map_concurrent(2, function() task:await() end):collect() end,
    function(task) tide.iter(function() task:await() end):merge(tide.interval(60)):collect() end,
    function(task) tide.iter(function() task:await() end):debounce(1):collect() end,
    function(task) for _ in tide.generator(function() task:await() end):each() do end end,
    function(task) coroutine.wrap(function() task:await() end)() end,
    function(task) for _ in tide.as_completed { task } do end end,
    function(task) tide.select(task) end,
    function(task) tide.wait { task } end,
  }

  it("may be in a circle with it, of whatever kinds of waits: then all end", run(function()
    helper.collect_failures() -- of those whose neighbour was cancelled
    for first = 1, #waits do
      for second = 1, #waits do
        for struck = 1, 4 do -- a task of the circle, or all
          local cancel_newcomers, tasks = newcomers_canceller(), {}
          for i, wait in ipairs { waits[first], waits[second], waits[1] } do
            tasks[i] = tide.spawn(function() wait(tasks[i % 3 + 1]) end)
          end
          turns(4)
          for i, task in ipairs(tasks) do
            if i == struck or struck == 4 then task:cancel() end
          end
          turns(20)
          for _, task in ipairs(tasks) do
            if not task:done() then -- select, wait and as_completed give up, and hand nothing on
              assert.are_not.equal(4, struck)
              assert.are.equal(0, task:cancelling())
              task:cancel()
            end
          end
          turns(20)
          for i, task in ipairs(tasks) do
            assert.is_true(task:done(), ("%d of %d, %d, %d"):format(i, first, second, struck))
          end
          cancel_newcomers() -- a gather that had failed left one running
        end
      end
    end
  end))

  it("may be in a circle with it whose tasks are killed", run(function()
    helper.collect_failures()
    for first = 1, #waits do
      for second = 1, #waits do
        local cancel_newcomers, tasks = newcomers_canceller(), {}
        for i, wait in ipairs { waits[first], waits[second] } do
          tasks[i] = tide.spawn(function() wait(tasks[i % 2 + 1]) end)
        end
        turns(4)
        for _, task in ipairs(tasks) do task:kill() end
        for _, task in ipairs(tasks) do assert.is_true(task:done()) end
        turns(4)
        cancel_newcomers() -- what gather and race had begun goes on
      end
    end
  end))

  it("may be the task of the group that the waiter is a child of", run(function()
    for _, wait in ipairs(waits) do
      for _, late in ipairs { 0, 60 } do
        for _, in_block in ipairs { true, false } do
          local child
          local task
          task = tide.spawn(function()
            local function body(g)
              child = g:spawn(wait, task)
              tide.sleep(late)
            end
            if not in_block then return tide.TaskGroup(body) end
            local g <close> = tide.TaskGroup()
            body(g)
          end)
          turns(3)
          task:cancel()
          turns(10)
          assert.is_true(task:cancelled() and child:cancelled())
        end
      end
    end
  end))
end)

describe("cancelling and uncancel", function()
  it("count the requests", run(function()
    local counts = helper.log()
    local task
    task = tide.spawn(function()
      raises("cancelled", tide.sleep, 5)
      counts(task:cancelling())
      counts(task:uncancel())
      raises("cancelled", tide.sleep, 0)
      counts(task:uncancel())
      tide.sleep(0)
      counts(task:uncancel())
      counts(task:cancelling())
    end)
    turns(2)
    task:cancel()
    task:cancel()
    task:await()
    assert.are.same({ 2, 1, 0, 0, 0 }, { table.unpack(counts) })
  end))

  it("in one turn end the wait all the same: the task was asked to, it has not failed", run(function()
    local failures = helper.collect_failures()
    local group_ended
    local task = tide.spawn(tide.sleep, 5)
    local parent = tide.spawn(function()
      tide.TaskGroup(function(g)
        for _ = 1, 2 do g:spawn(tide.sleep, 5) end
      end)
      group_ended = true
    end)
    turns(3)
    for _, asked in ipairs { task, parent } do
      asked:cancel()
      asked:uncancel()
    end
    raises("cancelled", task.await, task)
    assert.are.equal("cancelled", task:status())
    parent:await()
    assert.is_true(group_ended)
    turns(2)
    assert.are.same({}, failures)
  end))

  it("do not make another task's `cancelled` one's own", run(function()
    local failures = helper.collect_failures()
    local other = tide.spawn(tide.sleep, 5)
    local task = tide.spawn(function()
      raises("cancelled", tide.sleep, 5)
      other:await()
    end)
    turns(2)
    task:cancel()
    task:uncancel()
    turns(2)
    other:cancel()
    raises("cancelled", task.await, task)
    assert.are.equal("failed", task:status())
    assert.are.same({}, failures)
  end))

  it("let it be cancelled anew", run(function()
    local errors = helper.log()
    local task
    task = tide.spawn(function()
      errors(raises("cancelled", tide.sleep, 5).reason)
      task:uncancel()
      errors(raises("cancelled", tide.sleep, 5).reason)
      task:uncancel()
      return "end"
    end)
    turns(2)
    task:cancel "one"
    turns(2)
    task:cancel "two"
    assert.are.equal("end", task:await())
    assert.are.same({ "one", "two" }, { table.unpack(errors) })
  end))

  it("keep the first reason", run(function()
    local err
    local task = tide.spawn(function() err = raises("cancelled", tide.sleep, 5) end)
    turns(2)
    task:cancel "first"
    task:cancel "second"
    task:await()
    assert.are.equal("first", err.reason)
  end))
end)

describe("where scopes inside and outside are cancelled", function()
  it("the outer one catches", run(function()
    local log = helper.log()
    local ok = tide.scope(function(outer)
      tide.scope(function(inner)
        outer:cancel()
        inner:cancel()
        tide.sleep(0)
      end)
      log "after inner"
    end)
    assert.is_false(ok)
    assert.are.same({}, { table.unpack(log) })
  end))

  it("the inner one catches its own", run(function()
    local log = helper.log()
    local ok = tide.scope(function()
      log(tide.scope(function(inner)
        inner:cancel()
        tide.sleep(0)
      end))
      tide.sleep(0)
    end)
    assert.is_true(ok)
    assert.are.same({ false }, { table.unpack(log) })
  end))

  it("the reason is the outer one's", run(function()
    local err
    tide.scope(function(outer)
      tide.scope(function(inner)
        inner:cancel "inner"
        outer:cancel "outer"
        err = raises("cancelled", tide.sleep, 0)
      end)
    end)
    assert.are.equal("outer", err.reason)
  end))
end)

describe("cleanup in a cancelled task", function()
  it("can wait under a shield, in a __close", run(function()
    local log = helper.log()
    local task = tide.spawn(function()
      local _ <close> = helper.closer(function()
        raises("cancelled", tide.sleep, 0)
        log(tide.shield(function()
          turns(3)
          return "cleaned"
        end))
      end)
      tide.sleep(5)
    end)
    turns(2)
    task:cancel()
    tide.wait { task }
    assert.is_true(task:cancelled())
    assert.are.same({ "cleaned" }, { table.unpack(log) })
  end))

  it("that fails replaces the cancellation", run(function()
    local task = tide.spawn(function()
      local _ <close> = helper.closer(helper.failing "cleanup failed")
      tide.sleep(5)
    end)
    turns(2)
    task:cancel()
    local ok, err = pcall(task.await, task)
    assert.are.same({ false, "cleanup failed" }, { ok, err })
  end))
end)

describe("tide.try", function()
  it("gives results, or nil and the error", run(function()
    assert.are.same({ 1, nil, 3 }, { tide.try(function() tide.sleep(0) return 1, nil, 3 end) })
    local failure = {}
    assert.are.same({ nil, failure }, { tide.try(helper.failing(failure)) })
    assert.are.equal(0, select("#", tide.try(function() end)))
  end))

  it("lets cancellation through", run(function()
    local reached = false
    local task = tide.spawn(function()
      tide.try(tide.sleep, 5)
      reached = true
    end)
    turns(2)
    task:cancel()
    tide.wait { task }
    assert.is_true(task:cancelled())
    assert.is_false(reached)
  end))
end)
