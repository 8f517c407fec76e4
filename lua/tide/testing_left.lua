-- tide.testing_left: what a function has left behind when it has ended, for those that run it with something that strikes.
local tide = require "tide"

local all_tasks, on_failure, sleep, stats = tide.all_tasks, tide.on_failure, tide.sleep, tide.stats
local raw_pcall, report_unseen = tide.raw.pcall, tide.failure_parts.unseen
local parts = tide.testing_parts
local collect, descriptors = parts.collect, parts.descriptors

local AFTERMATH = 16 -- turns in which what was killed or dropped comes to its end

-- ---- what there is

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

-- ---- failures

-- The to-be-closed value while failures that nobody awaits are collected in it.
local Failures = {}

function Failures:__close()
  on_failure(self.told)
end

-- Those for which `expected`, if given, is true are none.
local function collect_failures(expected)
  local self = setmetatable({}, Failures)
  self.told = on_failure(function(what, err)
    if expected and expected(err) then return end
    self[#self + 1] = string.format("%s failed: %s", what, tostring(err))
  end)
  return self
end

-- ---- around a run

local left = { collect_failures = collect_failures }

-- What check is to know later.
function left.look()
  return { holdings() }
end

-- Raises where something is left that there was not at the look, or failures were collected. `forget` lets go of what
-- the caller still refers to; the first task since the look has the id.
function left.check(look, id, failures, forget)
  for _ = 1, AFTERMATH do sleep(0) end
  sleep(0.001) -- what is still being sent
  forget()
  report_unseen(id)
  if #failures > 0 then error(table.concat(failures, "; "), 0) end
  if not raw_pcall(check_left, look[1], look[2]) then
    collect()
    check_left(look[1], look[2])
  end
end

return left
