-- spec.faults.scopes: timeouts in all forms, scopes, shields, wait_for.
local tide = require "tide"
local sleep = tide.sleep

local scenarios = {}

function scenarios.timeout_in_time()
  assert(tide.timeout(100, function()
    sleep(0)
    return "in time"
  end) == "in time")
  local _ <close> = tide.timeout(100)
  sleep(0)
end

function scenarios.timeout_passed()
  local ok, err = pcall(tide.timeout, 0.0001, sleep, 100)
  assert(not ok and tide.is(err, "timeout"))
  ok, err = pcall(function()
    local _ <close> = tide.timeout(0.0001)
    sleep(100)
  end)
  assert(not ok and tide.is(err, "timeout"))
end

function scenarios.nested()
  local inner
  local ok, err = pcall(tide.timeout, 0.0002, function()
    inner = pcall(tide.timeout, 0.0001, sleep, 100)
    sleep(100)
  end)
  assert(not inner and not ok and tide.is(err, "timeout"))
end

function scenarios.move_on()
  assert(tide.move_on_after(0.0001, sleep, 100) == false)
  local ok, a, b = tide.move_on_after(100, function() return 1, 2 end)
  assert(ok and a == 1 and b == 2)
end

function scenarios.scope()
  local ran = tide.scope(function(scope)
    scope:reschedule(tide.time() + 100)
    tide.call_soon(function() scope:cancel("reason") end)
    sleep(0.1)
  end, { timeout = 50 })
  assert(ran == false)
end

function scenarios.shield()
  local begun, done = false, false
  local task = tide.spawn(function()
    tide.shield(function()
      begun = true
      sleep(0)
      sleep(0)
      done = true
    end)
    sleep(0)
  end)
  while not begun and not task:done() do sleep(0) end
  task:cancel("why")
  pcall(task.await, task)
  assert(done and task:cancelled())
end

function scenarios.wait_for()
  local slow = tide.spawn(sleep, 100)
  local ok, err = pcall(tide.wait_for, slow, 0.0001)
  assert(not ok and tide.is(err, "timeout") and slow:cancelled())
  assert(tide.wait_for(function() return 5 end, 100) == 5)
end

return scenarios
