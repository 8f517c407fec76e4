-- tide.callback, tide.await_callback: functions for libraries that call back.
local tide = require "tide"

local check = require "tide.check"

local begins, hold, spawn_beside, is_of = tide.begins, tide.hold, tide.spawn_beside, tide.is_of

local Callback, meta = tide.new_class "Callback"

-- The task that stands for an open callback in its run: ends with that, and the loop waits meanwhile.
local function keep(closed)
  local _ <close> = hold()
  closed:wait()
end

local function close(self)
  if self.over then return end
  self.over = true
  pcall(self.closed.set, self.closed) -- a finalizer may come after the end of the state
end

-- Closes it: who calls the function has no effect any more.
function Callback:close()
  check.self(is_of(self, meta), "close", "Callback", self, 2)
  close(self)
end

meta.__close = Callback.close
meta.__gc = close

function meta:__tostring()
  return string.format("Callback(%s)", self.over and "closed" or "open")
end

-- tide.callback(fn) -> a function that runs fn(...) in a task, wherever it is called; a handle with close
function tide.callback(fn)
  check.callable(1, "callback", fn, 2)
  local closed, keeper = tide.Event(), nil
  local self = setmetatable({ over = false, closed = closed }, meta) -- there first: it ends the keeper
  local function call(...)
    if not self.over then spawn_beside(keeper, fn, ...) end
  end
  keeper = tide.spawn(keep, closed)
  keeper:set_name "callback"
  return call, self
end

-- tide.await_callback(f, ...) -> what f's last argument is called with (waits)
function tide.await_callback(f, ...)
  begins()
  check.callable(1, "await_callback", f, 2)
  local future, over = tide.Future(), false
  local _ <close> = hold()
  local arguments = table.pack(...)
  arguments[arguments.n + 1] = function(...)
    if over then return end
    local ok, err = pcall(future.set_result, future, ...)
    if not ok and not tide.is(err, "closed") then error(err, 0) end -- closed: the state has ended
    over = true
  end
  f(table.unpack(arguments, 1, arguments.n + 1))
  return future:await()
end
