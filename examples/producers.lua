-- Producers and consumers: a bounded queue between two who make work and three who do it. Closing
-- the queue ends the consumers when it is drained.
local tide = require "tide"

local Queue, TaskGroup, sleep = tide.Queue, tide.TaskGroup, tide.sleep

local function produce(queue, name, count)
  for i = 1, count do
    sleep(0.01)
    queue:put { producer = name, number = i } -- waits while the queue is full
  end
  print(name .. " made " .. count)
end

local function consume(queue, name, done)
  for item in queue:iter() do -- ends when the queue is closed and drained
    sleep(0.02)
    done[item.producer] = (done[item.producer] or 0) + 1
    done[name] = (done[name] or 0) + 1
  end
  print(name .. " goes home")
end

local queue, done = Queue(4), {}
do
  local consumers <close> = TaskGroup { name = "consumers" }
  for i = 1, 3 do consumers:spawn(consume, queue, "consumer " .. i, done) end
  do
    local producers <close> = TaskGroup { name = "producers" }
    producers:spawn(produce, queue, "quarry", 9)
    producers:spawn(produce, queue, "forest", 12)
  end -- here both producers have ended
  queue:close()
end -- and here the consumers
print(("done: %d stones, %d logs"):format(done.quarry, done.forest))
print(("by: %d + %d + %d"):format(done["consumer 1"], done["consumer 2"], done["consumer 3"]))
