-- spec.turns: turns of the loop, for a task that is to be there in each in which anything happens.
--
-- Such a task must not keep the loop from polling, nor virtual time from jumping, as one does that
-- is always ready. So it lets a turn pass while others are ready, then polls, and where a poll finds
-- nothing lets a little time pass.
local tide = require "tide"

local LITTLE = 1e-5 -- seconds

local Turns = {}
Turns.__index = Turns

-- Something to be read in the next turn: the loop has to poll to find it, and finds with it what the
-- others wait for.
local function poll(self)
  if not self.from then self.to, self.from = tide.net.pair() end
  tide.spawn(self.to.write, self.to, ".")
  self.from:read(1)
end

-- Waits for the next turn in which anything happens; to be called in virtual time.
function Turns:next()
  local stats = tide.stats()
  if stats.ready > 0 then return tide.sleep(0) end
  if stats.watching > 0 then
    poll(self)
    if tide.stats().ready > 0 then return end
  end
  tide.sleep(LITTLE)
end

function Turns:__close()
  if not self.from then return end
  self.to:close()
  self.from:close()
end

-- A to-be-closed value with the method `next`.
return function() return setmetatable({}, Turns) end
