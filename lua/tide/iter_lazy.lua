-- tide.iter_lazy: what is made of an Iter without tasks: map, filter, take ... throttle.
local check = require "tide.check"
local iter = require "tide.iter"
local tide = require "tide"

local Iter, new, new_exclusive, nothing = iter.Iter, iter.new, iter.new_exclusive, iter.nothing
local is_misuse, no_result = iter.is_misuse, iter.no_result
local check_count, check_function, check_seconds = iter.check_count, iter.check_function, iter.check_seconds
local check_self, optional_function = iter.check_self, iter.optional_function
local from = require "tide.iter_sources".from
local new_use, time, timeout = tide.new_use, tide.time, tide.timeout
local pcall = pcall -- tide's: lets cancellation through
local raw_pcall = tide.raw.pcall

-- ---- map and filter
--
-- They keep nothing between two values, so a row of them is one step: the values are handed from link
-- to link by tail calls, and come back to the caller once. An Iter made by them has `links`, what is
-- done, and `base`, the Iter that they take from. A source of single values may have `feed`: its
-- steps with the first link in them.

local ROW = 16 -- links in one step, at most: each call makes the row anew

local function same(...) return ... end

local function mapped(first, ...)
  if first == nil then no_result "map" end
  return first, ...
end

-- The step that takes from `base` and does what the links, {fn=, name=}, say.
local function step_through(base, links)
  local step, visit = nil, nil
  local visits = {} -- what is done with the values of a step; `next` is the link behind, if any

  function visits.map(fn, next)
    next = next or mapped
    return function(first, ...)
      if first == nil then no_result "map" end
      return next(fn(first, ...))
    end
  end

  function visits.filter(fn, next)
    if not next then
      return function(first, ...)
        if first == nil then no_result "map" end
        if fn(first, ...) then return first, ... end
        return step()
      end
    end
    return function(first, ...)
      if first == nil then no_result "map" end
      if fn(first, ...) then return next(first, ...) end
      return step()
    end
  end

  for i = #links, 2, -1 do visit = visits[links[i].name](links[i].fn, visit) end
  local first_link = links[1]
  if base.feed then
    step = base.feed[first_link.name](first_link.fn, visit or (first_link.name == "map" and mapped or same))
    return step
  end
  local pull = base.step
  visit = visits[first_link.name](first_link.fn, visit)
  local function one(first, ...)
    if first == nil then return nil end
    return visit(first, ...)
  end
  function step() return one(pull()) end
  return step
end

