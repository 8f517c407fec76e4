-- Timeouts in their forms, and shields against them.
local tide = require "tide"

local shield, sleep, time = tide.shield, tide.sleep, tide.time

local function took(began)
  return ("after %.1f s"):format(time() - began)
end

local function answer(seconds, text)
  sleep(seconds)
  return text
end

-- A call with a deadline raises an error of kind `timeout`.
print("in time: " .. tide.timeout(0.5, answer, 0.1, "forty-two"))
local began = time()
local _, err = tide.try(tide.timeout, 0.1, answer, 10, "too late")
print(("%s %s"):format(err.kind, took(began)))

-- The rest of a block.
began = time()
_, err = tide.try(function()
  local _ <close> = tide.timeout(0.1)
  for step = 1, 100 do
    sleep(0.06)
    print("step " .. step)
  end
end)
print(("block: %s %s"):format(err.kind, took(began)))

-- Where being late is no failure.
local ok, text = tide.move_on_after(0.1, answer, 10, "the news")
print(ok and text or "moved on without the news")

-- The tightest of several deadlines counts.
began = time()
_, err = tide.try(tide.timeout, 0.1, tide.timeout, 10, answer, 20, "never")
print(("nested: %s %s"):format(err.kind, took(began)))

-- A scope can be given more time while it runs, or be cancelled.
began = time()
local finished = tide.scope(function(scope)
  for _ = 1, 3 do
    sleep(0.06)
    scope:reschedule(time() + 0.1) -- progress was made
  end
end, { timeout = 0.1 })
print(("with progress: %s %s"):format(finished and "finished" or "late", took(began)))

-- What must not be torn in half is shielded: it runs to its end, and the timeout shows afterwards.
_, err = tide.try(tide.timeout, 0.05, function()
  shield(function()
    sleep(0.1)
    print "saved"
  end)
  sleep(0)
  print "never printed"
end)
print("after the shield: " .. err.kind)

-- A task that others need is shielded from one waiter's impatience.
local task = tide.spawn(answer, 0.1, "for all")
_, err = tide.try(tide.timeout, 0.05, shield, task)
print(("waiter: %s, task: %s"):format(err.kind, task:await()))
