-- tide.callback and tide.await_callback.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises, fails = helper.run, helper.turns, helper.raises, helper.fails

describe("tide.callback", function()
  it("gives a function that runs the given one in a task of its own", run(function()
    local got, main = {}, tide.current_task()
    local call, handle = tide.callback(function(...)
      assert.are_not.equal(main, tide.current_task())
      tide.sleep(0)
      got[#got + 1] = { n = select("#", ...), ... }
    end)
    assert.are.equal(0, select("#", call("a", nil)))
    tide.call_soon(call) -- outside of tasks
    coroutine.wrap(call)("b") -- where it could wait too
    table.sort({ 1, 2 }, function() call("c") return false end) -- and where not
    assert.are.same({}, got)
    turns(3)
    assert.are.same({ { n = 2, "a" }, { n = 1, "b" }, { n = 1, "c" }, { n = 0 } }, got)
    handle:close()
  end))

  it("does nothing once it was closed", run(function()
    local count = 0
    local call, handle = tide.callback(function() count = count + 1 end)
    assert.are.equal("Callback", tide.type(handle))
    assert.are.equal("Callback(open)", tostring(handle))
    call()
    turns(2)
    handle:close()
    handle:close()
    call()
    turns(2)
    assert.are.equal(1, count)
    assert.are.equal("Callback(closed)", tostring(handle))
    do
      local other, also <close> = tide.callback(function() count = count + 1 end)
      assert.is_function(other)
      call = other
      assert.are.equal("Callback(open)", tostring(also))
    end
    call()
    turns(2)
    assert.are.equal(1, count)
  end))

  it("keeps the loop waiting while it is open", run(function()
    local queue = tide.Queue()
    local call, handle = tide.callback(function(x) queue:put(x) end)
    turns(2)
    tide.testing.assert_waits(function()
      tide.call_later(0.01, call, "x") -- as somebody outside would
      assert.are.equal("x", queue:get())
    end)
    assert.are.equal(1, tide.stats().watching)
    handle:close()
    turns(2)
    assert.are.equal(0, tide.stats().watching)
    if not helper.inside then raises("deadlock", queue.get, queue) end
  end, { clock = "virtual" }))

  it("is closed by the end of its run", function()
    if helper.inside then return end
    local count, call, handle = 0, nil, nil
    helper.run_now(function()
      call, handle = tide.callback(function() count = count + 1 end)
      turns(2)
      local _ <close> = helper.closer(function() call() end)
    end)
    local seen = count
    call()
    helper.run_now(function() turns(2) call() turns(2) end)
    assert.are.equal(seen, count)
    handle:close()
    call()
    assert.are.equal(0, tide.stats().watching)
  end)

  it("never began where its run ends at once", function()
    if helper.inside then return end
    local call
    helper.run_now(function() call = tide.callback(error) end)
    call()
    assert.are.equal(0, tide.stats().watching)
  end)

  it("reports what its tasks fail with, and goes on", run(function()
    local failures = helper.collect_failures()
    local call, handle = tide.callback(error)
    call("bad", 0)
    turns(2)
    call("worse", 0)
    turns(2)
    assert.are.same({ "bad", "worse" }, { failures[1].err, failures[2].err })
    handle:close()
  end))

  it("goes with the last who could call it", run(function()
    local calls = {}
    for i = 1, 100 do calls[i] = tide.callback(print) end
    turns(2)
    assert.are.equal(100, tide.stats().watching)
    for i in ipairs(calls) do calls[i] = nil end
    helper.holdings()
    turns(3)
    assert.are.equal(0, tide.stats().watching)
  end))

  it("takes a function", run(function()
    for _, bad in ipairs { 1, "x", {} } do fails("bad argument #1 to 'callback'", tide.callback, bad) end
    fails("bad argument #1", tide.callback)
    local _, handle = tide.callback(setmetatable({}, { __call = print }))
    fails("bad self", handle.close, {})
    handle:close()
  end))
end)

describe("tide.await_callback", function()
  local function later(delay, ...)
    local arguments = table.pack(...)
    local done = arguments[arguments.n]
    tide.call_later(delay, function() done(table.unpack(arguments, 1, arguments.n - 1)) end)
  end

  it("waits until the function's last argument is called", run(function()
    assert.are.same({ n = 3, 1, nil, 3 }, table.pack(tide.await_callback(later, 0.001, 1, nil, 3)))
    assert.are.same({ n = 0 }, table.pack(tide.await_callback(later, 0)))
    assert.are.equal("now", tide.await_callback(function(done) done("now") end))
    assert.are.equal("first", tide.await_callback(function(done) done("first") done("second") end))
    assert.are.equal("late", tide.await_callback(function(done) tide.sleep(0) done("late") end))
  end, { clock = "virtual" }))

  it("raises what the function raises", run(function()
    local kept
    fails("no such device", tide.await_callback, function(done) kept = done error("no such device", 0) end)
    kept("late")
    assert.are.equal(0, tide.stats().watching)
  end))

  it("can be cancelled, killed and timed out; who calls back then does no harm", run(function()
    local kept
    for _, how in ipairs { "cancel", "kill" } do
      local task = tide.spawn(tide.await_callback, function(done) kept = done end)
      turns(2)
      assert.are.equal(1, tide.stats().watching)
      task[how](task)
      kept("late")
      pcall(task.await, task)
      kept("later")
      assert.is_true(task:cancelled())
      assert.are.equal(0, tide.stats().watching)
    end
    assert.is_false(tide.move_on_after(0.001, tide.await_callback, function() end))
    raises("cancelled", function()
      tide.scope(function(scope)
        scope:cancel()
        tide.await_callback(function() error "it is not called" end)
      end)
      error(tide.error "cancelled")
    end)
  end))

  it("holds the loop meanwhile: no deadlock", run(function()
    assert.are.equal(1, tide.await_callback(function(done)
      assert.are.equal(1, tide.stats().watching)
      tide.call_later(0.001, done, 1)
    end))
    assert.are.equal(0, tide.stats().watching)
  end))

  it("takes a function, in a task", run(function()
    fails("bad argument #1 to 'await_callback'", tide.await_callback, 1)
    fails("bad argument #1 to 'await_callback'", tide.await_callback)
    raises("cannot_wait", table.sort, { 1, 2 }, function() tide.await_callback(print) end)
  end))
end)
