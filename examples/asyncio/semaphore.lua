-- A semaphore lets so many in at once.
local tide = require "tide"

local BoundedSemaphore, Semaphore, sleep, spawn = tide.BoundedSemaphore, tide.Semaphore, tide.sleep, tide.spawn

local inside = 0

local function visit(i, seats)
  do
    local _ <close> = seats:acquire()
    inside = inside + 1
    print(("visitor %d in, %d inside"):format(i, inside))
    sleep(0.03)
    inside = inside - 1
  end
  print(("visitor %d out"):format(i))
end

local seats = Semaphore(2)
local visits = {}
for i = 1, 5 do visits[i] = spawn(visit, i, seats) end
tide.gather(visits)
print("free: " .. (seats:locked() and "no" or "yes"))

local bounded = BoundedSemaphore(1)
local _, err = tide.try(bounded.release, bounded)
if tide.is(err, "limit") then print "released too often" end
