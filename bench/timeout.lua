-- Cost of an uncontended tide.timeout(1, f): f returns at once. timeout.lua [calls]
local tide = require "tide"

local clock = os.clock
local timeout = tide.timeout

local calls = math.tointeger(tonumber((...))) or 2000000

local function f(x) return x end

local sum = 0
local began = clock()
for i = 1, calls do sum = sum + timeout(1, f, i) end
local spent = clock() - began
assert(sum == calls * (calls + 1) // 2)
print(("ns %.1f"):format(spent * 1e9 / calls))
