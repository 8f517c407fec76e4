-- spec.faults.locals: tide.Local: defaults, inheritance, `with`.
local tide = require "tide"
local sleep, spawn = tide.sleep, tide.spawn

local scenarios = {}

function scenarios.inherited()
  local value, other = tide.Local "default", tide.Local()
  value:set { 1 }
  local children = {}
  for i = 1, 4 do
    children[i] = spawn(function()
      assert(value:get()[1] == 1 and other:get() == nil)
      value:set { i }
      other:set(i)
      sleep(0)
      local grandchild = spawn(function() return value:get()[1] + other:get() end)
      return grandchild:await()
    end)
  end
  for i = 1, 4 do assert(children[i]:await() == 2 * i) end
  assert(value:get()[1] == 1 and other:get() == nil)
  value:set(nil)
  assert(value:get() == "default")
end

function scenarios.for_a_while()
  local value = tide.Local(0)
  local inside = value:with({ 1 }, function(a)
    sleep(0)
    assert(value:get()[1] == 1)
    value:with(2, sleep, 0)
    return value:get()[1] + a
  end, 10)
  assert(inside == 11 and value:get() == 0)
  local ok = pcall(value.with, value, 3, function()
    sleep(0)
    error "as planned"
  end)
  assert(not ok and value:get() == 0)
  assert(tide.move_on_after(0.0001, value.with, value, 4, sleep, 100) == false)
  assert(value:get() == 0)
end

function scenarios.in_groups()
  local value, sum = tide.Local(0), 0
  tide.TaskGroup(function(g)
    for i = 1, 3 do
      value:with(i, function()
        g:spawn(function()
          sleep(0)
          sum = sum + value:get()
        end)
      end)
    end
  end)
  assert(sum == 6 and value:get() == 0)
end

function scenarios.many()
  local locals = {}
  for i = 1, 20 do
    locals[i] = tide.Local(i)
    locals[i]:set(-i)
  end
  spawn(function()
    for i = 1, 20 do
      assert(locals[i]:get() == -i)
      locals[i]:set(nil)
    end
  end):await()
  for i = 1, 20 do assert(locals[i]:get() == -i) end
end

return scenarios
