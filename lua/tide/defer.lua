-- tide.defer: what is to be called when a block is left.
local tide = require "tide"

local check = require "tide.check"

local Deferred = { __name = "Deferred" }
Deferred.__index = Deferred

-- Calls the function now, unless it was called (may wait).
function Deferred:close()
  check.self(getmetatable(self) == Deferred, "close", "Deferred", self, 2)
  local call = self.call
  self.call = nil
  if call then call() end
end

Deferred.__close = Deferred.close

function Deferred:__tostring()
  return string.format("Deferred(%s)", self.call and "pending" or "done")
end

tide.add_class(Deferred)

-- tide.defer(fn, ...) -> a to-be-closed value that calls fn(...)
function tide.defer(fn, ...)
  check.callable(1, "defer", fn, 2)
  local arguments = table.pack(...)
  return setmetatable({
    call = function() fn(table.unpack(arguments, 1, arguments.n)) end,
  }, Deferred)
end
