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
      status, out, err = tide "-e"
      assert.are.equal(2, status)
      assert.are.equal("", out)
      assert.matches("%-e needs the code", err)
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
      assert.matches("task 'evil' failed: an error whose __tostring failed\nstack traceback:.*'culprit'", err)
    end)
  end)

  describe("on a signal", function()
    -- Starts code, sends a signal when it has printed a line, the next when it has printed another and has got the
    -- one before: two that are pending at once are one. status, output
    local function signalled(code, ...)
      local out <close> = script ""
      local status_file <close> = script ""
      local kills = {}
      for i, name in ipairs { ... } do kills[i] = ("printed %d; kill -%s $P"):format(i, name) end
      os.execute(([[T=%s O=%s
        printed() { # LINES: until there are as many, or the program has ended
          while [ "$(wc -l <$O)" -lt "$1" ] && kill -0 $P 2>/dev/null; do sleep 0.01; done
          while grep -q '^ShdPnd:.*[1-9a-f]' /proc/$P/status 2>/dev/null; do sleep 0.01; done
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

    it("a second one interrupts the cleanup, also what shields itself", function()
      local status, out = signalled([[
        io.stdout:setvbuf "line"
        local tide = require "tide"
        local function closer(f) return setmetatable({}, { __close = f }) end
        local _ <close> = closer(function(_, err) print("left", err.kind, err.reason) end)
        local _ <close> = closer(function()
          print "told"
          local _ <close> = closer(function() print "cleaned" end)
          tide.shield(function() tide.raw.pcall(tide.sleep, 60) tide.sleep(60) end)
        end)
        print "ready"
        tide.sleep(60)
      ]], "INT", "TERM")
      assert.are.equal("ready\ntold\ncleaned\nleft\tcancelled\tSIGINT\n", out)
      assert.are.equal(130, status)
    end)

    it("one that comes when the script has ended ends the process", function()
      for _, name in ipairs { "INT", "TERM" } do
        local status, out = signalled([[
          io.stdout:setvbuf "line"
          local tide = require "tide"
          tide.spawn(function()
            tide.shield(function()
              print "shielded"
              tide.raw.pcall(tide.sleep, 60)
              while true do tide.raw.pcall(tide.sleep, 60) end
            end)
          end)
          tide.sleep(0)
        ]], name)
        assert.are.same({ name == "INT" and 130 or 143, "shielded\n" }, { status, out })
      end
    end)

    it("one that comes when the script has ended ends what is busy", function()
      local status, out = signalled([[
        io.stdout:setvbuf "line"
        local tide = require "tide"
        tide.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() print "busy" while true do end end })
          tide.sleep(60)
        end)
        tide.sleep(0)
      ]], "TERM")
      assert.are.same({ 143, "busy\n" }, { status, out })
    end)

    -- Starts each code of the table, sends it a SIGTERM when it has printed a line, and gives what each
    -- has printed, without that line, and its exit status: {name = {status, output}}.
    local function all_signalled(codes)
      local files, parts = {}, {}
      for name, code in pairs(codes) do
        local out <const>, status <const> = script "", script ""
        files[name] = { out = out, status = status }
        parts[#parts + 1] = ([[
          ( $T -e %s >%s 2>&1 & P=$!
            while [ ! -s %s ] && kill -0 $P 2>/dev/null; do sleep 0.01; done
            kill -TERM $P; wait $P; echo $? >%s ) &]]):format(quote(code), out.path, out.path, status.path)
      end
      os.execute(("T=%s\n%s\nwait"):format(quote(program), table.concat(parts, "\n")))
      local results = {}
      for name, file in pairs(files) do
        results[name] = { tonumber(read_file(file.status.path)), (read_file(file.out.path):gsub("^ready\n", "")) }
        file.out = getmetatable(file.out).__close(file.out)
        file.status = getmetatable(file.status).__close(file.status)
      end
      return results
    end

    local prelude = [[
      io.stdout:setvbuf "line"
      local tide = require "tide"
      local function cleanup(what)
        return setmetatable({}, { __close = function(_, err)
          print(what .. " cleaned up", err and err.kind, err and err.reason)
        end })
      end
      local function busy() while true do end end
      local function busy_cleanup() return setmetatable({}, { __close = busy }) end
      local _ <close> = cleanup "main"
      print "ready"
    ]]

    -- Code that does not wait, and what is printed behind what main's cleanup prints, or before.
    local busy_codes = {
      ["in the script"] = { "busy()" },
      ["in a pcall"] = { "pcall(busy) print 'went on'" },
      ["in a loop of pcalls"] = { "while true do pcall(pcall, busy) end" },
      ["in a loop of pcalls that fail by themselves"] = {
        "while true do pcall(function() for i = 1, 1e4 do end error 'x' end) end" },
      ["in a coroutine of a coroutine"] = {
        "coroutine.wrap(function() local _ <close> = cleanup 'outer' coroutine.wrap(function() "
          .. "local _ <close> = cleanup 'inner' busy() end)() end)()", "inner", "outer" },
      ["in coroutines that are resumed in a loop"] = {
        "while true do coroutine.resume(coroutine.create(busy)) end" },
      ["in a generator"] = { "for _ in tide.generator(busy):each() do end" },
      ["in a message handler"] = { "xpcall(error, busy)" },
      ["in a loop of message handlers"] = {
        "while true do xpcall(error, function() for i = 1, 1e6 do end end) end" },
      ["in a <close> variable"] = { "do local _ <close> = busy_cleanup() end print 'went on'" },
      ["in a <close> variable of a coroutine that failed"] = {
        "coroutine.wrap(function() local _ <close> = busy_cleanup() error 'x' end)()" },
      ["in a <close> variable of a coroutine that is closed"] = {
        "local co = coroutine.create(function() local _ <close> = busy_cleanup() coroutine.yield() end) "
          .. "coroutine.resume(co) coroutine.close(co) print 'went on'" },
      ["in a <close> variable of a task that is killed"] = {
        "local task = tide.spawn(function() local _ <close> = busy_cleanup() tide.sleep(60) end) "
          .. "tide.sleep(0) task:kill() tide.sleep(60)" },
      ["in a comparator"] = { "table.sort({ 1, 2, 3 }, busy)" },
      ["in a metamethod"] = { "tostring(setmetatable({}, { __tostring = busy }))" },
      ["in a shield, in a timeout"] = { "tide.shield(tide.timeout, 60, function() pcall(busy) print 'went on' end)" },
      ["in another task"] = {
        "tide.spawn(function() local _ <close> = cleanup 'task' busy() end) tide.sleep(60)", "task" },
      ["in another task that shields itself"] = {
        "tide.spawn(function() local _ <close> = cleanup 'task' tide.shield(pcall, busy) end) tide.sleep(60)", "task" },
      ["in a callback"] = {
        "tide.call_soon(function() local _ <close> = cleanup 'callback' pcall(busy) print 'went on' end) "
          .. "tide.sleep(60)", "callback" },
      ["in a recursion that opens groups without end"] = {
        "local function walk() local _ <close> = tide.TaskGroup() local result = walk() return result end "
          .. "while true do pcall(walk) end" },
      ["in a call that blocks"] = { "local p = io.popen 'exec sleep 1.5' p:read 'a' print 'went on'" },
    }

    it("what is busy is interrupted where it is, with cleanup", function()
      local codes = {}
      for name, busy in pairs(busy_codes) do codes[name] = prelude .. busy[1] end
      local results = all_signalled(codes)
      for name, busy in pairs(busy_codes) do
        local lines = {}
        for i = 2, #busy do lines[#lines + 1] = busy[i] .. " cleaned up\tcancelled\tSIGTERM\n" end
        lines[#lines + 1] = "main cleaned up\tcancelled\tSIGTERM\n"
        assert.are.same({ 143, table.concat(lines) }, results[name], name)
      end
    end)

    it("a busy script is interrupted with the hooks it has, which stay", function()
      local results = all_signalled {
        own = prelude .. [[
          local count = 0
          debug.sethook(function() count = count + 1 end, "", 100)
          local _, err = tide.raw.pcall(busy)
          local before = count
          for _ = 1, 1e5 do end
          print(err.reason, count > before, debug.gethook() ~= nil)
        ]],
        debugging = prelude .. [[
          local told = 0
          tide.debug { slow = 0.01, report = function() told = told + 1 end }
          tide.raw.pcall(busy)
          local task = tide.spawn(function() local began = os.clock() while os.clock() < began + 0.1 do end end)
          tide.shield(tide.raw.pcall, task.await, task)
          print(told > 0)
        ]],
      }
      assert.are.same({ 143, "SIGTERM\ttrue\ttrue\nmain cleaned up\n" },
        { results.own[1], (results.own[2]:gsub("\tnil", "")) })
      assert.are.equal(143, results.debugging[1])
      assert.matches("^true\nmain cleaned up", results.debugging[2])
    end)

    it("a second one ends, without cleanup, what has held up the first interruption", function()
      local status, out = signalled(prelude .. [[
        tide.raw.pcall(function() local _ <close> = cleanup "caught" busy() end)
        print "held"
        while true do tide.raw.pcall(busy) end
      ]], "INT", "INT") -- the second once the cleanup has printed
      assert.are.equal("ready\ncaught cleaned up\tcancelled\tSIGINT\nheld\n", out)
      assert.are.equal(130, status)
    end)

    it("the third ends the process, also in C and in finalizers", function()
      for _, code in ipairs {
        "setmetatable({}, { __gc = function() print '1' print '2' busy() end }) collectgarbage()",
        "print '1' print '2' local text = ('a'):rep(3000) text:find 'a*a*a*a*b'",
      } do
        local status, out = signalled(prelude .. code, "INT", "INT", "INT")
        assert.are.same({ 130, "ready\n1\n2\n" }, { status, out })
      end
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

    it("a script may decide the status by tide.exit", function()
      local status, out = signalled([[
        io.stdout:setvbuf "line"
        local tide = require "tide"
        local _ <close> = setmetatable({}, { __close = function() tide.exit(0) end })
        print "ready"
        tide.sleep(60)
      ]], "TERM")
      assert.are.same({ 0, "ready\n" }, { status, out })
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

  describe("with os.exit", function()
    local prelude = [[
      local tide = require "tide"
      local function cleanup(what, f)
        return setmetatable({}, { __close = function() print(what) if f then f() end end })
      end
      local function sleeper(inner, outer)
        local task = tide.spawn(function()
          local _ <close> = outer
          local _ <close> = inner
          tide.sleep(60)
        end)
        tide.sleep(0)
        return task
      end
      local _ <close> = cleanup "main"
    ]]
    for name, case in pairs {
      ["in the script"] = { "os.exit(3, true)" },
      ["in a pcall"] = { "pcall(function() local _ <close> = cleanup 'inner' os.exit(3, true) end)", "inner" },
      ["in a coroutine"] = {
        "coroutine.wrap(function() local _ <close> = cleanup 'inner' os.exit(3, true) end)()", "inner" },
      ["in a generator"] = {
        "for _ in tide.generator(function() local _ <close> = cleanup 'inner' os.exit(3, true) end):each() do end", "inner" },
      ["in a comparator"] = { "table.sort({ 2, 1 }, function() os.exit(3, true) end)" },
      ["in another task"] = { "tide.spawn(os.exit, 3, true) tide.sleep(60)" },
      ["in a callback"] = { "tide.call_soon(os.exit, 3, true) tide.sleep(60)" },
      ["in a finalizer"] = { "setmetatable({}, { __gc = function() os.exit(3, true) end }) collectgarbage()" },
      ["in a <close> variable"] = { "local _ <close> = cleanup('inner', function() os.exit(3, true) end)", "inner" },
      ["while it closes"] = {
        "local _ <close> = cleanup('inner', function() os.exit(3, true) end) os.exit(4, true)", "inner" },
      ["in the cleanup of a task that it kills"] = { [[
        local task = sleeper(cleanup("killed", function() os.exit(3, true) end), cleanup "outer")
        task:kill()
      ]], "killed\nouter" },
      ["in the cleanup of a task that is killed in the cleanup of one that a coroutine of it kills"] = { [[
        local one = sleeper(cleanup("killed", function() os.exit(3, true) end))
        local other = sleeper(cleanup("killer", function() one:kill() end), cleanup "outer")
        coroutine.wrap(function()
          local _ <close> = cleanup "inner"
          other:kill()
        end)()
      ]], "killer\nkilled\nouter\ninner" },
      ["in the cleanup of its own that another task's kill began"] = { [[
        local main = tide.current_task()
        tide.spawn(function() main:kill() end)
        local _ <close> = cleanup("killed", function() os.exit(3, true) end)
        tide.sleep(60)
      ]], "killed" },
      ["in the cleanup of a task that a cleanup of its own kills, which another task's kill began"] = { [[
        local main = tide.current_task()
        local task = sleeper(cleanup("killed", function() os.exit(3, true) end))
        tide.spawn(function()
          local _ <close> = cleanup "killer"
          main:kill()
        end)
        local _ <close> = cleanup("own", function() task:kill() end)
        tide.sleep(60)
      ]], "own\nkilled" },
    } do
      it("and close, runs the script's <close> variables, " .. name, function()
        local status, out = tide_e(prelude .. case[1])
        assert.are.same({ 3, (case[2] and case[2] .. "\n" or "") .. "main\n" }, { status, out })
      end)
    end

    it("and close, runs them after the script's end no more, and goes on with the end", function()
      local status, out = tide_e(prelude .. [[
        tide.spawn(function()
          local _ <close> = cleanup("background", function() os.exit(3, true) end)
          tide.sleep(60)
        end)
        tide.sleep(0)
      ]])
      assert.are.same({ 3, "main\nbackground\n" }, { status, out })
    end)

    it("and close, tells what failed in them, or would wait", function()
      local status, out, err = tide_e(prelude .. [[
        local _ <close> = cleanup("waits", function() tide.sleep(1) end)
        os.exit(3, true)
      ]])
      assert.are.same({ 3, "waits\nmain\n" }, { status, out })
      assert.matches("<close> variable .* failed: cannot_wait", err)
      status, out, err = tide_e(prelude .. "local _ <close> = cleanup('fails', error) os.exit(true, true)")
      assert.are.same({ 0, "fails\nmain\n" }, { status, out })
      assert.matches("<close> variable .* failed:", err)
    end)

    it("alone, runs none", function()
      assert.are.same({ 3, "", "" }, { tide_e(prelude .. "os.exit(3)") })
    end)
  end)

  describe("with tide.exit", function()
    local prelude = [[
      local tide = require "tide"
      local function cleanup(what, f)
        return setmetatable({}, { __close = function(_, err)
          print(what, err and err.kind, err and err.reason)
          if f then f() end
        end })
      end
      local _ <close> = cleanup "main"
    ]]
    local told = "main\tcancelled\texit\n"

    it("ends with the status given, in words too, or 0", function()
      for argument, status in pairs { [""] = 0, ["0"] = 0, ["3"] = 3, ["255"] = 255, ["true"] = 0, ["false"] = 1, ["nil"] = 0 } do
        assert.are.same({ status, told, "" }, { tide_e(prelude .. "tide.exit(" .. argument .. ")") }, argument)
      end
    end)

    it("refuses what is no status, and goes on", function()
      for _, argument in ipairs { "256", "-1", "1.5", "'x'", "{}" } do
        local status, out = tide_e(prelude .. ("print(pcall(tide.exit, %s))"):format(argument))
        assert.are.equal(0, status)
        assert.matches("^false\tbad argument #1 to 'tide.exit'", out)
      end
    end)

    for name, case in pairs {
      ["in a pcall"] = { "pcall(tide.exit, 3)" },
      ["in a loop of pcalls"] = { "while true do pcall(pcall, tide.exit, 3) end" },
      ["in a coroutine that is resumed"] = { "coroutine.resume(coroutine.create(function() tide.exit(3) end))" },
      ["in a generator"] = { "for _ in tide.generator(function(yield) yield(1) tide.exit(3) end):each() do end" },
      ["in xpcall, try and catch"] = {
        "tide.catch(function() tide.try(xpcall, tide.exit, print, 3) end, { cancelled = print })" },
      ["in a shield"] = { "tide.shield(function() pcall(tide.exit, 3) print 'went on' end)" },
      ["in scopes that catch"] = { "tide.move_on_after(60, tide.scope, function() tide.exit(3) end)" },
      ["in another task"] = { "tide.spawn(tide.exit, 3) tide.sleep(60)" },
      ["in a child of a group"] = {
        "tide.TaskGroup(function(g) g:spawn(function() local _ <close> = cleanup 'sibling' tide.sleep(60) end) "
          .. "g:spawn(tide.exit, 3) end)", "sibling\tcancelled\texit\n" },
      ["in a callback"] = { "tide.call_soon(function() pcall(tide.exit, 3) print 'went on' end) tide.sleep(60)" },
      ["in a run of tide.testing"] = { "tide.testing.run(function() tide.exit(3) end)" },
      ["in cleanup after an error"] = {
        "local _ <close> = cleanup('inner', function() tide.exit(3) end) error 'x'", "inner\tnil\tnil\n" },
      ["in the cleanup of a killed task"] = {
        "local task = tide.spawn(function() local _ <close> = cleanup('inner', function() tide.exit(3) print 'went on' end) "
          .. "tide.sleep(60) end) tide.sleep(0) task:kill() tide.sleep(60)", "inner\tnil\tnil\n" },
      ["in a finalizer, which goes on"] = {
        "setmetatable({}, { __gc = function() tide.exit(3) print 'finalizer' end }) collectgarbage() tide.sleep(60)",
        "finalizer\n" },
      ["once more while it leaves"] = {
        "local _ <close> = cleanup('inner', function() tide.exit(4) end) tide.exit(3)", "inner\tcancelled\texit\n" },
      ["while a task shields itself"] = {
        "tide.spawn(function() tide.shield(tide.sleep, 0.01) print 'finished' end) tide.sleep(0) "
          .. "local _ <close> = cleanup('inner', function() tide.shield(tide.sleep, 0.02) end) tide.exit(3)",
        "inner\tcancelled\texit\nfinished\n" },
      ["while a task waits for ever, shielded"] = {
        "tide.spawn(function() tide.shield(function() tide.Event():wait() end) end) tide.sleep(0) tide.exit(3)" },
    } do
      it("leaves with cleanup, " .. name, function()
        local status, out, err = tide_e(prelude .. case[1] .. " print 'went on'")
        assert.are.same({ 3, (case[2] or "") .. told, "" }, { status, out, err })
      end)
    end

    it("leaves from what is cleaned up after the script's end", function()
      local status, out, err = tide_e(prelude .. [[
        tide.spawn(function()
          local _ <close> = cleanup("background", function() tide.exit(3) print "went on" end)
          tide.sleep(60)
        end)
        tide.sleep(0)
      ]])
      assert.are.same({ 3, "main\tnil\tnil\nbackground\tcancelled\tnil\n", "" }, { status, out, err })
    end)

    it("prints an error of the cleanup, and keeps the status", function()
      local status, _, err = tide_e(prelude .. "local _ <close> = cleanup('inner', error) tide.exit(3)")
      assert.are.equal(3, status)
      assert.matches("^tide: ", err)
    end)

    for name, code in pairs {
      ["by closing it"] = "stream:close() tide.exit(3)",
      ["and that is open"] = "tide.exit(3)",
      ["and that is open where the script ends"] = "",
    } do
      it("sends on what a stream has accepted, " .. name, function()
        local received <close> = script ""
        local ended <close> = script ""
        local status, out = tide_e(prelude .. [[
          local listener = tide.net.listen("127.0.0.1", 0)
          local _, port = listener:address()
          os.execute(("(nc -d 127.0.0.1 %d >%s; echo >>%s) &"):format(port, (...), select(2, ...)))
          local stream = listener:accept()
          stream:write(("x"):rep(4000000))
        ]] .. code, quote(received.path) .. " " .. quote(ended.path))
        assert.are.same(code == "" and { 0, "main\tnil\tnil\n" } or { 3, told }, { status, out })
        while read_file(ended.path) == "" do os.execute "sleep 0.01" end -- the system has it all by now, nc need not
        assert.are.equal(4000000, #read_file(received.path))
      end)
    end
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

  it("survives a scope that goes on after its finalizer, and is left", function()
    local status, out, err = tide_e [[
      local tide = require "tide"
      local raw, main = tide.raw.coroutine, tide.greenlet.current()
      collectgarbage "stop"
      for _ = 1, 3 do
        local inside = tide.greenlet(function()
          tide.timeout(1000, function() main:switch() end)
          main:switch()
        end)
        local switch = inside.switch
        setmetatable({ inside }, { __gc = function(t) pcall(switch, t[1]) end }) -- goes on in it
        inside:switch()
      end
      collectgarbage()
      collectgarbage()
      for _ = 1, 3 do
        pcall(function()
          raw.resume(raw.create(function() tide.timeout(0.05, function() tide.sleep(100) end) end))
        end)
        pcall(tide.sleep, 0)
      end
      collectgarbage()
      collectgarbage()
      local garbage = {}
      for i = 1, 1000 do garbage[i] = ("x"):rep(100 + i % 50) .. i end
      print(pcall(tide.sleep, 0.1))
    ]]
    assert.are.same({ 0, "true\n", "" }, { status, out, err })
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
