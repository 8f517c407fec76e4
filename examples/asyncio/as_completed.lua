-- as_completed gives tasks as they finish.
local tide = require "tide"

local sleep, spawn = tide.sleep, tide.spawn

local function download(name, delay)
  sleep(delay)
  if name == "broken" then error(tide.error("os", "connection lost")) end
  return name
end

local jobs = {
  spawn(download, "large", 0.12), spawn(download, "small", 0.03),
  spawn(download, "broken", 0.06), spawn(download, "medium", 0.09),
}
for task in tide.as_completed(jobs) do
  local name, err = tide.try(task.await, task)
  print(name and "got " .. name or "failed: " .. err.message)
end

local tortoise, hare = spawn(download, "tortoise", 10), spawn(download, "hare", 0.03)
local done, pending = tide.wait { tortoise, hare, return_when = "first" }
print("first: " .. done[1]:result())
print("still running: " .. #pending)
for _, task in ipairs(pending) do task:cancel() end
tide.wait(pending)
print("tortoise cancelled: " .. (tortoise:cancelled() and "yes" or "no"))
