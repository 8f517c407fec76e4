-- tide.concurrent: gather, wait, race, as_completed and wait_for, over the core's join.
local tide = require "tide"

local check = require "tide.check"
local kinds = require "tide.entry"
local window = require "tide.window"

local begins = tide.begins
local completions, join = tide.completions, tide.join
local await, type_of = tide.await, tide.type
local move_on_after, timeout = tide.move_on_after, tide.timeout
local raw_pcall = tide.raw.pcall
local shield_call = tide.shield_call
local check_entry, is_function, is_future, started = kinds.check, kinds.is_function, kinds.is_future, kinds.started
local is_yieldable = tide.raw.coroutine.isyieldable

-- What is said of an entry of a list that is none.
local CALLED = ": the result of a call was given; to have it called, write function() return f(...) end"

-- The entries of the list, a copy, and the values of the options that are known, which are in it: nothing
-- is to come `behind`. All arguments are checked before the first task is spawned: one that is refused
-- leaves nothing running.
local function checked(list, behind, name, known)
  check.type(1, name, "table", list, 3)
  if behind ~= nil then check.fail(2, name, "nothing expected: options belong into the list", 3) end
  local entries = {}
  for i = 1, check.length(1, name, list, 3) do
    entries[i] = list[i]
    check_entry(i, name, entries[i], CALLED, 3)
  end
  return entries, check.options(1, name, "[]" .. known, list, 3)
end

-- Makes futures of the entries, in place.
local function start(entries)
  for i, entry in ipairs(entries) do entries[i] = started(entry) end
  return entries
end

local function first_result(future)
  return (future:result())
end

local function result_or_error(future)
  local _, value = pcall(first_result, future)
  return value
end

