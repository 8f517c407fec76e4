-- wait_for gives up after a while and cancels what it waited for, unless that is shielded.
local tide = require "tide"

local shield, sleep, spawn, wait_for = tide.shield, tide.sleep, tide.spawn, tide.wait_for

local function work(name, delay)
  local ok, err = tide.raw.pcall(sleep, delay)
  print(name .. (ok and " finished" or " cancelled"))
  if not ok then error(err, 0) end
  return name
end

print("in time: " .. wait_for(function() return work("quick", 0.01) end, 1))

local _, err = tide.try(wait_for, function() return work("slow", 10) end, 0.03)
if tide.is(err, "timeout") then print "timed out" end

local task = spawn(work, "shielded", 0.09)
_, err = tide.try(wait_for, function() return shield(task) end, 0.03)
if tide.is(err, "timeout") then
  print("timed out, yet the task lives: " .. (task:done() and "no" or "yes"))
end
print("its result: " .. task:await())

_, err = tide.try(function()
  local _ <close> = tide.timeout(0.03)
  work("first", 0.01)
  work("second", 10)
end)
if tide.is(err, "timeout") then print "the block timed out" end
