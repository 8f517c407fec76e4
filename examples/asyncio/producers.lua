-- Twenty producers on a Queue of three: who finds it full waits. (Here first come is first served; in asyncio a newcomer may be
-- quicker than who was woken, so that the two agree on all but the order among the producers.)
local tide = require "tide"

local Queue, TaskGroup, sleep = tide.Queue, tide.TaskGroup, tide.sleep

local PRODUCERS, ITEMS = 20, 5

local queue = Queue(3)
local most, waits = 0, 0
local taken = {}

local function produce(id)
  for i = 1, ITEMS do
    if queue:full() then waits = waits + 1 end
    queue:put { id = id, number = i }
    most = math.max(most, #queue)
    sleep(id % 3 * 0.001)
  end
end

local function consume()
  for item in queue:iter() do
    taken[#taken + 1] = item
    sleep(0.002)
  end
end

TaskGroup(function(group)
  group:spawn(consume)
  TaskGroup(function(producers)
    for id = 1, PRODUCERS do producers:spawn(produce, id) end
  end)
  queue:close() -- what is in it is still taken
end)

-- Nothing is lost, nothing comes twice, and each producer's items come in order.
local last = {}
for _, item in ipairs(taken) do
  assert((last[item.id] or 0) + 1 == item.number)
  last[item.id] = item.number
end
for id = 1, PRODUCERS do print(("producer %d: %d items"):format(id, last[id])) end
print(("%d items, never more than %d in the queue, some waited: %s"):format(#taken, most, waits > 0))
