-- A done callback ends the loop: for lua5.4, where a script is in no task. (In the program tide it is in one already, and waits itself.)
local tide = require "tide"

local sleep, spawn = tide.sleep, tide.spawn

local function work(name, delay, fails)
  sleep(delay)
  if fails then error(tide.error("value", name .. " failed")) end
  return name .. "'s result"
end

local left = 3

local function ended(task)
  local err = not task:cancelled() and task:error()
  if task:cancelled() then
    print(task:name() .. " was cancelled")
  elseif err then
    print(task:name() .. " failed: " .. err.message)
  else
    print(task:name() .. " gave " .. task:result())
  end
  left = left - 1
  if left == 0 then
    print "stopping"
    tide.stop()
  end
end

local function start(name, ...)
  local task = spawn(work, name, ...):set_name(name)
  task:add_done_callback(ended)
  return task
end

local function never() print "removed, so never called" end

local quick = start("quick", 0.02)
quick:add_done_callback(never)
quick:remove_done_callback(never)
start("bad", 0.04, true)
local slow = start("slow", 60)
tide.call_later(0.06, function() slow:cancel() end)
tide.call_soon(print, "running")
tide.run_forever()
print "stopped"
