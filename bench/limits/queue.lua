-- Limit of a queue: a ring in plain Lua between two coroutines that yield where it is full or empty. queue.lua [capacity] [items]
local assert, clock = assert, os.clock
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield

local capacity = tonumber((...)) or 1024
local items = tonumber((select(2, ...))) or 5000000

local ring, count, head, tail = {}, 0, 0, 0

local function put(value)
  while count == capacity do yield() end
  tail = tail % capacity + 1
  ring[tail] = value
  count = count + 1
end

local function get()
  while count == 0 do yield() end
  head = head % capacity + 1
  count = count - 1
  return ring[head]
end

local sum, finished = 0, false

local producer = create(function()
  for i = 1, items do put(i) end
  while not finished do yield() end
end)

local consumer = create(function()
  for _ = 1, items do sum = sum + get() end
  finished = true
end)

local began = clock()
while not finished do
  assert(resume(producer))
  assert(resume(consumer))
end
local spent = clock() - began
assert(sum == items * (items + 1) // 2)
print(("ns %.1f"):format(spent * 1e9 / items))
