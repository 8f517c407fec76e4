-- Cost of a contended lock: tasks that take it in turn and hold it across one sleep(0). lock.lua [tasks] [acquires]
local tide = require "tide"

local assert, clock, error = assert, os.clock, error
local sleep = tide.sleep

local tasks = tonumber((...)) or 100
local rounds = (tonumber((select(2, ...))) or 1000000) // tasks

local lock, held, acquired = tide.Lock(), false, 0

local function work()
  for _ = 1, rounds do
    lock:acquire()
    if held then error("two tasks hold the lock") end
    held = true
    sleep(0)
    held = false
    acquired = acquired + 1
    lock:release()
  end
end

local began = clock()
local running = {}
for i = 1, tasks do running[i] = tide.spawn(work) end
for i = 1, tasks do running[i]:await() end
local spent = clock() - began
assert(acquired == rounds * tasks)
print(("ns %.1f"):format(spent * 1e9 / acquired))
