-- Mistakes: each gives an error that names the function and says what to do; the loop goes on.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises, fails, failing = helper.run, helper.turns, helper.raises, helper.fails, helper.failing

local function cannot_wait(f, ...)
  local ok, err = tide.raw.pcall(f, ...)
  assert(not ok, "no error was raised")
  local message = tostring(err)
  assert(message:find("'sleep' cannot wait here", 1, true), message)
  tide.sleep(0) -- the loop goes on
  return err
end

describe("waiting where Lua cannot suspend:", function()
  local function wait() tide.sleep(0) end

  it("a table.sort comparator", run(function()
    cannot_wait(table.sort, { 3, 2, 1 }, function(a, b)
      wait()
      return a < b
    end)
  end))

  it("a gsub callback", run(function()
    local err = cannot_wait(string.gsub, "abc", ".", wait)
    assert.matches("gsub", tostring(err))
  end))

  it("__tostring", run(function()
    cannot_wait(tostring, setmetatable({}, { __tostring = function()
      wait()
      return ""
    end }))
  end))

  it("require", run(function()
    package.preload["spec.waits"] = wait
    cannot_wait(require, "spec.waits")
    package.preload["spec.waits"] = nil
  end))

  it("a load reader", run(function()
    local ok, err = load(function() wait() end)
    assert.is_nil(ok)
    assert.matches("'sleep' cannot wait here", tostring(err))
    tide.sleep(0)
  end))

  it("a handler of xpcall", run(function()
    local _, err = tide.raw.xpcall(error, function() wait() end)
    assert.is_not_nil(err)
    tide.sleep(0)
  end))

  it("a finalizer", run(function()
    local err
    do local _ = setmetatable({}, { __gc = function() err = select(2, tide.raw.pcall(wait)) end }) end
    collectgarbage()
    collectgarbage()
    assert.matches("cannot wait here", tostring(err))
    tide.sleep(0)
  end))

  it("a coroutine inside a gsub callback", run(function()
    cannot_wait(string.gsub, "abc", ".", coroutine.wrap(wait))
    local ok, err
    string.gsub("a", ".", function()
      ok, err = coroutine.resume(coroutine.create(wait))
    end)
    assert.is_false(ok)
    assert.matches("cannot wait here", tostring(err))
    tide.sleep(0)
  end))

  it("an original coroutine, which tide cannot cross: the next wait says so, once", run(function()
    tide.raw.coroutine.wrap(wait)()
    fails("a resume that is not tide's", wait)
    tide.sleep(0)
  end))

  it("an original coroutine, and then nothing: the task ends, its group ends", run(function()
    local function astray() tide.raw.coroutine.wrap(tide.sleep)(0) end
    tide.spawn(astray):await()
    tide.spawn(function() tide.raw.coroutine.wrap(tide.sleep)(5) end):await()
    tide.TaskGroup(function(g)
      g:spawn(turns, 2)
      astray()
    end)
    local task = tide.spawn(function()
      local _ <close> = helper.closer(astray)
      tide.sleep(5)
    end)
    turns(2)
    task:kill()
    task = tide.spawn(function()
      astray()
      raises("invalid_state", function() tide.current_task():kill() end)
    end)
    turns(3)
    assert.are.equal("done", task:status())
  end))

  -- A wait that is refused has done nothing: whatever lies between it and what cannot yield.
  local function refused(f, ...)
    local ok, err
    local args = table.pack(...)
    local function attempt() ok, err = tide.raw.pcall(f, table.unpack(args, 1, args.n)) end
    table.sort({ 2, 1 }, function(a, b)
      coroutine.wrap(attempt)()
      return a < b
    end)
    assert.is_false(ok)
    assert.is_true(tide.is(err, "cannot_wait"), tostring(err))
    assert.matches("inside table.sort", err.message)
    return err
  end

  it("a put, in a coroutine inside: the item is not put", run(function()
    for _ = 1, 10 do
      local q = tide.Queue(1)
      q:put(1)
      assert.matches("'put'", refused(q.put, q, 2).message)
      assert.are.equal(1, q:get())
      assert.is_true(q:empty())
    end
  end))

  it("a condition's wait, in a coroutine inside: the lock is held", run(function()
    local lock = tide.Lock()
    local condition = tide.Condition(lock)
    lock:acquire()
    refused(condition.wait, condition)
    assert.is_true(lock:locked())
    lock:release()
  end))

  it("a lock and a stream, in a coroutine inside", run(function()
    local lock = tide.Lock()
    local other = tide.spawn(function()
      local _ <close> = lock:acquire()
      tide.sleep(0.005)
    end)
    turns()
    refused(lock.acquire, lock)
    other:await()
    assert.is_false(lock:locked())
    local one, two = tide.net.pair()
    refused(one.read, one)
    two:write("x")
    assert.are.equal("x", one:read())
    one:close()
    two:close()
  end))

  it("a TaskGroup, in a coroutine inside: it is not opened", run(function()
    local called = false
    refused(tide.TaskGroup, function() called = true end)
    assert.is_false(called)
  end))

  it("every waiting function", run(function()
    local lock, event, queue = tide.Lock(), tide.Event(), tide.Queue(1)
    local condition, barrier, future = tide.Condition(lock), tide.Barrier(2), tide.Future()
    local rwlock = tide.RWLock()
    queue:put(1)
    lock:acquire()
    local waits = {
      acquire = function() tide.Semaphore(0):acquire() end,
      wait = function() event:wait() end,
      get = function() tide.Queue():get() end,
      put = function() queue:put(2) end,
      join = function() queue:join() end,
      await = function() future:await() end,
      read = function() rwlock:read() end,
      write = function() rwlock:write() end,
      sleep = function() tide.sleep(1) end,
      TaskGroup = function() tide.TaskGroup(function() end) end,
    }
    waits["wait "] = function() condition:wait() end
    waits["wait  "] = function() barrier:wait() end
    for name, f in pairs(waits) do
      local _, err = tide.raw.pcall(table.sort, { 1, 2 }, f)
      local expected = "'" .. name:gsub(" +$", "") .. "' cannot wait here"
      assert(tostring(err):find(expected, 1, true), name .. ": " .. tostring(err))
    end
    lock:release()
    turns(2)
  end))

  it("in another task's code the error names that task's failure", run(function()
    local task = tide.spawn(table.sort, { 2, 1 }, wait)
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.matches("'sleep' cannot wait here", tostring(err))
  end))
end)

