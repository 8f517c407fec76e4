-- Two waits of 2 and 3 seconds: one after the other they take 5, together 3. The clock is the loop's, so that this is
-- so in virtual time, too, where it takes none.
local tide = require "tide"

local sleep, spawn, time = tide.sleep, tide.spawn, tide.time

local function say_after(delay, word)
  sleep(delay)
  print(word)
  return word
end

local function timed(name, fn)
  local began = time()
  fn()
  print(("%s: %.1f s"):format(name, time() - began))
end

timed("one after the other", function()
  say_after(2, "hello")
  say_after(3, "world")
end)

timed("as two tasks", function()
  local hello = spawn(say_after, 2, "hello")
  local world = spawn(say_after, 3, "world")
  print(hello:await() .. " and " .. world:await())
end)

timed("gathered", function()
  local words = tide.gather {
    function() return say_after(3, "world") end,
    function() return say_after(2, "hello") end,
  }
  print(table.concat(words, " and "))
end)

timed("in a group", function()
  local group <close> = tide.TaskGroup()
  group:spawn(say_after, 2, "hello")
  group:spawn(say_after, 3, "world")
end)
