-- Cost of a task switch: tasks that do nothing but sleep(0). sleep0.lua [tasks] [switches]
local tide = require "tide"

local clock = os.clock
local sleep = tide.sleep

local tasks = tonumber((...)) or 1
local rounds = (tonumber((select(2, ...))) or 5000000) // tasks

local function spin()
  for _ = 1, rounds do sleep(0) end
end

local began = clock()
local running = {}
for i = 1, tasks do running[i] = tide.spawn(spin) end
for i = 1, tasks do running[i]:await() end
print(("ns %.1f"):format((clock() - began) * 1e9 / (rounds * tasks)))
