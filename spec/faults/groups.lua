-- spec.faults.groups: TaskGroup in both forms, its errors, catch; gather, wait, race, as_completed.
local tide = require "tide"
local sleep, spawn = tide.sleep, tide.spawn

local scenarios = {}

function scenarios.function_form()
  local seen = 0
  local result = tide.TaskGroup(function(g)
    for i = 1, 6 do
      g:spawn(function()
        sleep(0)
        seen = seen + i
      end)
    end
    return "kept"
  end, { name = "six", max = 2 })
  assert(seen == 21 and result == "kept")
end

function scenarios.block_form()
  local seen = 0
  do
    local g <close> = tide.TaskGroup { name = "block" }
    for i = 1, 3 do g:spawn(function() seen = seen + i end) end
    assert(tostring(g):find "block")
  end
  assert(seen == 6)
end

-- The collector finds the group, which its task has left open, and reports what the child failed with.
function scenarios.dropped_with_a_failure()
  local function open() tide.TaskGroup():spawn(error, "the error of the child", 0) end
  local task = spawn(function()
    tide.on_failure(function() end)
    open()
    for _ = 1, 3 do tide.raw.pcall(sleep, 0) end
    collectgarbage()
    for _ = 1, 3 do tide.raw.pcall(sleep, 0) end
  end)
  tide.wait { task }
end

function scenarios.nested()
  local ends = 0
  local function tree(depth)
    if depth == 0 then
      sleep(0)
      ends = ends + 1
      return
    end
    tide.TaskGroup(function(g)
      g:spawn(tree, depth - 1)
      g:spawn(tree, depth - 1)
    end)
  end
  tree(2)
  assert(ends == 4)
end

function scenarios.failures()
  local ok, err = pcall(tide.TaskGroup, function(g)
    g:spawn(function() error(tide.error("one", "first")) end)
    g:spawn(function() error "second" end)
    g:spawn(sleep, 100)
    sleep(100)
  end)
  assert(not ok and tide.is(err, "group"))
  assert(#err:leaves() == 2)
  local ones, rest = err:split("one")
  assert(#ones.errors == 1 and #rest.errors == 1)
  assert(tostring(err))
end

function scenarios.cancelled()
  local answer = table.pack(tide.TaskGroup(function(g)
    g:spawn(sleep, 100)
    sleep(0)
    g:cancel("reason")
    sleep(100)
  end))
  assert(answer.n == 0)
end

function scenarios.catch()
  local caught
  tide.catch(function()
    tide.TaskGroup(function(g)
      g:spawn(function() error(tide.error("mine", "x")) end)
    end)
  end, { mine = function(group) caught = group end })
  assert(caught)
end

function scenarios.gather()
  local results = tide.gather { function() sleep(0) return 1 end, spawn(sleep, 0), function() return 3 end }
  assert(results[1] == 1 and results[3] == 3)
  local ok = pcall(tide.gather, { function() error "x" end, function() sleep(0) end })
  assert(not ok)
  results = tide.gather { function() error "x" end, function() return 2 end, return_errors = true }
  assert(results[2] == 2)
end

function scenarios.wait_and_race()
  local slow, fast = spawn(sleep, 100), spawn(sleep, 0)
  local done, pending = tide.wait { slow, fast, return_when = "first" }
  assert(#done == 1 and #pending == 1)
  done = tide.wait { slow, timeout = 0.0001 }
  assert(#done == 0)
  slow:cancel()
  local index, value = tide.race { function() sleep(100) end, function() sleep(0) return "won" end }
  assert(index == 2 and value == "won")
end

function scenarios.as_completed()
  local count = 0
  for task in tide.as_completed { spawn(sleep, 0.0002), spawn(sleep, 0), spawn(sleep, 0.0001) } do
    assert(task:done())
    count = count + 1
  end
  assert(count == 3)
end

return scenarios
