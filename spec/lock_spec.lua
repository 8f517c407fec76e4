-- Lock.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises = helper.run, helper.turns, helper.raises

describe("a Lock", function()
  it("is held by one task at a time, in order of arrival", run(function()
    local lock, log, inside = tide.Lock(), helper.log(), 0
    local workers = {}
    for i = 1, 4 do
      workers[i] = function()
        local _ <close> = lock:acquire()
        inside = inside + 1
        assert.are.equal(1, inside)
        turns(2)
        inside = inside - 1
        log(i)
      end
    end
    tide.gather(workers)
    assert.are.same({ 1, 2, 3, 4 }, { table.unpack(log) })
    assert.is_false(lock:locked())
  end))

  it("gives itself, and is released at the end of the block", run(function()
    local lock = tide.Lock()
    do
      local held <close> = lock:acquire()
      assert.are.equal(lock, held)
      assert.is_true(lock:locked())
    end
    assert.is_false(lock:locked())
  end))

  it("is released when an error leaves the block", run(function()
    local lock = tide.Lock()
    helper.fails("oops", function()
      local _ <close> = lock:acquire()
      error "oops"
    end)
    assert.is_false(lock:locked())
  end))

  it("may be released before the end of its block", run(function()
    local lock = tide.Lock()
    do
      local _ <close> = lock:acquire()
      lock:release()
    end
    do
      local _ <close> = lock:acquire()
      lock:release()
      tide.spawn(function()
        lock:acquire()
        turns(2)
        lock:release()
      end)
      tide.sleep(0)
    end
    assert.is_true(lock:locked()) -- the other's: not released by our block's end
    turns(4)
    assert.is_false(lock:locked())
  end))

  it("is handed to the first waiter: nobody overtakes", run(function()
    local lock = tide.Lock()
    lock:acquire()
    local waiter = tide.spawn(function()
      lock:acquire()
      turns(1)
      lock:release()
    end)
    turns(1)
    lock:release()
    assert.is_true(lock:locked())
    assert.is_false(lock:try_acquire())
    waiter:await()
    assert.is_true(lock:try_acquire())
    lock:release()
  end))

  it("need not wait where it is free", run(function()
    local lock, ran = tide.Lock(), false
    tide.spawn(function() ran = true end)
    for _ = 1, 100 do
      lock:acquire()
      lock:release()
    end
    assert.is_false(ran)
    turns(1)
  end))

  it("lets others run after 256 acquisitions in a row", run(function()
    local lock, ran = tide.Lock(), false
    tide.spawn(function() ran = true end)
    for _ = 1, 257 do
      lock:acquire()
      lock:release()
    end
    assert.is_true(ran)
  end))

  it("is released by its owner only", run(function()
    local lock = tide.Lock()
    raises("invalid_state", lock.release, lock)
    lock:acquire()
    local task = tide.spawn(function() raises("invalid_state", lock.release, lock) end)
    task:await()
    assert.is_true(lock:locked())
    lock:release()
    raises("invalid_state", lock.release, lock)
  end))

  it("is not re-entrant", run(function()
    local lock = tide.Lock()
    lock:acquire()
    raises("invalid_state", lock.acquire, lock)
    raises("invalid_state", lock.with, lock, print)
    assert.is_false(lock:try_acquire())
    lock:release()
  end))

  it("try_acquire takes it where it is free", run(function()
    local lock = tide.Lock()
    assert.is_true(lock:try_acquire())
    assert.is_false(tide.spawn(function() return lock:try_acquire() end):await())
    lock:release()
  end))

  it("with runs a function with it, and gives its results", run(function()
    local lock = tide.Lock()
    assert.are.same({ 1, nil, 3, n = 3 }, table.pack(lock:with(function(...)
      assert.is_true(lock:locked())
      tide.sleep(0)
      return ...
    end, 1, nil, 3)))
    assert.is_false(lock:locked())
    assert.are.equal(0, select("#", lock:with(function() end)))
    local failure = {}
    local ok, err = pcall(lock.with, lock, helper.failing(failure))
    assert.is_false(ok)
    assert.are.equal(failure, err)
    assert.is_false(lock:locked())
    helper.fails("function expected", lock.with, lock, 5)
  end))

  it("with waits for it, and works in coroutines", run(function()
    local lock = tide.Lock()
    tide.spawn(function()
      local _ <close> = lock:acquire()
      turns(3)
    end)
    turns(1)
    local generate = coroutine.wrap(function()
      lock:with(function()
        coroutine.yield "inside"
        tide.sleep(0)
      end)
      return "outside"
    end)
    assert.are.equal("inside", generate())
    assert.is_true(lock:locked())
    assert.are.equal("outside", generate())
    assert.is_false(lock:locked())
  end))

  -- A lock that is held, and two tasks that wait for it, of which the second gives it back.
  local function held_with_two_waiting()
    local lock = tide.Lock()
    lock:acquire()
    local first, second = tide.spawn(lock.acquire, lock), tide.spawn(function()
      lock:acquire()
      lock:release()
    end)
    turns(1)
    return lock, first, second
  end

  it("passes a cancelled waiter by", run(function()
    local lock, first, second = held_with_two_waiting()
    first:cancel()
    turns(1)
    lock:release()
    second:await()
    assert.is_false(lock:locked())
  end))

  it("goes on to the next where its new owner is killed before it knows", run(function()
    local lock, first, second = held_with_two_waiting()
    lock:release()
    first:kill()
    second:await()
    assert.is_false(lock:locked())
  end))

  it("shows itself", run(function()
    local lock = tide.Lock()
    assert.are.equal("Lock(unlocked)", tostring(lock))
    local _ <close> = lock:acquire()
    assert.are.equal("Lock(locked)", tostring(lock))
  end))

  it("left by a task that ended without releasing is not taken for a later task's", run(function()
    local lock = tide.Lock()
    tide.spawn(function() lock:acquire() end):await()
    collectgarbage()
    local released = 0
    for _ = 1, 1000 do
      tide.spawn(function() released = released + (pcall(lock.release, lock) and 1 or 0) end)
    end
    tide.sleep(0)
    assert.are.equal(0, released)
    assert.is_true(lock:locked())
  end))
end)

