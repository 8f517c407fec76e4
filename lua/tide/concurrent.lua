-- tide.concurrent: gather, wait, race, as_completed, wait_for and shield, over the core's join.
local tide = require "tide"

local join = tide.join
local spawn = tide.spawn
local shielded_await = tide.shielded_await
local shield_call = tide.shield_call

local function is_callable(x)
  if type(x) == "function" then return true end
  local metatable = getmetatable(x)
  return type(metatable) == "table" and metatable.__call ~= nil
end

local function bad(position, name, expected, got, level)
  error(("bad argument #%d to '%s' (%s expected, got %s)"):format(position, name, expected,
    math.type(got) or type(got)), level + 1)
end

-- A Task or Future for an entry: functions are spawned, awaitables awaited in a task.
local function future_of(entry, name, position, level)
  local kind = tide.type(entry)
  if kind == "Task" or kind == "Future" then return entry end
  if kind == nil and is_callable(entry) then return spawn(entry) end
  local metatable = getmetatable(entry)
  if type(metatable) == "table" and metatable.__await then return spawn(tide.await, entry) end
  bad(position, name, "function, Task, Future or awaitable", entry, level + 1)
end

local function futures_of(list, name)
  if type(list) ~= "table" then bad(1, name, "table", list, 3) end
  local futures = {}
  for i = 1, #list do futures[i] = future_of(list[i], name, i, 3) end
  return futures
end

local function first_result(future)
  return (future:result())
end

-- tide.gather{a, b, ..., return_errors=false} (waits) -> list of first results, in order
function tide.gather(list)
  local futures = futures_of(list, "gather")
  local results, return_errors = {}, list.return_errors
  local pending <close> = join(futures, true)
  for _ = 1, #futures do
    local i = pending:next()
    local ok, value = pcall(first_result, futures[i])
    if not ok and not return_errors then error(value, 0) end
    results[i] = value
  end
  return results
end

local conditions = {
  all = function() return false end,
  first = function() return true end,
  first_error = function(future) return not future:cancelled() and not pcall(future.result, future) end,
}

-- tide.wait{t1, t2, ..., timeout=, return_when="all"|"first"|"first_error"} (waits) -> done, pending
function tide.wait(list)
  local futures = futures_of(list, "wait")
  local enough = conditions[list.return_when or "all"]
  if not enough then
    error("bad argument #1 to 'wait' (return_when must be 'all', 'first' or 'first_error')", 2)
  end
  local members <close> = join(futures, false)
  local function collect()
    for _ = 1, #futures do
      if enough(futures[members:next()]) then return end
    end
  end
  if list.timeout then tide.move_on_after(list.timeout, collect) else collect() end
  local done, pending = {}, {}
  for _, future in ipairs(futures) do
    local part = future:done() and done or pending
    part[#part + 1] = future
  end
  return done, pending
end

-- tide.race{f1, t2, ...} (waits) -> index, results of the first to finish
function tide.race(list)
  local futures = futures_of(list, "race")
  if #futures == 0 then error("bad argument #1 to 'race' (nothing to race)", 2) end
  local members <close> = join(futures, true)
  local first = members:next()
  for i, future in ipairs(futures) do
    if i ~= first then future:cancel("lost the race") end
  end
  shield_call(function() -- they are cancelled already: being cancelled too changes nothing
    for _ = 2, #futures do members:next() end
  end)
  return first, futures[first]:result()
end

-- for task in tide.as_completed{...} do
function tide.as_completed(list)
  local futures = futures_of(list, "as_completed")
  local members = join(futures, false)
  return function()
    local i = members:next()
    return i and futures[i]
  end
end

-- tide.wait_for(x, seconds) (waits) -> results
function tide.wait_for(x, seconds)
  if type(seconds) ~= "number" then bad(2, "wait_for", "number", seconds, 2) end
  if is_callable(x) and tide.type(x) == nil then return tide.timeout(seconds, x) end
  return tide.timeout(seconds, tide.await, x)
end

-- tide.shield(x, ...) (waits) -> results
function tide.shield(x, ...)
  local kind = tide.type(x)
  if kind == "Task" or kind == "Future" then return shielded_await(x) end
  if is_callable(x) then return shield_call(x, ...) end
  return shielded_await(future_of(x, "shield", 1, 2))
end
