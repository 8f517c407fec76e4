-- Memory of a parked task: each in a long sleep, with a closure of its own. parked.lua [tasks]
local tide = require "tide"

local collectgarbage, open = collectgarbage, io.open
local sleep, spawn = tide.sleep, tide.spawn

local tasks = tonumber((...)) or 100000

local function settled_bytes()
  collectgarbage()
  collectgarbage()
  local status <close> = assert(open("/proc/self/status"))
  return status:read("a"):match("VmRSS:%s*(%d+) kB") * 1024
end

local before = settled_bytes()
for _ = 1, tasks do
  spawn(function() sleep(3600) end)
end
sleep(0)
sleep(0)
print(("bytes %.0f"):format((settled_bytes() - before) / tasks))
