-- Calls that may wait, and need not: each counts, also one that raises, so that no loop of them keeps
-- others from their turn, or a timeout from ending it. The forms below are of every function that the
-- manual marks **waits**: a new one belongs here too.
local helper = require "spec.helper"
local tide = require "tide"

local run, turns, raises = helper.run, helper.turns, helper.raises
local net, dns, testing = tide.net, tide.dns or {}, tide.testing

local function nothing() end

-- What is in a state in which nobody has to wait for it.

local function ended()
  local task = tide.spawn(nothing)
  task:await()
  return task
end

local function list_of_ended() return { ended() } end

local function cancelled_future()
  local future = tide.Future()
  future:cancel()
  return future
end

local function closed_group()
  local group <close> = tide.TaskGroup()
  return group
end

local function ended_generator()
  local generator = tide.generator(function() end)
  generator()
  return generator
end

local function closed_queue()
  local queue = tide.Queue()
  queue:close()
  return queue
end

local function closed_semaphore()
  local semaphore = tide.Semaphore()
  semaphore:close()
  return semaphore
end

local function closed_stream()
  local one, other = net.pair()
  one:close()
  other:close()
  return one
end

local function closed_datagram()
  local datagram = net.udp()
  datagram:close()
  return datagram
end

local function closed_listener()
  local listener = net.listen("127.0.0.1", 0)
  listener:close()
  return listener
end

local function closed_channel()
  local channel = tide.Channel()
  channel:close()
  return channel
end

local function closed_fd()
  local fd = tide.fd.open(0)
  fd:close()
  return fd
end

local function closed_server()
  local server = net.serve(nothing, "127.0.0.1", 0)
  server:close()
  return server
end

local function broken_barrier()
  local barrier = tide.Barrier(2)
  barrier:abort()
  return barrier
end

local function held_condition()
  local condition = tide.Condition()
  condition:lock():acquire()
  return condition
end

local function set_event()
  local event = tide.Event()
  event:set()
  return event
end

local function held_lock()
  local lock = tide.Lock()
  lock:acquire()
  return lock
end

local function yes() return true end

-- A form that calls the method of the object that `make` makes, and lets pass what that raises.
local function calls(make, method, ...)
  local arguments = table.pack(...)
  return function()
    local object = make()
    return function() pcall(object[method], object, table.unpack(arguments, 1, arguments.n)) end
  end
end

-- The same of a function.
local function calls_function(fn, ...)
  local arguments = table.pack(...)
  return function()
    return function() pcall(fn, table.unpack(arguments, 1, arguments.n)) end
  end
end

-- The same with what `make` makes as its argument.
local function calls_with(fn, make)
  return function()
    local object = make()
    return function() pcall(fn, object) end
  end
end

local function acquires(make, method)
  return function()
    local lock = make(1)
    return function() local _ <close> = lock[method](lock) end
  end
end

local function completes(make)
  return calls_with(function(list) for _ in tide.as_completed(list) do nothing() end end, make)
end

local function ending(name, ...)
  return {
    lets_be = true,
    calls(function() return tide.iter {} end, name, ...),
    calls(function() return tide.iter(closed_queue()) end, name, ...),
    calls_function(tide.iter {}[name], "not an Iter"),
  }
end

local function reading(name, ...)
  return { calls(closed_stream, name, ...), wrong = { calls_function(closed_stream()[name]) } }
end

