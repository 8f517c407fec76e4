-- tide.ends: what cleanup waits for: the ends of tasks that it has cancelled.
local tide = require "tide"

local join = tide.join

-- ends(tasks) (waits): until all have ended, in a shield; sooner only where one of them waits for the end of
-- the current task. What they fail with is not looked at.
return function(tasks)
  local members <close> = join(tasks, false, false, nil, true)
  members:hold()
  while members:next() do end
end
