-- A health checker: asks a hundred local services for their state, at most ten at a time. Some are
-- down, some too slow, some unwell.
local tide = require "tide"

local Semaphore, TaskGroup, net, sleep = tide.Semaphore, tide.TaskGroup, tide.net, tide.sleep

local services, at_once, patience = 100, 10, 0.25

-- What is checked: every service answers its own line, after its own time.
local function service(i)
  local answer, seconds = "ok", 0.01
  if i % 25 == 0 then seconds = 60 end
  if i % 20 == 7 then answer = "unwell" end
  return net.serve(function(stream)
    stream:read_line()
    sleep(seconds)
    stream:write(answer, "\n")
  end, "127.0.0.1", 0)
end

local function start(count)
  local servers = {}
  for i = 1, count do servers[i] = service(i) end
  for i = 3, count, 10 do servers[i]:close() end -- their ports refuse from now on
  return servers
end

-- Asks one, and tells what it said.
local function ask(host, port)
  local stream <close> = net.connect(host, port)
  stream:write("health?\n")
  return stream:read_line()
end

local busy, busiest = 0, 0

local function check(seats, host, port)
  local _ <close> = seats:acquire()
  busy = busy + 1
  busiest = math.max(busiest, busy)
  local answer, err = tide.try(tide.timeout, patience, ask, host, port)
  busy = busy - 1
  if tide.is(err, "timeout") then return "slow" end
  if tide.is(err, "os") then return "down (" .. err.code .. ")" end
  if err then error(err, 0) end
  return answer or "hung up"
end

local servers = start(services)
local began, counts = tide.time(), {}
do
  local seats = Semaphore(at_once)
  local checks <close> = TaskGroup { name = "checks" }
  for _, server in ipairs(servers) do
    checks:spawn(function()
      local state = check(seats, server:address())
      counts[state] = (counts[state] or 0) + 1
    end)
  end
end

local states = {}
for state in pairs(counts) do states[#states + 1] = state end
table.sort(states)
for _, state in ipairs(states) do print(("%3d %s"):format(counts[state], state)) end
print(("%d services in %.1f s, %d at most at once"):format(services, tide.time() - began, busiest))
for _, server in ipairs(servers) do server:close() end
