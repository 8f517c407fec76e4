-- Items through four queues in turn, taken by select from all of them, or one queue by get: CPU time per item, sum checked.
local tide = require "tide"

local how, count = arg[1], math.tointeger(tonumber(arg[2]))

local function produce(queues)
  for i = 1, count do queues[i % #queues + 1]:put(i) end
end

local function consume(queues)
  local sum = 0
  if how == "get" then
    local queue = queues[1]
    for _ = 1, count do sum = sum + queue:get() end
    return sum
  end
  local a, b, c, d = table.unpack(queues)
  for _ = 1, count do
    local _, value = tide.select(a, b, c, d)
    sum = sum + value
  end
  return sum
end

local queues = {}
for i = 1, how == "get" and 1 or 4 do queues[i] = tide.Queue(1024) end
local began = os.clock()
tide.spawn(produce, queues)
local sum = consume(queues)
assert(sum == count * (count + 1) // 2)
print(("ns %.1f"):format((os.clock() - began) / count * 1e9))
