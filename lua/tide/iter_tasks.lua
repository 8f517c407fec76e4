-- tide.iter_tasks: iterators that have tasks: buffer, map_concurrent, merge, debounce.
--
-- Tasks put items into a Pipe, the consumer's step takes them out. A Crew is the consumer's end; the
-- tasks do not know it, so that it is collected where the iterator is dropped: that cancels them.
-- The tasks begin with the first step. One of them, the leader, ends last, and closes the source.
local check = require "tide.check"
local ends = require "tide.ends"
local iter = require "tide.iter"
local tide = require "tide"
local from = require "tide.iter_sources".from

local Iter, check_self, no_result = iter.Iter, iter.check_self, iter.no_result
local Queue, Semaphore, TaskGroup = tide.Queue, tide.Semaphore, tide.TaskGroup
local current_task, is, move_on_after, run_scope = tide.current_task, tide.is, tide.move_on_after, tide.scope
local shield_call, spawn = tide.shield_call, tide.spawn
local traced, raise_traced = tide.traced, tide.raise_traced -- a pcall that lets cancellation through
local is_yieldable = tide.raw.coroutine.isyieldable
local raw_pcall = tide.raw.pcall
local report_lost = iter.report_lost

local next_item = Queue():iter() -- of any queue: the next item, or nil where it is closed and empty

-- ---- items: one value as it is, several in a Pack

local Pack = {}

local function pack(first, ...)
  if select("#", ...) == 0 then return first end
  return setmetatable(table.pack(first, ...), Pack)
end

local function unpack(item)
  if getmetatable(item) == Pack then return table.unpack(item, 1, item.n) end
  return item
end

-- ---- Pipe: what tasks and consumer share

local Pipe = {}
Pipe.__index = Pipe

-- At most `ahead` items are under way: from before they are pulled until they are taken out.
local function new_pipe(ahead)
  local self = setmetatable({
    queue = Queue(), -- of items; closed at the end
    permits = Semaphore(ahead),
    tasks = setmetatable({}, { __mode = "k" }), -- its tasks
    scope = nil, -- around the work, once that has begun
    failed = false, -- `failure` is to be raised when the queue is empty
    failure = nil,
    traceback = nil, -- of the failure, and
    culprit = nil, -- the name of the task in which it was
    closing = false, -- the consumer wants no more
    dropped = false, -- there is no consumer any more
    never_began = nil, -- the leader's done callback, until it begins
  }, Pipe)
  function self.never_began(leader)
    local _, err = raw_pcall(leader.error, leader)
    self:__close(err)
  end
  return self
end

-- Makes the tasks end; not for what they close.
function Pipe:stop(leader, reason)
  self.closing = true
  if self.scope then self.scope:cancel(reason) else leader:cancel(reason) end
end

-- Puts an item. Returns whether more are wanted.
function Pipe:put(item)
  if self.closing or self.failed then return false end
  self.queue:put_nowait(item)
  return true
end

-- Ends the items by an error, with its traceback or nil. Only the first is the consumer's.
function Pipe:fail(err, traceback)
  if self.failed then return report_lost(err, traceback) end
  self.failed, self.failure, self.traceback = true, err, traceback
  self.queue:close()
  if traceback then self.culprit = current_task():name() end
end

-- Raises the error to whoever takes the items.
function Pipe:raise()
  self.failed = false
  return raise_traced(self.failure, self.traceback, self.culprit)
end

-- At the end of the leader: however it ended, the consumer hears of it.
function Pipe:__close(err)
  if err ~= nil and not (self.failed and rawequal(err, self.failure)) then self:fail(err) end
  self.queue:close()
end

-- The failure that is kept is nobody's.
function Pipe:drop_failure()
  if self.failed then report_lost(self.failure, self.traceback) end
  self.failed, self.failure = false, nil
end

-- ---- Crew: the consumer's end

local Crew = {}
Crew.__index = Crew

function Crew:__gc()
  self.pipe.dropped = true
  self.pipe:drop_failure()
  if self.leader then raw_pcall(self.pipe.stop, self.pipe, self.leader, "the iterator was dropped") end
end

-- The task that does the work. The source is closed outside the scope that is cancelled to end it, so
-- that its cleanup may wait. A failure while it is being closed is raised by close; where there is
-- nobody to close it, the task fails and is reported.
local function lead(pipe, source, work, ...)
  local _ <close> = pipe
  current_task():remove_done_callback(pipe.never_began)
  local arguments = table.pack(...)
  local ok, err, traceback = traced(function()
    local _ <close> = source
    run_scope(function(scope)
      pipe.scope = scope
      work(pipe, table.unpack(arguments, 1, arguments.n))
    end)
  end)
  if not ok then pipe:fail(err, traceback) end
  if pipe.dropped and pipe.failed then raise_traced(pipe.failure, pipe.traceback) end
