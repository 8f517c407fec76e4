-- gather runs everything at once and keeps the order of its entries.
local tide = require "tide"

local gather, sleep, spawn = tide.gather, tide.sleep, tide.spawn

local function fetch(name, delay)
  print("fetching " .. name)
  sleep(delay)
  print("fetched " .. name)
  return name:upper()
end

local function fetching(name, delay)
  return function() return fetch(name, delay) end
end

local function broken()
  error(tide.error("route", "no route"))
end

local results = gather { fetching("slow", 0.09), fetching("fast", 0.03), fetching("medium", 0.06) }
print(table.concat(results, ", "))

results = gather { fetching("one", 0), broken, fetching("two", 0), return_errors = true }
for _, result in ipairs(results) do
  print(tide.is(result, "route") and "error" or result)
end

local survivor = spawn(fetch, "survivor", 0.03)
local _, err = tide.try(gather, { broken, survivor })
print("gather raised: " .. err.message)
print(survivor:await())
