-- tide.tree and tide.stats: what runs, and what it waits for; and the message of a deadlock, which lists it.
local tide = require "tide"
local helper = require "spec.helper"

local run, raises, turns = helper.run, helper.raises, helper.turns
local spawn, sleep = tide.spawn, tide.sleep

local VIRTUAL = { clock = "virtual" }

-- The node of the task, group or scope that `matches`; and the one it is in.
local function find(node, matches, parent)
  if matches(node) then return node, parent end
  for _, child in ipairs(node.children) do
    local found, above = find(child, matches, node)
    if found then return found, above end
  end
end

local function node_of(task)
  return find(tide.tree(), function(node) return node.task == task end)
end

local function here()
  return ("spec/tree_spec.lua:%d"):format(debug.getinfo(2, "l").currentline)
end

describe("the tree", function()
  it("says what each task waits for, where, and since when", run(function()
    local queue, place = tide.Queue(), nil
    local began = tide.time()
    local task = spawn(function()
      sleep(1)
      place = here() queue:get()
    end):set_name("consumer")
    sleep(4)
    local node = node_of(task)
    assert.are.equal("task", node.kind)
    assert.are.equal("consumer", node.name)
    assert.are.equal(task:id(), node.id)
    assert.are.equal("waiting", node.status)
    assert.are.equal("Queue.get", node.waits_for)
    assert.are.equal(place, node.where)
    assert.is_near(began + 1, node.since, 0.0011)
    assert.are.equal(("task 'consumer' waits for Queue.get, 3.0 s, at %s"):format(place), tostring(node))
    queue:close()
    tide.wait { task }
  end, VIRTUAL))

  it("says of a task that runs where it is, and of one that has not begun that it is ready", run(function()
    local task = spawn(turns)
    local me = node_of(tide.current_task())
    assert.are.equal("running", me.status)
    assert.matches("spec/tree_spec.lua:%d+", me.where)
    assert.is_nil(me.waits_for)
    assert.are.equal("ready", node_of(task).status)
    assert.is_nil(node_of(task).where)
    task:await()
    assert.is_nil(node_of(task))
  end))

  it("sees through coroutines and generators", run(function()
    local place
    local generator = tide.generator(function(yield)
      place = here() sleep(10)
      yield(1)
    end)
    local task = spawn(function()
      coroutine.wrap(function()
        local co = coroutine.create(function() generator:foreach(print) end)
        coroutine.resume(co)
      end)()
    end)
    turns(2)
    assert.are.equal(place, node_of(task).where)
    assert.matches("tree_spec.*in a coroutine resumed at.*tree_spec", task:traceback())
    task:cancel()
    tide.wait { task }
  end))

  it("sees where a task runs that is inside a coroutine of its own", run(function()
    local place, node
    coroutine.wrap(function()
      place = here() local tree = tide.tree()
      node = find(tree, function(other) return other.task == tide.current_task() end)
    end)()
    assert.are.equal(place, node.where)
  end))

  it("is drawn on one line each, whatever the names", run(function()
    local task = tide.spawn(tide.sleep, 1)
    task:set_name "two\nlines"
    turns(1)
    assert.matches("task 'two%?lines' waits for sleep", tostring(tide.tree()))
    task:cancel()
  end))

  it("names the task that is awaited", run(function()
    local inner = spawn(sleep, 10):set_name("inner")
    local outer = spawn(function() inner:await() end)
    local shielded = spawn(function() tide.shield(inner) end)
    turns(2)
    local node = node_of(outer)
    assert.are.equal("await", node.waits_for)
    assert.are.equal(inner, node.awaits)
    assert.matches("waits for task 'inner'", tostring(node))
    assert.are.equal(inner, node_of(shielded).awaits)
    inner:cancel()
    tide.wait { outer, shielded, inner }
  end))

  it("has tasks in their groups, and groups and scopes in the tasks that opened them", run(function()
    local me = tide.current_task()
    local child, inner, tree
    tide.TaskGroup(function(group)
      child = group:spawn(function()
        tide.timeout_at(tide.time() + 30, function()
          tide.shield(function()
            inner = spawn(sleep, 0)
            tree = tide.tree()
          end)
        end)
      end)
      group:spawn(sleep, 5)
      group:spawn(sleep, 5)
    end, { name = "family", max = 2 })
    local node, group = find(tree, function(node) return node.task == child end)
    assert.are.equal("group", group.kind)
    assert.are.equal("family", group.name)
    assert.are.equal(2, group.running)
    assert.are.equal(1, group.held)
    assert.are.equal(3, #group.children)
    assert.are.equal("TaskGroup 'family': 2 running, 1 to start", tostring(group))
    local timeout = node.children[1]
    assert.are.equal("scope", timeout.kind)
    assert.are.equal("timeout: 25.0 s left", tostring(timeout))
    assert.is_true(timeout.children[1].shield)
    assert.are.equal(0, #timeout.children[1].children)
    local _, above = find(tree, function(other) return other == group end)
    assert.are.equal(me, above.task)
    local _, root = find(tree, function(other) return other.task == inner end)
    assert.are.equal(tree, root)
    inner:await()
  end, VIRTUAL))

  it("shows which iterator of the core a task is inside of", run(function()
    local task = spawn(tide.interval(5))
    sleep(0)
    local node = find(tide.tree(), function(node) return node.task == task end)
    assert.are.equal("interval", node.children[1].iterator)
    assert.are.equal("iterator 'interval'", tostring(node.children[1]))
    task:cancel()
  end, VIRTUAL))

  it("marks what is cancelled", run(function()
    local task = spawn(function()
      tide.shield(sleep, 1)
    end)
    turns(1)
    task:cancel()
    local node = node_of(task)
    assert.is_true(node.cancelled)
    assert.is_false(node.children[1].cancelled)
    assert.matches("cancelled$", tostring(node))
    tide.wait { task }
  end, VIRTUAL))

  it("has callbacks to come", run(function()
    local handle = tide.call_later(10, print)
    local node = find(tide.tree(), function(node) return node.name == "callback" end)
    assert.is_nil(node.task)
    assert.matches("^a callback waits for sleep", tostring(node))
    handle:cancel()
    assert.is_nil(find(tide.tree(), function(other) return other.name == "callback" end))
  end))

  it("is drawn with all its branches", run(function()
    tide.TaskGroup(function(group)
      group:spawn(sleep, 1):set_name("a")
      group:spawn(function() tide.move_on_after(9, sleep, 1) end):set_name("b")
      group:spawn(sleep, 1):set_name("c")
      turns()
      local text = tostring(tide.tree()):gsub(", at [^\n]*", "")
      assert.matches("TaskGroup: 3 running", text)
      assert.matches("├─ task 'a' waits for sleep\n", text)
      assert.matches("├─ task 'b' waits for sleep\n[^\n]*│  └─ timeout: 9.0 s left\n", text)
      assert.matches("└─ task 'c' waits for sleep", text)
    end)
  end, VIRTUAL))

  it("is a picture, which does not change, and keeps nothing alive that ended", run(function()
    local task = spawn(sleep, 0)
    local tree = tide.tree()
    task:await()
    local node = find(tree, function(node) return node.task == task end)
    assert.are.equal("ready", node.status)
    assert.are.equal("done", node.task:status())
  end))

  it("can be drawn from a finalizer, from a callback, and a hundred scopes deep", run(function()
    local texts = helper.log()
    setmetatable({}, { __gc = function() texts(tostring(tide.tree())) end })
    collectgarbage()
    tide.call_soon(function() texts(tostring(tide.tree())) end)
    turns()
    local function nest(n)
      if n == 0 then return texts(tostring(tide.tree())) end
      local _ <close> = tide.timeout(100)
      nest(n - 1)
    end
    nest(100)
    assert.are.equal(3, #texts)
    local _, count = texts[3]:gsub("timeout", "")
    assert.is_true(count >= 100)
  end))
end)

describe("stats", function()
  it("count turns, resumes, and coroutines for reuse", run(function()
    local before = tide.stats()
    for _ = 1, 10 do sleep(0) end
    local after = tide.stats()
    assert.are.equal(10, after.resumes - before.resumes)
    assert.is_true(after.turns - before.turns >= 10)
    spawn(sleep, 0):await()
    assert.is_true(tide.stats().pool >= 1)
  end))

  it("tell the longest time for which a task ran", run(function()
    local began = os.clock()
    while os.clock() - began < 0.03 do end
    assert.is_true(tide.stats().longest_slice >= 0.03)
  end))
end)

describe("a deadlock's message", function()
  local function message_of(body)
    return raises("deadlock", helper.run_now, body).message
  end

  it("says who waits for what", function()
    local message = message_of(function()
      spawn(function() tide.Event():wait() end):set_name("listener")
      tide.Queue():get()
    end)
    assert.matches("every task waits and nothing can wake any:\n", message)
    assert.matches("\n  task '[^\n]*' waits for Queue.get,[^\n]* at spec/tree_spec.lua:%d+", message)
    assert.matches("\n  task 'listener' waits for Event.wait,[^\n]* at spec/tree_spec.lua:%d+", message)
  end)

  it("does not list who runs the loop", function()
    assert.not_matches("running", message_of(function() tide.Event():wait() end))
  end)

  it("lists twenty tasks, and counts the others", function()
    local message = message_of(function()
      local event = tide.Event()
      for _ = 1, 40 do spawn(event.wait, event) end
      event:wait()
    end)
    local _, lines = message:gsub("\n", "")
    assert.are.equal(21, lines)
    assert.matches("\n  and %d+ more$", message)
  end)
end)
