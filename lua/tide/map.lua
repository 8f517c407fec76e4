-- tide.map: a function of each value of a list, concurrently.
local tide = require "tide"

local check = require "tide.check"
local window = require "tide.window"

local TaskGroup, begins = tide.TaskGroup, tide.begins

local function first(fn, ...)
  return (fn(...))
end

-- tide.map(list, fn[, {limit=, return_errors=}]) (waits) -> list of first results of fn(value, index),
-- in order, with n
function tide.map(list, fn, opts)
  begins()
  check.type(1, "map", "table", list, 2)
  check.callable(2, "map", fn, 2)
  local limit, return_errors = check.options(3, "map", "limit:count return_errors:flag", opts, 2)
  local count = check.length(list)
  local values = table.move(list, 1, count, 1, {})
  local results = { n = count }
  local function one(i)
    if return_errors then
      results[i] = select(2, pcall(first, fn, values[i], i))
    else
      results[i] = first(fn, values[i], i)
    end
  end
  TaskGroup(function(group)
    local running <close> = window(count, limit or count, 0, function(i) return group:spawn(one, i) end)
    for _ = 1, count do
      local _, given_up = running:next()
      if given_up then return end -- the group raises what it failed with
    end
  end, { name = "map" })
  return results
end
