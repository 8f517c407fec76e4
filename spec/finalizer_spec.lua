-- A finalizer may run wherever memory is allocated, in the middle of any function of tide's, and call
-- others. Each case here is run again and again: the finalizer runs in the first collection that comes
-- while the function is called, in the second, and so on.
local tide = require "tide"
local helper = require "spec.helper"

local run, raises = helper.run, helper.raises

-- Makes garbage whose finalizer calls f in the n-th collection from now on. Returns how many there were,
-- in a table, and what f raised.
local function at_collection(n, f)
  local seen, metatable = { collections = 0 }, {}
  function metatable.__gc()
    seen.collections = seen.collections + 1
    if seen.collections < n then
      setmetatable({}, metatable)
    elseif seen.collections == n then
      seen.ok, seen.err = pcall(f)
    end
  end
  setmetatable({}, metatable)
  return seen
end

-- Calls f, with a whole collection wherever Lua looks whether one is due, and something was allocated
-- since the last one.
local function collecting(f)
  local list = {}
  collectgarbage("incremental", 1, 1000, 40)
  collectgarbage "restart"
  list[1] = true
  f(list)
  collectgarbage "stop"
end

-- Each case is a function that returns what is called, what the finalizer does, and what must hold then.
local function sweep(case)
  local missed, reached = 0, 0
  for n = 1, math.huge do
    local called, finalizer, check = case()
    if n <= 2 then collectgarbage() end -- else the first may only end one that has begun before
    collectgarbage "stop"
    local seen = at_collection(n, finalizer)
    collecting(called)
    if check then check() end
    collectgarbage("incremental", 200, 100, 13)
    collectgarbage "restart"
    if seen.err ~= nil then error(seen.err, 0) end
    missed = seen.collections < n and missed + 1 or 0 -- stacks do not always grow at the same place
    if missed == 5 then break end
    if missed == 0 then reached = reached + 1 end
  end
  assert.is_true(reached > 0)
end

local function swept(case)
  return run(function()
    local _ <close> = helper.closer(function()
      collectgarbage("incremental", 200, 100, 13)
      collectgarbage "restart"
    end)
    sweep(case)
  end)
end

