-- tide.select: of several things exactly one happens.
local tide = require "tide"
local helper = require "spec.helper"
local sweep = require "spec.sweep"

local run, turns, raises, fails = helper.run, helper.turns, helper.raises, helper.fails
local select = tide.select

-- The values of a select that has to wait until `act` is called.
local function selected(act, ...)
  local task = tide.spawn(select, ...)
  turns(2)
  assert.are.equal("waiting", task:status())
  act()
  return task:await()
end

describe("tide.select over a group's end", function()
  it("happens when no child runs, whoever looks, and not before", run(function()
    local group, inbox, log = nil, tide.Queue(), helper.log()
    tide.TaskGroup(function(g)
      group = g
      assert.are.equal(1, (tide.select(g:ended(), tide.after(5))))
      for i = 1, 3 do g:spawn(function() turns(2 * i) inbox:put(i) end) end
      local outside = tide.spawn(function() return tide.select(tide.Queue(), g:ended()) end)
      repeat
        local case, item = tide.select(inbox, g:ended())
        log(case == 1 and item or "ended")
      until case == 2
      assert.are.equal(2, outside:await())
    end)
    assert.are.same({ 1, 2, 3, "ended" }, { table.unpack(log) })
    assert.are.equal(1, (tide.select(group:ended())))
    assert.matches("ended", tostring(group:ended()))
  end))

  it("cannot be waited for by its children", run(function()
    tide.TaskGroup(function(g)
      g:spawn(raises, "invalid_state", tide.select, g:ended())
    end)
  end))

  it("leaves the group alone where another case happens, or the task is cancelled or killed", run(function()
    for _, how in ipairs { "cancel", "kill" } do
      tide.TaskGroup(function(g)
        local child = g:spawn(turns, 6)
        assert.are.equal(2, (tide.select(g:ended(), tide.after(0))))
        local waiter = tide.spawn(tide.select, g:ended(), tide.Queue())
        turns(2)
        waiter[how](waiter)
        turns(2)
        assert.is_true(waiter:cancelled())
        assert.is_false(child:done())
      end)
    end
  end))
end)

