-- wait: until the first of several tasks has ended, the first that failed, or all of them.
local tide = require "tide"

local sleep, spawn, wait = tide.sleep, tide.spawn, tide.wait

local function work(name, delay, fails)
  sleep(delay)
  if fails then error(tide.error("value", name .. " failed")) end
  return name
end

local function names(tasks)
  local list = {}
  for _, task in ipairs(tasks) do list[#list + 1] = task:name() end
  table.sort(list)
  return #list > 0 and table.concat(list, " ") or "none"
end

local function start(name, ...)
  return spawn(work, name, ...):set_name(name)
end

local tasks = { start("slow", 0.3), start("quick", 0.1), start("middling", 0.2) }
tasks.return_when = "first"
local done, pending = wait(tasks)
print("first: " .. names(done) .. "; pending: " .. names(pending))

-- What is pending runs on, and can be waited for again.
while #pending > 0 do
  pending.return_when = "first"
  done, pending = wait(pending)
  print("then: " .. done[1]:result() .. "; pending: " .. names(pending))
end

done, pending = wait { start("fine", 0.1), start("bad", 0.2, true), start("late", 0.3), return_when = "first_error" }
print("done: " .. names(done) .. "; pending: " .. names(pending))
for _, task in ipairs(done) do
  local err = task:error()
  if err then print("error: " .. err.message) end
end
for _, task in ipairs(pending) do task:cancel() end
done = wait(pending)
print("cancelled: " .. tostring(done[1]:cancelled()))

-- A timeout raises nothing, and cancels nothing.
local task = start("tardy", 0.3)
done, pending = wait { task, timeout = 0.1 }
print("in time: " .. names(done) .. "; pending: " .. names(pending))
print("at last: " .. task:await())
