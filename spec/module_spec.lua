-- The module as Lua finds it: tide and its parts, in any order.
local build = os.getenv "TIDE_BUILD"
local has_lua = os.execute "command -v lua5.4 >/dev/null"

-- The interpreters that can load tide: the program, and Lua with the module.
local interpreters = {}
if build then
  interpreters[1] = build .. "/tide"
  if has_lua and not build:find "/asan$" then interpreters[2] = "lua5.4" end -- Lua lacks the sanitizers
end

local function output_of(interpreter, code)
  local pipe <close> = assert(io.popen(("%s -e '%s' 2>&1"):format(interpreter, code)))
  return pipe:read "a"
end

describe("require", function()
  for _, interpreter in ipairs(interpreters) do
    local name = interpreter:match "[^/]*$"

    it("of tide.net may come before that of tide, in " .. name, function()
      assert.equal("true\ttrue\n", output_of(interpreter, [[
        local net = require "tide.net"
        local tide = require "tide"
        print(net == tide.net, net == require "tide.net")
      ]]))
    end)

    it("of tide.net may come after that of tide, in " .. name, function()
      assert.equal("true\n", output_of(interpreter, [[
        local tide = require "tide"
        print(require "tide.net" == tide.net)
      ]]))
    end)

    it("of tide.testing may come first, in " .. name, function()
      assert.equal("true\n", output_of(interpreter, [[
        print(require "tide.testing" == require "tide".testing)
      ]]))
    end)

    it("tells of a part that there is not, in " .. name, function()
      assert.matches("module .tide%.nonsense. not found", output_of(interpreter, [[require "tide.nonsense"]]))
    end)
  end

  if #interpreters == 0 then
    it("is tested where $TIDE_BUILD names a build", function() pending "TIDE_BUILD names no build directory" end)
  end
end)

-- What the pieces of the Lua part add: "tide.gather" -> its piece, and so on.
local function late_names()
  local owners = { tide = "tide", net = "tide.net", testing = "tide.testing", Iter = "tide.Iter", TaskGroup = "tide.TaskGroup",
    Stream = "tide.net.Stream" }
  local names, file <close> = {}, assert(io.open "bindings/late.c")
  for owner, name, piece in file:read("a"):gmatch '{"([%w.]+)", "([%w_]+)", "(tide%.[%w_]+)"}' do
    if owner == "tide.error" then
      names[('tide.error("x").%s'):format(name)] = piece
    else
      names[owners[owner] .. "." .. name] = piece
    end
  end
  return names
end

