-- Cost of a step of a generator, or of a plain coroutine.wrap with the same body; sum checked.
-- generator.lua generator|wrap [steps]
local tide = require "tide"

local clock = os.clock
local wrap, yield = tide.raw.coroutine.wrap, tide.raw.coroutine.yield

local how = arg[1]
local steps = math.tointeger(tonumber(arg[2])) or 5000000

local function count_with(give)
  for i = 1, steps do give(i) end
end

local function values()
  if how == "wrap" then return wrap(function() count_with(yield) end) end
  return tide.generator(count_with):each()
end

local sum = 0
local began = clock()
for i in values() do sum = sum + i end
local spent = clock() - began
assert(sum == steps * (steps + 1) // 2)
print(("ns %.1f"):format(spent * 1e9 / steps))
