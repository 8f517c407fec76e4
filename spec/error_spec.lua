-- Error objects; is, try, catch; ErrorGroups.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, failing, raises, fails = helper.run, helper.turns, helper.failing, helper.raises, helper.fails

describe("tide.error", function()
  it("makes an error of any kind, with fields", function()
    local cause = {}
    local err = tide.error("mine", "it broke", { code = 7, cause = cause })
    assert.are.equal("mine", err.kind)
    assert.are.equal("it broke", err.message)
    assert.are.equal(7, err.code)
    assert.are.equal(cause, err.cause)
  end)

  it("reads well alone", function()
    assert.are.equal("mine: it broke", tostring(tide.error("mine", "it broke")))
    assert.are.equal("mine: open: it broke (ENOENT)",
      tostring(tide.error("mine", "it broke", { op = "open", code = "ENOENT" })))
    assert.matches("mine", tostring(tide.error "mine"))
  end)

  it("may have fields of the user's own, which do not change its kind", function()
    local err = tide.error("mine", "m", { kind = "other", extra = 1 })
    assert.are.equal("mine", err.kind)
    assert.are.equal(1, err.extra)
  end)

  it("is told by tide.is", function()
    local err = tide.error("mine", "m")
    assert.is_true(tide.is(err, "mine"))
    assert.is_false(tide.is(err, "other"))
    for _, value in ipairs { "mine", 5, true, {}, { kind = "mine" }, print, coroutine.create(print) } do
      assert.is_false(tide.is(value, "mine"))
    end
    assert.is_false(tide.is(nil, "mine"))
    assert.is_false(tide.is(setmetatable({}, { __index = function() error "asked" end }), "mine"))
  end)

  it("crosses awaits by identity, with the traceback of where it was raised", run(function()
    local err = tide.error("mine", "m")
    local function guilty() error(err) end
    local task = tide.spawn(function() guilty() return 1 end)
    local ok, got = pcall(task.await, task)
    assert.is_false(ok)
    assert.are.equal(err, got)
    assert.matches("guilty", err.traceback)
  end))
end)

describe("an error of tide's", function()
  it("says what was attempted", run(function()
    local queue = tide.Queue()
    local _, err = pcall(function() queue:get_nowait() end)
    assert.are.equal("queue_empty", err.kind)
    assert.are.equal("get_nowait", err.op)
    assert.matches("get_nowait", tostring(err))
    assert.are.equal("string", type(err.message))
  end))

  it("names what the program called, not what is inside of that", run(function()
    local function op_of(f)
      local _, err = pcall(function()
        f()
        return 1 -- no tail call: Lua would forget the name
      end)
      assert.is_truthy(tide.is(err, "deadlock") or tide.is(err, "misuse"), tostring(err))
      return err.op
    end
    local function in_run(f)
      return function()
        tide.testing.run(function()
          f(tide.Queue())
          return 1
        end)
      end
    end
    local busy = tide.generator(function() tide.sleep(60) end)
    local inside = tide.spawn(busy)
    helper.turns(1)
    assert.are.equal("close", op_of(function() busy:close() return 1 end))
    assert.is_nil(op_of(function() for _ in busy:each() do error "not reached" end end))
    inside:cancel()
    helper.turns(2)
    assert.are.equal("gather", op_of(in_run(function(queue)
      tide.gather { function() queue:get() end }
      return 1
    end)))
    assert.are.equal("collect", op_of(in_run(function(queue)
      tide.iter(queue):buffer(2):collect()
      return 1
    end)))
  end))

  it("has a traceback where it is a mistake", run(function()
    local lock = tide.Lock()
    local function guilty() lock:release() end
    local _, err = pcall(function() guilty() return 1 end)
    assert.are.equal("invalid_state", err.kind)
    assert.matches("guilty", err.traceback)
  end))
end)

