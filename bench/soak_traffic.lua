-- The traffic of the soak: small programs of everything that waits, each of random length. Each checks what it
-- did, leaves nothing behind when it ends, and may be cancelled at any point.
local tide = require "tide"

local assert, pcall, random = assert, pcall, math.random -- pcall: tide's, lets cancellation through
local is, sleep, spawn, try = tide.is, tide.sleep, tide.spawn, tide.try
local move_on_after, timeout, TaskGroup = tide.move_on_after, tide.timeout, tide.TaskGroup
local raw_pcall = tide.raw.pcall

local MOMENT = 0.003 -- seconds: no pause is longer

local function moment() return random() * MOMENT end
local function pause() sleep(random(3) == 1 and 0 or moment()) end
local function one_in(n) return random(n) == 1 end

local function closer(f) return setmetatable({}, { __close = f }) end

-- Calls f, then check, also where f was cancelled; then f's error passes.
local function checked(f, check)
  local ok, err = raw_pcall(f)
  check(ok)
  if not ok then error(err, 0) end
end

-- Raises errors other than those of that kind.
local function expect(kind, ok, err)
  if not ok and not is(err, kind) then error(err, 0) end
end

local traffic = {}

function traffic.tasks()
  local function child(x)
    pause()
    return x
  end
  local tasks = {}
  for i = 1, random(20) do tasks[i] = spawn(child, i) end
  for _, task in ipairs(tasks) do
    if one_in(4) then task:cancel("no more") elseif one_in(8) then task:kill() end
  end
  for i, task in ipairs(tasks) do
    local result, err = try(task.await, task)
    assert(result == i or (is(err, "cancelled") and err.task == task))
  end
end

function traffic.timeouts()
  expect("timeout", pcall(timeout, moment(), function()
    local inner <close> = timeout(moment())
    pause()
    tide.shield(pause)
    if not inner:expired() then inner:reschedule(tide.time() + moment()) end
    pause()
  end))
end

-- What was put is what was taken and what is left, also when the traffic was cancelled.
function traffic.queue()
  local kind = one_in(3) and "LifoQueue" or one_in(2) and "PriorityQueue" or "Queue"
  local queue, put, taken = tide[kind](random(4)), 0, 0
  local function produce()
    for i = 1, random(30) do
      queue:put(i, kind == "PriorityQueue" and random(3) or nil)
      put = put + i
      if one_in(8) then pause() end
    end
  end
  local function take()
    local i = queue:get()
    taken = taken + i
  end
  local function consume()
    for i in queue:iter() do
      taken = taken + i
      if one_in(8) then pause() end
      move_on_after(moment(), take)
    end
  end
  local function consume_all() expect("closed", pcall(consume)) end
  checked(function()
    TaskGroup(function(group)
      for _ = 1, random(3) do group:spawn(consume_all) end
      TaskGroup(function(producers)
        for _ = 1, random(3) do producers:spawn(produce) end
      end)
      queue:close()
    end)
  end, function()
    while not queue:empty() do taken = taken + queue:get_nowait() end
    assert(put == taken, "an item was lost or doubled")
  end)
end

-- At most so many are inside at a time.
local function exclusion(most, enter)
  local inside = 0
  local function visit()
    local _ <close> = enter()
    inside = inside + 1
    local _ <close> = closer(function() inside = inside - 1 end)
    assert(inside <= most, "too many inside")
    pause()
  end
  TaskGroup(function(group)
    for _ = 1, random(8) do
      group:spawn(function()
        for _ = 1, random(4) do move_on_after(moment(), visit) end
      end)
    end
  end)
end

function traffic.lock()
  local lock = tide.Lock()
  checked(function()
    exclusion(1, function() return lock:acquire() end)
  end, function() assert(not lock:locked(), "a lock was left taken") end)
end

function traffic.semaphore()
  local n = random(3)
  local semaphore = tide.BoundedSemaphore(n)
  checked(function()
    exclusion(n, function() return semaphore:acquire() end)
  end, function()
    for _ = 1, n do assert(semaphore:try_acquire(), "a permit was lost") end
  end)
end

function traffic.rwlock()
  local rwlock = tide.RWLock()
  exclusion(8, function()
    if not one_in(3) then return rwlock:read() end
    return rwlock:write()
  end)
end

function traffic.condition()
  local lock, there, wanted = tide.Lock(), 0, random(6)
  local condition = tide.Condition(lock)
  TaskGroup(function(group)
    for _ = 1, wanted do
      group:spawn(function()
        local _ <close> = lock:acquire()
        condition:wait_for(function() return there > 0 end)
        there = there - 1
      end)
    end
    for _ = 1, wanted do
      pause()
      local _ <close> = lock:acquire()
      there = there + 1
      condition:notify()
    end
  end)
  assert(there == 0)
end

function traffic.event_and_barrier()
  local event, barrier, passed = tide.Event(), tide.Barrier(random(5)), 0
  TaskGroup(function(group)
    for _ = 1, barrier:parties() do
      group:spawn(function()
        event:wait()
        pause()
        barrier:wait()
        passed = passed + 1
      end)
    end
    pause()
    event:set()
  end)
  assert(passed == barrier:parties())
