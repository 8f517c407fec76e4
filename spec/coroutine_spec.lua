-- Waits inside users' coroutines reach the scheduler, at any depth.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises, fails = helper.run, helper.turns, helper.raises, helper.fails

-- A list of what the generator yields.
local function list_of(generator)
  local list = {}
  for value in generator do list[#list + 1] = value end
  return list
end

describe("a wait inside a coroutine", function()
  it("suspends the task, not only the coroutine", run(function()
    local other <close> = helper.bystander()
    local generate = coroutine.wrap(function()
      for i = 1, 3 do
        tide.sleep(0)
        coroutine.yield(i)
      end
    end)
    assert.are.same({ 1, 2, 3 }, list_of(generate))
    assert.is_true(other.turns >= 3)
  end))

  it("works with coroutine.resume, which gives true and the values", run(function()
    local co = coroutine.create(function(...)
      tide.sleep(0)
      local a, b = coroutine.yield(...)
      tide.sleep(0)
      return a, b, nil
    end)
    assert.are.same({ true, 1, nil, 2, n = 4 }, table.pack(coroutine.resume(co, 1, nil, 2)))
    assert.are.same({ true, 3, nil, nil, n = 4 }, table.pack(coroutine.resume(co, 3, nil)))
    assert.are.equal("dead", coroutine.status(co))
    assert.are.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
  end))

  it("gives results of waits to the coroutine", run(function()
    local queue = tide.Queue()
    tide.spawn(function()
      turns(2)
      queue:put "item"
    end)
    assert.are.equal("item", coroutine.wrap(function() return queue:get() end)())
  end))

  for _, depth in ipairs { 2, 10, 100, 150 } do
    it("works " .. depth .. " coroutines deep", run(function()
      local function deep(n)
        if n == 0 then
          tide.sleep(0)
          return "bottom"
        end
        return coroutine.wrap(deep)(n - 1)
      end
      assert.are.equal("bottom", deep(depth))
    end))
  end

  it("may be mixed with yields at every level", run(function()
    local function inner()
      for i = 1, 3 do
        tide.sleep(0)
        coroutine.yield(i)
        tide.sleep(0)
      end
    end
    local function outer()
      for value in coroutine.wrap(inner) do
        tide.sleep(0)
        coroutine.yield(value * 10)
      end
    end
    assert.are.same({ 10, 20, 30 }, list_of(coroutine.wrap(outer)))
  end))

  it("may be in a coroutine that another task began", run(function()
    local generate = coroutine.wrap(function()
      for i = 1, 4 do
        tide.sleep(0)
        coroutine.yield(i)
      end
    end)
    assert.are.equal(1, generate())
    assert.are.equal(2, tide.spawn(function() return generate() end):await())
    assert.are.equal(3, generate())
  end))

  it("belongs to the task that resumed it", run(function()
    local seen
    local generate = coroutine.wrap(function()
      while true do
        seen = tide.current_task()
        tide.sleep(0)
        assert(seen == tide.current_task())
        coroutine.yield()
      end
    end)
    generate()
    assert.are.equal(tide.current_task(), seen)
    local task = tide.spawn(generate)
    task:await()
    assert.are.equal(task, seen)
  end))

  it("keeps two generators of two tasks apart", run(function()
    local log = helper.log()
    local function generate(name)
      return coroutine.wrap(function()
        for i = 1, 3 do
          tide.sleep(0)
          coroutine.yield(name .. i)
        end
      end)
    end
    tide.gather {
      function() for x in generate "a" do log(x) end end,
      function() for x in generate "b" do log(x) end end,
    }
    table.sort(log)
    assert.are.same({ "a1", "a2", "a3", "b1", "b2", "b3" }, { table.unpack(log) })
  end))

  it("raises errors through resume and wrap after a wait", run(function()
    local failure = {}
    local function fail()
      tide.sleep(0)
      error(failure, 0)
    end
    local co = coroutine.create(fail)
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    assert.are.equal(failure, err)
    assert.are.equal("dead", coroutine.status(co))
    ok, err = pcall(coroutine.wrap(fail))
    assert.is_false(ok)
    assert.are.equal(failure, err)
  end))

  it("adds the position to string errors of wrap, as Lua does", run(function()
    local function fail(wait)
      if wait then tide.sleep(0) end
      error "oops"
    end
    local expected = select(2, tide.raw.pcall(tide.raw.coroutine.wrap(fail), false))
    assert.are.equal(expected, select(2, tide.raw.pcall(coroutine.wrap(fail), false)))
    assert.are.equal(expected, select(2, tide.raw.pcall(coroutine.wrap(fail), true)))
  end))

  it("closes what wrap left open when it fails", run(function()
    local closed = false
    local ok = pcall(coroutine.wrap(function()
      local _ <close> = helper.closer(function() closed = true end)
      tide.sleep(0)
      error "oops"
    end))
    assert.is_false(ok)
    assert.is_true(closed)
  end))

  it("may be in a __close inside a coroutine", run(function()
    local log = helper.log()
    coroutine.wrap(function()
      local _ <close> = helper.closer(function()
        tide.sleep(0)
        log "closed"
      end)
      tide.sleep(0)
      log "body"
    end)()
    assert.are.same({ "body", "closed" }, { table.unpack(log) })
  end))

  it("is cancelled with the task", run(function()
    local err
    local task = tide.spawn(coroutine.wrap(function()
      coroutine.wrap(function()
        err = raises("cancelled", tide.sleep, 5)
        error(err, 0)
      end)()
    end))
    turns(2)
    task:cancel "reason"
    raises("cancelled", task.await, task)
    assert.are.equal("reason", err.reason)
    assert.is_true(task:cancelled())
  end))

  it("can be cancelled, and the coroutine used afterwards", run(function()
    local generate = coroutine.wrap(function()
      while true do
        local ok = tide.raw.pcall(tide.sleep, 5)
        coroutine.yield(ok)
      end
    end)
    local ran
    assert.is_false(tide.move_on_after(0.001, function()
      ran = generate()
      tide.sleep(0)
    end))
    assert.is_false(ran)
    tide.spawn(function() turns(1) end)
    assert.is_false(tide.timeout(1, function()
      tide.current_task():cancel()
      local ok = generate()
      tide.current_task():uncancel()
      return ok
    end))
  end))

  it("ends with the task that is killed, its <close> variables too", run(function()
    local log = helper.log()
    local task = tide.spawn(function()
      local _ <close> = helper.closer(function() log "outer" end)
      coroutine.wrap(function()
        local _ <close> = helper.closer(function() log "middle" end)
        coroutine.resume(coroutine.create(function()
          local _ <close> = helper.closer(function() log "inner" end)
          tide.sleep(5)
        end))
      end)()
    end)
    turns(2)
    task:kill()
    assert.are.same({ "inner", "middle", "outer" }, { table.unpack(log) })
  end))
end)

describe("a coroutine that ends with scopes open", function()
  -- Each runs the body in a coroutine to its end: true, results or false, error.
  local ways = {
    ["coroutine.resume"] = function(f) return coroutine.resume(coroutine.create(f)) end,
    ["coroutine.wrap"] = function(f) return pcall(coroutine.wrap(f)) end,
    ["a generator"] = function(f) return pcall(tide.generator(f)) end,
    ["a closed generator"] = function(f)
      local it = tide.generator(function(yield)
        local _ <close> = helper.closer(f)
        yield(1)
      end)
      it()
      return pcall(it.close, it)
    end,
    ["one inside another"] = function(f)
      return coroutine.resume(coroutine.create(function()
        local ok, err = coroutine.resume(coroutine.create(f))
        if not ok then error(err, 0) end
      end))
    end,
  }

  -- The errors that somebody was told of: in the result, or a report.
  local function leaves(err, failures)
    local set = {}
    local function add(e)
      for _, leaf in ipairs(tide.is(e, "group") and e:leaves() or { e }) do
        set[type(leaf) == "string" and leaf:match "[^ ]*$" or leaf] = true
      end
    end
    if err then add(err) end
    for _, failure in ipairs(failures) do add(failure.err) end
    return set
  end

  for name, way in pairs(ways) do
    describe("by " .. name, function()
      it("takes its timeouts along", run(function()
        for _, fails_too in ipairs { true, false } do
          local ok = way(function()
            local _ <close> = tide.timeout(0.02)
            local _ <close> = tide.timeout(0.01)
            turns(1)
            if fails_too then error "bad" end
          end)
          assert.are.equal(not fails_too, ok)
          tide.sleep(0.05)
        end
      end, { clock = "virtual" }))

      it("takes a timeout along that passed inside", run(function()
        local ok, err = way(function()
          local _ <close> = tide.timeout(0.02)
          tide.sleep(60)
        end)
        assert.is_false(ok)
        assert.are.equal("timeout", err.kind)
        tide.sleep(1)
      end, { clock = "virtual" }))

      it("takes its TaskGroup along: its children are cancelled and awaited", run(function()
        local failures, log = helper.collect_failures(), helper.log()
        local ok, err = way(function()
          local g <close> = tide.TaskGroup()
          g:spawn(function()
            local _ <close> = helper.closer(function() log "child" end)
            tide.shield(tide.sleep, 0.02)
            tide.sleep(60)
          end)
          turns(1)
          error("the_coroutine's", 0)
        end)
        log "resumed"
        assert.is_false(ok)
        assert.is_true(leaves(err, failures)["the_coroutine's"])
        assert.are.same({ "child", "resumed" }, { table.unpack(log) })
        tide.sleep(1)
        assert.are.equal(0, #failures)
      end, { clock = "virtual" }))

      it("loses no child's failure", run(function()
        local failures = helper.collect_failures()
        local ok, err = way(function()
          local g <close> = tide.TaskGroup()
          local _ <close> = tide.timeout(60)
          local inner <close> = tide.TaskGroup()
          g:spawn(function()
            tide.shield(tide.sleep, 0.02)
            error("the_child's", 0)
          end)
          inner:spawn(function()
            local _ <close> = helper.closer(function() error("the_inner's", 0) end)
            tide.sleep(60)
          end)
          turns(1)
          error("the_coroutine's", 0)
        end)
        tide.sleep(1)
        assert.is_false(ok)
        local told = leaves(err, failures)
        assert.is_true(told["the_coroutine's"])
        assert.is_true(told["the_child's"])
        assert.is_true(told["the_inner's"])
      end, { clock = "virtual" }))

      it("may be surrounded by a timeout", run(function()
        local began, ended = tide.time(), nil
        local function body()
          local _ <close> = tide.timeout(60)
          local g <close> = tide.TaskGroup()
          g:spawn(tide.sleep, 60)
          tide.sleep(60)
        end
        tide.move_on_after(0.01, function()
          way(body)
          ended = true
          tide.sleep(60)
        end)
        assert.is_true(tide.time() - began < 50)
        tide.sleep(1)
        assert.is_true(ended == nil or ended)
      end, { clock = "virtual" }))
    end)
  end

  it("inside a comparator leaves its children to the run, with its own error", run(function()
    local failures, result = helper.collect_failures(), nil
    local g_outer = tide.spawn(turns, 1)
    table.sort({ 1, 2 }, function()
      local co = coroutine.create(function()
        local _ <close> = tide.timeout(60)
        error("own", 0)
      end)
      result = select(2, coroutine.resume(co))
    end)
    assert.are.equal("own", result)
    g_outer:await()
    assert.are.equal(0, #failures)
    tide.sleep(61)
  end, { clock = "virtual" }))

  it("keeps its other variables open for coroutine.close, and its traceback", run(function()
    local log = helper.log()
    local co = coroutine.create(function()
      local _ <close> = helper.closer(function(_, err) log(err) end)
      local _ <close> = tide.timeout(60)
      local g <close> = tide.TaskGroup()
      g:spawn(turns, 3)
      error("x", 0)
    end)
    assert.is_false(coroutine.resume(co))
    assert.matches("coroutine_spec", debug.traceback(co))
    assert.are.equal(0, #log)
    assert.is_false(coroutine.close(co))
    assert.are.same({ "x" }, { table.unpack(log) })
    tide.sleep(61)
  end, { clock = "virtual" }))

  it("without an error, where a block has no `<close>`, waits for the children", run(function()
    local log = helper.log()
    assert(coroutine.resume(coroutine.create(function()
      local g = tide.TaskGroup()
      g:spawn(function()
        turns(3)
        log "child"
      end)
    end)))
    log "resumed"
    assert.are.same({ "child", "resumed" }, { table.unpack(log) })
    local values = { coroutine.wrap(function()
      tide.timeout(0.01)
      return 1, nil, 3
    end)() }
    assert.are.same({ 1, nil, 3 }, values)
    tide.sleep(1)
  end, { clock = "virtual" }))

  it("that fails with nil says so", run(function()
    local ok, err = coroutine.resume(coroutine.create(function()
      local _ <close> = tide.timeout(60)
      error()
    end))
    assert.is_false(ok)
    assert.is_nil(err)
  end))

  it("by another task than that which resumed it first", run(function()
    local co = coroutine.create(function()
      coroutine.yield()
      local _ <close> = tide.timeout(0.01)
      error("x", 0)
    end)
    coroutine.resume(co)
    local ok, err = tide.spawn(function()
      local ok, err = coroutine.resume(co)
      tide.sleep(1)
      return { ok, err }
    end):await()
    assert.are.same({ false, "x" }, ok)
    assert.is_nil(err)
  end, { clock = "virtual" }))
end)

describe("coroutine.running", function()
  -- How many of the tasks run in a coroutine that one before it was seen in, by `look`.
  local function met_again(look)
    local seen, met = {}, 0
    for _ = 1, 4 do
      for _, wait in ipairs { true, false } do
        tide.spawn(function()
          if seen[tide.raw.coroutine.running()] then met = met + 1 end
          if wait then turns(1) end
          look(function() seen[coroutine.running()] = true end)
        end):await()
      end
    end
    return met
  end

  for how, look in pairs {
    ["the body"] = function(see) see() end,
    ["a pcall"] = function(see) pcall(see) end,
    ["a message handler"] = function(see) xpcall(error, see) end,
    ["a message handler of the original xpcall"] = function(see) tide.raw.xpcall(error, see) end,
    ["a comparator"] = function(see) table.sort({ 1, 2 }, see) end,
    ["a debug hook"] = function(see)
      debug.sethook(function()
        debug.sethook()
        see()
      end, "", 1)
    end,
    ["a `<close>` while an error leaves"] = function(see)
      pcall(function()
        local _ <close> = helper.closer(see)
        error "x"
      end)
    end,
  } do
    it("gives a coroutine that is no other task's, in " .. how, run(function()
      assert.are.equal(0, met_again(look))
    end))
  end

  it("lets coroutines that nobody asked for be used again", run(function()
    local seen, met = {}, 0
    for _ = 1, 4 do
      tide.spawn(function()
        local co = tide.raw.coroutine.running()
        if seen[co] then met = met + 1 end
        seen[co] = true
        coroutine.wrap(function() return coroutine.running() end)() -- its own is another
        turns(1)
      end):await()
    end
    assert.are.equal(3, met)
  end))

  it("does not keep what was asked for", run(function()
    local weak, waiting = setmetatable({}, { __mode = "k" }), {}
    for i = 1, 20 do waiting[i] = tide.spawn(turns, 1) end -- coroutines for reuse
    tide.wait(waiting)
    for _ = 1, 10 do
      tide.spawn(function()
        weak[coroutine.running()] = true
        turns(1)
      end):await()
    end
    tide.spawn(turns, 1):await()
    collectgarbage()
    collectgarbage()
    local kept = 0
    for _ in pairs(weak) do kept = kept + 1 end
    assert.is_true(kept <= 1) -- the last may be on a stack yet
  end))
end)

describe("an error that was caught is let go", function()
  local function forms(err)
    return {
      timeout = function() tide.timeout(1, error, err) end,
      scope = function() tide.scope(function() error(err) end) end,
      TaskGroup = function() tide.TaskGroup(function() error(err) end) end,
      try = function() assert(tide.try(error, err)) end,
      wrap = function() coroutine.wrap(error)(err) end,
      generator = function() tide.generator(function() error(err) end)() end,
      task = function() tide.spawn(error, err):await() end,
    }
  end

  for how, catch in pairs {
    pcall = pcall,
    xpcall = function(f) xpcall(f, function(e) return tostring(e) end) end,
    try = tide.try,
  } do
    it("by " .. how .. ", while its task goes on", run(function()
      local errors = setmetatable({}, { __mode = "v" })
      for name in pairs(forms()) do
        local function attempt()
          local err = { name }
          errors[name] = err
          catch(forms(err)[name])
        end
        attempt()
        turns(1)
        collectgarbage()
        collectgarbage()
        assert.is_nil(next(errors), name)
      end
    end))
  end

  it("with its task, however it was caught", run(function()
    local errors = setmetatable({}, { __mode = "v" })
    for i = 1, 20 do
      tide.spawn(function()
        errors[i] = {}
        tide.raw.pcall(tide.timeout, 1, error, errors[i])
        turns(i % 2)
      end)
    end
    turns(3)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(errors))
  end))

  it("but not one on its way through a `<close>` that catches another", run(function()
    local task = tide.spawn(function()
      tide.timeout(1, function()
        local _ <close> = helper.closer(function()
          pcall(error, "another")
          pcall(tide.timeout, 1, tide.sleep, 0)
        end)
        error("the one", 0)
      end)
    end)
    fails("the one", task.await, task)
    assert.matches("coroutine_spec", task:traceback())
  end))
end)

describe("pcall and xpcall", function()
  it("are crossed by waits", run(function()
    assert.are.same({ true, 1, nil, 2 }, { pcall(function(...) tide.sleep(0) return ... end, 1, nil, 2) })
    assert.are.same({ true, 1, 2 }, { xpcall(function(...) tide.sleep(0) return ... end, print, 1, 2) })
    assert.are.same({ false, "e" }, { pcall(function() tide.sleep(0) error("e", 0) end) })
    assert.are.same({ false, "handled e" }, { xpcall(function()
      tide.sleep(0)
      error("e", 0)
    end, function(e) return "handled " .. e end) })
  end))

  it("work as Lua's elsewhere", function()
    assert.are.same({ true }, { pcall(function() end) })
    assert.are.same({ false, "x" }, { pcall(error, "x", 0) })
    assert.is_false(pcall(nil))
    helper.fails("bad argument #1 to 'pcall' (value expected)", function() pcall() end)
    helper.fails("bad argument #2 to 'xpcall'", function() xpcall(print) end)
    assert.are.same({ true, 1, 2 }, { xpcall(function(...) return ... end, print, 1, 2) })
    assert.are.same({ false, 5 }, { xpcall(error, function(e) return e + 1 end, 4) })
    local ok, trace = xpcall(function() error "deep" end, debug.traceback)
    assert.is_false(ok)
    assert.matches("deep.*stack traceback", trace)
  end)

  it("let cancellation through while its scope is cancelled", run(function()
    local reached = 0
    local task = tide.spawn(function()
      pcall(tide.sleep, 5)
      reached = 1
    end)
    turns(2)
    task:cancel()
    raises("cancelled", task.await, task)
    task = tide.spawn(function()
      xpcall(tide.sleep, function() reached = 2 end, 5)
      reached = 3
    end)
    turns(2)
    task:cancel()
    raises("cancelled", task.await, task)
    assert.are.equal(0, reached)
  end))

  it("catch the cancellation of what was awaited", run(function()
    local task = tide.spawn(tide.sleep, 5)
    turns(1)
    task:cancel()
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.are.equal(task, err.task)
  end))

  it("catch an error `cancelled` after its scope", run(function()
    local kept
    assert.is_false(tide.scope(function(scope)
      scope:cancel()
      kept = raises("cancelled", tide.sleep, 0)
      error(kept, 0)
    end))
    assert.are.same({ false, kept }, { pcall(error, kept, 0) })
  end))
end)

describe("coroutine.status", function()
  it("says what Lua's says", run(function()
    local co
    co = coroutine.create(function()
      assert.are.equal("running", coroutine.status(co))
      coroutine.wrap(function() assert.are.equal("normal", coroutine.status(co)) end)()
      coroutine.yield()
    end)
    assert.are.equal("suspended", coroutine.status(co))
    coroutine.resume(co)
    assert.are.equal("suspended", coroutine.status(co))
    coroutine.resume(co)
    assert.are.equal("dead", coroutine.status(co))
  end))

  it("is `normal` for one that waits, which nobody else can resume or close", run(function()
    local co = coroutine.create(function()
      turns(3)
      return "result"
    end)
    local task = tide.spawn(coroutine.resume, co)
    turns(1)
    assert.are.equal("normal", coroutine.status(co))
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    assert.matches("waits in a task", err)
    helper.fails("cannot close a normal coroutine", coroutine.close, co)
    assert.are.same({ true, "result" }, { task:await() })
  end))

  it("does not let a task's own coroutine be resumed", run(function()
    local co
    local task = tide.spawn(function()
      co = coroutine.running()
      turns(3)
    end)
    turns(1)
    assert.is_false((coroutine.resume(co)))
    assert.are.equal("normal", coroutine.status(co))
    helper.fails("cannot close", coroutine.close, co)
    task:await()
  end))
end)

describe("coroutine.*", function()
  it("running and isyieldable", run(function()
    local co, is_main = coroutine.running()
    assert.are.equal("thread", type(co))
    assert.is_false(is_main)
    coroutine.wrap(function()
      assert.is_true(coroutine.isyieldable())
      tide.sleep(0)
      assert.is_true(coroutine.isyieldable())
    end)()
    assert.is_false(coroutine.isyieldable()) -- a task's level
  end))

  it("close", run(function()
    local closed = 0
    local co = coroutine.create(function()
      local _ <close> = helper.closer(function() closed = closed + 1 end)
      tide.sleep(0)
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    assert.are.equal(1, closed)
    assert.are.equal("dead", coroutine.status(co))
    assert.is_true(coroutine.close(co))
    co = coroutine.create(function()
      local _ <close> = helper.closer(helper.failing "in close")
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.are.same({ false, "in close" }, { coroutine.close(co) })
    assert.is_true(coroutine.close(coroutine.create(print)))
  end))

  it("check their arguments", run(function()
    helper.fails("coroutine expected", coroutine.resume, 5)
    helper.fails("coroutine expected", coroutine.status, print)
    helper.fails("coroutine expected", coroutine.close, nil)
    helper.fails("function expected", coroutine.create, 5)
    helper.fails("function expected", coroutine.wrap, nil)
  end))

  it("work outside a task as Lua's", function()
    assert.are.same({ 1, 2, 3 }, list_of(coroutine.wrap(function()
      for i = 1, 3 do coroutine.yield(i) end
    end)))
    assert.are.same({ false, "cannot resume dead coroutine" },
      { coroutine.resume((function()
        local co = coroutine.create(function() end)
        coroutine.resume(co)
        return co
      end)()) })
    assert.are.same({ false, "cannot resume non-suspended coroutine" },
      { coroutine.resume((coroutine.running())) })
  end)

  it("pass many values", run(function()
    local co = coroutine.wrap(function(...)
      tide.sleep(0)
      local list = table.pack(coroutine.yield(...))
      tide.sleep(0)
      return table.unpack(list, 1, list.n)
    end)
    local list = {}
    for i = 1, 5000 do list[i] = i end
    assert.are.equal(5000, select("#", co(table.unpack(list))))
    assert.are.equal(5000, select("#", co(table.unpack(list))))
  end))

  it("keep the originals in tide.raw", function()
    for _, name in ipairs { "create", "wrap", "resume", "yield", "status", "running", "close", "isyieldable" } do
      assert.are.equal("function", type(tide.raw.coroutine[name]))
      assert.are_not.equal(coroutine[name], tide.raw.coroutine[name])
    end
    assert.are_not.equal(pcall, tide.raw.pcall)
    assert.are_not.equal(xpcall, tide.raw.xpcall)
  end)
end)
