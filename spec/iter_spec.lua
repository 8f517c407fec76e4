-- tide.iter: sources, lazy combinators, ending methods, closing. Those that have tasks: iter_tasks_spec.
local tide = require "tide"
local helper = require "spec.helper"
local sweep = require "spec.sweep"

local run, turns, failing, raises, fails = tide.testing.wrap, helper.turns, helper.failing, helper.raises, helper.fails

-- An Iter whose body yields what it gives.
local function wrapped(body)
  return tide.iter(coroutine.wrap(function() body(coroutine.yield) end))
end

local generator = tide.generator


-- An Iter over 1 .. n, each after a turn.
local function slowly(n)
  return generator(function(yield)
    for i = 1, n do
      turns(1)
      yield(i)
    end
  end)
end

-- An Iter over the values, and a table {closed=, pulled=} of how often it was.
local function watched(list)
  local seen, i = { closed = 0, pulled = 0 }, 0
  local function step()
    seen.pulled = seen.pulled + 1
    i = i + 1
    return list[i]
  end
  return tide.iter(step, nil, nil, helper.closer(function() seen.closed = seen.closed + 1 end)), seen
end

local steps_of = helper.steps_of

local function double(x) return x * 2 end
local function is_even(x) return x % 2 == 0 end
local function add(a, b) return a + b end
local function same(expected, actual) assert.are.same(expected, actual) end

