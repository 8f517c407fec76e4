-- A future is set by one task and awaited by others.
local tide = require "tide"

local Future, sleep, spawn = tide.Future, tide.sleep, tide.spawn

local function set_after(future, delay, value)
  sleep(delay)
  print "setting the result"
  future:set_result(value)
end

local function watch(name, future)
  print(name .. " waits")
  print(name .. " sees " .. future:await())
end

local future = Future()
future:add_done_callback(function(f) print("callback sees " .. f:result()) end)
local watchers = { spawn(watch, "ann", future), spawn(watch, "bob", future) }
local setter = spawn(set_after, future, 0.03, "the answer")
tide.gather(watchers)
setter:await()
print("main sees " .. future:await())

local _, err = tide.try(future.set_result, future, "another answer")
if tide.is(err, "invalid_state") then print "a result is set once" end

local failing = Future()
tide.call_later(0.02, failing.set_error, failing, tide.error("lookup", "no answer"))
_, err = tide.try(failing.await, failing)
print("error: " .. err.message)
