-- tide.testing: runs for tests: time that jumps, orders that a seed decides, assertions about waits.
local tide = require "tide"
local check = require "tide.check"

local core = tide.testing_parts -- the functions of bindings/testing.c
local counts, current_task, is, new_error, type_of = tide.counts, tide.current_task, tide.is, tide.error, tide.type
local run_root, shield_call, sleep, spawn, wait = tide.run, tide.shield_call, tide.sleep, tide.spawn, tide.wait
local raw_pcall, raise_traced = tide.raw.pcall, tide.raise_traced
local turns = core.turns
local failures = tide.failure_parts
local pack, unpack = table.pack, table.unpack

local DEADLOCKS_MAX = 10 -- that the function of a run inside a task may survive

local testing = tide.testing

-- ---- conditions: the clock and the seed

-- The run whose conditions hold, {task=, outer=}: another one may begin inside it.
local innermost

local Conditions = {}

function Conditions:__close()
  core.set_conditions(unpack(self, 1, 3))
  innermost = self.outer
  if self.task and not self.task:done() then self.task:cancel() end -- who ran it was killed
end

-- Puts the options into effect until the value that is returned is closed.
local function put_into_effect(options, seed)
  if innermost and innermost.task ~= current_task() then
    error(new_error("already_running", "another task is inside 'testing.run'"), 0)
  end
  local before = setmetatable({ core.conditions() }, Conditions)
  before.outer = innermost
  innermost = before
  core.set_conditions(options.virtual, seed, options.threshold)
  return before
end

-- ---- a run in a task: the loop runs already

-- What began after `known` was taken and has not ended: a list of tasks; callbacks are dropped.
local function newcomers(known)
  local tasks = {}
  for object in pairs(core.live()) do
    if not known[object] then
      if type_of(object) == "Task" then tasks[#tasks + 1] = object else object:cancel() end
    end
  end
  return tasks
end

local function end_newcomers(known)
  local tasks = newcomers(known)
  while #tasks > 0 do
    for _, task in ipairs(tasks) do task:cancel "the run has ended" end
    local ok = raw_pcall(wait, tasks)
    for _, task in ipairs(tasks) do
      if not ok then task:kill() end -- nothing can wake them
      failures.task(task) -- which only the end of the run has seen
    end
    sleep(0) -- for reports and done callbacks
    tasks = newcomers(known)
  end
end

-- Like task:await(). The loop tells its root of deadlocks, which waits here; this hands them on.
local function await(task)
  local results
  for _ = 1, DEADLOCKS_MAX do
    results = pack(raw_pcall(task.await, task))
    if task:done() or not is(results[2], "deadlock") then return results end
    core.deadlock(task)
  end
  return results
end

local function run_inside(fn, options, seed)
  local known = core.live()
  local conditions <close> = put_into_effect(options, seed)
  local task = spawn(fn)
  conditions.task = task
  local results = await(task)
  shield_call(end_newcomers, known)
  failures.unseen(task:id())
  results.traceback, results.culprit = task:traceback(), task:name()
  return results
end

local function run_outside(fn, options, seed)
  local conditions <close> = put_into_effect(options, seed)
  return pack(raw_pcall(run_root, function()
    conditions.task = current_task()
    return fn()
  end))
end

-- ---- options

-- What the options of `caller` say, with what they do not.
local function read_options(caller, fn, opts)
  check.callable(1, caller, fn, 3)
  local clock, seed, seeds, threshold = check.options(2, caller,
    "clock:virtual|real seed:integer seeds:count autojump_threshold:span", opts, 3)
  return {
    virtual = clock ~= "real",
    threshold = threshold or 0,
    seed = seed or seeds and 1 or 0,
    seeds = seeds or 1,
  }
end

-- ---- runs

-- The error with the seed in its message, where it has one.
local function with_seed(err, seed)
  if type(err) == "string" then return string.format("%s (seed %d)", err, seed) end
  if type(err) == "table" and type(err.message) == "string" then
    err.message = string.format("%s (seed %d)", err.message, seed)
  end
  return err
end

-- testing.run(fn[, opts]) -> results...: like tide.run(fn), where time jumps to the next deadline
-- whenever all tasks wait. Inside a task (waits) fn runs in a task of its own, and what it started
-- is cancelled in the end. opts: clock "virtual" | "real", seed, seeds, autojump_threshold.
function testing.run(fn, opts)
  counts()
  local options = read_options("run", fn, opts)
  local run_one = current_task() and run_inside or run_outside
  local results
  for i = 0, options.seeds - 1 do
    local seed = options.seed + i
    results = run_one(fn, options, seed)
    if not results[1] then
      local err = results[2]
      if options.seeds > 1 then err = with_seed(err, seed) end
      raise_traced(err, results.traceback, results.culprit)
    end
  end
  return unpack(results, 2, results.n)
end

local run = testing.run

-- testing.wrap(fn[, opts]) -> function(...) that calls fn(...) inside testing.run
function testing.wrap(fn, opts)
  read_options("wrap", fn, opts)
  return function(...)
    local arguments = pack(...)
    return run(function() return fn(unpack(arguments, 1, arguments.n)) end, opts)
  end
end

-- ---- assertions

-- A task that waits is resumed in a later turn, and while it runs there is no other one.
local function checked(before, expected, ...)
  if (turns() ~= before) ~= expected then
    error(expected and "expected the function to wait, but it did not"
      or "expected the function not to wait, but it did", 2)
  end
  return ...
end

-- testing.assert_waits(fn, ...) -> fn's results; raises if the task was not suspended meanwhile
function testing.assert_waits(fn, ...)
  counts()
  check.callable(1, "assert_waits", fn, 2)
  local before = turns()
  return checked(before, true, fn(...))
end

-- testing.assert_does_not_wait(fn, ...) -> fn's results; raises if the task was suspended meanwhile
function testing.assert_does_not_wait(fn, ...)
  check.callable(1, "assert_does_not_wait", fn, 2)
  local before = turns()
  return checked(before, false, fn(...))
end

return testing
