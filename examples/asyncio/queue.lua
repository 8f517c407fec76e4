-- A queue of three places holds back a producer that is faster than its consumer.
local tide = require "tide"

local Queue, sleep, spawn = tide.Queue, tide.sleep, tide.spawn

local function produce(queue, count)
  for i = 1, count do
    if queue:full() then print("queue full, waiting to put " .. i) end
    queue:put(i)
    print(("put %d size %d"):format(i, #queue))
  end
  print "produced all"
end

local function consume(queue)
  while true do
    print("got " .. queue:get())
    sleep(0.02)
    queue:task_done()
  end
end

local queue = Queue(3)
local consumer = spawn(consume, queue)
produce(queue, 8)
queue:join()
print "all work done"
consumer:cancel()
local _, err = tide.try(consumer.await, consumer)
if tide.is(err, "cancelled") then print "consumer cancelled" end
_, err = tide.try(queue.get_nowait, queue)
if tide.is(err, "queue_empty") then print "queue empty" end
