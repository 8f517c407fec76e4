-- net.serve: one task per connection, errors, limits, closing.
local tide = require "tide"
local helper = require "spec.helper"

local net, run, sleep, spawn = tide.net, tide.testing.wrap, tide.sleep, tide.spawn

local function echo(stream)
  for data in stream:chunks(4096) do stream:write(data) end
end

local function serve(handler, opts)
  return net.serve(handler, "127.0.0.1", 0, opts)
end

local function connect(server)
  return net.connect(server:address())
end

-- Waits until #server is `count` and their tasks have begun.
local function await_count(server, count)
  tide.timeout(10, function()
    while #server ~= count do sleep(0.001) end
  end)
  sleep(0)
end

local hung_up, max_fds = helper.hung_up, helper.max_fds

describe("net.serve", function()
  it("runs the handler in a task for each connection", run(function()
    local tasks = {}
    local server <close> = serve(function(stream)
      tasks[#tasks + 1] = tide.current_task()
      echo(stream)
    end)
    local one <close> = connect(server)
    local other <close> = connect(server)
    one:write "1"
    other:write "2"
    assert.equal("1", one:read(10))
    assert.equal("2", other:read(10))
    assert.equal(2, #tasks)
    assert.are_not.equal(tasks[1], tasks[2])
    assert.equal(2, #server)
  end))

  it("listens at once, on a free port for 0", run(function()
    local server <close> = serve(echo)
    local host, port = server:address()
    assert.equal("127.0.0.1", host)
    assert.is_true(port > 0)
    assert.equal(("Server(127.0.0.1:%d, 0 connections, open)"):format(port), tostring(server))
    connect(server):close()
  end))

  it("takes a callable object as handler", run(function()
    local server <close> = serve(setmetatable({}, { __call = function(_, stream) stream:write "hi" end }))
    local stream <close> = connect(server)
    assert.equal("hi", stream:read_all())
  end))

  it("serves on a unix socket", run(function()
    local path = os.tmpname()
    os.remove(path)
    local server <close> = net.serve(echo, "unix:" .. path, { max_connections = 1 })
    assert.equal("unix:" .. path, server:address())
    assert.equal(("Server(unix:%s, 0 connections, open)"):format(path), tostring(server))
    local stream <close> = connect(server)
    stream:write "hello"
    assert.equal("hello", stream:read_exactly(5))
    server:close()
    assert.is_nil(io.open(path))
  end))

  it("closes the stream when the handler returns", run(function()
    local streams = {}
    local server <close> = serve(function(stream)
      streams[1] = stream
      stream:write "bye"
    end)
    local stream <close> = connect(server)
    assert.equal("bye", stream:read_all())
    helper.raises("closed", streams[1].read, streams[1], 1)
    await_count(server, 0)
  end))

  it("serves 1,000 connections at once", run(function()
    local server <close> = serve(echo)
    local count = math.min(1000, (max_fds() - 50) // 2) -- both ends are here
    local streams = {}
    do
      local group <close> = tide.TaskGroup()
      for i = 1, count do
        group:spawn(function() streams[i] = connect(server) end)
      end
    end
    await_count(server, count)
    for i, stream in ipairs(streams) do stream:write(i .. "\n") end
    for i, stream in ipairs(streams) do assert.equal(tostring(i), stream:read_line()) end
    for _, stream in ipairs(streams) do stream:close() end
    await_count(server, 0)
  end))

  it("keeps the stack of a connection that idles in a loop over its stream at Lua's first size", run(function()
    local streams, count = {}, 100
    local server <close> = serve(function(stream)
      for data in stream:chunks(65536) do stream:write(data) end
    end, { max_connections = 3 * count })
    local function open_more()
      for _ = 1, count do streams[#streams + 1] = connect(server) end
      await_count(server, #streams)
      collectgarbage()
      collectgarbage()
      return collectgarbage "count" * 1024
    end
    open_more()
    local before = open_more()
    local each = (open_more() - before) / count
    assert.is_true(each < 2800, each) -- of both ends; a stack that was doubled adds 640 bytes
    for _, stream in ipairs(streams) do stream:close() end
  end))

  it("checks its arguments", run(function()
    helper.fails("bad argument #1 to 'tide.net.serve' (function expected, got no value)", net.serve)
    helper.fails("bad argument #2 to 'tide.net.serve' (string expected, got no value)", net.serve, echo)
    helper.fails("bad argument #3 to 'tide.net.serve' (number expected, got no value)", net.serve, echo, "127.0.0.1")
    helper.fails("bad argument #4 to 'tide.net.serve' (table expected", net.serve, echo, "127.0.0.1", 0, 1)
    helper.fails("'max_connections' must be", serve, echo, { max_connections = 0 })
    helper.fails("'on_error' must be", serve, echo, { on_error = true })
    helper.fails("bad argument #3 to 'tide.net.serve' (not a port (0 to 65535))", net.serve, echo, "127.0.0.1", 65536)
    helper.fails("bad argument #4 to 'serve' (field 'backlog' must be", serve, echo, { backlog = 0 })
    helper.fails("bad argument #4 to 'serve' (field 'tls' must be a boolean or a table)", serve, echo, { tls = 1 })
    helper.fails("bad argument #3 to 'tide.net.serve' (field 'on_error' must", net.serve, echo, "unix:@x", { on_error = 1 })
    helper.fails("serve: ", net.serve, echo, "192.0.2.1", 0)
  end))
end)

describe("errors of a handler", function()
  it("are reported, and the server goes on", run(function()
    local failures = helper.collect_failures()
    local server <close> = serve(function(stream) error(stream:read_line(), 0) end)
    for i = 1, 2 do
      local stream <close> = connect(server)
      stream:write("oops\n")
      assert.is_true(hung_up(stream))
      await_count(server, 0)
      sleep(0)
      assert.equal(i, #failures)
      assert.equal("oops", failures[i].err)
    end
  end))

  it("go to on_error with the stream, still open", run(function()
    local errors = {}
    local server <close> = serve(function() error({ "oops" }) end, {
      on_error = function(err, stream)
        errors[#errors + 1] = err[1]
        sleep(0)
        stream:write "sorry"
      end,
    })
    local stream <close> = connect(server)
    assert.equal("sorry", stream:read_all())
    assert.same({ "oops" }, errors)
  end))

  it("go to on_error with the traceback, which shows the line that failed", run(function()
    local seen = {}
    local line = debug.getinfo(1, "l").currentline + 1
    local function deep(nothing) return nothing.field end
    local function fail_by(what)
      if what == "string" then
        local x = deep()
        return x
      end
      local x = tide.spawn(deep):await()
      return x
    end
    for _, what in ipairs { "string", "await" } do
      local server <close> = serve(function()
        local x = fail_by(what)
        return x
      end, { on_error = function(_, _, traceback) seen[#seen + 1] = traceback end })
      assert.is_true(hung_up(connect(server)))
      assert.matches("net_serve_spec.lua:" .. line .. ":", seen[#seen])
    end
    assert.equal(2, #seen)
  end))

  it("go to on_error also where the handler has left a scope open", run(function()
    for _, open in ipairs {
      function() tide.timeout(0.001) end,
      function() tide.TaskGroup():spawn(function() tide.TaskGroup(function(g) g:cancel() error("a child's", 0) end) end) end,
    } do
      local told
      tide.on_failure(function() end)
      local server <close> = serve(function(stream)
        open()
        stream:read(1)
      end, { on_error = function(err) told = err end })
      local stream <close> = connect(server)
      assert.is_nil(stream:read(1))
      assert.equal("misuse", told.kind)
      assert.matches("was left without <close>", told.message)
    end
  end))

  it("are reported if on_error itself fails", run(function()
    local failures = helper.collect_failures()
    local server <close> = serve(error, { on_error = function() error("worse", 0) end })
    local stream <close> = connect(server)
    assert.is_true(hung_up(stream))
    await_count(server, 0)
    sleep(0)
    assert.equal("worse", failures[1].err)
  end))

  it("are not made of cancellation", run(function()
    local failures, errors = helper.collect_failures(), {}
    local server = serve(echo, { on_error = function(err) errors[#errors + 1] = err end })
    local stream <close> = connect(server)
    await_count(server, 1)
    server:close()
    assert.is_true(hung_up(stream))
    assert.same({}, errors)
    assert.same({}, failures)
  end))
end)

describe("a connection whose client has gone", function()
  local data = ("x"):rep(65536)
  local function write_for_ever(stream) while true do stream:write(data) end end

  local handlers = {
    ["out of a write"] = write_for_ever,
    ["out of a read"] = function(stream)
      pcall(write_for_ever, stream)
      while stream:read() do end
      stream:write "x"
    end,
    ["out of a child of a group"] = function(stream)
      tide.TaskGroup(function(group)
        group:spawn(function() tide.TaskGroup(function() write_for_ever(stream) end) end)
        group:spawn(sleep, 3600)
      end)
    end,
    ["raised again"] = function(stream)
      local ok, err = pcall(write_for_ever, stream)
      if not ok then error(err) end
    end,
  }

  for name, handler in pairs(handlers) do
    it("has not failed: it is counted, " .. name, run(function()
      local failures, errors = helper.collect_failures(), 0
      for _, options in ipairs { {}, { on_error = function() errors = errors + 1 end } } do
        local server <close> = serve(handler, options)
        for _ = 1, 3 do connect(server):close() end
        tide.timeout(60, function()
          while server:statistics().dropped < 3 do sleep(0.01) end
        end)
        await_count(server, 0)
        assert.equal(3, server:statistics().dropped)
      end
      sleep(0)
      assert.same({}, failures)
      assert.equal(0, errors)
    end))
  end

  it("is silent, however many they are", run(function()
    local failures = helper.collect_failures()
    local server <close> = serve(write_for_ever)
    for _ = 1, 10 do
      local clients = {}
      for i = 1, 50 do clients[i] = function() connect(server):close() end end
      tide.gather(clients)
      await_count(server, 0)
    end
    assert.equal(500, server:statistics().dropped)
    assert.same({}, failures)
  end))

  it("is none where the error is another stream's, or another error", run(function()
    local errors = {}
    local function other_stream()
      local near, far = net.pair()
      far:close()
      local _ <close> = near
      write_for_ever(near)
    end
    for i, handler in ipairs {
      other_stream,
      function() tide.TaskGroup(function(group) group:spawn(other_stream) end) end,
      function(stream)
        tide.TaskGroup(function(group)
          group:spawn(write_for_ever, stream)
          group:spawn(other_stream)
        end)
      end,
      function(stream) stream:read_exactly(5) end,
      function() error(tide.error("os", "nobody's", { code = "EPIPE" })) end,
      function() error(tide.error("group", "of nothing", { errors = {} })) end,
      function() error(tide.error("group", "of nothing")) end,
    } do
      local server <close> = serve(handler, { on_error = function(err) errors[#errors + 1] = err end })
      connect(server):close()
      tide.timeout(60, function()
        while not errors[i] do sleep(0.01) end
      end)
      await_count(server, 0)
      assert.equal(0, server:statistics().dropped)
    end
    assert.equal("EPIPE", errors[1].code)
    assert.equal("eof", errors[4].kind)
  end))
end)

describe("a server in a TaskGroup", function()
  local function serve_in(group, handler, options)
    options = options or {}
    options.group = group
    return serve(handler, options)
  end

  it("has failures that are the group's", run(function()
    local failures = helper.collect_failures()
    local server, stream
    local err = helper.raises("group", tide.TaskGroup, function(group)
      server = serve_in(group, function() error("oops", 0) end)
      stream = connect(server)
      sleep(3600)
    end)
    assert.same({ "oops" }, err.errors)
    assert.is_true(hung_up(stream))
    stream:close()
    server:wait_closed()
    assert.is_true(server:statistics().closed)
    helper.raises("os", connect, server)
    assert.same({}, failures)
  end))

  it("has on_error told instead, and goes on", run(function()
    local errors = {}
    tide.TaskGroup(function(group)
      local server = serve_in(group, function(stream)
        local line = stream:read_line()
        if line == "fail" then error("oops", 0) end
        stream:write(line)
      end, { on_error = function(err) errors[#errors + 1] = err end })
      for _, line in ipairs { "fail", "on" } do
        local stream <close> = connect(server)
        stream:write(line, "\n")
        assert.equal(line == "on" and "on" or "", stream:read_all())
      end
      server:close()
    end)
    assert.same({ "oops" }, errors)
  end))

  it("keeps the group until it is closed, and its connections have ended", run(function()
    local order = helper.log()
    local server
    tide.TaskGroup(function(group)
      server = serve_in(group, function(stream)
        stream:read_line()
        order "served"
      end)
      spawn(function()
        local stream <close> = connect(server)
        sleep(1)
        spawn(server.close, server, { grace = 60 })
        sleep(1)
        order "closing"
        stream:write "\n"
        stream:read()
      end)
    end)
    order "left"
    assert.same({ "closing", "served", "left" }, order)
  end))

  it("has connections that are its children", run(function()
    tide.TaskGroup(function(group)
      local parents = {}
      local server = serve_in(group, function(stream)
        parents[#parents + 1] = tide.current_task():parent()
        echo(stream)
      end)
      local before = #group
      local one <close> = connect(server)
      local other <close> = connect(server)
      await_count(server, 2)
      assert.equal(before + 2, #group)
      assert.same({ tide.current_task(), tide.current_task() }, parents)
      server:close()
      assert.equal(0, #group)
      assert.is_true(hung_up(one) and hung_up(other))
    end)
  end))

  it("ends with the group's cancellation", run(function()
    local server, stream
    tide.TaskGroup(function(group)
      server = serve_in(group, echo, { max_connections = 1 })
      stream = connect(server)
      await_count(server, 1)
      group:cancel()
    end)
    assert.equal(0, #server)
    assert.is_true(hung_up(stream))
    stream:close()
    helper.raises("os", connect, server)
    server:close()
  end))

  it("ends when the group is cancelled at any turn of a connection's begin", run(function()
    for turns = 0, 8 do
      local server
      local clients = {}
      tide.TaskGroup(function(group)
        server = serve_in(group, echo)
        for i = 1, 3 do clients[i] = spawn(pcall, connect, server) end
        helper.turns(turns)
        group:cancel()
      end)
      server:wait_closed()
      assert.equal(0, #server)
      for _, client in ipairs(clients) do
        local ok, stream = client:await()
        if ok then
          assert.is_true(hung_up(stream))
          stream:close()
        end
      end
    end
  end))

  it("is not begun in a group that has ended: nothing stays open", run(function()
    local ended
    tide.TaskGroup(function(group) ended = group end)
    local before = helper.holdings()
    helper.raises("closed", serve_in, ended, echo)
    assert.is_nil(helper.leaked(before, helper.holdings()))
  end))
end)

describe("a connection whose task ends before it begins", function()
  -- Waits for a connection's task that is ready and has not begun; `known` are the others.
  local function await_ready(known)
    local old = {}
    for _, task in ipairs(known) do old[task] = true end
    return tide.timeout(10, function()
      while true do
        for _, task in ipairs(tide.all_tasks()) do
          if not old[task] and task:status() == "ready" then return task end
        end
        sleep(0)
      end
    end)
  end

  -- Serves with one seat; ends the first connection's task by the method named while it is ready.
  local function serve_and_end(how, opts)
    local began = 0
    local server = serve(function(stream)
      began = began + 1
      echo(stream)
    end, opts)
    sleep(0)
    local known = tide.all_tasks()
    local stream = connect(server)
    local task = await_ready(known)
    task[how](task)
    sleep(0)
    sleep(0)
    assert.is_true(task:cancelled())
    assert.equal(0, began)
    return server, stream
  end

  for _, how in ipairs { "cancel", "kill" } do
    it("by " .. how .. " is closed, forgotten, and gives its seat back", run(function()
      local server, one = serve_and_end(how, { max_connections = 1 })
      assert.equal(0, #server)
      assert.is_true(hung_up(one))
      local other <close> = connect(server)
      other:write "x"
      assert.equal("x", tide.timeout(10, other.read, other, 1))
      one:close()
      server:close()
    end))

    it("by " .. how .. " does not keep the server from closing", run(function()
      local server, stream = serve_and_end(how)
      tide.timeout(10, server.close, server, { grace = 3600 })
      server:wait_closed()
      assert.is_true(hung_up(stream))
      stream:close()
    end))
  end

  it("has its request to end withdrawn in vain once the server was closed", run(function()
    local server = serve(echo)
    sleep(0)
    local known = tide.all_tasks()
    local stream <close> = connect(server)
    local task = await_ready(known)
    local closing = spawn(server.close, server)
    tide.call_soon(task.uncancel, task)
    closing:await()
    assert.is_true(hung_up(stream))
    assert.equal(0, #server)
  end))

  it("is found among others that begin", run(function()
    local server <close> = serve(echo, { max_connections = 3 })
    for _ = 1, 20 do
      local clients = {}
      for i = 1, 3 do clients[i] = spawn(connect, server) end
      sleep(0)
      await_ready(tide.all_tasks()):kill()
      local streams = tide.gather(clients)
      for _, stream in ipairs(streams) do pcall(stream.write, stream, "x") end
      local answers = 0
      for _, stream in ipairs(streams) do
        local ok, data = pcall(stream.read, stream, 1)
        if ok and data == "x" then answers = answers + 1 end
        stream:close()
      end
      assert.equal(2, answers)
      await_count(server, 0)
    end
  end))
end)

describe("max_connections", function()
  it("pauses accepting", run(function()
    local server <close> = serve(echo, { max_connections = 2 })
    local streams, most = {}, 0
    for i = 1, 4 do
      streams[i] = connect(server) -- into the backlog
      streams[i]:write "x"
    end
    for i = 1, 4 do
      assert.equal("x", streams[i]:read(1))
      sleep(0.005)
      most = math.max(most, #server)
      if i < 4 then helper.raises("timeout", tide.timeout, 0.005, streams[i].read, streams[i], 1) end
      streams[i]:close()
    end
    assert.equal(2, most)
    await_count(server, 0)
  end))

  it("does not keep a paused server from closing", run(function()
    local server = serve(echo, { max_connections = 1 })
    local one <close> = connect(server)
    local other <close> = connect(server)
    await_count(server, 1)
    server:close()
    assert.is_true(hung_up(one))
    assert.is_true(hung_up(other))
  end))
end)

describe("server:close", function()
  it("refuses new connections and ends those there are", run(function()
    local cleaned = false
    local server = serve(function(stream)
      local _ <close> = helper.closer(function()
        tide.shield(sleep, 0.01)
        cleaned = true
      end)
      echo(stream)
    end)
    local stream <close> = connect(server)
    await_count(server, 1)
    server:close()
    assert.is_true(cleaned)
    assert.equal(0, #server)
    assert.is_true(hung_up(stream))
    helper.raises("os", connect, server)
    assert.matches("^Server%(.*, closed%)$", tostring(server))
    server:close()
    server:wait_closed()
  end))

  it("checks its argument", run(function()
    local server <close> = serve(echo)
    helper.fails("bad argument #1 to 'close' (table expected, got number)", server.close, server, 5)
    helper.fails("bad argument #1 to 'close' (field 'grace' must be a number)", server.close, server, { grace = "1" })
    connect(server):close() -- it goes on
  end))

  it("gives connections the grace to end by themselves", run(function()
    local server = serve(function(stream)
      stream:read_line()
      stream:write "done\n"
    end)
    local stream <close> = connect(server)
    await_count(server, 1)
    tide.call_later(5, function() spawn(stream.write, stream, "go\n") end)
    server:close { grace = 10 }
    assert.equal("done", stream:read_line())
  end))

  it("cancels them after the grace", run(function()
    local server = serve(echo)
    local stream <close> = connect(server)
    await_count(server, 1)
    local began = tide.time()
    server:close { grace = 0.5 }
    assert.equal(0.5, tide.time() - began)
    assert.is_true(hung_up(stream))
  end))

  it("cuts the grace short when called again, or cancelled", run(function()
    for _, how in ipairs { "again", "cancel" } do
      local server = serve(echo)
      local stream <close> = connect(server)
      await_count(server, 1)
      local closing = spawn(server.close, server, { grace = 3600 })
      sleep(0.01)
      assert.equal(1, #server)
      if how == "again" then
        server:close()
        closing:await()
      else
        closing:cancel()
        tide.wait { closing }
        assert.is_true(closing:cancelled())
      end
      assert.equal(0, #server)
      assert.is_true(hung_up(stream))
    end
  end))

  it("may be called by a handler, which goes on", run(function()
    local server
    server = serve(function(stream)
      if stream:read_line() == "stop" then
        server:close()
        stream:write "stopped"
      end
    end)
    local one <close> = connect(server)
    local other <close> = connect(server)
    await_count(server, 2)
    one:write "stop\n"
    assert.equal("stopped", one:read_all())
    assert.is_true(hung_up(other))
    server:wait_closed()
    assert.equal(0, #server)
  end))

  it("may be called by several handlers: they neither cancel nor await each other", run(function()
    local server
    local log = helper.log()
    server = serve(function(stream)
      local seconds = tonumber(stream:read_line())
      if not seconds then return end
      server:close { grace = seconds }
      sleep(0.01) -- not cancelled
      log(#server)
      stream:write "closed"
    end)
    local closers = { connect(server), connect(server), connect(server) }
    local idle <close> = connect(server)
    await_count(server, 4)
    for i, grace in ipairs { "3600", "3600", "0" } do
      closers[i]:write(grace, "\n")
      sleep(0.01)
    end
    for _, stream in ipairs(closers) do
      assert.equal("closed", tide.timeout(10, stream.read_all, stream))
      stream:close()
    end
    assert.is_true(hung_up(idle))
    tide.timeout(10, server.wait_closed, server)
    assert.equal(0, #server)
    assert.same({ 3, 2, 1 }, { table.unpack(log) })
  end))

  it("may be called by all handlers there are", run(function()
    local server
    server = serve(function(stream)
      stream:read_line()
      server:close { grace = 0.02 }
      stream:write "closed"
    end)
    local one <close> = connect(server)
    local other <close> = connect(server)
    await_count(server, 2)
    one:write "\n"
    other:write "\n"
    for _, stream in ipairs { one, other } do
      assert.equal("closed", tide.timeout(10, stream.read_all, stream))
    end
    tide.timeout(10, server.wait_closed, server)
  end))

  it("may be called by a child of a handler, and a child of that", run(function()
    local server
    server = serve(function(stream)
      stream:read_line()
      tide.TaskGroup(function(group)
        group:spawn(function()
          tide.timeout(20, function()
            local inner <close> = tide.TaskGroup()
            inner:spawn(server.close, server)
          end)
        end)
      end)
      stream:write "closed"
    end)
    local one <close> = connect(server)
    local idle <close> = connect(server)
    await_count(server, 2)
    one:write "\n"
    assert.equal("closed", tide.timeout(10, one.read_all, one))
    assert.is_true(hung_up(idle))
    tide.timeout(10, server.wait_closed, server)
  end))

  it("ends handlers that close it, when called from outside", run(function()
    local server
    server = serve(function(stream)
      stream:read_line()
      server:close { grace = 3600 }
    end)
    local closer <close> = connect(server)
    local idle <close> = connect(server)
    await_count(server, 2)
    closer:write "\n"
    sleep(0.01)
    assert.equal(2, #server)
    tide.timeout(10, server.close, server)
    assert.equal(0, #server)
    assert.is_true(hung_up(closer) and hung_up(idle))
  end))

  it("is closed by a task for which a handler waits", run(function()
    local server, closer
    server = serve(function() closer:await() end)
    closer = tide.spawn(function()
      sleep(0.01)
      server:close()
    end)
    local stream <close> = connect(server)
    await_count(server, 1)
    tide.timeout(10, function()
      repeat sleep(0.01) until closer:done() -- nobody else waits for it
    end)
    assert.equal(0, #server)
    assert.is_true(hung_up(stream))
  end))

  it("closes connections whose task has not begun", run(function()
    for turns = 0, 6 do
      local server = serve(echo)
      local streams = {}
      for i = 1, 3 do streams[i] = connect(server) end
      helper.turns(turns)
      server:close()
      assert.equal(0, #server)
      for i = 1, 3 do
        assert.is_true(hung_up(streams[i]))
        streams[i]:close()
      end
    end
  end))

  it("lets the failures of handlers that clean up be reported", run(function()
    local failures = helper.collect_failures()
    local server = serve(function(stream)
      local _ <close> = helper.closer(function() error("cleanup failed", 0) end)
      echo(stream)
    end)
    local _ <close> = connect(server)
    await_count(server, 1)
    server:close()
    sleep(0)
    assert.equal("cleanup failed", failures[1].err)
  end))
end)

describe("the end of a server", function()
  it("comes with the block it is declared in", run(function()
    local kept, stream
    do
      local server <close> = serve(echo)
      kept, stream = server, connect(server)
      await_count(server, 1)
    end
    assert.equal(0, #kept)
    assert.is_true(hung_up(stream))
    stream:close()
  end))

  it("comes when the task that has it is cancelled", run(function()
    local server, cleaned
    local task = spawn(function()
      server = serve(function(stream)
        local _ <close> = helper.closer(function()
          tide.shield(sleep, 0.01)
          cleaned = true
        end)
        echo(stream)
      end)
      local _ <close> = server
      server:wait_closed()
    end)
    sleep(0)
    sleep(0)
    local stream <close> = connect(server)
    await_count(server, 1)
    task:cancel()
    tide.wait { task }
    assert.is_true(task:cancelled())
    assert.is_true(cleaned)
    assert.equal(0, #server)
    assert.is_true(hung_up(stream))
  end))

  it("is what wait_closed waits for", run(function()
    local server = serve(echo)
    local _ <close> = connect(server)
    await_count(server, 1)
    local order = helper.log()
    local waiter = spawn(function()
      server:wait_closed()
      order "closed"
    end)
    sleep(0.01)
    order "closing"
    server:close()
    waiter:await()
    assert.same({ "closing", "closed" }, order)
  end))

  it("comes when its acceptor is cancelled, as all tasks are at the end of a run", run(function()
    for turns = 0, 5 do
      local server = serve(echo)
      local stream <close> = connect(server)
      helper.turns(turns)
      for _, task in ipairs(tide.all_tasks()) do
        if task:name():find "^server " then task:cancel() end
      end
      server:wait_closed()
      assert.equal(0, #server)
      assert.is_true(hung_up(stream))
    end
  end))

  it("may come in a callback, without a wait", run(function()
    local server = serve(echo)
    local stream <close> = connect(server)
    await_count(server, 1)
    tide.call_soon(server.close, server)
    server:wait_closed()
    assert.is_true(hung_up(stream))
  end))

  if not helper.inside then
    it("comes outside a run", function()
      local server = serve(echo)
      server:close { grace = 1 }
      assert.matches("closed", tostring(server))
      tide.run(server.wait_closed, server)
    end)

    it("comes with the end of the run", function()
      local server, stream
      tide.run(function()
        server = serve(echo)
        stream = connect(server)
        await_count(server, 1)
      end)
      assert.equal(0, #server)
      assert.matches("closed", tostring(server))
      tide.run(function()
        helper.raises("os", connect, server)
        stream:close()
      end)
      tide.run(function() server = serve(echo) end)
      assert.matches("closed", tostring(server))
    end)
  end

  it("is not a killed connection's", run(function()
    local task
    local server <close> = serve(function(stream)
      task = tide.current_task()
      echo(stream)
    end, { max_connections = 1 })
    local one <close> = connect(server)
    await_count(server, 1)
    sleep(0)
    task:kill()
    assert.is_true(hung_up(one))
    assert.equal(0, #server)
    local other <close> = connect(server)
    other:write "x"
    assert.equal("x", other:read(1))
  end))
end)

-- In a process of its own: the limit is for the whole process.
local program = os.getenv "TIDE_BUILD" and os.getenv "TIDE_BUILD" .. "/tide"
local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end
local has_nc = os.execute "nc -h 2>&1 | grep -q OpenBSD"

describe("where no descriptors are left", function()
  (program and has_nc and it or pending)("connections wait until there are", function()
    local server = [[
      local tide = require "tide"
      local server = tide.net.serve(function(stream)
        stream:write(stream:read_line(), "\n")
      end, "127.0.0.1", 0)
      print(select(2, server:address()))
      io.stdout:flush()
      tide.move_on_after(60, server.wait_closed, server)
    ]]
    local script = ([[
      dir=$(mktemp -d) && cd "$dir" || exit 1
      trap 'kill $server 2>/dev/null; rm -rf "$dir"' EXIT
      (ulimit -n 16; exec '%s' -e '%s' >port 2>log) & server=$!
      until [ -s port ]; do
        kill -0 $server 2>/dev/null || { echo "no server:"; cat log; exit 1; }
        sleep 0.02
      done
      clients=
      for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do
        (sleep 0.5; echo $i) | nc -N 127.0.0.1 "$(cat port)" >$i.out & clients="$clients $!"
      done
      wait $clients
      cat *.out | sort -n | tr '\n' ' '
      kill $server; wait $server
      echo "status $?"
    ]]):format(program, server)
    local pipe <close> = assert(io.popen("exec timeout -k 10 100 sh -c " .. quote(script) .. " 2>&1"))
    local numbers = {}
    for i = 1, 24 do numbers[i] = i end
    assert.equal(table.concat(numbers, " ") .. " status 143\n", pipe:read "a")
  end)
end)
