-- tide.turns: turns of the loop, for a task that is to be there in each in which anything happens.
--
-- Such a task must not keep the loop from polling, nor virtual time from jumping, as one does that
-- is always ready. So it lets a turn pass while others are ready, then polls, and where a poll finds
-- nothing lets a little time pass.
local tide = require "tide"

local sleep, spawn, stats = tide.sleep, tide.spawn, tide.stats
local pair = tide.net.pair

local LITTLE = 1e-5 -- seconds

local Turns = {}
Turns.__index = Turns

-- Something to be read in the next turn: the loop has to poll to find it, and finds with it what the
-- others wait for.
local function poll(self)
  if not self.from then self.to, self.from = pair() end
  spawn(self.to.write, self.to, ".")
  self.from:read(1)
end

-- Waits for the next turn in which anything happens; to be called in virtual time.
function Turns:next()
  local now = stats()
  if now.ready > 0 then return sleep(0) end
  if now.watching > 0 then
    poll(self)
    if stats().ready > 0 then return end
  end
  sleep(self.pause and self.pause() or LITTLE)
end

function Turns:__close()
  if not self.from then return end
  self.to:close()
  self.from:close()
end

-- A to-be-closed value with the method `next`. `pause`, if given, says how much time is to pass where
-- nothing happens, or nil for a little.
return function(pause) return setmetatable({ pause = pause }, Turns) end
