-- Event.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns = helper.run, helper.turns

describe("an Event", function()
  it("wakes all who wait, in order, and lets later ones pass", run(function()
    local event, log = tide.Event(), helper.log()
    for i = 1, 3 do tide.spawn(function() event:wait() log(i) end) end
    turns(2)
    assert.are.same({}, { table.unpack(log) })
    event:set()
    turns(1)
    assert.are.same({ 1, 2, 3 }, { table.unpack(log) })
    event:wait()
  end))

  it("is set and cleared as often as one likes", run(function()
    local event = tide.Event()
    assert.is_false(event:is_set())
    assert.are.equal("Event(clear)", tostring(event))
    event:set()
    event:set()
    assert.is_true(event:is_set())
    assert.are.equal("Event(set)", tostring(event))
    event:clear()
    event:clear()
    assert.is_false(event:is_set())
    local waiter = tide.spawn(event.wait, event)
    turns(2)
    assert.are.equal("waiting", waiter:status())
    event:set()
    waiter:await()
  end))

  it("that is set and cleared at once wakes those who waited", run(function()
    local event = tide.Event()
    local waiter = tide.spawn(event.wait, event)
    turns(1)
    event:set()
    event:clear()
    turns(1)
    assert.are.equal("done", waiter:status())
  end))

  it("gives nothing", run(function()
    local event = tide.Event()
    event:set()
    assert.are.equal(0, select("#", event:wait()))
  end))
end)
