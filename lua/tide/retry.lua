-- tide.retry: calling a function until it does not fail.
local tide = require "tide"

local check = require "tide.check"

local counts, is, sleep, type_of = tide.counts, tide.is, tide.sleep, tide.type
local max, min, random = math.max, math.min, math.random
local raise_traced, traced = tide.raise_traced, tide.traced
local is_callable = check.is_callable

local MAX_DELAY = 60 -- seconds between two calls, where the options do not say

-- The predicate that `on` stands for: a kind, a list of kinds, or one already.
local function matcher(on)
  if on == nil then return function() return true end end
  if type(on) == "string" then return function(err) return is(err, on) end end
  if type(on) ~= "table" or is_callable(on) then return on end
  return function(err)
    for _, kind in ipairs(on) do
      if is(err, kind) then return true end
    end
    return false
  end
end

local function check_on(on)
  if on == nil or type(on) == "string" or is_callable(on) then return end
  local right = type(on) == "table"
  for _, kind in ipairs(right and on or {}) do right = right and type(kind) == "string" end
  if not right then check.fail(2, "retry", "field 'on' must be a kind, a list of kinds or a function", 3) end
end

-- For how long, after a failure: with jitter anything down to half, so that many who have failed at
-- one time do not come back at one time.
local function pause(delay, jitter)
  return jitter and delay * (1 + random()) / 2 or delay
end

-- tide.retry(fn[, {times=3, delay=0, factor=2, max_delay=60, jitter=true, on=kind|list|predicate}]) (waits)
-- -> results of fn() when it does not fail; else raises its last error
function tide.retry(fn, opts)
  counts()
  check.callable(1, "retry", fn, 2)
  local times, delay, factor, max_delay, jitter, on =
    check.options(2, "retry", "times:count delay:span factor:size max_delay:span jitter:flag on:any", opts, 2)
  check_on(on)
  local matches = matcher(on)
  times, delay, factor = times or 3, delay or 0, factor or 2
  max_delay = max_delay or max(delay, MAX_DELAY)
  for try = 1, times do
    local results = table.pack(traced(fn))
    if results[1] then return table.unpack(results, 2, results.n) end
    local err, traceback = results[2], results[3]
    if try == times or not matches(err) then
      if type_of(err) == "tide.error" then err.tries = try end
      raise_traced(err, traceback)
    end
    delay = min(delay, max_delay)
    sleep(pause(delay, jitter ~= false))
    delay = delay * factor
  end
end
