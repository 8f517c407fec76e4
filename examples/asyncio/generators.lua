-- Generators: next, send, throw, close. What is `yield from` in Python is a call: a body hands its `yield` to another.
local tide = require "tide"

local generator = tide.generator

-- Is sent numbers, and gives their average so far.
local function averager(yield)
  local total, count, average = 0, 0, 0.0
  while true do
    local value = yield(average)
    total, count = total + value, count + 1
    average = total / count
  end
end

-- Says when it is closed, in whatever way.
local function counter(name)
  return generator(function(yield)
    local _ <close> = tide.defer(print, name .. " is closed")
    for i = 1, 99 do yield(i) end
  end)
end

-- Goes on after errors that are thrown into it.
local function careful(yield)
  while true do
    local ok, word = pcall(yield, "ready")
    if ok then
      print("careful got " .. word)
    elseif tide.is(word, "value") then
      print("careful caught: " .. word.message)
    else
      error(word, 0)
    end
  end
end

local function inner(yield)
  print("inner got " .. yield "inner begins")
  local ok, err = pcall(yield, "inner goes on")
  if not ok then print("inner caught: " .. err.message) end
  return "a result"
end

-- What is sent or thrown goes to the inner one, as long as that lasts.
local function outer(yield)
  yield "outer begins"
  print("inner gave " .. inner(yield))
  for x in tide.iter({ 1, 2 }):each() do yield(x) end
end

local average = generator(averager)
average()
for _, value in ipairs { 10, 30, 5 } do print("average " .. average:send(value)) end
average:close()

local closed = counter "closed"
print(closed() .. " " .. closed())
closed:close()
print("after its end: " .. (closed() == nil and "True" or "False"))

for i in counter("whole"):each() do
  if i == 3 then break end
end

local it = generator(careful)
print(it())
print(it:send "one")
print(it:throw(tide.error("value", "odd")))
local _, err = tide.try(it.throw, it, tide.error("key", "unknown"))
if tide.is(err, "key") then print "an error that it does not catch comes back" end

it = generator(outer)
print(it())
print(it())
print(it:send "a word")
print(it:throw(tide.error("value", "odd")))
print(it())
print("over: " .. (it() == nil and "True" or "False"))