end

-- The first failure cancels the others; all are over when the group is.
function traffic.group()
  local running, failing = 0, one_in(2)
  local function child(fails)
    running = running + 1
    local _ <close> = closer(function() running = running - 1 end)
    pause()
    if fails then error("on purpose", 0) end
    sleep(failing and 60 or moment())
  end
  checked(function()
    local ok, err = pcall(TaskGroup, function(group)
      for i = 1, random(10) do group:spawn(child, failing and i == 1) end
      if failing then sleep(60) end
    end)
    assert(ok ~= failing)
    if failing then assert(err.errors[1] == "on purpose") end
  end, function() assert(running == 0, "a child outlived its group") end)
end

-- Values of a generator that waits; `opened` counts the bodies that are open.
local function values(n, opened)
  return tide.generator(function(yield)
    opened.count = opened.count + 1
    local _ <close> = closer(function() opened.count = opened.count - 1 end)
    for i = 1, n do
      if one_in(4) then pause() end
      yield(i)
    end
  end)
end

local function double(x)
  if one_in(4) then pause() end
  return 2 * x
end

function traffic.generator()
  local opened, n = { count = 0 }, random(20)
  checked(function()
    for i in values(n, opened):each() do
      if i == n // 2 then break end
    end
  end, function() assert(opened.count == 0, "a generator was left open") end)
  local dropped = values(2, opened) -- open, for the collector
  assert(dropped() == 1)
end

function traffic.iterators()
  local opened, n = { count = 0 }, random(20)
  checked(function()
    local sum = values(n, opened):map(double):filter(function(x) return x % 4 ~= 0 end)
      :buffer(random(4)):map_concurrent(random(4), double):reduce(function(a, b) return a + b end, 0)
    assert(sum == 4 * ((n + 1) // 2) ^ 2)
    assert(values(n, opened):merge(values(n, opened), { 1, 2 }):count() == 2 * n + 2)
    assert(values(n, opened):buffer(2):first() == 1)
  end, function() assert(opened.count == 0, "an iterator left a generator open") end)
end

function traffic.select()
  local a, b, event = tide.Queue(1), tide.Queue(1), tide.Event()
  local sent, got, n = 0, 0, random(20)
  local function produce()
    for i = 1, n do
      tide.select(a:putting(i), b:putting(i))
      sent = sent + 1
      if one_in(4) then pause() end
    end
    event:set()
  end
  TaskGroup(function(group)
    group:spawn(produce)
    repeat
      local which = tide.select(a, b, event, tide.after(moment()))
      if which <= 2 then got = got + 1 end
    until which == 3
  end)
  assert(sent == n and got == n, "an item of select was lost or doubled")
end

function traffic.combinators()
  local function slow(x)
    return function()
      pause()
      return x
    end
  end
  local all = tide.gather { slow "a", slow "b" }
  assert(all[1] == "a" and all[2] == "b")
  local winner, result = tide.race { slow "a", slow "b", slow "c" }
  assert(result == ("abc"):sub(winner, winner))
  local done, pending = tide.wait { slow(1), slow(2), timeout = moment(), return_when = "first" }
  assert(#done + #pending == 2)
  for task in tide.as_completed { slow(1), slow(2) } do task:result() end
  expect("timeout", pcall(tide.wait_for, slow(1), moment()))
end

function traffic.futures_and_callbacks()
  local future, called = tide.Future(), false
  local handle = tide.call_later(60, error, "not cancelled")
  local _ <close> = closer(function() handle:cancel() end)
  tide.call_later(moment(), function() called = true end)
  TaskGroup(function(group)
    for _ = 1, random(5) do
      group:spawn(function() assert(future:await() == "value") end)
    end
    pause()
    if not future:done() then future:set_result "value" end -- else it was cancelled with who awaits it
  end)
  while not called do pause() end
end

-- Bytes through a server that echoes; the peer is sometimes left in the middle.
local function echo_traffic(host, port)
  return function()
    local stream <close> = tide.net.connect(host, port)
    for _ = 1, random(5) do
      local message = string.rep(string.char(random(97, 122)), random(one_in(8) and 200000 or 2000))
      stream:write(message)
      if one_in(10) then return end
      local cut = random(0, #message)
      assert(stream:read_exactly(cut) .. stream:read_exactly(#message - cut) == message)
    end
  end
end

local function pair_traffic()
  local a, b = tide.net.pair()
  local _ <close> = a
  local _ <close> = b
  TaskGroup(function(group)
    group:spawn(function()
      for i = 1, random(50) do a:write(i, "\n") end
      a:close_write()
    end)
    local i = 0
    for line in b:lines() do
      i = i + 1
      assert(tonumber(line) == i)
      if one_in(20) then move_on_after(0, sleep, 1) end
    end
  end)
end

-- Adds the traffic of sockets, to a server that echoes.
function traffic.add_sockets(host, port)
  traffic.add_sockets = nil
  traffic.echo, traffic.pair = echo_traffic(host, port), pair_traffic
end

return traffic
