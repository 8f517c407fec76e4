-- The works in cqueues: with_cqueues.lua WORK [ARGUMENTS]
local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local promise = require "cqueues.promise"
local socket = require "cqueues.socket"

local assert, clock, random = assert, os.clock, math.random
local sleep = cqueues.sleep

local work = ...
local first, second = tonumber((select(2, ...))), tonumber((select(3, ...)))

-- Runs that many coroutines of body to their end.
local function in_parallel(tasks, body)
  local loop = cqueues.new()
  for _ = 1, tasks do loop:wrap(body) end
  assert(loop:loop())
end

local function measure(count, tasks, body)
  local began = clock()
  in_parallel(tasks, body)
  print(("ns %.1f"):format((clock() - began) * 1e9 / count))
end

local function settled_bytes()
  collectgarbage()
  collectgarbage()
  local status <close> = assert(io.open("/proc/self/status"))
  return status:read("a"):match("VmRSS:%s*(%d+) kB") * 1024
end

local works = {}

function works.switch(tasks, switches)
  local rounds = switches // tasks
  measure(rounds * tasks, tasks, function()
    for _ = 1, rounds do sleep(0) end
  end)
end

function works.spawn(count)
  local function body(x) return x end
  measure(count, 1, function()
    local batch = {}
    for _ = 1, count // 1000 do
      for i = 1, 1000 do batch[i] = promise.new(body, i) end
      for i = 1, 1000 do assert(batch[i]:get() == i) end
    end
  end)
end

function works.timers(tasks, sleeps)
  math.randomseed(42)
  measure(tasks * sleeps, tasks, function()
    for _ = 1, sleeps do sleep(random() * 0.01) end
  end)
end

function works.parked(tasks)
  local loop = cqueues.new()
  local before = settled_bytes()
  for _ = 1, tasks do
    loop:wrap(function() sleep(3600) end)
  end
  assert(loop:step(0))
  print(("bytes %.0f"):format((settled_bytes() - before) / tasks))
end

-- A ring with two conditions, as its manual composes them.
local function new_queue(capacity)
  local ring, count, head, tail = {}, 0, 0, 0
  local not_full, not_empty = condition.new(), condition.new()
  local function put(value)
    while count == capacity do not_full:wait() end
    tail = tail % capacity + 1
    ring[tail] = value
    count = count + 1
    not_empty:signal(1)
  end
  local function get()
    while count == 0 do not_empty:wait() end
    head = head % capacity + 1
    count = count - 1
    not_full:signal(1)
    return ring[head]
  end
  return put, get
end

function works.queue(capacity, items)
  local put, get = new_queue(capacity)
  local sum, producing = 0, true
  measure(items, 2, function()
    if producing then
      producing = false
      for i = 1, items do put(i) end
    else
      for _ = 1, items do sum = sum + get() end
    end
  end)
  assert(sum == items * (items + 1) // 2)
end

function works.lock(tasks, acquires)
  local rounds, acquired = acquires // tasks, 0
  local held, released = false, condition.new()
  measure(rounds * tasks, tasks, function()
    for _ = 1, rounds do
      while held do released:wait() end
      held = true
      sleep(0)
      acquired = acquired + 1
      held = false
      released:signal(1)
    end
  end)
  assert(acquired == rounds * tasks)
end

local function echo(client)
  client:setmode("bn", "bf")
  client:setbufsiz(65536, 65536)
  client:onerror(function(_, _, code) return code end)
  local data = client:read(-65536)
  while data do
    client:write(data)
    client:flush()
    data = client:read(-65536)
  end
  client:close()
end

function works.echo()
  local server = assert(socket.listen { host = "127.0.0.1", port = 0, nodelay = true })
  local _, _, port = server:localname()
  print(("port %d"):format(port))
  io.stdout:flush()
  local loop = cqueues.new()
  loop:wrap(function()
    for client in server:clients() do
      loop:wrap(echo, client)
    end
  end)
  assert(loop:loop())
end

works[work](first, second)