-- Names as in the manual's headings -> forms: functions that make the function to be called again and
-- again; and `wrong`, the same with wrong arguments. `lets_be`: in a cancelled scope it raises nothing
-- itself, for cleanup is to be able to call it.
local forms = {
  ["tide.sleep"] = { wrong = { calls_function(tide.sleep, -1), calls_function(tide.sleep, "long") } },
  ["tide.await"] = {
    calls_function(tide.await, setmetatable({}, { __await = nothing })),
    calls_with(tide.await, ended),
    calls_with(tide.await, tide.current_task),
    wrong = { calls_function(tide.await, nil) },
  },
  ["future:await"] = {
    calls(ended, "await"),
    calls(cancelled_future, "await"),
    wrong = { calls_function(tide.Future().await, nil) },
  },
  ["tide.gather"] = {
    calls_function(tide.gather, {}),
    calls_function(tide.gather, { 1 }),
    calls_with(tide.gather, list_of_ended),
  },
  ["tide.wait"] = {
    calls_function(tide.wait, {}),
    calls_function(tide.wait, { timeout = 5 }),
    calls_function(tide.wait),
    calls_with(tide.wait, list_of_ended),
  },
  ["tide.map"] = {
    calls_function(tide.map, {}, nothing),
    calls_function(tide.map, { 1, 2 }, nothing),
    calls_function(tide.map, { 1 }, error, { limit = 1 }),
    calls_function(tide.map, nil),
  },
  ["tide.retry"] = {
    lets_be = true,
    calls_function(tide.retry, nothing),
    calls_function(tide.retry, error, { times = 1 }),
    calls_function(tide.retry, nil),
  },
  ["tide.first_success"] = { calls_function(tide.first_success, {}), calls_with(tide.first_success, list_of_ended) },
  ["tide.race"] = { calls_function(tide.race, {}), calls_with(tide.race, list_of_ended) },
  ["tide.as_completed"] = { completes(function() return {} end), completes(list_of_ended) },
  ["tide.wait_for"] = {
    calls_function(tide.wait_for, nothing, 5),
    calls_function(tide.wait_for, nothing),
    calls_with(function(task) tide.wait_for(task, 5) end, ended),
  },
  ["tide.shield"] = {
    lets_be = true,
    calls_function(tide.shield, nothing),
    calls_function(tide.shield, error),
    calls_function(tide.shield, nil),
  },
  ["tide.timeout"] = {
    calls_function(tide.timeout, 5, nothing),
    calls_function(tide.timeout, 5, error),
    calls_function(tide.timeout, 5, nil),
    calls_function(tide.timeout, 5, tide.timeout, 5, nothing),
  },
  ["tide.timeout_at"] = { calls_function(tide.timeout_at, math.huge, nothing), calls_function(tide.timeout_at, 1, 2) },
  ["tide.move_on_after"] = {
    calls_function(tide.move_on_after, 5, nothing),
    calls_function(tide.move_on_after, 0, nothing),
    calls_function(tide.move_on_after, 5),
  },
  ["tide.scope"] = {
    calls_function(tide.scope, nothing),
    calls_function(tide.scope, function(scope) scope:cancel() end),
    calls_function(tide.scope, nothing, { timeout = 5 }),
    wrong = { calls_function(tide.scope, nothing, 5) },
  },
  ["tide.scope, as a shield"] = { lets_be = true, calls_function(tide.scope, nothing, { shield = true }) },
  ["tide.TaskGroup"] = {
    calls_function(tide.TaskGroup, nothing),
    calls_function(tide.TaskGroup, error),
    calls_function(tide.TaskGroup, nothing, { max = "many" }),
    calls_function(function() local _ <close> = tide.TaskGroup() end),
  },
  ["group:wait"] = { lets_be = true, calls(closed_group, "wait") },
  ["group:start"] = { calls(closed_group, "start", print) },
  ["tide.try"] = { lets_be = true, calls_function(tide.try, nothing), calls_function(tide.try, error) },
  ["tide.catch"] = {
    lets_be = true,
    calls_function(tide.catch, nothing, {}),
    calls_function(tide.catch, error, { error = nothing }),
    calls_function(tide.catch),
  },
  ["lock:acquire"] = { calls(held_lock, "acquire"), acquires(tide.Lock, "acquire") },
  ["lock:with"] = {
    calls(tide.Lock, "with", nothing),
    calls(held_lock, "with", nothing),
    wrong = { calls(tide.Lock, "with") },
  },
  ["rwlock:read"] = { acquires(tide.RWLock, "read") },
  ["rwlock:write"] = { acquires(tide.RWLock, "write") },
  ["semaphore:acquire"] = {
    acquires(tide.Semaphore, "acquire"),
    calls(closed_semaphore, "acquire"),
    calls(tide.BoundedSemaphore, "acquire", 2),
  },
  ["event:wait"] = { calls(set_event, "wait") },
  ["condition:wait"] = { calls(tide.Condition, "wait") },
  ["condition:wait_for"] = {
    calls(held_condition, "wait_for", yes),
    calls(held_condition, "wait_for", error),
    calls(tide.Condition, "wait_for", nothing),
  },
  ["barrier:wait"] = { calls(broken_barrier, "wait"), calls(function() return tide.Barrier(1) end, "wait") },
  ["queue:put"] = {
    calls(closed_queue, "put", 1),
    calls_with(function(queue)
      queue:put(1)
      queue:get_nowait()
    end, tide.Queue),
    wrong = { calls(tide.Queue, "put", nil) },
  },
  ["queue:get"] = { calls(closed_queue, "get"), wrong = { calls_function(tide.Queue().get, "no queue") } },
  ["queue:take"] = { calls(closed_queue, "take"), wrong = { calls_function(tide.Queue().take, "no queue") } },
  ["queue:iter"] = { calls_with(function(queue) for _ in queue:iter() do nothing() end end, closed_queue) },
  ["queue:join"] = { calls(tide.Queue, "join"), calls(closed_queue, "join") },
  ["channel:send"] = {
    calls(closed_channel, "send", 1),
    calls_with(function(channel)
      channel:send(1)
      channel:try_recv()
    end, tide.Channel),
    wrong = { calls_function(tide.Channel().send, "no channel"), calls(closed_channel, "send", print) },
  },
  ["channel:recv"] = { calls(closed_channel, "recv"), wrong = { calls_function(tide.Channel().recv, "no channel") } },
  ["tide.select"] = {
    calls_with(tide.select, closed_queue),
    calls_with(tide.select, ended),
    calls_with(tide.select, set_event),
    calls_with(tide.select, held_lock),
    calls_with(tide.select, closed_listener),
    calls_with(function(queue) tide.select(queue:putting(1)) end, closed_queue),
    wrong = { calls_function(tide.select) },
  },
  ["local:with"] = {
    lets_be = true,
    calls(tide.Local, "with", 1, nothing),
    calls(tide.Local, "with", 1, error),
    calls(tide.Local, "with"),
  },
  ["tide.iter"] = { calls_with(function(queue) tide.iter(queue)() end, closed_queue) },
  ["iter:close"] = { lets_be = true, calls(function() return tide.iter {} end, "close") },
  ["iter:send"] = {
    lets_be = true,
    calls(ended_generator, "send"),
    calls(function() return tide.iter {} end, "send", 1),
    calls_function(tide.iter {}.send, "not an Iter"),
  },
  ["iter:throw"] = {
    lets_be = true,
    calls(ended_generator, "throw", "no"),
    calls(function() return tide.iter {} end, "throw", "no"),
    calls_function(tide.iter {}.throw, "not an Iter"),
  },
  ["iter:collect"] = ending "collect",
  ["iter:reduce"] = ending("reduce", nothing),
  ["iter:foreach"] = ending("foreach", nothing),
  ["iter:first"] = ending "first",
  ["iter:last"] = ending "last",
  ["iter:count"] = ending "count",
  ["iter:any"] = ending "any",
  ["iter:all"] = ending "all",
  ["net.connect"] = {
    calls_function(net.connect, "unix:/no/such/socket"),
    wrong = { calls_function(net.connect, "no such host", 1), calls_function(net.connect, "127.0.0.1") },
  },
  ["listener:accept"] = { calls(closed_listener, "accept"), wrong = { calls_function(closed_listener().accept) } },
  ["stream:read"] = reading("read", 1),
  ["stream:read_exactly"] = reading("read_exactly", 1),
  ["stream:read_until"] = reading("read_until", "\n"),
  ["stream:read_line"] = reading "read_line",
  ["stream:read_all"] = reading "read_all",
  ["stream:write"] = reading("write", "x"),
  ["stream:flush"] = reading "flush",
  ["stream:starttls"] = {
    calls(closed_stream, "starttls", { server = false, server_name = "x" }), wrong = { calls(closed_stream, "starttls", 1) },
  },
  ["server:close"] = { lets_be = true, calls(closed_server, "close"), calls(closed_server, "close", 1) },
  ["server:wait_closed"] = { calls(closed_server, "wait_closed") },
  ["tide.await_callback"] = {
    calls_function(tide.await_callback, function(done) done() end), calls_function(tide.await_callback, error),
    wrong = { calls_function(tide.await_callback, 1) },
  },
  ["datagram:sendto"] = {
    calls(closed_datagram, "sendto", "x", "127.0.0.1", 1),
    calls(net.udp, "sendto", "", "127.0.0.1", 1),
    wrong = { calls(closed_datagram, "sendto", {}) },
  },
  ["datagram:recvfrom"] = { calls(closed_datagram, "recvfrom"), wrong = { calls(closed_datagram, "recvfrom", { x = 1 }) } },
  ["datagram:connect"] = {
    calls(closed_datagram, "connect", "127.0.0.1", 1),
    calls(net.udp, "connect", "127.0.0.1", 1),
    wrong = { calls(closed_datagram, "connect", "x") },
  },
  ["datagram:send"] = { calls(closed_datagram, "send", "x"), wrong = { calls(closed_datagram, "send", {}) } },
  ["datagram:recv"] = { calls(closed_datagram, "recv"), wrong = { calls(closed_datagram, "recv", 1) } },
  ["dns.resolve"] = {
    calls_function(dns.resolve, "127.0.0.1"),
    calls_function(dns.resolve, "x.invalid"),
    wrong = { calls_function(dns.resolve, ""), calls_function(dns.resolve, "x", { family = 4 }) },
  },
  ["dns.query"] = {
    calls_function(dns.query, "a..b", "A"), -- no name is like that: nobody is asked
    wrong = { calls_function(dns.query, "", "A"), calls_function(dns.query, "x", "ANY") },
  },
  ["dns.reverse"] = { wrong = { calls_function(dns.reverse, "host"), calls_function(dns.reverse) } },
  ["fd.wait"] = {
    calls_function(tide.fd.wait, 1 << 30, "r"),
    wrong = { calls_function(tide.fd.wait, -1, "r"), calls_function(tide.fd.wait, 0, "x") },
  },
  ["fd:wait"] = { calls(closed_fd, "wait", "r"), calls(closed_fd, "wait", "rw"), wrong = { calls(closed_fd, "wait", "x") } },
  ["testing.run"] = { lets_be = true, calls_function(testing.run, 1) },
  ["testing.sweep"] = { lets_be = true, calls_function(testing.sweep, 1) },
  ["testing.faults"] = { lets_be = true, calls_function(testing.faults, 1) },
  ["testing.assert_waits"] = { lets_be = true, calls_function(testing.assert_waits, nothing) },
}

