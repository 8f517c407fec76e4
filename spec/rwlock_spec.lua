-- RWLock: many readers or one writer.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns = helper.run, helper.turns

describe("an RWLock", function()
  it("admits many readers at once", run(function()
    local lock, inside, most = tide.RWLock(), 0, 0
    local function read()
      local _ <close> = lock:read()
      inside = inside + 1
      most = math.max(most, inside)
      turns(2)
      inside = inside - 1
    end
    tide.gather { read, read, read }
    assert.are.equal(3, most)
  end))

  it("admits one writer, and then no reader", run(function()
    local lock, writing, reading = tide.RWLock(), 0, 0
    local function write()
      local _ <close> = lock:write()
      writing = writing + 1
      assert(writing == 1 and reading == 0)
      turns(2)
      writing = writing - 1
    end
    local function read()
      local _ <close> = lock:read()
      reading = reading + 1
      assert(writing == 0)
      turns(2)
      reading = reading - 1
    end
    tide.gather { write, read, read, write, read, write, write, read }
  end))

  it("is fair: readers who come later do not overtake a writer", run(function()
    local lock, log = tide.RWLock(), helper.log()
    local function use(kind, name)
      return function()
        local _ <close> = lock[kind](lock)
        log(name)
        turns(2)
      end
    end
    tide.gather { use("read", "r1"), use("write", "w1"), use("read", "r2"), use("read", "r3"), use("write", "w2") }
    assert.are.equal("r1 w1 r2 r3 w2", table.concat(log, " "))
  end))

  it("gives guards that are released once", run(function()
    local lock = tide.RWLock()
    local a, b = lock:read(), lock:read()
    assert.are.equal("RWLock(2 reading)", tostring(lock))
    a:release()
    a:release()
    a:close()
    assert.are.equal("RWLock(1 reading)", tostring(lock))
    b:close()
    local guard = lock:write()
    assert.are.equal("RWLock(writing)", tostring(lock))
    assert.matches("writing", tostring(guard))
    guard:release()
    assert.matches("released", tostring(guard))
    assert.are.equal("RWLock(0 reading)", tostring(lock))
  end))

  it("lets those behind a cancelled writer go on", run(function()
    local lock = tide.RWLock()
    local guard = lock:read()
    local writer, reader = tide.spawn(lock.write, lock), tide.spawn(function() lock:read():release() end)
    turns(1)
    assert.are.equal("waiting", reader:status())
    writer:cancel()
    turns(2)
    assert.are.equal("done", reader:status())
    guard:release()
  end))
end)

describe("an RWLock in select", function()
  it("gives the guard of what happened first", run(function()
    local lock = tide.RWLock()
    do
      local i, guard = tide.select(lock:reading(), tide.after(1))
      local _ <close> = guard
      assert.are.equal(1, i)
      assert.matches("reading", tostring(guard))
      assert.are.equal(1, lock:statistics().readers)
      assert.are.equal(2, (tide.select(lock:writing(), tide.after(0.001))))
      local _, other = tide.select(tide.Queue(), lock:reading())
      other:close()
    end
    assert.are.equal(0, lock:statistics().readers)
    local _, guard = tide.select(lock:writing())
    assert.is_true(lock:statistics().writing)
    assert.are.equal(2, (tide.select(lock:reading(), tide.after(0.001))))
    guard:release()
    assert.is_false(lock:statistics().writing)
  end))

  it("waits in order of arrival", run(function()
    local lock, log = tide.RWLock(), helper.log()
    local writer = lock:write()
    local function wait_for(case, name)
      return function()
        local _, guard = tide.select(case)
        local _ <close> = guard
        log(name)
        turns(1)
      end
    end
    tide.call_soon(writer.release, writer)
    tide.gather {
      wait_for(lock:reading(), "reader"), wait_for(lock:writing(), "writer"), wait_for(lock:reading(), "later reader"),
    }
    assert.are.same({ "reader", "writer", "later reader" }, { table.unpack(log) })
    assert.are.same({ readers = 0, writing = false, readers_waiting = 0, writers_waiting = 0 }, lock:statistics())
  end))

  -- A writer that leaves lets the readers behind it in: the same select's must not be among them.
  it("leaves nothing held where another case of its own happens", run(function()
    for _, ending in ipairs { "event", "time", "cancel", "kill", "lock" } do
      local lock, event = tide.RWLock(), tide.Event()
      local reader = lock:read()
      local writer = tide.spawn(lock.write, lock) -- so that the select's reading has to wait, too
      turns(1)
      local task = tide.spawn(function()
        local i, guard = tide.select(lock:writing(), lock:reading(), event, tide.after(5), lock:writing(), lock:reading())
        if guard then guard:release() end
        return i
      end)
      turns(2)
      assert.are.equal(3, lock:statistics().writers_waiting)
      writer:cancel()
      turns(2)
      assert.are.equal(2, lock:statistics().writers_waiting)
      if ending == "event" then
        event:set()
        assert.are.equal(3, task:await())
      elseif ending == "time" then
        assert.are.equal(4, task:await())
      elseif ending == "lock" then
        reader:release()
        assert.are.equal(1, task:await())
      else
        task[ending](task)
        tide.wait { task }
      end
      reader:release()
      assert.are.same({ readers = 0, writing = false, readers_waiting = 0, writers_waiting = 0 }, lock:statistics(), ending)
      lock:write():release()
    end
  end))

  it("lets others in that stood behind it", run(function()
    local lock, event = tide.RWLock(), tide.Event()
    local reader = lock:read()
    local chooser = tide.spawn(tide.select, lock:writing(), event)
    turns(1)
    local behind = tide.spawn(lock.read, lock)
    turns(1)
    assert.is_false(behind:done())
    event:set()
    assert.are.equal(2, chooser:await())
    behind:await():release()
    reader:release()
  end))

  it("gives back what a killed task will not see", run(function()
    local lock = tide.RWLock()
    local writer = lock:write()
    local task = tide.spawn(tide.select, lock:writing(), tide.after(5))
    turns(1)
    writer:release()
    task:kill()
    turns(1)
    assert.is_false(lock:statistics().writing)
  end))

  it("takes a case again once its guard was released, and not before", run(function()
    local lock = tide.RWLock()
    local case = lock:reading()
    for _ = 1, 2 do
      local _, guard = tide.select(case)
      assert.are.equal(case, guard)
      helper.raises("invalid_state", tide.select, case)
      assert.are.equal(1, lock:statistics().readers)
      guard:release()
    end
    helper.fails("RWLock expected", lock.reading, tide.Lock())
  end))
end)
