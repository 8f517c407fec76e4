-- Scopes: timeout, move_on_after, scope, shield.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises = helper.run, helper.turns, helper.raises

describe("tide.time_left", function()
  it("is what is left to the nearest deadline around", tide.testing.wrap(function()
    assert.is_nil(tide.time_left())
    tide.timeout(8, function()
      assert.are.equal(8.0, tide.time_left())
      tide.sleep(2)
      assert.are.equal(6.0, tide.time_left())
      tide.timeout(9, function() assert.are.equal(6.0, tide.time_left()) end)
      tide.move_on_after(3, function()
        tide.sleep(1)
        assert.are.equal(2.0, tide.time_left())
      end)
      assert.are.equal(5.0, tide.time_left())
    end)
    assert.is_nil(tide.time_left())
  end))

  it("sees deadlines of the block form, of moved scopes, and around groups", tide.testing.wrap(function()
    local scope <close> = tide.timeout(8)
    assert.are.equal(8.0, tide.time_left())
    scope:reschedule(tide.time() + 3)
    assert.are.equal(3.0, tide.time_left())
    tide.TaskGroup(function(g)
      g:spawn(function() assert.are.equal(3.0, tide.time_left()) end)
      local background = tide.spawn(function() return tide.time_left() end)
      assert.is_nil(background:await())
    end)
    scope:reschedule()
    assert.is_nil(tide.time_left())
  end))

  it("sees as far as cancellation reaches", tide.testing.wrap(function()
    tide.timeout(8, function()
      tide.shield(function()
        assert.is_nil(tide.time_left())
        tide.timeout(3, function() assert.are.equal(3.0, tide.time_left()) end)
      end)
      tide.scope(function() assert.are.equal(5.0, tide.time_left()) end, { shield = true, timeout = 5 })
    end)
  end))

  it("is 0 when time is up, and nil outside of tasks", tide.testing.wrap(function()
    tide.move_on_after(1, function()
      tide.raw.pcall(tide.sleep, 2)
      assert.are.equal(0, tide.time_left())
    end)
    local left = 1
    tide.call_soon(function() left = tide.time_left() end)
    tide.sleep(0)
    assert.is_nil(left)
  end))
end)

