-- statistics(): who waits for what, of every object that tasks can wait for.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns = helper.run, helper.turns
local spawn = tide.spawn

-- Ends the tasks.
local function finish(...)
  for _, task in ipairs { ... } do task:cancel() end
  tide.wait { ... }
end

describe("statistics", function()
  it("of a Lock: its owner, and who wants it", run(function()
    local lock = tide.Lock()
    assert.are.same({ locked = false, tasks_waiting = 0 }, lock:statistics())
    lock:acquire()
    local one, two = spawn(lock.acquire, lock), spawn(lock.acquire, lock)
    turns(2)
    assert.are.same({ locked = true, tasks_waiting = 2, owner = tide.current_task() }, lock:statistics())
    finish(one)
    assert.are.equal(1, lock:statistics().tasks_waiting)
    lock:release()
    assert.are.same({ locked = true, tasks_waiting = 0, owner = two }, lock:statistics())
    tide.wait { two }
  end))

  it("of an RWLock: readers and writers, and who wants to be one", run(function()
    local lock = tide.RWLock()
    local reading = lock:read()
    local writer = spawn(function() local _ <close> = lock:write() turns(2) end)
    local reader = spawn(function() local _ <close> = lock:read() end)
    turns(2)
    assert.are.same({ readers = 1, writing = false, readers_waiting = 1, writers_waiting = 1 }, lock:statistics())
    reading:release()
    turns()
    assert.are.same({ readers = 0, writing = true, readers_waiting = 1, writers_waiting = 0 }, lock:statistics())
    tide.gather { writer, reader }
    assert.are.same({ readers = 0, writing = false, readers_waiting = 0, writers_waiting = 0 }, lock:statistics())
  end))

  it("of a Semaphore: what is free", run(function()
    local semaphore = tide.BoundedSemaphore(2)
    semaphore:acquire()
    assert.are.same({ value = 1, bound = 2, tasks_waiting = 0, closed = false }, semaphore:statistics())
    semaphore:acquire()
    local task = spawn(semaphore.acquire, semaphore)
    turns(2)
    assert.are.same({ value = 0, bound = 2, tasks_waiting = 1, closed = false }, semaphore:statistics())
    finish(task)
    assert.are.same({ value = 3, tasks_waiting = 0, closed = false }, tide.Semaphore(3):statistics())
  end))

  it("of an Event", run(function()
    local event = tide.Event()
    local task = spawn(event.wait, event)
    local chooser = spawn(tide.select, event, tide.after(10))
    turns(2)
    assert.are.same({ is_set = false, tasks_waiting = 2 }, event:statistics())
    event:set()
    assert.are.same({ is_set = true, tasks_waiting = 0 }, event:statistics())
    tide.gather { task, chooser }
  end))

  it("of a Condition: of its lock too", run(function()
    local condition = tide.Condition()
    local task = spawn(function()
      local _ <close> = condition:lock():acquire()
      condition:wait()
    end)
    turns(2)
    assert.are.same({ tasks_waiting = 1, lock = { locked = false, tasks_waiting = 0 } }, condition:statistics())
    finish(task)
  end))

  it("of a Barrier", run(function()
    local barrier = tide.Barrier(3)
    local task = spawn(barrier.wait, barrier)
    turns(2)
    assert.are.same({ parties = 3, broken = false, tasks_waiting = 1 }, barrier:statistics())
    barrier:abort()
    assert.are.same({ parties = 3, broken = true, tasks_waiting = 0 }, barrier:statistics())
    tide.wait { task }
    assert.is_true(tide.is(task:error(), "broken_barrier"))
  end))

  it("of a Queue: items, and who puts, gets and joins", run(function()
    local queue = tide.Queue(1)
    local getter = spawn(queue.get, queue)
    turns(2)
    assert.are.same({
      size = 0, maxsize = 1, unfinished = 0, closed = false, getters_waiting = 1, putters_waiting = 0, joiners_waiting = 0,
    }, queue:statistics())
    finish(getter)
    local function put_late()
      local ok, err = pcall(queue.put, queue, "b")
      return not ok and err.kind
    end
    local tasks = { spawn(queue.put, queue, "a"), spawn(put_late), spawn(queue.join, queue) }
    turns(2)
    assert.are.equal(1, queue:statistics().putters_waiting)
    queue:close()
    assert.are.same({
      size = 1, maxsize = 1, unfinished = 1, closed = true, getters_waiting = 0, putters_waiting = 0, joiners_waiting = 1,
    }, queue:statistics())
    finish(tasks[3])
    tide.wait(tasks)
    assert.are.equal("closed", tasks[2]:result())
  end))

  it("of a Future and of a Task: who waits for it", run(function()
    local future = tide.Future()
    local task = spawn(future.await, future)
    local other = spawn(function() task:await() end)
    turns(2)
    assert.are.same({ tasks_waiting = 1 }, future:statistics())
    assert.are.same({ tasks_waiting = 1 }, task:statistics())
    future:set_result()
    assert.are.same({ tasks_waiting = 0 }, future:statistics())
    tide.gather { task, other }
  end))

  it("of a TaskGroup: who runs, and who may not yet", run(function()
    local group
    tide.TaskGroup(function(g)
      group = g
      for _ = 1, 3 do g:spawn(turns, 3) end
      turns(2)
      assert.are.same({ running = 2, held = 1, failed = 0, max = 2, open = true }, g:statistics())
    end, { max = 2 })
    assert.are.same({ running = 0, held = 0, failed = 0, max = 2, open = false }, group:statistics())
    local failed
    pcall(tide.TaskGroup, function(g)
      failed = g
      g:spawn(error, "x")
    end)
    assert.are.same({ running = 0, held = 0, failed = 1, open = false }, failed:statistics())
  end))

  if not tide.net then return end

  it("of a Stream: bytes on their way, and who reads and writes", run(function()
    local a, b = tide.net.pair()
    assert.are.same({ unread = 0, unsent = 0, reading = false, writing = false, closed = false }, a:statistics())
    local reader = spawn(b.read, b, 1)
    turns(2)
    assert.is_true(b:statistics().reading)
    a:write("hello")
    assert.are.equal("h", reader:await())
    assert.are.equal(4, b:statistics().unread)
    local size = 8 << 20
    local writer = spawn(function()
      a:write(("x"):rep(size))
      a:flush()
    end)
    turns(3)
    local statistics = a:statistics()
    assert.is_true(statistics.writing)
    assert.is_true(statistics.unsent > 0 and statistics.unsent < size)
    b:read_exactly(size + 4)
    writer:await()
    assert.are.equal(0, a:statistics().unsent)
    a:close()
    b:close()
    assert.is_true(a:statistics().closed)
  end))

  it("of a Listener and a Server", run(function()
    local listener <close> = tide.net.listen("127.0.0.1", 0)
    local acceptor = spawn(listener.accept, listener)
    turns(2)
    assert.are.same({ accepting = true, paused = false, closed = false }, listener:statistics())
    finish(acceptor)
    listener:close()
    assert.are.same({ accepting = false, paused = false, closed = true }, listener:statistics())
    local server <close> = tide.net.serve(function(stream) stream:read() end, "127.0.0.1", 0, { max_connections = 5 })
    local client <close> = tide.net.connect(server:address())
    while #server == 0 do tide.sleep(0.001) end
    assert.are.same({ connections = 1, max_connections = 5, dropped = 0, accepting = true, closed = false }, server:statistics())
    client:close()
    server:close()
    assert.is_true(server:statistics().closed)
  end))
end)
