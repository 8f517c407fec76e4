-- spec.sweep: runs a scenario again and again, its task cancelled at every point where it can be.
--
-- A scenario is a table:
--   setup(s)         fills the table s before the tasks start (may wait)
--   subject(s)       the body of the task that is cancelled
--   others           list of functions (s): tasks around it, which are left alone
--   check(s, ended)  after all have ended; ended is "done", "cancelled" or "failed"
--   leaves           true: the subject may leave its others waiting; they are cancelled at the end
--
-- A point is a turn of the loop, and a place in that turn: a controller task that is stepped before
-- all others, or after all others, cancels the subject in the k-th turn, for k = 0, 1, 2 ... until
-- the subject ends by itself. So each of its suspensions is hit while it waits, in the turn in
-- which it began, and in the turn in which what it waited for has come already. Where a scenario
-- waits for time or for the system, turns are many: after EXACT of them k grows in steps.
--
-- How it is cancelled is the mode:
--   cancel   task:cancel()
--   twice    two requests at once, and another in the next turn
--   scope    a scope around the subject is cancelled; the task waits again after it
--   close    the subject runs in a __close, while an error unwinds
--   nested   the subject runs in coroutines inside coroutines
--   shield   the subject runs shielded: it must not notice, the next wait after it must
--   kill     task:kill()
local tide = require "tide"
local helper = require "spec.helper"

local EXACT = 48
local sweep = { modes = { "cancel", "twice", "scope", "close", "nested", "shield", "kill" } }

-- What the task's body is in each mode; `request` asks for the cancellation.
local bodies, requests = {}, {}

local function cancel(s) s.task:cancel("sweep") end

function bodies.cancel(s) s.scenario.subject(s) end
requests.cancel = cancel

bodies.twice = bodies.cancel
function requests.twice(s)
  cancel(s)
  cancel(s)
  tide.sleep(0)
  cancel(s)
end

function bodies.scope(s)
  s.ran = tide.scope(function(scope)
    s.scope = scope
    s.scenario.subject(s)
  end)
  tide.sleep(0) -- the cancellation is over
  if not s.ran then error(tide.error("cancelled", "by the scope"), 0) end
end
function requests.scope(s)
  if s.scope then s.scope:cancel("sweep") else s.early = true end
end

function bodies.close(s)
  local failure = {}
  local ok, err = tide.raw.pcall(function()
    local _ <close> = helper.closer(function() s.scenario.subject(s) end)
    error(failure, 0)
  end)
  assert(not ok)
  if err ~= failure then error(err, 0) end
end
requests.close = cancel

function bodies.nested(s)
  local function deep(n)
    if n == 0 then return s.scenario.subject(s) end
    coroutine.wrap(function()
      local co = coroutine.create(function() deep(n - 1) end)
      local ok, err = coroutine.resume(co)
      if not ok then -- only wrap closes what the coroutine left open
        coroutine.close(co)
        error(err, 0)
      end
    end)()
  end
  deep(2)
end
requests.nested = cancel

function bodies.shield(s)
  tide.shield(function()
    s.scenario.subject(s)
    s.shielded = true
  end)
  tide.sleep(0)
end
requests.shield = cancel

bodies.kill = bodies.cancel
function requests.kill(s)
  tide.on_failure(function() end) -- what would wait while closing fails, and is reported
  s.task:kill()
  tide.on_failure(nil)
end

-- How the subject ended.
local function ending(task)
  if task:cancelled() then return "cancelled" end
  local err = task:error()
  if err == nil then return "done" end
  if tide.is(err, "cancelled") then return "cancelled" end
  error(err, 0)
end

-- Cancels the subject in the k-th turn. False where it had ended before.
local function controller(s, k)
  for _ = 1, k do
    if s.task:done() then return false end
    tide.sleep(0)
  end
  if s.task:done() then return false end
  requests[s.mode](s)
  return true
end

local function spawn_all(s, k, place)
  local tasks = {}
  if place == "first" then s.controller = tide.spawn(function() return controller(s, k) end) end
  s.task = tide.spawn(bodies[s.mode], s)
  for i, other in ipairs(s.scenario.others or {}) do tasks[i] = tide.spawn(other, s) end
  if place == "last" then s.controller = tide.spawn(function() return controller(s, k) end) end
  return tasks
end

local function finish(tasks, leaves)
  if leaves then
    for _, task in ipairs(tasks) do task:cancel("the subject has ended") end
  end
  tide.wait(tasks)
  for _, task in ipairs(tasks) do
    if not task:cancelled() then task:result() end
  end
end

-- No task is left; but after a kill its children still have to end.
local function check_tasks(s, before)
  if s.mode == "kill" then helper.turns(16) end
  local tasks = tide.all_tasks()
  if #tasks <= before then return end
  for i, task in ipairs(tasks) do tasks[i] = tostring(task) end
  error("tasks are left: " .. table.concat(tasks, ", "), 0)
end

-- One run. True if the subject was still there in the k-th turn.
local function run_once(scenario, mode, place, k, seen)
  local s = { scenario = scenario, mode = mode }
  seen[s] = true
  local before = #tide.all_tasks()
  if scenario.setup then scenario.setup(s) end
  local tasks = spawn_all(s, k, place)
  tide.wait { s.task, s.controller }
  local hit = s.controller:result()
  local ended = ending(s.task)
  finish(tasks, scenario.leaves)
  if mode == "shield" and hit then assert(s.shielded or ended == "cancelled") end
  if mode == "kill" and hit then assert(ended == "cancelled") end
  if scenario.check then scenario.check(s, mode == "shield" and s.shielded and "done" or ended) end
  check_tasks(s, before)
  return hit
end

local function next_point(k)
  return k < EXACT and k + 1 or k + k // 4
end

-- All points of one mode and place. Returns how many there were.
function sweep.points(scenario, mode, place, seen)
  local k, points = 0, 0
  repeat
    local ok, hit = tide.raw.xpcall(run_once, debug.traceback, scenario, mode, place, k, seen)
    if not ok then error(("%s, %s in turn %d: %s"):format(mode, place, k, tostring(hit)), 0) end
    points = points + 1
    k = next_point(k)
  until not hit
  return points
end

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

-- The whole sweep of a scenario, in the task that calls it.
function sweep.run(scenario, modes)
  for _, mode in ipairs(modes or sweep.modes) do
    for _, place in ipairs { "first", "last" } do
      local seen = setmetatable({}, { __mode = "k" })
      local before = helper.holdings()
      local points = sweep.points(scenario, mode, place, seen)
      tide.sleep(0)
      local leak = helper.leaked(before, helper.holdings())
      if leak then error(("%s, %s: left behind after %d points: %s"):format(mode, place, points, leak), 0) end
      if count(seen) > 0 then
        error(("%s, %s: %d of %d runs cannot be collected"):format(mode, place, count(seen), points), 0)
      end
    end
  end
end

-- The body of an `it`: the sweep of the scenario.
function sweep.it(scenario)
  return helper.run(function() sweep.run(scenario) end)
end

return sweep