describe("the text of an error", function()
  it("tells the reason of a cancellation, inside and to who awaits", run(function()
    local inside
    local task = tide.spawn(function()
      inside = raises("cancelled", tide.sleep, 60)
      error(inside)
    end)
    turns(1)
    task:cancel "quota used up"
    local outside = raises("cancelled", task.await, task)
    assert.are.equal("cancelled: sleep: cancelled (quota used up)", tostring(inside))
    assert.matches("was cancelled %(quota used up%)$", tostring(outside))
  end))

  it("has any reason in it, but not itself", run(function()
    local err = tide.error("cancelled", "m")
    err.reason = err
    assert.are.equal("cancelled: m", tostring(err))
    err.reason = tide.error("mine", "over")
    assert.are.equal("cancelled: m (mine: over)", tostring(err))
    err.reason = 5
    assert.are.equal("cancelled: m (5)", tostring(err))
    err.reason = setmetatable({}, { __tostring = failing "broken" })
    fails("broken", tostring, err)
  end))

  it("says nothing twice", run(function()
    local err = raises("timeout", function() tide.timeout(0, tide.sleep, 60) end)
    assert.are.equal("timeout: the deadline passed", tostring(err))
  end))
end)

describe("tide.try", function()
  it("gives results, or nil and the error", function()
    assert.are.same({ 1, nil, 3, n = 3 }, table.pack(tide.try(function() return 1, nil, 3 end)))
    local failure = {}
    local nothing, err = tide.try(failing(failure))
    assert.is_nil(nothing)
    assert.are.equal(failure, err)
    assert.are.equal(5, tide.try(math.max, 1, 5, 3))
  end)
end)

