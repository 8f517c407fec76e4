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
    assert.are.equal(semaphore, task:await())
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

describe("a BoundedSemaphore", function()
  it("is not released more often than acquired", run(function()
    local semaphore = tide.BoundedSemaphore(2)
    raises("invalid_state", semaphore.release, semaphore)
    semaphore:acquire()
    semaphore:release()
    raises("invalid_state", semaphore.release, semaphore)
    assert.are.equal(2, semaphore:value())
  end))
end)
