-- A TaskGroup waits for its children; the first failure cancels the others.
local tide = require "tide"

local TaskGroup, sleep = tide.TaskGroup, tide.sleep

-- What `finally` is in Python: a value that is closed on every way out.
local function finally(fn)
  return setmetatable({}, { __close = fn })
end

local function work(name, delay)
  local _ <close> = finally(function(_, err)
    if tide.is(err, "cancelled") then print(name .. " cancelled") end
    print(name .. " cleaned up")
  end)
  sleep(delay)
  print(name .. " finished")
  return name
end

local function fail(kind, message, delay)
  sleep(delay)
  error(tide.error(kind, message))
end

local function both_fine()
  local one, two
  do
    local group <close> = TaskGroup()
    one = group:spawn(work, "one", 0.04)
    two = group:spawn(work, "two", 0.02)
  end
  print(("results: %s %s"):format(one:result(), two:result()))
end

local function one_fails()
  local function body()
    local group <close> = TaskGroup()
    group:spawn(work, "long", 10)
    group:spawn(fail, "value", "bad value", 0.02)
  end
  tide.catch(body, {
    value = function(group)
      for _, err in ipairs(group.errors) do print("caught value: " .. err.message) end
    end,
  })
end

local function body_fails()
  local function body()
    local group <close> = TaskGroup()
    group:spawn(work, "child", 10)
    fail("value", "body failed", 0.02)
  end
  local _, err = tide.try(body)
  print("raised: " .. err.errors[1].message)
end

local function two_fail()
  local function body()
    local group <close> = TaskGroup()
    group:spawn(fail, "value", "bad value", 0)
    group:spawn(fail, "key", "bad key", 0)
  end
  tide.catch(body, {
    value = function(group) print("values: " .. #group.errors) end,
    key = function(group) print("keys: " .. #group.errors) end,
  })
end

both_fine()
one_fails()
body_fails()
two_fail()
