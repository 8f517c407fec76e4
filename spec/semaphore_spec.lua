-- Semaphore and BoundedSemaphore.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises = helper.run, helper.turns, helper.raises

describe("a Semaphore", function()
  it("admits so many at once, in order", run(function()
    local semaphore, log, inside, most = tide.Semaphore(2), helper.log(), 0, 0
    local workers = {}
    for i = 1, 5 do
      workers[i] = function()
        local _ <close> = semaphore:acquire()
        log(i)
        inside = inside + 1
        most = math.max(most, inside)
        turns(2)
        inside = inside - 1
      end
    end
    tide.gather(workers)
    assert.are.equal(2, most)
    assert.are.same({ 1, 2, 3, 4, 5 }, { table.unpack(log) })
    assert.are.equal(2, semaphore:value())
  end))

  it("is 1 by default, may be 0", run(function()
    assert.are.equal(1, tide.Semaphore():value())
    local semaphore = tide.Semaphore(0)
    assert.is_true(semaphore:locked())
    assert.is_false(semaphore:try_acquire())
    local task = tide.spawn(semaphore.acquire, semaphore)
    turns(1)
    semaphore:release()
    task:await():release()
    assert.are.equal(1, semaphore:value())
  end))

  it("may be released by anybody, above its start", run(function()
    local semaphore = tide.Semaphore(1)
    semaphore:release()
    assert.are.equal(2, semaphore:value())
    assert.matches("2", tostring(semaphore))
  end))

  it("is not overtaken", run(function()
    local semaphore = tide.Semaphore(0)
    local waiter = tide.spawn(semaphore.acquire, semaphore)
    turns(1)
    semaphore:release()
    assert.is_false(semaphore:try_acquire())
    waiter:await()
  end))

  it("try_acquire takes one where there is one", run(function()
    local semaphore = tide.Semaphore(1)
    assert.is_true(semaphore:try_acquire())
    assert.is_false(semaphore:try_acquire())
    semaphore:release()
  end))

  it("keeps its permits where a waiter is cancelled or killed", run(function()
    for _, how in ipairs { "cancel", "kill" } do
      local semaphore = tide.Semaphore(0)
      local task = tide.spawn(function()
        local _ <close> = semaphore:acquire()
        tide.sleep(0)
      end)
      turns(1)
      semaphore:release()
      task[how](task)
      tide.wait { task }
      assert.are.equal(1, semaphore:value())
    end
  end))
end)

describe("several permits at once", function()
  it("are taken together, in order: who wants few does not overtake", run(function()
    local semaphore, log = tide.Semaphore(3), helper.log()
    local function taker(k)
      return tide.spawn(function()
        local _ <close> = semaphore:acquire(k)
        log(k)
        turns(2)
      end)
    end
    local tasks = { taker(2), taker(3), taker(1) }
    turns(1)
    assert.are.same({ 2 }, { table.unpack(log) })
    assert.are.equal(1, semaphore:value())
    assert.is_false(semaphore:try_acquire())
    tide.wait(tasks)
    assert.are.same({ 2, 3, 1 }, { table.unpack(log) })
    assert.are.equal(3, semaphore:value())
  end))

  it("go to those behind where the first gives up", run(function()
    for _, how in ipairs { "cancel", "kill" } do
      local semaphore = tide.Semaphore(1)
      local greedy = tide.spawn(semaphore.acquire, semaphore, 5)
      local modest = tide.spawn(semaphore.acquire, semaphore)
      turns(1)
      assert.is_false(modest:done())
      greedy[how](greedy)
      tide.wait { greedy, modest }
      assert.are.equal("done", modest:status())
    end
  end))

  it("of a bounded one that came back by hand and by the guard, too, are an error", run(function()
    local semaphore = tide.BoundedSemaphore(2)
    local guard = semaphore:acquire(2)
    semaphore:release(2)
    raises("limit", guard.release, guard)
    do
      local _ <close> = semaphore:acquire() -- at the end of a block that is no error, as of a Lock
      semaphore:release()
    end
    assert.are.equal(2, semaphore:value())
  end))

  it("come back once, by the guard, by hand or at the end of the block", run(function()
    local semaphore = tide.Semaphore(5)
    do
      local guard <close> = semaphore:acquire(3)
      assert.matches("3", tostring(guard))
      assert.are.equal("Semaphore guard", tide.type(guard))
      guard:release()
      assert.are.equal(5, semaphore:value())
      guard:close()
      assert.matches("released", tostring(guard))
    end
    assert.are.equal(5, semaphore:value())
    local bounded = tide.BoundedSemaphore(2)
    do
      local _ <close> = bounded:acquire(2)
      bounded:release(2) -- and not again at the end
    end
    assert.are.equal(2, bounded:value())
  end))

  it("are at least one", run(function()
    local semaphore = tide.Semaphore(1)
    helper.fails("bad argument #1 to 'acquire' (must be at least 1)", function() semaphore:acquire(0) end)
    helper.fails("bad argument #1 to 'try_acquire' (must be at least 1)", function() semaphore:try_acquire(0) end)
    helper.fails("bad argument #1 to 'release' (must be at least 1)", function() semaphore:release(0) end)
  end))
end)

describe("a closed Semaphore", function()
  it("raises `closed` to who waits and who comes; what is out may come back", run(function()
    local semaphore = tide.Semaphore(1)
    local guard = semaphore:acquire()
    local waiter = tide.spawn(raises, "closed", semaphore.acquire, semaphore)
    local selector = tide.spawn(raises, "closed", tide.select, semaphore)
    turns(1)
    semaphore:close()
    semaphore:close()
    waiter:await()
    selector:await()
    raises("closed", semaphore.acquire, semaphore)
    raises("closed", semaphore.try_acquire, semaphore)
    raises("closed", tide.select, semaphore)
    guard:release()
    assert.are.equal(1, semaphore:value())
    assert.is_true(semaphore:statistics().closed)
    assert.matches("closed", tostring(semaphore))
  end))
end)

describe("a BoundedSemaphore", function()
  it("is not released more often than acquired", run(function()
    local semaphore = tide.BoundedSemaphore(2)
    raises("limit", semaphore.release, semaphore)
    semaphore:acquire()
    semaphore:release()
    raises("limit", semaphore.release, semaphore)
    semaphore:acquire(2)
    raises("limit", semaphore.release, semaphore, 3)
    assert.are.equal(0, semaphore:value())
    semaphore:release(2)
    assert.are.equal(2, semaphore:value())
  end))

  it("never has more than its bound: who wants more is told", run(function()
    local semaphore = tide.BoundedSemaphore(2)
    raises("limit", semaphore.acquire, semaphore, 3)
    assert.is_false(semaphore:try_acquire(3))
    assert.are.equal(2, semaphore:value())
  end))
end)
