-- tide.testing_sweep: testing.sweep, which cancels a function at each of its waits in turn.
--
-- A point is a turn of the loop and a place in it: a task that is stepped before the function's in
-- each turn, or after it, cancels that one in the turn of this number. So each wait is hit while it
-- waits, in the turn in which it began, and in the one in which what it waited for has come.
local tide = require "tide"

local check = require "tide.check"
local new_turns = require "tide.turns"

local all_tasks, counts, is, on_failure = tide.all_tasks, tide.counts, tide.is, tide.on_failure
local sleep, spawn, stats, wait = tide.sleep, tide.spawn, tide.stats, tide.wait
local raw_pcall = tide.raw.pcall
local testing = tide.testing

local collect, descriptors, pause = testing.parts.collect, testing.parts.descriptors, testing.parts.pause

local TURNS_MAX = 20000 -- a function that goes on for longer does not end
local AFTERMATH = 16 -- turns in which what was killed or dropped comes to its end

local modes = {
  cancel = function(task) task:cancel "testing.sweep" end,
  kill = function(task) task:kill() end,
}

-- ---- what is left

-- The tasks there are, and counts of what else there may be.
local function holdings()
  local tasks = {}
  for _, task in ipairs(all_tasks()) do tasks[task] = true end
  local now = stats()
  return tasks, {
    callbacks = now.handles,
    timers = now.timers,
    ["waits for descriptors"] = now.watching,
    descriptors = descriptors(),
  }
end

local function more(before, after)
  local lines = {}
  for what, count in pairs(after) do
    if count > before[what] then lines[#lines + 1] = string.format("%d %s", count - before[what], what) end
  end
  table.sort(lines)
  return lines
end

-- Raises where there is more than before.
local function check_left(tasks_before, before)
  local tasks, after = holdings()
  local left = {}
  for task in pairs(tasks) do
    if not tasks_before[task] then left[#left + 1] = tostring(task) end
  end
  if #left == 0 then left = more(before, after) end
  if #left > 0 then error("left behind: " .. table.concat(left, ", "), 0) end
end

-- ---- one point

-- The to-be-closed value while failures that nobody awaits are collected in it.
local Failures = {}

function Failures:__close()
  on_failure(self.told)
end

local function collect_failures()
  local self = setmetatable({}, Failures)
  self.told = on_failure(function(what, err)
    self[#self + 1] = string.format("%s failed: %s", what, tostring(err))
  end)
  return self
end

-- Strikes the task in that turn. False where it had ended before.
local function strike(task, mode, turn)
  local turns <close> = new_turns(pause)
  for passed = 1, turn do
    if task:done() then return false end
    if passed > TURNS_MAX then error("it does not end", 0) end
    turns:next()
  end
  if task:done() then return false end
  modes[mode](task)
  return true
end

-- Runs the function with the strike. Whether that came before its end.
local function run_point(fn, mode, place, turn)
  local tasks_before, before = holdings()
  local failures <close> = collect_failures()
  local task, striker
  local function begin() striker = spawn(function() return strike(task, mode, turn) end) end
  if place == "first" then begin() end
  task = spawn(fn)
  if place == "last" then begin() end
  wait { task, striker }
  local hit = striker:result()
  local err = not task:cancelled() and task:error()
  if err and not (hit and is(err, "cancelled")) then error(err, 0) end
  for _ = 1, AFTERMATH do sleep(0) end
  sleep(0.001) -- what is still being sent
  task, striker = nil, nil -- luacheck: ignore 311
  if #failures > 0 then error(table.concat(failures, "; "), 0) end
  if not raw_pcall(check_left, tasks_before, before) then
    collect()
    check_left(tasks_before, before)
  end
  return hit
end

-- ---- the sweep

-- All points of a mode and a place. How many there were.
local function sweep(fn, mode, place)
  for turn = 0, TURNS_MAX do
    local ok, hit = raw_pcall(testing.run, function() return run_point(fn, mode, place, turn) end)
    if not ok then
      error(string.format("testing.sweep: %s in turn %d, %s: %s", mode, turn, place, tostring(hit)), 0)
    end
    if not hit then return turn + 1 end
  end
end

-- testing.sweep(fn[, {kill=false}]) (waits) -> the number of points
function testing.sweep(fn, opts)
  counts()
  check.callable(1, "sweep", fn, 2)
  local kill = check.options(2, "sweep", "kill:flag", opts, 2)
  local points = 0
  for _, mode in ipairs { "cancel", kill and "kill" or nil } do
    for _, place in ipairs { "first", "last" } do points = points + sweep(fn, mode, place) end
  end
  return points
end
