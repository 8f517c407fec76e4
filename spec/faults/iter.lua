-- spec.faults.iter: generators, lazy combinators, those with tasks.
local tide = require "tide"
local sleep = tide.sleep

local scenarios = {}

-- 1 .. n, with a turn before each; `closed`, if given, is called when its body is left.
local function numbers(n, closed)
  return tide.generator(function(yield)
    local _ <close> = closed and setmetatable({}, { __close = closed })
    for i = 1, n do
      sleep(0)
      yield(i)
    end
  end)
end

local function sum(iter)
  return iter:reduce(function(a, b) return a + b end, 0)
end

local function equals(list, expected)
  return table.concat(list, " ") == expected
end

function scenarios.generators()
  local closed = 0
  local function count()
    sleep(0)
    closed = closed + 1
  end
  assert(sum(numbers(4, count)) == 10 and closed == 1)
  for i in numbers(4, count):each() do
    if i == 2 then goto leave end
  end
  ::leave::
  assert(closed == 2)
  local iter <close> = numbers(4, count)
  assert(iter() == 1)
  assert(not pcall(iter.foreach, iter, function() error "as planned" end))
  assert(closed == 3 and iter() == nil)
end

function scenarios.sources()
  local queue, copy = tide.Queue(), {}
  for i = 1, 3 do queue:put(i) end
  queue:close()
  assert(sum(tide.iter(queue)) == 6)
  for key, value in tide.iter(pairs { a = 1, b = 2 }):each() do copy[key] = value end
  assert(copy.a == 1 and copy.b == 2)
  local wrapped = coroutine.wrap(function()
    for i = 1, 3 do
      sleep(0)
      coroutine.yield(i)
    end
  end)
  assert(sum(tide.iter(wrapped)) == 6)
end

function scenarios.lazy()
  local got = numbers(12):map(function(x) return x * 2 end):filter(function(x) return x % 3 ~= 0 end)
    :skip(1):take(6):enumerate():map(function(i, x) return i + x end):collect()
  assert(equals(got, "5 10 13 18 21 26"))
  got = tide.iter { 1, 1, 2, 2, 3 }:distinct():scan(function(a, b) return a + b end, 0)
    :take_while(function(x) return x < 6 end):collect()
  assert(equals(got, "1 3"))
  got = numbers(5):chunk(2):flatten():zip(tide.iter { "a", "b", "c" }):map(function(a, b) return a .. b end)
  assert(equals(got:collect(), "1a 2b 3c"))
  assert(tide.iter { 5, 6 }:first() == 5 and numbers(3):last() == 3 and numbers(3):count() == 3)
  assert(numbers(3):any(function(x) return x == 2 end) and not numbers(3):all(function(x) return x == 2 end))
end

function scenarios.times()
  local began = tide.time()
  assert(tide.interval(0.0001):take(3):count() == 3 and tide.time() - began > 0.00029)
  local slow = tide.iter(function()
    sleep(100)
    return 1
  end):timeout(0.0001)
  local ok, err = pcall(slow)
  assert(not ok and tide.is(err, "timeout"))
  assert(equals(numbers(4):throttle(100):collect(), "1"))
end

function scenarios.buffer()
  assert(sum(numbers(8):buffer(3)) == 36)
  local closed = false
  for i in numbers(8, function() closed = true end):buffer(2):each() do
    if i == 3 then goto leave end
  end
  ::leave::
  assert(closed)
end

function scenarios.map_concurrent()
  local function slowly(x)
    sleep(x % 2 == 0 and 0.0002 or 0)
    return x * 10
  end
  assert(equals(numbers(5):map_concurrent(3, slowly):collect(), "10 20 30 40 50"))
  local got = numbers(5):map_concurrent(3, slowly, { ordered = false }):collect()
  table.sort(got)
  assert(equals(got, "10 20 30 40 50"))
  local ok, err = pcall(function()
    numbers(5):map_concurrent(2, function(x)
      sleep(0)
      if x == 3 then error(tide.error("mine", "as planned")) end
      return x
    end):collect()
  end)
  assert(not ok and tide.is(err, "mine"))
end

function scenarios.merge()
  local closed = 0
  local function count() closed = closed + 1 end
  assert(sum(numbers(4, count):merge(numbers(3, count), tide.iter { 100 })) == 116 and closed == 2)
  for _ in numbers(4, count):merge(numbers(4, count)):take(3):each() do sleep(0) end
  assert(closed == 4)
end

function scenarios.debounce()
  local source = tide.iter { 0, 0.0001, 0.0005 }:map(function(pause)
    sleep(pause)
    return pause
  end)
  assert(source:debounce(0.0003):last() == 0.0005)
  for _ in numbers(3):debounce(0.0001):each() do sleep(0) end
end

function scenarios.dropped()
  local function drop()
    numbers(4):buffer(2)()
    numbers(4):merge(numbers(4))()
    numbers(4):map_concurrent(2, function(x) return x end)()
    numbers(4)()
  end
  drop()
  collectgarbage()
  sleep(0)
  collectgarbage()
end

return scenarios
