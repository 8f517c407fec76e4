-- tide.iter: iterators: their sources, and what is made of them without tasks.
--
-- An Iter is a step function that gives the next value or values, and nil at the end, with what has
-- to be closed behind it. Combinators call the step of their source, never the Iter: a chain costs
-- one call for each link, and only its ends look after it.
--
-- - Who calls a step closes its Iter when it raised: the metamethod __call, `for` by the closing
--   value, and the ending methods. Links need not.
-- - Who got nil from a step does not call it again.
-- - A wait in a step that was cancelled did not happen: the Iter stays as it is.
-- - A step whose state two tasks would spoil has a Use; others may be shared.
local check = require "tide.check"
local tide = require "tide"

local new_error, is = tide.error, tide.is
local current_task, sleep, time, timeout = tide.current_task, tide.sleep, tide.time, tide.timeout
local pcall = pcall -- tide's: lets cancellation through
local raw_pcall = tide.raw.pcall

local Iter = { __name = "Iter" }
Iter.__index = Iter

local function nothing() end

-- An Iter over a step function without arguments: the next value or values, nil at the end and after
-- that. `closer`, if given, is called once; then the step gives nil. `source` is the Iter to close
-- after it.
local function new(step, closer, name, source)
  return setmetatable({
    step = step,
    closer = closer,
    source = source,
    name = name or "function",
    closed = false,
  }, Iter)
end

-- ---- checks

local function bad(position, name, expected, got, level)
  check.fail(position, name, ("%s expected, got %s"):format(expected, math.type(got) or type(got)), level + 1)
end

local function has_metamethod(x, name)
  local metatable = getmetatable(x)
  return type(metatable) == "table" and metatable[name] ~= nil
end

local function check_function(fn, position, name)
  if not check.is_callable(fn) then bad(position, name, "function", fn, 3) end
end

local function check_count(n, least, name)
  if math.type(n) == "float" then n = math.tointeger(n) or n end
  if math.type(n) ~= "integer" then bad(1, name, "integer", n, 3) end
  if n < least then
    check.fail(1, name, ("must be at least %d"):format(least), 3)
  end
  return n
end

local function check_seconds(seconds, name)
  if type(seconds) ~= "number" then bad(1, name, "number", seconds, 3) end
  if seconds < 0 or seconds ~= seconds then
    check.fail(1, name, "must not be negative or NaN", 3)
  end
end

local function no_result(name)
  error(("bad result of the function given to '%s' (value expected, got nil)"):format(name), 0)
end

-- ---- one at a time

-- Whether the error is the cancellation of the wait around which it was caught.
local function is_interruption(err)
  return is(err, "cancelled") and err.task == nil
end

-- Errors about an Iter in use: they are no reason to close it.
local misuses = setmetatable({}, { __mode = "k" })

local function is_misuse(err)
  if misuses[err] then return true end
  return is(err, "invalid_state") and err.message:find("somebody is inside this generator", 1, true) ~= nil
end

-- The to-be-closed value of a step that only one task may be in: `state` is false, or
local INSIDE = "inside" -- somebody is in it
local INTERRUPTED = "interrupted" -- the last one in it was cancelled
local ENDED = "ended"

local Use = {}

function Use:__close(err)
  if self.state ~= INSIDE then return end
  if err == nil then
    self.state = false
  else
    self.state = is_interruption(err) and INTERRUPTED or ENDED
  end
end

local function new_use()
  return setmetatable({ state = false, iter = nil }, Use)
end

-- What a step gives whose Use has a state that forbids it.
local function refuse(use)
  if use.state ~= INSIDE then return nil end
  local err = new_error("invalid_state", ("%s is used by two tasks at once"):format(use.iter))
  misuses[err] = true
  error(err, 0)
end

-- An Iter whose step begins with `use`.
local function new_exclusive(use, step, closer, name, source)
  use.iter = new(step, closer, name, source)
  return use.iter
end

-- ---- calling and closing

