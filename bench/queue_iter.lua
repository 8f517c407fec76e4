-- Cost of an item through a queue, taken by a loop over q:iter() or by q:get() in a loop; sum checked.
-- queue_iter.lua iter|get [items]
local tide = require "tide"

local clock = os.clock

local how = arg[1]
local items = math.tointeger(tonumber(arg[2])) or 5000000

local queue, sum = tide.Queue(1024), 0

local function produce()
  for i = 1, items do queue:put(i) end
  queue:close()
end

local function by_iter()
  for item in queue:iter() do sum = sum + item end
end

local function by_get()
  for _ = 1, items do sum = sum + queue:get() end
end

local began = clock()
local producer, consumer = tide.spawn(produce), tide.spawn(how == "get" and by_get or by_iter)
producer:await()
consumer:await()
local spent = clock() - began
assert(sum == items * (items + 1) // 2)
print(("ns %.1f"):format(spent * 1e9 / items))
