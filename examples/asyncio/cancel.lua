-- Cancelling a task raises inside it, so that it can clean up.
local tide = require "tide"

local shield, sleep, spawn = tide.shield, tide.sleep, tide.spawn

local function clean_up(_, err)
  print("worker cancelled: " .. err.reason)
  shield(function() -- cleanup that waits is shielded
    sleep(0.02)
    print "worker cleaned up"
  end)
end

local function worker()
  print "worker started"
  local _ <close> = setmetatable({}, { __close = clean_up })
  sleep(10)
  print "never printed"
end

local function stubborn()
  local ok = tide.raw.pcall(sleep, 10)
  if ok then return end
  tide.current_task():uncancel()
  sleep(0.02)
  return "finished all the same"
end

local function never_started()
  print "never printed"
end

local function yes(truth)
  return truth and "yes" or "no"
end

local task = spawn(worker)
sleep(0.02)
print("cancelling: " .. yes(task:cancel("going home")))
local _, err = tide.try(task.await, task)
if tide.is(err, "cancelled") then print "main saw the cancellation" end
print("cancelled: " .. yes(task:cancelled()))

task = spawn(stubborn)
sleep(0.02)
task:cancel()
print("stubborn: " .. task:await())
print("cancelled: " .. yes(task:cancelled()))

task = spawn(never_started)
task:cancel()
tide.wait { task }
print("cancelled before its first step: " .. yes(task:cancelled()))
