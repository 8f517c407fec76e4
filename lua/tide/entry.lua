-- tide.entry: what gather, wait, shield and the like take: functions, Tasks, Futures and awaitables.
local tide = require "tide"

local check = require "tide.check"

local await, metafield, spawn, type_of = tide.await, tide.metafield, tide.spawn, tide.type
local is_callable = check.is_callable

local function is_future(x)
  local kind = type_of(x)
  return kind == "Task" or kind == "Future"
end

-- Whether it is a function to tide: an object of tide's own is not, even one that can be called.
local function is_function(x)
  return type_of(x) == nil and is_callable(x)
end

local function is_awaitable(x)
  return is_future(x) or metafield(x, "__await") ~= nil
end

-- `hint` goes on with what is said of one that is none of these.
local function check_entry(position, name, entry, hint, level)
  if is_function(entry) or is_awaitable(entry) then return end
  local got = check.type_name(entry) .. hint
  check.fail(position, name, "function, Task, Future or awaitable expected, got " .. got, level + 1)
end

-- A Task or Future for an entry: functions are spawned, awaitables awaited in a task.
local function started(entry)
  if is_future(entry) then return entry end
  if is_function(entry) then return spawn(entry) end
  return spawn(await, entry)
end

return { check = check_entry, is_function = is_function, is_future = is_future, started = started }
