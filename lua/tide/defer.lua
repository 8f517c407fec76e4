-- tide.defer: what is to be called when a block is left.
local tide = require "tide"

local check = require "tide.check"

local is_of = tide.is_of

local Deferred, meta = tide.new_class "Deferred"

-- Calls the function now, unless it was called (may wait).
function Deferred:close()
  check.self(is_of(self, meta), "close", "Deferred", self, 2)
  local call = self.call
  self.call = nil
  if call then call() end
end

meta.__close = Deferred.close

function meta:__tostring()
  return string.format("Deferred(%s)", self.call and "pending" or "done")
end

-- tide.defer(fn, ...) -> a to-be-closed value that calls fn(...)
function tide.defer(fn, ...)
  check.callable(1, "defer", fn, 2)
  local arguments = table.pack(...)
  return setmetatable({
    call = function() fn(table.unpack(arguments, 1, arguments.n)) end,
  }, meta)
end
