-- Soak: random traffic for a long time, after which no more may be held than before. See README.md.
--
-- Traffic runs in rounds of many pieces at once, of which some run into a timeout, are cancelled or killed. Between
-- rounds everything is over: then tasks, handles, timers, descriptors and references must be what they were.
local here = arg[0]:match "^(.*)/[^/]*$" or "."

local tide = require "tide"
local traffic = dofile(here .. "/soak_traffic.lua")

local collectgarbage, random = collectgarbage, math.random
local is, sleep, spawn, time = tide.is, tide.sleep, tide.spawn, tide.time

local USAGE = [[
usage: tide bench/soak.lua [SECONDS] [options]
  --seed N       of what is random; the time by default
  --leak WHAT    keeps a thing after each round: memory, task, handle or socket; the soak must then fail
  --no-rss       does not judge the resident set: for builds with sanitizers, which keep what is freed
]]

local MAX_GROWTH = { rss = 2048, lua = 128 } -- KiB
local PIECES = 60 -- of traffic in a round
local PATIENCE = 10 -- seconds, at most, in which what a round left behind must be over
local SAMPLES = 10 -- in a fifth of the time, at least; no more than one a second
local LINE = 30 -- seconds between lines

local function fail(message)
  io.stderr:write(message, "\n")
  os.exit(1)
end

local function parse(args)
  local options, i = { seconds = 600, seed = os.time() }, 1
  while args[i] do
    if args[i] == "--seed" and math.tointeger(tonumber(args[i + 1])) then
      options.seed = math.tointeger(tonumber(args[i + 1]))
      i = i + 1
    elseif args[i] == "--leak" and args[i + 1] then
      options.leak = args[i + 1]
      i = i + 1
    elseif args[i] == "--no-rss" then
      options.no_rss = true
    elseif i == 1 and tonumber(args[1]) then
      options.seconds = tonumber(args[1])
    else
      fail(USAGE)
    end
    i = i + 1
  end
  return options
end

local counts = { rounds = 0, pieces = 0, timeout = 0, cancelled = 0, killed = 0 }

-- ---- what is held

-- Descriptors, counted without opening a folder.
local function count_fds()
  local count = 0
  for fd = 0, 1023 do
    local file = io.open("/proc/self/fdinfo/" .. fd)
    if file then
      file:close()
      count = count + 1
    end
  end
  return count
end

-- References in the registry: not its names, and not luaL_ref's list of free places.
local function count_references()
  local count = 0
  for key, value in pairs(debug.getregistry()) do
    if type(key) ~= "string" and math.type(value) ~= "integer" then count = count + 1 end
  end
  return count
end

local function resident()
  local status <close> = assert(io.open "/proc/self/status")
  return tonumber(status:read("a"):match "VmRSS:%s*(%d+) kB")
end

local HELD = { "tasks", "handles", "timers", "watching", "fds", "references" }

local function holdings()
  collectgarbage()
  collectgarbage()
  local stats = tide.stats()
  return {
    tasks = stats.tasks, handles = stats.handles, timers = stats.timers, watching = stats.watching,
    fds = count_fds(), references = count_references(), rss = resident(), lua = collectgarbage "count",
  }
end