describe("an RLock", function()
  it("may be acquired again by its owner, and is free when it was released as often", run(function()
    local lock, log = tide.RLock(), helper.log()
    assert.matches("^RLock%(unlocked%)$", tostring(lock))
    lock:acquire()
    local other = tide.spawn(function()
      assert.is_false(lock:try_acquire())
      local _ <close> = lock:acquire()
      log "other"
    end)
    do
      local _ <close> = lock:acquire()
      assert.is_true(lock:try_acquire())
      assert.are.equal(3, lock:statistics().depth)
      lock:with(function()
        assert.are.equal(4, lock:statistics().depth)
        turns(2)
      end)
      assert.are.equal(3, lock:statistics().depth)
      lock:release()
    end
    turns(3)
    log "still mine"
    assert.are.equal(1, lock:statistics().depth)
    lock:release()
    other:await()
    raises("invalid_state", lock.release, lock)
    assert.are.same({ "still mine", "other" }, { table.unpack(log) })
    assert.is_false(lock:locked())
    assert.are.equal(0, lock:statistics().depth)
  end))

  it("goes to who waits, in order of arrival, at a depth of one", run(function()
    local lock, log = tide.RLock(), helper.log()
    local function work(i)
      local _ <close> = lock:acquire()
      local _ <close> = lock:acquire()
      turns(2)
      log(i)
    end
    tide.gather { function() work(1) end, function() work(2) end, function() work(3) end }
    assert.are.same({ 1, 2, 3 }, { table.unpack(log) })
  end))

  it("is released level by level when errors, cancellation and a kill leave it", run(function()
    local lock = tide.RLock()
    lock:acquire()
    helper.fails("oops", lock.with, lock, function()
      local _ <close> = lock:acquire()
      error "oops"
    end)
    assert.are.equal(1, lock:statistics().depth)
    lock:release()
    for _, how in ipairs { "cancel", "kill" } do
      local task = tide.spawn(function()
        local _ <close> = lock:acquire()
        lock:with(tide.sleep, 60)
      end)
      turns(2)
      task[how](task)
      tide.wait { task }
      assert.is_false(lock:locked())
    end
  end))

  it("is not given to a task that is cancelled on its way", run(function()
    local lock = tide.RLock()
    lock:acquire()
    local other = tide.spawn(lock.acquire, lock)
    turns(1)
    lock:release()
    other:kill()
    turns(1)
    assert.is_false(lock:locked())
  end))

  it("is a case of select", run(function()
    local lock = tide.RLock()
    lock:acquire()
    assert.are.equal(1, (tide.select(lock, tide.after(1))))
    assert.are.equal(2, lock:statistics().depth)
    lock:release()
    lock:release()
    assert.is_false(lock:locked())
  end))

  it("serves a Condition where it is held once", run(function()
    local lock = tide.RLock()
    local condition = tide.Condition(lock)
    local waiter = tide.spawn(function()
      local _ <close> = lock:acquire()
      condition:wait()
      return lock:statistics().depth
    end)
    turns(1)
    lock:with(function()
      lock:with(function() raises("invalid_state", condition.wait, condition) end)
      condition:notify()
    end)
    assert.are.equal(1, waiter:await())
    assert.is_false(lock:locked())
  end))
end)
