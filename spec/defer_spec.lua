-- tide.defer: what is to be called when a block is left.
local tide = require "tide"
local helper = require "spec.helper"

local run = helper.run

describe("tide.defer", function()
  it("calls the function with its arguments when the block is left", function()
    local log = helper.log()
    do
      local _ <close> = tide.defer(function(...) log(table.pack(...)) end, 1, nil, 3, nil)
      log "inside"
    end
    assert.are.same({ "inside", { 1, nil, 3, nil, n = 4 } }, { log[1], log[2] })
  end)

  it("calls it when an error leaves the block, and the error goes on", function()
    local called = 0
    local failure = {}
    local ok, err = pcall(function()
      local _ <close> = tide.defer(function(...) called = called + 1 + select("#", ...) end)
      error(failure)
    end)
    assert.are.same({ false, failure, 1 }, { ok, err, called })
  end)

  it("calls it once, at the close by hand or at the end", function()
    local called = 0
    do
      local deferred <close> = tide.defer(function() called = called + 1 end)
      assert.are.equal("Deferred(pending)", tostring(deferred))
      deferred:close()
      assert.are.equal(1, called)
      assert.are.equal("Deferred(done)", tostring(deferred))
      deferred:close()
    end
    assert.are.equal(1, called)
  end)

  it("is left in the order of all <close> variables", function()
    local log = helper.log()
    do
      local _ <close> = tide.defer(log, 1)
      local _ <close> = tide.defer(log, 2)
    end
    assert.are.same({ 2, 1 }, { log[1], log[2] })
  end)

  it("may wait, and hears of cancellation as any cleanup", run(function()
    local cleaned
    local task = tide.spawn(function()
      local _ <close> = tide.defer(function()
        tide.shield(helper.turns, 2)
        cleaned = true
      end)
      tide.sleep(5)
    end)
    helper.turns(1)
    task:cancel()
    tide.wait { task }
    assert.is_true(cleaned)
  end))

  it("fails as the function does", function()
    helper.fails("oops", function() local _ <close> = tide.defer(error, "oops", 0) end)
  end)

  it("refuses what cannot be called", function()
    helper.fails("bad argument #1 to 'defer' (function expected, got nil)", tide.defer)
  end)
end)
