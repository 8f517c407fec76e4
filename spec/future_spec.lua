-- Futures: a result that somebody sets.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises = helper.run, helper.turns, helper.raises

describe("a Future", function()
  it("gives what was set, to those who wait and to those who come later", run(function()
    local future = tide.Future()
    local early = tide.spawn(future.await, future)
    turns(1)
    future:set_result(1, nil, 3, nil)
    assert.are.same({ 1, nil, 3, nil, n = 4 }, table.pack(early:await()))
    assert.are.same({ 1, nil, 3, nil, n = 4 }, table.pack(future:await()))
    assert.are.same({ 1, nil, 3, nil, n = 4 }, table.pack(future:result()))
    assert.are.same({ 1, nil, 3, nil, n = 4 }, table.pack(tide.await(future)))
  end))

  it("can be set to nothing, and to nil", run(function()
    local future = tide.Future()
    future:set_result()
    assert.are.equal(0, select("#", future:await()))
    future = tide.Future()
    future:set_result(nil)
    assert.are.equal(1, select("#", future:await()))
  end))

  it("raises the error that was set, by identity", run(function()
    local future, failure = tide.Future(), {}
    future:set_error(failure)
    assert.are.equal(failure, select(2, pcall(future.await, future)))
    assert.are.equal(failure, future:error())
    future = tide.Future()
    future:set_error(nil)
    assert.are.same({ false, nil, n = 2 }, table.pack(pcall(future.await, future)))
  end))

  it("knows its state", run(function()
    local future = tide.Future()
    assert.is_false(future:done())
    assert.are.equal("Future(pending)", tostring(future))
    raises("invalid_state", future.result, future)
    raises("invalid_state", future.error, future)
    future:set_result(1)
    assert.is_true(future:done())
    assert.is_false(future:cancelled())
    assert.is_nil(future:error())
    assert.are.equal("Future(done)", tostring(future))
  end))

  it("is resolved once", run(function()
    local future = tide.Future()
    future:set_result(1)
    raises("invalid_state", future.set_result, future, 2)
    raises("invalid_state", future.set_error, future, "x")
    assert.is_false(future:cancel())
    assert.are.equal(1, future:await())
  end))

  it("can be cancelled", run(function()
    local future = tide.Future()
    local waiter = tide.spawn(future.await, future)
    turns(1)
    assert.is_true(future:cancel())
    assert.is_true(future:cancelled())
    assert.is_true(future:done())
    raises("cancelled", waiter.await, waiter)
    raises("cancelled", future.await, future)
  end))

  it("says whether a result or an error took: not where it was cancelled", run(function()
    assert.is_true(tide.Future():set_result())
    assert.is_true(tide.Future():set_result(1, 2))
    local future = tide.Future()
    assert.is_true(future:set_error "x")
    assert.are.equal("x", future:error())
    future = tide.Future()
    future:cancel()
    assert.is_false(future:set_result(1))
    assert.is_false(future:set_result())
    assert.is_false(future:set_error "x")
    assert.is_false(future:cancel())
    assert.is_true(future:cancelled())
    raises("cancelled", future.await, future)
  end))

  it("stays pending, whoever stops waiting for it, in whatever way", run(function()
    for _, wait in ipairs {
      function(future) future:await() end,
      function(future) tide.shield(future) end,
      function(future) tide.gather { future } end,
      function(future) tide.wait { future } end,
      function(future) tide.race { future, tide.Future() } end,
      function(future) tide.wait_for(future, 60) end,
      function(future) tide.select(future) end,
      function(future) tide.timeout(60, tide.await, future) end,
      function(future) for _ in tide.as_completed { future } do error "not reached" end end,
    } do
      local future = tide.Future()
      local waiter = tide.spawn(wait, future)
      local patient = tide.spawn(future.await, future)
      turns(2)
      waiter:cancel()
      tide.wait { waiter }
      assert.is_true(waiter:cancelled())
      assert.is_false(future:done())
      assert.is_true(future:set_result "late")
      assert.are.equal("late", patient:await())
    end
  end))

  it("stays pending where the race that it was in is over", run(function()
    local future = tide.Future()
    assert.are.equal(2, tide.race { future, function() tide.sleep(0) end })
    assert.is_false(future:done())
    future:set_result(1)
  end))

  it("can be set outside of tasks", run(function()
    local future = tide.Future()
    tide.call_soon(future.set_result, future, "from a callback")
    assert.are.equal("from a callback", future:await())
  end))

  it("has done callbacks", run(function()
    local future, seen = tide.Future(), nil
    future:add_done_callback(function(f) seen = f:result() end)
    future:set_result(5)
    turns(2)
    assert.are.equal(5, seen)
  end))

  it("wakes its waiters in order", run(function()
    local future, log = tide.Future(), helper.log()
    for i = 1, 3 do tide.spawn(function() future:await() log(i) end) end
    turns(1)
    future:set_result()
    turns(1)
    assert.are.same({ 1, 2, 3 }, { table.unpack(log) })
  end))
end)

describe("tide.await", function()
  it("takes values with __await, which may wait", run(function()
    local awaitable = setmetatable({ value = 7 }, { __await = function(self)
      tide.sleep(0)
      return self.value, nil
    end })
    assert.are.same({ 7, nil, n = 2 }, table.pack(tide.await(awaitable)))
    assert.are.same({ 7, n = 1 }, tide.gather { awaitable })
  end))

  it("raises what __await raises", run(function()
    local failure = {}
    local awaitable = setmetatable({}, { __await = function() error(failure, 0) end })
    assert.are.equal(failure, select(2, pcall(tide.await, awaitable)))
  end))
end)