describe("a finalizer that runs inside", function()
  -- Who came first has set it, the other one is told.
  for name, set in pairs {
    set_result = function(future) return future:set_result("called", 2) end,
    set_error = function(future) return future:set_error(tide.error("called", "by name")) end,
  } do
    it(name .. " and sets the same future is first", swept(function()
      local future = tide.Future()
      local first, ok, err
      return function()
        ok, err = pcall(set, future)
        first = first or "called"
      end, function()
        if first then return end
        first = "finalizer"
        future:set_result("finalizer", 2, 3)
      end, function()
        local results = table.pack(pcall(future.result, future))
        if first == "finalizer" then
          assert.is_true(tide.is(err, "invalid_state"))
          assert.are.same({ true, "finalizer", 2, 3, n = 4 }, results)
        else
          assert.is_true(ok)
          assert.is_true(results[2] == "called" or tide.is(results[2], "called"))
        end
      end
    end))

    it(name .. " and cancels the future is first", swept(function()
      local future = tide.Future()
      local cancelled, took
      return function() took = set(future) end, function() cancelled = future:cancel() end, function()
        assert.are.equal(cancelled or false, not took)
        assert.are.equal(cancelled or false, future:cancelled())
        if took then pcall(future.result, future) end
      end
    end))
  end

  it("Local:set and sets another one harms neither", swept(function()
    local one, two = tide.Local(), tide.Local()
    local set = false
    return function() one:set(1) end, function() two:set(2) set = true end, function()
      assert.are.equal(1, one:get())
      assert.are.equal(set and 2 or nil, two:get())
    end
  end))

  it("group:spawn and closes the group keeps the child out, or comes too late", swept(function()
    local group
    local ran, spawned, err = false, nil, nil
    return function()
      tide.TaskGroup(function(g)
        group = g
        spawned, err = pcall(g.spawn, g, function() ran = true end)
      end)
    end, function() if group then group:close() end end, function()
      assert.are.equal(spawned, ran)
      if not spawned then assert.is_true(tide.is(err, "closed") and err.group == group) end
    end
  end))

  it("spawn and spawns others harms none of them", swept(function()
    local ran, expected = 0, 1
    local function child() ran = ran + 1 end
    return function() tide.spawn(child) end, function()
      for _ = 1, 100 do tide.spawn(child) end
      expected = 101
    end, function()
      helper.turns(2)
      assert.are.equal(expected, ran)
    end
  end))

  it("the end of a group's block that failed, and spawns a child, has it awaited", swept(function()
    local group, child
    local err
    return function()
      err = select(2, pcall(function()
        local g <close> = tide.TaskGroup()
        group = g
        error("as planned", 0)
      end))
    end, function()
      local ok, task = pcall(group and group.spawn or error, group, tide.sleep, 0)
      if ok then child = task end
    end, function()
      assert.are.equal("as planned", err.errors[1])
      if child then assert.is_true(child:done()) end
    end
  end))

  it("a child's failure and kills another one that fails loses neither", swept(function()
    local group, killed
    local failures = helper.collect_failures()
    local err
    return function()
      err = select(2, pcall(tide.TaskGroup, function(g)
        group = g
        killed = g:spawn(function()
          local _ <close> = helper.closer(function() tide.shield(tide.sleep, 0.01) end)
          error("one", 0)
        end)
        g:spawn(helper.failing "other")
      end))
    end, function()
      if killed and not killed:done() and group then pcall(killed.kill, killed) end
    end, function()
      local texts = {}
      for _, failure in ipairs(err and err.errors or {}) do texts[#texts + 1] = tostring(failure) end
      for _, failure in ipairs(failures) do texts[#texts + 1] = tostring(failure.err) end
      local all = table.concat(texts, ",")
      assert.is_truthy(all:find "other")
      assert.is_truthy(all:find "one" or killed:cancelled())
    end
  end))

  it("Semaphore:acquire and closes it leaves it whole", swept(function()
    local semaphore = tide.Semaphore(2)
    local ok, guard
    return function() ok, guard = pcall(semaphore.acquire, semaphore) end, function() semaphore:close() end, function()
      if ok then guard:release() else assert.is_true(tide.is(guard, "closed")) end
      assert.are.equal(2, semaphore:value())
    end
  end))

  it("select and closes the queue that is to be put into leaves nothing in it", swept(function()
    local queue, other = tide.Queue(1), tide.Queue()
    other:put(1)
    local ok, err
    return function() ok, err = pcall(tide.select, queue:putting("x"), other) end, function()
      queue:close()
    end, function()
      if not ok then raises("closed", error, err, 0) end
      assert.are.equal(ok and err == 1 and 1 or 0, #queue)
    end
  end))

  it("tide.greenlet and makes one too has the same parent for both", swept(function()
    local task, one, other
    return function()
      task = tide.spawn(function() one = tide.greenlet(print) end)
      tide.wait { task }
    end, function()
      if task and tide.current_task() == task then other = tide.greenlet(print) end
    end, function()
      if other then assert.are.equal(other.parent, one.parent) end
    end
  end))

  it("a timeout's beginning or end and cancels the task is heard", swept(function()
    local task, cancelled
    return function()
      task = tide.spawn(function()
        tide.timeout(1, tide.sleep, 0)
        tide.sleep(0)
        tide.sleep(0)
      end)
      tide.wait { task }
    end, function() cancelled = task and task:cancel() end, function()
      assert.are.equal(cancelled or false, task:cancelled())
    end
  end))
end)

-- What only the root of a run meets, and code outside of one, is tried in a program of its own.
local build = os.getenv "TIDE_BUILD"
local has_lua = os.execute "command -v lua5.4 >/dev/null"

local prelude = [[
  local tide = require "tide"
  local function at_collection(n, f)
    local seen, metatable = 0, {}
    function metatable.__gc()
      seen = seen + 1
      if seen < n then setmetatable({}, metatable) elseif seen == n then f() end
    end
    setmetatable({}, metatable)
  end
  local function collect_always(list)
    collectgarbage("incremental", 1, 1000, 40)
    collectgarbage "restart"
    list[1] = true
  end
]]

local scripts = {
  ["the report of a deadlock and wakes somebody puts it off"] = [[
    for n = 1, 8 do
      print(tide.run(function()
        local future = tide.Future()
        local task = tide.spawn(function() return future:await() end)
        tide.sleep(0)
        collectgarbage "stop"
        at_collection(n, function() future:set_result "set" end)
        collect_always {}
        local result = task:await()
        collectgarbage "stop"
        return result
      end))
    end
  ]],
  ["the report of a deadlock of run_forever and wakes somebody puts it off"] = [[
    for n = 1, 8 do
      local future = tide.Future()
      tide.spawn(function()
        collect_always {}
        print(future:await())
        collectgarbage "stop"
        tide.stop()
      end)
      collectgarbage "stop"
      at_collection(n, function() future:set_result "set" end)
      tide.run_forever()
    end
  ]],
  ["tide.exit and calls that too leaves once"] = [[
    for n = 1, 8 do
      tide.spawn(function() tide.sleep(0) end)
      collectgarbage "stop"
      at_collection(n, function() tide.exit(4) end)
      local list = {}
      collect_always(list)
      tide.exit(3)
      collectgarbage "stop"
      tide.run_forever()
      print "set"
    end
  ]],
}

describe("a finalizer that runs inside", function()
  for name, text in pairs(scripts) do
    it(name, function()
      if not has_lua or not build or build:find "/asan$" then return pending "this Lua cannot load the module" end
      local path = os.tmpname()
      local _ <close> = helper.closer(function() os.remove(path) end)
      local file = assert(io.open(path, "w"))
      file:write(prelude, text)
      file:close()
      local pipe <close> = assert(io.popen(("LUA_CPATH='%s' timeout 60 lua5.4 %s 2>&1"):format(package.cpath, path)))
      assert.are.equal(("set\n"):rep(8), pipe:read "a")
    end)
  end
end)