-- What there is more of than before, as text, or nil.
local function more(before, now)
  local left = {}
  for _, what in ipairs(HELD) do
    if now[what] > before[what] then left[#left + 1] = ("%d %s"):format(now[what] - before[what], what) end
  end
  return #left > 0 and table.concat(left, ", ") or nil
end

-- What is held once all that ends soon has ended; the second result is what was left, or nil.
local function settled(before, patience)
  local deadline = time() + patience
  while true do
    local now = holdings()
    local left = more(before, now)
    if not left or time() > deadline then return now, left end
    sleep(0.01)
  end
end

-- ---- traffic

local function names_of(pieces)
  local names = {}
  for name in pairs(pieces) do names[#names + 1] = name end
  table.sort(names) -- so that a seed means the same in each run
  return names
end

-- Waits for a task that was cancelled, killed or is too late, and says which of it came true.
local function await(task, fate)
  local _, err = tide.try(task.await, task)
  if is(err, "cancelled") and err.task == task then
    counts[fate] = counts[fate] + 1
  elseif err ~= nil then
    error(err, 0)
  end
end

local fates = {}

function fates.finish(piece) piece() end

function fates.timeout(piece)
  if not tide.move_on_after(random() * 0.01, piece) then counts.timeout = counts.timeout + 1 end
end

function fates.cancelled(piece)
  local task = spawn(piece)
  sleep(random() * 0.01)
  task:cancel("the soak")
  await(task, "cancelled")
end

local function run_piece(names)
  local piece = traffic[names[random(#names)]]
  counts.pieces = counts.pieces + 1
  local fate = random(4)
  if fate == 1 then return fates.timeout(piece) end
  if fate == 2 then return fates.cancelled(piece) end
  return fates.finish(piece)
end

-- Killed in a wait, with something held: what cannot wait is closed, and the lock is free again.
local function kill_one()
  local lock, queue = tide.Lock(), tide.Queue()
  local task = spawn(function()
    local _ <close> = lock:acquire()
    queue:get()
  end)
  sleep(0)
  task:kill()
  await(task, "killed")
  assert(not lock:locked())
end

local function round(names)
  tide.TaskGroup(function(group)
    for _ = 1, PIECES do group:spawn(run_piece, names) end
    group:spawn(kill_one)
  end)
  counts.rounds = counts.rounds + 1
end

-- What is there from the beginning to the end: two queues with a task between them and one behind, a server with
-- connections. It does something only when a round does, so that what it holds between rounds is always the same. The
-- function returned puts something into the first queue.
local function open_background()
  local first, second = tide.Queue(4), tide.Queue(4)
  spawn(function()
    for item in first:iter() do second:put(item) end
  end)
  spawn(function()
    for _ in second:iter() do sleep(0) end
  end)
  local function feed(item) first:put(item) end
  if not tide.net then return feed end
  local server = tide.net.serve(function(stream)
    for data in stream:chunks(65536) do
      if not pcall(stream.write, stream, data) then break end
    end
  end, "127.0.0.1", 0, { on_error = function(err) assert(is(err, "os"), err) end })
  local host, port = server:address()
  for _ = 1, 5 do
    spawn(function()
      local stream <close> = tide.net.connect(host, port)
      for data in stream:chunks(100) do stream:write(data) end
    end)
  end
  traffic.add_sockets(host, port)
  return feed
end

-- What `--leak` keeps.
local kept = {}
local leaks = {
  memory = function() return ("x"):rep(40000) .. #kept end,
  task = function() return spawn(sleep, 1e6) end,
  handle = function() return tide.call_later(1e6, print) end,
  socket = function() return tide.net.listen("127.0.0.1", 0) end,
}

-- ---- the verdict

local function median(values)
  table.sort(values)
  return values[(#values + 1) // 2]
end

-- By how much the values, one for each of the times, grew: the first fifth of the time warms up, the second is compared
-- with the last.
local function growth(times, values, seconds)
  local early, late = {}, {}
  for i, value in ipairs(values) do
    local fifth = times[i] * 5 // seconds
    if fifth == 1 then early[#early + 1] = value end
    if fifth >= 4 then late[#late + 1] = value end
  end
  if #early == 0 or #late == 0 then fail "too few samples: the rounds are too slow for so short a soak" end
  return median(late) - median(early)
end

local function judge(samples, options)
  local grown = false
  for _, what in ipairs { "rss", "lua" } do
    local by, most = growth(samples.times, samples[what], options.seconds), MAX_GROWTH[what]
    local judged = what ~= "rss" or not options.no_rss
    print(("%s grew by %.0f KiB after warming up%s"):format(what:upper(), by, judged and (", %d are allowed"):format(most) or ""))
    grown = grown or (judged and by > most)
  end
  if grown then fail "FAILED: memory grows" end
  print "ok"
end

-- ---- the run

local function print_line(elapsed, held)
  print(("%4.0f s: %d rounds, %d pieces (%d timed out, %d cancelled, %d killed); RSS %.0f KiB, Lua %.0f KiB, "
    .. "%d tasks, %d handles, %d timers, %d watching, %d fds, %d references"):format(elapsed, counts.rounds, counts.pieces,
    counts.timeout, counts.cancelled, counts.killed, held.rss, held.lua, held.tasks, held.handles, held.timers,
    held.watching, held.fds, held.references))
end

-- Samples, as lists of equal length: they must not themselves be what grows.
local function soak(before, names, feed, options)
  local samples = { times = {}, rss = {}, lua = {} }
  local seconds, leak = options.seconds, leaks[options.leak]
  local pace, patience = math.min(1, seconds / 5 / SAMPLES), math.min(PATIENCE, seconds)
  local began, next_sample, next_line = time(), 0, 0
  repeat
    feed(counts.rounds)
    round(names)
    if leak then kept[#kept + 1] = leak() end
    local elapsed = time() - began
    local over = elapsed >= seconds
    if over or elapsed >= next_sample then
      local held, left = settled(before, patience)
      local count = #samples.times + 1
      samples.times[count], samples.rss[count], samples.lua[count] = elapsed, held.rss, held.lua
      if over or left or elapsed >= next_line then
        print_line(elapsed, held)
        next_line = next_line + LINE
      end
      if left then fail("FAILED: left behind: " .. left) end
      next_sample = elapsed + pace
    end
  until over
  return samples
end

local options = parse(arg)
if options.leak and not leaks[options.leak] then fail(USAGE) end
math.randomseed(options.seed)
io.stdout:setvbuf "line"
print(("soak: %g s, seed %d"):format(options.seconds, options.seed))
local feed = open_background()
sleep(0.1)
judge(soak(holdings(), names_of(traffic), feed, options), options)
