-- task:kill, at any point of a task, and what it has in common with coroutine.close and generators
-- that are dropped.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises, closer = helper.run, helper.turns, helper.raises, helper.closer

-- Functions that would be called by mistake, were one of them taken for a message handler: where a
-- protected call was inside, its handler was somewhere on this part of the stack.
local called
local function stranger()
  called = true
  return "a stranger's result"
end

local function fail_among_strangers(message)
  local a, b, c, d, e, f, g, h = stranger, stranger, stranger, stranger, stranger, stranger, stranger, stranger
  local i, j, k, l, m, n, o, p = a, b, c, d, e, f, g, h
  local list = { i, j, k, l, m, n, o, p, stranger }
  error(message .. #list - 9, 0)
end

-- Bodies that wait in the middle of something; `wait` does not return by itself.
local places = {
  ["a wait"] = function(wait) wait() end,
  ["a loop of pcalls"] = function(wait) while true do pcall(wait) end end,
  ["a loop of original pcalls"] = function(wait) while true do tide.raw.pcall(wait) end end,
  ["a loop of xpcalls"] = function(wait) while true do xpcall(wait, tostring) end end,
  ["a loop of original xpcalls"] = function(wait) while true do tide.raw.xpcall(wait, tostring) end end,
  ["a loop of try"] = function(wait) while true do tide.try(wait) end end,
  ["a timeout"] = function(wait) tide.timeout(60, wait) end,
  ["a timeout's block"] = function(wait)
    local _ <close> = tide.timeout(60)
    wait()
  end,
  ["a scope"] = function(wait) tide.scope(wait) end,
  ["a shield"] = function(wait) tide.shield(wait) end,
  ["a TaskGroup's body"] = function(wait) tide.TaskGroup(wait) end,
  ["a TaskGroup's end"] = function(wait) tide.TaskGroup(function(g) g:spawn(wait) end) end,
  ["catch"] = function(wait) tide.catch(wait, { other = print }) end,
  ["a Lock"] = function(wait) tide.Lock():with(wait) end,
  ["a Local"] = function(wait) tide.Local():with(1, wait) end,
  ["select"] = function() tide.select(tide.Queue(), tide.Event()) end,
  ["a metamethod"] = function(wait) return setmetatable({}, { __index = wait }).x end,
  ["the iterator of a loop"] = function(wait) for _ in wait do assert(false) end end,
  ["a `<close>` at the end of a block"] = function(wait)
    do local _ <close> = closer(wait) end
  end,
  ["a `<close>` behind a caught error"] = function(wait)
    pcall(function()
      local _ <close> = closer(wait)
      error "caught"
    end)
  end,
  ["a coroutine"] = function(wait) coroutine.wrap(wait)() end,
  ["a coroutine that is resumed"] = function(wait) coroutine.resume(coroutine.create(wait)) end,
  ["a generator"] = function(wait) tide.generator(wait)() end,
  ["the cleanup of a generator"] = function(wait)
    local it = tide.generator(function(yield)
      local _ <close> = closer(wait)
      yield(1)
    end)
    it()
    it:close()
  end,
}

-- Kills tasks whose body is in that place, with something before it.
local function kill_in(place, before)
  local failures, log = helper.collect_failures(), helper.log()
  called = false
  local task = tide.spawn(function()
    local _ <close> = closer(function() fail_among_strangers "the outer cleanup" end)
    local _ <close> = closer(function(_, err)
      log(err == nil and "inner" or err)
      raises("cannot_wait", tide.sleep, 1)
    end)
    if before then before() end
    place(function() tide.sleep(3600) end)
  end)
  turns(6)
  assert.are.equal("waiting", task:status())
  assert.is_true(task:kill())
  assert.is_false(task:kill())
  assert.are.equal("cancelled", task:status())
  raises("cancelled", task.await, task)
  assert.are.same({ "inner" }, { table.unpack(log) })
  assert.is_false(called)
  turns(3)
  assert.are.equal(1, #failures)
  assert.are.equal("the cleanup of a killed task", failures[1].what)
  assert.are.equal("the outer cleanup0", failures[1].err)
end

describe("task:kill ends a task in", function()
  for name, place in pairs(places) do
    it(name, run(function() kill_in(place) end))
  end

  it("each of these inside each other", run(function()
    for outer_name, outer in pairs(places) do
      for name, place in pairs(places) do
        if outer_name ~= "select" and outer_name ~= "a TaskGroup's end" then -- that is another task's
          local ok, err = tide.raw.pcall(kill_in, function(wait)
            return outer(function() return place(wait) end)
          end)
          if not ok then error(("%s in %s: %s"):format(name, outer_name, tostring(err)), 0) end
        end
      end
    end
  end, { clock = "virtual" }))

  it("a coroutine in a coroutine in a generator, innermost first", run(function()
    local log = helper.log()
    local task = tide.spawn(function()
      local _ <close> = closer(function() log "task" end)
      tide.generator(function()
        local _ <close> = closer(function() log "generator" end)
        coroutine.wrap(function()
          local _ <close> = closer(function() log "wrap" end)
          xpcall(coroutine.resume, print, coroutine.create(function()
            local _ <close> = closer(function() log "resume" end)
            tide.timeout(60, tide.sleep, 60)
          end))
        end)()
      end)()
    end)
    turns(2)
    task:kill()
    assert.are.same({ "resume", "wrap", "generator", "task" }, { table.unpack(log) })
  end))

  it("the middle of a cancellation that it ignores", run(function()
    for _, catch in ipairs { tide.raw.pcall, tide.shield } do
      local task = tide.spawn(function()
        while true do catch(tide.sleep, 1) end
      end)
      turns(2)
      task:cancel("why")
      turns(3)
      assert.are.equal(catch == tide.shield and "waiting" or "ready", task:status())
      task:kill()
      assert.are.equal("why", raises("cancelled", task.await, task).reason)
    end
  end))

  it("a state that its coroutine's next task does not inherit", run(function()
    called = false
    for _ = 1, 20 do
      local task = tide.spawn(function() tide.timeout(60, tide.try, tide.timeout, 60, tide.sleep, 60) end)
      turns(1)
      task:kill()
      local failures = helper.collect_failures()
      tide.spawn(function()
        turns(1)
        fail_among_strangers "its own"
      end)
      turns(4)
      assert.are.equal("its own0", failures[1].err)
    end
    assert.is_false(called)
  end))
end)

describe("task:kill", function()
  it("is refused to the task itself, and in its own cleanup", run(function()
    local task, err, other_err
    raises("invalid_state", function() tide.current_task():kill() end)
    local other = tide.spawn(function()
      local _ <close> = closer(function() other_err = raises("invalid_state", task.kill, task) end)
      tide.sleep(60)
    end)
    task = tide.spawn(function()
      local _ <close> = closer(function()
        err = raises("invalid_state", task.kill, task)
        other:kill()
      end)
      tide.sleep(60)
    end)
    turns(2)
    task:kill()
    assert.matches("cannot kill itself", err.message)
    assert.matches("being killed already", other_err.message)
    assert.are.equal("cancelled", task:status())
    assert.are.equal("cancelled", other:status())
  end))

  it("reports each cleanup that fails, and runs the others", run(function()
    local failures, log = helper.collect_failures(), helper.log()
    local task = tide.spawn(function()
      local _ <close> = closer(function(_, err) log(err) end)
      local _ <close> = closer(helper.failing "one")
      coroutine.wrap(function()
        local _ <close> = closer(helper.failing "two")
        tide.sleep(60)
      end)()
    end)
    turns(2)
    task:kill()
    assert.are.same({ "one" }, { table.unpack(log) })
    assert.are.equal(2, #failures)
    assert.are.equal("two", failures[1].err)
    assert.are.equal("one", failures[2].err)
  end))

  it("ends a cleanup that waits again and again, and runs the others", run(function()
    for _, catch in ipairs { pcall, tide.raw.pcall, tide.try } do
      for _, between in ipairs { function(f) return f end, coroutine.wrap } do
        local failures, log = helper.collect_failures(), helper.log()
        local task = tide.spawn(function()
          local _ <close> = closer(function()
            log "outer"
            pcall(tide.sleep, 1)
            log "outer's end"
          end)
          local _ <close> = closer(function() while true do catch(between(tide.sleep), 1) end end)
          tide.sleep(60)
        end)
        turns(2)
        task:kill()
        assert.are.same({ "outer", "outer's end" }, { table.unpack(log) })
        assert.matches("goes on waiting", tostring(failures[1].err))
        assert.are.equal("cancelled", task:status())
        assert.is_nil(debug.gethook())
      end
    end
  end))

  it("of many whose cleanups kill the next ends", run(function()
    local failures, tasks = helper.collect_failures(), {}
    for i = 1, 400 do
      tasks[i] = tide.spawn(function()
        local _ <close> = closer(function() if tasks[i + 1] then tasks[i + 1]:kill() end end)
        tide.sleep(60)
      end)
    end
    turns(2)
    tasks[1]:kill()
    for _, task in ipairs(tasks) do task:kill() end
    for _, task in ipairs(tasks) do assert.are.equal("cancelled", task:status()) end
    for _, failure in ipairs(failures) do assert.matches("C stack overflow", tostring(failure.err)) end
  end))
end)

describe("a task that is killed while its error goes through a `<close>` that waits", function()
  local function fail_slowly(err)
    return function()
      local _ <close> = closer(function() tide.shield(tide.sleep, 60) end)
      error(err, 0)
    end
  end

  local ways = {
    ["the body"] = function(f) f() end,
    ["a timeout"] = function(f) tide.timeout(60, f) end,
    ["a TaskGroup"] = function(f) tide.TaskGroup(f) end,
    ["a Local and a scope"] = function(f) tide.Local():with(1, tide.scope, f) end,
    ["a generator"] = function(f) tide.generator(f)() end,
    ["a coroutine around a shield"] = function(f) coroutine.wrap(function() tide.shield(f) end)() end,
    ["a `<close>` with a protected call"] = function(f)
      local _ <close> = closer(function() pcall(error) end)
      f()
    end,
  }

  for name, way in pairs(ways) do
    it("has failed with it, in " .. name, run(function()
      local failures, err = helper.collect_failures(), {}
      local task = tide.spawn(way, fail_slowly(err))
      turns(2)
      assert.is_true(task:kill())
      assert.are.equal("failed", task:status())
      assert.are.equal(err, task:error())
      turns(2)
      assert.are.equal(0, #failures) -- somebody has looked
    end))

    it("is reported, with its traceback, in " .. name, run(function()
      local failures, err = helper.collect_failures(), {}
      local task = tide.spawn(way, fail_slowly(err))
      turns(2)
      task:kill()
      turns(2)
      assert.are.equal(1, #failures)
      assert.are.equal(err, failures[1].err)
      assert.matches("kill_spec", failures[1].traceback)
    end))

    it("fails its group, in " .. name, run(function()
      local err = {}
      local group = raises("group", tide.TaskGroup, function(g)
        local child = g:spawn(way, fail_slowly(err))
        turns(2)
        child:kill()
        tide.sleep(60)
      end)
      assert.are.same({ err }, group.errors)
      assert.are.equal(err, group.errors[1])
    end))
  end

  local held = {
    ["pcall"] = pcall,
    ["the original xpcall"] = function(f) tide.raw.xpcall(f, print) end,
    ["try"] = tide.try,
    ["catch"] = function(f) tide.catch(f, { other = print }) end,
    ["coroutine.resume"] = function(f)
      coroutine.resume(coroutine.create(function() tide.timeout(60, f) end))
    end,
  }

  for name, hold in pairs(held) do
    it("is cancelled where that would have been held, by " .. name, run(function()
      local failures = helper.collect_failures()
      local task = tide.spawn(hold, function() tide.timeout(60, fail_slowly "held") end)
      turns(2)
      task:kill()
      turns(2)
      assert.are.equal("cancelled", task:status())
      assert.are.equal(0, #failures)
    end))
  end

  it("is cancelled where the error is that of its cancellation", run(function()
    local task = tide.spawn(function()
      local _ <close> = closer(function() tide.shield(tide.sleep, 60) end)
      tide.sleep(60)
    end)
    turns(2)
    task:cancel()
    turns(2)
    task:kill()
    assert.is_true(task:cancelled())
  end))
end)

describe("what is closed like a killed task calls no stranger:", function()
  local function body(suspend)
    return function()
      local _ <close> = closer(function() fail_among_strangers "cleanup" end)
      xpcall(function() tide.try(suspend) end, print)
    end
  end

  before_each(function() called = false end)
  after_each(function() assert.is_false(called) end)

  it("coroutine.close", function()
    local co = coroutine.create(body(coroutine.yield))
    coroutine.resume(co)
    assert.are.same({ false, "cleanup0" }, { coroutine.close(co) })
    assert.are.equal("dead", coroutine.status(co))
  end)

  it("coroutine.close deep inside itself, which ends", function()
    local depth, message = 0, nil
    local function nested(n)
      local co = coroutine.create(function()
        local _ <close> = closer(function()
          depth = depth + 1
          if n > 0 then nested(n - 1) end
        end)
        coroutine.yield()
      end)
      coroutine.resume(co)
      local ok, err = coroutine.close(co)
      if not ok then message = err end
    end
    nested(1000)
    assert.is_true(depth >= 20)
    assert.matches("stack overflow", message)
  end)

  it("a generator that is dropped", function()
    local failures = helper.collect_failures()
    do
      local yield
      local it = tide.generator(function(y)
        yield = y
        body(function() yield(1) end)()
      end)
      it()
    end
    collectgarbage()
    collectgarbage()
    assert.are.equal("cleanup0", failures[1].err)
  end)

  it("a task that suspends itself by a yield which is not tide's", run(function()
    local failures = helper.collect_failures()
    tide.spawn(function()
      local _ <close> = closer(function() fail_among_strangers "cleanup" end)
      tide.raw.coroutine.yield()
    end)
    turns(3)
    assert.are.equal(1, #failures)
  end))
end)

describe("a kill in a function with variable arguments", function()
  it("is no failure: its arguments are not errors on their way", run(function()
    local function wait(...)
      tide.sleep(60)
      return ...
    end
    local function wait_with(_, ...)
      tide.sleep(60)
      return ...
    end
    for _, fn in ipairs { wait, wait_with } do
      for _, f in ipairs {
        function() tide.timeout(60, fn, 1, "x", {}) end,
        function() tide.move_on_after(60, fn) end,
        function() tide.shield(fn, nil, 2) end,
        function() tide.try(fn, 1) end,
        function() fn(1, 2, 3) end,
      } do
        local task = tide.spawn(f)
        local child
        turns(2)
        task:kill()
        assert.is_true(task:cancelled())
        tide.TaskGroup(function(group)
          child = group:spawn(fn, 1, 2)
          turns(2)
          child:kill()
        end)
        assert.is_true(child:cancelled())
        child = tide.spawn(fn, 1, 2)
        turns(2)
        child:kill()
        assert.is_true(child:cancelled())
      end
    end
  end))
end)
