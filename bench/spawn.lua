-- Cost of a task's life: spawned, run to its end, awaited, 1,000 at a time. spawn.lua [count]
local tide = require "tide"

local clock, error = os.clock, error
local spawn = tide.spawn

local BATCH = 1000
local batches = (tonumber((...)) or 1000000) // BATCH

local function body(x)
  return x
end

local began = clock()
local tasks = {}
for _ = 1, batches do
  for i = 1, BATCH do tasks[i] = spawn(body, i) end
  for i = 1, BATCH do
    if tasks[i]:await() ~= i then error("wrong result") end
  end
end
print(("ns %.1f"):format((clock() - began) * 1e9 / (batches * BATCH)))