end

function Crew:start()
  local pipe = self.pipe
  self.leader = spawn(lead, pipe, self.source, self.work, table.unpack(self.arguments, 1, self.arguments.n))
  self.leader:set_name("iter " .. self.name)
  self.leader:add_done_callback(pipe.never_began)
  pipe.tasks[self.leader] = true
  self.source, self.work, self.arguments = nil, nil, nil
end

-- Cancels the tasks and waits until they have ended. Outside tasks, in a task of its own and in one that
-- is being killed it does not wait. The leader closes the source; where there is none yet, this does.
function Crew:close()
  local pipe, leader, me = self.pipe, self.leader, current_task()
  do
    local _ <close> = self.source
  end
  pipe:drop_failure()
  pipe.closing = true
  pipe.queue:close { immediate = true }
  self.closed, self.leader = true, nil
  if not leader or leader:done() then return end
  pipe:stop(leader, "the iterator was closed")
  pipe.dropped = not me or pipe.tasks[me] == nil and not is_yieldable()
  if pipe.dropped or pipe.tasks[me] then return end
  shield_call(ends, { leader })
  if pipe.failed and not is(pipe.failure, "cancelled") then pipe:raise() end
end

-- The next item, unpacked.
local function deliver(pipe, item)
  if item ~= nil then
    pipe.permits:release()
    return unpack(item)
  end
  if pipe.failed and not pipe.closing then pipe:raise() end
  return nil
end

-- An Iter whose items come from work(pipe, ...), done by a task, which then closes `sources`; `ahead`
-- as for new_pipe.
local function new(name, source, sources, ahead, work, ...)
  local crew = setmetatable({
    pipe = new_pipe(ahead),
    leader = nil, -- the task, from the first step on
    closed = false,
    name = name,
    source = sources,
    work = work,
    arguments = table.pack(...),
  }, Crew)
  local pipe = crew.pipe
  local queue = pipe.queue
  local function step()
    if not crew.leader then
      if crew.closed then return nil end
      if current_task() then crew:start() end
    end
    return deliver(pipe, next_item(queue))
  end
  local self = iter.holding(iter.new(step, function() crew:close() end, name, source))
  self.closes = nil -- the crew does
  return self
end

-- ---- buffer

-- Moves all that a step gives into the pipe.
local function pump(pipe, step)
  local permits = pipe.permits
  repeat
    permits:acquire()
    local item = pack(step())
  until item == nil or not pipe:put(item)
end

-- it:buffer(n) -> Iter that reads ahead: at most n values
function Iter:buffer(n)
  check_self(self, "buffer")
  n = iter.check_count(n, 1, "buffer")
  return new("buffer", self, self, n, pump, self.step)
end

-- ---- map_concurrent

local Failure = {} -- {err, traceback or nil}: in the place of an item

-- What the function gave: an item, or a Failure.
local function result_of(ok, first, ...)
  if not ok then return setmetatable({ first, (...) }, Failure) end
  if first == nil then return result_of(traced(no_result, "map_concurrent")) end
  return pack(first, ...)
end

local function is_failure(item) return getmetatable(item) == Failure end

-- A map_concurrent at work: results of the values 1, 2, ...
local Mapping = {}
Mapping.__index = Mapping

-- Ends what is done for values behind the one of that number, which failed.
function Mapping:cancel_behind(number)
  self.last = math.min(self.last, number)
  if self.feeder then self.feeder:cancel "another task failed" end
  for other, task in pairs(self.running) do
    if other > number then task:cancel "another task failed" end
  end
end

-- Of a result that nobody gets, for a failure that comes before it.
local function drop_result(item)
  if is_failure(item) then report_lost(item[1], item[2]) end
end

-- In order: a result waits until those before it are there.
function Mapping:settle_in_order(number, item)
  if number > self.last then return drop_result(item) end
  if is_failure(item) then self:cancel_behind(number) end
  local results, pipe = self.results, self.pipe
  results[number] = item
  while results[self.head] ~= nil do
    item = results[self.head]
    results[self.head] = nil
    self.head = self.head + 1
    if is_failure(item) then
      for _, later in pairs(results) do drop_result(later) end
      return pipe:fail(item[1], item[2])
    end
    pipe:put(item)
  end
end

-- As they come. The error of the source waits for the results of what came before it.
function Mapping:settle(number, item)
  if not is_failure(item) then
    self.pipe:put(item)
  elseif number > self.count then
    self.last_failure = item
  else
    self:cancel_behind(0)
    self.pipe:fail(item[1], item[2])
  end
end

local function settle(mapping, number, item)
  if not mapping.pipe.closing then
    mapping:settle(number, item)
  elseif is_failure(item) then
    mapping.pipe:fail(item[1], item[2])
  end
end

local function work_on(mapping, number, fn, ...)
  local item = result_of(traced(fn, ...))
  mapping.running[number] = nil
  settle(mapping, number, item)
