-- tide.greenlet: coroutines that switch to each other.
local tide = require "tide"
local helper = require "spec.helper"

local greenlet = tide.greenlet
local current = greenlet.current
local turns, raises, fails, failing = helper.turns, helper.raises, helper.fails, helper.failing

-- In virtual time.
local run = tide.testing.wrap

local function collect()
  collectgarbage()
  collectgarbage()
end

-- To the parent of the greenlet that runs.
local function up(...) return current().parent:switch(...) end

-- A greenlet that has begun, and waits in a switch to its parent for what `f` is to get.
local function begun(f)
  local g = greenlet(function() return f(up()) end)
  g:switch()
  return g
end

-- One that is suspended with a `<close>` variable, which calls the function.
local function suspended(on_close)
  local g = greenlet(function()
    local _ <close> = helper.closer(on_close)
    up()
    error "it went on"
  end)
  g:switch()
  return g
end

describe("two greenlets", function()
  it("switch to each other in the middle", run(function()
    local log = helper.log()
    local a, b
    a = greenlet(function()
      log(12)
      b:switch()
      log(34)
    end)
    b = greenlet(function()
      log(56)
      a:switch()
      log(78)
    end)
    a:switch()
    assert.are.same({ 12, 56, 34 }, { table.unpack(log) })
    assert.are.same({ true, false }, { a.dead, b.dead })
    b:switch()
    assert.are.same({ 12, 56, 34, 78 }, { table.unpack(log) })
    assert.is_true(b.dead)
  end))

  it("give each other values, any number of them", run(function()
    local main = current()
    local a, b
    a = greenlet(function(...)
      assert.are.same({ 1, nil, 3, n = 3 }, table.pack(...))
      assert.are.same({ nil, "b", n = 2 }, table.pack(b:switch("to b", nil)))
      return "a", nil
    end)
    b = greenlet(function(...)
      assert.are.same({ "to b", nil, n = 2 }, table.pack(...))
      assert.are.same({ n = 0 }, table.pack(a:switch(nil, "b")))
    end)
    assert.are.same({ "a", nil, n = 2 }, table.pack(a:switch(1, nil, 3)))
    assert.are.equal(main, current())
    assert.are.same({ n = 0 }, table.pack(b:switch()))
  end))

  it("may be three, in any order", run(function()
    local log, greenlets = helper.log(), {}
    for i = 1, 3 do
      greenlets[i] = greenlet(function(order)
        for _ = 1, 3 do
          log(i)
          local next_one = table.remove(order, 1)
          if not next_one then return "over" end
          greenlets[next_one]:switch(order)
        end
      end)
    end
    assert.are.equal("over", greenlets[1]:switch { 3, 2, 1, 3, 2, 3 })
    assert.are.same({ 1, 3, 2, 1, 3, 2, 3 }, { table.unpack(log) })
  end))

  it("switch a hundred thousand times, and neither stack nor memory grow", run(function()
    local a, b
    a = greenlet(function()
      for i = 1, 100000 do b:switch(i) end
      return "over"
    end)
    b = greenlet(function()
      while true do a:switch() end
    end)
    collect()
    local before = collectgarbage "count"
    assert.are.equal("over", a:switch())
    collect()
    assert.is_true(collectgarbage "count" - before < 20)
    b:close()
  end))

  it("give up their turn when they switch for ever", helper.run(function()
    local function for_ever()
      local a, b
      a = greenlet(function() while true do b:switch() end end)
      b = greenlet(function() while true do a:switch() end end)
      a:switch()
    end
    assert.is_false(tide.move_on_after(0.02, for_ever))
    local task = tide.spawn(function()
      while true do pcall(for_ever) end
    end)
    turns(3)
    task:kill()
  end))
end)

