-- An event wakes everyone who waits for it.
local tide = require "tide"

local Event, sleep, spawn = tide.Event, tide.sleep, tide.spawn

local function runner(name, start)
  print(name .. " is ready")
  start:wait()
  print(name .. " runs")
end

local start = Event()
local runners = { spawn(runner, "ann", start), spawn(runner, "bob", start), spawn(runner, "cid", start) }
sleep(0.02)
print("set: " .. (start:is_set() and "yes" or "no"))
start:set()
print "on your marks"
tide.gather(runners)

runner("late dee", start)
start:clear()
local _, err = tide.try(tide.timeout, 0.02, start.wait, start)
if tide.is(err, "timeout") then print "cleared: nobody starts" end
