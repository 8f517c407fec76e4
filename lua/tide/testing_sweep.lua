-- tide.testing_sweep: testing.sweep, which cancels a function at each of its waits in turn.
--
-- A point is a turn of the loop and a place in it: a task that is stepped before the function's in
-- each turn, or after it, cancels that one in the turn of this number. So each wait is hit while it
-- waits, in the turn in which it began, and in the one in which what it waited for has come.
local tide = require "tide"

local check = require "tide.check"
local left = require "tide.testing_left"
local new_turns = require "tide.turns"

local counts, is, spawn, wait = tide.counts, tide.is, tide.spawn, tide.wait
local raw_pcall = tide.raw.pcall
local testing = require "tide.testing"
local run = testing.run
local pause = tide.testing_parts.pause

local TURNS_MAX = 20000 -- a function that goes on for longer does not end

local modes = {
  cancel = function(task) task:cancel "testing.sweep" end,
  kill = function(task) task:kill() end,
}

-- ---- one point

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
  local before = left.look()
  local failures <close> = left.collect_failures()
  local task, striker
  local function begin() striker = spawn(function() return strike(task, mode, turn) end) end
  if place == "first" then begin() end
  task = spawn(fn)
  if place == "last" then begin() end
  wait { task, striker }
  local hit = striker:result()
  local id = math.min(task:id(), striker:id())
  local err = not task:cancelled() and task:error()
  if err and not (hit and is(err, "cancelled")) then error(err, 0) end
  left.check(before, id, failures, function() task, striker = nil, nil end) -- luacheck: ignore 311
  return hit
end

-- ---- the sweep

-- All points of a mode and a place. How many there were.
local function sweep(fn, mode, place)
  for turn = 0, TURNS_MAX do
    local ok, hit = raw_pcall(run, function() return run_point(fn, mode, place, turn) end)
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
