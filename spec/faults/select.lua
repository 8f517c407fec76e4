-- spec.faults.select: cases of all kinds, those that are ready and those that are waited for.
local tide = require "tide"
local sleep, spawn = tide.sleep, tide.spawn

local scenarios = {}

-- What the global `queues` hold is taken out in the end; then nothing in `items` is to be left.
function scenarios.putting()
  queues = { tide.Queue(1), tide.Queue(1), tide.PriorityQueue(1) } -- luacheck: ignore 111
  items = setmetatable({}, { __mode = "k" }) -- luacheck: ignore 111 112
  local function putting(i, ...)
    local item = {}
    items[item] = true -- luacheck: ignore 112 113
    return queues[i]:putting(item, ...) -- luacheck: ignore 113
  end
  tide.select(putting(1), putting(2), putting(3, 1), putting(2))
end

function scenarios.queues()
  local one, two, sum = tide.Queue(1), tide.Queue(1), 0
  tide.TaskGroup(function(g)
    g:spawn(function()
      for i = 1, 5 do
        tide.select(one:putting(i), two:putting(i))
        sleep(0)
      end
      tide.select(two:putting(6), one:putting(6))
    end)
    for _ = 1, 6 do
      local _, item = tide.select(one, two)
      sum = sum + item
    end
  end)
  assert(sum == 21 and #one + #two == 0)
end

function scenarios.priorities()
  local queue, event = tide.PriorityQueue(2), tide.Event()
  assert(tide.select(event, queue:putting({ "late" }, 2)) == 2)
  assert(tide.select(queue:putting({ "early" }, 1), event) == 1)
  local putter = spawn(tide.select, event, queue:putting({ "first" }, 0))
  sleep(0)
  assert(queue:get()[1] == "early" and putter:await() == 2)
  assert(queue:get()[1] == "first" and queue:get()[1] == "late")
end

function scenarios.locks_and_events()
  local event, lock, semaphore = tide.Event(), tide.Lock(), tide.Semaphore(0)
  lock:acquire()
  local chosen = {}
  tide.TaskGroup(function(g)
    for i = 1, 3 do
      g:spawn(function()
        local index, guard = tide.select(event, lock, semaphore)
        local _ <close> = guard
        chosen[i] = index
      end)
    end
    sleep(0)
    lock:release()
    semaphore:release()
    sleep(0)
    event:set()
  end)
  assert(#chosen == 3 and not lock:locked() and semaphore:value() == 1)
end

function scenarios.results()
  local future, slow = tide.Future(), spawn(sleep, 100)
  spawn(function()
    sleep(0)
    future:set_result("a", { "b" })
  end)
  local index, a, b = tide.select(slow, future, tide.after(5))
  assert(index == 2 and a == "a" and b[1] == "b")
  local failing = spawn(function()
    sleep(0)
    error(tide.error("mine", "as planned"))
  end)
  local ok, err = pcall(tide.select, slow, failing)
  assert(not ok and tide.is(err, "mine") and not slow:done())
end

function scenarios.times()
  local event = tide.Event()
  assert(tide.select(event, tide.after(0.0002), tide.after(0.0001)) == 3)
  assert(tide.select(tide.after(0)) == 1)
  assert(tide.move_on_after(0.0001, tide.select, event, tide.after(100)) == false)
end

function scenarios.closed()
  local queue, event = tide.Queue(1), tide.Event()
  queue:put(1)
  local putter = spawn(tide.select, event, queue:putting(2))
  sleep(0)
  queue:close()
  local ok, err = pcall(putter.await, putter)
  assert(not ok and tide.is(err, "closed"))
  assert(tide.select(queue) == 1)
  assert(not pcall(tide.select, event, queue))
end

function scenarios.killed()
  local queue, event = tide.Queue(), tide.Event()
  local task = spawn(tide.select, event, queue)
  sleep(0)
  queue:put { "kept" }
  task:kill()
  assert(queue:get()[1] == "kept")
end

return scenarios
