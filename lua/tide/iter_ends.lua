-- tide.iter_ends: methods that take all the steps of an Iter and close it: collect, reduce ... all.
local iter = require "tide.iter"
local tide = require "tide"

local counts = tide.counts
local Iter, check_self = iter.Iter, iter.check_self
local check_function, optional_function = iter.check_function, iter.optional_function

-- it:collect() (waits) -> list of the first values
function Iter:collect()
  counts()
  check_self(self, "collect")
  local _ <close> = self
  local list, n = {}, 0
  for value in self.step do
    n = n + 1
    list[n] = value
  end
  return list
end

local function fold(fn, step, acc, first, ...)
  if first == nil then return acc end
  return fold(fn, step, (fn(acc, first, ...)), step())
end

-- it:reduce(fn[, init]) (waits) -> the last acc = fn(acc, value); without init it begins with the
-- first value
function Iter:reduce(fn, ...)
  counts()
  check_self(self, "reduce")
  check_function(fn, 1, "reduce")
  local _ <close> = self
  local step, acc = self.step, (...)
  if select("#", ...) == 0 then
    acc = step()
    if acc == nil then return nil end
  end
  return fold(fn, step, acc, step())
end

local function run(fn, step, first, ...)
  if first == nil then return end
  fn(first, ...)
  return run(fn, step, step())
end

-- it:foreach(fn) (waits): calls fn with the values of each step
function Iter:foreach(fn)
  counts()
  check_self(self, "foreach")
  check_function(fn, 1, "foreach")
  local _ <close> = self
  run(fn, self.step, self.step())
end

-- it:first() (waits) -> the first value or values, or nil; closes it
function Iter:first()
  counts()
  check_self(self, "first")
  local _ <close> = self
  return self.step()
end

-- it:last() (waits) -> the last value or values, or nil
function Iter:last()
  counts()
  check_self(self, "last")
  local _ <close> = self
  local last, rest, step = nil, nil, self.step
  local function keep(first, ...)
    if first == nil then return false end
    last = first
    rest = select("#", ...) > 0 and table.pack(...) or nil
    return true
  end
  while keep(step()) do end
  if rest then return last, table.unpack(rest, 1, rest.n) end
  return last
end

-- it:count() (waits) -> the number of steps
function Iter:count()
  counts()
  check_self(self, "count")
  local _ <close> = self
  local n = 0
  for _ in self.step do n = n + 1 end
  return n
end

local function itself(x) return x end

local function find(fn, wanted, step, first, ...)
  if first == nil then return false end
  local holds = fn(first, ...) and true or false
  if holds == wanted then return true end
  return find(fn, wanted, step, step())
end

-- it:any([fn]) (waits) -> whether fn, or the value itself, is true for one; ends with that one
function Iter:any(...)
  counts()
  check_self(self, "any")
  local fn = optional_function("any", ...)
  local _ <close> = self
  return (find(fn or itself, true, self.step, self.step()))
end

-- it:all([fn]) (waits) -> whether fn, or the value itself, is true for all; ends with the first false
function Iter:all(...)
  counts()
  check_self(self, "all")
  local fn = optional_function("all", ...)
  local _ <close> = self
  return not find(fn or itself, false, self.step, self.step())
end
