-- No failure is lost: who is told of what, in whichever way tasks, groups and waits are left.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, failing, raises = helper.run, helper.turns, helper.failing, helper.raises

-- The errors that were reported, sorted, as one text.
local function reported(failures)
  local texts = {}
  for _, failure in ipairs(failures) do texts[#texts + 1] = tostring(failure.err) end
  table.sort(texts)
  return table.concat(texts, " ")
end

local function collect()
  collectgarbage()
  collectgarbage()
end

-- Fails in a later turn.
local function late(value)
  return function()
    turns(3)
    error(value, 0)
  end
end

describe("gather", function()
  it("leaves no failure of the same turn, or of a later one", run(function()
    local failures = helper.collect_failures()
    local ok, err = pcall(tide.gather, { failing "first", failing "second", late "third" })
    assert.are.same({ false, "first" }, { ok, err })
    turns(1)
    assert.are.equal("second", reported(failures))
    turns(5)
    assert.are.equal("second third", reported(failures))
    assert.matches("stack traceback", failures[1].traceback)
  end))

  it("reports nothing that it has given, or that somebody else takes", run(function()
    local failures = helper.collect_failures()
    tide.gather { failing "a", failing "b", return_errors = true }
    local first, second = tide.spawn(failing "c"), tide.spawn(failing "d")
    pcall(tide.gather, { first, second })
    assert.are.equal("d", second:error())
    turns(2)
    assert.are.equal("", reported(failures))
  end))

  it("tells what fails while it is being cancelled", run(function()
    local failures = helper.collect_failures()
    local task = tide.spawn(tide.gather, { function()
      local _ <close> = helper.closer(failing "cleanup")
      tide.sleep(60)
    end })
    turns(2)
    task:cancel()
    local _, err = pcall(task.await, task)
    turns(2)
    assert.are.equal("cleanup", err)
    assert.are.equal("", reported(failures))
  end))
end)

describe("wait", function()
  it("leaves failures to who looks at the tasks, and reports the others when they are collected", run(function()
    local failures = helper.collect_failures()
    do
      local done = tide.wait { failing "seen", failing "awaited", failing "unseen" }
      turns(3)
      done[1]:error()
      pcall(done[2].await, done[2])
      assert.are.equal("", reported(failures))
    end
    collect()
    assert.are.equal("unseen", reported(failures))
    assert.matches("^task 'task%-%d+'$", failures[1].what)
    assert.matches("stack traceback", failures[1].traceback)
    collect()
    assert.are.equal(1, #failures)
  end))

  it("has not looked at a failure itself, whatever it waits for", run(function()
    local failures = helper.collect_failures()
    for _, when in ipairs { "all", "first", "first_error" } do
      tide.wait { failing(when), return_when = when }
    end
    turns(1)
    collect()
    assert.are.equal("all first first_error", reported(failures))
  end))

  it("has its failures reported at the end of the run, where nobody looked", function()
    local failures = helper.collect_failures()
    local kept
    helper.run_now(function() kept = tide.wait { failing "kept" } end)
    assert.are.equal("kept", reported(failures))
    assert.are.equal("kept", kept[1]:error())
    collect()
    assert.are.equal(1, #failures)
  end)
end)

describe("as_completed", function()
  local function two() return { failing "one", failing "two" } end

  for name, leave in pairs {
    ["break"] = function()
      for task in tide.as_completed(two()) do -- luacheck: ignore 512
        task:error()
        break
      end
    end,
    ["return"] = function()
      for task in tide.as_completed(two()) do -- luacheck: ignore 512
        task:error()
        return
      end
    end,
    ["an error"] = function()
      pcall(function()
        for task in tide.as_completed(two()) do task:await() end
      end)
    end,
    ["the end of its coroutine"] = function()
      coroutine.resume(coroutine.create(function()
        for task in tide.as_completed(two()) do task:await() end
      end))
    end,
  } do
    it("reports what its loop did not come to, left by " .. name, run(function()
      local failures = helper.collect_failures()
      leave()
      turns(2)
      assert.are.equal("two", reported(failures))
    end))
  end

  it("reports what fails after its loop was left", run(function()
    local failures = helper.collect_failures()
    for _ in tide.as_completed { function() end, late "late" } do break end -- luacheck: ignore 512
    turns(5)
    assert.are.equal("late", reported(failures))
  end))

  it("reports nothing that its loop comes to later", run(function()
    local failures, seen = helper.collect_failures(), {}
    for task in tide.as_completed(two()) do
      turns(4)
      collect()
      seen[#seen + 1] = task:error()
    end
    turns(2)
    assert.are.same({ "one", "two" }, seen)
    assert.are.equal("", reported(failures))
  end))

  it("called by hand, has its failures reported when they are collected", run(function()
    local failures = helper.collect_failures()
    do
      local next_task = tide.as_completed(two())
      next_task():error()
      turns(3)
      assert.are.equal("", reported(failures))
    end
    collect()
    turns(1)
    assert.are.equal("two", reported(failures))
  end))
end)

describe("race", function()
  it("reports what losers fail with, in any turn", run(function()
    local failures = helper.collect_failures()
    tide.race {
      function() return "won" end,
      failing "same turn",
      function()
        local _ <close> = helper.closer(failing "cleanup")
        tide.sleep(60)
      end,
    }
    turns(2)
    assert.are.equal("cleanup same turn", reported(failures))
  end))
end)

describe("a failure that a task was about to get", function()
  it("is reported where that task is killed", run(function()
    local failures = helper.collect_failures()
    local function leave()
      local task = tide.spawn(failing "fell between")
      local waiter = tide.spawn(function() task:await() end)
      while not task:done() do turns(1) end
      waiter:kill()
    end
    local waiting = tide.spawn(late "on its way")
    local waiter = tide.spawn(function() waiting:await() end)
    tide.spawn(function()
      while not waiting:done() do turns(1) end
      waiter:kill()
    end)
    leave()
    turns(8)
    waiting, waiter = nil, nil -- luacheck: ignore 311
    collect()
    assert.matches("fell between", reported(failures))
  end))

  it("is told by a done callback", run(function()
    local failures, told = helper.collect_failures(), nil
    local task = tide.spawn(failing "watched")
    task:add_done_callback(function(t) told = t end)
    turns(3)
    assert.are.equal(task, told)
    task, told = nil, nil -- luacheck: ignore 311
    collect()
    assert.are.equal("", reported(failures))
  end))

  it("is reported where the done callback is taken back", run(function()
    local failures = helper.collect_failures()
    do
      local task = tide.spawn(failing "watched")
      task:add_done_callback(print)
      tide.call_soon(function() task:remove_done_callback(print) end)
      turns(3)
    end
    collect()
    assert.are.equal("watched", reported(failures))
  end))
end)

describe("a Future that failed", function()
  it("is reported when it is collected, unless somebody has looked", run(function()
    local failures = helper.collect_failures()
    for name, look in pairs {
      error = function(f) f:error() end,
      await = function(f) pcall(f.await, f) end,
      nobody = function() end,
    } do
      local future = tide.Future()
      future:set_error(name)
      look(future)
    end
    collect()
    assert.are.equal("nobody", reported(failures))
    assert.are.equal("a Future", failures[1].what)
  end))

  it("is reported at the end of the run in which it failed, where nobody looked", function()
    local failures = helper.collect_failures()
    local early, kept, seen
    helper.run_now(function() early = tide.Future() end)
    helper.run_now(function()
      kept, seen = tide.Future(), tide.Future()
      early:set_error "early"
      tide.call_soon(kept.set_error, kept, "kept")
      seen:set_error "seen"
      assert.are.equal("seen", seen:error())
      turns(2)
      assert.are.equal("", reported(failures))
    end)
    assert.are.equal("early kept", reported(failures))
    assert.are.equal("kept", kept:error())
    collect()
    assert.are.equal(2, #failures)
  end)

  it("is not reported by a run that only was there", run(function()
    local failures = helper.collect_failures()
    local future = tide.Future()
    future:set_error "outer"
    helper.run_now(function() tide.sleep(0) end)
    assert.are.equal("", reported(failures))
    assert.are.equal("outer", future:error())
  end))
end)

describe("a TaskGroup", function()
  it("has its children's failures reported where its body's task is killed, in both forms", run(function()
    for _, body in ipairs {
      function()
        tide.TaskGroup(function(g)
          g:spawn(failing "child")
          tide.shield(tide.sleep, 60)
        end)
      end,
      function()
        local g <close> = tide.TaskGroup { name = "fetchers" }
        g:spawn(failing "child")
        tide.shield(tide.sleep, 60)
      end,
    } do
      local failures = helper.collect_failures()
      local task = tide.spawn(body)
      turns(4)
      task:kill()
      turns(2)
      assert.are.equal("child", reported(failures))
      assert.matches("^a child of ", failures[1].what)
      assert.matches("stack traceback", failures[1].traceback)
    end
  end))

  it("has what fails after the kill reported too", run(function()
    local failures = helper.collect_failures()
    local task = tide.spawn(tide.TaskGroup, function(g)
      g:spawn(function()
        local _ <close> = helper.closer(failing "cleanup")
        tide.sleep(60)
      end)
      tide.sleep(60)
    end)
    turns(3)
    task:kill()
    turns(3)
    assert.are.equal("cleanup", reported(failures))
  end))

  it("that is not in a <close> variable is named, with its line, and loses nothing", run(function()
    local failures, line = helper.collect_failures(), nil
    tide.spawn(function()
      line = debug.getinfo(1, "l").currentline + 1
      local group = tide.TaskGroup()
      group:spawn(failing "child")
      tide.sleep(60)
    end)
    turns(5)
    assert.are.equal(2, #failures)
    table.sort(failures, function(a, b) return a.what < b.what end)
    assert.are.equal("child", failures[1].err)
    local site = "a TaskGroup opened at spec/failures_spec.lua:" .. line
    assert.are.equal("a child of " .. site, failures[1].what)
    assert.is_true(tide.is(failures[2].err, "misuse"))
    assert.are.equal(site, failures[2].err.message:sub(1, #site))
    assert.is_true(tide.is(failures[2].err.cause, "cancelled"))
  end))
end)

describe("a TaskGroup that is not in a <close> variable, and whose task returns", function()
  local line

  local function leave(fn, opts)
    return function()
      line = debug.getinfo(1, "l").currentline + 1
      local group = tide.TaskGroup(opts or {})
      group:spawn(fn)
      turns(2)
      return "returned"
    end
  end

  local function check(failures, what, count)
    assert.are.equal(1, #failures)
    assert.are.equal(what .. " opened at spec/failures_spec.lua:" .. line, failures[1].what)
    assert.is_true(tide.is(failures[1].err, "misuse"))
    assert.matches("left without <close>.*cancelled " .. count, failures[1].err.message)
  end

  it("is reported once, with its line, where children are cancelled for it", run(function()
    local failures = helper.collect_failures()
    local task = tide.spawn(leave(turns))
    assert.are.equal("returned", task:await())
    turns(3)
    assert.are.equal(0, #failures) -- the child had ended
    task = tide.spawn(leave(function() tide.sleep(60) end, { name = "mine" }))
    assert.are.equal("returned", task:await())
    turns(3)
    check(failures, "TaskGroup 'mine'", "1 child")
  end))

  it("is reported beside what its children then fail with", run(function()
    local failures = helper.collect_failures()
    tide.spawn(leave(function()
      local _ <close> = helper.closer(failing "cleanup")
      tide.sleep(60)
    end)):await()
    turns(5)
    assert.are.equal("cleanup", table.remove(failures).err)
    check(failures, "a TaskGroup", "1 child")
  end))

  it("is reported of the main task", function()
    local failures = helper.collect_failures()
    helper.run_now(leave(function() tide.sleep(60) end))
    check(failures, "a TaskGroup", "1 child")
  end)

  it("is reported of each one, where there are two", run(function()
    local failures = helper.collect_failures()
    tide.spawn(function()
      local one, other = tide.TaskGroup { name = "one" }, tide.TaskGroup { name = "other" }
      for _ = 1, 3 do one:spawn(tide.sleep, 60) end
      other:spawn(tide.sleep, 60)
    end):await()
    turns(3)
    assert.are.equal(2, #failures)
    table.sort(failures, function(a, b) return a.what < b.what end)
    assert.matches("^TaskGroup 'one'", failures[1].what)
    assert.matches("cancelled 3 children", failures[1].err.message)
    assert.matches("^TaskGroup 'other'", failures[2].what)
  end))

  it("is reported where the task fails, and not where it is cancelled or killed", run(function()
    local failures = helper.collect_failures()
    local task = tide.spawn(function()
      leave(function() tide.sleep(60) end)()
      error("x", 0)
    end)
    pcall(task.await, task)
    turns(3)
    check(failures, "a TaskGroup", "1 child")
    for _, how in ipairs { "cancel", "kill" } do
      task = tide.spawn(function()
        leave(function() tide.sleep(60) end)()
        tide.sleep(60)
      end)
      turns(4)
      task[how](task)
      turns(3)
      assert.is_true(task:cancelled())
    end
    assert.are.equal(1, #failures)
  end))
end)

describe("a timeout that is not in a <close> variable", function()
  local site

  local function guilty()
    site = "a timeout opened at spec/failures_spec.lua:" .. debug.getinfo(1, "l").currentline + 1
    local scope = tide.timeout(0.001)
    tide.sleep(60)
    return scope
  end

  local function check(err)
    assert.is_true(tide.is(err, "misuse"))
    assert.are.equal(site, err.message:sub(1, #site))
  end

  it("is named, with its line, where it ends a task", run(function()
    local failures = helper.collect_failures()
    tide.spawn(guilty)
    tide.sleep(0.01)
    check(failures[1].err)
  end, { clock = "virtual" }))

  it("is a failure of the child of a group", run(function()
    check(raises("group", tide.TaskGroup, function(g) g:spawn(guilty) end).errors[1])
  end))

  it("is a failure of the main task", function()
    check(raises("misuse", helper.run_now, guilty))
  end)

  it("is a failure of the body of a group, and ends with that", run(function()
    check(raises("group", tide.TaskGroup, guilty).errors[1])
    check(raises("group", function()
      local _ <close> = tide.TaskGroup()
      local scope = guilty()
      return scope
    end).errors[1])
    turns(2)
  end))

  it("is found by the timeout around it, in both forms, and ends with that", run(function()
    check(raises("misuse", tide.timeout, 60, guilty))
    check(raises("misuse", function()
      local _ <close> = tide.timeout(60)
      local scope = guilty()
      return scope
    end))
    turns(2)
  end))

  it("is named where what is around it is left first", run(function()
    local err = raises("misuse", function()
      local _ <close> = tide.timeout(60)
      local inner = tide.timeout(30) -- luacheck: ignore 211
      turns(1)
    end)
    assert.matches("left before a timeout opened at spec/failures_spec.lua:%d+", err.message)
  end))
end)

describe("iterators with tasks", function()
  local function numbers(n, err)
    return tide.generator(function(yield)
      for i = 1, n do yield(i) end
      turns(1)
      error(err, 0)
    end)
  end

  it("report what the consumer did not come to", run(function()
    local failures = helper.collect_failures()
    for _ in numbers(3, "ahead"):buffer(10):each() do -- luacheck: ignore 512
      turns(10)
      break
    end
    turns(5)
    assert.are.equal("ahead", reported(failures))
  end))

  it("report the second of two sources that fail at once", run(function()
    local failures = helper.collect_failures()
    local ok, err = pcall(function() numbers(0, "one"):merge(numbers(0, "two")):collect() end)
    turns(3)
    assert.is_false(ok)
    assert.are.equal(err == "one" and "two" or "one", reported(failures))
  end))

  for _, ordered in ipairs { true, false } do
    it("report the second of two functions that fail at once, ordered: " .. tostring(ordered), run(function()
      local failures = helper.collect_failures()
      local ok, err = pcall(function()
        tide.iter({ 1, 2 }):map_concurrent(2, function(i)
          turns(3 - i)
          error(i, 0)
        end, { ordered = ordered }):collect()
      end)
      turns(3)
      assert.is_false(ok)
      assert.are.equal(tostring(3 - err), reported(failures))
    end))
  end
end)

describe("the report", function()
  -- What the program `tide` writes to stderr for a script.
  local function stderr_of(script)
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write(script)
    file:close()
    local program = (os.getenv "TIDE_BUILD" or "build/release") .. "/tide"
    local pipe <close> = assert(io.popen(("%s %s 2>&1 >/dev/null"):format(program, path)))
    local text = pipe:read "a"
    os.remove(path)
    return text
  end

  local function count(text, part)
    return select(2, text:gsub(part, ""))
  end

  it("of failures at one place tells each message in full, and how many there were again", function()
    local text = stderr_of [[
      local tide = require "tide"
      local function job(name) error(name .. " failed", 0) end
      for _ = 1, 3 do
        for _, name in ipairs { "database", "disk", "mail" } do tide.spawn(job, name) end
      end
      tide.sleep(0.01)
    ]]
    for _, name in ipairs { "database", "disk", "mail" } do
      assert.are.equal(1, count(text, "failed: " .. name .. " failed\nstack traceback:\n"))
    end
    assert.matches("tide: 6 more failures like that: string, at [^\n]*:2\n$", text)
    assert.are.equal(1, count(text, "like that"))
  end)

  it("says how many there were before it tells another message, and tells all of it again after a second", function()
    local text = stderr_of [[
      local tide = require "tide"
      local guilty = load("error(..., 0)", "=place")
      local function fail(messages)
        for message in messages:gmatch "." do tide.spawn(guilty, message) end
        tide.sleep(0.001)
      end
      fail "xxxyx"
      tide.sleep(1.1)
      fail "yx"
    ]]
    local lines = {}
    for line in text:gmatch "tide: ([^\n]*)" do lines[#lines + 1] = line:match "failed: .*" or line end
    assert.are.same({
      "failed: x", "2 more failures like that: string, at place:1", "failed: y",
      "1 more failures like that: string, at place:1", "failed: y", "failed: x",
    }, lines)
  end)

  it("of what has no traceback takes the message for the place, and writes no empty one", function()
    local text = stderr_of [[
      local tide = require "tide"
      local functions = {}
      collectgarbage "stop" -- a timeout that is dropped is collected
      for i = 1, 12 do
        functions[i] = load("local tide = ... tide.timeout(0.01) tide.sleep(1)", "=place" .. i)
        for _ = 1, i == 12 and 5 or 1 do tide.spawn(functions[i], tide) end
      end
      tide.sleep(0.05)
      for i = 1, 20 do tide.Future():set_error("place:7: number " .. i) end
      collectgarbage()
    ]]
    for i = 1, 12 do
      assert.are.equal(1, count(text, "failed: misuse: a timeout opened at place" .. i .. ":1 was left"))
    end
    assert.matches("tide: 4 more failures like that: misuse: a timeout opened at place12:1 was left", text)
    assert.are.equal(8, count(text, "a Future failed: place:7: number"))
    assert.matches("tide: 12 more failures like that: string, at place:7\n", text)
    assert.not_matches("stack traceback", text)
  end)

  it("of many messages at one place tells some in full, and how many there were", function()
    local text = stderr_of [[
      local tide = require "tide"
      local function guilty(i) error("number " .. i) end
      for i = 1, 500 do tide.spawn(guilty, i) end
      tide.sleep(0)
      tide.spawn(function() error("another") end)
      tide.sleep(0.01)
    ]]
    assert.matches("number 1\n", text)
    assert.matches("another", text)
    assert.is_true(count(text, "stack traceback") < 10)
    local more = 0
    for n in text:gmatch "tide: (%d+) more failures like that: string, at [^\n]*:2" do more = more + n end
    assert.are.equal(500, more + count(text, "failed: [^\n]*number"))
  end)

  it("says how many there were when there come no more, while the program goes on", function()
    assert.matches("tide: 4 more failures like that: string, at place:1\n4 seconds later\n", stderr_of [[
      local tide = require "tide"
      tide.testing.run(function()
        local guilty = load("error 'x'", "=place")
        for _ = 1, 5 do tide.spawn(guilty) end
        tide.sleep(4)
        io.stderr:write "4 seconds later\n"
      end)
    ]])
  end)

  it("keeps no more than so many kinds apart, and loses none", function()
    local text = stderr_of [[
      local tide = require "tide"
      for i = 1, 200 do
        local guilty = load("error 'x'", "=place" .. i)
        for _ = 1, 3 do tide.spawn(guilty) end
      end
      tide.sleep(0.01)
    ]]
    assert.are.equal(200, count(text, "failed: place%d+:1: x"))
    assert.are.equal(200, count(text, "2 more failures like that: string, at place%d+:1"))
  end)

  it("goes to the program's own function each time", run(function()
    local failures = helper.collect_failures()
    for _ = 1, 100 do tide.spawn(failing "x") end
    turns(2)
    assert.are.equal(100, #failures)
  end))

  it("says of nothing that it failed which leaves by tide.exit", function()
    local prelude = [[
      local tide = require "tide"
      local _ <close> = setmetatable({}, { __close = function() io.stderr:write "left\n" end })
      local function leave() io.stderr:write "leaves " tide.exit(3) end
    ]]
    for _, script in ipairs {
      "tide.on_failure(leave) tide.spawn(error, 'x', 0) tide.sleep(60)",
      "tide.debug { report = leave } local began = os.clock() repeat until os.clock() > began + 0.2 tide.sleep(60)",
      "tide.call_soon(leave) tide.sleep(60)",
      "tide.spawn(tide.sleep, 0):add_done_callback(leave) tide.sleep(60)",
      "do local x <close> = setmetatable({}, { __close = leave }) end",
      [[tide.spawn(function() -- Lua before 5.4.5 does not close the loop
        for x in tide.generator(function(yield)
          local _ <close> = setmetatable({}, { __close = leave })
          yield(1)
        end):each() do
          local y = x
          local function get() return y end
          if get then break end
        end
      end)
      tide.sleep(60)]],
    } do
      assert.are.equal("leaves left\n", stderr_of(prelude .. script))
    end
  end)

  it("tells stderr where that function fails, or waits", function()
    local text = stderr_of [[
      local tide = require "tide"
      tide.on_failure(function() error "hook" end)
      tide.spawn(error, "first", 0)
      tide.sleep(0.01)
      tide.on_failure(function() tide.sleep(1) end)
      tide.spawn(error, "second", 0)
      tide.sleep(0.01)
    ]]
    for _, part in ipairs { "the failure report failed: .*hook", "failed: first", "no_task", "failed: second" } do
      assert.matches(part, text)
    end
  end)
end)