describe("coroutine.yield", function()
  it("at a task's level is an error that says what to do", run(function()
    fails("attempt to yield from a task", coroutine.yield, 1)
    tide.sleep(0)
  end))

  it("of the original kind ends the task with an error", run(function()
    local task = tide.spawn(tide.raw.coroutine.yield, 1)
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.matches("yield", tostring(err))
    assert.are.equal("failed", task:status())
  end))
end)

if not helper.inside then
  describe("outside a task", function()
    it("every waiting function raises no_task and names itself", function()
      local lock, queue, future = tide.Lock(), tide.Queue(), tide.Future()
      for name, f in pairs {
        sleep = function() tide.sleep(0) end,
        acquire = function() lock:acquire() end,
        try_acquire = function() lock:try_acquire() end,
        with = function() lock:with(print) end,
        get = function() queue:get() end,
        put = function() queue:put(1) end,
        join = function() queue:join() end,
        await = function() future:await() end,
        wait = function() tide.Event():wait() end,
        TaskGroup = function() tide.TaskGroup() end,
        timeout = function() tide.timeout(1) end,
        move_on_after = function() tide.move_on_after(1, print) end,
        scope = function() tide.scope(print) end,
      } do
        local err = raises("no_task", f)
        assert(tostring(err):find("'" .. name .. "' can only be called inside a task", 1, true), tostring(err))
      end
      assert.are.equal(0, #queue)
    end)

    it("the functions made of others do too", function()
      local task = tide.Future()
      raises("no_task", tide.gather, { task })
      raises("no_task", tide.wait, { task })
      raises("no_task", tide.race, { task })
      raises("no_task", tide.wait_for, task, 1)
      raises("no_task", tide.shield, task)
      raises("no_task", tide.shield, print)
      raises("no_task", tide.as_completed { task })
    end)

    it("is inside a callback", function()
      local err
      tide.run(function()
        tide.call_soon(function() err = select(2, pcall(tide.sleep, 0)) end)
        turns(2)
      end)
      assert.is_true(tide.is(err, "no_task"))
    end)

    it("is inside a coroutine that no task runs", function()
      local ok, err = coroutine.resume(coroutine.create(tide.sleep), 0)
      assert.is_false(ok)
      assert.is_true(tide.is(err, "no_task"))
    end)

    it("tide.current_task() is nil, and there are none", function()
      assert.is_nil(tide.current_task())
      assert.are.same({}, tide.all_tasks())
    end)
  end)
end

describe("a loop that runs already", function()
  it("cannot be run again", run(function()
    local err = raises("already_running", tide.run, print)
    assert.matches("this is a task already", err.message)
    raises("already_running", tide.run_forever)
    tide.sleep(0)
    assert.is_not_nil(tide.current_task())
  end))

  it("cannot be run from a callback", run(function()
    local err
    tide.call_soon(function() err = select(2, pcall(tide.run, print)) end)
    turns(2)
    assert.is_true(tide.is(err, "already_running"))
  end))

  it("cannot be run in a coroutine in a task", run(function()
    coroutine.wrap(function() raises("already_running", tide.run, print) end)()
  end))
end)

describe("a task", function()
  it("cannot await itself", run(function()
    local task
    task = tide.spawn(function() return task:await() end)
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.is_true(tide.is(err, "invalid_state"))
    assert.matches("itself", tostring(err))
  end))

  it("cannot kill itself", run(function()
    raises("invalid_state", function() tide.current_task():kill() end)
  end))

  it("that fails does not end the process, nor the others", run(function()
    local failures = helper.collect_failures()
    tide.spawn(error, "one")
    tide.spawn(error)
    tide.spawn(function() local t = nil; return t.x end)
    tide.spawn(function() tide.sleep(0) error(setmetatable({}, { __tostring = error })) end)
    turns(4)
    assert.are.equal(4, #failures)
  end))

  it("that overflows its stack fails", run(function()
    local function endless() return 1 + endless() end
    local task = tide.spawn(endless)
    fails("stack overflow", task.await, task)
    tide.sleep(0)
  end))

  it("whose message handler chain is deep fails, waits go on", run(function()
    local function deep(n)
      if n == 0 then error "bottom" end
      local ok, err = pcall(deep, n - 1)
      assert(not ok)
      error(err, 0)
    end
    local task = tide.spawn(deep, 150)
    fails("bottom", task.await, task)
  end))
end)

describe("what is in the way is named:", function()
  it("a coroutine's yield and a generator's, inside a comparator", run(function()
    local list = { 3, 1, 2 }
    local co = coroutine.wrap(function() table.sort(list, coroutine.yield) end)
    fails("attempt to yield across a C-call boundary, inside table.sort", co)
    local iter = tide.generator(function(yield) table.sort(list, yield) end)
    fails("attempt to yield across a C-call boundary, inside table.sort", iter)
  end))

  local function waits() tide.sleep(1) end

  -- What a wait is told in `place`, which calls the function it is given where Lua cannot suspend.
  local function reason(place)
    local message
    tide.raw.pcall(place, function()
      local ok, err = tide.raw.pcall(waits)
      assert(not ok, "it could wait")
      message = tostring(err)
    end)
    return assert(message, "it was not called")
  end

  local function with(name, f) return setmetatable({}, { [name] = f }) end

  for what, place in pairs {
    ["table.sort"] = function(f) table.sort({ 1, 2 }, f) end,
    ["string.gsub"] = function(f) string.gsub("a", "a", f) end,
    ["load"] = function(f) load(f) end,
    ["require"] = function(f)
      package.preload["spec.place"] = f
      package.loaded["spec.place"] = nil
      require "spec.place"
    end,
    ["tostring"] = function(f) tostring(with("__tostring", f)) end,
    ["string.format"] = function(f) string.format("%s", with("__tostring", f)) end,
    ["table.concat"] = function(f) table.concat(with("__index", f), ",", 1, 1) end,
    ["table.unpack"] = function(f) table.unpack(with("__index", f), 1, 1) end,
    ["an iterator of C's, such as that of ipairs"] = function(f)
      for _ in ipairs(with("__index", f)) do assert(false) end
    end,
    ["a message handler of xpcall"] = function(f) xpcall(error, f) end,
    ["a finalizer %(__gc%)"] = function(f)
      do local _ = with("__gc", f) end
      collectgarbage()
      collectgarbage()
    end,
    ["a debug hook"] = function(f)
      debug.sethook(function()
        debug.sethook()
        f()
      end, "", 1)
    end,
  } do
    it((what:gsub("%%", "")), run(function()
      assert.matches("'sleep' cannot wait here, inside " .. what .. ":", reason(place))
    end))
    it("the same further out, " .. what:gsub("%%", ""), run(function()
      for _, between in ipairs {
        function(f) return f end,
        function(f) return coroutine.wrap(f) end,
        function(f) return function() tide.generator(f)() end end,
        function(f) return function() return with("__index", f).x end end,
        function(f) return function() tide.raw.pcall(pairs, with("__pairs", f)) end end,
        function(f) return function() tide.raw.xpcall(f, print) end end,
        function(f) return function() tide.timeout(1, tide.try, f) end end,
        function(f) return function() local _ <close> = helper.closer(f) end end,
      } do
        assert.matches("inside " .. what .. ":", reason(function(f) place(between(f)) end))
      end
    end))
  end

  it("the handler of an original xpcall", run(function()
    assert.matches("inside a message handler of xpcall", reason(function(f) tide.raw.xpcall(error, f) end))
  end))

  it("a callback, which the loop calls", run(function()
    local messages = {}
    local function callback() messages[#messages + 1] = tostring(raises("no_task", waits)) end
    tide.call_soon(callback)
    tide.call_later(0.001, callback)
    tide.call_at(tide.time(), callback)
    tide.spawn(tide.sleep, 0):add_done_callback(callback)
    tide.on_failure(callback)
    tide.spawn(failing "x")
    tide.sleep(0.01)
    assert.are.equal(5, #messages)
    for _, message in ipairs(messages) do
      assert.matches("'sleep' cannot wait here: the loop calls this", message)
      assert.matches("tide.spawn", message)
      assert.is_nil(message:find "the program tide")
    end
  end))

  it("also around a pcall that is Lua's own", run(function()
    string.gsub("x", "x", function()
      local _, err = tide.raw.pcall(tide.sleep, 1)
      assert.matches("'sleep' cannot wait here, inside string.gsub", tostring(err))
    end)
  end))

  it("is told of require, which a module is loaded by", run(function()
    package.preload["spec.waits"] = function() return select(2, pcall(tide.testing.run, function() end)) end
    local err = require "spec.waits"
    package.preload["spec.waits"], package.loaded["spec.waits"] = nil, nil
    assert.matches("cannot wait here, inside require:", tostring(err))
  end))

  it("the cleanup of what is killed or closed", run(function()
    local failures = helper.collect_failures()
    local function waits_in_cleanup(wait)
      return function()
        local _ <close> = helper.closer(function() tide.sleep(1) end)
        wait()
      end
    end
    local task = tide.spawn(waits_in_cleanup(function() tide.sleep(1) end))
    turns(1)
    task:kill()
    assert.matches("this is the cleanup of a killed task", tostring(failures[1].err))
    local co = coroutine.create(waits_in_cleanup(coroutine.yield))
    coroutine.resume(co)
    local ok, err = coroutine.close(co)
    assert.is_false(ok)
    assert.matches("this is the cleanup of a closed coroutine", tostring(err))
  end))
end)

describe("wrong arguments", function()
  local function bad(message, f) fails(message, f) end

  it("to the functions", run(function()
    bad("bad argument #1 to 'sleep' (number expected, got nil)", function() tide.sleep(nil) end)
    bad("bad argument #1 to 'sleep' (number expected, got no value)", function() tide.sleep() end)
    bad("Queue expected, got no value", tide.Queue().get)
    bad("a value without a __close cannot be the closing value", function() tide.iter(print, 1, 2, 5) end)
    bad("field 'max' must be a positive integer, at most 2147483647", function() tide.TaskGroup(print, { max = 2 ^ 31 }) end)
    bad("bad argument #1 to 'sleep' (must not be negative or NaN)", function() tide.sleep(-1) end)
    bad("bad argument #1 to 'sleep' (must not be negative or NaN)", function() tide.sleep(0 / 0) end)
    bad("bad argument #1 to 'spawn' (function expected, got no value)", function() tide.spawn() end)
    bad("bad argument #1 to 'spawn' (function expected, got table)", function() tide.spawn {} end)
    bad("bad argument #1 to 'await'", function() tide.await(5) end)
    bad("bad argument #1 to 'run' (function expected, got nil)", function() tide.run(nil) end)
    bad("bad argument #1 to 'call_soon' (function expected", function() tide.call_soon() end)
    bad("bad argument #1 to 'call_later' (number expected", function() tide.call_later(print) end)
    bad("bad argument #2 to 'call_later' (function expected", function() tide.call_later(1) end)
    bad("bad argument #2 to 'call_at' (function expected", function() tide.call_at(1, 2) end)
    bad("bad argument #1 to 'on_failure' (function expected", function() tide.on_failure(5) end)
    bad("bad argument #1 to 'gather' (table expected", function() tide.gather(print) end)
    for _, name in ipairs { "gather", "wait", "race", "first_success", "as_completed" } do
      bad(("bad argument #2 to '%s' (nothing expected: options belong into the list"):format(name), function()
        tide[name]({ print }, { timeout = 1 })
      end)
    end
    bad("bad argument #2 to 'gather' (function, Task, Future or awaitable expected", function()
      tide.gather { tide.Future(), 5 }
    end)
    bad("bad argument #1 to 'race' (nothing to race)", function() tide.race {} end)
    bad("bad argument #1 to 'wait' (field 'return_when' must be", function() tide.wait { return_when = "never" } end)
    bad("bad argument #2 to 'wait_for' (number expected", function() tide.wait_for(print) end)
    bad("bad argument #2 to 'wait_for' (must not be NaN)", function() tide.wait_for(print, 0 / 0) end)
    bad("bad argument #1 to 'wait_for' (function, Task, Future or awaitable expected, got nil)", function()
      tide.wait_for(nil, 1)
    end)
    bad("bad argument #1 to 'wait_for' (function, Task, Future or awaitable expected, got Queue)", function()
      tide.wait_for(tide.Queue(), 1)
    end)
    bad("bad argument #1 to 'shield'", function() tide.shield(5) end)
    bad("bad argument #1 to 'try' (function expected", function() tide.try(5) end)
    bad("bad argument #2 to 'catch' (table expected", function() tide.catch(print) end)
    bad("bad argument #1 to 'catch' (function expected, got nil)", function() tide.catch(nil, {}) end)
    bad("bad argument #2 to 'catch' (the handler of kind 'os' must be a function, got boolean)", function()
      tide.catch(print, { os = true })
    end)
    bad("bad argument #2 to 'catch' (its keys must be kinds, which are strings, got boolean)", function()
      tide.catch(print, { [true] = print })
    end)
    bad("bad argument #2 to 'catch' (only one handler can be without a kind)", function()
      tide.catch(print, { print, print })
    end)
    bad("bad argument #1 to 'race' (unknown option 'limit': there are none)", function() tide.race { print, limit = 1 } end)
    bad("bad argument #1 to 'first_success' (unknown", function() tide.first_success { print, limit = 1 } end)
    bad("bad argument #1 to 'race' (nothing to race)", function() tide.race {} end)
    bad("calling 'close' on bad self (Deferred expected, got nil)", function() tide.defer(print).close() end)
    bad("bad argument #1 to 'map' (field 'n' must be at most 2147483647)", function()
      tide.map({ n = 2 ^ 32 | 0 }, print, { limit = 1 })
    end)
    for _, class in ipairs { "Barrier", "Semaphore", "BoundedSemaphore", "Queue", "LifoQueue", "PriorityQueue" } do
      for _, size in ipairs { 2 ^ 31 | 0, (2 ^ 32 | 0) + 1, math.maxinteger } do
        bad("(must be at most 2147483647)", function() tide[class](size) end)
      end
      assert.matches("^" .. class, tostring(tide[class](2147483647)))
    end
    bad("bad argument #2 to 'catch' (its keys must be kinds, which are strings, got number)", function()
      tide.catch(print, { [1.5] = print })
    end)
    bad("bad argument #2 to 'catch' (the handler without a kind must be a function, got string)", function()
      tide.catch(print, { "os" })
    end)
    bad("bad argument #1 to 'error' (string expected", function() tide.error(nil) end)
    bad("bad argument #2 to 'is' (string expected", function() tide.is({}, nil) end)
  end))

  it("to the functions in Lua name the line of the caller", run(function()
    for _, f in ipairs {
      function() tide.gather(5) end,
      function() tide.gather { 5 } end,
      function() tide.wait { timeout = "x" } end,
      function() tide.wait { return_when = 5 } end,
      function() tide.race(5) end,
      function() tide.race {} end,
      function() tide.race { 5 } end,
      function() tide.race { print, limit = 1 } end,
      function() tide.first_success(5) end,
      function() tide.first_success {} end,
      function() tide.first_success { 5 } end,
      function() tide.first_success { print, limit = 1 } end,
      function() for _ in tide.as_completed { 5 } do end end, -- luacheck: ignore 542
      function() tide.wait_for(5, 5) end,
      function() tide.wait_for(print, "x") end,
      function() tide.shield(5) end,
      function() tide.catch(5, {}) end,
      function() tide.catch(print, 5) end,
      function() tide.catch(print, { x = 5 }) end,
      function() tide.error("group", "", { errors = {} }):split(5) end,
      function() tide.error("x"):subgroup "y" end,
      function() tide.error("x"):leaves() end,
      function() tide.net.serve(5) end,
      function() tide.net.serve(print, "127.0.0.1", 0, { on_error = 5 }) end,
      function() tide.net.serve(print, "127.0.0.1", -1) end,
    } do
      local line = debug.getinfo(f, "S").linedefined
      fails(("misuse_spec.lua:%d: "):format(line), f)
    end
  end))

  it("to the constructors", run(function()
    bad("bad argument #1 to 'Queue' (must not be negative)", function() tide.Queue(-1) end)
    bad("bad argument #1 to 'Queue' (number expected, got string)", function() tide.Queue "x" end)
    bad("bad argument #1 to 'Semaphore' (must not be negative)", function() tide.Semaphore(-1) end)
    bad("bad argument #1 to 'Barrier' (must be at least 1)", function() tide.Barrier(0) end)
    bad("bad argument #1 to 'Condition' (Lock expected, got table)", function() tide.Condition {} end)
  end))

  it("to the methods", run(function()
    local task = tide.spawn(function() end)
    bad("bad argument #1 to 'put'", function() tide.Queue():put(nil) end)
    bad("nil cannot be put", function() tide.Queue():put_nowait() end)
    bad("bad argument #2 to 'put' (number expected", function() tide.PriorityQueue():put(1) end)
    bad("must not be NaN", function() tide.PriorityQueue():put(1, 0 / 0) end)
    bad("bad argument #1 to 'close' (table expected", function() tide.Queue():close(5) end)
    bad("bad argument #1 to 'set_name' (string expected", function() task:set_name() end)
    bad("bad argument #1 to 'add_done_callback' (function expected", function() task:add_done_callback(1) end)
    bad("bad argument #1 to 'set_error'", function() tide.Future():set_error() end)
    bad("bad argument #1 to 'notify'", function() tide.Condition():notify "x" end)
  end))

  local function nothing() end

  -- Each function that has options: how it is called with some, what it has.
  local function users_of_options()
    local near = tide.net.pair()
    local server <close> = tide.net.serve(nothing, "127.0.0.1", 0)
    local function serve(options) tide.net.serve(nothing, "127.0.0.1", 0, options):close() end
    local listening = { nodelay = "flag", reuseport = "flag", backlog = "count", handshake_timeout = "seconds" }
    local serving = { max_connections = "count", on_error = "function", group = "TaskGroup" }
    for name, kind in pairs(listening) do serving[name] = kind end
    local testing = {
      clock = "choice", seed = "integer", seeds = "count", autojump_threshold = "span",
    }
    return {
      scope = { function(options) tide.scope(nothing, options) end, { timeout = "seconds", shield = "flag" } },
      TaskGroup = { function(options) tide.TaskGroup(nothing, options) end, { max = "count", name = "string" } },
      ["TaskGroup "] = { function(options) tide.TaskGroup(options) end, { max = "count", name = "string" } },
      gather = { tide.gather, { return_errors = "flag" } },
      wait = { tide.wait, { timeout = "seconds", return_when = "choice" } },
      race = { tide.race, {} },
      as_completed = { tide.as_completed, {} },
      close = { function(options) tide.Queue():close(options) end, { immediate = "flag" } },
      ["close "] = { function(options) server:close(options) end, { grace = "seconds" } },
      debug = { tide.debug, { slow = "span", report = "function" } },
      map_concurrent = {
        function(options) tide.iter {}:map_concurrent(1, nothing, options) end, { ordered = "flag" },
      },
      connect = {
        function(options) tide.net.connect("127.0.0.1", 1, options) end,
        { nodelay = "flag", local_address = "string" },
      },
      ["connect "] = { function(options) tide.net.connect("unix:@x", options) end, { nodelay = "flag" } },
      listen = { function(options) tide.net.listen("127.0.0.1", 0, options):close() end, listening },
      serve = { serve, serving },
      read_line = { function(options) near:read_line(options) end, { max = "size" } },
      read_until = { function(options) near:read_until("x", options) end, { max = "size" } },
      read_all = { function(options) near:read_all(options) end, { max = "size" } },
      lines = { function(options) near:lines(options) end, { max = "size" } },
      run = { function(options) tide.testing.run(nothing, options) end, testing },
      wrap = { function(options) tide.testing.wrap(nothing, options) end, testing },
    }
  end

  local misfits = {
    flag = { 1, "true", {} },
    seconds = { "1", 0 / 0, true },
    span = { "1", 0 / 0, -1, true },
    count = { 0, -1, 1.5, 2 ^ 31, "1", true },
    size = { 0, 0.5, 0 / 0, "1" },
    integer = { 1.5, "1", true },
    string = { 1, true, {} },
    ["function"] = { 1, "print", {} },
    TaskGroup = { 1, {}, tide.Queue() },
    choice = { 1, "", "nonsense", true },
    missing = { true, 1, {} },
  }

  it("unknown options are named, with those that there are", run(function()
    for name, user in pairs(users_of_options()) do
      local call, known = user[1], user[2]
      name = name:match "%S+"
      local err = fails(("%s' (unknown option 'mispelt': there are "):format(name), call, { mispelt = 1 })
      for option, kind in pairs(known) do
        assert.are.equal(kind ~= "missing", err:find("'" .. option .. "'", 1, true) ~= nil)
      end
      fails(("%s' (unknown option "):format(name), call, { [true] = 1 })
    end
    fails("(unknown option '1': there are 'immediate')", function() tide.Queue():close { true } end)
    fails("(unknown option 'timeout': there are none)", function() tide.race { nothing, timeout = 1 } end)
    tide.debug(false)
  end))

  it("options of a wrong type are named", run(function()
    for name, user in pairs(users_of_options()) do
      for option, kind in pairs(user[2]) do
        for _, value in ipairs(misfits[kind]) do
          fails(("%s' (field '%s' "):format(name:match "%S+", option), user[1], { [option] = value })
        end
      end
    end
    tide.debug(false)
  end))

  it("options may come from a metatable, and are checked like others", run(function()
    local function with(defaults) return setmetatable({}, { __index = defaults }) end
    assert.has_error(function() tide.TaskGroup(with { max = 0 }) end)
    local group <close> = tide.TaskGroup(with { name = "from defaults" })
    assert.matches("from defaults", tostring(group))
  end))

  it("an entry of a list behind a nil is not left out silently", run(function()
    for _, f in ipairs { tide.gather, tide.wait, tide.race, tide.as_completed } do
      local list = { nothing }
      list[5] = nothing
      fails("entry 5 comes behind a nil", f, list)
      fails("expected, got nil", f, table.pack(nothing, nil))
    end
    assert.are.equal(1, #tide.gather(table.pack(function() return 1 end)))
  end))

  it("nil where a function was meant is no function left out", run(function()
    local client = {}
    for name, f in pairs {
      timeout = function() tide.timeout(5, client.ftech) end,
      ["timeout "] = function() tide.timeout(5, client.ftech, 1) end,
      timeout_at = function() tide.timeout_at(tide.time() + 5, client.ftech) end,
      move_on_after = function() tide.move_on_after(5, client.ftech) end,
      scope = function() tide.scope(client.ftech) end,
      ["scope "] = function() tide.scope(client.ftech, { timeout = 5 }) end,
      shield = function() tide.shield(client.ftech) end,
      TaskGroup = function() tide.TaskGroup(client.ftech) end,
      ["TaskGroup "] = function() tide.TaskGroup(client.ftech, { max = 1 }) end,
      distinct = function() tide.iter { 1 }:distinct(client.ftech):collect() end,
      any = function() tide.iter { 1 }:any(client.ftech) end,
      all = function() tide.iter { 1 }:all(client.ftech) end,
      try = function() tide.try(client.ftech) end,
      with = function() tide.Lock():with(client.ftech) end,
      wait_for = function() tide.wait_for(client.ftech, 5) end,
      run = function() tide.testing.run(client.ftech) end,
      generator = function() tide.generator(client.ftech) end,
    } do
      local position = (name:find "^timeout" or name == "move_on_after") and 2 or 1
      bad(("bad argument #%d to '%s'"):format(position, name:match "%S+"), f)
    end
    tide.sleep(0) -- no scope has stayed open
  end))

  it("as the object of a method", run(function()
    local objects = {
      Task = tide.current_task(), Future = tide.Future(), Lock = tide.Lock(), Queue = tide.Queue(),
      Event = tide.Event(), Semaphore = tide.Semaphore(), Condition = tide.Condition(),
      Barrier = tide.Barrier(1), RWLock = tide.RWLock(),
    }
    for name, object in pairs(objects) do
      for method, f in pairs(debug.getmetatable(object).__index) do
        for _, wrong in ipairs { 5, "x", {}, print, io.stdout, name == "Lock" and tide.Queue() or tide.Lock() } do
          local ok, err = tide.raw.pcall(f, wrong)
          assert(not ok, name .. ":" .. method .. " took a " .. tostring(wrong))
          assert(tostring(err):find("expected", 1, true), name .. ":" .. method .. ": " .. tostring(err))
        end
        assert(not tide.raw.pcall(f), name .. ":" .. method .. " took nothing")
      end
    end
  end))

  it("fails in finalizers that run after the state's end has freed the loop, and does not crash", function()
    local calls = {
      "tide.spawn(print)", "tide.time()", "tide.run(print)", "tide.call_later(1, print)", "tide.stats()",
      "tide.Queue():put_nowait(1)", "Q:put_nowait(1)", "Q:get_nowait()", "T:cancel()", "T:kill()", "F:cancel()",
      "F:add_done_callback(print)", "tide.Lock():try_acquire()", "tide.net.pair()", "tide.stop()", "tide.timeout(1)",
      "S:write('x')", "H:cancel()", "tide.net.listen('127.0.0.1', 0)", "print(T, Q, F, S, H)",
    }
    local script = os.tmpname()
    local file <close> = assert(io.open(script, "w"))
    for _, call in ipairs(calls) do
      file:write("setmetatable({}, {__gc = function() ", call, " end})\n")
    end
    file:write([[
      tide = require "tide"
      Q, F, H = tide.Queue(), tide.Future(), tide.call_later(5, print)
      T, S = tide.spawn(tide.sleep, 1), tide.net.pair()
    ]])
    file:close()
    if helper.inside then return os.remove(script) end -- the program's state frees tide last
    local ok, how, status = os.execute("lua5.4 " .. script .. " >/dev/null 2>&1")
    os.remove(script)
    assert.same({ true, "exit", 0 }, { ok, how, status })
  end)

end)

describe("a class", function()
  local classes = {
    Task = tide.Task, Future = tide.Future, Handle = tide.Handle, Scope = tide.Scope, TaskGroup = tide.TaskGroup,
    Lock = tide.Lock, RWLock = tide.RWLock, Semaphore = tide.Semaphore, Event = tide.Event,
    Condition = tide.Condition, Barrier = tide.Barrier, Queue = tide.Queue, Local = tide.Local, Iter = tide.Iter,
    Stream = tide.net.Stream, Listener = tide.net.Listener, Server = tide.net.Server,
  }

  it("takes methods, which its objects then have", run(function()
    local near, _ <close> = tide.net.pair()
    local listener <close> = tide.net.listen("127.0.0.1", 0)
    local server <close> = tide.net.serve(print, "127.0.0.1", 0)
    local scope <close> = tide.timeout(60)
    local group <close> = tide.TaskGroup()
    local lock = tide.Lock()
    local handle = tide.call_soon(print)
    handle:cancel()
    local objects = {
      tide.current_task(), tide.Future(), handle, scope, group, lock, tide.RWLock(), tide.Semaphore(1),
      tide.BoundedSemaphore(1), tide.Event(), tide.Condition(lock), tide.Barrier(1), tide.Queue(),
      tide.LifoQueue(), tide.PriorityQueue(), tide.Local(), tide.iter {}, near, listener, server,
    }
    local seen = {}
    for _, class in pairs(classes) do
      function class:name_of_class(suffix) return tide.type(self) .. suffix end
    end
    for _, object in ipairs(objects) do
      local name = tide.type(object)
      seen[name] = true
      assert.are.equal(name .. "!", object:name_of_class "!")
    end
    for name, class in pairs(classes) do
      assert.is_true(seen[name], name)
      class.name_of_class = nil
      assert.is_nil(class.name_of_class)
    end
    assert.has_error(function() tide.Queue():name_of_class "" end)
    near:close()
  end))

  it("shares its methods among its constructors", function()
    tide.LifoQueue.limit = 5
    assert.are.equal(5, tide.Queue().limit)
    tide.Queue.limit = nil
    assert.is_nil(tide.PriorityQueue().limit)
  end)

  it("keeps its own methods: tide uses them", function()
    for name, class in pairs(classes) do
      local own = name == "Iter" and "map" or name == "Handle" and "cancel" or "statistics"
      if class[own] then
        fails(("'%s' is a method of tide's own, which cannot be replaced"):format(own), function() class[own] = print end)
        fails(own, function() class[own] = nil end)
      end
      fails("metamethods cannot be added", function() class.__gc = print end)
      fails("metamethods cannot be added", function() class.__index = {} end)
    end
  end)

  it("takes keys that are no names", function()
    tide.Queue[1] = "one"
    assert.are.equal("one", tide.Queue()[1])
    tide.Queue[1] = nil
  end)

  it("whose objects no constructor makes cannot be called", function()
    for _, name in ipairs { "Task", "Handle", "Scope", "Iter", "Stream" } do
      assert.is_false(pcall(classes[name]))
    end
  end)
end)

describe("a coroutine", function()
  it("must not yield out of a scope that it opened", run(function()
    local function body()
      tide.timeout(1, coroutine.yield)
      return "left"
    end
    local err = raises("invalid_state", coroutine.wrap(body))
    assert.matches("leave it before you yield", err.message)
    raises("group", coroutine.wrap(function() tide.TaskGroup(coroutine.yield) end))
    local inside = coroutine.wrap(function() -- inner coroutines may
      return tide.timeout(1, function()
        local inner = coroutine.wrap(function()
          coroutine.yield(1)
          tide.sleep(0)
          coroutine.yield(2)
        end)
        return inner() + inner()
      end)
    end)
    assert.are.equal(3, inside())
  end))

  it("that waits in a task is not for resumes that are not tide's", run(function()
    local resume = tide.raw.coroutine.resume
    local inner = coroutine.create(function() return tide.raw.pcall(tide.sleep, 0.001) end)
    local task = tide.spawn(function() assert(resume(inner)) end)
    turns(2)
    local ok, slept, err = resume(inner)
    assert.is_true(ok)
    assert.is_false(slept)
    assert.is_true(tide.is(err, "cannot_wait"), tostring(err))
    task:await()
    local failures = helper.collect_failures()
    local another = coroutine.create(function() return tide.raw.pcall(tide.sleep, 0.001) end)
    local other = tide.spawn(function() assert(resume(another)) end)
    other:await()
    tide.sleep(0.002) -- longer than it wanted to wait
    local said
    tide.call_soon(function() said = table.pack(resume(another)) end)
    turns(2)
    assert.is_false(said[2])
    assert.is_true(tide.is(said[3], "cannot_wait"))
    assert.are.same({}, failures)
  end))

  it("is not for such resumes in a step that began with a wait's error either", run(function()
    local resume = tide.raw.coroutine.resume
    local queue = tide.Queue()
    local waits = {
      ["a loop over a queue"] = function()
        for _ in queue:iter() do error("an item") end
      end,
      ["a case"] = function() assert.is_false(pcall(tide.select, queue, tide.Event())) end,
    }
    for name, wait in pairs(waits) do
      queue = tide.Queue()
      local inner = coroutine.create(function() return tide.raw.pcall(tide.sleep, 1) end)
      local sleeper = tide.spawn(function() resume(inner) end)
      local task = tide.spawn(function()
        wait()
        return resume(inner)
      end)
      turns(2)
      queue:close()
      local ok, slept, err = task:await()
      assert.is_true(ok, name)
      assert.is_false(slept, name)
      assert.is_true(tide.is(err, "cannot_wait"), name)
      sleeper:cancel()
    end
  end))
end)
