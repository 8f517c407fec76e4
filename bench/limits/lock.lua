-- Limit of a lock: first come, first served, in plain Lua over a round-robin scheduler, held across one yield. lock.lua [tasks] [acquires]
local assert, clock, error = assert, os.clock, error
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield

local tasks = tonumber((...)) or 100
local rounds = (tonumber((select(2, ...))) or 1000000) // tasks

local AGAIN = true -- what a coroutine yields that stays ready; one that parks yields nothing
local current
local ready, nready = {}, 0 -- runs in the next turn

local function make_ready(co)
  nready = nready + 1
  ready[nready] = co
end

-- Runs turns, each with what was ready at its start, until nothing is.
local function run()
  local turn = {}
  while nready > 0 do
    local n = nready
    turn, ready, nready = ready, turn, 0
    for i = 1, n do
      current = turn[i]
      local _, again = assert(resume(current))
      if again then make_ready(current) end
    end
  end
end

local owner
local waiting, count, head, tail = {}, 0, 0, 0 -- a ring with room for every task

local function acquire()
  if not owner then
    owner = current
    return
  end
  tail = tail % tasks + 1
  waiting[tail] = current
  count = count + 1
  yield()
end

local function release()
  if count == 0 then
    owner = nil
    return
  end
  head = head % tasks + 1
  count = count - 1
  owner = waiting[head]
  make_ready(owner)
end

local held, acquired = false, 0
local function work()
  for _ = 1, rounds do
    acquire()
    if held then error("two tasks hold the lock") end
    held = true
    yield(AGAIN)
    held = false
    acquired = acquired + 1
    release()
  end
end

for _ = 1, tasks do make_ready(create(work)) end
local began = clock()
run()
local spent = clock() - began
assert(acquired == rounds * tasks)
print(("ns %.1f"):format(spent * 1e9 / acquired))
