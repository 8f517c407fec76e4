-- tide.iter: the class Iter: steps, one task at a time, calling and closing. Where the steps come from
-- is in tide.iter_sources; what is made of an Iter in tide.iter_lazy, iter_tasks and iter_ends.
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

local new_error, is, is_of = tide.error, tide.is, tide.is_of
local counts, current_task, mark_loops, raw_pcall = tide.counts, tide.current_task, tide.mark_loops, tide.raw.pcall
local is_yieldable, running = tide.raw.coroutine.isyieldable, tide.raw.coroutine.running
local report = tide.failure_parts.report

local Iter, meta, face = tide.new_class "Iter"
tide.Iter = face

local function nothing() end

local function is_iter(x) return is_of(x, meta) end

-- An Iter over a step function without arguments: the next value or values, nil at the end and after
-- that. `closer`, if given, is called once; then the step gives nil. `source` is the Iter to close
-- after it. What it holds that others may miss, or that has to be tidied up, `holding` says.
local function new(step, closer, name, source)
  return setmetatable({
    step = step,
    closer = closer,
    source = source, -- or nil: for __tostring, and
    closes = source, -- to be closed after it
    name = name or "function",
    holds = source ~= nil and source.holds,
    uncounted = source ~= nil and source.uncounted, -- the step is no call that counts
    closed = false,
  }, meta)
end

local function holding(iter)
  iter.holds = true
  return iter
end

-- ---- checks

local function check_function(fn, position, name)
  check.callable(position, name, fn, 3)
end

-- The function that a method may be given: nil where a function was meant is none.
local function optional_function(name, ...)
  if select("#", ...) == 0 then return nil end
  local fn = ...
  check.callable(1, name, fn, 3)
  return fn
end

local function check_count(n, least, name)
  check.type(1, name, "number", n, 3)
  local count = math.tointeger(n) or check.fail(1, name, "number has no integer representation", 3)
  if count < least then check.fail(1, name, string.format("must be at least %d", least), 3) end
  return count
end

local function check_seconds(seconds, name)
  check.seconds(1, name, seconds, 3)
  if seconds < 0 then check.fail(1, name, "must not be negative", 3) end
end

-- Who writes it.map() means it:map().
local function check_self(self, name)
  if not is_iter(self) then check.self(false, name, "Iter", self, 3) end
end

local function no_result(name)
  error(string.format("bad result of the function given to '%s' (value expected, got nil)", name), 0)
end

-- ---- one at a time

-- Whether the error is the cancellation of the wait around which it was caught.
local function is_interruption(err)
  return is(err, "cancelled") and err.task == nil
end

-- Errors about an Iter in use: they are no reason to close it. Steps made in C raise them too.
local function is_misuse(err)
  return is(err, "misuse") and err.in_use == true
end

-- An Iter whose step only one task may be in: it has `use` as a to-be-closed value, and enters it.
local function new_exclusive(use, step, closer, name, source)
  local self = new(step, closer, name, source)
  self.uncounted = false
  use:set_iter(self)
  return self
end

-- ---- calling and closing

-- Reports a failure that nobody gets: who would have has another one, or is gone.
local function report_lost(err, traceback)
  if not is(err, "cancelled") then report("an iterator", err, traceback) end
end

-- Of each task the set of the Iters that its loops are over and that hold something: what is left
-- of it when the task ends is closed then. A `break` of Lua before 5.4.5 may skip a closing value.
local loops = setmetatable({}, { __mode = "k" })

local function add_loop(iter, set)
  set[iter], iter.loop = true, set
end

local function begin_loop(iter, task)
  local set = loops[task]
  if not set then
    set = {}
    loops[task] = set
    mark_loops()
  end
  add_loop(iter, set)
end

local function end_loop(iter)
  iter.loop[iter] = nil
  iter.loop = nil
end

-- The to-be-closed value of a close: where another task is inside, what cannot be closed is as before.
local Closing = { __metatable = false }

function Closing:__close(err)
  if not is_misuse(err) then return end
  local iter = self.iter
  iter.closed, iter.step, iter.closer, iter.uncounted = false, self.step, self.closer, self.uncounted
  if self.loop then add_loop(iter, self.loop) end
end

local function close(self)
  if self.closed then return end
  local closer = self.closer
  local _ <close> = self.holds -- only what holds something is ever refused
    and setmetatable({ iter = self, step = self.step, closer = closer, uncounted = self.uncounted, loop = self.loop }, Closing)
  self.closed, self.step, self.closer, self.uncounted = true, nothing, nil, true
  if self.loop then end_loop(self) end
  local _ <close> = self.closes
  if closer then closer() end
