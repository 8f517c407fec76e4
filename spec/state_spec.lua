-- The end of a Lua state, at any point, and what of tide's objects a script can get at.
local tide = require "tide"
local helper = require "spec.helper"

local run = helper.run

-- The interpreter that runs this, with tide in reach.
local function interpreter()
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

-- Runs the text in a process of its own: how it ended ("exit", "signal"), with what, and its output.
local function process(text)
  local script, out = os.tmpname(), os.tmpname()
  local file = assert(io.open(script, "w"))
  file:write(text)
  file:close()
  local _, how, status = os.execute(("%s %s >%s 2>&1"):format(interpreter(), script, out))
  file = assert(io.open(out))
  local said = file:read "a"
  file:close()
  os.remove(script)
  os.remove(out)
  return { how, status, said }
end

-- The text as a task of a run; `leave` closes the state.
local function ends_well(text)
  assert.are.same({ "exit", 7, "" }, process([[
    local tide = require "tide"
    local function leave() os.exit(7, true) end
    local function main()
      ]] .. text .. [[

    end
    if tide.current_task() then main() else tide.run(main) end
    os.exit(1)]]))
end

describe("a state can be closed", function()
  local places = {
    ["while a task waits in put"] = "local q = tide.Queue(1) tide.spawn(function() q:put(1) q:put(2) end) "
      .. "tide.sleep(0) tide.sleep(0) leave()",
    ["when a task was just handed an item"] = "local q = tide.PriorityQueue() tide.spawn(q.get, q) "
      .. "tide.sleep(0) q:put(1, 1) leave()",
    ["when a putter's item was just taken"] = "local q = tide.LifoQueue(1) q:put(1) tide.spawn(q.put, q, 2) "
      .. "tide.sleep(0) q:get() leave()",
    ["while a task waits in a select that puts"] = "local q = tide.Queue(1) q:put(1) "
      .. "tide.spawn(tide.select, q:putting(2), tide.after(9)) tide.sleep(0) leave()",
    ["while an iterator reads ahead"] = "local ahead = tide.interval(0.0001):buffer(2) ahead() leave()",
    ["in a timeout inside a group"] = "tide.TaskGroup(function(g) g:spawn(tide.sleep, 9) "
      .. "tide.timeout(1, function() tide.sleep(0) leave() end) end)",
    ["in a coroutine of a coroutine"] = "coroutine.wrap(function() coroutine.wrap(function() "
      .. "tide.sleep(0) leave() end)() end)()",
    ["in a generator"] = "for _ in tide.generator(function(yield) yield(1) leave() end):each() do end",
    ["in a callback"] = "tide.call_soon(leave) tide.sleep(9)",
    ["in a done callback"] = "tide.spawn(tide.sleep, 0):add_done_callback(leave) tide.sleep(9)",
    ["in the cleanup of a kill"] = "local t = tide.spawn(function() "
      .. "local _ <close> = setmetatable({}, { __close = leave }) tide.sleep(9) end) tide.sleep(0) t:kill()",
    ["in the cleanup of a task that kills another"] = "local q = tide.Queue() local t = tide.spawn(function() "
      .. "local _ <close> = setmetatable({}, { __close = leave }) q:get() end) tide.sleep(0) q:put(1) t:kill()",
    ["in a finalizer"] = "setmetatable({}, { __gc = leave }) collectgarbage()",
    ["in a comparator"] = "table.sort({ 1, 2 }, leave)",
    ["in a message handler"] = "xpcall(error, leave)",
    ["in a failure report"] = "tide.on_failure(leave) tide.spawn(error, 1) tide.sleep(9)",
    ["while streams send and wait"] = "local a, b = tide.net.pair() a:write(('x'):rep(9999999)) "
      .. "tide.spawn(a.read, a, 1) tide.spawn(a.flush, a) tide.sleep(0) leave() print(b)",
  }
  for name, text in pairs(places) do
    it(name, function() ends_well(text) end)
  end

  it("while finalizers make objects, and use those that tasks wait in", function()
    ends_well [[
      local q, full = tide.Queue(), tide.Queue(1)
      full:put_nowait(1)
      tide.spawn(function() full:put(2) end)
      tide.spawn(function() q:get() end)
      tide.sleep(0)
      setmetatable({}, { __gc = function()
        q:put_nowait(5)
        assert(full:get_nowait() == 1 and #q == 0)
        tide.net.pair()
        local again = tide.Queue()
        again:put_nowait(1)
        assert(not pcall(full.put_nowait, full, 3) and #again == 1)
      end })
      leave()]]
  end)
end)

describe("the metatable of an object", function()
  it("cannot be taken", run(function()
    local one, other = tide.net.pair()
    local guard <close> = tide.RWLock():read()
    local listener <close> = tide.net.listen("127.0.0.1", 0)
    local scope <close> = tide.timeout(9)
    local objects = { Task = tide.current_task(), Queue = tide.Queue(), Future = tide.Future(), Stream = one, Lock = tide.Lock(),
      ["RWLock guard"] = guard, Listener = listener, Scope = scope, Event = tide.Event(), case = tide.after(1),
      Local = tide.Local(), Handle = tide.call_soon(print), ["tide.error"] = tide.error "mine", class = tide.Queue }
    local server <close> = tide.net.serve(print, "127.0.0.1", 0)
    objects.Server, objects.Tree, objects.Deferred = server, tide.tree(), tide.defer(print)
    objects.Iter = tide.generator(function(yield) yield(1) end):map(tostring)
    for name, object in pairs(objects) do
      assert.equal(name, getmetatable(object))
      assert.is_false(pcall(setmetatable, object, nil))
    end
    for _, name in ipairs { "Server", "Tree", "Deferred", "Iter" } do -- made in Lua
      assert.is_nil(objects[name].__index)
      assert.is_nil(objects[name].__close)
    end
    local _, _, _, closing = objects.Iter:each()
    assert.equal("Iter", getmetatable(closing))
    one:close()
    other:close()
  end))
end)
