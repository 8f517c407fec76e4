-- The works in luv that it has a means for: coroutines over its timers and idle handles, callbacks for echo. with_luv.lua WORK [ARGUMENTS]
local uv = require "luv"

local assert, clock, random = assert, os.clock, math.random
local create, resume, running, yield = coroutine.create, coroutine.resume, coroutine.running, coroutine.yield

local work = ...
local first, second = tonumber((select(2, ...))), tonumber((select(3, ...)))

local idle = uv.new_idle()
local ready, nready = {}, 0

local function run_ready()
  local turn, n = ready, nready
  ready, nready = {}, 0
  for i = 1, n do assert(resume(turn[i])) end
  if nready == 0 then idle:stop() end
end

local function make_ready(co)
  if nready == 0 then idle:start(run_ready) end
  nready = nready + 1
  ready[nready] = co
end

local function turn()
  make_ready(running())
  yield()
end

local function sleep(seconds)
  local co, timer = running(), uv.new_timer()
  timer:start(math.floor(seconds * 1000 + 0.5), 0, function()
    timer:close()
    assert(resume(co))
  end)
  yield()
end

-- Runs that many coroutines of body to their end.
local function in_parallel(tasks, body)
  for _ = 1, tasks do make_ready(create(body)) end
  uv.run()
end

local function measure(count, tasks, body)
  local began = clock()
  in_parallel(tasks, body)
  print(("ns %.1f"):format((clock() - began) * 1e9 / count))
end

local function settled_bytes()
  collectgarbage()
  collectgarbage()
  return uv.resident_set_memory()
end

local works = {}

function works.switch(tasks, switches)
  local rounds = switches // tasks
  measure(rounds * tasks, tasks, function()
    for _ = 1, rounds do turn() end
  end)
end

function works.timers(tasks, sleeps)
  math.randomseed(42)
  measure(tasks * sleeps, tasks, function()
    for _ = 1, sleeps do sleep(random() * 0.01) end
  end)
end

function works.parked(tasks)
  local before = settled_bytes()
  for _ = 1, tasks do
    make_ready(create(function() sleep(3600) end))
  end
  run_ready()
  print(("bytes %.0f"):format((settled_bytes() - before) / tasks))
end

local function echo(client)
  client:nodelay(true)
  client:read_start(function(err, data)
    if data and not err then client:write(data) else client:close() end
  end)
end

function works.echo()
  local server = uv.new_tcp()
  server:bind("127.0.0.1", 0)
  server:listen(4096, function()
    local client = uv.new_tcp()
    server:accept(client)
    echo(client)
  end)
  print(("port %d"):format(server:getsockname().port))
  io.stdout:flush()
  uv.run()
end

works[work](first, second)
os.exit(true)
