-- tide.map: a function of each value of a list, concurrently.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, failing = helper.run, helper.turns, helper.failing
local raises, fails = helper.raises, helper.fails

describe("tide.map", function()
  it("gives the first results in order, with n, of function(value, index)", run(function()
    local results = tide.map({ "a", "b", "c" }, function(value, index)
      turns(4 - index)
      return value .. index, "more"
    end)
    assert.are.same({ "a1", "b2", "c3", n = 3 }, results)
    assert.are.same({ n = 0 }, tide.map({}, failing "never"))
    assert.are.same({ 1, nil, 3, n = 3 }, tide.map({ 1, 2, 3 }, function(i) if i ~= 2 then return i end end))
  end))

  it("takes lists with nil in them that have n", run(function()
    local seen = {}
    local results = tide.map(table.pack(1, nil, 3, nil), function(value, index) seen[index] = tostring(value) return value end)
    assert.are.same({ "1", "nil", "3", "nil" }, seen)
    assert.are.same({ 1, nil, 3, nil, n = 4 }, results)
  end))

  it("runs all at once, or so many", run(function()
    for limit = 1, 6 do
      local running, most = 0, 0
      tide.map({ 5, 1, 3, 2, 4 }, function(n)
        running = running + 1
        most = math.max(most, running)
        turns(n)
        running = running - 1
      end, { limit = limit < 6 and limit or nil })
      assert.are.equal(math.min(limit, 5), most)
    end
  end))

  it("goes through a long list with few tasks, one for each value", run(function()
    local list, tasks = {}, {}
    for i = 1, 20000 do list[i] = i end
    local most = 0
    tide.map(list, function(i)
      if i <= 10 then tasks[tide.current_task()] = true end
      if i % 1000 == 0 then most = math.max(most, #tide.all_tasks()) end
    end, { limit = 4 })
    local count = 0
    for _ in pairs(tasks) do count = count + 1 end
    assert.are.equal(10, count)
    assert.is_true(most < 10)
  end))

  it("hands Locals of the caller to each, and not from one to the next", run(function()
    local request = tide.Local("none")
    request:set("caller's")
    local seen = tide.map({ "a", "b", "c" }, function(value)
      local found = request:get()
      request:set(value)
      return found
    end, { limit = 1 })
    assert.are.same({ "caller's", "caller's", "caller's", n = 3 }, seen)
  end))

  it("is a group: the first error cancels the others, which are awaited, and begins no more", run(function()
    local cleaned, begun = 0, 0
    local err = raises("group", tide.map, { 9, 1, 9, 9 }, function(n, i)
      begun = begun + 1
      local _ <close> = helper.closer(function() tide.shield(turns, 2) cleaned = cleaned + 1 end)
      turns(n)
      error("oops " .. i, 0)
    end, { limit = 2 })
    assert.are.same({ "oops 2" }, err.errors)
    assert.are.same({ 2, 2 }, { begun, cleaned })
    assert.matches("'map'", tostring(err))
  end))

  it("gives errors among the results where that was asked for", run(function()
    local failure = {}
    local results = tide.map({ 1, 2, 3, 4 }, function(i)
      if i == 2 then error(failure) end
      if i == 3 then error() end
      return i
    end, { return_errors = true, limit = 2 })
    assert.are.same({ 1, failure, nil, 4, n = 4 }, results)
  end))

  it("cancelled cancels all and waits for their ends", run(function()
    for _, limit in ipairs { 2, 9 } do
      local begun, cleaned = 0, 0
      local task = tide.spawn(tide.map, { 1, 2, 3 }, function()
        begun = begun + 1
        local _ <close> = helper.closer(function() tide.shield(turns, 2) cleaned = cleaned + 1 end)
        tide.sleep(5)
      end, { limit = limit })
      turns(3)
      task:cancel()
      raises("cancelled", task.await, task)
      assert.are.same({ math.min(limit, 3), begun }, { begun, cleaned })
    end
  end))

  for how, reason in pairs { cancel = "quota", kill = "" } do
    -- A map of three, the first of which is ended by somebody else when the second has its result.
    local function cut(options)
      local tasks = {}
      return tide.map({ 1, 2, 3 }, function(i)
        tasks[i] = tide.current_task()
        turns(i)
        if i == 2 then tasks[1][how](tasks[1], "quota") end
        if i ~= 2 then tide.sleep(1) end
        return i
      end, options)
    end

    it("raises `cancelled` where one of them met with a " .. how .. " by somebody else", run(function()
      for _, options in ipairs { {}, { limit = 2 } } do
        local err = raises("cancelled", cut, options)
        assert.matches("^cancelled: map: the task that was awaited was cancelled.*" .. reason, tostring(err))
      end
    end))

    it("gives its error among the others', where that is wanted, after a " .. how, run(function()
      for _, options in ipairs { { return_errors = true }, { return_errors = true, limit = 2 } } do
        local results = cut(options)
        assert.is_true(tide.is(results[1], "cancelled"))
        assert.are.same({ 2, 3, 3 }, { results[2], results[3], results.n })
      end
    end))
  end

  it("does not see what becomes of the list meanwhile", run(function()
    local list = { 1, 2, 3 }
    assert.are.same({ 1, 2, 3, n = 3 }, tide.map(list, function(i) list[3] = nil turns(1) return i end, { limit = 1 }))
  end))

  it("refuses wrong arguments", run(function()
    fails("bad argument #1 to 'map' (table expected, got nil)", tide.map, nil, print)
    fails("bad argument #2 to 'map' (function expected, got nil)", tide.map, {})
    fails("bad argument #3 to 'map' (field 'limit' must be a positive integer", tide.map, {}, print, { limit = 0 })
    fails("unknown option 'limits'", tide.map, {}, print, { limits = 1 })
  end))
end)
