-- tide.iter_sources: what an Iter takes its values from: tide.iter, tide.generator, tide.interval.
local check = require "tide.check"
local iter = require "tide.iter"
local tide = require "tide"

local new, new_exclusive, nothing = iter.new, iter.new_exclusive, iter.nothing
local holding, is_iter = iter.holding, iter.is_iter
local generator_parts, interval_parts, iter_parts = tide.generator_parts, tide.interval_parts, tide.iter_parts
local metafield, new_use, raw_pcall, type_of = tide.metafield, tide.new_use, tide.raw.pcall, tide.type

local SOURCES = "list, Queue, Iter, function or object with :iter()"

local function has_metamethod(x, name)
  return metafield(x, name) ~= nil
end

local function close_value(value)
  local _ <close> = value
end

-- After a cancelled call: a coroutine that was ended by it is the end.
local function called_again(use, ok, first, ...)
  if ok then return first, ... end
  if type(first) == "string" and string.find(first, "cannot resume dead coroutine", 1, true) then
    use:finish()
    return nil
  end
  error(first, 0)
end

-- An Iter over what the function gives, called as `call` does it.
local function from_call(call, name, closing)
  local use, enter = new_use(true)
  local function step()
    local _ <close> = use
    local fresh = enter()
    if fresh then return call() end
    if fresh == nil then return nil end
    return called_again(use, raw_pcall(call))
  end
  local function closer()
    local value = closing
    use:finish()
    closing = nil
    return close_value(value)
  end
  local self = new_exclusive(use, step, closer, name)
  return closing ~= nil and holding(self) or self
end

-- The values of a generic `for`: a function, its state, the first control value, a closing value.
local function from_values(f, state, control, closing)
  if closing and not has_metamethod(closing, "__close") then
    check.fail(4, "iter", "a value without a __close cannot be the closing value", 4)
  end
  local function advance(first, ...)
    control = first
    return first, ...
  end
  return from_call(function() return advance(f(state, control)) end, "function", closing)
end

local function from_list(list)
  local i = 0
  if getmetatable(list) ~= nil then -- it need not have an end
    return from_call(function()
      i = i + 1
      return list[i]
    end, "list")
  end
  local function step()
    i = i + 1
    return list[i]
  end
  local self = new(step, function() list = {} end, "list")
  self.uncounted = true
  self.feed = {}

  function self.feed.map(fn, next)
    return function()
      i = i + 1
      local value = list[i]
      if value == nil then return nil end
      return next(fn(value))
    end
  end

  function self.feed.filter(fn, next)
    return function()
      local value
      repeat
        i = i + 1
        value = list[i]
        if value == nil then return nil end
      until fn(value)
      return next(value)
    end
  end
  return self
end

local function from_queue(queue)
  local next = queue:iter()
  local function step() return next(queue) end
  return new(step, function() next = nothing end, "Queue")
end

local function get_iter(x) return x.iter end

-- Whether x has a method `iter`.
local function has_iter(x, kind)
  if kind ~= "table" and kind ~= "userdata" then return false end
  local ok, method = raw_pcall(get_iter, x)
  return ok and type(method) == "function"
end

local from

-- The Iter over what an object's method `iter` gives: it may be the object itself, which is called then.
local function from_object(object, made, ...)
  if not rawequal(made, object) then return from(made, ...) end
  return has_metamethod(object, "__call") and from_call(object, "function") or nil
end

-- The Iter over a source, or nil where it is none.
function from(source, ...)
  if is_iter(source) then return source end
  local kind = type(source)
  if kind == "function" then
    if select("#", ...) == 0 then return from_call(source, "function") end
    return from_values(source, ...)
  end
  local class = type_of(source)
  if class == "Queue" or class == "SharedQueue" then return from_queue(source) end
  if class == "HostIter" then return holding(new(iter_parts(source))) end
  if has_iter(source, kind) then return from_object(source, source:iter()) end
  if has_metamethod(source, "__call") then return from(function(...) return source(...) end, ...) end
  return kind == "table" and from_list(source) or nil
end

-- tide.iter(source) -> Iter; source: a list, a Queue, an Iter, a host's iterator, a function that gives
-- the next value, the values of a generic `for`, or an object with :iter()
function tide.iter(source, ...)
  return from(source, ...) or check.unexpected(1, "iter", SOURCES, source, 2)
end

tide.set_hook("iter", tide.iter)

-- tide.interval(seconds) -> Iter of 1, 2, 3 ..., one every so many seconds on the loop's clock from now
-- on, the first after one period; ticks that were missed are left out, so that none comes late for long
function tide.interval(seconds)
  check.seconds(1, "interval", seconds, 2)
  if seconds <= 0 then check.fail(1, "interval", "must be positive", 2) end
  local step, close = interval_parts(seconds)
  return new(step, close, "interval")
end

-- tide.generator(function(yield) ... end) -> Iter of what the body gives to yield; the body may wait
function tide.generator(body)
  iter.check_function(body, 1, "generator")
  local step, close, send, throw = generator_parts(body)
  local self = holding(new(step, close, "generator"))
  self.sender, self.thrower = send, throw
  return self
end

return { from = from }
