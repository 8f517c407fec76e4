-- Many tasks, long chains, deep nesting. A million sleepers are in bench/.
local tide = require "tide"
local helper = require "spec.helper"

local run, raises, turns = helper.run, helper.raises, helper.turns

describe("100,000 tasks asleep at once", function()
  it("wake in the order of their deadlines", run(function()
    local count = 100000
    local last, woken = 0, 0
    local function doze(i)
      local seconds = (i * 7919 % count + 1) / 1000 -- each another one
      tide.sleep(seconds)
      assert(seconds > last)
      last, woken = seconds, woken + 1
    end
    local began = tide.time()
    local timers = tide.stats().timers
    tide.TaskGroup(function(group)
      for i = 1, count do group:spawn(doze, i) end
      turns(2)
      assert.equal(count, tide.stats().timers - timers)
    end)
    assert.equal(count, woken)
    assert.is_true(math.abs(tide.time() - began - count / 1000) < 1e-6)
  end, { clock = "virtual" }))

  it("are cancelled at once", run(function()
    local count = 100000
    local ended, timers = 0, tide.stats().timers
    local function doze()
      local _ <close> = helper.closer(function() ended = ended + 1 end)
      tide.sleep(60)
    end
    tide.TaskGroup(function(group)
      for _ = 1, count do group:spawn(doze) end
      turns(2)
      group:cancel()
    end)
    assert.equal(count, ended)
    assert.equal(timers, tide.stats().timers)
  end))
end)