local function linked(self, name, fn)
  check_self(self, name)
  check_function(fn, 1, name)
  local base, links = self, {}
  if self.links and #self.links < ROW and not self.closed then
    base = self.base
    table.move(self.links, 1, #self.links, 1, links)
  end
  links[#links + 1] = { fn = fn, name = name }
  local result = new(step_through(base, links), nil, name, self)
  result.base, result.links = base, links
  return result
end

-- it:map(fn) -> Iter of what fn gives for each
function Iter:map(fn) return linked(self, "map", fn) end

-- it:filter(fn) -> Iter of those for which fn gives a true value
function Iter:filter(fn) return linked(self, "filter", fn) end

-- ---- the others

-- it:take(n) -> Iter of the first n; it is closed when they were given
function Iter:take(n)
  check_self(self, "take")
  local left = check_count(n, 0, "take")
  local pull, use, enter = self.step, new_use()
  local failed, failure = false, nil -- of closing: told by the step after the last value, or the close

  local function tell()
    if not failed then return end
    failed = false
    error(failure, 0)
  end

  local function one(first, ...)
    if first == nil then return nil end
    left = left - 1
    if left == 0 then
      local ok, err = raw_pcall(self.close, self)
      if not ok then failed, failure = true, err end
    end
    return first, ...
  end

  local function step()
    local _ <close> = use
    if not enter() then return nil end
    tell()
    if left == 0 then return nil end
    return one(pull())
  end
  return new_exclusive(use, step, tell, "take", self)
end

-- it:skip(n) -> Iter of those after the first n
function Iter:skip(n)
  check_self(self, "skip")
  local left = check_count(n, 0, "skip")
  local pull = self.step
  local function one(first, ...)
    if left == 0 or first == nil then return first, ... end
    left = left - 1
    return one(pull())
  end
  return new(function() return one(pull()) end, nil, "skip", self)
end

-- it:take_while(fn) -> Iter of those before the first for which fn gives a false value
function Iter:take_while(fn)
  check_self(self, "take_while")
  check_function(fn, 1, "take_while")
  local pull = self.step
  local function one(first, ...)
    if first == nil then return nil end
    if fn(first, ...) then return first, ... end
    pull = nothing
    return nil
  end
  return new(function() return one(pull()) end, nil, "take_while", self)
end

-- it:enumerate() -> Iter of i, value, from 1
function Iter:enumerate()
  check_self(self, "enumerate")
  local pull, i = self.step, 0
  local function one(first, ...)
    if first == nil then return nil end
    i = i + 1
    return i, first, ...
  end
  return new(function() return one(pull()) end, nil, "enumerate", self)
end

-- it:flatten() -> Iter of the values of each of its values, which are sources of tide.iter
function Iter:flatten()
  check_self(self, "flatten")
  local pull, inner = self.step, nil
  local use, enter = new_use()
  local next_of

  local function one(first, ...)
    if first ~= nil then return first, ... end
    local ended = inner
    inner = nil
    ended:close()
    return next_of()
  end

  function next_of()
    if not inner then
      local source = pull()
      if source == nil then return nil end
      inner = from(source)
      if not inner then
        error(string.format("bad value for 'flatten' (something to iterate expected, got %s)", type(source)), 0)
      end
    end
    return one(inner.step())
  end

  local function step()
    local _ <close> = use
    if not enter() then return nil end
    return next_of()
  end
  local function closer()
    if inner then inner:close() end
  end
  return iter.holding(new_exclusive(use, step, closer, "flatten", self))
end

-- it:chunk(n) -> Iter of lists of n first values; the last may be shorter
function Iter:chunk(n)
  check_self(self, "chunk")
  n = check_count(n, 1, "chunk")
  local pull, list = self.step, {}
  local ended, failed, failure = false, false, nil

  local function finish(ok, err)
    local rest = list
    ended, list = true, {}
    failed, failure = not ok, err
    if rest[1] ~= nil then return rest end
    if failed then
      failed = false
      error(failure, 0)
    end
    return nil
  end

  local function step()
    if failed then return finish(false, failure) end
    while not ended do
      local ok, value = pcall(pull)
      if not ok then
        if is_misuse(value) then error(value, 0) end
        return finish(false, value)
      end
      if value == nil then return finish(true) end
      list[#list + 1] = value
      if #list >= n then
        local full = list
        list = {}
        return full
      end
    end
    return nil
  end
  local function closer()
    if failed then iter.report_lost(failure) end
    failed = false
  end
  return new(step, closer, "chunk", self)
end

-- it:zip(other) -> Iter of a, b: the first values of both, until one ends. other: what tide.iter takes
function Iter:zip(other)
  check_self(self, "zip")
  local second = from(other)
  if not second then check.unexpected(1, "zip", "something to iterate", other, 2) end
  local pull, pull_second = self.step, second.step
  local use, enter = new_use()
  local first -- waits for its partner

  local function step()
    local _ <close> = use
    if not enter() then return nil end
    if first == nil then first = pull() end
    local a = first
    if a == nil then return nil end
    local b = pull_second()
    if b == nil then return nil end
    first = nil
    return a, b
  end
  local zipped = new_exclusive(use, step, function() second:close() end, "zip", self)
  return second.holds and iter.holding(zipped) or zipped
end

-- it:scan(fn[, init]) -> Iter of the running results acc = fn(acc, value); without init the first
-- value is the first result
function Iter:scan(fn, ...)
  check_self(self, "scan")
  check_function(fn, 1, "scan")
  local pull, use, enter = self.step, new_use()
  local begun, acc = select("#", ...) > 0, (...)

  local function one(first, ...)
    if first == nil then return nil end
    local result = first
    if begun then result = fn(acc, first, ...) end
    if result == nil then no_result "scan" end
    begun, acc = true, result
    return result
  end

  local function step()
    local _ <close> = use
    if not enter() then return nil end
    return one(pull())
  end
  return new_exclusive(use, step, nil, "scan", self)
end

local NIL = {} -- the key of what has none

-- it:distinct([key]) -> Iter of those whose first value, or key(value), was not there before
function Iter:distinct(...)
  check_self(self, "distinct")
  local key = optional_function("distinct", ...)
  local pull, seen = self.step, {}
  local function one(first, ...)
    if first == nil then return nil end
    local k = first
    if key then k = key(first, ...) end
    if k == nil then k = NIL end
    if k ~= k then return first, ... end -- NaN is equal to nothing
    if seen[k] then return one(pull()) end
    seen[k] = true
    return first, ...
  end
  return new(function() return one(pull()) end, nil, "distinct", self)
end

-- it:timeout(seconds) -> Iter that raises `timeout` where a step takes longer
function Iter:timeout(seconds)
  check_self(self, "timeout")
  check_seconds(seconds, "timeout")
  local pull = self.step
  return new(function() return timeout(seconds, pull) end, nil, "timeout", self)
end

-- it:throttle(seconds) -> Iter of the first in each window, which begins with it
function Iter:throttle(seconds)
  check_self(self, "throttle")
  check_seconds(seconds, "throttle")
  local pull, window_end = self.step, -math.huge
  local function one(first, ...)
    if first == nil then return nil end
    local now = time()
    if now >= window_end then
      window_end = now + seconds
      return first, ...
    end
    return one(pull())
  end
  return new(function() return one(pull()) end, nil, "throttle", self)
end