describe("tide.select", function()
  it("takes an item from a queue", run(function()
    local one, two = tide.Queue(), tide.Queue()
    two:put("x")
    assert.are.same({ 2, "x" }, { select(one, two) })
    assert.are.same({ 1, "y" }, { selected(function() one:put("y") end, one, two) })
    assert.are.same({ 2, false }, { selected(function() two:put(false) end, one, two) })
    assert.are.equal(0, #one + #two)
  end))

  it("puts an item into a queue", run(function()
    local q = tide.Queue(1)
    assert.are.same({ 1 }, { select(q:putting("a")) })
    assert.are.same({ 1 }, { selected(function() assert.are.equal("a", q:get()) end, q:putting("b")) })
    assert.are.equal("b", q:get())
    local priority = tide.PriorityQueue()
    select(priority:putting("late", 2))
    select(priority:putting("early", 1))
    assert.are.equal("early", priority:get())
  end))

  it("gives all results of a task or a future, behind the index", run(function()
    local queue, future = tide.Queue(), tide.Future()
    future:set_result("a", nil, "c")
    assert.are.same({ n = 4, 2, "a", nil, "c" }, table.pack(select(queue, future)))
    local late = tide.Future()
    assert.are.same({ 2, "x", "y", "z" }, { selected(function() late:set_result("x", "y", "z") end, queue, late) })
    assert.are.same({ 2, 1, 2 }, { select(queue, tide.spawn(function() return 1, 2 end)) })
    local none = tide.Future()
    none:set_result()
    assert.are.same({ 1 }, { select(none) })
  end))

  it("puts only what was chosen", run(function()
    local q, event = tide.Queue(2), tide.Event()
    q:put(1)
    event:set()
    assert.are.equal(1, (select(event, q:putting(2), q:putting(3))))
    assert.are.equal(1, #q)
    assert.are.equal(1, (select(q:putting(2), q:putting(3), event)))
    event:clear()
    local index = selected(function() assert.are.equal(1, q:get()) end, event, q:putting(4), q:putting(5))
    assert.are.equal(2, index)
    assert.are.same({ 2, 4 }, { q:get(), q:get() })
    for i = 1, 2 do q:put(i) end
    assert.are.same({ 1, 2 }, { q:get(), q:get() })
  end))

  it("waits for an Event, a Lock, a Semaphore", run(function()
    local event, lock, semaphore = tide.Event(), tide.Lock(), tide.Semaphore(0)
    local over = tide.Event()
    local holder = tide.spawn(lock.with, lock, over.wait, over)
    turns()
    assert.are.same({ 1 }, { selected(function() event:set() end, event, lock, semaphore) })
    event:clear()
    local index, guard = selected(function() semaphore:release() end, event, lock, semaphore)
    assert.are.equal(3, index)
    assert.are.equal("Semaphore guard(1)", tostring(guard))
    guard:release()
    guard:release()
    assert.are.equal(1, semaphore:value())
    assert.is_true(semaphore:try_acquire())
    over:set()
    holder:await()
    index, guard = select(event, lock, semaphore)
    assert.are.equal(2, index)
    assert.are.equal(lock, guard)
    raises("invalid_state", select, lock)
    lock:release()
  end))

  it("gives a Semaphore's permit back once, by a guard, as acquire does", run(function()
    for _, make in ipairs { tide.Semaphore, tide.BoundedSemaphore } do
      local semaphore, event = make(2), tide.Event()
      do
        local index, guard = select(event, semaphore)
        local _ <close> = guard
        assert.are.equal(2, index)
        assert.are.equal(1, semaphore:value())
        guard:close()
        assert.are.equal(2, semaphore:value())
      end
      assert.are.equal(2, semaphore:value())
      event:set()
      assert.are.same({ 1 }, { select(event, semaphore) })
      assert.are.equal(2, semaphore:value())
      assert.is_nil(debug.getmetatable(semaphore).__close) -- it would mint permits
    end
  end))

  it("hands a lock to the selecting task, in turn", run(function()
    local lock, order = tide.Lock(), helper.log()
    lock:acquire()
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = tide.spawn(function()
        local _, guard = select(lock)
        local _ <close> = guard
        order(i)
        turns()
      end)
    end
    turns(2)
    lock:release()
    tide.gather(tasks)
    assert.are.same({ 1, 2, 3 }, { table.unpack(order) })
    assert.is_false(lock:locked())
  end))

  it("gives the results of a Task or Future, or raises its error", run(function()
    local future, event = tide.Future(), tide.Event()
    assert.are.same({ 2, "a", "b" }, { selected(function() future:set_result("a", "b") end, event, future) })
    local failing = tide.spawn(function()
      tide.sleep(0.001)
      error("oops", 0)
    end)
    fails("oops", select, event, failing)
    local slow = tide.spawn(tide.sleep, 5)
    raises("timeout", tide.timeout, 0.001, select, slow)
    assert.is_false(slow:done()) -- it goes on
    slow:cancel()
    tide.wait { slow }
    raises("invalid_state", select, tide.current_task())
  end))

  it("waits for a time", run(function()
    local event = tide.Event()
    assert.are.same({ 2 }, { select(event, tide.after(0.001), tide.after(1)) })
    assert.are.same({ 1 }, { select(tide.after(0)) })
    assert.are.equal("number", type((select(tide.after(0.001)))))
  end))

  it("accepts from a Listener", run(function()
    local listener <close> = tide.net.listen("127.0.0.1", 0)
    local other <close> = tide.net.listen("127.0.0.1", 0)
    assert.are.same({ 3 }, { select(listener, other, tide.after(0.001)) })
    local client = tide.spawn(tide.net.connect, other:address())
    local index, stream = select(listener, other, tide.after(1))
    assert.are.equal(2, index)
    stream:write("hi")
    local peer <close> = client:await()
    assert.are.equal("hi", peer:read_exactly(2))
    stream:close()
    fails("case 1", selected, function() listener:close() end, listener, other)
    fails("case 3", selected, function() other:close() end, tide.Queue(), tide.Event(), other)
  end))

  it("prefers the first of several that are ready", run(function()
    local q, event = tide.Queue(), tide.Event()
    q:put(1)
    event:set()
    assert.are.equal(1, (select(event, q)))
    assert.are.equal(1, #q)
    assert.are.equal(1, (select(q, event)))
  end))

  it("does not wait where it need not, but for one turn in 256", run(function()
    local event, ticks = tide.Event(), 0
    event:set()
    local ticker = tide.spawn(function()
      while true do
        ticks = ticks + 1
        turns()
      end
    end)
    turns()
    for _ = 1, 200 do select(event) end
    assert.is_true(ticks <= 2)
    for _ = 1, 1000 do select(event) end
    assert.is_true(ticks >= 3)
    ticker:cancel()
    turns()
  end))

  it("loses no item when it is cancelled, at whatever moment", run(function()
    local one, two, got = tide.Queue(), tide.Queue(), 0
    for i = 1, 200 do
      local task = tide.spawn(function()
        select(one, two)
        got = got + 1
      end)
      turns(i % 3)
      local q = i % 2 == 0 and one or two
      if i % 5 == 0 then q:put(i) end
      task:cancel()
      if i % 5 == 1 then q:put(i) end
      tide.wait { task }
    end
    assert.are.equal(80, got + #one + #two)
  end))

  it("gives everything back when its task is killed", run(function()
    local from, to, lock = tide.Queue(), tide.Queue(1), tide.Lock()
    lock:acquire()
    to:put(0)
    for i = 1, 4 do
      local task = tide.spawn(select, from, lock, to:putting(i))
      turns(2)
      if i == 2 then from:put("x") end
      if i == 3 then assert.are.equal(0, to:get()) end
      task:kill()
      if i == 2 then assert.are.equal("x", from:get()) end
      if i == 3 then assert.are.equal(3, to:get()) to:put(0) end
    end
    lock:release()
    assert.is_false(lock:locked())
    assert.are.equal(1, #to)
  end))

  describe("cancelled at every suspension", function()
    local function setup(s)
      s.one, s.two, s.lock = tide.Queue(1), tide.Queue(1), tide.Lock()
      s.put, s.got, s.last = 0, 0, 0
    end

    local function empty(s)
      for _, queue in ipairs { s.one, s.two } do
        while not queue:empty() do s.got = s.got + queue:get_nowait() end
      end
    end

    it("takes an item, the lock, or nothing", sweep.it {
      setup = setup,
      leaves = true,
      others = { function(s)
        local _ <close> = s.lock:acquire()
        turns(3)
      end, function(s)
        for i = 1, 4 do
          local queue = i % 2 == 0 and s.one or s.two
          queue:put(i)
          s.put = s.put + i
          turns(i % 3)
        end
      end },
      subject = function(s)
        for _ = 1, 4 do
          local index, value = select(s.one, s.lock, s.two)
          local _ <close> = index == 2 and value or nil
          if index ~= 2 then s.got = s.got + value end
          turns(1)
        end
      end,
      check = function(s)
        empty(s)
        assert.are.equal(s.put, s.got)
        assert.is_false(s.lock:locked())
      end,
    })

    it("puts an item once, or not at all", sweep.it {
      setup = setup,
      leaves = true,
      others = { function(s)
        while true do
          local _, item = select(s.one, s.two)
          s.got = s.got + item
          turns(2)
        end
      end },
      subject = function(s)
        for i = 1, 6 do
          s.last = i
          select(s.one:putting(i), s.two:putting(i))
          s.put, s.last = s.put + i, 0
        end
      end,
      check = function(s) -- one whose put had completed may be killed before it knows
        empty(s)
        assert.is_true(s.got == s.put or s.mode == "kill" and s.got == s.put + s.last)
      end,
    })
  end)

  it("refuses what is no case, no case at all, and closed queues", run(function()
    fails("there is no case to wait for", select)
    fails("bad argument #2", select, tide.Event(), 42)
    fails("bad argument #1", select, {})
    fails("must not be negative", tide.after, -1)
    local q, event = tide.Queue(1), tide.Event()
    fails("nil cannot be put", q.putting, q, nil)
    q:put(1)
    local task = tide.spawn(raises, "closed", select, event, q:putting(2))
    turns(2)
    q:close()
    assert.matches("case 2", task:await().message)
    raises("closed", select, event, q:putting(3))
    assert.are.same({ 1, 1 }, { select(q, event) })
    assert.matches("case 1", raises("closed", select, q, event).message)
    local again = tide.spawn(raises, "closed", select, tide.Queue(), q)
    again:await()
    local set <const> = tide.Event()
    set:set()
    assert.are.equal(1, select(set, q:putting(3)))
    assert.matches("case 1: the object is closed", raises("closed", select, q:putting(3), set).message)
    local ok = tide.scope(function(scope)
      scope:cancel()
      select(q:putting(3))
    end)
    assert.is_false(ok)
  end))

  it("says why a task cannot wait for a case", run(function()
    local lock, event = tide.Lock(), tide.Event()
    local _ <close> = lock:acquire()
    assert.matches("case 2: the task holds the lock already", raises("invalid_state", select, event, lock).message)
    assert.matches("case 2: a task cannot wait for itself",
      raises("invalid_state", select, event, tide.current_task()).message)
  end))

  it("takes many cases", run(function()
    local queues = {}
    for i = 1, 100 do queues[i] = tide.Queue() end
    assert.are.same({ 77, "x" }, { selected(function() queues[77]:put("x") end, table.unpack(queues)) })
    queues[100]:put("y")
    assert.are.same({ 100, "y" }, { select(table.unpack(queues)) })
  end))

  it("may be used by many at once", run(function()
    local one, two, sum = tide.Queue(2), tide.Queue(2), 0
    tide.TaskGroup(function(g)
      local consumers = {}
      for i = 1, 5 do
        consumers[i] = g:spawn(function()
          while true do
            local _, value = select(one, two)
            sum = sum + value
          end
        end)
      end
      for i = 1, 100 do
        select(one:putting(i), two:putting(i))
        if i % 7 == 0 then turns() end
      end
      while #one + #two > 0 do turns() end
      turns(2)
      for _, consumer in ipairs(consumers) do consumer:cancel() end
    end)
    assert.are.equal(5050, sum)
  end))

  it("shows what it waits for", run(function()
    assert.are.equal("case(Queue.putting)", tostring(tide.Queue():putting(1)))
    assert.matches("after 0.5", tostring(tide.after(0.5)))
    local task = tide.spawn(select, tide.Event())
    turns(2)
    assert.matches("waiting: select", tostring(task))
    task:cancel()
    turns(2)
  end))
end)
