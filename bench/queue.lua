-- Cost of an item through a queue, one producer and one consumer. queue.lua [capacity] [items]
local tide = require "tide"

local assert, clock = assert, os.clock

local capacity = tonumber((...)) or 1024
local items = tonumber((select(2, ...))) or 5000000

local queue, sum = tide.Queue(capacity), 0

local function produce()
  for i = 1, items do queue:put(i) end
end

local function consume()
  for _ = 1, items do sum = sum + queue:get() end
end

local began = clock()
local producer, consumer = tide.spawn(produce), tide.spawn(consume)
producer:await()
consumer:await()
local spent = clock() - began
assert(sum == items * (items + 1) // 2)
print(("ns %.1f"):format(spent * 1e9 / items))