describe("a chain of 10,000 tasks that await each the next", function()
  local LENGTH = 10000

  -- The first task of a chain; the last one calls `f`. `ended` gets the number of each when it ends.
  local function chain(f, ended)
    local function link(i)
      local _ <close> = helper.closer(function() ended[#ended + 1] = i end)
      if i == LENGTH then return f() end
      return tide.spawn(link, i + 1):await()
    end
    return tide.spawn(link, 1)
  end

  local function assert_innermost_first(ended)
    assert.equal(LENGTH, #ended)
    for i, number in ipairs(ended) do assert(number == LENGTH - i + 1) end
  end

  it("passes the results through", run(function()
    local ended = {}
    assert.same({ "deep", nil, 3, n = 3 }, table.pack(chain(function()
      turns(1)
      return "deep", nil, 3
    end, ended):await()))
    assert_innermost_first(ended)
  end))

  it("passes a failure through, by identity", run(function()
    local failure, ended = {}, {}
    local ok, err = pcall(tide.await, chain(function()
      turns(1)
      error(failure)
    end, ended))
    assert.is_false(ok)
    assert.equal(failure, err)
    assert_innermost_first(ended)
  end))

  it("is cancelled from its end: the innermost first", run(function()
    local deep, ended = tide.Event(), {}
    local first = chain(function()
      deep:set()
      tide.sleep(60)
    end, ended)
    deep:wait()
    first:cancel "enough"
    local err = raises("cancelled", first.await, first)
    assert.equal(first, err.task)
    assert_innermost_first(ended)
  end))
end)

describe("1,000 nested <close> scopes", function()
  local DEPTH = 1000

  local opened = {
    timeout = function() return tide.timeout(60) end,
    timeout_at = function() return tide.timeout_at(tide.time() + 60) end,
    TaskGroup = function() return tide.TaskGroup() end,
  }

  for name, open in pairs(opened) do
    local function nest(depth, f)
      local _ <close> = open()
      if depth == 1 then return f() end
      local result = nest(depth - 1, f)
      return result
    end

    it(("of tide.%s are left one by one"):format(name), run(function()
      assert.equal("bottom", nest(DEPTH, function()
        turns(1)
        return "bottom"
      end))
      turns(1) -- in no scope any more
    end))

    it(("of tide.%s are left by a cancellation of the outermost one"):format(name), run(function()
      raises("timeout", function()
        local outermost <close> = tide.timeout(60)
        nest(DEPTH, function()
          outermost:reschedule(tide.time())
          tide.sleep(60)
        end)
      end)
      turns(1)
    end))
  end
end)

describe("function forms nested beyond Lua's limit of C calls", function()
  local DEPTH = 1000

  local forms = {
    ["tide.timeout"] = function(f) return tide.timeout(60, f) end,
    ["tide.timeout_at"] = function(f) return tide.timeout_at(tide.time() + 60, f) end,
    ["tide.move_on_after"] = function(f) return select(2, tide.move_on_after(60, f)) end,
    ["tide.scope"] = function(f) return select(2, tide.scope(f)) end,
    ["tide.shield"] = function(f) return tide.shield(f) end,
    ["tide.TaskGroup"] = function(f) return tide.TaskGroup(f) end,
    ["tide.catch"] = function(f) return tide.catch(f, {}) end,
    ["lock:with"] = function(f) return tide.Lock():with(f) end,
    ["pcall"] = function(f)
      local ok, result = pcall(f)
      return ok and result or error(result, 0)
    end,
    ["xpcall"] = function(f)
      local ok, result = xpcall(f, function(err) return err end)
      return ok and result or error(result, 0)
    end,
    ["tide.try"] = function(f)
      local result, err = tide.try(f)
      return result or error(err, 0)
    end,
    ["coroutine.wrap"] = function(f) return coroutine.wrap(f)() end,
  }

  local function nester(form, depth)
    local function nest(left)
      if left == 0 then
        turns(1)
        return "bottom"
      end
      local result = form(function() return nest(left - 1) end)
      return result
    end
    return function() return nest(depth) end
  end

  -- What failed first, inside all groups.
  local function leaf(err)
    while tide.is(err, "group") do err = err.errors[1] end
    return err
  end

  for name, form in pairs(forms) do
    it(("%s: say so, and the loop goes on"):format(name), run(function()
      assert.equal("bottom", tide.spawn(nester(form, 150)):await())

      local ok, err = pcall(tide.await, tide.spawn(nester(form, DEPTH)))
      assert.is_false(ok)
      local message = tostring(leaf(err))
      assert.matches("C stack overflow: Lua allows about 200 nested calls of C functions", message, 1, true)
      assert.matches("local _ <close> = tide.timeout(s)", message, 1, true)
      local _, times = message:gsub("Lua allows", "")
      assert.equal(1, times)

      turns(1)
      assert.equal("bottom", tide.timeout(60, nester(form, 10)))
    end))
  end

  -- It counts as two waits, so that the task gives up its turn before the limit, and C's stack with it.
  it("tide.wait_for: nest as deep as one likes", run(function()
    local nested = nester(function(f) return tide.wait_for(f, 60) end, DEPTH)
    assert.equal("bottom", tide.spawn(nested):await())
  end))
end)

-- Who comes to wait for children in a cancelled scope looks whether these wait for him.
describe("a chain of tasks that each hold a group, cancelled, costs time in proportion to its length where", function()
  -- Seconds until all have ended. Each clean-up takes milliseconds(its number).
  local function cost(length, milliseconds)
    local begun = 0
    local function link(i)
      begun = begun + 1
      if i == length then return tide.shield(tide.sleep, 1) end
      local g <close> = tide.TaskGroup()
      g:spawn(link, i + 1)
      local _ <close> = helper.closer(function() tide.shield(tide.sleep, milliseconds(i, length) / 1000) end)
      tide.sleep(60)
    end
    local first = tide.spawn(link, 1)
    while begun < length do turns() end
    local began = os.clock()
    first:cancel()
    tide.wait { first }
    return os.clock() - began
  end

  for order, milliseconds in pairs {
    ["all wait at once"] = function() return 0 end,
    ["the innermost waits first"] = function(i, length) return (length - i) / 100 end,
    ["the outermost waits first"] = function(i) return i / 100 end,
    ["every other one waits first"] = function(i, length) return i % 2 == 0 and 0 or 1 + (length - i) / 100 end,
    ["they wait in no order"] = function(i) return i * 7919 % 1000 end,
  } do
    it(order, run(function()
      local short = cost(500, milliseconds)
      local long = cost(8000, milliseconds)
      assert.is_true(long < 60 * short + 0.1, ("500 tasks: %.3f s, 8000 tasks: %.3f s"):format(short, long))
    end, { clock = "virtual" }))
  end
end)

describe("failures, many at once, that somebody waited for", function()
  local FEW = ({ quick = 400, usual = 1000, full = 2500 })[helper.thoroughness]
  local function failing(count)
    local functions = {}
    for i = 1, count do functions[i] = function() error("x", 0) end end
    return functions
  end

  local takers = {
    gather = function(functions)
      functions.return_errors = true
      assert.equal(#functions, tide.gather(functions).n)
    end,
    wait = function(functions)
      for _, task in ipairs(tide.wait(functions)) do assert.equal("x", task:error()) end
    end,
    first_success = function(functions) raises("group", tide.first_success, functions) end,
  }

  -- The least time of some, by the processor's clock: the collector's work comes as it likes.
  local function seconds(take, count)
    local least = math.huge
    for _ = 1, 3 do
      local functions = failing(count)
      collectgarbage()
      local began = os.clock()
      take(functions)
      least = math.min(least, os.clock() - began)
    end
    return least
  end

  for name, take in pairs(takers) do
    it(("cost %s time in proportion to their number"):format(name), run(function()
      local few, many = seconds(take, FEW), seconds(take, 8 * FEW)
      assert(many < 24 * few, ("%.3f s, then %.3f s"):format(few, many)) -- 8 times, where all is well
    end))
  end
end)

describe("groups inside each other, to a great depth,", function()
  -- Each in the body of the one before, by itself or with a child; `bottom` is called in the innermost.
  local function nest(depth, with_child, bottom)
    if depth == 0 then return bottom() end
    local group <close> = tide.TaskGroup()
    if with_child then group:spawn(tide.sleep, 0) end
    local result = nest(depth - 1, with_child, bottom)
    return result
  end

  local ways = {
    ["that return"] = { depth = 4000, run = function(depth) nest(depth, false, function() end) end },
    ["that fail"] = {
      depth = 4000,
      run = function(depth)
        local err = raises("group", nest, depth, false, function() error("x", 0) end)
        assert.same({ "x" }, err:leaves())
      end,
    },
    ["with a child in each"] = { depth = 1000, run = function(depth) nest(depth, true, function() end) end },
  }

  for name, way in pairs(ways) do
    it("are left in time in proportion to their number: those " .. name, run(function()
      local function seconds(depth)
        collectgarbage()
        local began = os.clock()
        way.run(depth)
        return os.clock() - began
      end
      local few, many = seconds(way.depth), seconds(16 * way.depth)
      assert(many < 60 * few + 0.1, ("%.3f s, then %.3f s"):format(few, many)) -- 16 times, where all is well
    end))
  end

  it("end with Lua's stack where there is no other end", run(function()
    local function endless()
      local _ <close> = tide.TaskGroup()
      local result = endless()
      return result
    end
    local before = tide.stats().tasks
    local err = raises("group", endless)
    assert.matches("stack overflow", err:leaves()[1])
    assert.equal(before, tide.stats().tasks)
    turns(1)
  end))
end)