-- it:close() (waits, if it has tasks): closes it and its source, cancels its tasks and awaits them.
-- Every call after it gives nil. Harmless when repeated.
function Iter:close()
  if self.closed then return end
  local closer = self.closer
  self.closed, self.step, self.closer = true, nothing, nil
  local _ <close> = self.source
  if closer then closer() end
end

function Iter:__close(err)
  if err ~= nil and is_misuse(err) then return end
  self:close()
end

-- The to-be-closed value of a call: closes the Iter if the call raised.
local Guard = {}

function Guard:__close(err)
  if err == nil or is_misuse(err) or is_interruption(err) then return end
  self.iter:close()
end

local function given(iter, first, ...)
  if first == nil then
    iter:close()
    return nil
  end
  return first, ...
end

-- it() (may wait) -> the next value or values, or nil
function Iter:__call()
  local guard = self.guard
  if not guard then
    guard = setmetatable({ iter = self }, Guard)
    self.guard = guard
  end
  local _ <close> = guard
  return given(self, self.step())
end

-- for x in it:each() do: the loop closes it, whatever way it is left
function Iter:each()
  return self.step, nil, nil, self
end

function Iter:__tostring()
  local names, iter = {}, self
  repeat
    table.insert(names, 1, iter.name)
    iter = iter.source
  until not iter
  return ("Iter(%s%s)"):format(table.concat(names, ", "), self.closed and "; closed" or "")
end

-- ---- sources

local function close_value(value)
  local _ <close> = value
end

-- After a cancelled call: a coroutine that was ended by it is the end.
local function called_again(use, ok, first, ...)
  if ok then return first, ... end
  if type(first) == "string" and first:find("cannot resume dead coroutine", 1, true) then
    use.state = ENDED
    return nil
  end
  error(first, 0)
end

-- An Iter over what the function gives, called as `call` does it.
local function from_call(call, closing)
  local use = new_use()
  local function step()
    if use.state then
      if use.state ~= INTERRUPTED then return refuse(use) end
      local _ <close> = use
      use.state = INSIDE
      return called_again(use, raw_pcall(call))
    end
    local _ <close> = use
    use.state = INSIDE
    return call()
  end
  local function closer()
    use.state = ENDED
    return close_value(closing)
  end
  return new_exclusive(use, step, closer, "function")
end

-- The values of a generic `for`: a function, its state, the first control value, a closing value.
local function from_values(f, state, control, closing)
  local function advance(first, ...)
    control = first
    return first, ...
  end
  return from_call(function() return advance(f(state, control)) end, closing)
end

local function from_list(list)
  local i = 0
  local function step()
    i = i + 1
    return list[i]
  end
  return new(step, function() list = {} end, "list")
end

local function from_queue(queue)
  local next = queue:iter()
  local function step() return next(queue) end
  return new(step, function() next = nothing end, "Queue")
end

local function get_iter(x) return x.iter end

-- Whether x has a method `iter`.
local function has_iter(x, kind)
  if kind ~= "table" and kind ~= "userdata" then return false end
  local ok, method = raw_pcall(get_iter, x)
  return ok and type(method) == "function"
end

local function is_iter(x) return getmetatable(x) == Iter end

-- The Iter over a source, or nil where it is none.
local function from(source, ...)
  if is_iter(source) then return source end
  local kind = type(source)
  if kind == "function" then
    if select("#", ...) == 0 then return from_call(source) end
    return from_values(source, ...)
  end
  if tide.type(source) == "Queue" then return from_queue(source) end
  if has_iter(source, kind) then return from(source:iter()) end
  if has_metamethod(source, "__call") then return from(function(...) return source(...) end, ...) end
  return kind == "table" and from_list(source) or nil
end

-- tide.iter(source) -> Iter; source: a list, a Queue, an Iter, a function that gives the next value,
-- the values of a generic `for`, or an object with :iter()
function tide.iter(source, ...)
  local iter = from(source, ...)
  if not iter then
    bad(1, "iter", "list, Queue, Iter, function or object with :iter()", source, 2)
  end
  return iter
end

local generator_parts = tide.generator_parts

