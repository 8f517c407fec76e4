-- Queue, LifoQueue, PriorityQueue.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises = helper.run, helper.turns, helper.raises

local function drain(queue)
  local list = {}
  while not queue:empty() do list[#list + 1] = queue:get_nowait() end
  return list
end

describe("a Queue", function()
  it("is first in, first out", run(function()
    local queue = tide.Queue()
    for i = 1, 100 do queue:put(i) end
    assert.are.equal(100, #queue)
    for i = 1, 100 do assert.are.equal(i, queue:get()) end
    assert.is_true(queue:empty())
  end))

  it("keeps every kind of value but nil, false too", run(function()
    local queue, t = tide.Queue(), {}
    for _, value in ipairs { 1, 2.5, "s", true, t, print } do queue:put(value) end
    queue:put(false)
    assert.are.same({ 1, 2.5, "s", true, t, print, false }, drain(queue))
    helper.fails("nil cannot be put", queue.put, queue, nil)
  end))

  it("makes a getter wait for an item", run(function()
    local queue = tide.Queue()
    local getter = tide.spawn(function() return queue:get() end)
    turns(2)
    assert.are.equal("waiting", getter:status())
    queue:put "x"
    assert.are.equal("x", getter:await())
  end))

  it("makes a putter wait for room", run(function()
    local queue = tide.Queue(2)
    queue:put(1)
    queue:put(2)
    assert.is_true(queue:full())
    assert.are.equal(2, queue:maxsize())
    local putter = tide.spawn(function() queue:put(3) end)
    turns(2)
    assert.are.equal("waiting", putter:status())
    assert.are.equal(2, #queue)
    assert.are.equal(1, queue:get())
    putter:await()
    assert.are.same({ 2, 3 }, drain(queue))
  end))

  it("without a limit is never full", run(function()
    local queue = tide.Queue()
    assert.are.equal(0, queue:maxsize())
    for i = 1, 1000 do queue:put(i) end
    assert.is_false(queue:full())
    assert.are.equal(1000, #drain(queue))
  end))

  it("has forms that do not wait", run(function()
    local queue = tide.Queue(1)
    raises("queue_empty", queue.get_nowait, queue)
    queue:put_nowait "a"
    raises("queue_full", queue.put_nowait, queue, "b")
    assert.are.equal("a", queue:get_nowait())
    assert.are.equal(0, #queue)
  end))

  if not helper.inside then
    it("has forms that do not wait, for use outside tasks", function()
      local queue = tide.Queue()
      queue:put_nowait(1)
      assert.are.equal(1, queue:get_nowait())
    end)
  end

  it("serves getters in order of arrival", run(function()
    local queue, log = tide.Queue(), helper.log()
    for i = 1, 3 do tide.spawn(function() log(i .. queue:get()) end) end
    turns(1)
    for _, item in ipairs { "a", "b", "c" } do queue:put(item) end
    turns(2)
    assert.are.same({ "1a", "2b", "3c" }, { table.unpack(log) })
  end))

  it("serves putters in order of arrival", run(function()
    local queue = tide.Queue(1)
    queue:put(0)
    for i = 1, 3 do tide.spawn(function() queue:put(i) end) end
    turns(1)
    local got = {}
    for i = 1, 4 do got[i] = queue:get() end
    assert.are.same({ 0, 1, 2, 3 }, got)
  end))

  it("does not let those who come later overtake a waiter", run(function()
    local queue = tide.Queue()
    local first = tide.spawn(function() return queue:get() end)
    turns(1)
    queue:put "for the first"
    raises("queue_empty", queue.get_nowait, queue)
    assert.are.equal("for the first", first:await())
    queue = tide.Queue(1)
    queue:put(1)
    tide.spawn(function() queue:put(2) end)
    turns(1)
    assert.are.equal(1, queue:get())
    raises("queue_full", queue.put_nowait, queue, 3)
    assert.are.equal(2, queue:get())
  end))

  it("lets others run after 256 waits in a row that need no waiting", run(function()
    local queue <const>, other <close> = tide.Queue(), helper.bystander()
    for i = 1, 255 do queue:put(i) end
    local before = other.turns
    for _ = 1, 1000 do
      queue:put(0)
      queue:get()
    end
    assert.is_true(other.turns - before >= 7)
  end))

  it("does not switch tasks where it need not wait", run(function()
    local queue, switched = tide.Queue(), false
    tide.spawn(function() switched = true end)
    for i = 1, 100 do queue:put(i) end
    for _ = 1, 100 do queue:get() end
    assert.is_false(switched)
    turns(1)
  end))

  it("forgets a cancelled getter and takes no item for it", run(function()
    local queue = tide.Queue()
    local getter = tide.spawn(queue.get, queue)
    turns(1)
    getter:cancel()
    queue:put(1)
    turns(2)
    assert.is_true(getter:cancelled())
    assert.are.same({ 1 }, drain(queue))
  end))

  it("forgets a cancelled putter and its item", run(function()
    local queue = tide.Queue(1)
    queue:put(1)
    local putter = tide.spawn(queue.put, queue, 2)
    turns(1)
    putter:cancel()
    assert.are.equal(1, queue:get())
    turns(2)
    assert.are.equal(0, #queue)
    queue:put(3)
    assert.are.same({ 3 }, drain(queue))
  end))

  it("delivers the item that had come when the cancellation came", run(function()
    local queue, log = tide.Queue(), helper.log()
    local getter = tide.spawn(function()
      log(queue:get())
      tide.sleep(0)
    end)
    turns(1)
    queue:put "item"
    getter:cancel()
    raises("cancelled", getter.await, getter)
    assert.are.same({ "item" }, { table.unpack(log) })
  end))

  it("gives back the memory of a crowd, in whatever way its last item goes", run(function()
    local CROWD = 20000
    local function fill(queue)
      for i = 1, CROWD do queue:put_nowait(i) end
    end
    local function empty(queue)
      for _ = 1, CROWD do queue:get_nowait() end
    end
    for name, use in pairs {
      ["got"] = function(queue)
        fill(queue)
        empty(queue)
      end,
      ["dropped"] = function(queue)
        fill(queue)
        queue:close { immediate = true }
      end,
      ["not put, as who puts it was cancelled"] = function(queue)
        fill(queue)
        local putter = tide.spawn(queue.put, queue, 0)
        turns(1)
        putter:cancel()
        empty(queue)
        turns(1)
      end,
      ["not put, as another case of a select happened"] = function(queue)
        fill(queue)
        local event = tide.Event()
        local selector = tide.spawn(tide.select, queue:putting(0), event)
        turns(1)
        event:set()
        empty(queue)
        selector:await()
      end,
    } do
      local queue = tide.Queue(CROWD)
      collectgarbage()
      local before = collectgarbage "count"
      use(queue)
      collectgarbage()
      local more = collectgarbage "count" - before
      assert(more < 64, ("%s: %.0f KiB more"):format(name, more))
    end
  end))

  it("gives back what a killed getter or putter was handed", run(function()
    local queue = tide.Queue(1)
    local getter = tide.spawn(queue.get, queue)
    turns(1)
    queue:put "item"
    getter:kill()
    assert.are.same({ "item" }, drain(queue))
    queue:put(1)
    local putter = tide.spawn(queue.put, queue, 2)
    turns(1)
    putter:kill()
    assert.are.same({ 1 }, drain(queue))
    assert.are.equal(0, #queue)
  end))

  it("shows itself", run(function()
    local queue = tide.Queue(5)
    queue:put(1)
    assert.are.equal("Queue(1 of 5 items)", tostring(queue))
    queue:close()
    assert.are.equal("Queue(1 of 5 items, closed)", tostring(queue))
    assert.are.equal("LifoQueue(0 items)", tostring(tide.LifoQueue()))
    assert.are.equal("PriorityQueue(0 items)", tostring(tide.PriorityQueue()))
  end))

  it("does not keep items alive that were taken out", run(function()
    local queue, weak = tide.Queue(), setmetatable({}, { __mode = "k" })
    for _ = 1, 10 do
      local item = {}
      weak[item] = true
      queue:put(item)
    end
    for _ = 1, 10 do queue:get() end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end))

  describe("that is closed", function()
    it("takes no more, gives what it has, then raises", run(function()
      local queue = tide.Queue()
      queue:put(1)
      queue:put(2)
      queue:close()
      queue:close()
      assert.is_true(queue:closed())
      raises("closed", queue.put, queue, 3)
      raises("closed", queue.put_nowait, queue, 3)
      assert.are.equal(1, queue:get())
      assert.are.equal(2, queue:get_nowait())
      raises("closed", queue.get, queue)
      raises("closed", queue.get_nowait, queue)
      assert.are.equal(0, #queue)
    end))

    it("wakes waiting getters and putters with `closed`", run(function()
      local empty, full = tide.Queue(), tide.Queue(1)
      full:put(1)
      local getter, putter = tide.spawn(empty.get, empty), tide.spawn(full.put, full, 2)
      turns(1)
      empty:close()
      full:close()
      tide.wait { getter, putter }
      assert.is_true(tide.is(getter:error(), "closed"))
      assert.is_true(tide.is(putter:error(), "closed"))
      assert.are.same({ 1 }, drain(full))
    end))

    it("immediately drops its items and releases join", run(function()
      local queue = tide.Queue()
      queue:put(1)
      queue:put(2)
      local joiner = tide.spawn(queue.join, queue)
      turns(1)
      queue:close { immediate = true }
      joiner:await()
      assert.are.equal(0, #queue)
      raises("closed", queue.get, queue)
    end))

    it("by the end of a block", run(function()
      local kept
      do
        local queue <close> = tide.Queue()
        kept = queue
      end
      assert.is_true(kept:closed())
    end))
  end)

  describe("iter", function()
    it("ends when the queue is closed and drained", run(function()
      local queue, got = tide.Queue(2), {}
      tide.spawn(function()
        for i = 1, 5 do queue:put(i) end
        queue:close()
      end)
      for item in queue:iter() do got[#got + 1] = item end
      assert.are.same({ 1, 2, 3, 4, 5 }, got)
      for _ in queue:iter() do error "not reached" end
    end))

    it("may be left, and shared", run(function()
      local queue, sums = tide.Queue(), { 0, 0 }
      for i = 1, 10 do queue:put(i) end
      for item in queue:iter() do
        if item == 1 then break end
      end
      queue:close()
      tide.gather {
        function() for item in queue:iter() do sums[1] = sums[1] + item tide.sleep(0) end end,
        function() for item in queue:iter() do sums[2] = sums[2] + item tide.sleep(0) end end,
      }
      assert.are.equal(54, sums[1] + sums[2])
      assert.is_true(sums[1] > 0 and sums[2] > 0)
    end))

    it("has no closer, as it holds nothing", run(function()
      assert.are.equal(2, select("#", tide.Queue():iter()))
    end))
  end)

  describe("join", function()
    it("waits until every item is done", run(function()
      local queue, log = tide.Queue(), helper.log()
      for i = 1, 3 do queue:put(i) end
      tide.spawn(function()
        for item in queue:iter() do
          tide.sleep(0)
          log(item)
          queue:task_done()
        end
      end)
      queue:join()
      assert.are.same({ 1, 2, 3 }, { table.unpack(log) })
      queue:close()
    end))

    it("returns at once where nothing is to be done", run(function()
      tide.Queue():join()
    end))

    it("counts: task_done too often is invalid", run(function()
      local queue = tide.Queue()
      raises("invalid_state", queue.task_done, queue)
      queue:put(1)
      queue:get()
      queue:task_done()
      raises("invalid_state", queue.task_done, queue)
    end))
  end)
end)

describe("a LifoQueue", function()
  it("is last in, first out", run(function()
    local queue = tide.LifoQueue()
    for i = 1, 100 do queue:put(i) end
    for i = 100, 1, -1 do assert.are.equal(i, queue:get()) end
  end))

  it("has a limit, is closed and iterated as a Queue", run(function()
    local queue = tide.LifoQueue(2)
    queue:put(1)
    queue:put(2)
    raises("queue_full", queue.put_nowait, queue, 3)
    queue:close()
    local got = {}
    for item in queue:iter() do got[#got + 1] = item end
    assert.are.same({ 2, 1 }, got)
  end))
end)

describe("a PriorityQueue", function()
  it("gives the lowest first, equal ones in order", run(function()
    local queue = tide.PriorityQueue()
    for i, priority in ipairs { 3, 1, 2, 1, 3, 1 } do queue:put("item" .. i, priority) end
    assert.are.same({ "item2", "item4", "item6", "item3", "item1", "item5" }, drain(queue))
  end))

  it("takes all numbers: negative, fractions, infinities", run(function()
    local queue = tide.PriorityQueue()
    local numbers = { 0, -1, 0.5, -0.5, math.huge, -math.huge, 1e300, -1e300, 2 ^ 53, 1 }
    for _, n in ipairs(numbers) do queue:put(n, n) end
    table.sort(numbers)
    assert.are.same(numbers, drain(queue))
  end))

  it("keeps the order of 0 and -0.0", run(function()
    local queue = tide.PriorityQueue()
    queue:put("a", 0.0)
    queue:put("b", -0.0)
    queue:put("c", 0)
    assert.are.same({ "a", "b", "c" }, drain(queue))
  end))

  it("sorts many", run(function()
    local queue = tide.PriorityQueue()
    local seed = 7
    for i = 1, 2000 do
      seed = (seed * 1103515245 + 12345) % 2 ^ 31 // 1
      queue:put({ seed % 100, i }, seed % 100)
    end
    local last = { -1, 0 }
    for _ = 1, 2000 do
      local item = queue:get()
      assert(item[1] > last[1] or item[1] == last[1] and item[2] > last[2])
      last = item
    end
  end))

  it("puts those who waited for room in their place", run(function()
    local queue = tide.PriorityQueue(1)
    queue:put("low", 5)
    tide.spawn(queue.put, queue, "high", 1)
    turns(1)
    assert.are.equal("low", queue:get())
    assert.are.equal("high", queue:get())
  end))
end)

describe("a Queue", function()
  it("closed with `immediate` does not get items back from killed getters", run(function()
    local q = tide.Queue()
    local getter = tide.spawn(q.get, q)
    turns()
    q:put(1)
    q:close { immediate = true }
    getter:kill()
    assert.are.equal(0, #q)
    raises("closed", q.get, q)
    q:join()
  end))

  it("raises `cancelled` first, in a cancelled scope, also where it is closed", run(function()
    local q = tide.Queue()
    q:close()
    local put, got
    tide.scope(function(scope)
      scope:cancel()
      put = raises("cancelled", q.put, q, 1)
      got = raises("cancelled", q.get, q)
    end)
    assert.is_truthy(put and got)
  end))
end)

describe("try_put and try_get", function()
  it("say whether there was room, or an item", function()
    local queue = tide.Queue(1)
    assert.is_nil(queue:try_get())
    assert.is_true(queue:try_put "a")
    assert.is_false(queue:try_put "b")
    assert.are.equal(1, #queue)
    assert.are.equal("a", queue:try_get())
    assert.is_true(queue:try_put(false))
    assert.is_false(queue:try_get())
    local priorities = tide.PriorityQueue()
    priorities:try_put("late", 2)
    priorities:try_put("early", 1)
    assert.are.equal("early", priorities:try_get())
  end)

  it("raise what the waiting forms would", function()
    local queue = tide.Queue()
    queue:put_nowait "last"
    queue:close()
    raises("closed", queue.try_put, queue, 1)
    assert.are.equal("last", queue:try_get())
    raises("closed", queue.try_get, queue)
    helper.fails("nil cannot be put", queue.try_put, queue, nil)
    helper.fails("#2 to 'try_put' (number expected", function() tide.PriorityQueue():try_put(1) end)
  end)

  it("hand over to who waits, and never overtake", run(function()
    local queue = tide.Queue(1)
    local getter = tide.spawn(queue.get, queue)
    turns(1)
    assert.is_true(queue:try_put "handed over")
    assert.are.equal("handed over", getter:await())
    queue:put "one"
    local putter = tide.spawn(queue.put, queue, "two")
    turns(1)
    assert.is_false(queue:try_put "three")
    assert.are.equal("one", queue:try_get())
    assert.is_false(queue:try_put "three")
    putter:await()
    assert.are.equal("two", queue:try_get())
  end))
end)

describe("a receipt", function()
  local function take(queue)
    local value, receipt = queue:take()
    return value, receipt
  end

  it("says by task_done that its item is done, once", run(function()
    local queue = tide.Queue()
    queue:put "a"
    local value, receipt = take(queue)
    assert.are.equal("a", value)
    assert.are.equal("Receipt", tide.type(receipt))
    local joiner = tide.spawn(queue.join, queue)
    turns(2)
    assert.is_false(joiner:done())
    queue:task_done(receipt)
    joiner:await()
    raises("invalid_state", queue.task_done, queue, receipt)
    assert.matches("settled", tostring(receipt))
  end))

  it("as a <close> variable says so where the block ends well, and else gives the item back", run(function()
    local queue = tide.Queue()
    for i = 1, 3 do queue:put(i) end
    local function work(fails)
      local value, receipt = take(queue)
      local _ <close> = receipt
      if fails then error("worker failed", 0) end
      return value
    end
    helper.fails("worker failed", work, true)
    assert.are.equal(3, #queue)
    assert.are.equal(1, work())
    assert.are.equal(2, work())
    helper.fails("worker failed", work, true)
    assert.are.equal(3, work())
    tide.timeout(1, queue.join, queue)
  end))

  it("gives the item back to who waits for one, and into its place", run(function()
    local queue = tide.PriorityQueue()
    queue:put("second", 2)
    queue:put("first", 1)
    local _, receipt = take(queue)
    queue:put("zeroth", 0)
    queue:put("first, but later", 1)
    tide.try(function()
      local _ <close> = receipt
      error "failed"
    end)
    assert.are.same({ "zeroth", "first", "first, but later", "second" }, drain(queue))
    queue:put("only", 1)
    _, receipt = take(queue)
    local getter = tide.spawn(queue.get, queue)
    turns(1)
    tide.try(function()
      local _ <close> = receipt
      error "failed"
    end)
    assert.are.equal("only", getter:await())
  end))

  it("gives the item back where its taker is cancelled", run(function()
    local queue = tide.Queue()
    queue:put "a"
    local taker = tide.spawn(function()
      local _, receipt = take(queue)
      local _ <close> = receipt
      tide.sleep(60)
    end)
    turns(2)
    assert.are.equal(0, #queue)
    taker:cancel()
    tide.wait { taker }
    assert.are.equal("a", queue:get())
  end))

  it("is waited for like an item: a cancelled take has taken nothing", run(function()
    local queue = tide.Queue()
    local taker = tide.spawn(take, queue)
    turns(1)
    queue:put "a"
    taker:cancel()
    turns(2)
    if not taker:cancelled() then return assert.are.equal("a", taker:result()) end
    assert.are.equal("a", queue:get())
  end))

  it("of a queue that has dropped its items gives nothing back", run(function()
    local queue = tide.Queue()
    queue:put "a"
    local _, receipt = take(queue)
    queue:close { immediate = true }
    tide.try(function()
      local _ <close> = receipt
      error "failed"
    end)
    raises("closed", queue.get, queue)
    tide.timeout(1, queue.join, queue)
  end))

  it("of another queue, or none, is refused", run(function()
    local queue, other = tide.Queue(), tide.Queue()
    queue:put "a"
    other:put "b"
    local _, receipt = take(queue)
    helper.fails("a receipt of another queue's", other.task_done, other, receipt)
    helper.fails("Receipt expected, got nil", queue.task_done, queue, nil)
    queue:task_done(receipt)
    assert.are.equal("b", other:get())
    raises("closed", function()
      queue:close()
      queue:take()
    end)
  end))

  it("that is dropped leaves its item undone, and its place free", run(function()
    local queue = tide.Queue(1)
    for i = 1, 50 do
      queue:put { i }
      take(queue)
      if i % 10 == 0 then collectgarbage() end
    end
    collectgarbage()
    collectgarbage()
    local items = setmetatable({}, { __mode = "v" })
    items[1] = { "collected" }
    queue:put(items[1])
    take(queue)
    collectgarbage()
    collectgarbage()
    assert.is_nil(items[1])
    raises("timeout", tide.timeout, 0.001, queue.join, queue)
  end))
end)
