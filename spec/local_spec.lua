-- tide.Local: values of a task, and of the tasks it spawns.
local tide = require "tide"
local helper = require "spec.helper"
local sweep = require "spec.sweep"

local run, turns, fails = helper.run, helper.turns, helper.fails

describe("a Local", function()
  it("has its default until it is set", run(function()
    local value = tide.Local("default")
    assert.are.equal("default", value:get())
    assert.is_nil(tide.Local():get())
    value:set("mine")
    assert.are.equal("mine", value:get())
    value:set(false)
    assert.is_false(value:get())
    value:set(nil)
    assert.are.equal("default", value:get())
  end))

  it("is inherited when a task is spawned, and separate from then on", run(function()
    local value, seen = tide.Local(0), helper.log()
    value:set(1)
    local child = tide.spawn(function()
      seen(value:get())
      value:set(2)
      tide.spawn(function() seen(value:get()) end):await()
      turns()
      seen(value:get())
    end)
    value:set(3)
    child:await()
    assert.are.same({ 1, 2, 2 }, { table.unpack(seen) })
    assert.are.equal(3, value:get())
    tide.TaskGroup(function(g) g:spawn(function() seen(value:get()) end) end)
    assert.are.equal(3, seen[4])
  end))

  it("cancelled at every suspension, `with` restores it", sweep.it {
    setup = function(s) s.value = tide.Local(0) end,
    subject = function(s)
      s.value:set(1)
      local ok, err = tide.raw.pcall(s.value.with, s.value, 2, function()
        turns(1)
        s.value:with(3, turns, 2)
        assert.are.equal(2, s.value:get())
        turns(1)
      end)
      s.after = s.value:get()
      if not ok then error(err, 0) end
    end,
    check = function(s, ended)
      assert.are.equal(0, s.value:get())
      if ended == "done" or s.after then assert.are.equal(1, s.after) end
    end,
  })

  it("is set for a while with `with`", run(function()
    local value = tide.Local("outside")
    assert.are.same({ "inside", 2 }, { value:with("inside", function(n)
      tide.sleep(0)
      return value:get(), n
    end, 2) })
    assert.are.equal("outside", value:get())
    fails("oops", value.with, value, 1, helper.failing("oops"))
    assert.are.equal("outside", value:get())
    tide.move_on_after(0.001, value.with, value, 1, tide.sleep, 5)
    assert.are.equal("outside", value:get())
  end))

  it("does not mix with others, and lasts no longer than its task", run(function()
    local one, two = tide.Local(1), tide.Local(2)
    one:set("x")
    assert.are.equal(2, two:get())
    two:set("y")
    assert.are.equal("x", one:get())
    local weak = setmetatable({}, { __mode = "v" })
    tide.spawn(function()
      weak[1] = {}
      one:set(weak[1])
    end):await()
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end))

  it("checks its arguments", run(function()
    local value = tide.Local()
    fails("Local expected", value.get, {})
    fails("bad argument #3", value.with, value, 1, 2)
    assert.are.equal("Local(7)", tostring(tide.Local(7)))
  end))

  local ways = {
    ["coroutine.wrap"] = coroutine.wrap,
    ["coroutine.resume"] = function(f)
      local co = coroutine.create(f)
      return function(...) return select(2, assert(coroutine.resume(co, ...))) end
    end,
    ["a generator"] = function(f)
      return tide.generator(function(yield) return f(nil, yield) end)
    end,
  }

  for name, way in pairs(ways) do
    it("that is set in " .. name .. " is not seen outside", run(function()
      local value = tide.Local("default")
      value:set("task's")
      local seen = helper.log()
      local step = way(function(_, yield)
        yield = yield or coroutine.yield
        seen(value:get())
        value:with("with's", function()
          yield(1)
          seen(value:get())
          turns(1)
          seen(tide.spawn(value.get, value):await())
        end)
        value:set("own")
        yield(2)
        seen(value:get())
        seen(tide.timeout(1, value.get, value))
        seen(way(function() return value:get() end)() or "none")
        return 3
      end)
      step()
      assert.are.equal("task's", value:get())
      value:set("later") -- is not seen inside: its copy was made at its first step
      step()
      assert.are.equal("later", value:get())
      tide.spawn(step):await() -- by another task, too
      local inner = name == "a generator" and "none" or "own"
      assert.are.same({ "task's", "with's", "with's", "own", "own", inner }, { table.unpack(seen) })
      assert.are.equal("later", value:get())
    end))

    it("that is set in " .. name .. " goes with it, where it is dropped", run(function()
      local value = tide.Local("default")
      local weak = setmetatable({}, { __mode = "v" })
      for i = 1, 10 do
        weak[i] = { i }
        way(function(_, yield) value:with(weak[i], yield or coroutine.yield, 1) end)()
      end
      collectgarbage()
      collectgarbage()
      assert.are.equal("default", value:get())
      assert.is_nil(next(weak))
    end))
  end

  it("goes with a Local that is dropped, in the task that set it and in those that inherited it", run(function()
    local weak = setmetatable({}, { __mode = "v" })
    local kept = tide.Local()
    kept:set "kept"
    for i = 1, 10 do
      local dropped = tide.Local()
      weak[i] = { dropped }
      dropped:set(weak[i])
    end
    local woken = tide.Event()
    local heir = tide.spawn(function()
      woken:wait()
      return kept:get()
    end)
    turns(1)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
    woken:set()
    assert.are.equal("kept", heir:await())
    assert.are.equal("kept", kept:get())
  end))

  it("stays as long as its Local is known", run(function()
    local locals = {}
    for i = 1, 10 do
      locals[i] = tide.Local()
      locals[i]:set { i }
      collectgarbage()
    end
    tide.spawn(function()
      collectgarbage()
      for i, value in ipairs(locals) do assert.are.same({ i }, value:get()) end
    end):await()
  end))

  it("inherited by a coroutine outside of tasks stays in there as well", function()
    local value = tide.Local("default")
    local co = coroutine.wrap(function()
      value:set("inside")
      coroutine.yield()
      return value:get()
    end)
    co()
    assert.are.equal("default", value:get())
    assert.are.equal("inside", co())
  end)
end)