describe("a greenlet", function()
  it("gives its results to its parent, which is the one that made it", run(function()
    local inner
    local outer = greenlet(function()
      inner = greenlet(function() return 1, 2 end)
      local results = table.pack(up "made")
      return "outer", table.unpack(results, 1, results.n)
    end)
    assert.are.equal("made", outer:switch())
    assert.are.equal(outer, inner.parent)
    assert.are.equal(current(), outer.parent)
    assert.are.same({ "outer", 1, 2 }, { inner:switch() })
    assert.is_true(inner.dead and outer.dead)
  end))

  it("raises its error in its parent, by identity", run(function()
    local failure = {}
    local caught
    local outer = greenlet(function()
      local inner = greenlet(failing(failure))
      caught = table.pack(pcall(inner.switch, inner))
      error("second", 0)
    end)
    fails("second", outer.switch, outer)
    assert.are.same({ false, failure, n = 2 }, caught)
    assert.is_true(rawequal(failure, caught[2]))
  end))

  it("passes a dead parent over", run(function()
    local grandchild
    local child = greenlet(function() grandchild = greenlet(function(...) return ... end) end)
    child:switch()
    assert.are.equal(child, grandchild.parent)
    assert.are.same({ 7, 8 }, { grandchild:switch(7, 8) })
    local other
    child = greenlet(function() other = greenlet(failing "oops") end)
    child:switch()
    fails("oops", other.switch, other)
  end))

  it("that is dead gives what it is switched to with to its parent", run(function()
    local g = greenlet(function() end)
    g:switch()
    assert.are.same({ 1, nil, n = 2 }, table.pack(g:switch(1, nil)))
    local log = helper.log()
    local outer = begun(function(...)
      log(...)
      return "outer"
    end)
    g = greenlet(function() end)
    g.parent = outer
    assert.are.equal("outer", g:switch())
    assert.are.equal("mine", g:switch "mine")
  end))

  it("may have a parent that has not begun, which begins with its results", run(function()
    local parent = greenlet(function(...) return "parent", ... end)
    local child = greenlet(function() return 1, 2 end)
    child.parent = parent
    assert.are.same({ "parent", 1, 2 }, { child:switch() })
    parent = greenlet(function() error "it began" end)
    child = greenlet(failing "oops")
    child.parent = parent
    fails("oops", child.switch, child)
    assert.is_true(parent.dead)
  end))

  it("may be switched to by itself", run(function()
    assert.are.same({ 1, 2 }, { current():switch(1, 2) })
    local g = greenlet(function()
      fails("oops", current().throw, current(), "oops")
      return current():switch(3, 4)
    end)
    assert.are.same({ 3, 4 }, { g:switch() })
    fails("oops", current().throw, current(), "oops")
  end))

  it("can be made of anything that can be called", run(function()
    local callable = setmetatable({}, { __call = function(_, ...) return ... end })
    assert.are.equal("x", greenlet(callable):switch "x")
  end))

  it("waits, which suspends the whole task", run(function()
    local others, began = 0, tide.time()
    local other = tide.spawn(function()
      while true do
        others = others + 1
        tide.sleep(1)
      end
    end)
    local queue = tide.Queue()
    local producer, consumer
    producer = greenlet(function()
      for i = 1, 3 do
        tide.sleep(1)
        consumer:switch(i)
      end
    end)
    consumer = greenlet(function(item)
      while true do
        tide.sleep(0.5)
        queue:put(item)
        item = producer:switch()
      end
    end)
    producer:switch()
    assert.are.same({ 3, 4.5 }, { #queue, tide.time() - began })
    assert.is_true(others >= 4)
    other:cancel()
    consumer:close()
  end))

  it("says what it is", run(function()
    assert.are.equal("greenlet(main)", tostring(current()))
    local g = greenlet(function()
      local before = tostring(current())
      up()
      return before
    end)
    assert.are.equal("greenlet(new)", tostring(g))
    g:switch()
    assert.are.equal("greenlet(suspended)", tostring(g))
    assert.are.equal("greenlet(running)", g:switch())
    assert.are.equal("greenlet(dead)", tostring(g))
    assert.are.equal("greenlet", tide.type(g))
  end))

  it("has a class, to which methods can be added", run(function()
    function greenlet:twice(x) return self:switch(x, x) end
    assert.are.same({ 2, 2 }, { greenlet(function(...) return ... end):twice(2) })
    fails("cannot be replaced", function() greenlet.switch = print end)
  end))

  it("refuses wrong arguments", run(function()
    fails("bad argument #1 to 'greenlet' (function expected, got nil)", function() tide.greenlet(nil) end)
    local g = greenlet(print)
    fails("greenlet expected, got table", g.switch, {})
    fails("greenlet expected, got no value", g.throw)
    fails("bad argument #1 to 'throw' (value expected)", function() g:throw() end)
    fails("no field 'dead' to be set", function() g.dead = true end)
    fails("no field 'x' to be set", function() g.x = 1 end)
    fails("greenlet expected, got nil", function() g.parent = nil end)
    assert.is_nil(g.x)
    assert.is_nil(g[1])
  end))

  it("cannot be its own ancestor, and the main one has no parent", run(function()
    local a, b, c = greenlet(print), greenlet(print), greenlet(print)
    b.parent, c.parent = a, b
    for _, parent in ipairs { a, b, c } do raises("misuse", function() a.parent = parent end) end
    assert.is_nil(current().parent)
    raises("misuse", function() current().parent = a end)
  end))
end)

describe("greenlet.current", function()
  it("is the main one of each task, and the one that runs", run(function()
    local main = current()
    assert.are.equal(main, current())
    local g
    g = greenlet(function()
      local inside = coroutine.wrap(function() return current() end)()
      return current() == g and inside == g and current().parent == main
    end)
    assert.is_true(g:switch())
    local others = tide.spawn(current):await()
    assert.are_not.equal(main, others)
    assert.is_true(others.dead)
    assert.is_false(main.dead)
  end))
end)

describe("greenlet:throw", function()
  it("raises in the one that is suspended", run(function()
    local g = begun(function() end)
    fails("oops", g.throw, g, "oops")
    assert.is_true(g.dead)
    local failure = {}
    g = greenlet(function()
      local ok, err = pcall(up)
      local more = up(ok, err)
      return more
    end)
    g:switch()
    assert.are.same({ false, failure }, { g:throw(failure) })
    assert.are.equal("more", g:switch "more")
  end))

  it("ends one that has not begun, and raises in its parent", run(function()
    local g = greenlet(function() error "it began" end)
    fails("oops", g.throw, g, "oops")
    assert.is_true(g.dead)
    fails("again", g.throw, g, "again")
    assert.are.same({ false }, { pcall(g.throw, g, nil) })
  end))

  it("raises in the main one", run(function()
    local main = current()
    local g = greenlet(function() main:throw "oops" end)
    fails("oops", g.switch, g)
    assert.is_false(g.dead)
    g:close()
  end))
end)

describe("the end of a greenlet that is suspended", function()
  it("by close runs its <close> variables, which may wait", run(function()
    local closed
    local g = suspended(function()
      tide.sleep(1)
      closed = tide.time()
    end)
    local began = tide.time()
    assert.are.equal(0, select("#", g:close()))
    assert.are.equal(began + 1, closed)
    assert.is_true(g.dead)
    g:close()
  end))

  it("by the end of its block", run(function()
    local log = helper.log()
    do
      local g <close> = greenlet(function()
        local _ <close> = helper.closer(function() log "closed" end)
        up()
      end)
      g:switch()
    end
    assert.are.same({ "closed" }, { table.unpack(log) })
    do
      local never <close> = greenlet(print)
      assert.is_false(never.dead)
    end
  end))

  it("cannot be held by pcall", run(function()
    local g = greenlet(function()
      pcall(up)
      xpcall(up, print)
      tide.try(up)
    end)
    g:switch()
    g:close()
    assert.is_true(g.dead)
  end))

  it("raises what its cleanup fails with", run(function()
    local g = suspended(failing "cleanup")
    fails("cleanup", g.close, g)
    assert.is_true(g.dead)
  end))

  it("may be asked for in any other, and comes back there", run(function()
    local log = helper.log()
    local g = suspended(function() log "closed" end)
    local other = greenlet(function()
      g:close()
      log "behind"
    end)
    other:switch()
    assert.are.same({ "closed", "behind" }, { table.unpack(log) })
    local child
    local parent = greenlet(function()
      child = greenlet(function()
        current().parent:close()
        return "child"
      end)
      up()
    end)
    parent:switch()
    assert.are.equal("child", child:switch())
    assert.is_true(parent.dead)
  end))

  it("is told of one that goes on", run(function()
    local stubborn = greenlet(function()
      tide.raw.pcall(up)
      up "still here"
    end)
    stubborn:switch()
    raises("invalid_state", stubborn.close, stubborn)
    assert.is_true(stubborn.dead)
    local wanders
    local main = current()
    wanders = suspended(function() main:switch() end)
    raises("invalid_state", wanders.close, wanders)
    assert.is_true(wanders.dead)
  end))

  it("may switch to others in its cleanup", run(function()
    local log = helper.log()
    local other = begun(function() log "other" end)
    local g
    g = suspended(function()
      other.parent = g
      other:switch()
      log "back"
    end)
    g:close()
    assert.are.same({ "other", "back" }, { table.unpack(log) })
  end))

  it("is not for one that runs", run(function()
    raises("invalid_state", current().close, current())
    local g = greenlet(function() raises("invalid_state", current().close, current()) end)
    g:switch()
    assert.is_true(g.dead)
  end))

  it("by the collector runs them too, and they cannot wait", run(function()
    local log, failures = helper.log(), helper.collect_failures()
    suspended(function() log "closed" end)
    collect()
    assert.are.same({ "closed" }, { table.unpack(log) })
    suspended(function() tide.sleep(1) end)
    collect()
    assert.matches("cannot_wait", tostring(failures[1].err))
    assert.are.equal("the cleanup of a greenlet that was dropped", failures[1].what)
    assert.are.equal(1, #failures)
  end))

  it("by the collector, of one that refers to itself and others", run(function()
    local closed = 0
    for _ = 1, 10 do
      local a, b
      local function body(other)
        return function()
          local _ <close> = helper.closer(function() closed = closed + 1 end)
          return up(a, b, other)
        end
      end
      a = greenlet(body "b")
      b = greenlet(body(a))
      a:switch()
      b:switch()
    end
    collect()
    assert.are.equal(20, closed)
  end))

  for how, finish in pairs {
    returns = function() end,
    fails = failing "oops",
    ["is cancelled"] = function()
      tide.current_task():cancel()
      tide.sleep(1)
    end,
  } do
    it("comes when its task " .. how .. ", the last begun first, and may wait", run(function()
      local log, kept = helper.log(), {}
      helper.collect_failures()
      local task = tide.spawn(function()
        for i = 1, 3 do
          kept[i] = suspended(function()
            pcall(tide.shield, tide.sleep, 1)
            log(i)
          end)
        end
        kept[4] = greenlet(print)
        finish()
      end)
      tide.wait { task }
      assert.are.same({ 3, 2, 1 }, { table.unpack(log) })
      for i = 1, 4 do
        assert.is_true(kept[i].dead)
        raises("misuse", kept[i].switch, kept[i])
      end
      kept[1]:close()
    end))
  end

  it("comes when its task is killed, while it is in one of them", run(function()
    local log, kept, failures = helper.log(), {}, helper.collect_failures()
    local task = tide.spawn(function()
      local _ <close> = helper.closer(function() log "main" end)
      for i = 1, 3 do kept[i] = suspended(function() log(i) end) end
      kept[4] = greenlet(function()
        local _ <close> = helper.closer(function() log(4) end)
        coroutine.wrap(function()
          local _ <close> = helper.closer(function() log "inside" end)
          tide.sleep(5)
        end)()
      end)
      kept[4]:switch()
    end)
    turns(2)
    task:kill()
    assert.are.same({ "inside", 4, "main", 3, 2, 1 }, { table.unpack(log) })
    for i = 1, 4 do assert.is_true(kept[i].dead) end
    assert.are.same({}, failures)
  end))

  it("cannot switch in the cleanup of a kill", run(function()
    local failures, kept = helper.collect_failures(), {}
    local task = tide.spawn(function()
      kept[1] = begun(print)
      kept[2] = suspended(function() kept[1]:switch() end)
      tide.sleep(5)
    end)
    turns(2)
    task:kill()
    assert.matches("cannot_wait.*the cleanup of a killed task", tostring(failures[1].err))
    assert.are.equal(1, #failures)
  end))

  it("reports what the cleanup at the task's end fails with", run(function()
    local failures = helper.collect_failures()
    local kept
    tide.spawn(function() kept = suspended(failing "cleanup") end):await()
    assert.is_true(kept.dead)
    assert.are.equal("cleanup", failures[1].err)
    assert.are.equal("the cleanup of a greenlet", failures[1].what)
    assert.are.equal(1, #failures)
  end))

  it("does not report that the cleanup was cancelled with the task", run(function()
    local failures = helper.collect_failures()
    local kept
    local task = tide.spawn(function()
      kept = suspended(function() tide.sleep(1) end)
      tide.sleep(5)
    end)
    turns(2)
    task:cancel()
    raises("cancelled", task.await, task)
    assert.is_true(kept.dead)
    assert.are.same({}, failures)
  end))

  it("comes for ten thousand at once", run(function()
    local closed, kept = 0, {}
    tide.spawn(function()
      for i = 1, 10000 do kept[i] = suspended(function() closed = closed + 1 end) end
      tide.sleep(0)
    end):await()
    assert.are.equal(10000, closed)
    assert.is_true(kept[1].dead)
  end))
end)

describe("greenlets and tasks", function()
  it("one belongs to the task that made it", run(function()
    local g, other = begun(print), greenlet(print)
    tide.spawn(function()
      for _, method in ipairs { "switch", "throw", "close" } do
        assert.matches("belongs to the task that made it", raises("misuse", g[method], g, "x").message)
      end
      raises("misuse", other.switch, other)
      raises("misuse", function() greenlet(print).parent = g end)
      assert.is_false(g.dead)
    end):await()
    g:close()
  end))

  it("a cancelled one ends with the error, and so do those behind it", run(function()
    local log = helper.log()
    local inner
    local task = tide.spawn(function()
      local outer = greenlet(function()
        local _ <close> = helper.closer(function() log "outer" end)
        inner = greenlet(function()
          local _ <close> = helper.closer(function() log "inner" end)
          tide.sleep(5)
        end)
        pcall(inner.switch, inner)
        log "held"
      end)
      pcall(outer.switch, outer)
      log "held"
    end)
    turns(2)
    task:cancel "reason"
    assert.are.equal("reason", raises("cancelled", task.await, task).reason)
    assert.is_true(task:cancelled())
    assert.are.same({ "inner", "outer" }, { table.unpack(log) })
  end))

  it("spawned tasks run on whichever is switched to", run(function()
    local task
    local g = greenlet(function()
      task = tide.spawn(function() return "done" end)
      up()
      return task:await()
    end)
    g:switch()
    assert.are.equal("done", task:await())
    assert.are.equal("done", g:switch())
  end))

  it("a lock belongs to the task, whichever has it", run(function()
    local lock = tide.Lock()
    local g = begun(function() lock:release() end)
    lock:acquire()
    g:switch()
    assert.is_false(lock:locked())
  end))

  it("work outside of tasks, where they cannot wait", function()
    local results, kept
    local function outside()
      local a = greenlet(function(x)
        local ok, err = pcall(tide.sleep, 1)
        local y = current().parent:switch(ok, err.kind)
        return x + y
      end)
      results = { a:switch(1) }
      results[3] = a:switch(2)
      results[4] = a.dead and not current().dead
      kept = greenlet(function() return "outside" end)
    end
    if helper.inside then
      local done = tide.Future()
      tide.call_soon(function()
        outside()
        done:set_result()
      end)
      done:await()
    else
      outside()
    end
    assert.are.same({ false, "no_task", 3, true }, results)
    helper.run_now(function() raises("misuse", kept.switch, kept) end)
  end)
end)

describe("scopes in greenlets", function()
  it("belong to the greenlet that opened them", run(function()
    local log = helper.log()
    local g = greenlet(function()
      local ok = tide.move_on_after(1, function()
        up()
        log "waits in time"
        tide.sleep(5)
      end)
      return ok
    end)
    g:switch()
    tide.sleep(2)
    log(tide.time_left())
    assert.is_false(g:switch())
    assert.are.same({ "waits in time" }, { table.unpack(log) })
  end))

  it("are around what is switched to from inside", run(function()
    local g = begun(function() tide.sleep(5) end)
    local began = tide.time()
    raises("timeout", tide.timeout, 1, g.switch, g)
    assert.are.equal(1, tide.time() - began)
    assert.is_true(g.dead)
  end))

  it("are around it only while it runs from there", run(function()
    local g = greenlet(function()
      for _ = 1, 3 do
        up(tide.time_left())
        tide.sleep(1)
      end
    end)
    assert.are.equal(5.0, tide.timeout(5, g.switch, g))
    assert.is_nil(g:switch())
    assert.are.equal(3.0, tide.timeout(4, g.switch, g))
    g:close()
  end))

  it("pass from one greenlet to another with the main one's", run(function()
    local a, b
    a = greenlet(function()
      local _ <close> = tide.timeout(10)
      b:switch()
      return tide.time_left()
    end)
    b = greenlet(function()
      local left = tide.time_left()
      local _ <close> = tide.timeout(1)
      a:switch()
      return left
    end)
    assert.are.equal(5.0, tide.timeout(5, a.switch, a))
    assert.is_nil(tide.time_left())
    assert.are.equal(5.0, b:switch())
  end))

  it("a TaskGroup awaits its children in its greenlet", run(function()
    local log = helper.log()
    local g = greenlet(function()
      local group <close> = tide.TaskGroup()
      group:spawn(function()
        tide.sleep(1)
        log "child"
      end)
      up()
    end)
    g:switch()
    log "main"
    g:switch()
    assert.are.same({ "main", "child" }, { table.unpack(log) })
  end))

  it("a child's failure reaches the greenlet that has the group, and no other", run(function()
    local g = greenlet(function()
      tide.TaskGroup(function(group)
        group:spawn(failing "oops")
        up()
        tide.sleep(5)
      end)
    end)
    g:switch()
    tide.sleep(1)
    local err = raises("group", g.switch, g)
    assert.are.equal("oops", err.errors[1])
  end))

  it("are left when their greenlet is closed, dropped, or its task ends or is killed", run(function()
    local child, kept
    local function with_child()
      local g = greenlet(function()
        local _ <close> = tide.timeout(100)
        local group <close> = tide.TaskGroup()
        child = group:spawn(tide.sleep, 50)
        up()
      end)
      g:switch()
      return g
    end
    with_child():close()
    assert.is_true(child:cancelled())
    local failures = helper.collect_failures()
    with_child()
    collect()
    tide.sleep(0)
    assert.is_true(child:cancelled())
    assert.matches("cannot_wait", tostring(failures[1].err))
    local task = tide.spawn(function()
      kept = with_child()
      tide.sleep(5)
    end)
    turns(2)
    task:kill()
    turns(2)
    assert.is_true(child:cancelled())
    assert.is_true(kept.dead)
    tide.spawn(function() kept = with_child() end):await()
    assert.is_true(child:cancelled() and kept.dead)
    assert.is_true(tide.stats().timers == 0)
  end))

  it("without <close> are a misuse that names the line, and end with the greenlet", run(function()
    local g = greenlet(function()
      tide.timeout(1)
      tide.sleep(5)
    end)
    assert.matches("opened at .*greenlet_spec.lua:%d+", raises("misuse", g.switch, g).message)
    g = greenlet(function() tide.timeout(1) end)
    g:switch()
    tide.sleep(2)
  end))

  it("can be closed by no other greenlet", run(function()
    local scope = tide.timeout(5)
    local g = greenlet(function()
      assert.matches("only the greenlet that opened the scope", raises("invalid_state", scope.close, scope).message)
      local inner <close> = tide.timeout(7)
      local group <close> = tide.TaskGroup()
      up(inner, group)
      return tide.time_left()
    end)
    local inner, group = g:switch()
    assert.are.equal(5.0, tide.time_left())
    raises("invalid_state", inner.close, inner)
    assert.is_nil(group:wait())
    scope:close()
    assert.is_nil(tide.time_left())
    assert.are.equal(7.0, g:switch())
  end))

  it("that are garbage may go while another greenlet runs", run(function()
    local g = greenlet(function()
      tide.timeout(7)
      up()
      return tide.time_left()
    end)
    g:switch()
    collect()
    assert.is_nil(g:switch())
    tide.timeout(7)
    g = greenlet(function()
      collect()
      up(tide.time_left())
      tide.sleep(8)
    end)
    assert.is_nil(g:switch())
    g:switch()
  end))

  it("of a greenlet that is dropped in the midst of another task are left", run(function()
    local task = tide.spawn(function()
      local g = greenlet(function()
        local _ <close> = tide.timeout(50)
        local scope <close> = tide.timeout(60)
        up(scope)
      end)
      g:switch()
      g = nil -- luacheck: ignore 311
      tide.sleep(5)
    end)
    turns(2)
    collect()
    assert.are.equal(1, tide.stats().timers)
    task:cancel()
  end))

  it("show in tide.tree, and where it is suspended", run(function()
    local g = greenlet(function()
      local _ <close> = tide.timeout(50)
      up()
    end)
    g:switch()
    local text = tostring(tide.tree())
    assert.matches("greenlet, suspended, at [^\n]*greenlet_spec.lua:%d+\n[^\n]*timeout: 50", text)
    g:close()
    assert.not_matches("greenlet, susp", tostring(tide.tree()))
  end))
end)

describe("a Local in a greenlet", function()
  it("is its own, inherited from who switched to it first", run(function()
    local value = tide.Local(0)
    value:set(1)
    local a, b
    a = greenlet(function()
      local inherited = value:get()
      value:set(2)
      b:switch()
      return inherited, value:get()
    end)
    b = greenlet(function()
      local inherited = value:get()
      value:set(3)
      a:switch()
      return inherited, value:get()
    end)
    assert.are.same({ 1, 2 }, { a:switch() })
    assert.are.equal(1, value:get())
    assert.are.same({ 2, 3 }, { b:switch() })
  end))
end)

describe("greenlets inside coroutines", function()
  it("switch away from inside, and come back there", run(function()
    local main = current()
    local g = greenlet(function()
      local words = coroutine.wrap(function()
        coroutine.yield(main:switch "first")
        coroutine.yield(main:switch "second")
      end)
      return words(), words()
    end)
    assert.are.equal("first", g:switch())
    assert.are.equal("second", g:switch "a")
    assert.are.same({ "a", "b" }, { g:switch "b" })
  end))

  for _, depth in ipairs { 2, 10, 100, 150 } do
    it(("switch and wait %d coroutines deep"):format(depth), run(function()
      local function deep(n, f, ...)
        if n == 0 then return f(...) end
        return coroutine.wrap(deep)(n - 1, f, ...)
      end
      local g = greenlet(function() return deep(depth, function()
        tide.sleep(1)
        local got = up "up"
        tide.sleep(1)
        return got
      end) end)
      if depth < 150 then
        assert.are.equal("up", deep(10, g.switch, g))
      else
        assert.are.equal("up", g:switch())
      end
      assert.are.equal("down", g:switch "down")
    end))
  end

  it("are in the same greenlet as what resumed the coroutine", run(function()
    local g = greenlet(print)
    local hub = coroutine.wrap(function()
      assert.are.equal(g.parent, current())
      for i = 1, 3 do coroutine.yield(greenlet(function() return i end):switch()) end
    end)
    assert.are.same({ 1, 2, 3 }, { hub(), hub(), hub() })
  end))

  it("work in generators, the body of which is used by one at a time", run(function()
    local numbers
    local g = greenlet(function()
      raises("misuse", numbers)
      return 10
    end)
    numbers = tide.generator(function(yield)
      yield(1)
      yield(g:switch())
    end)
    assert.are.same({ 1, 10 }, { numbers(), numbers() })
    local main = current()
    g = greenlet(function()
      local sum = 0
      for x in tide.generator(function(yield)
        for i = 1, 3 do yield(main:switch(i)) end
      end):each() do sum = sum + x end
      return sum
    end)
    local sent = g:switch()
    while not g.dead do sent = g:switch(sent * 2) end
    assert.are.equal(12, sent)
  end))

  it("that are closed close what they are inside of", run(function()
    local log = helper.log()
    local g = greenlet(function()
      local _ <close> = helper.closer(function() log "outer" end)
      for _ in tide.generator(function(yield)
        local _ <close> = helper.closer(function()
          tide.sleep(1)
          log "inner"
        end)
        yield(1)
        coroutine.wrap(function()
          local _ <close> = helper.closer(function() log "innermost" end)
          up()
        end)()
        yield(2)
      end):each() do log "step" end
    end)
    g:switch()
    g:close()
    assert.are.same({ "step", "innermost", "inner", "outer" }, { table.unpack(log) })
  end))

  it("cannot be resumed or closed as coroutines", run(function()
    local co
    local g = greenlet(function()
      co = coroutine.running()
      assert.is_false(coroutine.isyieldable())
      fails("attempt to yield from a greenlet", coroutine.yield, 1)
      up()
      return "over"
    end)
    g:switch()
    assert.are.equal("normal", coroutine.status(co))
    assert.matches("cannot resume", select(2, coroutine.resume(co)))
    fails("cannot close", coroutine.close, co)
    assert.are.equal("over", g:switch())
    assert.are.equal("dead", coroutine.status(co))
  end))

  it("told of foreign resumes", run(function()
    local main = current()
    local g = greenlet(function()
      local _, ok, err = tide.raw.coroutine.resume(coroutine.create(function()
        return tide.raw.pcall(main.switch, main)
      end))
      return ok, err.kind, err.message
    end)
    local ok, kind, message = g:switch()
    assert.are.same({ false, "cannot_wait" }, { ok, kind })
    assert.matches("a resume that is not tide's", message)
    local failed = greenlet(function() tide.raw.coroutine.yield(1) end)
    fails("a yield that is not one of tide's", failed.switch, failed)
    assert.is_true(failed.dead)
  end))

  it("survive what original functions do to their coroutines", run(function()
    local co
    local closed = false
    local g = greenlet(function()
      co = coroutine.running()
      local _ <close> = helper.closer(function() closed = true end)
      up()
    end)
    g:switch()
    tide.raw.coroutine.close(co)
    assert.is_true(closed)
    assert.are.equal("value", g:switch "value")
    assert.is_true(g.dead)
    g = greenlet(function()
      co = coroutine.running()
      up()
      return "over"
    end)
    g:switch()
    local ok, err = tide.raw.coroutine.resume(co)
    assert.is_false(ok)
    assert.are.equal("cannot_wait", err.kind)
    g:switch()
    assert.is_true(g.dead)
  end))
end)

describe("greenlets where Lua cannot suspend", function()
  it("say what is in the way", run(function()
    local main = current()
    local g = greenlet(function()
      local ok, err = pcall(table.sort, { 2, 1 }, function() main:switch() end)
      return ok, err.kind, err.message
    end)
    local ok, kind, message = g:switch()
    assert.are.same({ false, "cannot_wait" }, { ok, kind })
    assert.matches("table.sort", message)
    g = greenlet(function()
      local refusal
      setmetatable({}, { __gc = function() refusal = select(2, tide.raw.pcall(main.switch, main)) end })
      collect()
      return refusal.message
    end)
    assert.matches("finalizer", g:switch())
  end))

  it("run there all the same, when the main one is suspended for them", run(function()
    local g = greenlet(function()
      while true do up(true) end
    end)
    local list = { 3, 1, 2 }
    table.sort(list, function(a, b) return g:switch() and a < b end)
    assert.are.same({ 1, 2, 3 }, list)
    local sleeper = greenlet(function() tide.sleep(1) end)
    local refusal
    table.sort({ 2, 1 }, function()
      refusal = refusal or select(2, pcall(sleeper.switch, sleeper))
      return false
    end)
    assert.are.equal("cannot_wait", refusal.kind)
    local got
    setmetatable({}, { __gc = function() got = g:switch() end })
    collect()
    assert.is_true(got)
  end))

  it("cannot be switched to while a coroutine is closed", run(function()
    local g = begun(print)
    local refusal
    local co = coroutine.create(function()
      local _ <close> = helper.closer(function() refusal = select(2, tide.raw.pcall(g.switch, g)) end)
      coroutine.yield()
    end)
    coroutine.resume(co)
    coroutine.close(co)
    assert.are.equal("cannot_wait", refusal.kind)
    g:switch()
  end))
end)

describe("the traceback of an error out of a greenlet", function()
  it("says where it was raised, and through which it went", run(function()
    local function culprit() error "oops" end
    local function switch_in()
      local g = greenlet(function() culprit() return 1 end)
      g:switch()
      return 1
    end
    local task = tide.spawn(function()
      greenlet(function() switch_in() return 1 end):switch()
      return 1
    end)
    pcall(task.await, task)
    local traceback = task:traceback()
    assert.matches("'culprit'.*in a greenlet.*'switch_in'.*in a greenlet", traceback)
  end))

  it("says where a task is that waits in one", run(function()
    local function deep() tide.sleep(5) return 1 end
    local task = tide.spawn(function()
      greenlet(function() deep() return 1 end):switch()
    end)
    turns(2)
    assert.matches("'deep'", task:traceback())
    task:cancel()
  end))
end)
