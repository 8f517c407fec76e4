-- Cancellation at every point of everything that waits: it did not happen, and nothing is left.
local tide = require "tide"
local helper = require "spec.helper"
local sweep = require "spec.sweep"

local sleep = tide.sleep

local function turns(n)
  for _ = 1, n do sleep(0) end
end

describe("cancelled at every suspension:", function()
  it("sleep(0)", sweep.it {
    subject = function(s)
      for i = 1, 5 do
        sleep(0)
        s.steps = i
      end
    end,
    check = function(s, ended)
      assert.are.equal(ended == "done", s.steps == 5)
    end,
  })

  it("sleep", sweep.it {
    subject = function()
      sleep(0.0001)
      sleep(0.0001)
    end,
  })

  it("sleep, in the turn in which it ends", sweep.it {
    others = { function() sleep(0.0002) end, function() sleep(0.0002) end },
    subject = function() sleep(0.0002) end,
  })

  describe("Lock", function()
    local function hold(s)
      s.lock:acquire()
      turns(2)
      s.lock:release()
    end

    local function setup(s) s.lock = tide.Lock() end

    local function check(s)
      assert.is_false(s.lock:locked())
      assert.is_true(s.lock:try_acquire())
      s.lock:release()
    end

    it("acquire", sweep.it {
      setup = setup,
      others = { hold, hold },
      subject = function(s)
        for _ = 1, 3 do
          local _ <close> = s.lock:acquire()
          sleep(0)
        end
      end,
      check = check,
    })

    it("acquire, where others come first", sweep.it {
      setup = setup,
      others = { hold, hold },
      subject = function(s)
        sleep(0)
        local _ <close> = s.lock:acquire()
      end,
      check = check,
    })

    it("with", sweep.it {
      setup = setup,
      others = { hold },
      subject = function(s)
        sleep(0)
        s.lock:with(function() turns(2) end)
      end,
      check = check,
    })
  end)

  describe("RWLock", function()
    local function read(s)
      local _ <close> = s.lock:read()
      turns(2)
    end

    local function write(s)
      local _ <close> = s.lock:write()
      assert(not s.writing)
      s.writing = true
      turns(2)
      s.writing = false
    end

    local function setup(s) s.lock = tide.RWLock() end

    local function check(s)
      assert.are.equal("RWLock(0 reading)", tostring(s.lock))
      s.lock:write():release()
    end

    it("read", sweep.it {
      setup = setup,
      others = { write, read, write },
      subject = function(s)
        sleep(0)
        read(s)
        local _ <close> = s.lock:read()
      end,
      check = check,
    })

    it("write", sweep.it {
      setup = setup,
      others = { read, write, read },
      subject = function(s)
        sleep(0)
        for _ = 1, 2 do
          local _ <close> = s.lock:write()
          sleep(0)
        end
      end,
      check = check,
    })
  end)

  it("Semaphore acquire", sweep.it {
    setup = function(s) s.semaphore = tide.BoundedSemaphore(2) end,
    others = {
      function(s) local _ <close> = s.semaphore:acquire() turns(2) end,
      function(s) local _ <close> = s.semaphore:acquire() turns(3) end,
      function(s) local _ <close> = s.semaphore:acquire() turns(1) end,
    },
    subject = function(s)
      sleep(0)
      for _ = 1, 2 do
        local _ <close> = s.semaphore:acquire()
        sleep(0)
      end
    end,
    check = function(s) assert.are.equal(2, s.semaphore:value()) end,
  })

  it("Semaphore acquire of several permits", sweep.it {
    setup = function(s) s.semaphore = tide.BoundedSemaphore(3) end,
    others = {
      function(s) local _ <close> = s.semaphore:acquire(2) turns(2) end,
      function(s) local _ <close> = s.semaphore:acquire(3) turns(3) end,
      function(s) local _ <close> = s.semaphore:acquire(1) turns(1) end,
    },
    subject = function(s)
      sleep(0)
      for _ = 1, 2 do
        local _ <close> = s.semaphore:acquire(2)
        sleep(0)
      end
    end,
    check = function(s) assert.are.equal(3, s.semaphore:value()) end,
  })

  describe("Condition", function()
    local function setup(s)
      s.lock = tide.Lock()
      s.condition = tide.Condition(s.lock)
      s.items, s.taken = 0, 0
    end

    local function consume(s)
      local _ <close> = s.lock:acquire()
      while s.items == 0 do
        s.condition:wait()
        assert(s.condition:lock():locked())
      end
      s.items = s.items - 1
      s.taken = s.taken + 1
    end

    local function produce(s)
      for _ = 1, 2 do
        sleep(0)
        local _ <close> = s.lock:acquire()
        s.items = s.items + 1
        s.condition:notify()
        sleep(0)
      end
    end

    local function check(s, ended)
      assert.is_false(s.lock:locked())
      assert.are.equal(2, s.items + s.taken)
      if ended == "done" then assert.are.equal(0, s.items) end
    end

    it("wait", sweep.it {
      setup = setup,
      others = { consume, produce },
      subject = consume,
      check = check,
    })

    it("wait, which has its lock back when it raises", sweep.it {
      setup = setup,
      leaves = true,
      others = { produce },
      subject = function(s)
        local _ <close> = s.lock:acquire()
        local ok, err = tide.raw.pcall(function()
          while s.items < 2 do s.condition:wait() end
        end)
        s.lock:release() -- would raise if it were not held
        s.lock:acquire()
        if not ok then error(err, 0) end
      end,
      check = function(s) assert.is_false(s.lock:locked()) end,
    }, { "cancel", "twice", "close" })

    it("wait_for", sweep.it {
      setup = setup,
      others = { produce },
      subject = function(s)
        local _ <close> = s.lock:acquire()
        s.condition:wait_for(function() return s.items == 2 end)
      end,
      check = function(s) assert.is_false(s.lock:locked()) end,
    })
  end)

  it("Event wait", sweep.it {
    setup = function(s) s.event = tide.Event() end,
    others = { function(s)
      turns(2)
      s.event:set()
      s.event:clear()
      turns(2)
      s.event:set()
    end },
    subject = function(s)
      s.event:wait()
      s.event:wait()
      s.event:wait()
    end,
  })

  it("Barrier wait", sweep.it {
    setup = function(s) s.barrier = tide.Barrier(2) end,
    leaves = true,
    others = { function(s)
      turns(2)
      local ok, err = pcall(s.barrier.wait, s.barrier)
      if not ok then assert(tide.is(err, "broken_barrier")) end
    end },
    subject = function(s) s.barrier:wait() end,
    check = function(s, ended)
      assert.are.equal(0, s.barrier:waiting())
      if ended == "done" then assert.is_false(s.barrier:broken()) end
    end,
  })

  for _, name in ipairs { "Queue", "LifoQueue", "PriorityQueue" } do
    describe(name, function()
      local function put(s, item) s.queue:put(item, item) end

      local function setup(s)
        s.queue = tide[name](2)
        s.put, s.got = 0, 0
      end

      -- Every item that was put came out, or is still in it.
      local function check(s)
        while #s.queue > 0 do
          s.got = s.got + s.queue:get_nowait()
          s.queue:task_done()
        end
        assert.are.equal(s.put, s.got)
        s.queue:join()
      end

      it("get", sweep.it {
        setup = setup,
        others = { function(s)
          for i = 1, 5 do
            put(s, i)
            s.put = s.put + i
            if i % 2 == 0 then turns(2) end
          end
          s.queue:close()
        end, function(s)
          for item in s.queue:iter() do
            s.got = s.got + item
            s.queue:task_done()
          end
        end },
        subject = function(s)
          for _ = 1, 3 do
            local ok, item = tide.raw.pcall(s.queue.get, s.queue)
            if not ok then
              if tide.is(item, "closed") then return end
              error(item, 0)
            end
            s.got = s.got + item
            s.queue:task_done()
          end
        end,
        check = check,
      })

      it("get from an empty queue", sweep.it {
        setup = setup,
        others = { function(s)
          turns(3)
          put(s, 1)
          s.put = 1
        end },
        subject = function(s)
          s.got = s.got + s.queue:get()
          s.queue:task_done()
        end,
        check = check,
      })

      it("put", sweep.it {
        setup = setup,
        leaves = true,
        others = { function(s)
          while true do
            turns(2)
            s.got = s.got + s.queue:get()
            s.queue:task_done()
          end
        end },
        subject = function(s)
          for i = 1, 6 do
            s.last = i
            put(s, i)
            s.put = s.put + i
            s.last = 0
          end
        end,
        check = function(s) -- one whose put had completed may be killed before it knows
          local got = s.got
          for _ = 1, #s.queue do got = got + s.queue:get_nowait() s.queue:task_done() end
          assert.is_true(got == s.put or s.mode == "kill" and got == s.put + s.last)
        end,
      })

      it("iter", sweep.it {
        setup = setup,
        others = { function(s)
          for i = 1, 3 do
            put(s, i)
            sleep(0)
          end
          s.queue:close()
        end, function(s)
          turns(8)
          for item in s.queue:iter() do assert(item) end
        end },
        subject = function(s)
          for item in s.queue:iter() do assert(item) end
        end,
      })

      it("join", sweep.it {
        setup = function(s)
          setup(s)
          put(s, 1)
        end,
        others = { function(s)
          turns(2)
          s.queue:get()
          turns(2)
          s.queue:task_done()
        end },
        subject = function(s) s.queue:join() end,
      })
    end)
  end

  describe("Future", function()
    it("await", sweep.it {
      setup = function(s) s.future = tide.Future() end,
      others = { function(s)
        turns(3)
        if not s.future:done() then s.future:set_result(1) end
      end },
      subject = function(s) assert(s.future:await() == 1) end,
    })

    it("await of a task", sweep.it {
      setup = function(s) s.child = tide.spawn(turns, 3) end,
      subject = function(s) s.child:await() end,
      check = function(s, ended)
        if ended == "done" then assert.are.equal("done", s.child:status()) end
        tide.wait { s.child }
      end,
    })

    it("shielded await", sweep.it {
      setup = function(s) s.child = tide.spawn(turns, 3) end,
      subject = function(s) tide.shield(s.child) end,
      check = function(s)
        s.child:await()
        assert.are.equal("done", s.child:status())
      end,
    })
  end)

  -- Children that the subject starts: all must have ended when it has.
  local function child(s, n, result)
    return function()
      s.live = (s.live or 0) + 1
      local _ <close> = setmetatable({}, { __close = function() s.live = s.live - 1 end })
      turns(n)
      return result
    end
  end

  -- Tasks in the list that the subject waits for: it leaves them alone.
  local function all_end_well(s)
    for _, task in ipairs(s.list) do
      task:await()
      assert.are.equal("done", task:status())
    end
  end

  local function no_child(s, ended)
    if ended ~= "cancelled" or s.mode ~= "kill" then assert.are.equal(0, s.live or 0) end
  end

  -- A group that is cancelled takes no more; the next wait says so.
  local function spawn(g, f)
    local _, err = tide.try(g.spawn, g, f)
    if err then
      assert(tide.is(err, "closed"))
      sleep(0)
    end
  end

  it("gather", sweep.it {
    subject = function(s)
      local results = tide.gather { child(s, 1, "a"), child(s, 9, "b"), child(s, 4, "c") }
      assert.are.same({ "a", "b", "c", n = 3 }, results)
    end,
    check = no_child,
  })

  it("gather with a limit", sweep.it {
    subject = function(s)
      local results = tide.gather {
        child(s, 1, "a"), tide.spawn(child(s, 3, "b")), child(s, 2, "c"), child(s, 0, "d"), child(s, 1, "e"), limit = 2,
      }
      assert.are.same({ "a", "b", "c", "d", "e", n = 5 }, results)
    end,
    check = no_child,
  })

  it("map", sweep.it {
    subject = function(s)
      local results = tide.map({ 1, 4, 2 }, function(n) return child(s, n, n)() end, { limit = 2 })
      assert.are.same({ 1, 4, 2, n = 3 }, results)
    end,
    check = no_child,
  })

  it("retry", sweep.it {
    subject = function(s)
      s.tries = 0
      assert(tide.retry(function()
        s.tries = s.tries + 1
        sleep(0)
        if s.tries < 3 then error "once more" end
        return "done"
      end, { delay = 0.0001 }) == "done")
    end,
  })

  it("first_success", sweep.it {
    setup = function() tide.on_failure(function() end) end, -- what fails while the subject is cancelled is reported
    subject = function(s)
      local function broken() turns(1) error "broken" end
      local ok, index, result = pcall(tide.first_success, { broken, child(s, 9), child(s, 3, "c"), broken })
      if not ok then -- cancelled in the turn in which one of them failed: that is told first
        assert.matches("broken", index)
        sleep(0)
      end
      assert(index == 3 and result == "c")
    end,
    check = function(s, ended)
      turns(2)
      no_child(s, ended)
    end,
  })

  it("defer", sweep.it {
    setup = function(s) s.called = 0 end,
    subject = function(s)
      sleep(0)
      s.begun = true
      local _ <close> = tide.defer(function() s.called = s.called + 1 end)
      turns(2)
    end,
    check = function(s) assert.are.equal(s.begun and 1 or 0, s.called) end,
  })

  it("race", sweep.it {
    subject = function(s)
      local index, result = tide.race { child(s, 9), child(s, 2, "b"), child(s, 5) }
      assert(index == 2 and result == "b")
    end,
    check = no_child,
  })

  it("wait", sweep.it {
    setup = function(s) s.list = { tide.spawn(turns, 2), tide.spawn(turns, 4) } end,
    subject = function(s) tide.wait(s.list) end,
    check = all_end_well,
  })

  it("as_completed", sweep.it {
    setup = function(s) s.list = { tide.spawn(turns, 3), tide.spawn(turns, 1), tide.spawn(turns, 5) } end,
    subject = function(s)
      for task in tide.as_completed(s.list) do assert(task:done()) end
    end,
    check = all_end_well,
  })

  it("wait_for", sweep.it {
    setup = function(s) s.future = tide.Future() end,
    others = { function(s)
      turns(4)
      if not s.future:done() then s.future:set_result() end
    end },
    subject = function(s)
      tide.wait_for(function() turns(2) end, 5)
      tide.wait_for(s.future, 5)
    end,
  })

  it("timeout and move_on_after", sweep.it {
    subject = function()
      tide.timeout(5, turns, 2)
      assert(tide.move_on_after(5, turns, 2))
      local _ <close> = tide.timeout(5)
      turns(2)
    end,
  })

  it("a timeout that passes", sweep.it {
    subject = function()
      local ok, err = tide.raw.pcall(tide.timeout, 0.00005, sleep, 1)
      if not tide.is(err, "timeout") then error(err, 0) end
      assert(not ok)
      assert(tide.move_on_after(0.00005, sleep, 1) == false)
    end,
  })

  it("scope", sweep.it {
    subject = function()
      local ok = tide.scope(function(scope)
        turns(2)
        scope:cancel()
        tide.shield(turns, 2)
        sleep(0)
        error("the scope is cancelled")
      end)
      assert(ok == false)
      sleep(0)
    end,
  })

  it("shield", sweep.it {
    subject = function(s)
      sleep(0)
      s.inside = true
      tide.shield(function()
        turns(4)
        s.inside = false
      end)
      sleep(0)
    end,
    check = function(s)
      if s.mode ~= "kill" then assert.is_falsy(s.inside) end
    end,
  })

  describe("TaskGroup", function()
    it("block form", sweep.it {
      subject = function(s)
        local g <close> = tide.TaskGroup()
        g:spawn(child(s, 1))
        g:spawn(child(s, 6))
        sleep(0)
        spawn(g, child(s, 2))
      end,
      check = no_child,
    })

    it("function form", sweep.it {
      subject = function(s)
        local result = tide.TaskGroup(function(g)
          g:spawn(child(s, 1))
          g:spawn(child(s, 6))
          sleep(0)
          spawn(g, child(s, 2))
          return "body"
        end)
        assert(result == "body")
      end,
      check = no_child,
    })

    it("with a limit", sweep.it {
      subject = function(s)
        local g <close> = tide.TaskGroup { max = 2 }
        for _ = 1, 5 do g:spawn(child(s, 2)) end
      end,
      check = no_child,
    })

    it("nested", sweep.it {
      subject = function(s)
        tide.TaskGroup(function(outer)
          outer:spawn(function()
            local inner <close> = tide.TaskGroup()
            inner:spawn(child(s, 3))
            sleep(0)
          end)
          outer:spawn(child(s, 2))
        end)
      end,
      check = no_child,
    })

    it("whose children need cleanup that waits", sweep.it {
      subject = function(s)
        tide.TaskGroup(function(g)
          for _ = 1, 2 do
            g:spawn(function()
              s.live = (s.live or 0) + 1
              local _ <close> = setmetatable({}, { __close = function()
                tide.shield(turns, 2)
                s.live = s.live - 1
              end })
              turns(3)
            end)
          end
        end)
      end,
      check = no_child,
    })

    it("with a failing child", sweep.it {
      setup = helper.collect_failures, -- of those whose group is killed
      subject = function(s)
        local ok, err = tide.raw.pcall(tide.TaskGroup, function(g)
          g:spawn(child(s, 5))
          g:spawn(function()
            sleep(0)
            error("fails")
          end)
          turns(5)
        end)
        assert(not ok)
        if not tide.is(err, "group") then error(err, 0) end
        assert(#err.errors == 1)
      end,
      check = no_child,
    })
  end)
end)