describe("tide.timeout", function()
  it("gives the results of what is fast enough", run(function()
    local results = table.pack(tide.timeout(5, function(...) turns(2) return ... end, 1, nil, 3, nil))
    assert.are.same({ 1, nil, 3, nil, n = 4 }, results)
  end))

  it("raises `timeout` when the time has passed", run(function()
    local begun = tide.time()
    local err = raises("timeout", tide.timeout, 0.003, tide.sleep, 5)
    assert.is_true(tide.time() - begun >= 0.003)
    assert.matches("timeout", tostring(err))
  end))

  it("lets errors through, by identity", run(function()
    local failure = {}
    local ok, err = pcall(tide.timeout, 5, helper.failing(failure))
    assert.is_false(ok)
    assert.are.equal(failure, err)
  end))

  it("raises at the first wait where the time is over already", run(function()
    local reached = false
    raises("timeout", tide.timeout, 0, function()
      reached = true
      tide.sleep(0)
    end)
    assert.is_true(reached)
    assert.are.equal("r", tide.timeout(-1, function() return "r" end))
  end))

  it("does not raise where the function ended although cancelled", run(function()
    assert.are.equal("done", tide.timeout(0.002, function()
      pcall(tide.raw.pcall, tide.sleep, 5)
      return "done"
    end))
  end))

  it("leaves the task as it was", run(function()
    raises("timeout", tide.timeout, 0, tide.sleep, 1)
    tide.sleep(0)
    assert.are.equal(0, tide.current_task():cancelling())
  end))

  it("guards the rest of a block", run(function()
    raises("timeout", function()
      local scope <close> = tide.timeout(0.002)
      assert.are.equal("Scope", tide.type(scope))
      tide.sleep(5)
    end)
    do
      local _ <close> = tide.timeout(0.001)
    end
    tide.sleep(0.002) -- the block was left in time
  end))

  it("of the inner scope is caught by the outer function", run(function()
    local outer = tide.timeout(5, function()
      raises("timeout", tide.timeout, 0.001, tide.sleep, 5)
      return "outer goes on"
    end)
    assert.are.equal("outer goes on", outer)
  end))

  it("of the outer scope passes the inner one", run(function()
    local inner
    raises("timeout", tide.timeout, 0.001, function()
      inner = raises("cancelled", tide.timeout, 5, tide.sleep, 5)
      error(inner, 0)
    end)
    assert.is_not_nil(inner)
  end))

  it("is the outer one's where both have passed", run(function()
    local log = helper.log()
    raises("timeout", tide.timeout, 0.001, function()
      local ok, err = tide.raw.pcall(tide.timeout, 0.001, tide.sleep, 5)
      log(ok)
      log(err.kind)
      error(err, 0)
    end)
    assert.are.same({ false, "cancelled" }, { table.unpack(log) })
  end))

  it("loses against a cancellation of the task", run(function()
    local task
    task = tide.spawn(tide.timeout, 0.001, function()
      task:cancel()
      tide.sleep(1)
    end)
    raises("cancelled", task.await, task)
    assert.is_true(task:cancelled())
  end))

  it("is level-triggered: every wait raises until the scope is left", run(function()
    local count = 0
    raises("timeout", tide.timeout, 0.001, function()
      for _ = 1, 3 do
        local ok, err = tide.raw.pcall(tide.sleep, 1)
        assert.is_false(ok)
        assert.is_true(tide.is(err, "cancelled"))
        count = count + 1
      end
      tide.sleep(1)
    end)
    assert.are.equal(3, count)
  end))

  it("cancels what is awaited inside", run(function()
    local task = tide.spawn(tide.sleep, 5)
    raises("timeout", tide.timeout, 0.001, task.await, task)
    assert.is_true(task:cancelled())
  end))

  it("crosses coroutines", run(function()
    local inside
    raises("timeout", tide.timeout, 0.001, coroutine.wrap(function()
      inside = raises("cancelled", tide.sleep, 5)
      error(inside, 0)
    end))
    assert.is_not_nil(inside)
  end))

  it("can be moved and asked", run(function()
    local begun = tide.time()
    local scope <close> = tide.timeout(5)
    assert.is_true(math.abs(scope:deadline() - begun - 5) < 0.001)
    assert.is_false(scope:expired())
    assert.is_false(scope:cancelled())
    scope:reschedule(begun + 0.002)
    raises("cancelled", tide.sleep, 5)
    assert.is_true(scope:expired())
    assert.is_true(scope:cancelled())
    raises("invalid_state", scope.reschedule, scope, begun + 5)
    scope:close()
    tide.sleep(0)
    scope:close() -- harmless
    assert.are.equal(math.huge, scope:deadline())
  end))

  it("can be moved away, and taken away", run(function()
    local scope <close> = tide.timeout(0.002)
    scope:reschedule(tide.time() + 5)
    tide.sleep(0.003)
    scope:reschedule(nil)
    assert.are.equal(math.huge, scope:deadline())
    scope:reschedule(math.huge)
    tide.sleep(0)
  end))

  it("moved into the past expires", run(function()
    raises("timeout", function()
      local scope <close> = tide.timeout(5)
      scope:reschedule(0)
      tide.sleep(0)
    end)
  end))

  it("without end takes math.huge", run(function()
    assert.are.equal(1, tide.timeout(math.huge, function() tide.sleep(0) return 1 end))
  end))

  it("checks its arguments", run(function()
    helper.fails("bad argument #1 to 'timeout' (number expected, got nil)", function() tide.timeout(nil) end)
    helper.fails("bad argument #2 to 'timeout' (function expected, got number)", function()
      tide.timeout(1, 5)
    end)
    helper.fails("NaN", tide.timeout, 0 / 0)
    helper.fails("#2 to 'tide.scope' (field 'timeout' must be a number)", tide.scope, print, { timeout = 0 / 0 })
  end))

  if not helper.inside then
    it("is for tasks", function()
      raises("no_task", tide.timeout, 1)
    end)
  end
end)

describe("the scope of another task", function()
  it("can be cancelled, but not closed", run(function()
    local scope
    local task = tide.spawn(function()
      scope = tide.timeout(5)
      raises("timeout", function()
        local _ <close> = scope
        tide.sleep(10)
      end)
      return "timed out"
    end)
    turns(1)
    local err = raises("invalid_state", scope.close, scope)
    assert.matches("only the task that opened the scope can close it", err.message)
    local group = tide.TaskGroup()
    tide.spawn(function()
      assert.matches("only the task that opened the TaskGroup", raises("invalid_state", debug.getmetatable(group).__close, group).message)
    end):await()
    group:close()
    assert.are.equal("timed out", task:await())
    scope:close()
  end, { clock = "virtual" }))
end)

describe("tide.timeout_at", function()
  it("takes a time of the loop's clock", run(function()
    raises("timeout", tide.timeout_at, tide.time() + 0.002, tide.sleep, 5)
    assert.are.equal("r", tide.timeout_at(tide.time() + 5, function() return "r" end))
    raises("timeout", function()
      local _ <close> = tide.timeout_at(tide.time() + 0.001)
      tide.sleep(5)
    end)
  end))
end)