local function sorted(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- The names that the manual marks: those of entries, or of all entries of a part, whose text says so.
local function marked()
  local names = {}
  for page in io.popen("ls docs/reference/*.md"):lines() do
    local entry, part
    for line in io.lines(page) do
      if line:find "^## " then part = false end
      if line:find "^##" then entry = line:match "^### ([%w_.:]+)" end
      if line:find "%*%*[Ww]aits?%*%*" then
        if entry then names[entry] = true elseif entry == nil then part = true end
      elseif part and entry then
        names[entry] = true
      end
    end
  end
  return names
end

describe("a call that may wait and need not", function()
  it("is tried in all that follows for every function that the manual marks", function()
    for _, name in ipairs(sorted(marked())) do
      local inside = name == "coroutine.resume" -- what waits is in the coroutine
      local always = name == "tide.frame"
      assert(forms[name] or inside or always, name .. " is marked **waits** in the manual, and has no forms in this spec")
    end
  end)

  it("is tried in C for every function that a header marks, in spec/core/never_waits.c", function()
    local elsewhere = { -- it says why
      tide_task_yield = true, tide_task_sleep_until = true, tide_task_wait_frame = true,
      tide_completion_wait = true, tide_job_wait = true,
    }
    local file <close> = assert(io.open "spec/core/never_waits.c")
    local spec, count = file:read "a", 0
    for path in io.popen("ls core/*/*.h"):lines() do
      local header <close> = assert(io.open(path))
      for name in header:read("a"):gmatch "/%* %(waits%) .-%*/%s+TIDE_API int ([%w_]+)%(" do
        count = count + 1
        assert(elsewhere[name] or spec:find('"' .. name .. '"', 1, true), name .. " is not")
      end
    end
    assert.is_true(count > 20)
  end)

  for _, name in ipairs(sorted(forms)) do
    local those = forms[name]

    it("takes a turn now and then, so that others run: " .. name, run(function()
      local all = table.move(those.wrong or {}, 1, #(those.wrong or {}), #those + 1, { table.unpack(those) })
      for number, form in ipairs(all) do
        local fn, before = form(), tide.stats().turns
        for _ = 1, 256 do fn() end
        assert(tide.stats().turns > before, ("form %d took none in 256 calls"):format(number))
      end
    end))

    it("is ended by a cancellation, in an endless loop: " .. name, run(function()
      for _, form in ipairs(those) do
        local fn = form()
        local went_on = tide.scope(function(scope)
          tide.spawn(scope.cancel, scope)
          while true do fn() end
        end)
        assert.is_false(went_on)
        if those.lets_be then break end -- it takes long
      end
    end))

    if not those.lets_be then
      it("raises `cancelled` in a cancelled scope, one turn later: " .. name, run(function()
        for number, form in ipairs(those) do
          local fn, before, after = form(), nil, nil
          local went_on = tide.scope(function(scope)
            scope:cancel()
            before = tide.stats().turns
            local _ <close> = helper.closer(function() after = tide.stats().turns end)
            fn()
          end)
          assert(not went_on, ("form %d went on"):format(number))
          assert(before < after, ("form %d took no turn"):format(number))
        end
      end))
    end
  end

  -- Iterators without end that never wait.
  local endless = {
    ["a generator"] = function()
      return tide.generator(function(yield)
        for i = 1, math.huge do yield(i) end
      end)
    end,
    ["a function"] = function()
      local i = 0
      return tide.iter(function()
        i = i + 1
        return i
      end)
    end,
    ["a coroutine"] = function()
      return tide.iter(coroutine.wrap(function()
        for i = 1, math.huge do coroutine.yield(i) end
      end))
    end,
    ["a table with __index"] = function()
      return tide.iter(setmetatable({}, { __index = function(_, i) return i end }))
    end,
    ["an object that can be called"] = function()
      local i = 0
      return tide.iter(setmetatable({}, {
        __call = function()
          i = i + 1
          return i
        end,
      }))
    end,
  }
  for _, name in ipairs(sorted(endless)) do
    local make = endless[name]

    it("as the step of an iterator counts: " .. name .. " without end is ended by a cancellation", run(function()
      for number, drain in ipairs {
        function(iter) for _ in iter:each() do nothing() end end,
        function(iter) while iter() do nothing() end end,
        function(iter) iter:collect() end,
        function(iter) iter:reduce(math.max) end,
        function(iter) iter:foreach(nothing) end,
        function(iter) iter:last() end,
        function(iter) iter:count() end,
        function(iter) iter:all() end,
        function(iter) iter:any(nothing) end,
        function(iter) iter:map(yes):filter(nothing):first() end,
        function(iter) iter:skip(math.maxinteger):first() end,
        function(iter) iter:distinct(nothing):count() end,
        function(iter) iter:throttle(3600):count() end,
        function(iter) iter:chunk(math.maxinteger):first() end,
        function(iter) iter:map(function() return {} end):flatten():first() end,
        function(iter) iter:buffer(2):count() end,
      } do
        local iter = make()
        local went_on = tide.scope(function(scope)
          tide.spawn(scope.cancel, scope)
          drain(iter)
        end)
        assert(not went_on, ("way %d went on"):format(number))
      end
    end))

    it("as the step of an iterator that was cancelled did not happen: " .. name, run(function()
      local iter <close> = make()
      local last = 0
      for _ = 1, 3 do
        assert.is_false(tide.scope(function(scope)
          tide.spawn(scope.cancel, scope)
          while true do
            local value = iter()
            assert.are.equal(last + 1, value)
            last = value
          end
        end))
      end
      assert.is_true(last >= 3 * 255 and last <= 3 * 512)
    end))
  end

  it("as a timeout in block form is ended by a cancellation", run(function()
    for _, form in ipairs {
      function() local _ <close> = tide.timeout(5) end,
      function() local _ <close> = tide.timeout_at(math.huge) end,
    } do
      local before = tide.stats().turns
      for _ = 1, 256 do form() end
      assert.is_true(tide.stats().turns > before)
      assert.is_false(tide.scope(function(scope)
        tide.spawn(scope.cancel, scope)
        while true do form() end
      end))
    end
  end))

  it("is ended by a timeout, which needs others to have their turn", run(function()
    local other <close> = helper.bystander()
    raises("timeout", tide.timeout, 0.02, function()
      while true do tide.gather {} end
    end)
    assert.is_true(other.turns > 1)
  end))

  it("takes a turn each 256th time, and only then", run(function()
    local queue = closed_queue()
    turns(1)
    local before = tide.stats().turns
    for _ = 1, 255 do raises("closed", queue.get, queue) end
    assert.are.equal(before, tide.stats().turns)
    raises("closed", queue.get, queue)
    assert.are.equal(before + 1, tide.stats().turns)
  end))

  it("counts with all others, whichever they are", run(function()
    local queue, event = closed_queue(), set_event()
    turns(1)
    local before = tide.stats().turns
    for _ = 1, 64 do
      raises("closed", queue.get, queue)
      event:wait()
      tide.timeout(1, nothing)
      tide.shield(nothing)
    end
    assert.are.equal(before + 1, tide.stats().turns)
  end))

  it("calls its function once where it took a turn first, with the same arguments", run(function()
    for _, call in ipairs {
      function(...) return tide.timeout(5, ...) end,
      function(...) return tide.shield(...) end,
      function(...) return tide.try(...) end,
      function(...) return select(2, tide.move_on_after(5, ...)) end,
      function(...) return tide.Lock():with(...) end,
      function(...) return tide.Local():with(1, ...) end,
      function(fn, ...)
        local arguments = table.pack(...)
        return tide.TaskGroup(function() return fn(table.unpack(arguments, 1, arguments.n)) end)
      end,
    } do
      local called = 0
      for i = 1, 600 do
        local a, b, c = call(function(...)
          called = called + 1
          return ...
        end, i, nil, "x")
        assert.are.same({ i, nil, "x" }, { a, b, c })
      end
      assert.are.equal(600, called)
    end
  end))

  it("where nothing can wait, counts nothing and works as ever", run(function()
    local list = {}
    for i = 1, 600 do list[i] = i end
    table.sort(list, function(a, b)
      tide.timeout(5, nothing)
      tide.shield(nothing)
      tide.try(nothing)
      return a > b
    end)
    assert.are.equal(600, list[1])
  end))

  it("ends also where calls that count are made inside of shields", run(function()
    local event = tide.Event()
    event:set()
    for extra = 0, 3 do
      helper.fails("timeout", tide.timeout, 0.1, function()
        for _ = 1, extra do event:wait() end
        while true do
          tide.shield(function()
            event:wait()
            if extra > 1 then tide.shield(event.wait, event) end
          end)
        end
      end)
    end
  end))

  it("ends soon where the calls take long", run(function()
    local tries = 0
    local function busy()
      tries = tries + 1
      for i = 1, 30000 do tries = tries + i - i end
      error("in vain")
    end
    helper.fails("timeout", tide.timeout, 0.01, function()
      while true do tide.try(busy) end
    end)
    assert.is_true(tries < 40000)
  end))

  local iterators = {
    ["called"] = function() pcall(tide.iter { 1 }:map(error)) end,
    ["called when closed"] = function()
      local iter = tide.iter {}
      iter:close()
      for _ = 1, 7 do pcall(iter) end
    end,
    ["collected"] = function()
      local iter = tide.iter { 1 }:map(error)
      pcall(iter.collect, iter)
    end,
    ["gone through"] = function() pcall(function() tide.iter { 1 }:foreach(error) end) end,
    ["thrown at"] = function()
      local values = tide.generator(function(yield) yield(1) end)
      pcall(values.throw, values, "x")
    end,
    ["closed by what it holds"] = function()
      local values = tide.generator(function(yield)
        local _ <close> = helper.closer(function() tide.shield(nothing) end)
        yield(1)
        error "x"
      end)
      pcall(values.collect, values)
    end,
  }
  for name, fail in pairs(iterators) do
    it("ends where an iterator fails for ever that is " .. name, run(function()
      for extra = 0, 1 do
        helper.fails("timeout", tide.timeout, 0.05, function()
          for _ = 1, extra do tide.shield(nothing) end
          while true do fail() end
        end)
      end
    end))
  end

  it("ends however late it is, and however long ago the task has waited", tide.testing.wrap(function()
    local DAY = 86400
    local function for_ever()
      return tide.scope(function(scope)
        scope:cancel()
        for _ = 1, 1000000 do tide.shield(nothing) end
        error "it has not ended"
      end)
    end
    local old = tide.spawn(function()
      tide.sleep(1)
      local slept = 0
      for _, days in ipairs { 20, 30, 40, 80 } do
        assert.is_false(tide.spawn(for_ever):await(), days)
        tide.sleep((days - slept) * DAY)
        slept = days
        assert.is_false(for_ever(), days)
      end
    end)
    old:await()
  end, { clock = "virtual" }))

  it("does not keep cleanup from being done after it has ended a loop", run(function()
    local cleaned = 0
    helper.fails("timeout", tide.timeout, 0.01, function()
      local _ <close> = helper.closer(function()
        for _ = 1, 1000 do tide.shield(function() cleaned = cleaned + 1 end) end
      end)
      while true do tide.shield(nothing) end
    end)
    assert.are.equal(1000, cleaned)
  end))

  it("does not keep cleanup from being done, of however many things, in a cancelled scope", run(function()
    local cleaned = 0
    assert.is_false(tide.scope(function(scope)
      local _ <close> = helper.closer(function()
        for _ = 1, 5000 do
          tide.try(function() cleaned = cleaned + 1 end)
          tide.shield(function() cleaned = cleaned + 1 end)
        end
      end)
      scope:cancel()
      tide.sleep(1)
    end))
    assert.are.equal(10000, cleaned)
  end))
end)
