-- spec.turns: the turns of tide.testing_sweep, which is no part of the module, for specs' own sweeps.
local tide = require "tide"

local environment = setmetatable({
  require = function(name) return name == "tide" and tide or require(name) end,
}, { __index = _G })

return assert(loadfile("lua/tide/turns.lua", "t", environment))()
