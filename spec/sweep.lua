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
-- which it began, and in the turn in which what it waited for has come already. Time is virtual, and
-- a turn of the controller's is one in which anything happens: tasks run, descriptors are polled, or
-- a little time passes. Where a scenario takes many, k grows in steps after EXACT of them.
--
-- Besides, it runs with the tasks of each turn in the order of so many seeds, with and without a
-- cancellation: SEEDS. helper.thoroughness says how many.
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
local new_turns = require "spec.turns"

local SEEDS = ({ quick = 1, usual = 2, full = 100 })[helper.thoroughness]
local EXACT = helper.thoroughness == "quick" and 12 or 48
local TURNS_MAX = 20000 -- after those it does not end
local VIRTUAL = { clock = "virtual" }

local sweep = { modes = { "cancel", "twice", "scope", "close", "nested", "shield", "kill" } }
local places = { "first", "last" }

-- ---- modes

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
end

-- How the subject ended.
local function ending(task)
  if task:cancelled() then return "cancelled" end
  local err = task:error()
  if err == nil then return "done" end
  if tide.is(err, "cancelled") then return "cancelled" end
  error(err, 0)
end

-- ---- one run

-- Cancels the subject in the k-th turn. False where it had ended before.
local function controller(s, k)
  local turns <close> = new_turns()
  for turn = 1, k do
    if s.task:done() then return false end
    if turn > TURNS_MAX then error("it does not end", 0) end
    turns:next()
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
  tide.on_failure(nil)
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

-- All points of one mode and place. Returns how many turns the subject had.
local function sweep_turns(scenario, mode, place, seen)
  local k = 0
  repeat
    helper.count_point()
    local ok, hit = tide.raw.xpcall(run_once, debug.traceback, scenario, mode, place, k, seen)
    if not ok then error(("turn %d: %s"):format(k, tostring(hit)), 0) end
    k = next_point(k)
  until not hit
  return k
end

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

-- Points that must leave nothing behind: f(seen), where `seen` gets what is to be collected.
local function leaving_nothing(f)
  local seen = setmetatable({}, { __mode = "k" })
  local before = helper.holdings()
  f(seen)
  tide.sleep(0.001) -- for done callbacks, and what is still being sent
  local leak = helper.leaked(before, helper.holdings())
  if leak then error("left behind: " .. leak, 0) end
  if count(seen) > 0 then error(count(seen) .. " runs cannot be collected", 0) end
end

-- Counts a failure, and notes it in `failures`.
local function note(failures, title, err)
  helper.count_failure()
  failures[#failures + 1] = ("%s, %s"):format(title, tostring(err))
end

-- One series of points, in a run of its own.
local function series(failures, title, opts, f)
  local ok, err = tide.raw.pcall(helper.run_now, function() leaving_nothing(f) end, opts)
  if not ok then note(failures, title, err) end
end

-- The scenario to its end, and cancelled in a turn that the seed decides.
local function sweep_seed(failures, scenario, seed, turns)
  local mode = sweep.modes[seed % #sweep.modes + 1]
  series(failures, ("seed %d, %s"):format(seed, mode), { clock = "virtual", seed = seed }, function(seen)
    for _, k in ipairs { TURNS_MAX, seed % turns } do
      helper.count_point()
      run_once(scenario, mode, "first", k, seen)
    end
  end)
end

-- The points of some courses, each a mode and a place, in one series. Returns how many turns the
-- subject had in the last one.
local function sweep_courses(failures, scenario, courses)
  local turns = 1
  local first = courses[1]
  local title = #courses == 1 and first.mode .. ", " .. first.place or "all modes (TIDE_SWEEP=full says which)"
  series(failures, title, VIRTUAL, function(seen)
    for _, course in ipairs(courses) do
      local ok, result = tide.raw.pcall(sweep_turns, scenario, course.mode, course.place, seen)
      if ok then turns = result else note(failures, course.mode .. ", " .. course.place, result) end
    end
  end)
  return turns
end

-- The whole sweep of a scenario. All courses are one series: collecting the garbage after each
-- would take ten times as long as they do.
local function sweep_all(scenario)
  local failures, turns, courses = {}, 1, {}
  for _, mode in ipairs(sweep.modes) do
    for _, place in ipairs(places) do
      courses[#courses + 1] = { mode = mode, place = place }
      if helper.thoroughness == "full" then turns, courses = sweep_courses(failures, scenario, courses), {} end
    end
  end
  if #courses > 0 then turns = sweep_courses(failures, scenario, courses) end
  for seed = 1, SEEDS do sweep_seed(failures, scenario, seed, turns) end
  if #failures > 0 then error(table.concat(failures, "\n"), 0) end
end

-- The body of an `it`: the sweep of the scenario.
function sweep.it(scenario)
  return function() sweep_all(scenario) end
end

return sweep
