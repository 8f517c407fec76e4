-- TaskGroup: children end before the block that started them does.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, failing, raises = helper.run, helper.turns, helper.failing, helper.raises

-- A child that runs for n turns and logs its end.
local function child(log, n, name)
  return function()
    turns(n)
    log(name)
    return name
  end
end

describe("a TaskGroup", function()
  it("waits for its children at the end of the block", run(function()
    local log = helper.log()
    do
      local g <close> = tide.TaskGroup()
      g:spawn(child(log, 3, "slow"))
      g:spawn(child(log, 1, "fast"))
      log "body"
    end
    log "after"
    assert.are.same({ "body", "fast", "slow", "after" }, { table.unpack(log) })
  end))

  it("gives the body's results in the function form", run(function()
    local log = helper.log()
    local a, b, c = tide.TaskGroup(function(g)
      g:spawn(child(log, 2, "child"))
      return 1, nil, 3
    end)
    assert.are.same({ 1, nil, 3 }, { a, b, c })
    assert.are.same({ "child" }, { table.unpack(log) })
    assert.are.equal(0, select("#", tide.TaskGroup(function() end)))
  end))

  it("ends at once without children", run(function()
    local ran = false
    tide.spawn(function() ran = true end)
    do local _ <close> = tide.TaskGroup() end
    assert.is_false(ran)
  end))

  it("spawns tasks with arguments, to be awaited for results", run(function()
    tide.TaskGroup(function(g)
      local task = g:spawn(function(...) return select("#", ...), ... end, 1, nil)
      assert.are.equal("Task", tide.type(task))
      assert.are.same({ 2, 1 }, { task:await() })
    end)
  end))

  it("counts the children that run", run(function()
    tide.TaskGroup(function(g)
      assert.are.equal(0, #g)
      g:spawn(turns, 1)
      g:spawn(turns, 4)
      assert.are.equal(2, #g)
      turns(3)
      assert.are.equal(1, #g)
    end)
  end))

  it("takes children from its children", run(function()
    local log = helper.log()
    tide.TaskGroup(function(g)
      g:spawn(function()
        g:spawn(child(log, 2, "grandchild"))
        log "child"
      end)
    end)
    assert.are.same({ "child", "grandchild" }, { table.unpack(log) })
  end))

  it("shows itself", run(function()
    local g <close> = tide.TaskGroup { name = "workers" }
    g:spawn(turns, 1)
    assert.matches("TaskGroup.*workers.*1", tostring(g))
  end))

  it("works inside coroutines", run(function()
    local log = helper.log()
    local generate = coroutine.wrap(function()
      do
        local g <close> = tide.TaskGroup()
        g:spawn(child(log, 2, "child"))
      end
      coroutine.yield "value"
      tide.TaskGroup(function(g) g:spawn(child(log, 1, "second")) end)
    end)
    assert.are.equal("value", generate())
    assert.are.same({ "child" }, { table.unpack(log) })
    generate()
    assert.are.same({ "child", "second" }, { table.unpack(log) })
  end))

  describe("when a child fails", function()
    it("cancels the others and the body, and raises an ErrorGroup", run(function()
      local cancelled = {}
      local failure = {}
      local err = raises("group", tide.TaskGroup, function(g)
        g:spawn(function()
          cancelled.child = raises("cancelled", tide.sleep, 5)
          error(cancelled.child, 0)
        end)
        g:spawn(function()
          turns(2)
          error(failure, 0)
        end)
        cancelled.body = raises("cancelled", tide.sleep, 5)
        error(cancelled.body, 0)
      end)
      assert.are.equal(1, #err.errors)
      assert.are.equal(failure, err.errors[1])
      assert.is_not_nil(cancelled.child)
      assert.is_not_nil(cancelled.body)
    end))

    it("does the same in the block form", run(function()
      local err = raises("group", function()
        local g <close> = tide.TaskGroup()
        g:spawn(failing "oops")
        tide.sleep(5)
      end)
      assert.are.same({ "oops" }, err.errors)
    end))

    it("raises at the end of a block whose body had ended well", run(function()
      local err = raises("group", function()
        local g <close> = tide.TaskGroup()
        g:spawn(function()
          turns(3)
          error("late", 0)
        end)
      end)
      assert.are.same({ "late" }, err.errors)
    end))

    it("keeps all failures of the same turn", run(function()
      local err = raises("group", tide.TaskGroup, function(g)
        for i = 1, 3 do g:spawn(failing(i)) end
      end)
      assert.are.same({ 1, 2, 3 }, err.errors)
    end))

    it("keeps the failures of cleanup that come later", run(function()
      local err = raises("group", tide.TaskGroup, function(g)
        g:spawn(failing "first")
        g:spawn(function()
          local _ <close> = helper.closer(function()
            tide.shield(turns, 2)
            error("cleanup", 0)
          end)
          tide.sleep(5)
        end)
      end)
      assert.are.same({ "first", "cleanup" }, err.errors)
    end))

    it("does not report the failures elsewhere", run(function()
      local failures = helper.collect_failures()
      raises("group", tide.TaskGroup, function(g) g:spawn(failing "known") end)
      turns(2)
      assert.are.equal(0, #failures)
    end))

    it("does not count a child that was cancelled by itself", run(function()
      local log = helper.log()
      tide.TaskGroup(function(g)
        local task = g:spawn(tide.sleep, 5)
        g:spawn(child(log, 3, "other"))
        turns(1)
        task:cancel()
      end)
      assert.are.same({ "other" }, { table.unpack(log) })
    end))
  end)

  describe("when what was awaited is cancelled by somebody else", function()
    local function waiting()
      local shared = tide.spawn(tide.sleep, 5)
      tide.call_soon(shared.cancel, shared)
      return function() shared:await() end
    end

    it("counts the child that it ended as failed", run(function()
      local other
      local err = raises("group", tide.TaskGroup, function(g)
        g:spawn(waiting())
        other = g:spawn(tide.sleep, 5)
      end)
      assert.are.equal("cancelled", err.errors[1].kind)
      assert.are.equal(1, #err.errors)
      assert.is_true(other:cancelled())
    end))

    it("counts the body that it ended as failed, in both forms", run(function()
      for _, form in ipairs {
        function(body) tide.TaskGroup(body) end,
        function(body)
          local g <close> = tide.TaskGroup()
          body(g)
        end,
      } do
        local wait, other = waiting(), nil
        local err = raises("group", form, function(g)
          other = g:spawn(tide.sleep, 5)
          wait()
        end)
        assert.are.equal("cancelled", err.errors[1].kind)
        assert.is_true(other:cancelled())
      end
    end))

    it("counts a child of its own that the body awaited, and that was cancelled", run(function()
      local task
      local err = raises("group", tide.TaskGroup, function(g)
        task = g:spawn(tide.sleep, 5)
        task:cancel()
        task:await()
      end)
      assert.are.equal(task, err.errors[1].task)
      assert.are.equal(1, #err.errors)
    end))

    it("counts nobody whom the group itself has cancelled", run(function()
      assert.are.equal(0, select("#", tide.TaskGroup(function(g)
        local shared = g:spawn(tide.sleep, 5)
        g:spawn(shared.await, shared)
        g:spawn(tide.shield, function() shared:await() end)
        turns(2)
        g:cancel()
        tide.sleep(5)
      end)))
    end))
  end)

  describe("when the body fails", function()
    it("cancels the children and counts the body's failure", run(function()
      local failure = {}
      local state
      local err = raises("group", tide.TaskGroup, function(g)
        g:spawn(function()
          state = "running"
          local _ <close> = helper.closer(function() state = "closed" end)
          tide.sleep(5)
        end)
        turns(2)
        error(failure, 0)
      end)
      assert.are.equal("closed", state)
      assert.are.equal(failure, err.errors[1])
      assert.are.equal(1, #err.errors)
    end))

    it("does so too without any child, in both forms", run(function()
      assert.are.same({ "alone" }, raises("group", tide.TaskGroup, failing "alone").errors)
      assert.are.same({ "alone" }, raises("group", function()
        local _ <close> = tide.TaskGroup()
        error("alone", 0)
      end).errors)
    end))

    it("keeps a child's error that the body awaited once", run(function()
      local err = raises("group", tide.TaskGroup, function(g)
        g:spawn(failing "child"):await()
      end)
      assert.are.same({ "child" }, err.errors)
    end))

    it("keeps the children's failures after it", run(function()
      local err = raises("group", tide.TaskGroup, function(g)
        g:spawn(failing "child")
        error("body", 0)
      end)
      assert.are.equal("body", err.errors[1])
    end))
  end)

  describe("cancelled by g:cancel()", function()
    it("makes the function form return nothing", run(function()
      assert.are.equal(0, select("#", tide.TaskGroup(function(g)
        g:spawn(tide.sleep, 5)
        g:cancel()
        tide.sleep(0)
        error "not reached"
      end)))
      assert.are.equal(0, select("#", tide.TaskGroup(function(g)
        g:cancel()
        return "a result"
      end)))
    end))

    it("leaves the block form as an error `cancelled`", run(function()
      local after = false
      local ok, err = tide.raw.pcall(function()
        local g <close> = tide.TaskGroup()
        g:cancel("enough")
        tide.sleep(0)
        after = true
      end)
      assert.is_false(ok)
      assert.is_true(tide.is(err, "cancelled"))
      assert.are.equal("enough", err.reason)
      assert.is_false(after)
      tide.sleep(0) -- the task itself is not cancelled
    end))

    it("may come from a child, or from outside", run(function()
      tide.TaskGroup(function(g)
        g:spawn(function() g:cancel() end)
        tide.sleep(5)
      end)
      local group
      tide.spawn(function()
        turns(2)
        group:cancel()
      end)
      tide.TaskGroup(function(g)
        group = g
        g:spawn(tide.sleep, 5)
      end)
    end))

    it("raises the failures that there were nevertheless", run(function()
      local err = raises("group", tide.TaskGroup, function(g)
        g:spawn(function()
          local _ <close> = helper.closer(failing "cleanup")
          tide.sleep(5)
        end)
        turns(1)
        g:cancel()
      end)
      assert.are.same({ "cleanup" }, err.errors)
    end))
  end)

  describe("cancelled from outside", function()
    it("cancels the children, and raises `cancelled` once all have ended", run(function()
      local log = helper.log()
      local task = tide.spawn(function()
        local g <close> = tide.TaskGroup()
        g:spawn(function()
          local _ <close> = helper.closer(function()
            tide.shield(turns, 3)
            log "cleaned"
          end)
          tide.sleep(5)
        end)
        turns(1)
        log "body"
      end)
      turns(4)
      task:cancel("why")
      local err = raises("cancelled", task.await, task)
      assert.are.equal(task, err.task)
      assert.are.same({ "body", "cleaned" }, { table.unpack(log) })
      assert.is_true(task:cancelled())
    end))

    it("raises failures rather than the cancellation", run(function()
      local task = tide.spawn(function()
        local g <close> = tide.TaskGroup()
        g:spawn(function()
          local _ <close> = helper.closer(failing "cleanup")
          tide.sleep(5)
        end)
      end)
      turns(3)
      task:cancel()
      assert.are.same({ "cleanup" }, raises("group", task.await, task).errors)
    end))

    it("raises `cancelled` also where the children never began", run(function()
      local begun, task = false, nil
      task = tide.spawn(function()
        return tide.TaskGroup(function(g)
          turns(1)
          for _ = 1, 3 do g:spawn(function() begun = true end) end
          task:cancel() -- the children end in this turn, before the body
          tide.raw.pcall(tide.sleep, 0)
          return "results"
        end)
      end)
      raises("cancelled", task.await, task)
      assert.is_true(task:cancelled())
      assert.is_false(begun)
    end))

    it("raises `cancelled` at the end of the block, which waits like any other", run(function()
      local task = tide.spawn(function()
        do
          local _ <close> = tide.TaskGroup()
          tide.current_task():cancel()
        end
        error "never reached"
      end)
      raises("cancelled", task.await, task)
      assert.is_true(task:cancelled())
    end))

    it("has nothing to say in a task that is killed besides", run(function()
      local failures = helper.collect_failures()
      local task = tide.spawn(function()
        local _ <close> = tide.TaskGroup()
        tide.sleep(5)
      end)
      turns(1)
      task:cancel()
      task:kill()
      turns(1)
      assert.are.same({}, failures)
    end))

    it("ends within the timeout around it", run(function()
      raises("timeout", tide.timeout, 0.002, tide.TaskGroup, function(g)
        for _ = 1, 3 do g:spawn(tide.sleep, 5) end
      end)
    end))
  end)

  describe("takes no more children", function()
    it("once it has ended", run(function()
      local group
      tide.TaskGroup(function(g) group = g end)
      raises("closed", group.spawn, group, turns, 1)
      do
        local g <close> = tide.TaskGroup()
        group = g
      end
      raises("closed", group.spawn, group, turns, 1)
    end))

    it("while it is being cancelled", run(function()
      tide.TaskGroup(function(g)
        g:cancel()
        raises("closed", g.spawn, g, turns, 1)
      end)
    end))
  end)

  describe("with a limit", function()
    it("runs at most so many at once, in order", run(function()
      local now, most, log = 0, 0, helper.log()
      tide.TaskGroup(function(g)
        for i = 1, 7 do
          g:spawn(function()
            now = now + 1
            most = math.max(most, now)
            log(i)
            turns(i % 3)
            now = now - 1
          end)
        end
        assert.are.equal(7, #g)
      end, { max = 2 })
      assert.are.equal(2, most)
      assert.are.same({ 1, 2, 3, 4, 5, 6, 7 }, { table.unpack(log) })
    end))

    it("takes its options alone or after the body", run(function()
      do
        local g <close> = tide.TaskGroup { max = 1 }
        g:spawn(turns, 1)
        g:spawn(turns, 1)
      end
      assert.are.equal("r", tide.TaskGroup(function() return "r" end, { max = 1, name = "x" }))
    end))

    it("never starts those that were cancelled while they waited", run(function()
      local ran = false
      tide.TaskGroup(function(g)
        g:spawn(tide.sleep, 5)
        local held = g:spawn(function() ran = true end)
        turns(2)
        held:cancel()
        turns(2)
        assert.is_true(held:cancelled())
        g:cancel()
      end, { max = 1 })
      assert.is_false(ran)
    end))
  end)

  it("can be nested: the inner group's failure is one of the outer's", run(function()
    local err = raises("group", tide.TaskGroup, function(outer)
      outer:spawn(function()
        local inner <close> = tide.TaskGroup { name = "inner" }
        inner:spawn(failing "a")
        inner:spawn(failing "b")
      end)
    end)
    assert.are.equal(1, #err.errors)
    assert.is_true(tide.is(err.errors[1], "group"))
    assert.are.same({ "a", "b" }, err.errors[1].errors)
    assert.are.same({ "a", "b" }, err:leaves())
  end))

  it("cancels its children when the task with the block is killed", run(function()
    local state
    local task = tide.spawn(function()
      local g <close> = tide.TaskGroup()
      g:spawn(function()
        state = "running"
        local _ <close> = helper.closer(function() state = "closed" end)
        tide.sleep(5)
      end)
      tide.sleep(5)
    end)
    turns(3)
    assert.are.equal("running", state)
    task:kill()
    turns(3)
    assert.are.equal("closed", state)
  end))

  it("can hold very many children", run(function()
    local sum = 0
    tide.TaskGroup(function(g)
      for i = 1, 10000 do
        g:spawn(function()
          tide.sleep(0)
          sum = sum + i
        end)
      end
    end)
    assert.are.equal(50005000, sum)
  end))

  describe("reports wrong arguments:", function()
    it("options", run(function()
      helper.fails("'max'", tide.TaskGroup, { max = 0 })
      helper.fails("'max'", tide.TaskGroup, { max = "2" })
      helper.fails("'name'", tide.TaskGroup, { name = {} })
      helper.fails("bad argument #2 to 'TaskGroup' (table expected, got number)", function()
        tide.TaskGroup(turns, 5)
      end)
    end))

    it("what is spawned", run(function()
      tide.TaskGroup(function(g)
        helper.fails("bad argument #1 to 'spawn' (function expected, got nil)", function() g:spawn(nil) end)
        helper.fails("TaskGroup expected", g.spawn, 5)
      end)
    end))

    it("use outside a task", function()
      if not helper.inside then raises("no_task", tide.TaskGroup) end
    end)
  end)

  it("takes a spawn refused by a cancellation for the cancellation, not for a failure", run(function()
    local function block()
      local g <close> = tide.TaskGroup()
      tide.raw.pcall(tide.sleep, 1)
      g:spawn(tide.sleep, 1)
    end
    local function body()
      tide.TaskGroup(function(g)
        tide.raw.pcall(tide.sleep, 1)
        g:spawn(tide.sleep, 1)
      end)
    end
    for _, f in ipairs { block, body } do
      local task = tide.spawn(f)
      tide.sleep(0)
      task:cancel()
      local _, err = pcall(task.await, task)
      assert.is_true(tide.is(err, "cancelled"))
      assert.equal("cancelled", task:status())
    end
  end))

  it("keeps failures whose error is nil, or has a __tostring that fails", run(function()
    local evil = setmetatable({}, { __tostring = function() error "no text" end })
    local ok, err = pcall(tide.TaskGroup, function(g)
      g:spawn(error, nil)
      g:spawn(error, evil)
    end)
    assert.is_false(ok)
    assert.are.equal("group", err.kind)
    assert.are.equal("<no error object>", err.errors[1])
    assert.are.equal(evil, err.errors[2])
    ok, err = pcall(tide.TaskGroup, function() error(nil) end)
    assert.is_false(ok)
    assert.are.same({ "<no error object>" }, err.errors)
  end))
end)

describe("a TaskGroup", function()
  it("is closed by the task that opened it alone", run(function()
    local err
    tide.TaskGroup(function(g)
      g:spawn(function() err = raises("invalid_state", debug.getmetatable(g).__close, g) end)
    end)
    assert.matches("only the task that opened", err.message)
  end))

  it("knows of a child that could not keep its error", run(function()
    local failures = helper.collect_failures()
    local err = raises("group", tide.TaskGroup, function(g)
      g:spawn(function() tide.raw.coroutine.yield(1) end)
    end)
    assert.are.equal(1, #err.errors)
    assert.matches("could not be kept", err.errors[1])
    assert.matches("not one of tide's", failures[1].err)
  end))
end)
