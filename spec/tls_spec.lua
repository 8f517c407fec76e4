local tide = require "tide"
local helper = require "spec.helper"
local certificates = require "spec.certificates"

local net, spawn = tide.net, tide.spawn
local run, raises = helper.run_now, helper.raises
local path, text = certificates.path, certificates.text

local function can(command) return (os.execute("(" .. command .. ") >/dev/null 2>&1")) == true end
local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

if not certificates.available then
  it("TLS is not available here", function() pending "no OpenSSL, or not its program" end)
  return
end

local client, server, secure = certificates.client, certificates.server, certificates.secure

-- What a command says; others go on meanwhile.
local function output_of(command)
  local name = os.tmpname()
  local done = name .. ".done"
  os.execute(("{ (%s) >%s 2>&1 </dev/null; echo > %s; } &"):format(command, name, done))
  for _ = 1, 500 do
    local file = io.open(done)
    if file then
      file:close()
      break
    end
    tide.sleep(0.02)
  end
  local file <close> = assert(io.open(name))
  os.remove(name)
  os.remove(done)
  return file:read "a"
end

-- ---- servers, and who connects to them

local function echo(stream)
  for data in stream:chunks() do stream:write(data) end
end

-- A server with those options of TLS, and its port.
local function serve(options, handler, more)
  more = more or {}
  more.tls = options
  local made = net.serve(handler or echo, "127.0.0.1", 0, more)
  return made, select(2, made:address())
end

local function connect(port, options, host)
  return net.connect(host or "localhost", port, { tls = options, family = "inet" })
end

-- How connecting to a server with that certificate fails.
local function failure_of(name, options)
  local _ <close>, port = serve(server(nil, name), nil, { on_error = function() end })
  local _, err = pcall(connect, port, options or client())
  assert(type(err) == "table", tostring(err))
  return err
end