end

-- Calls the `close` of an Iter, or of several, after something raised `err`, or nothing did. The first
-- error goes on, what closing fails with after it is reported. A cancellation gives way, as nobody
-- misses it; and so does what was before a close that was refused, which is to be called again. So
-- that of an Iter does not count here: what raises where such calls never end would be lost each time.
local function close_after(it, err)
  if err == nil then return it:close() end
  local ok, further = raw_pcall(is_iter(it) and close or it.close, it)
  if ok then return end
  if is(err, "cancelled") or is_misuse(further) then
    report_lost(err)
    error(further, 0)
  end
  report_lost(further)
end

tide.set_hook("loops", function(task)
  local set, ok, failure = loops[task] or {}, true, nil
  loops[task] = nil
  for iter in pairs(set) do
    iter.loop = nil
    local closed, err = raw_pcall(iter.close, iter)
    if not closed and ok then
      ok, failure = false, err
    elseif not closed then
      report_lost(err)
    end
  end
  if not ok then error(failure, 0) end
end)

-- it:close() (waits, if it has tasks): closes it and its source, cancels its tasks and awaits them.
-- Every call after it gives nil. Harmless when repeated. Raises, and closes nothing, where another
-- task is inside a source that only one may be in.
function Iter:close()
  counts()
  check_self(self, "close")
  close(self)
end

function meta:__close(err)
  if err ~= nil and is_misuse(err) then return end
  close_after(self, err)
end

-- Whether the caller's coroutine is being closed, by kill or coroutine.close, which give no error.
local function is_being_closed()
  local _, is_main = running()
  return not is_main and not is_yieldable()
end

-- The to-be-closed value of a call: closes the Iter if the call raised. `returns` is true from just
-- before the call returns until the guard is closed, which is the next thing that happens: what a guard
-- is closed for without it is an error, and that may be nil.
local Guard = {}

function Guard:__close(err)
  if self.returns then
    self.returns = false
  elseif self.sends and is(err, "misuse") then
    return -- nothing was begun
  elseif err == nil and is_being_closed() or is_misuse(err) or is_interruption(err) then
    return -- it may go on
  else
    close_after(self.iter, err)
  end
end

local function given(guard, first, ...)
  if first == nil then
    guard.iter:close()
    guard.returns = true
    return nil
  end
  guard.returns = true
  return first, ...
end

-- it() (may wait) -> the next value or values, or nil
function meta:__call()
  if self.uncounted then counts() end
  local guard = self.guard
  if not guard then
    guard = setmetatable({ iter = self, returns = false }, Guard)
    self.guard = guard
  end
  local _ <close> = guard
  return given(guard, self.step())
end

-- The same by another function of a generator's than its step.
local function resume_by(self, name, value)
  counts()
  check_self(self, name)
  local resume = self[name .. "er"] or error(new_error("misuse", name .. ": only a generator takes that, not what was made of one"), 0)
  local guard <close> = setmetatable({ iter = self, returns = false, sends = name == "send" }, Guard)
  return given(guard, resume(value))
end

-- generator:send(value) (may wait) -> the next step; the value is what `yield` returns
function Iter:send(value) return resume_by(self, "send", value) end

-- generator:throw(err) (may wait) -> the next step; `yield` raises the error
function Iter:throw(err) return resume_by(self, "throw", err) end

-- for x in it:each() do: the loop closes it, whatever way it is left
function Iter:each()
  check_self(self, "each")
  local task = self.holds and not self.loop and current_task()
  if task then begin_loop(self, task) end
  return self.step, nil, nil, self
end

function meta:__tostring()
  local names, iter = {}, self
  repeat
    table.insert(names, 1, iter.name)
    iter = iter.source
  until not iter
  return string.format("Iter(%s%s)", table.concat(names, ", "), self.closed and "; closed" or "")
end

return {
  Iter = Iter, -- its methods: the other parts add to them
  is_iter = is_iter,
  new = new,
  nothing = nothing,
  holding = holding,

  new_exclusive = new_exclusive,
  is_misuse = is_misuse,
  report_lost = report_lost,
  close_after = close_after,

  check_count = check_count,
  check_function = check_function,
  optional_function = optional_function,
  check_seconds = check_seconds,
  check_self = check_self,
  no_result = no_result,
}
