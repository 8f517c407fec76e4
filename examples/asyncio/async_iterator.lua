-- An async iterator and an async generator: any iterator whose step waits, and any generator.
local tide = require "tide"

local sleep = tide.sleep

-- An object with the state of an iteration: a function for `for`.
local function countdown(from)
  return function()
    if from == 0 then return nil end
    sleep(0.01)
    from = from - 1
    return from + 1
  end
end

for i in countdown(3) do print("countdown " .. i) end

-- A generator: its body waits where it likes, and its cleanup runs however the loop is left.
local function ticks(name, delay)
  return tide.generator(function(yield)
    local _ <close> = setmetatable({}, { __close = function() print(name .. " is closed") end })
    for i = 1, 5 do
      sleep(delay)
      yield(name, i)
    end
  end)
end

for name, i in ticks("whole", 0.01):each() do print(name .. " " .. i) end

for name, i in ticks("half", 0.01):each() do
  print(name .. " " .. i)
  if i == 2 then break end
end

-- Two at the same time, each in a task.
local function consume(name, delay)
  for _, i in ticks(name, delay):each() do print(name .. " " .. i) end
end
tide.TaskGroup(function(group)
  group:spawn(consume, "slow", 0.035)
  group:spawn(consume, "fast", 0.02)
end)

-- What is made of them: a comprehension.
local squares = tide.iter(countdown(5))
  :filter(function(i) return i % 2 == 1 end)
  :map(function(i) return i * i end)
  :collect()
print(table.concat(squares, " "))

-- An error comes out of the step.
local ok, err = tide.try(function()
  local failing = tide.generator(function(yield)
    yield(1)
    error(tide.error("value", "no more"))
  end)
  for i in failing:each() do print("got " .. i) end
end)
print(ok == nil and "error: " .. err.message)
