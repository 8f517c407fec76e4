-- Condition.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises = helper.run, helper.turns, helper.raises

describe("a Condition", function()
  -- n tasks that wait; the log gets their numbers as they wake.
  local function waiters(condition, n, log)
    local tasks = {}
    for i = 1, n do
      tasks[i] = tide.spawn(function()
        local _ <close> = condition:lock():acquire()
        condition:wait()
        log(i)
      end)
    end
    turns(2)
    return tasks
  end

  local function notify(condition, ...)
    local _ <close> = condition:lock():acquire()
    condition:notify(...)
  end

  it("wakes one, some, all: in order", run(function()
    local condition, log = tide.Condition(), helper.log()
    local tasks = waiters(condition, 6, log)
    notify(condition)
    turns(3)
    assert.are.same({ 1 }, { table.unpack(log) })
    notify(condition, 2)
    turns(4)
    assert.are.same({ 1, 2, 3 }, { table.unpack(log) })
    do
      local _ <close> = condition:lock():acquire()
      condition:notify_all()
    end
    tide.wait(tasks)
    assert.are.same({ 1, 2, 3, 4, 5, 6 }, { table.unpack(log) })
  end))

  it("gives the lock up while it waits, and has it back after", run(function()
    local lock = tide.Lock()
    local condition = tide.Condition(lock)
    assert.are.equal(lock, condition:lock())
    local task = tide.spawn(function()
      lock:acquire()
      condition:wait()
      assert.is_true(lock:locked())
      lock:release()
    end)
    turns(1)
    assert.is_false(lock:locked())
    lock:acquire()
    condition:notify()
    turns(3)
    assert.are.equal("waiting", task:status())
    lock:release()
    task:await()
    assert.is_false(lock:locked())
  end))

  it("is used with its lock held", run(function()
    local condition = tide.Condition()
    raises("invalid_state", condition.wait, condition)
    raises("invalid_state", condition.notify, condition)
    raises("invalid_state", condition.notify_all, condition)
  end))

  it("forgets a notification nobody waits for", run(function()
    local condition, log = tide.Condition(), helper.log()
    notify(condition, 5)
    local tasks = waiters(condition, 1, log)
    turns(3)
    assert.are.same({}, { table.unpack(log) })
    notify(condition)
    tide.wait(tasks)
  end))

  it("has the lock back before a cancelled wait raises", run(function()
    local condition = tide.Condition()
    local lock, held = condition:lock(), nil
    local task = tide.spawn(function()
      lock:acquire()
      local ok, err = tide.raw.pcall(condition.wait, condition)
      held = not ok and lock:locked()
      lock:release()
      error(err, 0)
    end)
    helper.turns(1)
    lock:acquire()
    task:cancel()
    helper.turns(4)
    assert.is_nil(held) -- it waits for the lock, though cancelled
    lock:release()
    raises("cancelled", task.await, task)
    assert.is_true(held)
    assert.is_false(lock:locked())
  end))

  it("passes the notification of a cancelled waiter on, or not: none is lost", run(function()
    local condition, log = tide.Condition(), helper.log()
    local tasks = waiters(condition, 2, log)
    tasks[1]:cancel()
    notify(condition)
    tide.wait { tasks[2] }
    assert.are.same({ 2 }, { table.unpack(log) })
    tide.wait(tasks)
  end))

  it("wait_for waits until a predicate is true", run(function()
    local condition, value, calls = tide.Condition(), 0, 0
    local task = tide.spawn(function()
      local _ <close> = condition:lock():acquire()
      return condition:wait_for(function()
        calls = calls + 1
        return value >= 2 and "enough"
      end)
    end)
    for _ = 1, 3 do
      turns(2)
      value = value + 1
      notify(condition)
    end
    assert.are.equal("enough", task:await())
    assert.is_true(calls >= 2)
    local _ <close> = condition:lock():acquire()
    assert.are.equal(true, condition:wait_for(function() return true end))
    helper.fails("function expected", condition.wait_for, condition, 5)
  end))

  it("shows itself", run(function()
    assert.are.equal("Condition(unlocked)", tostring(tide.Condition()))
  end))
end)