-- tide.interval(seconds) -> Iter of 1, 2, 3 ..., one every so many seconds on the loop's clock from now
-- on, the first after one period; ticks that were missed are left out, so that none comes late for long
function tide.interval(seconds)
  if type(seconds) ~= "number" then bad(1, "interval", "number", seconds, 2) end
  if seconds <= 0 or seconds ~= seconds then
    check.fail(1, "interval", "must be positive", 2)
  end
  local began, tick = time(), 0
  return new(function()
    local passed = (time() - began) // seconds
    local next_tick = (passed > tick and passed or tick) + 1
    sleep(began + next_tick * seconds - time())
    tick = next_tick
    return math.tointeger(tick) or tick
  end, nil, "interval")
end

-- tide.generator(function(yield) ... end) -> Iter of what the body gives to yield; the body may wait
function tide.generator(body)
  check_function(body, 1, "generator")
  local step, close = generator_parts(body)
  return new(step, close, "generator")
end

-- ---- lazy combinators

-- it:map(fn) -> Iter of what fn gives for each
function Iter:map(fn)
  check_function(fn, 1, "map")
  local pull = self.step
  local function mapped(first, ...)
    if first == nil then no_result "map" end
    return first, ...
  end
  local function one(first, ...)
    if first == nil then return nil end
    return mapped(fn(first, ...))
  end
  return new(function() return one(pull()) end, nil, "map", self)
end

-- it:filter(fn) -> Iter of those for which fn gives a true value
function Iter:filter(fn)
  check_function(fn, 1, "filter")
  local pull = self.step
  local function one(first, ...)
    if first == nil then return nil end
    if fn(first, ...) then return first, ... end
    return one(pull())
  end
  return new(function() return one(pull()) end, nil, "filter", self)
end

-- it:take(n) -> Iter of the first n; it is closed when they were given
function Iter:take(n)
  local left = check_count(n, 0, "take")
  local pull, use = self.step, new_use()
  local failed, failure = false, nil -- of closing: told by the step after the last value

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
    if use.state and use.state ~= INTERRUPTED then return refuse(use) end
    if failed then
      failed = false
      error(failure, 0)
    end
    if left == 0 then return nil end
    local _ <close> = use
    use.state = INSIDE
    return one(pull())
  end
  return new_exclusive(use, step, nil, "take", self)
end

-- it:skip(n) -> Iter of those after the first n
function Iter:skip(n)
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
  local pull, use, inner = self.step, new_use(), nil
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
        error(("bad value for 'flatten' (something to iterate expected, got %s)"):format(type(source)), 0)
      end
    end
    return one(inner.step())
  end

  local function step()
    if use.state and use.state ~= INTERRUPTED then return refuse(use) end
    local _ <close> = use
    use.state = INSIDE
    return next_of()
  end
  local function closer()
    if inner then inner:close() end
  end
  return new_exclusive(use, step, closer, "flatten", self)
end

-- it:chunk(n) -> Iter of lists of n first values; the last may be shorter
function Iter:chunk(n)
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
  return new(step, nil, "chunk", self)
end

-- it:zip(other) -> Iter of a, b: the first values of both, until one ends. other: what tide.iter takes
function Iter:zip(other)
  local second = from(other)
  if not second then bad(1, "zip", "something to iterate", other, 2) end
  local pull, pull_second, use = self.step, second.step, new_use()
  local first -- waits for its partner

  local function step()
    if use.state and use.state ~= INTERRUPTED then return refuse(use) end
    local _ <close> = use
    use.state = INSIDE
    if first == nil then first = pull() end
    local a = first
    if a == nil then return nil end
    local b = pull_second()
    if b == nil then return nil end
    first = nil
    return a, b
  end
  return new_exclusive(use, step, function() second:close() end, "zip", self)
end

-- it:scan(fn[, init]) -> Iter of the running results acc = fn(acc, value); without init the first
-- value is the first result
function Iter:scan(fn, ...)
  check_function(fn, 1, "scan")
  local pull, use = self.step, new_use()
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
    if use.state and use.state ~= INTERRUPTED then return refuse(use) end
    local _ <close> = use
    use.state = INSIDE
    return one(pull())
  end
  return new_exclusive(use, step, nil, "scan", self)
