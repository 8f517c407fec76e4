-- Cost of a sleep: many tasks, each in short sleeps of random length. timers.lua [tasks] [sleeps]
local tide = require "tide"

local clock, random = os.clock, math.random
local sleep, spawn = tide.sleep, tide.spawn

local tasks = tonumber((...)) or 10000
local sleeps = tonumber((select(2, ...))) or 100

math.randomseed(42)

local function doze()
  for _ = 1, sleeps do sleep(random() * 0.01) end
end

local began = clock()
local running = {}
for i = 1, tasks do running[i] = spawn(doze) end
for i = 1, tasks do running[i]:await() end
print(("ns %.1f"):format((clock() - began) * 1e9 / (tasks * sleeps)))
