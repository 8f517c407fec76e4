-- spec.faults.testing: runs inside a run, their clocks, seeds and ends.
local tide = require "tide"
local testing = require "tide.testing"
local sleep, spawn = tide.sleep, tide.spawn

local scenarios = {}

function scenarios.inside()
  local before = spawn(sleep, 0.0001)
  local began, ended, left = tide.time()
  local a, b = testing.run(function()
    left = spawn(function()
      local _ <close> = setmetatable({}, { __close = function()
        tide.shield(sleep, 0.0003)
        ended = true
      end })
      sleep(1000)
    end)
    tide.call_later(5, error, "never")
    sleep(0.0002)
    return "results", {}
  end)
  assert(a == "results" and b and ended and left:cancelled() and tide.time() - began > 0.0004)
  before:await()
end

function scenarios.seeds()
  local sum = 0
  testing.run(function()
    tide.TaskGroup(function(g)
      for i = 1, 4 do
        g:spawn(function()
          sleep(0)
          sum = sum + i
        end)
      end
    end)
  end, { seeds = 3 })
  assert(sum == 30)
  local ok, err = pcall(testing.run, function() error(tide.error("mine", "as planned")) end, { seed = 7, seeds = 2 })
  assert(not ok and err.message == "as planned (seed 7)")
end

function scenarios.nested()
  local inner = testing.run(function()
    return testing.run(function()
      sleep(0)
      return "real"
    end, { clock = "real", seed = 3 })
  end, { seed = 4 })
  assert(inner == "real")
  local ok, err = testing.run(function()
    return spawn(function() return pcall(testing.run, sleep) end):await()
  end)
  assert(not ok and tide.is(err, "already_running"))
end

-- A run in a task of its own, which is ended by the task's method.
local function ended_by(method)
  local begun, closed
  local task = spawn(testing.run, function()
    local _ <close> = setmetatable({}, { __close = function() closed = true end })
    begun = true
    spawn(sleep, 1000)
    tide.Event():wait()
  end)
  while not begun and not task:done() do sleep(0) end
  task[method](task)
  local _, err = pcall(task.await, task)
  if tide.is(err, "already_running") then return end -- the scenario itself is inside one
  while begun and not closed do sleep(0) end
  assert(task:cancelled())
  assert(testing.run(function() return 1 end) == 1) -- no other one is in the way
end

function scenarios.cancelled() ended_by "cancel" end

function scenarios.killed() ended_by "kill" end

function scenarios.wrapped()
  local wrapped = testing.wrap(function(a, b)
    testing.assert_waits(sleep, 0)
    return testing.assert_does_not_wait(math.max, a, b)
  end, { seed = 2 })
  assert(wrapped(3, 5) == 5)
  assert(not pcall(testing.wrap(testing.assert_waits), math.max, 1))
end

return scenarios
