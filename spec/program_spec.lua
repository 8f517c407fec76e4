-- The program tide: scripts as root tasks, options, exit statuses, signals.
local build = os.getenv "TIDE_BUILD"
local program = build and build .. "/tide"
local present = program and io.open(program)

if not present then
  describe("the program tide", function()
    it("is in $TIDE_BUILD", function() pending "TIDE_BUILD names no build directory" end)
  end)
  return
end
present:close()

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

-- A script in a file that is removed at the end of the block.
local function script(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return setmetatable({ path = path }, {
    __close = function() os.remove(path) end,
    __tostring = function() return path end,
  })
end

-- Runs a shell command in which $T is the program. status, stdout, stderr
local function shell(command)
  local out <close> = script ""
  local err <close> = script ""
  local _, how, status = os.execute(("T=%s; (%s) >%s 2>%s"):format(quote(program), command, out.path, err.path))
  if how == "signal" then status = 128 + status end
  return status, read_file(out.path), read_file(err.path)
end

local function tide(arguments) return shell("$T " .. arguments) end

local function tide_e(code, arguments) return tide("-e " .. quote(code) .. " " .. (arguments or "")) end

describe("the program tide", function()
  describe("runs", function()
    it("a script, which may wait at top level", function()
      local file <close> = script [[
        local tide = require "tide"
        tide.sleep(0)
        print(tide.current_task() ~= nil)
        print(tide.gather{function() tide.sleep(0) return "x" end}[1])
      ]]
      assert.are.same({ 0, "true\nx\n", "" }, { tide(file.path) })
    end)

    it("a script with arguments", function()
      local file <close> = script [[
        print(select("#", ...), ...)
        print(arg[0] == FILE or arg[0], arg[1], arg[2], #arg, arg[-1] ~= nil)
      ]]
      local status, out = tide(file.path .. " one 'two words'")
      assert.are.equal(0, status)
      assert.are.equal(("2\tone\ttwo words\n%s\tone\ttwo words\t2\ttrue\n"):format(file.path), out)
    end)

    it("code of -e", function()
      assert.are.same({ 0, "a\t2\n", "" }, { tide_e([[require "tide".sleep(0) print((...), select("#", ...))]], "a b") })
    end)

    it("standard input, with - and without", function()
      assert.are.same({ 0, "hello\n", "" }, { shell "echo 'print \"hello\"' | $T" })
      assert.are.same({ 0, "hello x\n", "" }, { shell "echo 'print(\"hello \" .. ...)' | $T - x" })
    end)

    it("a script with a first line for the shell", function()
      local file <close> = script "#!/usr/bin/env tide\nprint 'ok'\n"
      assert.are.same({ 0, "ok\n", "" }, { tide(file.path) })
    end)

    it("no task of the script after its end", function()
      local status, out = tide_e [[
        local tide = require "tide"
        tide.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() print "cleaned" end })
          tide.sleep(60)
        end)
        tide.sleep(0) tide.sleep(0)
        print "end"
      ]]
      assert.are.same({ 0, "end\ncleaned\n" }, { status, out })
    end)
  end)

  describe("prints", function()
    it("its version with -v", function()
      local status, out = tide "-v"
      assert.are.equal(0, status)
      assert.matches("^tide %d+%.%d+%.%d+ %(Lua 5%.4%.%d+%)\n$", out)
    end)

    it("its usage with -h, and where it does not understand", function()
      local status, out = tide "-h"
      assert.are.equal(0, status)
      assert.matches("^usage: tide", out)
      local err
      status, out, err = tide "--nonsense"
      assert.are.equal(2, status)
      assert.are.equal("", out)
      assert.matches("unknown option '%-%-nonsense'", err)
      status = tide "-e"
      assert.are.equal(2, status)
    end)
  end)

  describe("fails with status 1", function()
    it("on a syntax error, naming file and line", function()
      local file <close> = script "\n\nlocal x = = 5\n"
      local status, out, err = tide(file.path)
      assert.are.same({ 1, "" }, { status, out })
      assert.is_truthy(err:find(file.path .. ":3:", 1, true), err)
    end)

    it("on a file that is not there, naming it", function()
      local status, _, err = tide "/nonexistent/script.lua"
      assert.are.equal(1, status)
      assert.is_truthy(err:find("/nonexistent/script.lua", 1, true))
    end)

    it("on an error, printing its message and traceback", function()
      local file <close> = script [[
        local tide = require "tide"
        local function guilty() error "oops" end
        tide.sleep(0)
        guilty()
      ]]
      local status, out, err = tide(file.path)
      assert.are.same({ 1, "" }, { status, out })
      assert.is_truthy(err:find(file.path .. ":2: oops", 1, true), err)
      assert.matches("stack traceback:.*guilty", err)
    end)

    it("on an error object, printing it", function()
      local status, _, err = tide_e [[error(require "tide".error("mine", "it broke"))]]
      assert.are.equal(1, status)
      assert.matches("mine: it broke", err)
      assert.matches("stack traceback:", err)
    end)

    it("on an error that is a table or nil", function()
      assert.are.equal(1, (tide_e "error({})"))
      assert.are.equal(1, (tide_e "error(nil)"))
    end)

    it("on a deadlock", function()
      local status, _, err = tide_e [[require "tide".Future():await()]]
      assert.are.equal(1, status)
      assert.matches("deadlock", err)
    end)
  end)

  it("ends with the status of os.exit", function()
    assert.are.equal(7, (tide_e "os.exit(7)"))
    assert.are.equal(0, (tide_e "os.exit(true, true)"))
    assert.are.equal(3, (tide_e [[require "tide".sleep(0) os.exit(3, true)]]))
  end)

  describe("reports failures that nobody awaits on stderr, with status 0:", function()
    it("of tasks", function()
      local status, out, err = tide_e [[
        local tide = require "tide"
        local function guilty() error "oops" end
        tide.spawn(function() guilty() return 1 end):set_name "culprit"
        tide.sleep(0) tide.sleep(0)
        print "end"
      ]]
      assert.are.same({ 0, "end\n" }, { status, out })
      assert.matches("task 'culprit' failed: .*oops", err)
      assert.matches("guilty", err)
    end)

    -- Lua before 5.4.5: see lua544_spec. Later ones close the iterator when the loop is left.
    for name, after in pairs {
      ["goes on"] = "for i = 1, 3 do sum = sum + i end return sum",
      ["calls a function of C's"] = "print '' return sum",
      ["fails otherwise"] = "if sum == 0 then error 'own' end return sum",
    } do
      it("of a loop left by break that skipped its closer, with a hint, where the task " .. name, function()
        local status, out, err = tide_e(([[
          local tide = require "tide"
          local function numbers()
            return tide.generator(function(yield)
              local _ <close> = setmetatable({}, { __close = function() io.write "closed, " end })
              for i = 1, 5 do yield(i) end
            end)
          end
          local task = tide.spawn(function()
            local sum = 0
            for x in numbers():each() do
              local captured = x
              local function is_first() return captured == 1 end
              if is_first() then break end
            end
            %s
          end)
          tide.sleep(0)
          tide.sleep(0)
          collectgarbage()
          collectgarbage()
          io.write(task:status())
        ]]):format(after))
        assert.are.equal(0, status)
        if err:find "own" or out:find "closed,.*done" then return end -- a Lua that does it right
        assert.matches("closed, failed$", out) -- by the collector
        assert.matches("attempt to call a nil value", err)
        assert.matches("\nhint: Lua before 5.4.5 miscompiles `break` out of a loop with a closing value", err)
      end)
    end

    it("of the handler of failures", function()
      local status, _, err = tide_e [[
        local tide = require "tide"
        tide.on_failure(function() error "handler" end)
        tide.spawn(error, "x"):set_name "lost?"
        tide.sleep(0) tide.sleep(0)
      ]]
      assert.are.equal(0, status)
      assert.matches("report failed.*handler", err)
      assert.matches("task 'lost%?' failed: x\nstack traceback:", err) -- told nevertheless
    end)

    it("of tasks whose error has no text", function()
      local status, _, err = tide_e [[
        local tide = require "tide"
        local evil = setmetatable({}, { __tostring = function() error "no text" end })
        local function culprit() error(evil) end
        tide.spawn(function() culprit() end):set_name "evil"
        tide.sleep(0) tide.sleep(0)
      ]]
      assert.are.equal(0, status)
      assert.matches("task 'evil' failed: with an error whose __tostring failed\nstack traceback:.*'culprit'", err)
    end)
  end)

  describe("on a signal", function()
    -- Starts code, sends a signal when it has printed a line, the next when it has printed another.
    -- status, output
    local function signalled(code, ...)
      local out <close> = script ""
      local status_file <close> = script ""
      local kills = {}
      for i, name in ipairs { ... } do kills[i] = ("printed %d; kill -%s $P"):format(i, name) end
      os.execute(([[T=%s O=%s
        printed() { # LINES: until there are as many, or the program has ended
          while [ "$(wc -l <$O)" -lt "$1" ] && kill -0 $P 2>/dev/null; do sleep 0.01; done
        }
        $T -e %s >$O 2>&1 & P=$!
        %s
        wait $P; echo $? >%s]]):format(quote(program), out.path, quote(code), table.concat(kills, "\n"), status_file.path))
      return tonumber(read_file(status_file.path)), read_file(out.path)
    end

    local waiting = [[
      io.stdout:setvbuf "line"
      local tide = require "tide"
      local _ <close> = setmetatable({}, { __close = function(_, err)
        print "told"
        tide.shield(tide.sleep, %s)
        print("cleaned", err.kind, err.reason)
      end })
      print "ready"
      tide.sleep(60)
    ]]

    -- A shell starts background commands with SIGINT ignored; the program catches it all the same.
    it("SIGINT cancels the root, so that cleanup runs: 130", function()
      local status, out = signalled(waiting:format "0.001", "INT")
      assert.are.equal("ready\ntold\ncleaned\tcancelled\tSIGINT\n", out)
      assert.are.equal(130, status)
    end)

    it("SIGTERM does the same: 143", function()
      local status, out = signalled(waiting:format "0.001", "TERM")
      assert.are.equal("ready\ntold\ncleaned\tcancelled\tSIGTERM\n", out)
      assert.are.equal(143, status)
    end)

    it("a second one leaves at once", function()
      local status, out = signalled(waiting:format "60", "INT", "INT")
      assert.are.equal("ready\ntold\n", out)
      assert.are.equal(130, status)
    end)

    it("ends a sleep without end, for which nothing else is waited for", function()
      local status, out = signalled([[
        io.stdout:setvbuf "line"
        local tide = require "tide"
        local _ <close> = setmetatable({}, { __close = function() print "cleaned" end })
        tide.call_later(0.01, print, "ready")
        tide.sleep(math.huge)
      ]], "INT")
      assert.are.equal("ready\ncleaned\n", out)
      assert.are.equal(130, status)
    end)

    it("reaches busy scripts at their next wait", function()
      local status, out = signalled([[
        io.stdout:setvbuf "line"
        local tide = require "tide"
        print "ready"
        while true do tide.sleep(0) end
      ]], "INT")
      assert.are.same({ 130, "ready\n" }, { status, out })
    end)

    it("an error of the cleanup is printed all the same", function()
      local status, out = signalled([[
        io.stdout:setvbuf "line"
        local tide = require "tide"
        local function guilty() error "cleanup failed" end
        local _ <close> = setmetatable({}, { __close = function() guilty() end })
        print "ready"
        tide.sleep(60)
      ]], "INT")
      assert.are.equal(130, status)
      assert.matches("^ready\ntide: .*cleanup failed\nstack traceback:.*guilty", out)
    end)

    it("a script that fails otherwise after it is told so", function()
      local status, out = signalled([[
        io.stdout:setvbuf "line"
        local tide = require "tide"
        print "ready"
        tide.raw.pcall(tide.sleep, 60)
        error(tide.error("mine", "went wrong"))
      ]], "TERM")
      assert.are.equal(143, status)
      assert.matches("^ready\ntide: mine: went wrong\n", out)
    end)

    it("a script that answers it and goes on may end well", function()
      local status, out = signalled([[
        io.stdout:setvbuf "line"
        local tide = require "tide"
        print "ready"
        tide.raw.pcall(tide.sleep, 60)
        print "goes on"
      ]], "TERM")
      assert.are.equal("ready\ngoes on\n", out)
      assert.are.equal(143, status)
    end)
  end)

  it("leaves no descriptor open to what the script starts", function()
    local status, out = tide_e [[
      local tide = require "tide"
      tide.sleep(0.001)
      os.execute "ls /proc/self/fd | wc -l"
    ]]
    local _, expected = shell "ls /proc/self/fd | wc -l"
    assert.are.same({ 0, expected }, { status, out })
  end)

  it("survives errors whose __tostring fails", function()
    local evil = "local evil = setmetatable({}, { __tostring = function() error 'no text' end }) "
    local status = tide_e(evil .. "error(evil)")
    assert.are.equal(1, status)
    local _, out = tide_e(evil .. [[
      local tide = require "tide"
      tide.on_failure(function() error(evil) end)
      tide.call_soon(error, "once")
      tide.sleep(0.001)
      print "goes on"
    ]])
    assert.matches("goes on", out)
  end)
end)
