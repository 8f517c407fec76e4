-- tide.testing.sweep: a function cancelled at each of its waits in turn.
local tide = require "tide"
local helper = require "spec.helper"

local sweep, fails = tide.testing.sweep, helper.fails
local sleep = tide.sleep

describe("tide.testing.sweep", function()
  it("cancels at each wait, while it waits and when it is over", function()
    local lock = tide.Lock()
    local reached = {}
    local points = sweep(function()
      local _ <close> = lock:acquire()
      for i = 1, 5 do
        sleep(3600 * i)
        reached[i] = (reached[i] or 0) + 1
      end
    end)
    assert.is_true(points >= 10)
    for i = 2, 5 do assert.is_true(reached[i] < reached[i - 1]) end
    assert.is_false(lock:locked())
  end)

  it("takes functions that do not wait, and that answer cancellation", function()
    assert.is_true(sweep(function() end) >= 2)
    sweep(function()
      tide.raw.pcall(sleep, 5)
      tide.shield(sleep, 1)
    end)
    sweep(function() tide.move_on_after(1, sleep, 5) end, { kill = true })
  end)

  it("takes groups, gathers, sockets", function()
    sweep(function()
      tide.TaskGroup(function(g)
        g:spawn(sleep, 3)
        g:spawn(function() sleep(1) tide.gather { function() sleep(1) end, function() sleep(0) end } end)
      end)
    end)
    sweep(function()
      local a, b = tide.net.pair()
      local _ <close> = a
      local _ <close> = b
      tide.gather { function() a:write "x" end, function() b:read(1) end }
    end)
  end)

  for name, case in pairs {
    ["a task"] = { "left behind: Task%(task%-%d+, waiting: sleep%)", function() tide.spawn(sleep, 100) sleep(1) end },
    ["a task where it is cancelled"] = { "cancel in turn %d+, %a+: left behind: Task",
      function() local task = tide.spawn(sleep, 100) sleep(1) task:cancel() end },
    ["a callback"] = { "left behind: 1 callbacks", function() tide.call_later(100, print) end },
    ["a failure that nobody awaits"] = { "failed: lost", function()
      local task = tide.spawn(function() tide.raw.pcall(sleep, 5) error("lost", 0) end)
      local _ <close> = tide.defer(task.cancel, task)
      sleep(1)
    end },
    ["an error of the cleanup"] = { "cancel in turn %d+, %a+: cleanup", function()
      if not tide.raw.pcall(sleep, 1) then error("cleanup", 0) end
    end },
    ["an error in any case"] = { "always", helper.failing "always" },
  } do
    it("finds " .. name, function()
      local ok, err = tide.raw.pcall(sweep, case[2])
      assert.is_false(ok)
      assert.matches("^testing.sweep: .*" .. case[1], err)
    end)
  end

  it("finds a stream that is left open, and not one that is garbage", function()
    local kept = {}
    fails("left behind", sweep, function()
      kept[1], kept[2] = tide.net.pair()
      sleep(1)
      kept[1]:close()
      kept[2]:close()
    end)
    for _, stream in ipairs(kept) do stream:close() end
    sweep(function()
      local _ = tide.net.pair()
      sleep(1)
    end)
  end)

  it("finds with kill what only cancelling would not", function()
    local function leaves_a_task()
      local task = tide.spawn(sleep, 100)
      local _ <close> = tide.defer(function() tide.shield(sleep, 0) task:cancel() end) -- a killed task cannot wait
      tide.raw.pcall(sleep, 1)
    end
    fails("kill in turn", sweep, leaves_a_task, { kill = true })
  end)

  it("gives failures back to whom they were told before", function()
    local failures = helper.collect_failures()
    sweep(function() end)
    helper.run_now(function()
      tide.spawn(error, "own", 0)
      helper.turns(3)
    end)
    assert.are.equal(1, #failures)
  end)

  it("refuses wrong arguments", function()
    fails("bad argument #1 to 'sweep' (function expected, got nil)", sweep)
    fails("unknown option 'kills'", sweep, print, { kills = true })
  end)
end)
