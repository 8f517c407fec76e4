-- The scenarios of spec/faults, whose memory and system calls fail elsewhere: as they are, in the
-- orders of many seeds, and with each of their tasks cancelled or killed in each turn.
local tide = require "tide"
local helper = require "spec.helper"
local new_turns = require "spec.turns"

local SEEDS = ({ quick = 1, usual = 3, full = 100 })[helper.thoroughness]
local STRIDE = ({ quick = 9, usual = 3, full = 1 })[helper.thoroughness] -- of the turns, one in so many
local PATIENCE = 60 -- seconds of virtual time
local FILES = { "greenlets", "groups", "iter", "locals", "net", "scopes", "select", "servers", "sync", "tasks",
  "testing", "tls" }

-- The n-th of the tasks, in the order of their spawning, that are not in `known`.
local function nth_task(known, n)
  local tasks = {}
  for _, task in ipairs(tide.all_tasks()) do
    if not known[task] then tasks[#tasks + 1] = task end
  end
  table.sort(tasks, function(a, b) return a:id() < b:id() end)
  return tasks[n]
end

-- In the turn of the point strikes its task. What then waits for what the task would have done is
-- cancelled after a while.
local function controller(point, known)
  local turns <close> = new_turns()
  for _ = 1, point.turn do turns:next() end
  point.reached = true
  known[tide.current_task()] = true
  point.struck = nth_task(known, point.task)
  if point.struck then point.struck[point.method](point.struck, "sweep") end
  tide.sleep(PATIENCE)
  point.late = true
  point.root:cancel "late"
end

-- One run of the scenario. A point is {method=, turn=, task=, seed=}.
local function run_point(scenario, point)
  local known = {}
  for _, task in ipairs(tide.all_tasks()) do known[task] = true end
  local ok, err = tide.raw.pcall(tide.testing.run, function()
    point.root = tide.current_task()
    tide.spawn(controller, point, known)
    scenario()
  end, { clock = "virtual", seed = point.seed })
  if not ok and not point.struck then error(err, 0) end
  if point.late and point.struck == point.root then error("the root goes on waiting", 0) end
end

-- Lets be collected, cancelled and sent what the run has dropped.
local function settle()
  for _ = 1, 2 do
    collectgarbage()
    helper.run_now(function() tide.sleep(0.001) end)
  end
end

-- The same, which must leave nothing behind but garbage.
local function check_point(scenario, point)
  helper.count_point()
  local before = helper.holdings_now()
  run_point(scenario, point)
  local leak = helper.leaked(before, helper.holdings_now())
  if leak then
    settle()
    leak = helper.leaked(before, helper.holdings())
  end
  if leak then error("left behind: " .. leak, 0) end
end

local function describe_point(point)
  return ("%s of task %d in turn %d, seed %d"):format(point.method, point.task, point.turn, point.seed)
end

-- Strikes the tasks of one turn. Returns how many there were, and whether the run went on so far.
local function sweep_turn(scenario, method, turn, seeded)
  for task = 1, math.huge do
    local point = { method = method, turn = turn, task = task, seed = seeded and turn * 100 + task or 0 }
    local ok, err = tide.raw.pcall(check_point, scenario, point)
    if not ok then
      helper.count_failure()
      error(describe_point(point) .. ": " .. tostring(err), 0)
    end
    if not point.struck then return point.reached end
  end
end

-- Strikes every task in every turn; in the short form in one turn of so many.
local function sweep(scenario, method, seeded)
  local turn = 0
  while sweep_turn(scenario, method, turn, seeded) do turn = turn + STRIDE end
end

-- The reports of failures of tasks that were struck are of no interest.
local function quietly(f)
  return function()
    helper.collect_failures()
    f()
    settle()
  end
end

for _, file in ipairs(FILES) do
  describe("the scenario " .. file .. ":", function()
    for name, scenario in pairs(dofile("spec/faults/" .. file .. ".lua")) do
      it(name .. " holds in the order of any seed", quietly(function()
        for seed = 0, SEEDS do
          helper.count_point()
          tide.testing.run(scenario, { clock = "virtual", seed = seed })
        end
      end))

      for _, method in ipairs { "cancel", "kill" } do
        it(name .. " with a " .. method .. " at every suspension leaves nothing", quietly(function()
          sweep(scenario, method, false)
          if helper.thoroughness == "full" then sweep(scenario, method, true) end
          tide.testing.run(scenario)
        end))
      end
    end
  end)
end
