-- tide.run, run_forever, stop, the clock, callbacks.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, failing = tide.testing.wrap, helper.turns, helper.failing
local raises, fails = helper.raises, helper.fails

-- Under plain lua5.4, what is there before tide outlives it.
local late_finalizer = [[
  local calls = {}
  local keep = setmetatable({}, { __gc = function()
    for _, f in ipairs(calls) do print(select(2, pcall(f)).kind) end
  end })
  local tide = require "tide"
  tide.run(function()
    local event, queue, future = tide.Event(), tide.Queue(1), tide.Future()
    tide.spawn(event.wait, event)
    tide.spawn(future.await, future)
    tide.spawn(queue.get, queue)
    local task = tide.spawn(tide.sleep, 5)
    local one = tide.net.pair()
    tide.spawn(one.read, one)
    tide.sleep(0)
    calls[1] = function() event:set() end
    calls[2] = function() queue:put_nowait(1) end
    calls[3] = function() future:set_result() end
    calls[4] = function() task:cancel() end
    calls[5] = function() tide.spawn(print) end
    calls[6] = function() tide.net.pair() end
    os.exit(keep and 0, true)
  end)
]]

if not helper.inside then
  describe("a state that is closed while tasks wait", function()
    it("lets finalizers touch nothing that is gone", function()
      local path = os.tmpname()
      local file = assert(io.open(path, "w"))
      file:write(late_finalizer)
      file:close()
      local pipe = assert(io.popen(("LUA_CPATH='%s' lua5.4 %s 2>&1"):format(package.cpath, path)))
      local output = pipe:read("a")
      assert.is_true(pipe:close())
      os.remove(path)
      assert.are.equal(("closed\n"):rep(6), output)
    end)
  end)

  describe("tide.run", function()
    it("hands arguments and results over", function()
      assert.are.same({ 1, nil, 3, nil, n = 4 }, table.pack(tide.run(function(...)
        tide.sleep(0)
        return ...
      end, 1, nil, 3, nil)))
      assert.are.equal(0, select("#", tide.run(function() end)))
    end)

    it("raises the error of the root task, by identity", function()
      for _, failure in ipairs { {}, "string", 5, tide.error("mine", "m") } do
        local ok, err = pcall(tide.run, function()
          tide.sleep(0)
          error(failure, 0)
        end)
        assert.is_false(ok)
        assert.are.equal(failure, err)
      end
      assert.are.same({ false, nil, n = 2 }, table.pack(pcall(tide.run, error)))
    end)

    it("can be called again and again, also after an error", function()
      for i = 1, 5 do
        assert.are.equal(i, tide.run(function() tide.sleep(0) return i end))
        helper.fails("oops", tide.run, failing "oops")
      end
    end)

    it("cancels and awaits the background tasks when it ends", function()
      local state
      tide.run(function()
        tide.spawn(function()
          state = "running"
          local _ <close> = helper.closer(function()
            tide.shield(turns, 3)
            state = "cleaned"
          end)
          tide.sleep(5)
        end)
        turns(2)
      end)
      assert.are.equal("cleaned", state)
      assert.are.same({}, tide.all_tasks())
    end)

    it("does the same when the root task fails", function()
      local cleaned
      helper.fails("oops", tide.run, function()
        tide.spawn(function()
          local _ <close> = helper.closer(function() cleaned = true end)
          tide.sleep(5)
        end)
        turns(2)
        error "oops"
      end)
      assert.is_true(cleaned)
    end)

    it("never starts tasks that were spawned in its last turn", function()
      local ran = false
      local task
      tide.run(function() task = tide.spawn(function() ran = true end) end)
      assert.is_false(ran)
      assert.is_true(task:cancelled())
    end)

    it("lets background tasks spawn others while they end", function()
      local log = helper.log()
      tide.run(function()
        tide.spawn(function()
          local _ <close> = helper.closer(function()
            tide.spawn(function() log "never" end)
            log "closing"
          end)
          tide.sleep(5)
        end)
        turns(2)
      end)
      assert.are.equal("closing", log[1])
      assert.are.same({}, tide.all_tasks())
    end)

    it("reports failures of background tasks that come while it ends", function()
      local failures = helper.collect_failures()
      tide.run(function()
        tide.spawn(function()
          local _ <close> = helper.closer(failing "cleanup")
          tide.sleep(5)
        end)
        turns(2)
      end)
      assert.are.equal(1, #failures)
      assert.are.equal("cleanup", failures[1].err)
    end)

    it("cancels its callbacks", function()
      local called = false
      local handle
      tide.run(function() handle = tide.call_later(0.001, function() called = true end) end)
      tide.run(tide.sleep, 0.003)
      assert.is_false(called)
      assert.is_false(handle:cancel())
    end)

    it("raises `deadlock` in the root where nothing can wake any task", function()
      local err = raises("deadlock", tide.run, function() tide.Future():await() end)
      assert.is_not_nil(err)
      raises("deadlock", tide.run, function() tide.Queue():get() end)
      raises("deadlock", tide.run, function()
        local lock = tide.Lock()
        tide.spawn(function() lock:acquire() tide.Event():wait() end)
        turns(2)
        lock:acquire()
      end)
    end)

    it("lets the root handle a deadlock", function()
      assert.are.equal("deadlock", tide.run(function()
        local ok, err = pcall(tide.Future().await, tide.Future())
        assert(not ok)
        return err.kind
      end))
    end)

    it("lets it handle one after the other", function()
      local kinds = tide.run(function()
        local found = {}
        for i = 1, 3 do
          local _, err = pcall(tide.Future().await, tide.Future())
          found[i] = err.kind
          tide.sleep(0.001)
        end
        return table.concat(found, " ")
      end)
      assert.are.equal("deadlock deadlock deadlock", kinds)
    end)

    it("ends in the end where it only waits again", function()
      local times = 0
      raises("deadlock", tide.run, function()
        while true do
          pcall(tide.Future().await, tide.Future())
          times = times + 1
        end
      end)
      assert.is_true(times >= 3)
    end)

    it("that cannot start leaves the loop free", function()
      fails("too many arguments", tide.run, print, table.unpack({}, 1, 70000))
      assert.are.equal(7, tide.run(function() return 7 end))
    end)

    it("raises `deadlock` out of a group whose children wait for each other", function()
      raises("deadlock", tide.run, function()
        tide.TaskGroup(function(g)
          local a
          a = g:spawn(function() tide.Event():wait() end)
          g:spawn(function() a:await() end)
        end)
      end)
      assert.are.same({}, tide.all_tasks())
    end)

    it("is no deadlock while somebody sleeps", function()
      tide.run(function()
        local future = tide.Future()
        tide.call_later(0.001, future.set_result, future, 1)
        assert.are.equal(1, future:await())
      end)
    end)

    it("works inside a coroutine, and leaves it usable", function()
      local generate = coroutine.wrap(function()
        coroutine.yield(tide.run(function() tide.sleep(0) return 1 end))
        coroutine.yield(2)
      end)
      assert.are.equal(1, generate())
      assert.are.equal(2, generate())
    end)

    it("works inside pcall, with a traceback of its own", function()
      local ok, trace = xpcall(tide.run, debug.traceback, function() error "oops" end)
      assert.is_false(ok)
      assert.matches("oops", trace)
    end)

    it("frees what its tasks held", function()
      local weak = setmetatable({}, { __mode = "k" })
      for _ = 1, 20 do
        tide.run(function()
          local big = {}
          weak[big] = true
          tide.spawn(function() big[1] = tide.current_task() tide.sleep(5) end)
          turns(2)
        end)
      end
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
    end)
  end)

  describe("tide.run_forever", function()
    it("runs until tide.stop", function()
      local count = 0
      tide.spawn(function()
        while true do
          count = count + 1
          if count == 5 then tide.stop() end
          tide.sleep(0)
        end
      end)
      tide.run_forever()
      assert.is_true(count >= 5)
      assert.are.same({}, tide.all_tasks())
    end)

    it("is stopped from a callback", function()
      tide.call_later(0.001, tide.stop)
      tide.run_forever()
    end)

    it("waits for the cleanup of its tasks without spinning", function()
      tide.spawn(function()
        local _ <close> = helper.closer(function() tide.shield(tide.sleep, 0.05) end)
        tide.sleep(5)
      end)
      tide.call_later(0.001, tide.stop)
      local turns_before = tide.stats().turns
      tide.run_forever()
      assert.is_true(tide.stats().turns - turns_before < 50)
    end)

    it("ends tasks that shield themselves for ever", function()
      local task = tide.spawn(function() tide.shield(function() tide.Event():wait() end) end)
      tide.call_later(0.001, tide.stop)
      tide.run_forever()
      assert.is_true(task:cancelled())
    end)

    it("returns where nothing is left to be run", function()
      tide.run_forever()
      local ran = false
      tide.spawn(function() ran = true end)
      tide.run_forever()
      assert.is_true(ran)
    end)

    it("raises `deadlock` where all tasks wait and nothing can wake any", function()
      local event = tide.Event()
      local task = tide.spawn(event.wait, event)
      raises("deadlock", tide.run_forever)
      assert.is_true(task:cancelled())
    end)
  end)

  describe("tide.stop", function()
    it("cancels the root of a run", function()
      raises("cancelled", tide.run, function()
        tide.call_soon(tide.stop)
        tide.sleep(5)
      end)
    end)

    it("does nothing where nothing runs", function()
      tide.stop()
    end)
  end)
end

describe("tide.time", function()
  it("is monotonic, in seconds", helper.run(function()
    local began, before = os.time(), tide.time()
    assert.are.equal("float", math.type(before))
    tide.sleep(0.01)
    local lasted = tide.time() - before
    assert.is_true(lasted >= 0.01 and lasted < os.time() - began + 1)
  end))
end)

describe("tide.sleep", function()
  it("takes integers, floats, numbers in strings, infinity", run(function()
    tide.sleep(0)
    tide.sleep(0.0)
    tide.sleep(1e-9)
    tide.sleep "0.0001"
    assert.is_false(tide.move_on_after(0.001, tide.sleep, math.huge))
    assert.is_false(tide.move_on_after(0.001, tide.sleep, 1e300))
    assert.is_false(tide.move_on_after(0.001, tide.sleep, math.maxinteger))
  end))

  it("wakes in the order of deadlines", run(function()
    local log = helper.log()
    tide.gather {
      function() tide.sleep(0.003) log(3) end,
      function() tide.sleep(0.001) log(1) end,
      function() tide.sleep(0.002) log(2) end,
    }
    assert.are.same({ 1, 2, 3 }, { table.unpack(log) })
  end))
end)

describe("a callback", function()
  it("is called soon, in order, with its arguments, outside of tasks", run(function()
    local log = helper.log()
    tide.call_soon(function(...)
      assert.is_nil(tide.current_task())
      log(table.pack(...))
    end, 1, nil, 3, nil)
    tide.call_soon(log, 2)
    assert.are.equal(0, #log)
    turns(2)
    assert.are.same({ 1, nil, 3, nil, n = 4 }, log[1])
    assert.are.equal(2, log[2])
  end))

  it("is called later, and at a time", run(function()
    local log = helper.log()
    tide.call_later(0.003, log, "later")
    tide.call_at(tide.time() + 0.001, log, "at")
    tide.call_later(0, log, "now")
    tide.call_later(-1, log, "past")
    tide.call_at(0, log, "long past")
    tide.sleep(0.005)
    assert.are.same({ "now", "past", "long past", "at", "later" }, { table.unpack(log) })
  end))

  it("can be cancelled", run(function()
    local called = false
    local function call() called = true end
    local soon, later = tide.call_soon(call), tide.call_later(0.001, call)
    assert.matches("pending", tostring(soon))
    assert.is_true(soon:cancel())
    assert.is_true(later:cancel())
    assert.is_false(soon:cancel())
    tide.sleep(0.002)
    assert.is_false(called)
    assert.matches("done", tostring(soon))
  end))

  it("may cancel itself and others of its turn", run(function()
    local called = false
    local first, second
    first = tide.call_soon(function()
      assert.is_false(first:cancel())
      assert.is_true(second:cancel())
    end)
    second = tide.call_soon(function() called = true end)
    turns(3)
    assert.is_false(called)
  end))

  it("may spawn, and add callbacks", run(function()
    local log = helper.log()
    tide.call_soon(function()
      tide.spawn(log, "task")
      tide.call_soon(log, "callback")
    end)
    turns(4)
    assert.are.same({ "task", "callback" }, { table.unpack(log) })
  end))

  it("that fails is reported; the loop and the others go on", run(function()
    local failures, called = helper.collect_failures(), false
    local failure = {}
    tide.call_soon(failing(failure))
    tide.call_soon(function() called = true end)
    turns(3)
    assert.are.equal(1, #failures)
    assert.are.equal(failure, failures[1].err)
    assert.matches("callback", failures[1].what)
    assert.is_true(called)
  end))

  it("is not collected before it was called", run(function()
    local called = false
    tide.call_later(0.001, function() called = true end)
    collectgarbage()
    collectgarbage()
    tide.sleep(0.003)
    assert.is_true(called)
  end))

  it("very many of them", run(function()
    local count = 0
    for _ = 1, 5000 do tide.call_soon(function() count = count + 1 end) end
    turns(3)
    assert.are.equal(5000, count)
  end))
end)