end

local NIL = {} -- the key of what has none

-- it:distinct([key]) -> Iter of those whose first value, or key(value), was not there before
function Iter:distinct(key)
  if key ~= nil then check_function(key, 1, "distinct") end
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
  check_seconds(seconds, "timeout")
  local pull = self.step
  return new(function() return timeout(seconds, pull) end, nil, "timeout", self)
end

local DROPS = 256 -- so many in a row, then others run: what does not wait never sees time pass

-- it:throttle(seconds) -> Iter of the first in each window, which begins with it
function Iter:throttle(seconds)
  check_seconds(seconds, "throttle")
  local pull, window_end, dropped = self.step, -math.huge, 0
  local function one(first, ...)
    if first == nil then return nil end
    local now = time()
    if now >= window_end then
      window_end, dropped = now + seconds, 0
      return first, ...
    end
    dropped = dropped + 1
    if dropped % DROPS == 0 and current_task() then sleep(0) end
    return one(pull())
  end
  return new(function() return one(pull()) end, nil, "throttle", self)
end

-- ---- ending

-- it:collect() (waits) -> list of the first values
function Iter:collect()
  local _ <close> = self
  local list, n = {}, 0
  for value in self.step do
    n = n + 1
    list[n] = value
  end
  return list
end

local function fold(fn, step, acc, first, ...)
  if first == nil then return acc end
  return fold(fn, step, (fn(acc, first, ...)), step())
end

-- it:reduce(fn[, init]) (waits) -> the last acc = fn(acc, value); without init it begins with the
-- first value
function Iter:reduce(fn, ...)
  check_function(fn, 1, "reduce")
  local _ <close> = self
  local step, acc = self.step, (...)
  if select("#", ...) == 0 then
    acc = step()
    if acc == nil then return nil end
  end
  return fold(fn, step, acc, step())
end

local function run(fn, step, first, ...)
  if first == nil then return end
  fn(first, ...)
  return run(fn, step, step())
end

-- it:foreach(fn) (waits): calls fn with the values of each step
function Iter:foreach(fn)
  check_function(fn, 1, "foreach")
  local _ <close> = self
  run(fn, self.step, self.step())
end

-- it:first() (waits) -> the first value or values, or nil; closes it
function Iter:first()
  local _ <close> = self
  return self.step()
end

-- it:last() (waits) -> the last value or values, or nil
function Iter:last()
  local _ <close> = self
  local last, rest, step = nil, nil, self.step
  local function keep(first, ...)
    if first == nil then return false end
    last = first
    rest = select("#", ...) > 0 and table.pack(...) or nil
    return true
  end
  while keep(step()) do end
  if rest then return last, table.unpack(rest, 1, rest.n) end
  return last
end

-- it:count() (waits) -> the number of steps
function Iter:count()
  local _ <close> = self
  local n = 0
  for _ in self.step do n = n + 1 end
  return n
end

local function itself(x) return x end

local function find(fn, wanted, step, first, ...)
  if first == nil then return false end
  local holds = fn(first, ...) and true or false
  if holds == wanted then return true end
  return find(fn, wanted, step, step())
end

-- it:any([fn]) (waits) -> whether fn, or the value itself, is true for one; ends with that one
function Iter:any(fn)
  if fn ~= nil then check_function(fn, 1, "any") end
  local _ <close> = self
  return (find(fn or itself, true, self.step, self.step()))
end

-- it:all([fn]) (waits) -> whether fn, or the value itself, is true for all; ends with the first false
function Iter:all(fn)
  if fn ~= nil then check_function(fn, 1, "all") end
  local _ <close> = self
  return not find(fn or itself, false, self.step, self.step())
end

return {
  Iter = Iter, -- the class: tide.iter_tasks adds its methods
  new = new,
  from = from,
  nothing = nothing,
  no_result = no_result,
  bad = bad,
  check_count = check_count,
  check_function = check_function,
  check_seconds = check_seconds,
}
