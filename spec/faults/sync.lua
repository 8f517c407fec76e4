-- spec.faults.sync: queues of each kind, locks, semaphores, events, conditions, barriers.
local tide = require "tide"
local sleep = tide.sleep

local scenarios = {}

local function produce_and_consume(queue, put)
  local got = 0
  tide.TaskGroup(function(g)
    for _ = 1, 2 do
      g:spawn(function()
        for item in queue:iter() do
          got = got + item
          queue:task_done()
        end
      end)
    end
    for i = 1, 20 do put(i) end
    queue:join()
    queue:close()
  end)
  assert(got == 210)
end

function scenarios.queue()
  local queue = tide.Queue(2)
  produce_and_consume(queue, function(i) queue:put(i) end)
end

function scenarios.queue_without_bound()
  local queue = tide.Queue()
  produce_and_consume(queue, function(i) queue:put_nowait(i) end)
end

function scenarios.priority_queue()
  local queue = tide.PriorityQueue()
  produce_and_consume(queue, function(i) queue:put(i, -i) end)
end

function scenarios.lifo_queue()
  local queue = tide.LifoQueue(3)
  produce_and_consume(queue, function(i) queue:put(i) end)
end

function scenarios.queue_timeouts()
  local queue = tide.Queue(1)
  assert(tide.move_on_after(0.0001, queue.get, queue) == false)
  queue:put "a"
  assert(tide.move_on_after(0.0001, queue.put, queue, "b") == false)
  assert(not pcall(queue.put_nowait, queue, "c"))
  assert(queue:get() == "a" and #queue == 0)
  queue:put { "dropped" }
  queue:close { immediate = true }
  assert(not pcall(queue.get, queue))
end

function scenarios.lock()
  local lock, inside = tide.Lock(), 0
  tide.TaskGroup(function(g)
    for _ = 1, 3 do
      g:spawn(function()
        local _ <close> = lock:acquire()
        inside = inside + 1
        assert(inside == 1)
        sleep(0)
        inside = inside - 1
      end)
    end
    lock:with(sleep, 0)
  end)
  assert(lock:try_acquire())
  lock:release()
end

function scenarios.rwlock()
  local lock = tide.RWLock()
  tide.TaskGroup(function(g)
    for i = 1, 4 do
      g:spawn(function()
        local _ <close> = i % 2 == 0 and lock:write() or lock:read()
        sleep(0)
      end)
    end
  end)
end

function scenarios.semaphore()
  local semaphore, inside = tide.Semaphore(2), 0
  tide.TaskGroup(function(g)
    for _ = 1, 4 do
      g:spawn(function()
        local _ <close> = semaphore:acquire()
        inside = inside + 1
        assert(inside <= 2)
        sleep(0)
        inside = inside - 1
      end)
    end
  end)
  local bounded = tide.BoundedSemaphore(1)
  assert(not pcall(bounded.release, bounded))
end

function scenarios.event()
  local event = tide.Event()
  local waiters = {}
  for i = 1, 3 do waiters[i] = tide.spawn(event.wait, event) end
  sleep(0)
  event:set()
  for _, task in ipairs(waiters) do task:await() end
end

function scenarios.condition()
  local lock = tide.Lock()
  local condition, ready = tide.Condition(lock), false
  local task = tide.spawn(function()
    local _ <close> = lock:acquire()
    condition:wait_for(function() return ready end)
    return tide.move_on_after(0.0001, condition.wait, condition)
  end)
  sleep(0)
  lock:with(function()
    ready = true
    condition:notify_all()
  end)
  assert(task:await() == false and not lock:locked())
end

function scenarios.barrier()
  local barrier, sum = tide.Barrier(3), 0
  tide.TaskGroup(function(g)
    for _ = 1, 3 do
      g:spawn(function()
        local index = barrier:wait()
        sum = sum + index
      end)
    end
  end)
  assert(sum == 6)
  local task = tide.spawn(barrier.wait, barrier)
  sleep(0)
  barrier:abort()
  assert(not pcall(task.await, task))
end

return scenarios
