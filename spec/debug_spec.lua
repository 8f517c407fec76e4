-- tide.debug: slow slices, spawn sites, swallowed cancellation; and tracebacks that follow awaits.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, fails = helper.run, helper.turns, helper.fails
local spawn, sleep = tide.spawn, tide.sleep
local raw_pcall = tide.raw.pcall

local function busy(seconds)
  local began = os.clock()
  while os.clock() - began < seconds do end
end

-- A spec in debug mode: body(reports), a list of {message=, traceback=}.
local function debugging(body, options)
  return run(function()
    local reports = {}
    options = options or {}
    options.report = function(message, traceback)
      reports[#reports + 1] = { message = message, traceback = traceback }
    end
    local _ <close> = helper.closer(function() tide.debug(false) end)
    tide.debug(options)
    body(reports)
  end)
end

-- Those about the task, which others may come between on a slow machine.
local function about(reports, name)
  local found = {}
  for _, report in ipairs(reports) do
    if report.message:find(("'%s'"):format(name), 1, true) then found[#found + 1] = report end
  end
  return found
end

describe("debug mode", function()
  it("is off, and can be turned on and off", run(function()
    assert.is_false(tide.debug())
    assert.is_false(tide.debug(true))
    assert.is_true(tide.debug(false))
    assert.is_false(tide.debug {})
    assert.is_true(tide.debug())
    tide.debug(false)
  end))

  it("checks its argument", run(function()
    fails("bad argument #1 to 'tide.debug' (boolean or table expected, got number)", tide.debug, 1)
    fails("field 'slow' must be a number of seconds", tide.debug, { slow = "x" })
    fails("field 'slow' must be a number of seconds", tide.debug, { slow = -1 })
    fails("field 'report' must be a function", tide.debug, { report = 1 })
    assert.is_false(tide.debug())
  end))

  it("tells of a task that runs for long, once, and where it is", debugging(function(reports)
    spawn(function() busy(0.05) end):set_name("busy"):await()
    local found = about(reports, "busy")
    assert.are.equal(1, #found)
    assert.matches("^task 'busy' has run for %d+ ms without waiting", found[1].message)
    assert.matches("debug_spec.lua:%d+: in %a+ 'busy'", found[1].traceback)
  end, { slow = 0.02 }))

  it("sees into coroutines", debugging(function(reports)
    local function inner() busy(0.05) end
    spawn(function() coroutine.wrap(inner)() end):set_name("busy"):await()
    assert.matches("debug_spec.*in a coroutine resumed at.*debug_spec", about(reports, "busy")[1].traceback)
  end, { slow = 0.02 }))

  it("tells afterwards of time spent in C", debugging(function(reports)
    spawn(function()
      os.execute("sleep 0.05")
      sleep(0)
    end):set_name("waiter"):await()
    spawn(function() os.execute("sleep 0.05") end):set_name("ender"):await()
    local waiter, ender = about(reports, "waiter")[1], about(reports, "ender")[1]
    assert.matches("has run for %d+ ms without waiting; where it waits now:$", waiter.message)
    assert.matches("debug_spec.lua:%d+", waiter.traceback)
    assert.matches("and has ended$", ender.message)
    assert.is_nil(ender.traceback)
  end, { slow = 0.02 }))

  it("says nothing of tasks that are quick", debugging(function(reports)
    local tasks = {}
    for i = 1, 100 do tasks[i] = function() turns(10) end end
    tide.gather(tasks)
    assert.are.same({}, reports)
  end, { slow = 10 }))

  it("tells who swallows cancellation, once", debugging(function(reports)
    local task = spawn(function()
      for _ = 1, 10 do raw_pcall(sleep, 10) end
    end):set_name("deaf")
    turns()
    task:cancel()
    tide.wait { task }
    local found = about(reports, "deaf")
    assert.are.equal(1, #found)
    assert.matches("was cancelled, caught that 2 times, and waits again", found[1].message)
    assert.matches("debug_spec.lua:%d+", found[1].traceback)
  end, { slow = 10 }))

  it("takes timeouts, and cancellation that ends a task, for what they are", debugging(function(reports)
    for _ = 1, 10 do tide.move_on_after(0, sleep, 1) end
    local task = spawn(function()
      local _ <close> = helper.closer(function() raw_pcall(sleep, 1) end)
      sleep(10)
    end)
    turns()
    task:cancel()
    tide.wait { task }
    for _ = 1, 5 do
      local again = spawn(function() for _ = 1, 2 do raw_pcall(sleep, 10) end end)
      turns()
      again:cancel()
      tide.wait { again }
    end
    assert.are.same({}, reports)
  end, { slow = 10 }))

  it("counts anew when the cancellation was withdrawn", debugging(function(reports)
    local task = spawn(function()
      for _ = 1, 3 do
        for _ = 1, 2 do raw_pcall(sleep, 10) end
        tide.current_task():uncancel()
        sleep(0)
      end
    end)
    for _ = 1, 3 do
      turns()
      task:cancel()
      turns(4)
    end
    tide.wait { task }
    assert.are.same({}, reports)
  end, { slow = 10 }))

  it("knows where tasks were spawned", debugging(function()
    local failures = helper.collect_failures()
    local line = debug.getinfo(1, "l").currentline + 1
    local task = spawn(function() sleep(0) error("lost") end)
    local text = tostring(tide.tree())
    assert.matches("spawned at spec/debug_spec.lua:" .. line, text)
    turns(3)
    assert.is_true(task:done())
    assert.matches("spawned at spec/debug_spec.lua:" .. line .. "$", failures[1].traceback)
  end, { slow = 10 }))

  it("goes on where the function that it reports to fails", run(function()
    local _ <close> = helper.closer(function() tide.debug(false) end)
    local called = 0
    tide.debug { slow = 0.01, report = function() called = called + 1 sleep(1) end }
    local stderr = io.stderr -- the complaint about it goes there
    stderr:flush()
    assert.are.equal("done", spawn(function() busy(0.03) return "done" end):await())
    assert.is_true(called >= 1)
  end))

  it("leaves hooks alone that a task has set", debugging(function()
    local lines = 0
    spawn(function()
      debug.sethook(function() lines = lines + 1 end, "l")
      local x = 1
      x = x + 1
      sleep(0)
      debug.sethook()
      return x
    end):await()
    assert.is_true(lines > 2)
  end))

  it("can be turned off by the task that is slow", run(function()
    local reports = 0
    tide.debug { slow = 0.01, report = function() reports = reports + 1 end }
    spawn(function()
      tide.debug(false)
      busy(0.03)
      sleep(0)
    end):await()
    assert.are.equal(0, reports)
  end))
end)

describe("a traceback", function()
  -- The failure of a task that is named and not awaited.
  local function report_of(name, body)
    local failures = helper.collect_failures()
    local task = spawn(body):set_name(name)
    while not task:done() do turns() end
    turns()
    for _, failure in ipairs(failures) do
      if failure.what == ("task '%s'"):format(name) then return failure end
    end
    error("no failure of " .. name)
  end

  local function fetch() sleep(0) error("no such page") end

  it("follows the chain of awaits", run(function()
    local failure = report_of("main task", function()
      spawn(function() return spawn(fetch):set_name("fetch"):await() end):set_name("middle"):await()
    end)
    assert.matches("no such page", failure.err)
    assert.matches("^stack traceback:.*\nin task 'fetch', awaited by 'middle'\n" ..
      "stack traceback:.*\nin task 'middle', awaited by 'main task'\nstack traceback:.*debug_spec", failure.traceback)
  end))

  it("follows gather, race, wait_for, shield, and a result that is asked for", run(function()
    local function named() return spawn(fetch):set_name("fetch") end
    local ways = {
      gather = function() tide.gather { named() } end,
      race = function() tide.race { named() } end,
      wait_for = function() tide.wait_for(named(), 10) end,
      shield = function() tide.shield(named()) end,
      timeout = function() tide.timeout(10, function() named():await() end) end,
      result = function() local task = named() tide.wait { task } task:result() end,
      as_completed = function() for task in tide.as_completed { named() } do task:await() end end,
      coroutine = function() coroutine.wrap(function() named():await() end)() end,
    }
    for name, way in pairs(ways) do
      local failure = report_of(name, way)
      local line = debug.getinfo(way, "S").linedefined
      assert.matches(("in task 'fetch', awaited by '%s'\n.*spec/debug_spec.lua:%d: in "):format(name, line),
        failure.traceback, name)
    end
  end))

  it("of a race in which all fail leads to the line of the call", run(function()
    local line
    local failure = report_of("asker", function()
      line = debug.getinfo(1, "l").currentline + 1
      tide.first_success { fetch, fetch }
    end)
    assert.are.equal("group", failure.err.kind)
    assert.matches(("in function 'tide.first_success'\n%%s*spec/debug_spec.lua:%d: in "):format(line), failure.traceback)
  end))

  it("follows what comes out of the tasks of an iterator", run(function()
    local function failing() return tide.iter(fetch) end
    local function consume(make) return function() make():collect() end end
    local ways = {
      buffer = consume(function() return failing():buffer(2) end),
      merge = consume(function() return tide.iter({ 1 }):merge(failing()) end),
      debounce = consume(function() return failing():debounce(1) end),
      map_concurrent = consume(function() return tide.iter({ 1 }):map_concurrent(2, fetch) end),
      ["map_concurrent, unordered"] = consume(function()
        return tide.iter({ 1 }):map_concurrent(2, fetch, { ordered = false })
      end),
      ["map_concurrent, of the source"] = consume(function() return failing():map_concurrent(2, print) end),
      ["closing a buffer"] = function()
        local iter = tide.iter(function() return 1 end, nil, nil, helper.closer(fetch)):buffer(1)
        iter()
        iter:close()
      end,
    }
    for name, way in pairs(ways) do
      local failure = report_of(name, way)
      assert.matches("debug_spec.*\nin task '[^']+', awaited by '" .. name .. "'\n.*debug_spec", failure.traceback, name)
    end
  end))

  it("follows a run of tide.testing", run(function()
    local err = helper.raises("group", tide.TaskGroup, function()
      tide.testing.run(function() fetch() end)
    end)
    assert.matches("in %a+ 'fetch'.*\nin task '[^']+', awaited by '[^']+'\n", err.traceback)
  end))

  it("follows errors that are objects, whose own field says where they were raised", run(function()
    local err = tide.error("http", "404")
    local failure = report_of("asker", function() spawn(function() error(err) end):set_name("fetch"):await() end)
    assert.are.equal(err, failure.err)
    assert.matches("in task 'fetch', awaited by 'asker'", failure.traceback)
    assert.matches("^stack traceback", err.traceback)
    assert.not_matches("awaited", err.traceback)
  end))

  it("of a group has those of its failures", run(function()
    local failure = report_of("parent", function()
      tide.TaskGroup(function(group)
        group:spawn(fetch):set_name("first")
        group:spawn(function() spawn(fetch):set_name("deep"):await() end):set_name("second")
        turns(2)
        error("body")
      end)
    end)
    assert.matches("in task 'first', of this group:\n", failure.traceback)
    local block = report_of("blocked parent", function()
      local group <close> = tide.TaskGroup()
      group:spawn(function() spawn(fetch):set_name("deep"):await() end):set_name("child")
      sleep(10)
    end)
    assert.matches("in task 'deep', awaited by 'child'\n.*in task 'child', of this group:\n", block.traceback)
    local body = report_of("body's parent", function()
      tide.TaskGroup(function() error("body") end)
    end)
    assert.matches("in the body of this group:\n", body.traceback)
  end))

  it("does not grow for ever", run(function()
    local task = spawn(fetch)
    for _ = 1, 500 do
      local inner = task
      task = spawn(function() inner:await() end)
    end
    local failure = report_of("last", function() task:await() end)
    assert.is_true(#failure.traceback < 20000)
    local flood = report_of("flood", function()
      local group <close> = tide.TaskGroup()
      for _ = 1, 2000 do group:spawn(error, "x") end
    end)
    assert.are.equal(2000, #flood.err.errors)
    assert.is_true(#flood.traceback < 70000)
  end))

  it("is that of the error at hand, not of one like it that was caught", run(function()
    local failure = report_of("catcher", function()
      pcall(function() spawn(error, "the same", 0):set_name("other"):await() end)
      error("the same", 0)
    end)
    assert.not_matches("other", failure.traceback)
    failure = report_of("closer", function()
      local queue, other = tide.Queue(), tide.error("x", "y")
      queue:close()
      raw_pcall(function() spawn(error, other):set_name("other"):await() end)
      queue:get()
    end)
    assert.are.equal("closed", failure.err.kind)
    assert.not_matches("other", failure.traceback)
  end))
end)