end

-- Spawns the work on a value. Returns whether to go on.
local function take_up(mapping, group, fn, ok, first, ...)
  if not ok then
    settle(mapping, mapping.count + 1, result_of(false, first, ...))
    return false
  end
  if first == nil or mapping.last < math.huge or mapping.pipe.closing then return false end
  local number = mapping.count + 1
  mapping.count = number
  local task = group:spawn(work_on, mapping, number, fn, first, ...)
  mapping.running[number] = task
  mapping.pipe.tasks[task] = true
  return true
end

local function feed(mapping, group, fn, step)
  local permits = mapping.pipe.permits
  repeat permits:acquire() until not take_up(mapping, group, fn, traced(step))
  mapping.feeder = nil
end

local function map_all(pipe, step, fn, ordered)
  local mapping = setmetatable({
    pipe = pipe,
    running = {}, -- number -> task
    count = 0, -- values taken up
    last = math.huge, -- the number of the first that failed
    results = {}, -- in order: number -> item, behind the head
    head = 1, -- in order: the number of the next item
    feeder = nil, -- the task that reads the source
    last_failure = nil, -- not in order: of the source
  }, Mapping)
  if ordered then mapping.settle = Mapping.settle_in_order end
  TaskGroup(function(group)
    mapping.feeder = group:spawn(feed, mapping, group, fn, step)
    pipe.tasks[mapping.feeder] = true
  end)
  if mapping.last_failure then pipe:fail(mapping.last_failure[1], mapping.last_failure[2]) end
end

-- it:map_concurrent(n, fn[, {ordered=true}]) -> Iter of what fn gives; at most n values are at work,
-- or done and not taken yet. Unordered: results as they come
function Iter:map_concurrent(n, fn, options)
  check_self(self, "map_concurrent")
  n = iter.check_count(n, 1, "map_concurrent")
  iter.check_function(fn, 2, "map_concurrent")
  local ordered = check.options(3, "map_concurrent", "ordered:flag", options, 2)
  return new("map_concurrent", self, self, n, map_all, self.step, fn, ordered ~= false)
end

-- ---- merge

-- To be closed: all of a list of Iters, whichever fails.
local All = {}
All.__index = All
All.__close = iter.close_after

local function close_from(list, i)
  if i > #list then return end
  local _ <close> = list[i]
  return close_from(list, i + 1)
end

function All:close()
  close_from(self, 1)
end

local function pump_and_close(pipe, source)
  pump(pipe, source.step)
  if not pipe.closing and not pipe.failed then source:close() end -- else the leader does, uncancelled
end

local function pump_one(pipe, group, source)
  local ok, err, traceback = traced(pump_and_close, pipe, source)
  if ok then return end
  pipe:fail(err, traceback)
  group:cancel "another source failed"
end

local function merge_all(pipe, sources)
  TaskGroup(function(group)
    for _, source in ipairs(sources) do
      pipe.tasks[group:spawn(pump_one, pipe, group, source)] = true
    end
  end)
end

-- it:merge(other, ...) -> Iter of the values of all, as they come; others: what tide.iter takes
function Iter:merge(...)
  check_self(self, "merge")
  local sources = setmetatable({ self, ... }, All)
  for i = 2, select("#", ...) + 1 do
    sources[i] = from(sources[i]) or check.unexpected(i - 1, "merge", "something to iterate", sources[i], 2)
  end
  return new("merge", self, sources, #sources, merge_all, sources)
end

-- ---- debounce

local function pack_next(step)
  return pack(step())
end

-- Puts the item, and waits until it was taken.
local function hand_over(pipe, item)
  if not pipe:put(item) then return false end
  pipe.permits:acquire()
  return true
end

-- One round: waits for a value, then for quiet. Returns whether to go on. A wait in the step can be
-- cancelled: it is a buffer's.
local function debounce_one(pipe, step, seconds)
  local item = pack(step())
  while item ~= nil do
    local ok, in_time, newer = traced(move_on_after, seconds, pack_next, step)
    if not ok then
      pipe:put(item)
      raise_traced(in_time, newer)
    end
    if not in_time then return hand_over(pipe, item) end
    if newer == nil then pipe:put(item) end
    item = newer
  end
  return false
end

local function debounce_all(pipe, step, seconds)
  pipe.permits:acquire()
  while debounce_one(pipe, step, seconds) do end
end

-- it:debounce(seconds) -> Iter of the last value before each spell of so many seconds without one, and
-- the last of all. A task reads on while the value waits to be taken: the one after it
function Iter:debounce(seconds)
  check_self(self, "debounce")
  iter.check_seconds(seconds, "debounce")
  local ahead = self:buffer(1)
  return new("debounce", ahead, ahead, 1, debounce_all, ahead.step, seconds)
end
