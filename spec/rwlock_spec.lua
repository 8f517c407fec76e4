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
