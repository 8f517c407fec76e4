-- Cost of a sleep: many tasks, each in sleeps of random length, of `least` seconds or up to 10 ms more. With `least` all
-- must be asleep at once. timers.lua [tasks] [sleeps] [least]
local tide = require "tide"

local clock, random = os.clock, math.random
local sleep, spawn = tide.sleep, tide.spawn

local tasks = tonumber((...)) or 10000
local sleeps = tonumber((select(2, ...))) or 100
local least = tonumber((select(3, ...))) or 0

math.randomseed(42)

local function doze()
  for _ = 1, sleeps do sleep(least + random() * 0.01) end
end

local began = clock()
local running = {}
for i = 1, tasks do running[i] = spawn(doze) end
if least > 0 then
  sleep(0)
  sleep(0)
  assert(tide.stats().timers == tasks, "not all are asleep at once")
end
for i = 1, tasks do running[i]:await() end
print(("ns %.1f"):format((clock() - began) * 1e9 / (tasks * sleeps)))
