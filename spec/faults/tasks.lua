-- spec.faults.tasks: spawn, await, sleep, callbacks, names, reasons; coroutines in tasks.
local tide = require "tide"
local sleep, spawn = tide.sleep, tide.spawn

local scenarios = {}

function scenarios.spawn_and_await()
  local tasks = {}
  for i = 1, 20 do -- more than there are slots in the beginning
    tasks[i] = spawn(function(a, b)
      sleep(0)
      return a, b, i
    end, i, "x")
  end
  for i = 1, 20 do assert(select(3, tasks[i]:await()) == i) end
  assert(spawn(function() end):await() == nil)
end

function scenarios.deep_sleep()
  local tasks = {}
  for i = 1, 5 do tasks[i] = spawn(sleep, 0.0001 * (6 - i)) end
  for _, task in ipairs(tasks) do task:await() end
end

function scenarios.failures_and_reasons()
  local failing = spawn(function() error("as planned") end)
  local ok, err = pcall(failing.await, failing)
  assert(not ok and tostring(err):find "as planned")
  local waiting = spawn(function()
    local _ <close> = setmetatable({}, { __close = function() tide.shield(sleep, 0) end })
    sleep(100)
  end):set_name("waits")
  sleep(0)
  waiting:cancel("enough")
  ok, err = pcall(waiting.await, waiting)
  assert(not ok and tide.is(err, "cancelled") and err.reason == "enough")
  assert(tostring(waiting):find "waits")
  spawn(function() error(setmetatable({}, { __tostring = function() return "told" end })) end)
  sleep(0)
  sleep(0)
end

function scenarios.killed()
  local begun, closed = false, false
  local task = spawn(function()
    local _ <close> = setmetatable({}, { __close = function() closed = true end })
    begun = true
    coroutine.wrap(function() sleep(100) end)()
  end)
  while not begun and not task:done() do sleep(0) end
  task:kill()
  assert(closed and task:cancelled())
end

function scenarios.killed_with_a_cleanup_that_fails()
  local begun, failed = false, false
  local function fail()
    failed = true
    error("cleanup", 0)
  end
  local task = spawn(function()
    local _ <close> = setmetatable({}, { __close = fail })
    begun = true
    sleep(100)
  end)
  while not begun and not task:done() do sleep(0) end
  task:kill()
  assert(failed and task:cancelled())
  local iter = tide.generator(function(yield)
    local _ <close> = setmetatable({}, { __close = fail })
    yield(1)
  end)
  assert(iter() == 1)
  iter = nil -- luacheck: ignore 311
  collectgarbage()
end

function scenarios.many_at_a_time()
  local function work(n) sleep(0) return n end
  local results = tide.map({ 1, 2, 3, 4, 5 }, work, { limit = 2 })
  assert(results.n == 5 and results[5] == 5)
  results = tide.gather { function() return work(1) end, spawn(work, 2), function() return work(3) end, limit = 1 }
  assert(results.n == 3 and results[3] == 3)
end

-- When the time of the innermost timeout is over, if there is one.
local function deadline()
  local left = tide.time_left()
  return left and tide.time() + left
end

function scenarios.tried_again()
  local calls, closed, before = 0, 0, deadline()
  do
    local _ <close> = tide.defer(function() closed = closed + 1 end)
    assert(tide.retry(function()
      calls = calls + 1
      if calls < 2 then error("as planned") end
      return "done"
    end, { times = 9 }) == "done")
  end
  assert(closed == 1)
  assert(deadline() == before or math.abs(deadline() - before) < 0.001) -- no other timeout is left open
  assert(tide.first_success { error, function() sleep(0) return 1 end, function() sleep(1) end } == 2)
end

-- Whatever becomes of the race, none of its tasks is left behind.
function scenarios.raced()
  local before = #tide.all_tasks()
  for _, race in ipairs { tide.race, tide.first_success } do
    local ok, err = pcall(race, {
      function() sleep(1000) end,
      function() sleep(0) return 1 end,
      function() sleep(1000) end,
    })
    while #tide.all_tasks() > before do sleep(0.1) end
    if not ok then error(err, 0) end
  end
end

function scenarios.callbacks()
  local log = {}
  local future = tide.Future()
  local _ <close> = setmetatable({}, { __close = function() future:cancel() end }) -- callbacks keep it
  future:add_done_callback(function(f) log[#log + 1] = f:result() end)
  tide.call_soon(function(a) log[#log + 1] = a end, "soon")
  tide.call_later(0.0001, function() log[#log + 1] = "later" end)
  tide.call_later(100, function() log[#log + 1] = "never" end):cancel()
  tide.call_soon(error, "reported")
  local function dropped() end
  future:add_done_callback(dropped)
  assert(future:remove_done_callback(dropped) == 1)
  future:set_result("done", 2)
  local task = spawn(sleep, 0)
  task:add_done_callback(function() log[#log + 1] = "task" end)
  task:await()
  sleep(0.001)
  assert(#log == 4)
end

function scenarios.futures()
  local one, two = tide.Future(), tide.Future()
  tide.TaskGroup(function(g)
    g:spawn(function()
      sleep(0)
      one:set_result(1, 2, 3)
      two:set_error(tide.error("mine", "of my own", { n = 1 }))
    end)
    assert(select("#", one:await()) == 3)
    local ok, err = pcall(two.await, two)
    assert(not ok and err.kind == "mine" and err.n == 1)
  end)
  assert(tide.await(setmetatable({}, { __await = function() return tide.shield(one) end })) == 1)
end

function scenarios.coroutines()
  local function numbers(n)
    return coroutine.wrap(function()
      for i = 1, n do
        sleep(0)
        coroutine.yield(i)
      end
    end)
  end
  local sum = 0
  for i in numbers(4) do sum = sum + i end
  assert(sum == 10)
  local co = coroutine.create(function()
    local inner = coroutine.wrap(function()
      sleep(0)
      error "inside"
    end)
    inner()
  end)
  local ok, err = coroutine.resume(co)
  assert(not ok and err:find "inside")
  coroutine.close(co)
end

function scenarios.protected_calls()
  local ok, err = pcall(function()
    sleep(0)
    error({})
  end)
  assert(not ok and type(err) == "table")
  ok, err = xpcall(function()
    sleep(0)
    error("x", 0)
  end, function(m) return m .. "y" end)
  assert(not ok and err == "xy")
  local value
  value, err = tide.try(function()
    sleep(0)
    return nil
  end)
  assert(value == nil and err == nil)
  value, err = tide.try(error, "tried", 0)
  assert(value == nil and err == "tried")
end

return scenarios