describe("tide.iter over", function()
  it("a list", function()
    same({ "a", "b", "c" }, tide.iter { "a", "b", "c" }:collect())
    same({}, tide.iter({}):collect())
  end)

  it("a list with a hole ends before it", function()
    same({ 1 }, tide.iter { 1, nil, 3 }:collect())
  end)

  it("false, which is a value", function()
    same({ false, 1, false }, tide.iter { false, 1, false }:collect())
  end)

  it("a Queue, until it is closed and drained", run(function()
    local queue = tide.Queue(1)
    local producer = tide.spawn(function()
      for i = 1, 4 do queue:put(i) end
      queue:close()
    end)
    same({ 1, 2, 3, 4 }, tide.iter(queue):collect())
    producer:await()
  end))

  it("a Queue leaves it open when it is closed", run(function()
    local queue = tide.Queue()
    queue:put(1)
    queue:put(2)
    local iter = tide.iter(queue)
    assert.are.equal(1, iter())
    iter:close()
    assert.is_nil(iter())
    assert.is_false(queue:closed())
    assert.are.equal(2, queue:get())
  end))

  it("an Iter is that Iter", function()
    local iter = tide.iter { 1 }
    assert.are.equal(iter, tide.iter(iter))
  end)

  it("the values of pairs, ipairs and gmatch", function()
    same({ { "k", 5 } }, steps_of(tide.iter(pairs { k = 5 })))
    same({ { 1, "x" }, { 2, "y" } }, steps_of(tide.iter(ipairs { "x", "y" })))
    same({ { "a", "1" }, { "b", "2" } }, steps_of(tide.iter(("a=1 b=2"):gmatch "(%w)=(%w)")))
  end)

  it("a function, its state and its control value, as `for` calls it", function()
    local calls = {}
    local iter = tide.iter(function(state, i)
      calls[#calls + 1] = { state, i }
      if i < 2 then return i + 1 end
    end, "state", 0)
    same({ 1, 2 }, iter:collect())
    same({ { "state", 0 }, { "state", 1 }, { "state", 2 } }, calls)
  end)

  it("a function with a closing value, which is closed once", function()
    local iter, seen = watched { 1, 2 }
    same({ 1, 2 }, iter:collect())
    assert.are.equal(1, seen.closed)
    iter:close()
    assert.are.equal(1, seen.closed)
  end)

  it("a function alone, which gets no arguments", function()
    local arguments
    tide.iter(function(...) arguments = select("#", ...) end):first()
    assert.are.equal(0, arguments)
  end)

  it("a coroutine that waits", run(function()
    same({ 1, 2, 3 }, wrapped(function(yield)
      for i = 1, 3 do
        turns(1)
        yield(i)
      end
    end):collect())
  end))

  it("a value that can be called", function()
    local n = 0
    local callable = setmetatable({}, { __call = function()
      n = n + 1
      return n < 3 and n or nil
    end })
    same({ 1, 2 }, tide.iter(callable):collect())
  end)

  it("whatever has a method iter", function()
    local object = { iter = function() return ipairs { "p", "q" } end }
    same({ { 1, "p" }, { 2, "q" } }, steps_of(tide.iter(object)))
    local inner = tide.iter { 1 }
    assert.are.equal(inner, tide.iter { iter = function() return inner end })
  end)

  it("an object whose method iter gives the object itself, which is called for the next value", function()
    local i = 0
    local object = setmetatable({ iter = function(self) return self end }, { __call = function()
      i = i + 1
      return i < 3 and i or nil
    end })
    same({ 1, 2 }, tide.iter(object):collect())
    setmetatable(object, nil)
    fails("bad argument #1 to 'iter'", tide.iter, object)
  end)

  if tide.net then
    it("a Listener", run(function()
      local listener <close> = tide.net.listen("127.0.0.1", 0)
      local streams = tide.iter(listener):map(function(stream)
        stream:close()
        return "accepted"
      end)
      tide.net.connect(listener:address()):close()
      assert.are.equal("accepted", streams())
      listener:close()
      assert.is_nil(streams())
    end))
  end

  it("anything else is a bad argument", function()
    for _, wrong in ipairs { 1, "text", true, io.stdout } do
      fails("bad argument #1 to 'iter' (list, Queue, Iter, function or object with :iter() expected, got",
        tide.iter, wrong)
    end
    local _, err = tide.raw.pcall(function() tide.iter(nil) end)
    assert.matches("^spec/iter_spec.lua:%d+: bad argument #1 to 'iter' %(.*, got nil%)$", err)
  end)
end)

describe("an Iter", function()
  it("is called for the next value or values", function()
    local iter = tide.iter(ipairs { "x", "y" })
    same({ 1, "x" }, { iter() })
    same({ 2, "y" }, { iter() })
    assert.is_nil(iter())
  end)

  it("gives nil after its end", run(function()
    local iter = slowly(1)
    assert.are.equal(1, iter())
    for _ = 1, 3 do assert.is_nil(iter()) end
  end))

  it("keeps nil and false behind the first value", function()
    local n = 0
    local iter = tide.iter(function()
      n = n + 1
      if n == 1 then return 1, nil, false, nil end
    end):map(function(...) return ... end):filter(function() return true end)
    assert.are.equal(4, select("#", iter()))
  end)

  it("is closed at its end", function()
    local iter, seen = watched { 1 }
    iter()
    assert.are.equal(0, seen.closed)
    iter()
    assert.are.equal(1, seen.closed)
  end)

  it("has an idempotent close, after which it gives nil", function()
    local iter, seen = watched { 1, 2, 3 }
    local mapped = iter:map(double)
    assert.are.equal(2, mapped())
    mapped:close()
    mapped:close()
    assert.are.equal(1, seen.closed)
    assert.is_nil(mapped())
    assert.is_nil(iter())
    assert.are.equal(1, seen.pulled)
  end)

  it("is closed as a <close> variable", function()
    local iter, seen = watched { 1 }
    do local _ <close> = iter end
    assert.are.equal(1, seen.closed)
  end)

  it("ends its chain when its source is closed", function()
    local source = watched { 1, 2, 3 }
    local chain = source:map(double):filter(is_even)
    chain()
    source:close()
    assert.is_nil(chain())
  end)

  it("gives nil after a step that raised, and is closed", function()
    local failure = {}
    local iter, seen = watched { 1, 2, 3 }
    local mapped = iter:map(function(x) return x < 2 and x or error(failure, 0) end)
    assert.are.equal(1, mapped())
    same({ false, failure }, { pcall(mapped) })
    assert.are.equal(1, seen.closed)
    assert.is_nil(mapped())
    assert.are.equal(2, seen.pulled)
  end)

  it("gives the error of its source unchanged, once, after what came before", run(function()
    local failure = {}
    local iter = generator(function(yield)
      yield(1)
      turns(1)
      error(failure, 0)
    end):map(double):filter(is_even)
    assert.are.equal(2, iter())
    local ok, err = pcall(iter)
    assert.is_false(ok)
    assert.are.equal(failure, err)
    assert.is_nil(iter())
  end))

  it("lets the source's function fail only once", function()
    local calls = 0
    local iter = tide.iter(function()
      calls = calls + 1
      error "broken"
    end)
    fails("broken", iter)
    assert.is_nil(iter())
    assert.are.equal(1, calls)
  end)

  it("is closed by an error that is nil", run(function()
    for _, call in ipairs {
      function(iter) pcall(iter) end,
      function(iter) pcall(function() for _ in iter:each() do error "not reached" end end) end,
      function(iter) pcall(iter.collect, iter) end,
    } do
      local iter, seen = watched { 1, 2 }
      local failing_one = iter:map(function(x)
        turns(1)
        if x == 1 then error(nil) end
        return x
      end)
      call(failing_one)
      assert.are.equal(1, seen.closed)
      assert.is_nil(failing_one())
    end
  end))

  it("raises what its closing value raises", function()
    local iter = tide.iter(function() return 1 end, nil, nil, helper.closer(failing "closing failed"))
    assert.are.equal(1, iter())
    fails("closing failed", iter.close, iter)
    iter:close()
  end)

  it("is called while a hook calls another one, as a finalizer might", function()
    local iter, other = tide.iter { 1, 2, 3 }, tide.iter(function() return "x" end)
    debug.sethook(function() other() end, "", 1)
    local value = iter()
    debug.sethook()
    assert.are.equal(1, value)
    assert.is_false(iter.closed)
    assert.are.equal(2, iter())
  end)

  it("has methods that are told when they are called with a dot", function()
    local iter = tide.iter { 1 }
    for name, method in pairs(debug.getmetatable(iter).__index) do
      if type(method) == "function" and not name:find "^__" then
        local _, err = tide.raw.pcall(function() method({}, double) end)
        assert.matches("^spec/iter_spec.lua:%d+: calling '" .. name .. "' on bad self %(Iter expected, got table%)$", err)
      end
    end
    fails("calling 'collect' on bad self (Iter expected, got nil)", function() iter.collect() end)
  end)

  it("tells what it is", function()
    local iter = tide.iter({}):map(double):filter(is_even)
    assert.are.equal("Iter(list, map, filter)", tostring(iter))
    iter:close()
    assert.are.equal("Iter(list, map, filter; closed)", tostring(iter))
  end)

end)

describe("an Iter that is stepped from within its own step", function()
  local function itself(make)
    local iter
    iter = make(function() return iter() end)
    return iter
  end

  for name, make in pairs {
    ["a generator"] = function(step) return generator(step) end,
    ["a generator, in a coroutine inside,"] = function(step) return generator(coroutine.wrap(step)) end,
    ["a generator, after a wait,"] = function(step) return generator(function() turns(2) step() end) end,
    ["a function"] = function(step) return tide.iter(step) end,
    ["a function, after a wait,"] = function(step) return tide.iter(function() turns(2) return step() end) end,
    ["a function, in a coroutine inside,"] = function(step)
      return tide.iter(function() return coroutine.wrap(step)() end)
    end,
    ["take"] = function(step) return tide.iter({ 1, 2 }):map(step):take(2) end,
    ["scan"] = function(step) return tide.iter({ 1, 2 }):scan(step, 0) end,
  } do
    it("says so: " .. name, run(function()
      local err = raises("misuse", itself(make))
      assert.matches("is running: what its own %a+ calls", tostring(err))
      assert.not_matches("two tasks", tostring(err))
    end))
  end

  it("does not close itself: a generator", run(function()
    local iter, err
    iter = generator(function(yield)
      err = raises("misuse", iter.close, iter)
      yield(1)
    end)
    assert.are.equal(1, iter())
    assert.matches("is running: what its own body calls", tostring(err))
    iter:close()
  end))
end)

describe("an Iter used by two tasks at once", function()
  -- The Iter's only value, after some turns; for sources that are functions.
  local function once()
    local given = false
    return function()
      turns(9)
      if given then return nil end
      given = true
      return { 1 }
    end
  end

  local exclusive = {
    ["a generator"] = function() return generator(function(yield) yield(once()()) end) end,
    ["a coroutine"] = function() return tide.iter(coroutine.wrap(function() coroutine.yield(once()()) end)) end,
    ["a function"] = function() return tide.iter(once()) end,
    ["the values of a loop"] = function() return tide.iter(once(), "state", 0) end,
    ["what can be called"] = function() return tide.iter(setmetatable({}, { __call = once() })) end,
    ["an object with a method iter"] = function() return tide.iter { iter = once } end,
    ["an interval"] = function() return tide.interval(1) end,
  }
  for name, make in pairs {
    take = function(iter) return iter:take(3) end,
    zip = function(iter) return iter:zip { 1, 2, 3 } end,
    ["zip, behind another"] = function(iter) return tide.iter({ 1, 2, 3 }):zip(iter) end,
    scan = function(iter) return iter:scan(function(_, x) return x end, 0) end,
    flatten = function(iter) return iter:flatten() end,
  } do
    exclusive[name .. " over a Queue"] = function(queue) return make(tide.iter(queue)) end
    exclusive[name .. " over a function"] = function() return make(tide.iter(once())) end
  end
  for name, make in pairs {
    map = function(iter) return iter:map(function(x) return x end) end,
    filter = function(iter) return iter:filter(function() return true end) end,
    skip = function(iter) return iter:skip(0) end,
    take_while = function(iter) return iter:take_while(function() return true end) end,
    enumerate = function(iter) return iter:enumerate() end,
    chunk = function(iter) return iter:chunk(1) end,
    distinct = function(iter) return iter:distinct() end,
    timeout = function(iter) return iter:timeout(60) end,
    throttle = function(iter) return iter:throttle(0) end,
    ["flatten, of the inner one,"] = function(iter) return tide.iter({ iter }):flatten() end,
  } do
    exclusive[name .. " over a function"] = function() return make(tide.iter(once())) end
  end

  for name, make in pairs(exclusive) do
    it("is an error of the second, and goes on for the first: " .. name, run(function()
      local queue = tide.Queue()
      local iter <close> = make(queue)
      local first = tide.spawn(iter)
      turns(1)
      local err = raises("misuse", iter)
      assert.matches("^misuse: .*used by two tasks at once", tostring(err))
      raises("misuse", function() for _ in iter:each() do error "not reached" end end)
      raises("misuse", iter.collect, iter)
      assert.is_false(iter.closed)
      queue:put { 1 }
      assert.is_truthy(first:await())
    end))
  end

  for name, make in pairs {
    ["a generator"] = function(iter) return iter end,
    ["map over a generator"] = function(iter) return iter:map(double) end,
    ["take over a generator"] = function(iter) return iter:take(9) end,
    ["a generator that zip takes"] = function(iter) return tide.iter({ 1, 2, 3 }):zip(iter) end,
  } do
    it("is not closed by the second, but open as before: " .. name, run(function()
      local closed = 0
      local iter = make(generator(function(yield)
        local _ <close> = helper.closer(function() closed = closed + 1 end)
        for i = 1, 3 do
          turns(2)
          yield(i)
        end
      end))
      local first = tide.spawn(iter)
      turns(1)
      raises("misuse", iter.close, iter)
      assert.is_false(iter.closed)
      assert.is_truthy(first:await())
      assert.is_truthy(iter())
      assert.are.equal(0, closed)
      iter:close()
      assert.are.equal(1, closed)
      assert.is_nil(iter())
    end))
  end

  for name, make in pairs {
    ["a Queue"] = function(iter) return iter end,
    map = function(iter) return iter:map(double) end,
    filter = function(iter) return iter:filter(function() return true end) end,
    skip = function(iter) return iter:skip(0) end,
    take_while = function(iter) return iter:take_while(function() return true end) end,
    enumerate = function(iter) return iter:enumerate() end,
    chunk = function(iter) return iter:chunk(1) end,
    distinct = function(iter) return iter:distinct() end,
    timeout = function(iter) return iter:timeout(60) end,
    throttle = function(iter) return iter:throttle(1) end,
    buffer = function(iter) return iter:buffer(2) end,
    map_concurrent = function(iter) return iter:map_concurrent(2, double) end,
    merge = function(iter) return iter:merge {} end,
    debounce = function(iter) return iter:debounce(1) end,
  } do
    it("gives each its own where there is no state to spoil: over a Queue, " .. name, run(function()
      local queue = tide.Queue()
      local iter <close> = make(tide.iter(queue))
      local first, second = tide.spawn(iter), tide.spawn(iter)
      turns(9)
      for i = 1, 2 do
        queue:put(i)
        tide.sleep(2)
      end
      queue:close()
      local a, b = first:await(), second:await()
      assert.is_truthy(a)
      assert.is_truthy(b)
      assert.are_not.same(a, b)
    end))
  end

  it("may skip, enumerate and map for more than two", run(function()
    local queue, got, numbers = tide.Queue(), {}, {}
    local iter = tide.iter(queue):map(double):skip(1):enumerate()
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = tide.spawn(function()
        local n, value = iter()
        numbers[n] = true
        got[#got + 1] = value
      end)
    end
    turns(1)
    for i = 1, 4 do queue:put(i) end
    tide.gather(tasks)
    table.sort(got)
    same({ 4, 6, 8 }, got)
    same({ true, true, true }, numbers)
  end))
end)

describe("tide.generator", function()
  it("gives what the body yields, several values too", run(function()
    same({ { 1, "a" }, { 2 } }, steps_of(generator(function(yield)
      yield(1, "a")
      turns(2)
      yield(2)
    end)))
    same({}, generator(function() end):collect())
    fails("bad argument #1 to 'generator' (function expected, got nil)", function() tide.generator() end)
  end))

  it("says that nil, which would be the end, cannot be yielded, and goes on where that is caught", run(function()
    local function told(call)
      fails("bad argument #1 to 'yield' (nil means the end of an iteration)", call)
    end
    local iter = generator(function(yield)
      told(function() yield(nil) end)
      told(function() yield() end)
      told(function() yield(nil, 1) end)
      yield(false)
      yield(nil)
    end)
    assert.are.equal(false, iter())
    told(iter)
    assert.is_nil(iter())
    assert.is_true(iter.closed)
  end))

  it("closes the body where the loop is left, which may wait", run(function()
    for _, combine in ipairs {
      function(iter) return iter end,
      function(iter) return iter:map(double):filter(is_even) end,
      function(iter) return iter:take(1) end,
      function(iter) return iter:buffer(2) end,
      function(iter) return iter:map_concurrent(2, double) end,
      function(iter) return tide.iter({}):merge(iter) end,
    } do
      local closed = false
      for _ in combine(generator(function(yield)
        local _ <close> = helper.closer(function()
          turns(2)
          closed = true
        end)
        for i = 1, 9 do yield(i) end
      end)):each() do
        if not closed then goto left end
      end
      ::left::
      assert.is_true(closed)
    end
  end))

  it("fails once, with the body's error", run(function()
    local failure = {}
    local iter = generator(function(yield)
      yield(1)
      error(failure, 0)
    end):map(double)
    assert.are.equal(2, iter())
    same({ false, failure }, { pcall(iter) })
    assert.is_nil(iter())
  end))
end)

describe("for x in it:each()", function()
  local function loop(body)
    local iter, seen = watched { 1, 2, 3 }
    local result = table.pack(tide.raw.pcall(body, iter:map(double):filter(is_even)))
    assert.are.equal(1, seen.closed)
    assert.is_nil(iter())
    return table.unpack(result, 1, result.n)
  end

  it("closes at the end", function()
    local sum = 0
    loop(function(iter) for x in iter:each() do sum = sum + x end end)
    assert.are.equal(12, sum)
  end)

  it("closes on break", function()
    assert.is_true(loop(function(iter)
      for x in iter:each() do
        if x == 4 then break end
      end
    end))
  end)

  it("closes on goto out of a body with a closure (break would meet a defect of Lua 5.4.4)", function()
    assert.is_true(loop(function(iter)
      for x in iter:each() do
        local captured = x
        local function is_four() return captured == 4 end
        if is_four() then goto done end
      end
      ::done::
    end))
  end)

  it("closes on return", function()
    same({ true, 4 }, { loop(function(iter)
      for x in iter:each() do
        if x > 2 then return x end
      end
    end) })
  end)

  it("closes on an error of the body", function()
    same({ false, "body" }, { loop(function(iter)
      for _ in iter:each() do error("body", 0) end
    end) })
  end)

  it("closes on an error of a step", function()
    local iter, seen = watched { 1 }
    fails("step", function()
      for _ in iter:map(failing "step"):each() do error "not reached" end
    end)
    assert.are.equal(1, seen.closed)
  end)

  it("closes when it is cancelled", run(function()
    local closed = 0
    local iter = tide.iter(function() tide.sleep(60) end, nil, nil,
      helper.closer(function() closed = closed + 1 end))
    local task = tide.spawn(function() for _ in iter:map(double):each() do error "not reached" end end)
    turns(1)
    task:cancel()
    raises("cancelled", task.await, task)
    assert.are.equal(1, closed)
  end))

  it("may be read by tide.iter", function()
    same({ 2, 4 }, tide.iter(tide.iter { 1, 2 }:map(double):each()):collect())
  end)
end)

-- Lua before 5.4.5 may skip the closing value of a loop that is left by break.
describe("what the loops of a task left open", function()
  local function watched_generator(log)
    return tide.generator(function(yield)
      local _ <close> = helper.closer(function()
        turns(2)
        log("closed")
      end)
      for i = 1, 3 do yield(i) end
    end)
  end

  -- Takes a value as a loop does, and goes away.
  local function leave_open(iter)
    local step = iter:each()
    return step()
  end

  it("is closed when it ends, which may wait", run(function()
    local log = helper.log()
    local task = tide.spawn(function()
      local value = leave_open(watched_generator(log):map(double))
      log("end")
      return value, "results"
    end)
    same({ 2, "results" }, { task:await() })
    same({ "end", "closed" }, { table.unpack(log) })
  end))

  it("is closed by the defect that made it so", run(function()
    local log = helper.log()
    local failures = helper.collect_failures()
    local task = tide.spawn(function()
      for x in watched_generator(log):each() do
        local y = x
        local function is_first() return y == 1 end
        if is_first() then break end
      end
    end)
    tide.wait { task }
    same({ "closed" }, { table.unpack(log) })
    assert.are.equal(0, #failures)
  end))

  it("is closed where the task fails, or is cancelled, in a group or as the main task", run(function()
    local log = helper.log()
    raises("group", tide.TaskGroup, function(group)
      group:spawn(function()
        leave_open(watched_generator(log))
        error("failure")
      end)
    end)
    same({ "closed" }, { table.unpack(log) })
    local task = tide.spawn(function()
      leave_open(tide.generator(function(yield)
        local _ <close> = helper.closer(function() log("cancelled") end)
        yield(1)
      end))
      tide.sleep(10)
    end)
    turns(2)
    task:cancel()
    raises("cancelled", task.await, task)
    assert.are.equal("cancelled", log[2])
    helper.run_now(function() leave_open(watched_generator(log)) end)
    assert.are.equal("closed", log[3])
  end))

  it("is not what was closed, nor what holds nothing", run(function()
    local log = helper.log()
    tide.spawn(function()
      for _ in watched_generator(log):each() do break end -- luacheck: ignore
      for _ in watched_generator(log):each() do end -- luacheck: ignore
      local iter = watched_generator(log)
      leave_open(iter)
      iter:close()
      log("end")
    end):await()
    same({ "closed", "closed", "closed", "end" }, { table.unpack(log) })
    local list = tide.iter { 1, 2, 3 }
    tide.spawn(leave_open, list):await()
    assert.are.equal(2, list())
  end))

  it("is told of if closing fails, which changes nothing else", run(function()
    local failures, log = helper.collect_failures(), helper.log()
    local task = tide.spawn(function()
      leave_open(watched_generator(log))
      leave_open(tide.generator(function(yield)
        local _ <close> = helper.closer(failing("cleanup"))
        yield(1)
      end))
      return "result"
    end)
    assert.are.equal("result", task:await())
    same({ "closed" }, { table.unpack(log) })
    assert.are.equal(1, #failures)
    assert.are.equal("closing what a loop left open", failures[1].what)
    assert.are.equal("cleanup", failures[1].err)
  end))

  it("is left to the collector where the task is killed", run(function()
    local task = tide.spawn(function()
      leave_open(tide.generator(function(yield) yield(1) end))
      tide.sleep(10)
    end)
    turns(2)
    task:kill()
    assert.is_true(task:cancelled())
  end))
end)

describe("the lazy combinator", function()
  it("map gives what the function gives", function()
    same({ 2, 4, 6 }, tide.iter { 1, 2, 3 }:map(double):collect())
    same({}, tide.iter({}):map(double):collect())
  end)

  it("map passes several values in and out", function()
    same({ { "x", 1 }, { "y", 2 } },
      steps_of(tide.iter(ipairs { "x", "y" }):map(function(i, v) return v, i end)))
  end)

  it("map refuses nil", function()
    fails("bad result of the function given to 'map' (value expected, got nil)",
      tide.iter({ 1 }):map(function() end))
  end)

  it("map is lazy", function()
    local calls = 0
    local iter = tide.iter { 1, 2 }:map(function(x)
      calls = calls + 1
      return x
    end)
    assert.are.equal(0, calls)
    iter()
    assert.are.equal(1, calls)
  end)

  it("map has a function that may wait", run(function()
    same({ 2, 4 }, tide.iter { 1, 2 }:map(function(x)
      turns(1)
      return x * 2
    end):collect())
  end))

  it("filter leaves those for which the function is true", function()
    same({ 2, 4 }, tide.iter { 1, 2, 3, 4, 5 }:filter(is_even):collect())
    same({}, tide.iter { 1, 3 }:filter(is_even):collect())
    same({ { 2, "y" } }, steps_of(tide.iter(ipairs { "x", "y" }):filter(function(_, v) return v == "y" end)))
  end)

  it("filter of many needs no stack", function()
    local n = 0
    local iter = tide.iter(function()
      n = n + 1
      return n <= 1000000 and n or nil
    end)
    assert.are.equal(0, iter:filter(function() return false end):count())
  end)

  describe("rows of map and filter", function()
    local function plus(n) return function(x) return x + n end end
    local sources = {
      list = function() return tide.iter { 1, 2, 3, 4, 5, 6 } end,
      ["function"] = function()
        local i = 0
        return tide.iter(function()
          i = i + 1
          return i <= 6 and i or nil
        end)
      end,
      queue = function()
        local queue = tide.Queue()
        for i = 1, 6 do queue:put_nowait(i) end
        queue:close()
        return tide.iter(queue)
      end,
    }
    for name, source in pairs(sources) do
      it("in any order, over a " .. name, run(function()
        same({ 2, 4, 6 }, source():filter(is_even):collect())
        same({ 2, 4, 6 }, source():map(plus(1)):filter(is_even):collect())
        same({ 3, 5, 7 }, source():filter(is_even):map(plus(1)):collect())
        same({ 4, 6, 8 }, source():filter(is_even):map(plus(1)):map(plus(1)):collect())
        same({ 12, 14, 16 }, source():map(plus(10)):filter(is_even):filter(function(x) return x < 100 end):collect())
        same({ 4 }, source():map(plus(1)):filter(is_even):map(plus(-1)):filter(function(x) return x == 3 end)
          :map(plus(1)):collect())
        same({}, source():filter(function() return false end):map(plus(1)):collect())
      end))

      it("go on where their source, or a part of the row, was left, over a " .. name, run(function()
        local base = source()
        assert.are.equal(1, base())
        local mapped = base:map(plus(0))
        assert.are.equal(2, mapped())
        local filtered = mapped:filter(is_even)
        assert.are.equal(4, filtered())
        assert.are.equal(5, mapped())
        assert.are.equal(6, base())
        assert.is_nil(filtered())
      end))

      it("end when any part was closed, over a " .. name, run(function()
        local base = source()
        local mapped = base:map(plus(0))
        local filtered = mapped:filter(is_even)
        mapped:close()
        assert.is_nil(filtered())
        assert.is_nil(mapped:map(plus(1))())
        assert.is_nil(base())
      end))

      it("refuse nil of each map, over a " .. name, run(function()
        fails("bad result of the function given to 'map'", source():map(function() end):filter(is_even))
        fails("bad result of the function given to 'map'", source():map(function() end):map(plus(1)))
        fails("bad result of the function given to 'map'", source():filter(is_even):map(function() end):map(plus(1)))
      end))
    end

    it("pass several values along", function()
      same({ { 3, "c", 6 } }, steps_of(tide.iter(ipairs { "a", "b", "c" })
        :map(function(i, v) return i, v, 2 * i end)
        :filter(function(_, v) return v ~= "a" end)
        :filter(function(_, _, double_i) return double_i > 4 end)))
    end)

    it("need no stack for what is dropped", function()
      local list = {}
      for i = 1, 300000 do list[i] = i end
      assert.are.equal(0, tide.iter(list):map(plus(0)):filter(function() return false end):count())
      assert.are.equal(0, tide.iter(list):filter(function() return false end):map(plus(0)):count())
    end)

    it("may be long", function()
      local iter = tide.iter { 0, 1, 2 }
      for _ = 1, 100 do iter = iter:map(plus(1)) end
      same({ 100, 102 }, iter:filter(is_even):collect())
      local long = tide.iter { 1 }
      for _ = 1, 20000 do long = long:map(plus(1)) end -- each link is made once more, not all of them
    end)

    it("have names of their own", function()
      assert.are.equal("Iter(list, map, filter)", tostring(tide.iter({}):map(plus(1)):filter(is_even)))
    end)
  end)

  it("take gives the first n, pulls no more, and closes the source", function()
    local iter, seen = watched { 1, 2, 3 }
    local taken = iter:take(2)
    assert.are.equal(1, taken())
    assert.are.equal(0, seen.closed)
    assert.are.equal(2, taken())
    assert.are.equal(1, seen.closed)
    assert.is_nil(taken())
    assert.are.equal(2, seen.pulled)
  end)

  it("take(0) pulls nothing", function()
    local iter, seen = watched { 1 }
    same({}, iter:take(0):collect())
    same({ closed = 1, pulled = 0 }, seen)
  end)

  it("take gives fewer where there are fewer, and several values", function()
    same({ 1 }, tide.iter { 1 }:take(5):collect())
    same({ { 1, "x" } }, steps_of(tide.iter(ipairs { "x", "y" }):take(1)))
  end)

  it("take tells a failure of closing after the last value", function()
    local iter = tide.iter(function() return 1 end, nil, nil, helper.closer(failing "closing")):take(1)
    assert.are.equal(1, iter())
    fails("closing", iter)
    assert.is_nil(iter())
  end)

  it("skip leaves out the first n", function()
    same({ 3, 4 }, tide.iter { 1, 2, 3, 4 }:skip(2):collect())
    same({ 1 }, tide.iter { 1 }:skip(0):collect())
    same({}, tide.iter { 1 }:skip(5):collect())
    same({ { 2, "y" } }, steps_of(tide.iter(ipairs { "x", "y" }):skip(1)))
  end)

  it("take_while gives those before the first that fails the test", function()
    local iter, seen = watched { 2, 4, 5, 6 }
    same({ 2, 4 }, iter:take_while(is_even):collect())
    assert.are.equal(3, seen.pulled)
    same({ { 1, "x" } }, steps_of(tide.iter(ipairs { "x", "y" }):take_while(function(_, v) return v == "x" end)))
    same({ 2 }, tide.iter({ 2 }):take_while(is_even):collect())
  end)

  it("enumerate counts from 1", function()
    same({ { 1, "a" }, { 2, "b" } }, steps_of(tide.iter({ "a", "b" }):enumerate()))
    same({ { 1, 1, "x" } }, steps_of(tide.iter(ipairs { "x" }):enumerate()))
    same({}, steps_of(tide.iter({}):enumerate()))
  end)

  it("flatten gives the values of lists, Iters and functions", function()
    same({ 1, 2, 3, 4, 5 }, tide.iter {
      { 1, 2 }, {}, tide.iter { 3 }, coroutine.wrap(function() coroutine.yield(4) end), { 5 },
    }:flatten():collect())
    same({}, tide.iter({}):flatten():collect())
  end)

  it("flatten takes one level off, and passes several values", function()
    same({ { 1 } }, tide.iter { { { 1 } } }:flatten():collect())
    same({ { 1, "x" } }, steps_of(tide.iter { tide.iter(ipairs { "x" }) }:flatten()))
  end)

  it("flatten closes the inner one, then the source", function()
    local inner, inner_seen = watched { 1, 2 }
    local outer, outer_seen = watched { inner }
    local iter = outer:flatten()
    assert.are.equal(1, iter())
    iter:close()
    assert.are.equal(1, inner_seen.closed)
    assert.are.equal(1, outer_seen.closed)
    assert.is_nil(iter())
  end)

  it("flatten closes inner ones that ended", function()
    local inner, seen = watched { 1 }
    local iter = tide.iter { inner, { 2 } }:flatten()
    iter()
    assert.are.equal(2, iter())
    assert.are.equal(1, seen.closed)
  end)

  it("flatten refuses what cannot be iterated", function()
    fails("bad value for 'flatten' (something to iterate expected, got number)", tide.iter({ 1 }):flatten())
  end)

  it("chunk makes lists of n, the last of what is left", function()
    same({ { 1, 2 }, { 3, 4 }, { 5 } }, tide.iter { 1, 2, 3, 4, 5 }:chunk(2):collect())
    same({ { 1, 2 } }, tide.iter { 1, 2 }:chunk(2):collect())
    same({}, tide.iter({}):chunk(2):collect())
    same({ { false } }, tide.iter { false }:chunk(3):collect())
  end)

  it("chunk gives what it has before an error", run(function()
    local failure = {}
    local iter = generator(function(yield)
      for i = 1, 3 do yield(i) end
      error(failure, 0)
    end):chunk(2)
    same({ 1, 2 }, iter())
    same({ 3 }, iter())
    assert.are.equal(failure, select(2, pcall(iter)))
    assert.is_nil(iter())
  end))

  it("zip gives pairs until one ends", function()
    same({ { 1, "a" }, { 2, "b" } }, steps_of(tide.iter { 1, 2, 3 }:zip { "a", "b" }))
    same({ { 1, "a" } }, steps_of(tide.iter { 1 }:zip { "a", "b" }))
    same({ { false, false } }, steps_of(tide.iter { false }:zip { false }))
    same({}, steps_of(tide.iter({}):zip {}))
  end)

  it("zip closes both", function()
    local a, a_seen = watched { 1, 2 }
    local b, b_seen = watched { 3 }
    same({ { 1, 3 } }, steps_of(a:zip(b)))
    assert.are.equal(1, a_seen.closed)
    assert.are.equal(1, b_seen.closed)
  end)

  it("zip closes both, where closing one fails", function()
    local a, a_seen = watched { 1 }
    local b = tide.iter(function() return 1 end, nil, nil, helper.closer(failing "closing"))
    local iter = a:zip(b)
    fails("closing", iter.close, iter)
    assert.are.equal(1, a_seen.closed)
  end)

  it("zip refuses what cannot be iterated", function()
    fails("bad argument #1 to 'zip'", function() tide.iter({}):zip(5) end)
  end)

  it("scan gives running results", function()
    same({ 11, 13, 16 }, tide.iter { 1, 2, 3 }:scan(add, 10):collect())
    same({ 1, 3, 6 }, tide.iter { 1, 2, 3 }:scan(add):collect())
    same({}, tide.iter({}):scan(add, 10):collect())
    fails("given to 'scan'", tide.iter({ 1 }):scan(function() end, 0))
  end)

  it("distinct gives each value once", function()
    same({ 1, 2, false, 3 }, tide.iter { 1, 2, 1, false, 2, false, 3 }:distinct():collect())
    same({ "aa", "b" }, tide.iter { "aa", "ab", "b" }:distinct(function(s) return s:sub(1, 1) end):collect())
    assert.are.equal(2, tide.iter { 0 / 0, 0 / 0 }:distinct():count())
    same({ 1 }, tide.iter { 1, 2 }:distinct(function() return nil end):collect())
    same({ { 1, "x" } }, steps_of(tide.iter(ipairs { "x", "x" }):distinct(function(_, v) return v end)))
  end)

  it("timeout raises where a step takes too long", run(function()
    local closed = 0
    local function after(delay)
      local function step()
        tide.sleep(delay)
        return "in", "time"
      end
      return tide.iter(step, nil, nil, helper.closer(function() closed = closed + 1 end))
    end
    same({ "in", "time" }, { after(4):timeout(5)() })
    local late, before = after(6):timeout(5), tide.time()
    raises("timeout", late)
    assert.are.equal(5, tide.time() - before)
    assert.are.equal(1, closed)
    assert.is_nil(late())
    same({ 1, 2 }, tide.iter { 1, 2 }:timeout(1):collect())
  end))

  it("timeout counts for each step", run(function()
    same({ 1, 2, 3 }, generator(function(yield)
      for i = 1, 3 do
        tide.sleep(4)
        yield(i)
      end
    end):timeout(5):collect())
  end))

  it("throttle gives the first of each window", run(function()
    local iter = generator(function(yield)
      for i, delay in ipairs { 0, 29, 1, 29, 0 } do
        tide.sleep(delay)
        yield(i, "v")
      end
    end)
    same({ { 1, "v" }, { 3, "v" } }, steps_of(iter:throttle(30)))
  end))

  it("throttle sees time pass also where nothing waits", helper.run(function() -- virtual time would not
    local iter <close> = tide.iter(function() return 1 end):throttle(0.002)
    local before = tide.time()
    iter()
    iter()
    assert.is_true(tide.time() - before >= 0.002)
  end))

  it("throttle(0) gives all", run(function()
    same({ 1, 2 }, tide.iter { 1, 2 }:throttle(0):collect())
  end))

  it("checks its arguments where it is called", function()
    local iter = tide.iter {}
    for _, name in ipairs { "map", "filter", "take_while", "scan", "reduce", "foreach" } do
      local _, err = tide.raw.pcall(function() iter[name](iter, 5) end)
      assert.matches(("^spec/iter_spec.lua:%%d+: bad argument #1 to '%s' %%(function expected, got number%%)$")
        :format(name), err)
    end
    for _, name in ipairs { "distinct", "any", "all" } do
      fails("(function expected, got string)", function() iter[name](iter, "x") end)
    end
    for _, name in ipairs { "take", "skip", "chunk" } do
      fails("(number expected, got string)", function() iter[name](iter, "x") end)
      fails("(number has no integer representation)", function() iter[name](iter, 1.5) end)
      fails("must be at least", function() iter[name](iter, -1) end)
    end
    for _, name in ipairs { "timeout", "throttle" } do
      fails("(number expected, got nil)", function() iter[name](iter) end)
      fails("must not be negative", function() iter[name](iter, -1) end)
      fails("must not be NaN", function() iter[name](iter, 0 / 0) end)
    end
    assert.are.equal(2, tide.iter({ 1, 2, 3 }):take(2.0):count())
  end)
end)

describe("the ending method", function()
  -- ends(name, ...) calls it on an Iter over {1, 2, 3} that must be closed afterwards.
  local function ends(name, ...)
    local iter, seen = watched { 1, 2, 3 }
    local results = table.pack(iter[name](iter, ...))
    assert.are.equal(1, seen.closed)
    assert.is_nil(iter())
    return table.unpack(results, 1, results.n)
  end

  it("collect gives the first values", function()
    same({ 1, 2, 3 }, ends "collect")
    same({ 1, 2 }, tide.iter(ipairs { "x", "y" }):collect())
  end)

  it("reduce", function()
    assert.are.equal(16, ends("reduce", add, 10))
    assert.are.equal(6, ends("reduce", add))
    assert.is_nil(tide.iter({}):reduce(add))
    assert.are.equal(10, tide.iter({}):reduce(add, 10))
    assert.are.equal("xy", tide.iter(ipairs { "x", "y" }):reduce(function(acc, _, v) return acc .. v end, ""))
  end)

  it("foreach", function()
    local log = helper.log()
    assert.are.equal(0, select("#", ends("foreach", log)))
    same({ 1, 2, 3 }, { table.unpack(log) })
  end)

  it("first", function()
    assert.are.equal(1, ends "first")
    assert.is_nil(tide.iter({}):first())
    same({ 1, "x" }, { tide.iter(ipairs { "x" }):first() })
  end)

  it("last", function()
    assert.are.equal(3, ends "last")
    assert.is_nil(tide.iter({}):last())
    same({ 2, "y" }, { tide.iter(ipairs { "x", "y" }):last() })
  end)

  it("count", function()
    assert.are.equal(3, ends "count")
    assert.are.equal(0, tide.iter({}):count())
  end)

  it("any", function()
    assert.is_true(ends("any", is_even))
    assert.is_false(ends("any", function(x) return x > 5 end))
    assert.is_true(tide.iter({ false, 1 }):any())
    assert.is_false(tide.iter({}):any())
  end)

  it("all", function()
    assert.is_false(ends("all", is_even))
    assert.is_true(ends("all", function(x) return x < 5 end))
    assert.is_false(tide.iter({ 1, false }):all())
    assert.is_true(tide.iter({}):all())
  end)

  it("any and all pull no more than they need", function()
    local iter, seen = watched { 1, 2, 3 }
    iter:any(is_even)
    assert.are.equal(2, seen.pulled)
    iter, seen = watched { 1, 2, 3 }
    iter:all(is_even)
    assert.are.equal(1, seen.pulled)
  end)

  it("closes on an error of its function", function()
    for _, name in ipairs { "foreach", "reduce", "any", "all" } do
      local iter, seen = watched { 1, 2 }
      fails("broken", iter[name], iter, failing "broken", 0)
      assert.are.equal(1, seen.closed)
    end
  end)
end)

describe("a step that is cancelled", function()
  local function tolerate(kind, f, ...)
    local ok, err = tide.raw.pcall(f, ...)
    if not ok and not tide.is(err, kind) then error(err, 0) end
    return ok and err or nil
  end

  it("did not take an item: the next goes on", run(function()
    local queue = tide.Queue()
    local iter = tide.iter(queue):map(double):chunk(2):enumerate()
    queue:put(1)
    assert.is_false(tide.move_on_after(0.001, iter))
    queue:put(2)
    same({ 1, { 2, 4 } }, { iter() })
  end))

  it("in zip keeps the first of the pair", run(function()
    local queue = tide.Queue()
    local iter = tide.iter { 1, 2 }:zip(queue)
    assert.is_false(tide.move_on_after(0.001, iter))
    queue:put "a"
    same({ 1, "a" }, { iter() })
    iter:close()
  end))

  it("in take does not count", run(function()
    local queue = tide.Queue()
    local iter = tide.iter(queue):take(1)
    assert.is_false(tide.move_on_after(0.001, iter))
    queue:put "a"
    assert.are.equal("a", iter())
    assert.is_nil(iter())
  end))

  it("of a function may be taken again", run(function()
    local event, calls = tide.Event(), 0
    local iter = tide.iter(function()
      calls = calls + 1
      event:wait()
      return calls
    end)
    assert.is_false(tide.move_on_after(0.001, iter))
    event:set()
    assert.are.equal(2, iter())
    assert.are.equal(3, iter())
  end))

  it("of a coroutine, which it has ended, is the end", run(function()
    for _, make in ipairs { wrapped, generator } do
      local iter = make(function() tide.sleep(60) end):map(double)
      assert.is_false(tide.move_on_after(0.001, iter))
      assert.is_nil(iter())
      assert.is_nil(iter())
    end
  end))

  local function producer(s)
    for i = 1, 6 do
      s.queue:put(i)
      turns(i % 3)
    end
    s.queue:close()
  end

  for name, make in pairs {
    ["map, filter"] = function(queue)
      return tide.iter(queue):map(function(x) return x end):filter(function() return true end)
    end,
    ["take"] = function(queue) return tide.iter(queue):take(10) end,
    ["skip"] = function(queue) return tide.iter(queue):skip(0) end,
    ["enumerate, map"] = function(queue) return tide.iter(queue):enumerate():map(function(_, x) return x end) end,
    ["chunk, flatten"] = function(queue) return tide.iter(queue):chunk(2):flatten() end,
    ["scan"] = function(queue) return tide.iter(queue):scan(function(_, x) return x end) end,
    ["zip"] = function(queue) return tide.iter(queue):zip(tide.iter(function() return 0 end)) end,
    ["timeout"] = function(queue) return tide.iter(queue):timeout(60) end,
    ["distinct"] = function(queue) return tide.iter(queue):distinct() end,
  } do
    it("at every suspension loses nothing: " .. name, sweep.it {
      setup = function(s)
        s.queue = tide.Queue()
        s.got = {}
        s.iter = make(s.queue)
      end,
      others = { producer },
      subject = function(s)
        for x in function() return s.iter() end do
          s.got[#s.got + 1] = x
        end
      end,
      check = function(s)
        for x in s.iter:each() do s.got[#s.got + 1] = x end
        same({ 1, 2, 3, 4, 5, 6 }, s.got)
        tolerate("closed", s.queue.get_nowait, s.queue)
      end,
    })
  end

  it("of a generator at every suspension closes what its body has open", sweep.it {
    setup = function(s)
      s.open = 0
      s.iter = tide.generator(function(yield)
        s.open = s.open + 1
        local _ <close> = helper.closer(function() s.open = s.open - 1 end)
        for i = 1, 4 do
          turns(1)
          yield(i)
        end
      end)
    end,
    subject = function(s)
      for _ in s.iter:each() do turns(1) end
    end,
    check = function(s)
      s.iter:close()
      assert.are.equal(0, s.open)
    end,
  })

  it("in a loop at every suspension closes the iterator", sweep.it {
    setup = function(s)
      s.closed = 0
      s.iter = tide.iter(function()
        turns(1)
        return 1
      end, nil, nil, helper.closer(function() s.closed = s.closed + 1 end))
    end,
    subject = function(s)
      for _ in s.iter:map(double):take(4):each() do turns(1) end
    end,
    check = function(s, ended)
      if ended == "done" then assert.are.equal(1, s.closed) end
      assert.is_true(s.closed <= 1)
      s.iter:close()
      assert.are.equal(1, s.closed)
    end,
  })
end)

describe("a generator's send and throw", function()
  it("give a value to yield, or raise an error in it, and return the next step", run(function()
    local g = tide.generator(function(yield)
      local sum = 0
      local x = yield(sum)
      while x do
        tide.sleep(0)
        sum = sum + x
        x = yield(sum, x)
      end
      local ok, err = pcall(yield, "waiting")
      yield(ok, err)
      yield "last"
    end)
    assert.are.equal(0, g())
    assert.are.same({ 2, 2 }, { g:send(2) })
    assert.are.same({ 5, 3 }, { g:send(3) })
    assert.are.equal("waiting", g:send())
    local failure = {}
    assert.are.same({ false, failure }, { g:throw(failure) })
    assert.are.equal("last", g())
    assert.is_nil(g())
    assert.is_nil(g:send(1))
    assert.are.same({ false, failure }, { tide.raw.pcall(g.throw, g, failure) })
  end))

  it("run in an averager, as in Python's manual", run(function()
    local g = tide.generator(function(yield)
      local total, count, average = 0, 0, 0
      while true do
        total, count = total + yield(average), count + 1
        average = total / count
      end
    end)
    assert.are.equal(0, g:send(nil)) -- begins
    assert.are.equal(10, g:send(10))
    assert.are.equal(20, g:send(30))
    g:close()
    assert.is_nil(g:send(1))
  end))

  it("end it by an error that it does not catch; what it has open is closed, and may wait", run(function()
    local log = helper.log()
    local g = tide.generator(function(yield)
      local _ <close> = helper.closer(function(_, err)
        turns(2)
        log(err)
      end)
      yield(1)
    end)
    g()
    assert.are.same({ false, "thrown" }, { pcall(g.throw, g, "thrown") })
    assert.are.same({ "thrown" }, { table.unpack(log) })
    assert.is_nil(g())
  end))

  it("refuse a value before it has begun, which leaves it as it is; an error ends it", run(function()
    local began = false
    local function make()
      return tide.generator(function(yield)
        began = true
        yield(1)
      end)
    end
    local g = make()
    raises("misuse", g.send, g, 5)
    assert.is_false(began)
    assert.are.equal(1, g())
    began = false
    g = make()
    assert.are.same({ false, "x" }, { pcall(g.throw, g, "x") })
    assert.is_false(began)
    assert.is_nil(g())
  end))

  it("are a generator's only", run(function()
    raises("misuse", function() tide.iter({ 1 }):send(1) end)
    raises("misuse", function() tide.generator(function(yield) yield(1) end):map(tostring):throw(1) end)
  end))

  it("are refused while another task is inside, and end with a cancellation", run(function()
    local g = tide.generator(function(yield)
      yield(1)
      tide.sleep(60)
      yield(2)
    end)
    g()
    local task = tide.spawn(g.send, g, 1)
    turns(1)
    raises("misuse", g.send, g, 1)
    raises("misuse", g.throw, g, 1)
    task:cancel()
    turns(2)
    assert.is_true(task:cancelled())
    assert.is_nil(g())
  end))
end)

describe("tide.interval", function()
  it("ticks without drift, first after one period, and leaves out what was missed", run(function()
    local began, seen = tide.time(), {}
    local ticks = tide.interval(2)
    for n in ticks:each() do
      seen[#seen + 1] = { n, tide.time() - began }
      if n == 2 then tide.sleep(0.5) end
      if n == 3 then tide.sleep(5) end
      if n >= 7 then break end
    end
    assert.are.same({ { 1, 2 }, { 2, 4 }, { 3, 6 }, { 6, 12 }, { 7, 14 } }, seen)
  end))

  it("may be cancelled and goes on", run(function()
    local ticks = tide.interval(1)
    assert.is_false(tide.move_on_after(0.5, ticks))
    assert.are.equal(1, ticks())
    ticks:close()
    assert.is_nil(ticks())
  end))

  it("checks its argument", function()
    for _, wrong in ipairs { 0, -1, 0 / 0, "x", {} } do
      assert.has_error(function() tide.interval(wrong) end)
    end
  end)
end)
