-- A condition: wait until something holds, with the lock held when it does.
local tide = require "tide"

local TaskGroup, sleep = tide.TaskGroup, tide.sleep

local lock = tide.Lock()
local condition = tide.Condition(lock)
local shelf = {}

local function consumer(name)
  local _ <close> = lock:acquire()
  print(name .. " waits")
  condition:wait_for(function() return #shelf > 0 end)
  print(name .. " takes " .. table.remove(shelf, 1))
end

local function producer()
  for _, item in ipairs { "apple", "pear" } do
    sleep(0.02)
    local _ <close> = lock:acquire()
    shelf[#shelf + 1] = item
    print("shelved " .. item)
    condition:notify()
  end
  sleep(0.02)
  local _ <close> = lock:acquire()
  table.insert(shelf, "plum")
  table.insert(shelf, "fig")
  print "shelved two"
  condition:notify_all()
end

do
  local group <close> = TaskGroup()
  for _, name in ipairs { "ann", "bob", "cid", "dee" } do group:spawn(consumer, name) end
  group:spawn(producer)
end
print("left: " .. #shelf)
