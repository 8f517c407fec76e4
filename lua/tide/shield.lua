-- tide.shield: what is not to be cancelled with its caller.
local tide = require "tide"

local check = require "tide.check"
local entry = require "tide.entry"

local counts, shielded_await, shield_call = tide.counts, tide.shielded_await, tide.shield_call
local is_callable = check.is_callable

-- tide.shield(x, ...) (waits) -> results
function tide.shield(x, ...)
  if entry.is_future(x) then return shielded_await(x) end
  if is_callable(x) then return shield_call(x, ...) end
  counts()
  entry.check(1, "shield", x, "", 2)
  return shielded_await(entry.started(x))
end