describe("what the Lua part adds to the module", function()
  local program = interpreters[1]

  it("is found by any of its names first", function()
    if not program then pending "TIDE_BUILD names no build directory" end
    local count = 0
    for name in pairs(late_names()) do
      count = count + 1
      local kind = name:match "%.%u%l+$" and "table" or "function"
      assert.equal(name .. "\t" .. kind .. "\n", output_of(program, ([[
        local tide = require "tide"
        print([=[%s]=], type(%s))
      ]]):format(name, name)))
    end
    assert(count > 50)
  end)

  it("is all that it has", function()
    local listed, there = {}, {}
    for name in pairs(late_names()) do listed[#listed + 1] = name:match "[%w_]+$" end
    for path in io.popen("ls lua/tide/*.lua"):lines() do
      local file <close> = assert(io.open(path))
      for line in file:lines() do
        local name = line:match "^function tide%.([%w_]+)" or line:match "^function testing%.([%w_]+)"
          or line:match "^function Iter:([%w_]+)" or line:match "^function methods:([%w_]+)"
          or line:match "^tide%.([%w_]+) = " or line:match "^net%.([%w_]+) = "
        there[#there + 1] = name
      end
    end
    -- what tide.iter has itself comes with it
    for _, name in ipairs { "close", "each", "send", "throw" } do listed[#listed + 1] = name end
    table.sort(listed)
    table.sort(there)
    assert.same(there, listed)
  end)

  it("stands behind parts in C that are each opened once", function()
    local file <close> = assert(io.open "bindings/module.c")
    local list, seen = file:read("a"):match "parts%[%].-{(.-)}", {}
    for name in list:gmatch "tl_[%w_]+_open" do
      assert(not seen[name], name)
      seen[name] = true
    end
    assert(seen.tl_class_open)
  end)

  it("is there for pairs", function()
    if not program then pending "TIDE_BUILD names no build directory" end
    assert.equal("function function function true\n", output_of(program, [[
      local tide, seen = require "tide", {}
      for key, value in pairs(tide) do seen[key] = value end
      for key, value in pairs(tide.testing) do seen[key] = value end
      print(("%s %s %s %s"):format(type(seen.gather), type(seen.iter), type(seen.sweep), seen.gather == tide.gather))
    ]]))
  end)

  it("does not replace what a script has set, and does not see it", function()
    if not program then pending "TIDE_BUILD names no build directory" end
    assert.equal("own own 3 function\n", output_of(program, [[
      local tide = require "tide"
      tide.gather, tide.spawn, tide.sleep = "own", error, error
      local index = tide.race { function() return 1 end }
      local results = tide.map({ 1, 2 }, function(x) return x + index end)
      for _, value in pairs(tide) do assert(value ~= nil) end
      print(("%s %s %s %s"):format(tide.gather, rawget(tide, "gather"), results[2], type(tide.wait)))
    ]]))
  end)

  it("is a method of its own although nobody has called it yet", function()
    if not program then pending "TIDE_BUILD names no build directory" end
    assert.matches("'start' is a method of tide's own", output_of(program, [[
      local tide = require "tide"
      function tide.TaskGroup:start() end
    ]]))
    assert.equal("nil 5\n", output_of(program, [[
      local tide = require "tide"
      function tide.Iter:five() return 5 end
      print(("%s %s"):format(tide.Iter.six, tide.iter({}):five()))
    ]]))
  end)

  it("costs nothing until it is used: a state is small", function()
    if not has_lua or #interpreters < 2 then pending "needs lua5.4 and the module" end
    local count = [[collectgarbage() collectgarbage() print(math.floor(collectgarbage "count" * 1024))]]
    local with = tonumber(output_of("lua5.4", [[require "tide" ]] .. count))
    local without = tonumber(output_of("lua5.4", count))
    assert(with - without < 100 * 1000, with - without)
  end)
end)

-- What breaks all that a script could: the globals, the functions of Lua's libraries and of tide.
local sabotage = [[
  local tide = require "tide"
  local pairs, type, error, print, check, show = pairs, type, error, print, pcall, tostring
  local concat, pack, find = table.concat, table.pack, string.find
  local spawn, run, net, sleep, testing, timeout = tide.spawn, tide.run, tide.net, tide.sleep, tide.testing, tide.timeout
  local serve, connect, test, wrap, assert_waits = net.serve, net.connect, testing.run, testing.wrap, testing.assert_waits
  local faults, sweep, pair = testing.faults, testing.sweep, net.pair
  local saved = {}
  for name, value in pairs(tide) do saved[name] = value end
  local globals = {}
  for name, value in pairs(_G) do globals[name] = value end
  local function nobodys() error("the script replaced this", 2) end
  local function spoil(list)
    local names = {}
    for name, value in pairs(list) do if type(value) == "function" then names[name] = true end end
    for name in pairs(names) do list[name] = nobodys end
  end
  for name, value in pairs(globals) do
    if type(value) == "table" and name ~= "_G" and name ~= "package" then spoil(value) end
    if name ~= "_G" then _G[name] = replacement end
  end
  for _, list in pairs { tide, net, testing, tide.raw, tide.raw.coroutine } do spoil(list) end
]]

describe("a script's globals, and what it replaces, do not reach into tide:", function()
  local works = {
    gather = "return saved.gather { function() return 1 end, return_errors = true }[1] == 1",
    map = "return saved.iter { 1, 2 }:map(function(x) return x * 2 end):filter(type):chunk(2):collect()[1][2] == 4",
    scan = "return saved.iter { 1, 2 }:scan(function(a, b) return a + b end, 0):collect()[2] == 3",
    tasks = [[return saved.iter { 1, 2 }:map_concurrent(2, function(x) return x end):merge { 3 }:buffer(2)
      :debounce(0.001):count() > 0]],
    generator = "return saved.generator(function(yield) yield(1, 2) end):zip { 3 }:count() == 1",
    wait = "local done = saved.wait { function() sleep(0) end, timeout = 1 } return #done == 1",
    race = "return saved.race { function() return 1 end, function() sleep(9) end } == 1",
    as_completed = "for task in saved.as_completed { function() end } do return task:done() end",
    wait_for = "return saved.wait_for(function() return true end, 1)",
    shield = "return saved.shield(function() return true end)",
    catch = [[return saved.catch(function()
      saved.TaskGroup(function(g) g:spawn(error, "x") end)
    end, { error = function(e) saved.errors = find(show(e), "x", 1, true) ~= nil and #e:leaves() end }) == nil and saved.errors == 1]],
    tree = "return find(show(saved.tree()), 'tide: 1 task', 1, true) ~= nil",
    testing = "return test(function() sleep(5) return true end, { seed = 1 })",
    wrap = "return wrap(function() assert_waits(sleep, 0) return true end)()",
    defer = "local done do local _ <close> = saved.defer(function(x) done = x end, true) end return done",
    start = [[return saved.TaskGroup(function(g)
      return g:start(function(started) started(true) sleep(1) end)
    end)]],
    ["tide.map"] = "return saved.map({ 1, 2, 3 }, function(x) sleep(0) return x * 2 end, { limit = 2 })[3] == 6",
    retry = [[
      local calls = 0
      saved.retry(function()
        calls = calls + 1
        if calls < 3 then saved.Queue():get_nowait() end
      end, { on = { "queue_empty" }, delay = 0.001 })
      return calls == 3]],
    limit = "return saved.gather { function() return 1 end, function() return 2 end, limit = 1 }[2] == 2",
    faults = "faults(function() local one, other = pair() one:close() other:close() end) return true",
    sweep = "sweep(function() sleep(0) end) return true",
    deadlock = [[
      local ok, err = check(test, function() saved.Event():wait() end)
      return not ok and find(show(err), "waits", 1, true) ~= nil]],
    arguments = [[
      local ok, err = check(saved.gather, 5)
      return not ok and find(err, "table expected, got number", 1, true) ~= nil]],
    serve = [[
      local server = serve(function(stream) stream:write(stream:read(1)) end, "127.0.0.1", 0, { max_connections = 2 })
      local client = connect(server:address())
      client:write "x"
      local echoed = client:read(1)
      client:close()
      server:close { grace = 1 }
      return echoed == "x" and find(show(server), "closed", 1, true) ~= nil]],
  }

  local replacements = { ["replaced"] = "'the script\\'s own'", ["gone"] = "nil" }

  local function check(name, code, how, replacement)
    it(name .. ", where they are " .. how, function()
      if not interpreters[1] then pending "TIDE_BUILD names no build directory" end
      local path = os.tmpname()
      local file <close> = assert(io.open(path, "w"))
      file:write("local replacement = ", replacement, " ", sabotage, "local ok, works = check(function() ", code, " end) print(ok, works)")
      file:close()
      local pipe <close> = assert(io.popen(("%s %s 2>&1"):format(interpreters[1], path)))
      assert.equal("true\ttrue\n", pipe:read "a")
      os.remove(path)
    end)
  end

  for name, code in pairs(works) do
    for how, replacement in pairs(replacements) do check(name, code, how, replacement) end
  end
end)
