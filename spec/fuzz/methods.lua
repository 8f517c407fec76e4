-- spec.fuzz.methods: calls any function, method and metamethod of tide's, on live and dead objects,
-- with any arguments. What is called, in what order and on what, the seed decides.
--
-- Each call may raise; none may crash, hang, or leave anything behind. MANNER=verbose in the
-- environment says what is called.
local tide = require "tide"

local seed, calls = ...
local verbose = os.getenv "MANNER" == "verbose"
local random, raw_pcall, unpack = math.random, tide.raw.pcall, table.unpack
local DEPTH_MAX = 3 -- of calls inside calls
local POOL_MAX = 60 -- objects

math.randomseed(seed)

local function one_of(list) return list[random(#list)] end

-- ---- what is called

-- What ends the process or the run is not asked for, nor are ways round tide itself.
local LEFT_OUT = { ["tide.exit"] = true, ["tide.stop"] = true, ["tide.run_forever"] = true, ["tide.raw"] = true,
  ["tide.on_failure"] = true, ["tide.testing.one_byte"] = true }

local functions = {} -- {name, function}: of modules

local function add_functions(name, module)
  local keys = {}
  for key in pairs(module) do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local full, value = name .. "." .. key, module[key]
    local metatable = debug.getmetatable(value)
    local is_function = type(value) == "function" or type(metatable) == "table" and metatable.__call
    if is_function and not LEFT_OUT[full] then
      functions[#functions + 1] = { full, value }
    elseif type(value) == "table" and not LEFT_OUT[full] and not (metatable and metatable.__newindex) then
      add_functions(full, value)
    end
  end
end

add_functions("tide", tide)
add_functions("coroutine", coroutine)
functions[#functions + 1] = { "pcall", pcall }
functions[#functions + 1] = { "xpcall", xpcall }

-- Of a class by its metatable: {name, function} of methods and metamethods.
local classes = setmetatable({}, { __mode = "k" })

-- The table of methods: an __index that is a function has it in an upvalue.
local function methods_in(index)
  for i = 1, type(index) == "function" and 2 or 0 do
    local _, value = debug.getupvalue(index, i)
    if type(value) == "table" then return value end
  end
  return type(index) == "table" and index or {}
end

local function members_of(object)
  local metatable = debug.getmetatable(object)
  if type(metatable) ~= "table" then return {} end
  if classes[metatable] then return classes[metatable] end
  local members = {}
  local class = tostring(metatable.__name or type(object))
  for _, table_ in ipairs { metatable, methods_in(metatable.__index) } do
    local keys = {}
    for key, value in pairs(table_) do
      if type(value) == "function" then keys[#keys + 1] = tostring(key) end
    end
    table.sort(keys)
    for _, key in ipairs(keys) do members[#members + 1] = { class .. ":" .. key, table_[key] } end
  end
  classes[metatable] = members
  return members
end

-- ---- values

local pool, depth = {}, 0
local favourites = {} -- objects on which every other call is: what one task waits in another ends

local function keep(value)
  if #pool < POOL_MAX then pool[#pool + 1] = value else pool[random(POOL_MAX)] = value end
end

local call_something, a_function

local function a_number()
  return one_of { 0, 1, 2, 3, -1, 7, 255, 0.5, 1e-5, 1e308, -1e308, 1 / 0, 0 / 0, 2 ^ 53, 65536, math.maxinteger,
    math.mininteger }
end

local function a_string()
  return one_of { "", "x", "cancelled", "timeout", "mine", "127.0.0.1", "::1", "unix:/nonexistent/x", "0", "\n", ("y"):rep(3000),
    "virtual", "first", "all" }
end

local function some_function()
  local rest, kind = 20, random(12)
  local value, other = one_of(pool), one_of(pool)
  if kind == 1 then return function(...) return ... end end
  if kind == 2 then return function(...) tide.sleep(0) return ... end end
  if kind == 3 then return function() tide.sleep(one_of { 1e-6, 1e-5, 1 }) return value end end
  if kind == 4 then return function() error(one_of { "mine", value, tide.error "mine" }, 0) end end
  if kind == 5 then return function() error() end end
  if kind == 6 then return function() rest = rest - 1 return rest > 0 and value or nil end end
  if kind == 7 then return function() call_something() return value end end
  if kind == 8 then return function(yield) if type(yield) == "function" then yield(1) yield(value) end end end
  if kind == 9 then return function() return unpack({}, 1, random(300)) end end
  if kind == 10 then return coroutine.wrap(function() coroutine.yield(value) tide.sleep(0) coroutine.yield(1) end) end
  if kind == 11 then
    return function()
      local _ <close> = setmetatable({}, { __close = call_something })
      tide.sleep(0)
      call_something()
    end
  end
  return function() raw_pcall(function() return other:close() end) end
end

-- None that is called for ever: what steps through it and never waits would never end.
function a_function()
  local f, rest = some_function(), 50
  return function(...)
    rest = rest - 1
    if rest >= 0 then return f(...) end
  end
end

local function a_table()
  local kind = random(5)
  if kind == 1 then return {} end
  if kind == 2 then return { one_of(pool), one_of(pool) } end
  if kind == 3 then return { a_function(), one_of(pool), a_function() } end
  if kind == 4 then
    return { [one_of { "timeout", "max", "name", "shield", "immediate", "on_error", "limit", "return_errors", "backlog",
      "clock", "seed", "reason", "mine", 2 }] = one_of { a_number(), a_string(), true, one_of(pool) } }
  end
  local event = one_of { "__close", "__call", "__index", "__gc", "__await", "__tostring", "__name", "__len" }
  return setmetatable({}, { [event] = a_function() })
end

local function a_value()
  local kind = random(12)
  if kind == 1 then return nil end
  if kind == 2 then return one_of { true, false } end
  if kind == 3 or kind == 4 then return a_number() end
  if kind == 5 then return a_string() end
  if kind == 6 or kind == 7 then return a_function() end
  if kind == 8 then return a_table() end
  if kind == 9 then return coroutine.create(a_function()) end
  return one_of(pool)
end

local makers = {
  function() return tide.Queue(random(0, 2)) end,
  function() return tide.PriorityQueue(random(0, 2)) end,
  function() return tide.LifoQueue(random(0, 2)) end,
  function() return tide.Queue():putting(1) end,
  function() return tide.Lock() end,
  function() return tide.Lock():acquire() end,
  function() return tide.RWLock() end,
  function() return tide.RWLock():read() end,
  function() return tide.RWLock():write() end,
  function() return tide.Semaphore(random(0, 2)) end,
  function() return tide.BoundedSemaphore(random(2)) end,
  function() return tide.Event() end,
  function() return tide.Condition() end,
  function() return tide.Barrier(random(3)) end,
  function() return tide.Future() end,
  function() return tide.spawn(tide.sleep, 1e-5) end,
  function() return tide.spawn(a_function(), a_value()) end,
  function() return tide.current_task() end,
  function() return tide.timeout(1e-5) end,
  function() return tide.TaskGroup { max = random(2) } end,
  function() return tide.call_soon(a_function()) end,
  function() return tide.call_later(1e-5, a_function()) end,
  function() return tide.Local(1) end,
  function() return tide.after(1e-5) end,
  function() return tide.error("mine", "text", { cause = one_of(pool) }) end,
  function() return tide.iter { 1, 2, 3 } end,
  function() return tide.iter(a_function()) end,
  function() return tide.iter(tide.Queue()) end,
  function() return tide.generator(a_function()) end,
  function() return tide.greenlet(a_function()) end,
  function() return tide.greenlet.current() end,
  function()
    local g = tide.greenlet(function()
      local _ <close> = setmetatable({}, { __close = call_something })
      local scope <close> = tide.timeout(1e-5)
      keep(scope)
      tide.greenlet.current().parent:switch()
      call_something()
    end)
    g:switch()
    return g
  end,
  function() return tide.interval(1e-6) end,
  function() return tide.iter({ 1, 2, 3 }):buffer(random(2)) end,
  function() return tide.iter({ 1, 2, 3 }):map_concurrent(random(2), a_function()) end,
  function() return tide.generator(function(yield) tide.sleep(1e-6) yield(1) end):merge(tide.interval(1e-6)) end,
  function() return tide.tree() end,
  function() return tide.net.listen("127.0.0.1", 0) end,
  function() return tide.net.serve("127.0.0.1", 0, a_function()) end,
  function()
    local one, other = tide.net.pair()
    keep(other)
    other:write("some\nlines\n")
    return one
  end,
}

-- ---- calls

local function text_of(value)
  local ok, text = raw_pcall(tostring, value)
  return ok and tostring(text):sub(1, 40):gsub("\n", " ") or type(value)
end

local function say(name, arguments)
  local texts = {}
  for i = 1, arguments.n do texts[i] = text_of(arguments[i]) end
  print(("%s(%s)"):format(name, table.concat(texts, ", ")))
end

-- What a call has given may be called upon too.
local function keep_results(ok, ...)
  if not ok then return end
  for i = 1, math.min(select("#", ...), 4) do
    local value = select(i, ...)
    local kind = type(value)
    if kind == "userdata" or kind == "table" or kind == "thread" or kind == "function" then keep(value) end
  end
end

local function call(name, f, arguments)
  if verbose then say(name, arguments) end
  keep_results(raw_pcall(f, unpack(arguments, 1, arguments.n)))
end

function call_something()
  if depth >= DEPTH_MAX or calls <= 0 then return end
  calls, depth = calls - 1, depth + 1
  local arguments = { n = random(0, 4) }
  for i = 1, arguments.n do arguments[i] = a_value() end
  if random(4) == 1 then
    local f = one_of(functions)
    call(f[1], f[2], arguments)
  else
    local object = one_of(random(2) == 1 and #favourites > 0 and favourites or pool)
    local members = members_of(object)
    if #members > 0 then
      local member = one_of(members)
      if random(8) > 1 then
        arguments[1], arguments.n = object, math.max(arguments.n, 1)
      end
      call(member[1], member[2], arguments)
    end
  end
  depth = depth - 1
end

-- Of an object the members in which tasks wait.
local WAITS = { put = 1, get = 1, take = 1, join = 1, acquire = 1, read = 1, write = 1, wait = 1, await = 1, accept = 1,
  read_line = 1, read_exactly = 1, read_all = 1, close = 1, collect = 1, first = 1 }

local function waiting_members_of(object)
  local waits = {}
  for _, member in ipairs(members_of(object)) do
    if WAITS[member[1]:match "[^:]*$"] then waits[#waits + 1] = member end
  end
  return waits
end

-- A task that waits in a favourite for longer than most others live.
local function waiter()
  local object = one_of(favourites)
  local member = one_of(waiting_members_of(object))
  raw_pcall(tide.move_on_after, 1e-3, call, member[1], member[2], { n = 2, object, a_value() })
end

-- A task that calls for a while; what it was in the middle of is ended by a timeout.
local function worker()
  for _ = 1, random(8) do
    local ok, made = raw_pcall(tide.move_on_after, 1e-4, one_of(makers))
    if ok and made then keep_results(raw_pcall(one_of(makers))) end
    depth = 0
    if random(3) == 1 then call_something() else raw_pcall(tide.move_on_after, 2e-5, call_something) end
    if random(4) == 1 then raw_pcall(tide.sleep, 0) end
  end
end

return function()
  for _, make in ipairs(makers) do keep_results(raw_pcall(make)) end
  while #favourites < 2 do
    local object = one_of(pool)
    if #waiting_members_of(object) > 0 then favourites[#favourites + 1] = object end
  end
  while calls > 0 do
    tide.spawn(worker)
    for _ = 1, random(0, 3) do tide.spawn(waiter) end
    if random(3) == 1 then tide.spawn(worker) end
    raw_pcall(tide.sleep, one_of { 0, 0, 1e-6, 1e-5 })
    calls = calls - 1
    if random(20) == 1 then collectgarbage() end
    if random(15) == 1 then
      local tasks = tide.all_tasks()
      local task = one_of(tasks)
      if task ~= tide.current_task() then raw_pcall(one_of { task.kill, task.cancel }, task) end
    end
  end
end
