-- The manual against the program: every public name is documented and every documented name is there; every Lua
-- block, and every C block with a main, runs and prints what the `output` block behind it says.

local helper = require "spec.helper"
local tide = require "tide"

local reference = {
  "tide", "cancellation", "group", "sync", "iter", "debug", "errors", "coroutine", "net", "tls", "dns", "fd", "testing",
  "program", "c", "tide_lua",
}

-- Constructors whose objects have another name in headings than their own in small letters.
local receivers = {
  BoundedSemaphore = "semaphore", LifoQueue = "queue", PriorityQueue = "queue", RLock = "lock", TaskGroup = "group",
}

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

-- Functions of classes that are no methods.
local statics = { ["greenlet:current"] = "tide.greenlet.current" }

-- Parts of pages.

-- The fenced blocks of a page: {language=, text=, line=}, in order.
local function blocks_of(path)
  local blocks, block, number = {}, nil, 0
  for line in io.lines(path) do
    number = number + 1
    local fence = line:match("^```%s*(.*)$")
    if block and fence then
      block.text = table.concat(block, "\n") .. "\n"
      blocks[#blocks + 1], block = block, nil
    elseif fence then
      block = { language = fence, line = number }
    elseif block then
      block[#block + 1] = line
    end
  end
  assert(not block, path .. ": a block has no end")
  return blocks
end

-- The names in headings such as `### tide.sleep(seconds)`: "tide.sleep" -> "page:line".
local function documented_names()
  local names = {}
  for _, page in ipairs(reference) do
    local path = "docs/reference/" .. page .. ".md"
    local number, fenced = 0, false
    for line in io.lines(path) do
      number = number + 1
      if line:find("^```") then fenced = not fenced end
      local name = not fenced and line:match("^###%s+([%a_][%w_.]*:?[%w_]*)")
      if name then
        local place = ("%s:%d"):format(path, number)
        assert(not names[name], ("%s: %s is at %s already"):format(place, name, names[name]))
        names[name] = place
      end
    end
  end
  return names
end

-- What there is.

local function is_public(name) return type(name) == "string" and not name:find("^_") end

-- The methods of the Lua part come when they are asked for.
local function add_methods(names, receiver, class)
  local behind = debug.getmetatable(class)
  if behind and type(behind.__index) == "table" then add_methods(names, receiver, behind.__index) end
  for name, value in pairs(class) do
    local full = receiver .. ":" .. name
    if is_public(name) and type(value) == "function" then names[statics[full] or full] = true end
  end
end

-- An __index that is a function, as that of errors is, has the methods in an upvalue.
local function methods_in(index)
  for i = 1, type(index) == "function" and 2 or 0 do
    local _, value = debug.getupvalue(index, i)
    if type(value) == "table" then return value end
  end
  return index
end

local function add_methods_of(names, receiver, object)
  local index = methods_in(debug.getmetatable(object).__index)
  if type(index) == "table" then add_methods(names, receiver, index) end
end

-- The methods of a constructor's objects, or nil for what is no constructor.
local function class_of(value)
  local metatable = debug.getmetatable(value)
  return type(value) == "table" and metatable and metatable.__call and metatable.__index or nil
end

-- What stands for a class whose objects no constructor makes.
local function is_class(value)
  local metatable = debug.getmetatable(value)
  return type(value) == "table" and metatable and metatable.__newindex ~= nil and not class_of(value)
end

local function add_module(names, name, module)
  for key, value in pairs(module) do
    if is_public(key) and not is_class(value) then
      names[name .. "." .. key] = true
      local class = class_of(value)
      if type(class) == "table" then add_methods(names, receivers[key] or key:lower(), class) end
    end
  end
end

local function is_module(key, value)
  return type(value) == "table" and not class_of(value) and not is_class(value) and key ~= "raw"
end

-- Objects that no constructor makes.
local function add_objects(names)
  helper.run_now(function()
    add_methods_of(names, "task", tide.current_task())
    local handle = tide.call_soon(print)
    add_methods_of(names, "handle", handle)
    handle:cancel()
    local _, callback <close> = tide.callback(print)
    add_methods_of(names, "callback", callback)
    local scope <close> = tide.timeout(60)
    add_methods_of(names, "scope", scope)
    local guard <close> = tide.RWLock():read()
    add_methods_of(names, "guard", guard)
    add_methods_of(names, "err", tide.error("x"))
    add_methods_of(names, "iter", tide.iter {})
    local greenlet = tide.greenlet(print)
    for _, field in ipairs { "dead", "parent" } do names["greenlet." .. field] = greenlet[field] ~= nil or nil end
    local fd <close> = tide.fd.open(0)
    add_methods_of(names, "fd", fd)
    if not tide.net then return end
    local stream, peer = tide.net.pair()
    add_methods_of(names, "stream", stream)
    stream:close()
    peer:close()
    local datagram <close> = tide.net.udp()
    add_methods_of(names, "datagram", datagram)
    local listener <close> = tide.net.listen("127.0.0.1", 0)
    add_methods_of(names, "listener", listener)
    local server <close> = tide.net.serve(print, "127.0.0.1", 0)
    add_methods_of(names, "server", server)
  end)
end

-- A task is a future: what both have may be documented for futures only.
local function covers(documented, name)
  local method = name:match("^task:(.*)$")
  return documented[name] or method and documented["future:" .. method]
end

local function existing_names()
  local names = {}
  for key, value in pairs(tide) do
    if is_module(key, value) then add_module(names, key, value) end
  end
  add_module(names, "tide", tide)
  for key, value in pairs(tide) do
    if is_module(key, value) then names["tide." .. key] = nil end -- it has a page
  end
  for key in pairs(tide.raw) do
    if key ~= "coroutine" then names[key] = true end
  end
  for key in pairs(tide.raw.coroutine) do names["coroutine." .. key] = true end
  add_objects(names)
  return names
end

local function sorted(list)
  table.sort(list)
  return table.concat(list, "\n")
end

-- Whether the name belongs to the page of a module that this build does not have.
local function is_of_missing_module(place)
  local page = place:match("([%w_]+)%.md")
  return (page == "net" or page == "dns") and not tide[page]
end

describe("the reference", function()
  it("documents every name there is", function()
    local documented, missing = documented_names(), {}
    for name in pairs(existing_names()) do
      if not covers(documented, name) then missing[#missing + 1] = name end
    end
    assert.equal("", sorted(missing))
  end)

  it("documents no name there is not", function()
    local existing, vanished = existing_names(), {}
    for name, place in pairs(documented_names()) do
      if not existing[name] and not is_of_missing_module(place) then
        vanished[#vanished + 1] = place .. " " .. name
      end
    end
    assert.equal("", sorted(vanished))
  end)
end)

-- The declarations of functions in C text, each in one line: {["int f(void)"] = true}.
local function declarations_in(text, pattern)
  local found = {}
  for declaration in text:gsub("/%*.-%*/", ""):gmatch(pattern) do
    found[declaration:gsub("%s+", " ")] = true
  end
  return found
end

local function left_of(some, others)
  local list = {}
  for name in pairs(some) do
    if not others[name] then list[#list + 1] = name end
  end
  return sorted(list)
end

describe("the reference of C", function()
  it("has a row for each header of the scheduler and of streams", function()
    local rows, missing = {}, {}
    for row in read("docs/reference/c.md"):gmatch "\n| (`[^|]*%.h`[^|]*)|" do rows[#rows + 1] = row end
    for folder, name in read("core/tide.h"):gmatch '#include "(%l+)/([%w_]+%.h)"' do
      if folder ~= "base" and not table.concat(rows):find("[`/]" .. name:gsub("%.", "%%.") .. "`") then
        missing[#missing + 1] = folder .. "/" .. name
      end
    end
    assert.is_truthy(rows[1])
    assert.equal("", sorted(missing))
  end)
end)

describe("the reference of tide_lua.h", function()
  local declared = declarations_in(read "bindings/tide_lua.h", "TIDE_API%s+([^;]-%));")
  local documented = declarations_in(read "docs/reference/tide_lua.md", "\n| `([^`(]*[%w_]%b())`")

  it("has a row for each function, as it is declared", function()
    assert.is_truthy(next(declared))
    assert.equal("", left_of(declared, documented))
  end)

  it("has every type of the header that a host fills in", function()
    local header, page = read "bindings/tide_lua.h", read "docs/reference/tide_lua.md"
    local missing = {}
    local function look(name)
      if not page:find(name, 1, true) then missing[#missing + 1] = name end
    end
    for name in header:gmatch "%(%*(tide_lua_[%w_]+)%)" do look(name) end
    for name in header:gmatch "\n} (tide_lua_[%w_]+);" do look(name) end
    assert.equal("", sorted(missing))
  end)

  it("has no row for a function that there is not", function()
    assert.equal("", left_of(documented, declared))
  end)

  it("says of each what it pops, pushes and raises as the header does", function()
    local header = read("bindings/tide_lua.h"):gsub("\n %*", ""):gsub("%*count", "count")
    local compared = 0
    for name, mark in read("docs/reference/tide_lua.md"):gmatch "\n| `[^`(]-([%w_]+)%b()` | (%[%-[^%]]*%])" do
      local before = header:sub(1, header:find("TIDE_API [%w_ ]-%*?" .. name .. "%("))
      local comment
      repeat -- one comment may be for several
        before, comment = before:match "^(.*)(/%*.*)$"
      until comment:find "%[%-"
      assert.is_truthy(comment:find(mark, 1, true), name .. " " .. mark .. " is not in " .. comment)
      compared = compared + 1
    end
    assert.is_true(compared > 30)
  end)
end)

-- Blocks.

-- Run a script in virtual time: what it prints does not depend on the machine's speed. The tree shows
-- the task that this takes; who draws it is run as it is.
local virtually = [[-e 'require "tide".testing.run(assert(loadfile((...) or arg[1])))']]
local as_it_is = [[-e 'require "tide".run(assert(loadfile(arg[1])))']]

-- The program, or an interpreter with the module.
local function interpreter()
  local build = os.getenv("TIDE_BUILD")
  local lowest = 0
  while arg and arg[lowest - 1] do lowest = lowest - 1 end
  local lowest_argument = arg and lowest < 0 and arg[lowest] or "lua5.4"
  return build and not lowest_argument:find("lua") and build .. "/tide" or lowest_argument
end

-- A command to put the script's path behind.
local function command(text)
  local path, draws = interpreter(), text:find("tide%.tree")
  if path:find("tide$") then return draws and path or path .. " " .. virtually end
  return path .. " " .. (draws and as_it_is or virtually) .. " /dev/null"
end

describe("the reference of iterators", function()
  it("has an example of each method, which is run below", function()
    local examples, without = {}, {}
    for _, block in ipairs(blocks_of "docs/reference/iter.md") do
      if block.language == "lua" then examples[#examples + 1] = block.text end
    end
    local text = table.concat(examples)
    for name, value in pairs(debug.getmetatable(tide.iter {}).__index) do
      local called = text:find(":" .. name .. "[ (]")
      if is_public(name) and type(value) == "function" and not called then without[#without + 1] = name end
    end
    assert.equal("", sorted(without))
  end)
end)

-- Runs the text by a command (this interpreter's) to which its path is added.
local function run(text, by)
  local reserved = os.tmpname()
  local path = reserved .. ".lua" -- busted loads no other files
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local pipe = assert(io.popen(("timeout 60 %s %s 2>&1; echo \"status $?\""):format(by or command(text), path)))
  local output, status = pipe:read("a"):match("^(.*)status (%d+)\n$")
  pipe:close()
  os.remove(path)
  os.remove(reserved)
  return output, tonumber(status)
end

local can_compile = os.execute "command -v cc pkg-config >/dev/null"

-- A command that compiles the C program whose path is put behind it, and runs it; nil where that is not possible.
local function c_command()
  local build = os.getenv("TIDE_BUILD")
  if not build or not can_compile then return nil end
  return ([[sh -c 'cc -std=c11 -Wall -Wextra -Werror %s -x c "$0" -x none -o "$0.out" ]] ..
    [[-Icore -Ibindings %s/libtide_lua.a %s/libtide.a $(pkg-config --cflags --libs lua5.4) -lev -lpthread -lm && ]] ..
    [["$0.out"; code=$?; rm -f "$0.out"; exit $code']])
    :format(build:find "asan$" and "-fsanitize=address,undefined" or "", build, build)
end

local pages = {
  "README.md", "docs/index.md", "docs/tutorial.md", "docs/cancellation.md", "docs/testing.md", "docs/design.md",
  "docs/embedding.md", "docs/reliability.md", "docs/not-yet.md",
}
for _, page in ipairs(reference) do pages[#pages + 1] = "docs/reference/" .. page .. ".md" end

for _, page in ipairs(pages) do
  describe(page, function()
    local blocks = blocks_of(page)
    for i, block in ipairs(blocks) do
      local expected = blocks[i + 1]
      if block.language == "lua" then
        it(("runs at line %d"):format(block.line), function()
          if block.text:find("tide%.net") and not tide.net then pending("no tide.net yet") end
          local output, status = run(block.text)
          assert.equal(0, status, output)
          output = output:gsub(", %d+ ms, at", ", at") -- how long a wait has lasted, on a slow machine
          if expected and expected.language == "output" then assert.equal(expected.text, output) end
        end)
      elseif block.language == "c" and block.text:find("int main", 1, true) then
        it(("compiles and runs at line %d"):format(block.line), function()
          local by = c_command()
          if not by then return pending("no C compiler, or TIDE_BUILD names no build directory") end
          local output, status = run(block.text, by)
          assert.equal(0, status, output)
          if expected and expected.language == "output" then assert.equal(expected.text, output) end
        end)
      elseif block.language == "lua busted" then
        it(("has specs that pass at line %d"):format(block.line), function()
          local output, status = run(block.text, interpreter() .. ' "$(command -v busted)" --pattern=.')
          assert.equal(0, status, output)
          assert.matches("[1-9]%d* success", output)
        end)
      end
    end

    it("has no dead links", function()
      local folder = page:match("^(.*/)") or ""
      for target in read(page):gmatch("%]%(([^)#]*)#?[^)]*%)") do
        if target ~= "" and not target:find("^https?:") then
          local file = io.open(folder .. target)
          assert.truthy(file, "no file " .. folder .. target)
          file:close()
        end
      end
    end)
  end)
end
