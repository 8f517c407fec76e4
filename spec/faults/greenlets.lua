-- spec.faults.greenlets: switching, in all directions; errors, closing, scopes, Locals; ends of tasks that have some.
local tide = require "tide"
local greenlet, sleep, spawn = tide.greenlet, tide.sleep, tide.spawn

local scenarios = {}

local function up(...) return greenlet.current().parent:switch(...) end

local function closer(f) return setmetatable({}, { __close = f }) end

function scenarios.switching()
  local log = {}
  local a, b
  a = greenlet(function(...)
    assert(select("#", ...) == 2)
    sleep(0)
    log[#log + 1] = b:switch("to b", {})
    sleep(0)
    return "a", { log[1] }
  end)
  b = greenlet(function(word)
    assert(word == "to b")
    sleep(0)
    a:switch "to a"
    return "b"
  end)
  local word, list = a:switch(nil, {})
  assert(word == "a" and list[1] == "to a" and a.dead and not b.dead)
  assert(b:switch() == "b" and b:switch(1) == 1)
end

function scenarios.inside_coroutines()
  local main = greenlet.current()
  local g = greenlet(function()
    local sum = 0
    for x in tide.generator(function(yield)
      for i = 1, 3 do
        sleep(0)
        yield(coroutine.wrap(function() return main:switch(i) end)())
      end
    end):each() do sum = sum + x end
    return sum
  end)
  local got = coroutine.wrap(function() return g:switch() end)()
  while not g.dead do got = g:switch(got * 2) end
  assert(got == 12)
end

function scenarios.errors()
  local inner
  local outer = greenlet(function()
    inner = greenlet(function()
      sleep(0)
      error { "as planned" }
    end)
    local ok, err = pcall(inner.switch, inner)
    assert(not ok and err[1] == "as planned")
    local thrown
    ok, thrown = pcall(up)
    return ok, thrown
  end)
  outer:switch()
  local ok, thrown = outer:throw "thrown"
  assert(ok == false and thrown == "thrown")
  assert(not pcall(outer.throw, outer, "again"))
end

function scenarios.closing()
  local closed = 0
  local function open()
    local g = greenlet(function()
      local _ <close> = closer(function()
        sleep(0)
        closed = closed + 1
      end)
      up {}
    end)
    g:switch()
    return g
  end
  open():close()
  do local _ <close> = open() end
  assert(closed == 2)
  local kept = {}
  spawn(function()
    for i = 1, 3 do kept[i] = open() end
  end):await()
  assert(closed == 5 and kept[1].dead)
  local task = spawn(function()
    greenlet(function()
      kept[4] = open()
      sleep(10)
      kept[5] = open()
    end):switch()
  end)
  sleep(0.0001)
  task:cancel()
  assert(not pcall(task.await, task))
  assert(kept[4].dead and not kept[5])
end

function scenarios.dropped()
  local closed = 0
  for _ = 1, 3 do
    local a, b
    a = greenlet(function()
      local _ <close> = closer(function() closed = closed + 1 end)
      up(a, b)
    end)
    b = greenlet(function() a:switch(b) end)
    b:switch()
  end
  collectgarbage()
  collectgarbage()
  assert(closed == 3)
end

function scenarios.killed()
  local closed = 0
  local task = spawn(function()
    local kept = {}
    for i = 1, 3 do
      kept[i] = greenlet(function()
        local _ <close> = closer(function() closed = closed + 1 end)
        local _ <close> = tide.timeout(60)
        if i == 3 then sleep(10) else up() end
      end)
      kept[i]:switch()
    end
  end)
  sleep(0)
  sleep(0)
  task:kill()
  assert(closed == 3 or task:error())
end

function scenarios.scopes()
  local g = greenlet(function()
    local ok = tide.move_on_after(0.0001, function()
      up()
      sleep(10)
    end)
    assert(not ok)
    return "over"
  end)
  g:switch()
  sleep(0.0002)
  assert(tide.timeout(5, g.switch, g) == "over")
  g = greenlet(function()
    local group <close> = tide.TaskGroup()
    group:spawn(sleep, 0.0001)
    up()
  end)
  g:switch()
  sleep(0)
  g:switch()
  g = greenlet(function() sleep(10) end)
  local ok = pcall(tide.timeout, 0.0001, g.switch, g)
  assert(not ok and g.dead)
end

function scenarios.locals()
  local value = tide.Local(0)
  value:set { 1 }
  local g = greenlet(function()
    assert(value:get()[1] == 1)
    value:set { 2 }
    up()
    return value:get()[1]
  end)
  g:switch()
  assert(value:get()[1] == 1 and g:switch() == 2)
end

function scenarios.parents()
  local a, b = greenlet(function(...) return "a", ... end), greenlet(function() return "b" end)
  b.parent = a
  local first, second = b:switch()
  assert(first == "a" and second == "b" and tostring(a) == "greenlet(dead)")
  assert(not pcall(function() a.parent = b end))
  assert(tostring(tide.tree()))
end

return scenarios