describe("an ErrorGroup", function()
  local function group_of(...)
    local list = { ... }
    return raises("group", tide.TaskGroup, function(g)
      for _, err in ipairs(list) do g:spawn(failing(err)) end
    end)
  end

  local a, b, c = tide.error("a", "first"), tide.error("b", "second"), tide.error("a", "third")

  it("shows all that is in it", run(function()
    local text = tostring(group_of(a, b, "plain"))
    assert.matches("3 tasks failed", text)
    assert.matches("a: first", text)
    assert.matches("b: second", text)
    assert.matches("plain", text)
    assert.matches("1 task failed", tostring(group_of(a)))
  end))

  it("says where the body was what failed", run(function()
    assert.matches("^group: the body failed\n  1%. oops$", tostring(raises("group", tide.TaskGroup, failing "oops")))
    local err = raises("group", tide.TaskGroup, function(g)
      for _ = 1, 2 do g:spawn(failing(a)) end
      tide.raw.pcall(turns, 1)
      error("oops", 0)
    end)
    assert.matches("^group: 2 tasks and the body failed\n", tostring(err))
    assert.matches("^group: 2 errors\n", tostring(err:subgroup "a"))
  end))

  it("has a message, which is made when it is asked for", run(function()
    local text = tostring(group_of(group_of(a), "plain\ntext"))
    assert.are.equal("group: 2 tasks failed\n  1. group: 1 task failed\n      1. a: first\n  2. plain\n    text", text)
    local err = group_of(a)
    assert.are.equal("1 task failed\n  1. a: first", err.message)
    table.insert(err.errors, b)
    assert.matches("b: second", err.message)
    err.message = "my own"
    assert.are.equal("group: my own", tostring(err))
  end))

  it("shows a hundred lines, and ten groups in each other", run(function()
    local many = {}
    for i = 1, 1000 do many[i] = i end
    local text = tostring(group_of(table.unpack(many)))
    assert.matches("and %d+ more$", text)
    assert.is_true(#text < 2000)
    local deep = a
    for _ = 1, 50 do deep = group_of(deep) end
    text = tostring(deep)
    assert.matches("in groups deeper than are shown$", text)
    assert.is_true(#text < 2000)
    assert.are.same({ a }, deep:leaves())
  end))

  it("may be in itself, as a message may make it: that ends", run(function()
    local group = group_of(a)
    group.errors[2], group.errors[3] = group, group_of(group, b)
    assert.are.same({ a, b }, group:leaves())
    assert.is_true(#tostring(group) < 20000)
    assert.are.equal(a, group:subgroup(function(err) return err == a end).errors[1])
    local told
    tide.catch(function() error(group) end, { function(err) told = err:leaves() end })
    assert.are.same({ a, b }, told)
    local ok, err = pcall(tide.TaskGroup, function(g) g:spawn(error, group) end)
    assert.is_false(ok)
    assert.are.same({ a, b }, err:leaves())
    tide.on_failure(function(_, failed) told = failed end)
    tide.spawn(error, group)
    tide.sleep(0)
    tide.sleep(0)
    assert.are.equal(group, told)
    tide.on_failure(nil)
  end))

  it("costs time and memory in proportion to how deep groups are nested", run(function()
    local function walk(n)
      local _ <close> = tide.TaskGroup()
      if n == 0 then error("bottom", 0) end
      local result = walk(n - 1)
      return result
    end
    local function cost(n)
      collectgarbage()
      local began, before = os.clock(), collectgarbage "count"
      local err = raises("group", walk, n)
      local seconds, kilobytes = os.clock() - began, collectgarbage "count" - before
      assert.are.same({ "bottom" }, err:leaves())
      assert.are.same({ "bottom" }, err:split("error"):leaves())
      return seconds, kilobytes
    end
    local short = cost(500)
    local long, kilobytes = cost(8000)
    assert.is_true(long < 100 * short + 0.5, ("500 deep: %.3f s, 8000 deep: %.3f s"):format(short, long))
    assert.is_true(kilobytes < 8000 * 4, kilobytes)
  end))

  it("costs time in proportion to how long a chain of tasks with groups is", run(function()
    local function chain(n)
      tide.TaskGroup(function(g)
        if n == 0 then error("bottom", 0) end
        g:spawn(chain, n - 1)
      end)
    end
    local function cost(n)
      local began = os.clock()
      assert.are.same({ "bottom" }, raises("group", chain, n):leaves())
      return os.clock() - began
    end
    local short = cost(250)
    local long = cost(4000)
    assert.is_true(long < 100 * short + 0.5, ("250 tasks: %.3f s, 4000 tasks: %.3f s"):format(short, long))
  end))

  it("ends endless recursion, as Lua does", run(function()
    local function walk(...) -- its arguments make the stack overflow sooner
      local _ <close> = tide.TaskGroup()
      local result = walk(...)
      return result
    end
    local err = raises("group", walk, table.unpack({}, 1, 100))
    assert.matches("stack overflow", err:leaves()[1])
  end))

  it("shows its name", run(function()
    local err = raises("group", function()
      tide.TaskGroup(function(g) g:spawn(failing(a)) end, { name = "fetchers" })
    end)
    assert.matches("fetchers", tostring(err))
  end))

  it("splits by kind", run(function()
    local group = group_of(a, b, c)
    local matching, rest = group:split "a"
    assert.are.same({ a, c }, matching.errors)
    assert.are.same({ b }, rest.errors)
    assert.is_true(tide.is(matching, "group") and tide.is(rest, "group"))
    matching, rest = group:split "none"
    assert.is_nil(matching)
    assert.are.equal(3, #rest.errors)
    matching, rest = group_of(a):split "a"
    assert.are.equal(1, #matching.errors)
    assert.is_nil(rest)
  end))

  it("splits by a predicate, plain errors too", run(function()
    local group = group_of(a, "plain", 5)
    local matching, rest = group:split(function(err) return type(err) == "string" end)
    assert.are.same({ "plain" }, matching.errors)
    assert.are.same({ a, 5 }, rest.errors)
    assert.are.same({ "plain", 5 }, group:subgroup("error").errors)
    assert.is_nil(group:subgroup("none"))
  end))

  it("keeps the shape of nested groups, and lists their leaves", run(function()
    local group = group_of(group_of(a, b), c)
    assert.are.same({ a, b, c }, group:leaves())
    local matching, rest = group:split "a"
    assert.are.equal(2, #matching.errors)
    assert.is_true(tide.is(matching.errors[1], "group"))
    assert.are.same({ a, c }, matching:leaves())
    assert.are.same({ b }, rest:leaves())
    assert.are.equal(1, #rest.errors[1].errors)
  end))

  it("checks arguments", run(function()
    local group = group_of(a)
    fails("bad argument #1 to 'split' (kind or function expected, got number)", group.split, group, 5)
    fails("bad argument #1 to 'subgroup' (kind or function expected, got nil)", group.subgroup, group)
    fails("calling 'split' on bad self (ErrorGroup expected, got tide.error)", group.split, tide.error("x", ""), "a")
    fails("calling 'subgroup' on bad self (ErrorGroup expected, got number)", group.subgroup, 5, "a")
    fails("calling 'leaves' on bad self (ErrorGroup expected, got nil)", group.leaves)
  end))
end)

describe("tide.catch", function()
  local a, b = tide.error("a", "first"), tide.error("b", "second")

  local function both()
    tide.TaskGroup(function(g)
      g:spawn(failing(a))
      g:spawn(failing(b))
    end)
  end

  it("gives the function's results", run(function()
    assert.are.same({ 1, nil, 3 }, { tide.catch(function() tide.sleep(0) return 1, nil, 3 end, {}) })
  end))

  it("calls each handler with the subgroup of its kind", run(function()
    local seen = {}
    assert.are.equal(0, select("#", tide.catch(both, {
      a = function(group) seen.a = group end,
      b = function(group) seen.b = group end,
      c = function() error "not reached" end,
    })))
    assert.are.same({ a }, seen.a.errors)
    assert.are.same({ b }, seen.b.errors)
  end))

  it("raises again what nobody handled", run(function()
    local seen
    local err = raises("group", tide.catch, both, { a = function(group) seen = group end })
    assert.are.same({ b }, err.errors)
    assert.are.same({ a }, seen.errors)
    err = raises("group", tide.catch, both, {})
    assert.are.same({ a, b }, err:leaves())
  end))

  it("treats a lone error as a group of one", run(function()
    local seen
    tide.catch(failing(a), { a = function(group) seen = group end })
    assert.are.same({ a }, seen.errors)
    local ok, err = pcall(tide.catch, failing(a), { b = print })
    assert.is_false(ok)
    assert.are.equal(a, err)
  end))

  it("sorts errors that are not tide's as kind `error`", run(function()
    local seen
    tide.catch(failing "plain", { error = function(group) seen = group end })
    assert.are.same({ "plain" }, seen.errors)
  end))

  it("gives what is left to the handler without a kind", run(function()
    local seen, left
    tide.catch(both, { a = function(group) seen = group end, function(group) left = group end })
    assert.are.same({ a }, seen.errors)
    assert.are.same({ b }, left.errors)
    tide.catch(failing "plain", { function(group) left = group end })
    assert.are.same({ "plain" }, left.errors)
    tide.catch(failing(a), { a = function() left = nil end, function() left = "called" end })
    assert.is_nil(left)
  end))

  it("gives the results of the handler that was called last", run(function()
    assert.are.same({ 1, nil, 3 }, { tide.catch(failing(a), { a = function() return 1, nil, 3 end }) })
    assert.are.same({ "rest" }, { tide.catch(both, { a = function() return "a" end, function() return "rest" end }) })
  end))

  it("keeps the traceback of where an error was raised", run(function()
    local line
    local function deep()
      line = debug.getinfo(1, "l").currentline + 1
      local nothing = tonumber "x"; return nothing.field
    end
    local function guilty() local x = deep() return x end
    local function traceback_of(f)
      local task = tide.spawn(f)
      pcall(task.await, task)
      return task:traceback()
    end
    for name, f in pairs {
      ["of no kind that is handled"] = function() tide.catch(guilty, { a = print }) end,
      ["of a handler's own"] = function() tide.catch(failing(a), { a = guilty }) end,
      ["raised again by a handler"] = function()
        tide.catch(guilty, { error = function(group) error(group) end })
      end,
      ["beside what was handled"] = function()
        tide.catch(function()
          tide.TaskGroup(function(g)
            g:spawn(failing(a))
            g:spawn(guilty)
          end)
        end, { a = function() end })
      end,
    } do
      local traceback = traceback_of(f)
      assert.matches("error_spec.lua:" .. line .. ": in ", traceback, name)
    end
  end))

  it("raises what a handler raises, with what was not handled", run(function()
    local ok, err = pcall(tide.catch, failing(a), { a = failing "handler" })
    assert.are.same({ false, "handler" }, { ok, err })
    err = raises("group", tide.catch, both, { a = failing "handler" })
    assert.are.equal("handler", err.errors[1])
    assert.are.same({ "handler", b }, err:leaves())
  end))

  it("has handlers that may wait", run(function()
    local done = false
    tide.catch(failing(a), { a = function()
      turns(2)
      done = true
    end })
    assert.is_true(done)
  end))

  it("lets the cancellation of the task through", run(function()
    local reached = false
    local task = tide.spawn(function()
      tide.catch(function() tide.sleep(5) end, { cancelled = function() reached = true end })
    end)
    turns(2)
    task:cancel()
    tide.wait { task }
    assert.is_true(task:cancelled())
    assert.is_false(reached)
  end))
end)
