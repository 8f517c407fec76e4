-- How long a sleep of 100 us takes, by the real clock: the median. nap.lua [sleeps]
local tide = require "tide"

local sleep, time = tide.sleep, tide.time

local took = {}
for i = 1, tonumber((...)) or 1000 do
  local began = time()
  sleep(0.0001)
  took[i] = time() - began
end
table.sort(took)
print(("ns %.1f"):format(took[(#took + 1) // 2] * 1e9))
