-- tide.window: futures of which only so many run at a time, one after the other as they end.
local tide = require "tide"

local join = tide.join

local Window = {}
Window.__index = Window

-- A window over as many futures as `count`, which begin(1), begin(2), ... make; at most `limit` run
-- at a time, not counting the first `free`, which have begun by themselves. A to-be-closed value:
-- what has not begun by then never does. Cancelling who waits in it cancels those that run.
local function window(count, limit, free, begin)
  local self = setmetatable({
    members = join({}, true, false, count),
    count = count,
    limit = limit,
    free = free,
    begin = begin,
    begun = 0,
    running = -free, -- of those that count
  }, Window)
  for _ = 1, free do self:begin_next() end
  return self
end

function Window:begin_next()
  self.begun = self.begun + 1
  self.running = self.running + 1
  self.members:add(self.begin(self.begun))
end

-- The number of the next one that has ended, and true where it failed after who waits was cancelled
-- (waits). Others begin in its place when all that have ended are given: who has an error among
-- those begins none.
function Window:next()
  if not self.members:ready() then
    while self.running < self.limit and self.begun < self.count do self:begin_next() end
  end
  local number, given_up = self.members:next()
  if number > self.free then self.running = self.running - 1 end
  return number, given_up
end

function Window:__close()
  self.members:close()
end

return window
