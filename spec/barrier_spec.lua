-- Barrier.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises = helper.run, helper.turns, helper.raises

describe("a Barrier", function()
  it("lets all pass when the last has come, and gives the order of arrival", run(function()
    local barrier, log = tide.Barrier(3), helper.log()
    local function party(n)
      return function()
        turns(n)
        local index = barrier:wait()
        log(n)
        return index
      end
    end
    assert.are.same({ 3, 1, 2, n = 3 }, tide.gather { party(5), party(1), party(3) })
    assert.are.equal(3, #log)
    assert.are.equal(0, barrier:waiting())
  end))

  it("can be used again", run(function()
    local barrier, rounds = tide.Barrier(2), { 0, 0 }
    local function party(i)
      return function()
        for round = 1, 4 do
          barrier:wait()
          rounds[i] = round
          assert(math.abs(rounds[1] - rounds[2]) <= 1)
        end
      end
    end
    tide.gather { party(1), party(2) }
    assert.are.same({ 4, 4 }, rounds)
  end))

  it("of one never waits", run(function()
    assert.are.equal(1, tide.Barrier(1):wait())
  end))

  it("knows its parties and who waits", run(function()
    local barrier = tide.Barrier(2)
    local task = tide.spawn(barrier.wait, barrier)
    turns(1)
    assert.are.equal(2, barrier:parties())
    assert.are.equal(1, barrier:waiting())
    assert.are.equal("Barrier(1 of 2 waiting)", tostring(barrier))
    assert.are.equal(2, barrier:wait())
    assert.are.equal(1, task:await())
  end))

  it("that is aborted is broken for those inside and those who come", run(function()
    local barrier = tide.Barrier(3)
    local a, b = tide.spawn(barrier.wait, barrier), tide.spawn(barrier.wait, barrier)
    turns(1)
    barrier:abort()
    assert.is_true(barrier:broken())
    tide.wait { a, b }
    assert.is_true(tide.is(a:error(), "broken_barrier"))
    assert.is_true(tide.is(b:error(), "broken_barrier"))
    raises("broken_barrier", barrier.wait, barrier)
  end))

  it("that is reset raises in those inside, and is as new", run(function()
    local barrier = tide.Barrier(2)
    local a = tide.spawn(barrier.wait, barrier)
    turns(1)
    barrier:reset()
    tide.wait { a }
    assert.is_true(tide.is(a:error(), "broken_barrier"))
    assert.is_false(barrier:broken())
    tide.spawn(barrier.wait, barrier)
    turns(1)
    assert.are.equal(2, barrier:wait())
    barrier:abort()
    barrier:reset()
    assert.is_false(barrier:broken())
  end))

  it("is broken by a waiter that is cancelled, or not: it did not happen", run(function()
    local barrier = tide.Barrier(2)
    local a = tide.spawn(barrier.wait, barrier)
    turns(1)
    a:cancel()
    tide.wait { a }
    assert.is_true(a:cancelled())
    assert.are.equal(0, barrier:waiting())
  end))
end)