describe("TLS", function()
  it("encrypts what is written, both ways", function()
    run(function()
      local _ <close>, port = serve(server())
      local stream <close> = connect(port, client())
      stream:write "hello\n"
      assert.equal("hello", stream:read_line())
      stream:close_write()
      assert.is_nil(stream:read())
    end)
  end)

  it("tells what both ends have agreed on", function()
    run(function()
      local told = tide.Queue()
      local _ <close>, port = serve(server { alpn = { "h2", "http/1.1" } }, function(stream) told:put(stream:tls()) end)
      local stream <close> = connect(port, client { alpn = { "spdy", "http/1.1" } })
      local mine, theirs = stream:tls(), told:get()
      for _, info in ipairs { mine, theirs } do
        assert.equal("TLSv1.3", info.version)
        assert.equal("TLS_AES_256_GCM_SHA384", info.cipher)
        assert.equal("http/1.1", info.alpn)
        assert.equal("localhost", info.server_name)
        assert.is_false(info.resumed)
      end
      assert.is_nil(theirs.peer)
      assert.equal("CN=server", mine.peer.subject)
      assert.equal("CN=Spec Authority", mine.peer.issuer)
      assert.same({ "localhost", "*.example.org", "127.0.0.1", "::1" }, mine.peer.names)
      assert.equal(os.time { year = 2020, month = 1, day = 1, hour = 0 }, mine.peer.not_before)
      assert.equal(2366841600, mine.peer.not_after)
      assert.equal(text "server.pem", mine.peer.pem)
      local pipe <close> = io.popen("openssl x509 -noout -fingerprint -sha256 -in " .. quote(path "server.pem"))
      assert.equal(pipe:read "a":match("=(%S+)"):gsub(":", ""):lower(), mine.peer.sha256)
    end)
  end)

  it("tells nothing of a stream that is not encrypted, not yet, or closed", function()
    run(function()
      local one, other = net.pair()
      local _ <close> = one
      local _ <close> = other
      assert.is_nil(one:tls())
      secure(one, other)
      assert.equal("TLSv1.3", one:tls().version)
      one:close()
      assert.is_nil(one:tls())
    end)
  end)

  it("keeps the addresses of the stream", function()
    run(function()
      local _ <close>, port = serve(server())
      local stream <close> = connect(port, client())
      assert.equal(port, select(2, stream:peer()))
      assert.equal("Stream(127.0.0.1:" .. port .. ")", tostring(stream))
    end)
  end)

  it("checks the certificate of an address by the addresses in it", function()
    run(function()
      local _ <close>, port = serve(server())
      connect(port, client(), "127.0.0.1"):close()
      assert.equal("wrong_host", failure_of("second", client { server_name = "127.0.0.1" }).reason)
    end)
  end)

  it("drops the dot at the end of a name, and takes wildcards", function()
    run(function()
      local _ <close>, port = serve(server())
      connect(port, client { server_name = "localhost." }):close()
      connect(port, client { server_name = "www.example.org" }):close()
      local _, err = pcall(connect, port, client { server_name = "a.b.example.org" })
      assert.equal("wrong_host", err.reason)
    end)
  end)

  it("resumes sessions of the same host, port and options", function()
    run(function()
      local _ <close>, port = serve(server(), function(stream) stream:write(tostring(stream:tls().resumed), "\n") end)
      local function visit(options)
        local stream <close> = connect(port, options)
        local line = stream:read_line()
        assert.equal(line, tostring(stream:tls().resumed))
        return line
      end
      assert.equal("false", visit(client()))
      assert.equal("true", visit(client()))
      assert.equal("false", visit(client { server_name = "127.0.0.1" }))
      assert.equal("false", visit(client { alpn = { "x" }, verify = false }))
      assert.equal("true", visit(client()))
    end)
  end)

  -- ---- whom a client believes

  for name, reason in pairs {
    expired = "expired", future = "not_yet_valid", self_signed = "self_signed", stranger = "unknown_ca",
    other = "wrong_host", cn_only = "wrong_host", far = "unknown_ca",
  } do
    it(("refuses a certificate: %s is %s"):format(name, reason), function()
      run(function()
        local err = failure_of(name)
        assert.equal("tls", err.kind)
        assert.equal(reason, err.reason)
      end)
    end)
  end

  it("says in the message what was met and what was wanted", function()
    run(function()
      assert.truthy(failure_of "other".message:find("for other.example, and not for localhost", 1, true))
      assert.truthy(failure_of "expired".message:find("CN=expired is valid until 2021-01-01", 1, true))
      assert.truthy(failure_of "future".message:find("CN=future is valid from 2040-01-01", 1, true))
      assert.truthy(failure_of "cn_only".message:find("for no name, and not for localhost", 1, true))
    end)
  end)

  it("refuses a certificate that is on a list of revoked ones, and no other", function()
    run(function()
      assert.equal("revoked", failure_of("revoked", client { crl = path "ca.crl" }).reason)
      assert.equal("revoked", failure_of("revoked", client { crl = text "ca.crl" }).reason)
      local _ <close>, port = serve(server())
      connect(port, client { crl = path "ca.crl" }):close()
    end)
  end)

  it("believes the system's authorities where no other is named", function()
    run(function() assert.equal("unknown_ca", failure_of("server", true).reason) end)
  end)

  it("believes everybody where verify is false", function()
    run(function()
      for _, name in ipairs { "expired", "other", "self_signed" } do
        local _ <close>, port = serve(server(nil, name))
        local stream <close> = connect(port, { verify = false })
        stream:write "x"
        assert.equal("x", stream:read())
      end
    end)
  end)

  it("takes authorities from a file, several, a directory, or text", function()
    run(function()
      local _ <close>, port = serve(server())
      for _, ca in ipairs { path "both_cas.pem", path "authorities", text "ca.pem" } do
        connect(port, { ca = ca }):close()
      end
    end)
  end)

  it("sends what lies between the certificate and a root", function()
    run(function()
      local _ <close>, port = serve { cert = path "chain.pem", key = path "far.key" }
      connect(port, client()):close()
    end)
  end)

  it("wants to know whom it talks to", function()
    run(function()
      local name = "unix:" .. os.tmpname() .. ".socket"
      local _ <close> = net.serve(echo, name, { tls = server() })
      helper.fails("bad argument #2 to 'connect' (field 'server_name' is needed where there is no host)", net.connect, name,
        { tls = client() })
      net.connect(name, { tls = client { server_name = "localhost" } }):close()
    end)
  end)

  -- ---- servers and their clients

  it("asks clients for a certificate", function()
    run(function()
      local failures = tide.Queue()
      local function on_error(err) failures:put(err) end
      local function tell(stream)
        local peer = stream:tls().peer
        stream:write(peer and peer.subject or "nobody", "\n")
      end
      local function line_of(port, options)
        local stream <close> = connect(port, options)
        return stream:read_line()
      end
      local known = { cert = path "client.pem", key = path "client.key" }
      local _ <close>, port =
        serve(server { client_ca = path "ca.pem", verify_client = "require" }, tell, { on_error = on_error })
      assert.equal("CN=Some Client", line_of(port, client(known)))
      -- in TLS 1.3 a client hears of it when it reads
      local _, err = pcall(line_of, port, client())
      assert.equal("no_certificate", err.reason)
      assert.equal("no_certificate", failures:get().reason)
      _, err = pcall(line_of, port, client { cert = path "stranger.pem", key = path "stranger.key" })
      assert.equal("unknown_ca", err.reason)
      assert.equal("unknown_ca", failures:get().reason)
      local _ <close>, other = serve(server { client_ca = path "ca.pem", verify_client = "optional" }, tell)
      assert.equal("nobody", line_of(other, client()))
      assert.equal("CN=Some Client", line_of(other, client(known)))
    end)
  end)

  it("tells a writer why a server has refused it", function()
    run(function()
      local _ <close>, port =
        serve(server { client_ca = path "ca.pem", verify_client = "require" }, echo, { on_error = function() end })
      local stream <close> = connect(port, client())
      local _, err = pcall(function()
        while true do
          stream:write "x"
          tide.sleep(0.001)
        end
      end)
      assert.equal("no_certificate", err.reason)
    end)
  end)

  it("chooses the certificate by the name that the client wants", function()
    run(function()
      local asked = {}
      local _ <close>, port = serve(server {
        sni = function(name)
          asked[#asked + 1] = name or "nothing"
          tide.sleep(0)
          if name == "second.example" then return server(nil, "second") end
        end,
      })
      local function subject(name)
        local stream <close> = connect(port, client { server_name = name })
        return stream:tls().peer.subject
      end
      assert.equal("CN=second", subject "second.example")
      assert.equal("CN=server", subject "localhost")
      assert.equal("CN=server", subject "127.0.0.1")
      assert.same({ "second.example", "localhost", "nothing" }, asked)
    end)
  end)

  it("tells on_error what sni fails with", function()
    run(function()
      local failures = tide.Queue()
      local _ <close>, port = serve(server { sni = function() error("no idea", 0) end }, echo,
        { on_error = function(err) failures:put(err) end })
      local _, err = pcall(connect, port, client())
      assert.is_true(tide.is(err, "tls") or tide.is(err, "os"), tostring(err))
      assert.equal("no idea", failures:get())
    end)
  end)

  it("gives up a handshake that takes too long, and delays nobody meanwhile", function()
    run(function()
      local failures = tide.Queue()
      local _ <close>, port = serve(server(), echo,
        { handshake_timeout = 0.05, on_error = function(err) failures:put(err) end })
      local silent <close> = net.connect("127.0.0.1", port)
      connect(port, client()):close()
      assert.equal("timeout", failures:get().kind)
      assert.is_nil(silent:read())
    end)
  end)

  it("does not tell on_error of a client that has just gone", function()
    run(function()
      local failures = {}
      local made <close>, port = serve(server(), echo, { on_error = function(err) failures[#failures + 1] = err end })
      for _ = 1, 3 do net.connect("127.0.0.1", port):close() end
      connect(port, client()):close()
      tide.sleep(0.05)
      assert.same({}, failures)
      assert.is_true(made:statistics().dropped >= 3)
    end)
  end)

  it("tells on_error of a client that does not speak TLS", function()
    run(function()
      local failures = tide.Queue()
      local _ <close>, port = serve(server(), echo, { on_error = function(err) failures:put(err) end })
      for _, words in ipairs { "GET / HTTP/1.0\r\n\r\n", "SSH-2.0-OpenSSH\r\n", ("\0"):rep(100) } do
        local stream <close> = net.connect("127.0.0.1", port)
        stream:write(words)
        local err = failures:get()
        assert.equal("tls", err.kind)
        assert.equal("protocol", err.reason)
      end
    end)
  end)

  it("fails with protocol where the server does not speak TLS", function()
    run(function()
      local made <close> = net.serve(function(stream) stream:write "HTTP/1.0 400 Bad Request\r\n\r\n" end, "127.0.0.1", 0)
      local _, err = pcall(connect, select(2, made:address()), client())
      assert.equal("protocol", err.reason)
      assert.truthy(err.message:find("does not speak TLS", 1, true))
    end)
  end)

  it("refuses who only speaks what is too old", function()
    run(function()
      local _ <close>, port = serve(server { min_version = "1.3" }, echo, { on_error = function() end })
      local said = output_of(("openssl s_client -tls1_2 -connect 127.0.0.1:%d"):format(port))
      assert.truthy(said:find("alert protocol version", 1, true), said)
    end)
  end)

  -- ---- certificates that cannot be used

  it("says what is wrong with a certificate before anything listens", function()
    run(function()
      local function fails(options)
        local _, err = pcall(net.listen, "127.0.0.1", 0, { tls = options })
        return err
      end
      assert.equal("key_values_mismatch", fails { cert = path "server.pem", key = path "other.key" }.reason)
      local missing = fails { cert = "/nowhere/x.pem", key = path "server.key" }
      assert.same({ "os", "ENOENT", "/nowhere/x.pem" }, { missing.kind, missing.code, missing.path })
      assert.equal("EISDIR", fails { cert = path "authorities" }.code)
      assert.equal("tls", fails { cert = path "broken.pem", key = path "server.key" }.kind)
      assert.equal("tls", fails { cert = path "server.pem", key = path "ca.crl" }.kind)
      assert.equal("no_certificate", fails(true).reason)
      assert.equal("no_certificate", fails { key = path "server.key" }.reason)
      assert.equal("tls", fails { cert = path "server.pem", key = path "locked.key" }.kind)
      assert.equal("tls", fails { cert = path "server.pem", key = path "locked.key", password = "wrong" }.kind)
      assert.equal("unknown_ca", fails(server { verify_client = "require" }).reason)
    end)
  end)

  it("takes the key from the certificate's file, locked ones, and text", function()
    run(function()
      for _, options in ipairs {
        { cert = path "together.pem" },
        { cert = path "server.pem", key = path "locked.key", password = "secret" },
        { cert = text "server.pem", key = text "server.key" },
      } do
        local _ <close>, port = serve(options)
        connect(port, client()):close()
      end
    end)
  end)

  it("refuses options that there are not, and values that are wrong", function()
    run(function()
      local function fails(what, options)
        helper.fails(("bad argument #3 to 'connect' (%s)"):format(what), net.connect, "127.0.0.1", 1, { tls = options })
      end
      fails("unknown option 'verfiy': there are 'ca', 'crl', 'cert', 'key', 'password', 'min_version', 'alpn', 'verify', "
        .. "'server_name'", { verfiy = false })
      fails("field 'verify' must be a boolean", { verify = 0 })
      fails("field 'min_version' must be '1.2' or '1.3'", { min_version = "1.1" })
      fails("field 'alpn' must be a list of names of protocols", { alpn = { "" } })
      fails("field 'ca' has a NUL", { ca = "a\0b" })
      fails("field 'tls' must be a boolean or a table", "yes")
    end)
  end)

  it("begins to use a certificate that has changed, and keeps the old one where that is broken", function()
    run(function()
      local function copy(from, to) assert(os.execute(("cp %s %s"):format(quote(path(from)), quote(path(to))))) end
      copy("server.pem", "changing.pem")
      copy("server.key", "changing.key")
      local failures = {}
      local _ <close>, port = serve(server(nil, "changing"), echo,
        { on_error = function(err) failures[#failures + 1] = err end })
      local function subject()
        local stream <close> = connect(port, client())
        return stream:tls().peer.subject
      end
      assert.equal("CN=server", subject())
      copy("second.pem", "changing.pem")
      tide.sleep(1.1)
      assert.equal("CN=server", subject())
      assert.equal("key_values_mismatch", failures[1].reason)
      assert.equal("CN=server", subject())
      assert.equal(1, #failures)
      copy("second.key", "changing.key")
      tide.sleep(1.1)
      assert.equal("CN=second", subject())
      assert.equal(1, #failures)
    end)
  end)

  it("changes the options of a server that runs", function()
    run(function()
      local made <close>, port = serve(server())
      local before <close> = connect(port, client())
      made:set { tls = server(nil, "second") }
      local after <close> = connect(port, client())
      assert.equal("CN=second", after:tls().peer.subject)
      before:write "x"
      assert.equal("x", before:read())
      assert.equal("tls", select(2, pcall(made.set, made, { tls = { cert = path "broken.pem" } })).kind)
      connect(port, client()):close()
      local plain <close> = net.serve(echo, "127.0.0.1", 0)
      raises("invalid_state", plain.set, plain, { tls = server() })
    end)
  end)

  -- ---- ends

  it("tells an end that nobody has told", function()
    run(function()
      local listener <close> = net.listen("127.0.0.1", 0)
      local task = spawn(function()
        local plain <close> = listener:accept()
        local inner, outer = net.pair()
        local relay = spawn(function() for data in plain:chunks() do outer:write(data) end end)
        local back = spawn(function() for data in outer:chunks() do plain:write(data) end end)
        local options = server()
        options.server = true
        inner:starttls(options)
        inner:write "half of it"
        inner:flush()
        tide.sleep(0.02)
        relay:cancel()
        back:cancel()
        plain:close() -- the connection goes, and nobody has said that this was all
        inner:close()
        outer:close()
      end)
      local stream <close> = connect(select(2, listener:address()), client())
      assert.equal("half of it", stream:read_exactly(10))
      local _, err = pcall(stream.read, stream)
      assert.equal("truncated", err.reason)
      _, err = pcall(stream.read_all, stream)
      assert.equal("truncated", err.reason)
      task:await()
    end)
  end)

  it("goes on one way when the other has ended", function()
    run(function()
      local one, other = secure(net.pair())
      local _ <close> = one
      local _ <close> = other
      one:write "question"
      one:close_write()
      assert.equal("question", other:read_all())
      other:write "answer"
      other:close()
      assert.equal("answer", one:read_all())
    end)
  end)

  it("may be begun by both ends of a plain conversation", function()
    run(function()
      local made <close> = net.serve(function(stream)
        assert(stream:read_line() == "STARTTLS")
        stream:write "go on\n"
        stream:starttls(server())
        echo(stream)
      end, "127.0.0.1", 0)
      local stream <close> = net.connect("localhost", select(2, made:address()), { family = "inet" })
      stream:write "STARTTLS\n"
      assert.equal("go on", stream:read_line())
      stream:starttls(client())
      assert.equal("localhost", stream:tls().server_name)
      stream:write "x"
      assert.equal("x", stream:read())
      raises("invalid_state", stream.starttls, stream, client())
    end)
  end)

  it("refuses to begin where plain bytes are waiting", function()
    run(function()
      local one, other = net.pair()
      local _ <close> = one
      local _ <close> = other
      other:write "go on\ninjected\n"
      assert.equal("go on", one:read_line())
      local _, err = pcall(one.starttls, one, client { server = false, server_name = "localhost" })
      assert.same({ "tls", "protocol" }, { err.kind, err.reason })
      assert.equal("injected", one:read_line())
    end)
  end)

  it("is not begun while another task is in the stream", function()
    run(function()
      local one, other = net.pair()
      local _ <close> = one
      local _ <close> = other
      local reader = spawn(one.read, one)
      helper.turns(2)
      raises("invalid_state", one.starttls, one, client { server = false, server_name = "localhost" })
      other:write "x"
      assert.equal("x", reader:await())
      one:close()
      raises("closed", one.starttls, one, client { server = false, server_name = "localhost" })
    end)
  end)

  it("is cancelled and timed out as any wait, and closes what it had connected", function()
    run(function()
      local listener <close> = net.listen("127.0.0.1", 0)
      local _, port = listener:address()
      local task = spawn(connect, port, client())
      local accepted <close> = listener:accept()
      tide.sleep(0.02)
      task:cancel()
      tide.wait { task }
      assert.is_true(task:cancelled())
      accepted:read_all()
      raises("timeout", tide.timeout, 0.02, connect, port, client())
    end)
  end)

  it("begins with the first read or write of what a listener has accepted", function()
    run(function()
      local listener <close> = net.listen("127.0.0.1", 0, { tls = server() })
      local _, port = listener:address()
      for _, first in ipairs { "read", "write" } do
        local task = spawn(connect, port, client())
        local accepted <close> = listener:accept()
        assert.is_nil(accepted:tls())
        if first == "write" then accepted:write "hello" end
        local reader = spawn(accepted.read, accepted)
        local stream <close> = task:await()
        if first == "write" then assert.equal("hello", stream:read_exactly(5)) end
        stream:write "x"
        assert.equal("x", reader:await())
        assert.equal("TLSv1.3", accepted:tls().version)
      end
    end)
  end)

  it("goes through another one", function()
    run(function()
      local one, other = secure(net.pair())
      local _ <close> = one
      local _ <close> = other
      -- a second one inside is refused: what is below is encrypted already
      raises("invalid_state", one.starttls, one, client { server = false, server_name = "localhost" })
      other:close()
      assert.is_nil(one:read())
    end)
  end)

  it("leaves nothing behind in a thousand connections that fail", function()
    run(function()
      local made <close>, port = serve(server(nil, "other"), echo, { on_error = function() end })
      for _ = 1, helper.thoroughness == "quick" and 20 or 300 do pcall(connect, port, client()) end
      tide.sleep(0.05)
      assert.equal(0, #made)
    end)
  end)
end)

describe("TLS with others:", function()
  it("openssl s_client talks to a server", function()
    run(function()
      for _, version in ipairs { "-tls1_2", "-tls1_3" } do
        local _ <close>, port = serve(server(), function(stream) stream:write("seen ", stream:read_line(), "\n") end)
        local said = output_of(("(echo question; sleep 0.3) | openssl s_client %s -quiet -verify_return_error -CAfile %s "
          .. "-verify_hostname localhost -connect 127.0.0.1:%d"):format(version, quote(path "ca.pem"), port))
        assert.truthy(said:find("seen question", 1, true), said)
      end
    end)
  end)

  it("openssl s_client gets nowhere with TLS 1.0 and 1.1", function()
    run(function()
      local _ <close>, port = serve(server(), echo, { on_error = function() end })
      for _, version in ipairs { "-tls1", "-tls1_1" } do
        local said = output_of(("openssl s_client %s -cipher DEFAULT@SECLEVEL=0 -connect 127.0.0.1:%d"):format(version, port))
        assert.truthy(said:find("alert protocol version", 1, true), said)
      end
    end)
  end)

  it("a client talks to openssl s_server, which may be too old for it", function()
    run(function()
      local function with_server(options, fn)
        local port = 20000 + math.random(20000)
        local pid_file = os.tmpname()
        os.execute(("openssl s_server -quiet -rev -accept 127.0.0.1:%d -cert %s -key %s %s >/dev/null 2>&1 & echo $! > %s"):format(
          port, quote(path "server.pem"), quote(path "server.key"), options, pid_file))
        local file = assert(io.open(pid_file))
        local pid = file:read "l"
        file:close()
        os.remove(pid_file)
        local _ <close> = setmetatable({}, { __close = function() os.execute("kill " .. pid) end })
        local ready
        for _ = 1, 1000 do
          ready = pcall(function() net.connect("127.0.0.1", port):close() end)
          if ready then break end
          tide.sleep(0.02)
        end
        assert(ready)
        fn(port)
      end
      for _, version in ipairs { "-tls1_2", "-tls1_3" } do
        with_server(version, function(port)
          local stream <close> = connect(port, client())
          stream:write "abc\n"
          assert.equal("cba", stream:read_line())
        end)
      end
      with_server("-tls1_1 -cipher DEFAULT@SECLEVEL=0", function(port)
        local _, err = pcall(connect, port, client())
        assert.equal("version", err.reason)
      end)
    end)
  end)

  it("curl and Python's ssl talk to a server", function()
    run(function()
      local _ <close>, port = serve(server(), function(stream)
        repeat local line = stream:read_line() until not line or line == ""
        stream:write "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"
      end)
      if can "command -v curl" then
        assert.equal("hello", output_of(("curl -s --cacert %s https://localhost:%d/"):format(quote(path "ca.pem"), port)))
      end
      if can "python3 -c 'import ssl'" then
        local said = output_of(([[python3 -c '
import ssl, socket
context = ssl.create_default_context(cafile="%s")
with socket.create_connection(("127.0.0.1", %d)) as plain:
    with context.wrap_socket(plain, server_hostname="localhost") as stream:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        data = b""
        while True:
            more = stream.recv(1000)
            if not more: break
            data += more
        print(stream.version(), data.decode().split("\r\n")[-1])
']]):format(path "ca.pem", port))
        assert.equal("TLSv1.3 hello\n", said)
      end
    end)
  end)
end)
