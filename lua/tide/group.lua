-- tide.group: TaskGroup:start: children that say when they are ready.
local tide = require "tide"

local check = require "tide.check"
local ends = require "tide.ends"

local methods = tide.group_methods
local Future, join, begins, shield_call = tide.Future, tide.join, tide.begins, tide.shield_call
local new_error = tide.error
local traced, raise_traced = tide.traced, tide.raise_traced
local is_yieldable = tide.raw.coroutine.isyieldable
local pack, unpack = table.pack, table.unpack

-- A call of start, to be closed when it is left.
local Start = {}

-- Left before the child was ready: that is cancelled and awaited. What it fails with is start's.
function Start:__close()
  local task = self.task
  if task and not task:done() and not self.ready:done() then
    task:cancel "start was left"
    if is_yieldable() then shield_call(ends, { task }) end
  end
  self.left = true
  if self.failed and not self.raised then raise_traced(self.failure, self.traceback) end
end

-- What the child runs. Once it was ready, or start was left, its failure is its own.
local function run(start, fn, ...)
  local results = pack(traced(fn, start.started, ...))
  if results[1] then return unpack(results, 2, results.n) end
  if start.left or start.ready:done() then return raise_traced(results[2], results[3]) end
  start.failed, start.failure, start.traceback = true, results[2], results[3]
end

-- group:start(fn, ...) (waits) -> what fn, which gets a function `started` before the other arguments
-- and goes on as a child, has given to that
function methods:start(fn, ...)
  begins()
  check.callable(1, "start", fn, 2)
  local ready = Future()
  local function started(...)
    if ready:done() then error(new_error("misuse", "started was called twice"), 2) end
    ready:set_result(...)
  end
  local start <close> = setmetatable({
    ready = ready,
    started = started,
    task = nil, -- the child
    left = false, -- nobody waits any more
    failed = false, -- the child did, with
    failure = nil,
    traceback = nil,
    raised = false, -- and that is being raised
  }, Start)
  local task = self:spawn(run, start, fn, ...)
  start.task = task
  local members <close> = join({ ready, task }, false, false, nil, true)
  members:next()
  if ready:done() then return ready:result() end
  if start.failed then
    start.raised = true
    return raise_traced(start.failure, start.traceback, task:name())
  end
  if task:cancelled() then return task:await() end
  return error(new_error("misuse", "the function given to 'start' has ended without calling started"), 0)
end