describe("tide.move_on_after", function()
  it("gives true and the results", run(function()
    assert.are.same({ true, 1, nil, 3, n = 4 },
      table.pack(tide.move_on_after(5, function() return 1, nil, 3 end)))
  end))

  it("gives false when the time has passed", run(function()
    assert.are.same({ false, n = 1 }, table.pack(tide.move_on_after(0.001, tide.sleep, 5)))
  end))

  it("lets errors and foreign cancellation through", run(function()
    helper.fails("oops", tide.move_on_after, 5, helper.failing "oops")
    local task = tide.spawn(tide.move_on_after, 5, tide.sleep, 5)
    turns(2)
    task:cancel()
    raises("cancelled", task.await, task)
  end))

  it("needs a function", run(function()
    helper.fails("function expected", tide.move_on_after, 5)
  end))

  it("can be nested: the outer one catches where both have passed", run(function()
    local inner_returned = false
    assert.is_false(tide.move_on_after(0.001, function()
      tide.move_on_after(0.001, tide.sleep, 5)
      inner_returned = true
    end))
    assert.is_false(inner_returned)
  end))
end)

describe("tide.scope", function()
  it("gives true and the results of the body", run(function()
    assert.are.same({ true, 1, 2, n = 3 }, table.pack(tide.scope(function() return 1, 2 end)))
  end))

  it("gives false where its cancellation ended the body", run(function()
    assert.are.same({ false, n = 1 }, table.pack(tide.scope(function(scope)
      scope:cancel()
      tide.sleep(0)
      error "not reached"
    end)))
  end))

  it("gives true where the body ran to its end although cancelled", run(function()
    assert.are.same({ true, "r" }, { tide.scope(function(scope)
      scope:cancel()
      return "r"
    end) })
  end))

  it("can be cancelled from elsewhere, with a reason", run(function()
    local err
    assert.is_false(tide.scope(function(scope)
      tide.spawn(function() scope:cancel { code = 7 } end)
      err = raises("cancelled", tide.sleep, 5)
      error(err, 0)
    end))
    assert.are.equal(7, err.reason.code)
  end))

  it("makes every wait in it raise, each after one turn", run(function()
    local other <close> = helper.bystander()
    tide.scope(function(scope)
      scope:cancel()
      local lock, event, queue = tide.Lock(), tide.Event(), tide.Queue()
      event:set()
      queue:put_nowait(1)
      for i, wait in ipairs {
        function() tide.sleep(0) end,
        function() tide.sleep(1) end,
        function() lock:acquire() end,
        function() event:wait() end,
        function() queue:get() end,
        function() queue:put(2) end,
        function() queue:join() end,
        function() tide.spawn(function() end):await() end,
        function() tide.Semaphore(1):acquire() end,
        function() tide.RWLock():read() end,
        function() tide.Barrier(1):wait() end,
      } do
        local before = other.turns
        raises("cancelled", wait)
        assert.is_true(other.turns > before, "wait " .. i .. " took no turn")
      end
      assert.is_false(lock:locked())
      assert.are.equal(1, #queue)
    end)
  end))

  it("has a timeout", run(function()
    local seen
    assert.is_false(tide.scope(function(scope)
      seen = scope
      tide.sleep(5)
    end, { timeout = 0.001 }))
    assert.is_true(seen:expired())
  end))

  it("shields", run(function()
    local task = tide.spawn(function()
      local ok = tide.scope(function()
        tide.sleep(0)
        turns(3)
      end, { shield = true })
      assert(ok)
      tide.sleep(0)
      error "not reached"
    end)
    turns(2)
    task:cancel()
    raises("cancelled", task.await, task)
  end))

  it("shields from around, not from itself", run(function()
    assert.is_false(tide.scope(function(scope)
      scope:cancel()
      tide.sleep(0)
    end, { shield = true }))
  end))

  it("can be cancelled by a task inside it that knows it, after it was left: nothing happens", run(function()
    local left
    tide.scope(function(scope) left = scope end)
    left:cancel()
    tide.sleep(0)
    assert.is_false(left:cancelled())
    assert.matches("left", tostring(left))
  end))

  it("does not cancel tasks spawned inside it: they are the background's", run(function()
    local task
    tide.scope(function(scope)
      task = tide.spawn(turns, 3)
      scope:cancel()
      tide.sleep(0)
    end)
    task:await()
    assert.are.equal("done", task:status())
  end))

  it("cancels the groups inside it", run(function()
    local child
    assert.is_false(tide.scope(function(scope)
      local g <close> = tide.TaskGroup()
      child = g:spawn(tide.sleep, 5)
      scope:cancel()
    end))
    assert.is_true(child:cancelled())
  end))

  it("lets pcall through while it is cancelled, and only then", run(function()
    local reached = false
    assert.is_false(tide.scope(function(scope)
      scope:cancel()
      pcall(tide.sleep, 0)
      reached = true
    end))
    assert.is_false(reached)
    local ok, err = pcall(function()
      tide.scope(function(inner)
        inner:cancel()
        error(raises("cancelled", tide.sleep, 0), 0)
      end)
      error("after", 0)
    end)
    assert.are.same({ false, "after" }, { ok, err })
  end))

  it("checks its arguments", run(function()
    helper.fails("function expected", tide.scope)
    helper.fails("'timeout'", tide.scope, print, { timeout = "x" })
    helper.fails("table expected", tide.scope, print, 5)
  end))
end)

describe("tide.shield of a function", function()
  it("holds cancellation back until it returns", run(function()
    local steps = 0
    local task = tide.spawn(function()
      tide.shield(function()
        for _ = 1, 4 do
          tide.sleep(0)
          steps = steps + 1
        end
      end)
      steps = steps + 100
      tide.sleep(0)
      error "not reached"
    end)
    turns(2)
    task:cancel()
    raises("cancelled", task.await, task)
    assert.are.equal(104, steps)
  end))

  it("gives results, takes arguments, lets errors through", run(function()
    assert.are.same({ 1, nil, 2 }, { tide.shield(function(...) return ... end, 1, nil, 2) })
    helper.fails("oops", tide.shield, helper.failing "oops")
  end))

  it("lets cleanup wait in a cancelled task", run(function()
    local told = {}
    local task = helper.slow_cleanup(told)
    turns(2)
    task:cancel()
    raises("cancelled", task.await, task)
    assert.is_true(told.cleaned)
  end))

  it("can have a timeout inside", run(function()
    local task = tide.spawn(function()
      tide.current_task():cancel()
      return tide.shield(function() return tide.move_on_after(0.001, tide.sleep, 5) end)
    end)
    assert.is_false(task:await())
  end))

  it("takes no NaN for a deadline", run(function()
    local nan = 0 / 0
    for _, f in ipairs {
      function() tide.timeout_at(nan, print) end,
      function() tide.call_at(nan, print) end,
      function() tide.call_later(nan, print) end,
      function() tide.scope(function(scope) scope:reschedule(nan) end) end,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.matches("must not be NaN", err)
    end
  end))
end)

describe("function forms in great number", function()
  local function form(seconds, fn, ...) return tide.move_on_after(seconds, fn, ...) end

  it("leave nothing for the collector", run(function()
    local function once() return tide.timeout(1, tostring, 1) == tide.shield(tostring, 1) and form(1, tide.sleep, 0) end
    for _ = 1, 100 do once() end
    collectgarbage()
    collectgarbage("stop")
    local before = collectgarbage("count")
    for _ = 1, 1000 do assert(once()) end
    local grown = collectgarbage("count") - before
    collectgarbage("restart")
    assert.is_true(grown < 16, grown)
  end))

  it("know nothing of those before them", run(function()
    for _ = 1, 40 do
      assert.is_false(form(0.001, tide.sleep, 1))
      assert.is_true(form(1, tide.sleep, 0.002))
      raises("timeout", tide.timeout, 0, tide.sleep, 1)
      assert.equal(math.huge, tide.shield(function() return tide.time_left() or math.huge end))
    end
  end))

  it("may be inside each other, however deep", run(function()
    local function nest(depth)
      if depth == 0 then return true, tide.time_left() end
      return form(depth, nest, depth - 1)
    end
    for _ = 1, 3 do
      local results = table.pack(nest(60))
      assert.equal(62, results.n)
      assert.is_true(results[62] <= 1)
    end
    assert.is_nil(tide.time_left())
  end))

  it("end with a task that is killed inside of them", run(function()
    for _ = 1, 20 do
      local cleaned
      local task = tide.spawn(form, 0.001, form, 9, function()
        local _ <close> = tide.defer(function() cleaned = tide.shield(tostring, tide.time_left() ~= nil) end)
        tide.sleep(9)
      end)
      turns(2)
      task:kill()
      assert.equal("true", cleaned)
      assert.is_true(form(1, tide.sleep, 0.002)) -- longer than what the killed one had left
    end
    assert.is_nil(tide.time_left())
  end))

  it("end with a coroutine that dies inside of them", run(function()
    for _ = 1, 20 do
      local co = coroutine.create(function() form(9, coroutine.yield) end)
      assert.is_false(coroutine.resume(co))
      co = coroutine.create(function() return pcall(form, 9, form, 9, error, "x") end)
      assert.same({ true, false, "x" }, { coroutine.resume(co) })
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(tide.time_left())
    assert.is_true(form(1, tide.sleep, 0))
  end))
end)
