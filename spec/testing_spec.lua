-- tide.testing: virtual time, seeds, runs inside runs, assertions about waits.
local tide = require "tide"
local helper = require "spec.helper"

local testing, sleep, spawn = tide.testing, tide.sleep, tide.spawn
local raises, fails = helper.raises, helper.fails

-- A body that runs in a task, but in no testing.run.
local function in_task(body)
  return function() return (helper.inside and body or function() tide.run(body) end)() end
end

describe("testing.run", function()
  it("is also what require gives", function()
    assert.equal(testing, require "tide.testing")
  end)

  it("lets time jump to the next deadline", function()
    local order = helper.log()
    local began = os.time()
    local took = testing.run(function()
      local start = tide.time()
      local year = spawn(function() sleep(365 * 86400) order "year" end)
      local hour = spawn(function() sleep(3600) order "hour" end)
      sleep(60)
      order "minute"
      assert.equal(60, tide.time() - start)
      hour:await()
      assert.equal(3600, tide.time() - start)
      year:await()
      return tide.time() - start
    end)
    assert.equal(365 * 86400, took)
    assert.same({ "minute", "hour", "year" }, order)
    assert.is_true(os.time() - began < 60)
  end)

  it("begins at a whole second, so that sums are exact", function()
    testing.run(function()
      assert.equal(0, tide.time() % 1)
      sleep(0.25)
      assert.equal(0.25, tide.time() % 1)
    end)
  end)

  it("stands still while a task is ready", function()
    testing.run(function()
      local began = tide.time()
      local sleeper = spawn(sleep, 1)
      for _ = 1, 1000 do sleep(0) end
      assert.equal(began, tide.time())
      sleeper:await()
      assert.equal(1, tide.time() - began)
    end)
  end)

  it("returns what the function returns, and raises its error by identity", function()
    assert.same({ n = 3, 1, nil, 3 }, table.pack(testing.run(function() return 1, nil, 3 end)))
    assert.same({ n = 0 }, table.pack(testing.run(function() end)))
    local failure = {}
    local _, err = pcall(testing.run, function() error(failure) end)
    assert.equal(failure, err)
  end)

  it("takes anything that can be called", function()
    local callable = setmetatable({}, { __call = function() return sleep(5) or "called" end })
    assert.equal("called", testing.run(callable))
  end)

  it("has timeouts that pass at once", function()
    testing.run(function()
      local began = tide.time()
      raises("timeout", tide.timeout, 30, sleep, 60)
      assert.equal(30, tide.time() - began)
      assert.is_false(tide.move_on_after(1e6, function() tide.Event():wait() end))
    end)
  end)

  it("cancels and awaits what is left of it, and drops callbacks", function()
    local cleaned, called = false, false
    testing.run(function()
      spawn(function()
        local _ <close> = helper.closer(function()
          tide.shield(sleep, 10)
          cleaned = true
        end)
        sleep(1000)
      end)
      tide.call_later(5, function() called = true end)
      sleep(1)
    end)
    assert.is_true(cleaned)
    assert.is_false(called)
  end)

  it("calls done callbacks, also those of the end", function()
    local called = helper.log()
    testing.run(function()
      spawn(sleep, 1000):add_done_callback(function(task) called(task:cancelled()) end)
      sleep(1)
    end)
    assert.same({ true }, called)
  end)

  it("raises deadlock where nothing can wake any", function()
    raises("deadlock", testing.run, function() tide.Event():wait() end)
    assert.equal("went on", testing.run(function()
      raises("deadlock", tide.Future().await, tide.Future())
      sleep(1)
      return "went on"
    end))
  end)

  it("reports what fails and is awaited by nobody", function()
    local failures = helper.collect_failures()
    testing.run(function()
      spawn(error, "nobody listens", 0)
      sleep(1)
    end)
    assert.equal(1, #failures)
    assert.equal("nobody listens", failures[1].err)
  end)

  it("checks its arguments", function()
    fails("bad argument #1 to 'run' (function expected, got nil)", testing.run)
    fails("bad argument #2 to 'run' (table expected, got number)", testing.run, print, 5)
    fails("'clock' must be", testing.run, print, { clock = "fake" })
    fails("'seed' must be an integer", testing.run, print, { seed = 1.5 })
    fails("'seeds' must be a positive integer", testing.run, print, { seeds = 0 })
    fails("'autojump_threshold' must be", testing.run, print, { autojump_threshold = 0 / 0 })
    fails("'autojump_threshold' must be", testing.run, print, { autojump_threshold = "1" })
    local err = fails("bad argument #1 to 'wrap'", function() testing.wrap(nil) end)
    assert.matches("^spec/testing_spec.lua:%d+:", err)
    err = fails("'seeds' must be", function() testing.run(print, { seeds = "x" }) end)
    assert.matches("^spec/testing_spec.lua:%d+:", err)
  end)
end)

describe("testing.run restores the clock", function()
  local function assert_real()
    helper.run_now(function()
      local began = os.time()
      local before = tide.time()
      sleep(0.003)
      local passed = tide.time() - before
      assert.is_true(passed >= 0.003)
      assert.is_true(passed <= os.time() - began + 1)
    end)
  end

  it("where the function returns, fails or is cancelled", function()
    testing.run(function() sleep(1000) end)
    assert_real()
    pcall(testing.run, function() error "x" end)
    assert_real()
    raises("cancelled", testing.run, function()
      tide.current_task():cancel()
      sleep(1)
    end)
    assert_real()
    raises("deadlock", testing.run, function() tide.Event():wait() end)
    assert_real()
  end)

  it("and time never goes back", function()
    local before = tide.time()
    local inside = testing.run(function()
      sleep(10)
      return tide.time()
    end)
    assert.is_true(inside >= before + 10)
    assert.is_true(tide.time() >= inside)
  end)

  it("where what ran it is cancelled, or killed", in_task(function()
    for _, how in ipairs { "cancel", "kill" } do
      local inner
      local runner = spawn(testing.run, function()
        inner = tide.current_task()
        while true do tide.sleep(0) end
      end)
      helper.turns(5)
      runner[how](runner)
      tide.wait { runner }
      assert.is_true(runner:cancelled())
      tide.wait { inner }
      assert.is_true(inner:cancelled())
      local before = tide.time()
      sleep(0.002)
      assert.is_true(tide.time() - before < 60)
    end
  end))

  it("of the run around it", function()
    testing.run(function()
      local began = tide.time()
      sleep(100)
      testing.run(function() sleep(0.002) end, { clock = "real" })
      local between = tide.time() - began
      assert.is_true(between >= 100.002 and between < 110)
      sleep(100)
      assert.is_true(math.abs(tide.time() - began - between - 100) < 1e-6) -- doubles
    end)
  end)
end)

describe("testing.run inside a task", function()
  it("runs the function in a task of its own", helper.run(function()
    local me = tide.current_task()
    testing.run(function()
      assert.not_equal(me, tide.current_task())
      tide.current_task():cancel()
      raises("cancelled", sleep, 1)
    end)
    sleep(0)
  end))

  it("leaves alone what began before", helper.run(function()
    local event = tide.Event()
    local before = spawn(event.wait, event)
    local handle = tide.call_later(1000, print, "is cancelled below")
    testing.run(function() sleep(5) end)
    assert.equal("waiting", before:status())
    assert.is_true(handle:cancel())
    event:set()
    before:await()
  end))

  it("kills what nothing can wake", helper.run(function()
    local task
    testing.run(function()
      task = spawn(tide.shield, function() tide.Event():wait() end)
      sleep(1)
    end)
    assert.is_true(task:done())
  end))

  it("is refused to two tasks at once", in_task(function()
    local first = spawn(testing.run, function()
      for _ = 1, 5 do sleep(0) end
      return "first"
    end)
    sleep(0)
    raises("already_running", testing.run, function() end)
    assert.equal("first", first:await())
    assert.equal("now", testing.run(function() return "now" end))
  end))

  it("is refused in a callback", helper.run(function()
    local err
    tide.call_soon(function() err = select(2, pcall(testing.run, function() end)) end)
    helper.turns(2)
    assert.is_true(tide.is(err, "already_running"))
  end))

  it("cancels it with its caller, and waits for it", in_task(function()
    local log = helper.log()
    local caller = spawn(testing.run, function()
      local _ <close> = helper.closer(function()
        tide.shield(sleep, 100)
        log "clean"
      end)
      for _ = 1, 1000 do sleep(0) end
    end)
    helper.turns(5)
    caller:cancel()
    raises("cancelled", caller.await, caller)
    assert.same({ "clean" }, log)
  end))
end)

describe("virtual time and descriptors:", function()
  it("what is there to be read comes before any deadline", function()
    for _ = 1, 50 do
      testing.run(function()
        local listener <close> = tide.net.listen("127.0.0.1", 0)
        local server = spawn(function()
          local stream <close> = listener:accept()
          for line in stream:lines() do stream:write(line, "\n") end
        end)
        local stream <close> = tide.net.connect(listener:address())
        for i = 1, 5 do
          stream:write(i, "\n")
          assert.equal(tostring(i), tide.timeout(0.001, stream.read_line, stream))
        end
        stream:close_write()
        server:await()
      end)
    end
  end)

  it("a stream closed with unsent bytes sends them before time jumps", function()
    testing.run(function()
      local a, b = tide.net.pair()
      local _ <close> = b
      a:set { low = 0, high = 64 << 20 }
      a:write(("x"):rep(8 << 20))
      a:close()
      spawn(sleep, 1) -- far less than the seconds that it lingers
      spawn(sleep, 100)
      assert.equal(8 << 20, #tide.timeout(1, b.read_all, b))
    end)
  end)

  it("the threshold gives other processes time to answer", function()
    testing.run(function()
      local path = os.tmpname()
      os.remove(path)
      local listener <close> = tide.net.listen("unix:" .. path)
      local pipe = io.popen(("sleep 0.02; echo hello | nc -NU %s"):format(path))
      local stream <close> = tide.timeout(1000, listener.accept, listener)
      assert.equal("hello", tide.timeout(1000, stream.read_line, stream))
      pipe:close()
    end, { autojump_threshold = 10 })
  end)

  it("without a threshold it does not wait for them", function()
    testing.run(function()
      local listener <close> = tide.net.listen("127.0.0.1", 0)
      raises("timeout", tide.timeout, 1e6, listener.accept, listener)
    end)
  end)
end)

-- The order in which five tasks are stepped, three turns long.
local function order()
  local log = helper.log()
  local tasks = {}
  for i = 1, 5 do
    tasks[i] = spawn(function()
      for _ = 1, 3 do
        log(i)
        sleep(0)
      end
    end)
  end
  tide.wait(tasks)
  return table.concat(log)
end

describe("seeds", function()
  it("are 0 unless given: tasks run in the order in which they became ready", function()
    assert.equal("123451234512345", testing.run(order))
    assert.equal("123451234512345", testing.run(order, { seed = 0 }))
  end)

  it("decide the order of each turn, the same each time", function()
    local orders, count = {}, 0
    for seed = 1, 50 do
      local this = testing.run(order, { seed = seed })
      assert.equal(this, testing.run(order, { seed = seed }))
      for at = 1, 15, 5 do
        local letters = { this:byte(at, at + 4) }
        table.sort(letters)
        assert.equal("12345", string.char(table.unpack(letters)))
      end
      if not orders[this] then count = count + 1 end
      orders[this] = true
    end
    assert.is_true(count > 40)
    assert.equal("123451234512345", helper.run_now(order))
  end)

  it("leave who waits in the order of waiting", function()
    testing.run(function()
      local queue, lock, log = tide.Queue(), tide.Lock(), helper.log()
      for i = 1, 5 do
        sleep(1)
        spawn(function()
          log(i .. queue:get())
          lock:acquire()
          sleep(1)
          lock:release()
        end)
      end
      sleep(1)
      for i = 1, 5 do queue:put(i) end
      sleep(10)
      table.sort(log)
      assert.same({ "11", "22", "33", "44", "55" }, log)
    end, { seeds = 20 })
  end)

  it("are tried one after the other, and the one that fails is told", function()
    local seen = helper.log()
    local function fails_at_7()
      seen(#seen + 1)
      if #seen == 7 then error("here", 0) end
    end
    fails("here (seed 7)", testing.run, fails_at_7, { seeds = 100 })
    assert.equal(7, #seen)
    local err = raises("mine", testing.run, function() error(tide.error("mine", "broken")) end,
      { seeds = 2, seed = 41 })
    assert.equal("broken (seed 41)", err.message)
    assert.equal(3, testing.run(function() return 3 end, { seeds = 3 }))
    assert.equal(3, testing.run(function() return 3 end, { seeds = 2, seed = math.maxinteger }))
  end)

  it("find a race", function()
    local function race()
      local balance = 10
      local function withdraw()
        sleep(0)
        if balance < 10 then return end
        sleep(0)
        balance = balance - 10
      end
      local auditor = spawn(function()
        sleep(0)
        sleep(0)
        return balance
      end)
      tide.gather { withdraw }
      assert(auditor:await() ~= 0 or balance == 0)
      if auditor:result() == 10 then error("the auditor came first", 0) end
    end
    fails("the auditor came first (seed ", testing.run, race, { seeds = 100 })
  end)
end)

describe("testing.wrap", function()
  it("makes a body that may wait", testing.wrap(function()
    local began = tide.time()
    sleep(3600)
    assert.equal(3600, tide.time() - began)
  end))

  local given
  before_each(testing.wrap(function()
    sleep(10)
    given = "by before_each"
  end))

  it("also of before_each", function() assert.equal("by before_each", given) end)

  it("passes arguments and results on", function()
    local f = testing.wrap(function(...)
      sleep(1)
      return select("#", ...), ...
    end, { seeds = 3 })
    assert.same({ n = 4, 3, "a", nil, nil }, table.pack(f("a", nil, nil)))
  end)
end)

describe("testing.assert_waits", function()
  it("gives the results of a function that suspends its task", testing.wrap(function()
    local queue = tide.Queue()
    assert.same({ 1, 2 }, { testing.assert_waits(function(...) sleep(0) return ... end, 1, 2) })
    testing.assert_waits(sleep, 1)
    spawn(queue.put, queue, "x")
    assert.equal("x", testing.assert_waits(queue.get, queue))
    testing.assert_waits(coroutine.wrap(function() sleep(0) end))
  end))

  it("raises where it was not suspended", testing.wrap(function()
    local queue = tide.Queue()
    queue:put "x"
    local err = fails("expected the function to wait", function()
      testing.assert_waits(queue.get, queue)
    end)
    assert.matches("^spec/testing_spec.lua:%d+:", err)
    fails("mine", testing.assert_waits, error, "mine")
  end))

  it("knows every wait, whatever else happens in the turn", testing.wrap(function()
    local event = tide.Event()
    local setter = spawn(function() event:set() end)
    testing.assert_waits(event.wait, event)
    testing.assert_waits(setter.await, spawn(function() end))
    raises("timeout", testing.assert_waits, tide.timeout, 0, sleep, 1)
  end, { seeds = 10 }))
end)

describe("testing.assert_does_not_wait", function()
  it("gives the results of a function that does not", testing.wrap(function()
    local queue = tide.Queue()
    assert.equal(5, testing.assert_does_not_wait(function(a) queue:put(a) return queue:get() end, 5))
  end))

  it("raises where it was suspended", testing.wrap(function()
    local err = fails("expected the function not to wait", function()
      testing.assert_does_not_wait(sleep, 0)
    end)
    assert.matches("^spec/testing_spec.lua:%d+:", err)
  end))

  it("is of use outside a task", function()
    assert.equal(1, testing.assert_does_not_wait(function() return 1 end))
    if not helper.inside then raises("no_task", testing.assert_waits, sleep, 0) end
    fails("bad argument #1 to 'assert_waits' (function expected, got nil)", testing.assert_waits)
    fails("bad argument #1 to 'assert_does_not_wait' (function expected, got number)",
      testing.assert_does_not_wait, 5)
  end)
end)