-- The results of entries that all begin at once.
local function gather_all(futures, get)
  local results = { n = #futures }
  local pending <close> = join(futures, true)
  for _ = 1, #futures do
    local i, given_up = pending:next()
    results[i] = (given_up and first_result or get)(futures[i])
  end
  return results
end

-- The numbers of the entries in the order in which they begin: first the Tasks and Futures, which
-- have, then the others. And how many the first ones are.
local function order_of(entries)
  local running, others = {}, {}
  for i, entry in ipairs(entries) do
    local list = is_future(entry) and running or others
    list[#list + 1] = i
  end
  local free = #running
  return table.move(others, 1, #others, free + 1, running), free
end

-- The results of entries of which at most `limit` run at a time, not counting those that did before.
local function gather_some(entries, get, limit)
  local results, futures = { n = #entries }, {}
  local order, free = order_of(entries)
  local pending <close> = window(#entries, limit, free, function(number)
    futures[number] = started(entries[order[number]])
    return futures[number]
  end)
  for _ = 1, #entries do
    local number, given_up = pending:next()
    results[order[number]] = (given_up and first_result or get)(futures[number])
  end
  return results
end

-- tide.gather{a, b, ..., return_errors=false, limit=} (waits) -> list of first results, in order,
-- with n
function tide.gather(list, behind)
  begins()
  local entries, return_errors, limit = checked(list, behind, "gather", "return_errors:flag limit:count")
  local get = return_errors and result_or_error or first_result
  local results = limit and gather_some(entries, get, limit) or gather_all(start(entries), get)
  return results -- no tail call: errors name this function
end

local conditions = {
  all = function() return false end,
  first = function() return true end,
  first_error = function(members, i) return members:failed(i) end,
}

-- tide.wait{t1, t2, ..., timeout=, return_when="all"|"first"|"first_error"} (waits) -> done, pending
function tide.wait(list, behind)
  begins()
  local entries, span, return_when = checked(list, behind, "wait", "timeout:seconds return_when:all|first|first_error")
  local enough = conditions[return_when or "all"]
  local futures = start(entries)
  local members <close> = join(futures, false, false, nil, true)
  local function collect()
    for _ = 1, #futures do
      if enough(members, members:next()) then return end
    end
  end
  if span then move_on_after(span, collect) else collect() end
  local done, pending = {}, {}
  for _, future in ipairs(futures) do
    local part = future:done() and done or pending
    part[#part + 1] = future
  end
  return done, pending
end

-- A race, which is to be closed when it is left: `first` has won, if it came so far; the errors in
-- `seen` were taken notice of. What closing needs is there before anything begins.
local Race = {}

local function new_race(entries, name)
  if #entries == 0 then check.fail(1, name, "nothing to race", 3) end
  local self = setmetatable({
    futures = entries, -- the entries, in whose place those come that are begun
    members = false, -- the join of them, once all have begun
    first = false,
    seen = {},
  }, Race)
  function self.wait_for_losers()
    for i, future in ipairs(self.futures) do
      while self:has_lost(i, future) and not future:done() do
        if not self.members:next() then return end -- one of them waits for this task
      end
    end
  end
  return self
end

-- Begins all. By then the race is a to-be-closed variable: where that fails none is left behind.
local function begin_race(self)
  start(self.futures)
  self.members = join(self.futures, true, true)
end

-- Whether that is a task which is to be cancelled and awaited. Futures stay as they are.
function Race:has_lost(i, future)
  return i ~= self.first and self.seen[i] == nil and type_of(future) == "Task"
end

-- Cancels and awaits the other tasks, whoever else waits for them. What they failed with is reported. A
-- killed task cannot wait.
function Race:__close()
  for i, future in ipairs(self.futures) do
    if self:has_lost(i, future) then future:cancel("lost the race") end
  end
  if not self.members then return end
  self.members:hold()
  if is_yieldable() then shield_call(self.wait_for_losers) end
  self.members:close()
end
Race.__index = Race

-- tide.race{f1, t2, ...} (waits) -> index, results of the first to finish
function tide.race(list, behind)
  begins()
  local race <close> = new_race(checked(list, behind, "race", ""), "race")
  begin_race(race)
  local first = race.members:next()
  race.first = first
  return first, race.futures[first]:result()
end

-- tide.first_success{f1, t2, ...} (waits) -> index, results of the first that does not fail; where all
-- do, it raises an ErrorGroup
function tide.first_success(list, behind)
  begins()
  local race <close> = new_race(checked(list, behind, "first_success", ""), "first_success")
  begin_race(race)
  for _ = 1, #race.futures do
    local i, given_up = race.members:next()
    if given_up then
      race.first = i
      race.futures[i]:result() -- raises
    end
    local results = table.pack(raw_pcall(race.futures[i].result, race.futures[i]))
    if results[1] then
      race.first = i
      return i, table.unpack(results, 2, results.n)
    end
    race.seen[i] = results[2] == nil and "<no error object>" or results[2]
  end
  error(require("tide.errors").group_error(race.seen), 0)
end

-- Whether `break` closes a loop's closing value: Lua before 5.4.5 forgets to where a closure has a local
-- of the body, and the function may fail for it later.
local function can_break()
  local closed, in_time = false, false
  local closing = setmetatable({}, { __close = function() closed = true end })
  raw_pcall(function()
    for i in ipairs, {}, 0, closing do -- luacheck: ignore 512
      local inside = i
      local function get() return inside end
      if get then break end
    end
    in_time = closed
  end)
  return in_time
end

local closes = can_break()

-- for task in tide.as_completed{...} do
function tide.as_completed(list, behind)
  local step, members = completions(start((checked(list, behind, "as_completed", ""))))
  return step, nil, nil, closes and members or nil
end

-- tide.wait_for(x, seconds) (waits) -> results
function tide.wait_for(x, seconds)
  begins()
  check_entry(1, "wait_for", x, "", 2)
  check.seconds(2, "wait_for", seconds, 2)
  if is_function(x) then return timeout(seconds, x) end
  return timeout(seconds, await, x)
end
