-- Functions that return, or are given, as many values as the stack of Lua holds.
local tide = require "tide"
local helper = require "spec.helper"

local run = helper.run

local LIMIT = 1000000 -- values on a stack

local ones = {} -- more of them than the stack has room for
for i = 1, LIMIT do ones[i] = 1 end

-- Functions that call f and return its results, behind `extra` values.
local lock, place = tide.Lock(), tide.Local()
local callers = {
  ["pcall"] = { extra = 1, call = function(f) return pcall(f) end },
  ["xpcall"] = { extra = 1, call = function(f) return xpcall(f, print) end },
  ["tide.try"] = { extra = 0, call = tide.try },
  ["tide.catch"] = { extra = 0, call = function(f) return tide.catch(f, { mine = print }) end },
  ["a task"] = { extra = 0, call = function(f) return tide.spawn(f):await() end },
  ["a select"] = { extra = 1, call = function(f) return tide.select(tide.spawn(f)) end },
  ["a race"] = { extra = 1, call = function(f) return tide.race { f } end },
  ["a child of a TaskGroup"] = { extra = 0, call = function(f)
    local child
    tide.TaskGroup(function(g) child = g:spawn(f) end)
    return child:result()
  end },
  ["a TaskGroup"] = { extra = 0, call = tide.TaskGroup },
  ["a TaskGroup whose child is waited for"] = { extra = 0, call = function(f)
    return tide.TaskGroup(function(g)
      g:spawn(tide.sleep, 0.001)
      return f()
    end)
  end },
  ["tide.timeout"] = { extra = 0, call = function(f) return tide.timeout(9, f) end },
  ["tide.move_on_after"] = { extra = 1, call = function(f) return tide.move_on_after(9, f) end },
  ["tide.scope"] = { extra = 1, call = function(f) return tide.scope(f) end },
  ["tide.shield"] = { extra = 0, call = function(f) return tide.shield(f) end },
  ["tide.wait_for"] = { extra = 0, call = function(f) return tide.wait_for(f, 9) end },
  ["Local:with"] = { extra = 0, call = function(f) return place:with(1, f) end },
  ["Lock:with"] = { extra = 0, call = function(f) return lock:with(f) end },
  ["coroutine.wrap"] = { extra = 0, call = function(f) return coroutine.wrap(f)() end },
  ["coroutine.resume"] = { extra = 1, call = function(f) return coroutine.resume(coroutine.create(f)) end },
  ["tide.await"] = { extra = 0, call = function(f) return tide.await(setmetatable({}, { __await = f })) end },
}

-- Calls f(n) for numbers around what the stack has room for, and checks what came of it: the first
-- result, or an error; ok(n, result) says whether that is right.
local function around_the_limit(f, ok)
  for _, left in ipairs { 8, 40 } do
    local n = LIMIT - left
    collectgarbage "stop" -- finalizers too need room
    local succeeded, result = tide.raw.pcall(f, n, left == 40)
    collectgarbage "restart"
    assert(not succeeded or ok(n, result), result)
    assert(not lock:locked() and place:get() == nil)
    tide.timeout(9, tide.sleep, 0)
  end
end

local function returning(n, waits)
  return function()
    if waits then tide.sleep(0) end
    return table.unpack(ones, 1, n)
  end
end

describe("results:", function()
  for name, caller in pairs(callers) do
    it(name .. " gives as many as there are", run(function()
      for n = 0, 300, 3 do
        for _, waits in ipairs { false, true } do
          assert.equal(n + caller.extra, select("#", caller.call(returning(n, waits))))
        end
      end
    end))

    -- an error of Lua's, or, where a caller has turned that into results, few of them
    it(name .. " gives as many as the stack has room for, or an error", run(function()
      around_the_limit(function(n, waits)
        return select("#", caller.call(returning(n, waits)))
      end, function(n, count) return count == n + caller.extra or count <= 2 end)
    end))
  end
end)

describe("arguments:", function()
  local takers = {
    ["tide.spawn"] = function(f, ...) return tide.spawn(f, ...):await() end,
    ["tide.TaskGroup"] = function(f, ...)
      local g <close> = tide.TaskGroup()
      return g:spawn(f, ...):await()
    end,
    ["tide.timeout"] = function(f, ...) return tide.timeout(9, f, ...) end,
    ["tide.shield"] = tide.shield,
    ["pcall"] = function(f, ...) return select(2, pcall(f, ...)) end,
    ["xpcall"] = function(f, ...) return select(2, xpcall(f, print, ...)) end,
    ["tide.try"] = tide.try,
    ["Local:with"] = function(f, ...) return place:with(1, f, ...) end,
    ["Lock:with"] = function(f, ...) return lock:with(f, ...) end,
    ["coroutine.wrap"] = function(f, ...) return coroutine.wrap(f)(...) end,
    ["tide.call_soon"] = function(f, ...)
      local future = tide.Future()
      tide.call_soon(function(...) future:set_result(f(...)) end, ...)
      return future:await()
    end,
  }
  for name, take in pairs(takers) do
    it(name .. " hands on as many as there are", run(function()
      for n = 0, 300, 3 do assert.equal(n, take(function(...) return select("#", ...) end, table.unpack(ones, 1, n))) end
    end))

    it(name .. " hands on as many as the stack has room for, or raises", run(function()
      around_the_limit(function(n)
        return take(function(...) return select("#", ...) end, table.unpack(ones, 1, n))
      end, function(n, count) return type(count) ~= "number" or count == n end)
    end))
  end
end)
