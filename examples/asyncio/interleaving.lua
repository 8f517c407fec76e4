-- sleep(0) lets every other ready task run once.
local tide = require "tide"

local sleep, spawn = tide.sleep, tide.spawn

local function count(name, last)
  for i = 1, last do
    print(name .. " " .. i)
    sleep(0)
  end
  print(name .. " done")
end

local tasks = { spawn(count, "a", 3), spawn(count, "b", 1), spawn(count, "c", 2) }
print("spawned, none has run")
for _, task in ipairs(tasks) do task:await() end
print("all done")
