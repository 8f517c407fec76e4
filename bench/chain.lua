-- Cost of a value through map():filter(), or through the same written by hand as a loop. The values come from a
-- list of 1,000 or from a function, again and again; every other one is dropped; sum checked.
-- chain.lua chain|hand list|function [values]
local tide = require "tide"

local clock, ipairs = os.clock, ipairs

local LENGTH = 1000

local how, source = arg[1], arg[2]
local rounds = (math.tointeger(tonumber(arg[3])) or 5000000) // LENGTH

local list = {}
for i = 1, LENGTH do list[i] = i end

local function numbers()
  local i = 0
  return function()
    if i == LENGTH then return nil end
    i = i + 1
    return i
  end
end

local function triple(x) return x * 3 end
local function is_even(x) return x % 2 == 0 end

local function chain_of(values)
  local sum = 0
  for x in tide.iter(values):map(triple):filter(is_even):each() do sum = sum + x end
  return sum
end

local chain = {
  list = function() return chain_of(list) end,
  ["function"] = function() return chain_of(numbers()) end,
}

local hand = {
  list = function()
    local sum = 0
    for _, i in ipairs(list) do
      local x = triple(i)
      if is_even(x) then sum = sum + x end
    end
    return sum
  end,
  ["function"] = function()
    local sum = 0
    for i in numbers() do
      local x = triple(i)
      if is_even(x) then sum = sum + x end
    end
    return sum
  end,
}

local run = (how == "hand" and hand or chain)[source]
local sum = 0
local began = clock()
for _ = 1, rounds do sum = sum + run() end
local spent = clock() - began
local half = LENGTH // 2
assert(sum == rounds * 3 * half * (half + 1))
print(("ns %.1f"):format(spent * 1e9 / (rounds * LENGTH)))
