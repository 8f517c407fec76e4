-- tide.map: a function of each value of a list, concurrently.
local tide = require "tide"

local check = require "tide.check"
local window = require "tide.window"

local TaskGroup, begins, raw_pcall = tide.TaskGroup, tide.begins, tide.raw.pcall

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
  local count = check.length(1, "map", list, 2)
  local values = table.move(list, 1, count, 1, {})
  local results = { n = count }
  local function one(i)
    if return_errors then
      results[i] = select(2, pcall(first, fn, values[i], i))
    else
      results[i] = first(fn, values[i], i)
    end
  end
  local tasks, cancelled = {}, {} -- number -> task: those that run; those that somebody else cancelled
  TaskGroup(function(group)
    local running <close> = window(count, limit or count, 0, function(i)
      tasks[i] = group:spawn(one, i)
      return tasks[i]
    end)
    for _ = 1, count do
      local i, given_up = running:next()
      if given_up then return end -- the group raises what it failed with
      local task = tasks[i]
      tasks[i] = nil
      if task:cancelled() then
        cancelled[i] = task
        if not return_errors then return group:cancel "another task was cancelled" end
      end
    end
  end, { name = "map" })
  for i, task in pairs(cancelled) do
    if not return_errors then task:result() end -- raises
    results[i] = select(2, raw_pcall(task.result, task))
  end
  return results
end
