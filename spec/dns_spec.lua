local helper = require "spec.helper"
local tide = require "tide"
local dns = require "tide.dns"

local run, raises = helper.run, helper.raises
local program = (os.getenv "TIDE_BUILD" or "build/release") .. "/tide"

local function output_of(command)
  local pipe <close> = io.popen(command)
  return pipe:read "a", pipe:close()
end

local function can(command) return (os.execute("(" .. command .. ") >/dev/null 2>&1")) == true end

local has_server = can "command -v python3 && unshare --map-root-user --mount --net ip link set lo up"

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- What the Lua code prints, in a network of its own with the name server of dns_server.py, and the
-- lines that this wrote of questions. Of `opts`: resolv, hosts (texts of the files), servers (their
-- addresses).
local function inside(code, opts)
  opts = opts or {}
  local dir = os.tmpname()
  os.remove(dir)
  os.execute("mkdir " .. dir)
  local function file(name) return dir .. "/" .. name end
  write(file "resolv.conf", opts.resolv or "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
  write(file "hosts", opts.hosts or "127.0.0.1 localhost\n")
  write(file "log", "")
  write(file "script.lua", [[
local tide = require "tide"
local dns, net = require "tide.dns", require "tide.net"
local dir = ...
local function text(v)
  if type(v) ~= "table" then return (tostring(v):gsub("\0", "\\0")) end
  local out = {}
  for k, x in pairs(v) do out[#out + 1] = (math.type(k) and "" or k .. "=") .. text(x) end
  if #v == 0 then table.sort(out) end
  return "{" .. table.concat(out, " ") .. "}"
end
local function say(...)
  local out = {}
  for i = 1, select("#", ...) do out[i] = text((select(i, ...))) end
  print(table.concat(out, " "))
end
local function code(f, ...)
  local ok, err = pcall(f, ...)
  return ok and err or err.code or err.kind
end
local function write(name, what)
  local file <close> = io.open(dir .. "/" .. name, "w")
  file:write(what)
end
]] .. code)
  local words = { "spec/namespace.sh", dir, "sh", "-c", quote([[
    dir=$0 program=$1 servers=
    shift
    for address do
      : > "$dir/ready"
      python3 spec/dns_server.py "$address" "$dir/log" > "$dir/ready" &
      servers="$servers $!"
      while ! grep -q ready "$dir/ready"; do sleep 0.02; done
    done
    "$program" "$dir/script.lua" "$dir" 2>&1
    kill $servers]]), dir, program, table.concat(opts.servers or { "127.0.0.1" }, " ") }
  local printed = output_of(table.concat(words, " "))
  local log <close> = io.open(file "log")
  local asked = log:read "a"
  os.execute("rm -r " .. dir)
  return printed, asked
end

local function it_asks(name, test)
  it(name, function()
    if not has_server then return pending "python3, or unshare with a network of its own, is not available here" end
    test()
  end)
end

local function prints(expected, code, opts)
  local printed, asked = inside(code, opts)
  assert.equal((("\n" .. expected):gsub("\n%s+", "\n"):sub(2)), printed)
  return asked
end

describe("dns.resolve", function()
  it("knows literals, and gives them back as they are", run(function()
    assert.same({ "192.0.2.1" }, dns.resolve "192.0.2.1")
    assert.same({ "2001:db8::1" }, dns.resolve("2001:db8::1", { family = "inet6" }))
    assert.equal("NODATA", raises("dns", dns.resolve, "::1", { family = "inet" }).code)
  end))

  it("knows localhost and what is under it", run(function()
    for _, name in ipairs { "localhost", "LocalHost.", "a.b.localhost" } do
      local found = dns.resolve(name)
      table.sort(found)
      assert.same({ "127.0.0.1", "::1" }, found)
      assert.same({ "::1" }, dns.resolve(name, { family = "inet6" }))
      assert.same({ "127.0.0.1" }, dns.resolve(name, { family = "inet" }))
    end
  end))

  it("asks nobody for what can be no host's name", run(function()
    for _, name in ipairs { "x.invalid", "256.0.0.1", "[::1]", "a b", "a\r\nb", "unix:/x", "a/b", "a@b" } do
      local err = raises("dns", dns.resolve, name)
      assert.equal("NXDOMAIN", err.code)
      assert.equal(name, err.name)
    end
  end))

  it("refuses bad arguments", run(function()
    helper.fails("an empty name", dns.resolve, "")
    helper.fails("the name has a NUL", dns.resolve, "a\0b")
    helper.fails("bad argument #1", dns.resolve)
    helper.fails("unknown option 'familly'", dns.resolve, "x", { familly = "inet" })
    helper.fails("inet", dns.resolve, "x", { family = "ipv4" })
  end))

  it("is cancelled before it begins in a cancelled scope", run(function()
    raises("timeout", tide.timeout, 0, dns.resolve, "localhost")
  end))

  it_asks("gives the addresses of both families, or of one", function()
    prints([[
      {10.0.0.9}
      {2001:db8::1}
      {10.0.0.1 10.0.0.2}
      {2001:db8::1}
      3
      NODATA
      NODATA
    ]], [[
      say(dns.resolve "four.test") say(dns.resolve "six.test")
      say(dns.resolve("both.test", { family = "inet" }))
      say(dns.resolve("both.test", { family = "inet6" }))
      say(#dns.resolve "both.test")
      say(code(dns.resolve, "four.test", { family = "inet6" }))
      say(code(dns.resolve, "empty.test"))
    ]])
  end)

  it_asks("says why there is none", function()
    prints([[
      NXDOMAIN
      SERVFAIL
      REFUSED
      SERVFAIL
      FORMERR
      TIMEOUT
      dns: nxdomain.test: there is no such name (NXDOMAIN)
    ]], [[
      for name in ("nxdomain servfail refused notimp formerr silent"):gmatch "%a+" do
        say(code(dns.resolve, name .. ".test"))
      end
      print(select(2, pcall(dns.resolve, "nxdomain.test")))
    ]])
  end)

  it_asks("takes no answers that are none", function()
    prints([[
      garbage TIMEOUT
      short TIMEOUT
      wrongid TIMEOUT
      wrongname TIMEOUT
      question FORMERR
      loop FORMERR
      badlength FORMERR
      cutoff FORMERR
      toomany FORMERR
    ]], [[
      local tasks, names = {}, {}
      for name in ("garbage short wrongid wrongname question loop badlength cutoff toomany"):gmatch "%a+" do
        names[#names + 1] = name
        tasks[#names] = tide.spawn(code, dns.resolve, name .. ".test", { family = "inet" })
      end
      for i, task in ipairs(tasks) do say(names[i], task:await()) end
    ]])
  end)

  it_asks("goes on by TCP where the answer is too long, whole or in pieces", function()
    local asked = prints([[
      40 10.1.0.1 10.1.0.40
      40
      {10.0.0.7}
    ]], [[
      local many = dns.resolve("many.test", { family = "inet" })
      say(#many, many[1], many[40]) say(#dns.resolve "pieces.test")
      say(dns.resolve "alias.test")
    ]])
    assert.matches("many.test 1 udp\nmany.test 1 tcp\n", asked, 1, true)
  end)

  it_asks("does not wait for long for a silent family, nor fail with a failing one", function()
    prints([[
      {10.0.0.1} true
      {10.0.0.1} true
      NODATA
    ]], [[
      for _, name in ipairs { "half.test", "halffail.test" } do
        local began = tide.time()
        say(dns.resolve(name), tide.time() - began < 0.5)
      end
      say(code(dns.resolve, "six.test", { family = "inet" }))
    ]])
  end)

  it_asks("asks the next server where one fails or is silent", function()
    local asked = prints([[
      {10.0.0.9}
      SERVFAIL
    ]], [[
      say(dns.resolve("four.test", { family = "inet" }))
      say(code(dns.resolve, "servfail.test", { family = "inet" }))
    ]], {
      resolv = "nameserver 127.0.0.9\nnameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:1 attempts:2\n",
      servers = { "127.0.0.1", "127.0.0.2" },
    })
    local count = select(2, asked:gsub("servfail", ""))
    assert.equal(4, count) -- two servers, twice
  end)

  it_asks("looks into the hosts file first, with its families", function()
    local asked = prints([[
      {10.9.9.9}
      {10.9.9.9}
      {10.0.0.1 10.0.0.2}
      NXDOMAIN
    ]], [[
      say(dns.resolve "filed") say(dns.resolve "filed.")
      say(dns.resolve("both.test", { family = "inet" }))
      say(code(dns.resolve, "filed", { family = "inet6" }))
    ]], { hosts = "10.9.9.9 filed\n2001:db8::5 both.test\n" })
    assert.equal("both.test 1 udp\nfiled 28 udp\n", asked)
  end)

  it_asks("searches as resolv.conf says: search, ndots, a dot at the end", function()
    local asked = prints([[
      {10.0.0.4}
      {10.0.0.4}
      {10.0.0.4}
      NXDOMAIN
    ]], [[
      for _, name in ipairs { "wanted", "wanted.x.y", "wanted." } do say(dns.resolve(name, { family = "inet" })) end
      say(code(dns.resolve, "nosuch", { family = "inet" }))
    ]], { resolv = "nameserver 127.0.0.1\nsearch one.test two.test\noptions ndots:2 timeout:1\n" })
    assert.equal([[
wanted.one.test 1 udp
wanted.x.y 1 udp
wanted 1 udp
nosuch.one.test 1 udp
nosuch.two.test 1 udp
nosuch 1 udp
]], asked)
  end)

  it_asks("takes `search .` for no search", function()
    local asked = prints("{10.0.0.9}\n", [[say(dns.resolve("four", { family = "inet" }))]], {
      resolv = "nameserver 127.0.0.1\nsearch .\n",
    })
    assert.equal("four 1 udp\n", asked)
  end)

  it_asks("reads resolv.conf again when it has changed", function()
    prints([[
      NXDOMAIN
      {10.0.0.9}
    ]], [[
      say(code(dns.resolve, "x.four", { family = "inet" }))
      write("resolv.conf", "nameserver 127.0.0.1\nsearch four.test\noptions ndots:5 timeout:1\n")
      say(dns.resolve("four", { family = "inet" }))
    ]])
  end)

  it_asks("asks once for all who want the same at a time, and goes on where some leave", function()
    local asked = prints([[
      99
      true
    ]], [[
      local tasks, found = {}, 0
      for i = 1, 100 do tasks[i] = tide.spawn(dns.resolve, "slow.test", { family = "inet" }) end
      tide.sleep(0)
      tasks[1]:cancel()
      for i = 2, 100 do if tasks[i]:await()[1] == "10.0.0.3" then found = found + 1 end end
      say(found) say(tasks[1]:done())
    ]])
    assert.equal("slow.test 1 udp\n", asked)
  end)

  it_asks("is cancelled, and timed out, at any time, and leaves nothing", function()
    prints([[
      timeout
      timeout
      {10.0.0.9}
      0 0
    ]], [[
      for _, name in ipairs { "silent.test", "slow.test" } do
        say(select(2, pcall(tide.timeout, 0.02, dns.resolve, name)).kind)
      end
      say(dns.resolve "four.test")
      for i = 1, 200 do
        local task = tide.spawn(dns.resolve, "four." .. i .. ".test")
        for _ = 1, i % 5 do tide.sleep(0) end
        task:cancel()
        pcall(task.await, task)
      end
      tide.sleep(1.2) -- until nobody waits for an answer to what was forgotten
      local stats = tide.stats()
      say(stats.watching, stats.timers)
    ]])
  end)

  it_asks("ends with the program, while questions are under way", function()
    prints("over\n", [[
      tide.spawn(dns.resolve, "silent.test")
      tide.spawn(net.connect, "silent.test", 80)
      tide.sleep(0.05)
      print "over"
    ]])
  end)
end)

describe("dns.query and dns.reverse", function()
  it("refuse types that there are not", run(function()
    helper.fails("not a type of records: 'ANY'", dns.query, "x", "ANY")
    helper.fails("not a numeric address: 'host'", dns.reverse, "host")
    helper.fails("an empty name", dns.query, "", "MX")
  end))

  it_asks("give records of each type", function()
    prints([[
      {{exchange=mx.test preference=10} {exchange=. preference=0}}
      {{port=5060 priority=1 target=sip.test weight=2}}
      {{expire=4 minimum=4294967295 mname=ns.test refresh=2 retry=3 rname=admin.test serial=1}}
      {{flags=128 tag=issue value=ca.test}}
      {abcde a\0bc}
      {ns1.test ns2.test}
      {host.test}
      {real.test}
      {10.0.0.9}
      {2001:db8::1}
      NODATA
    ]], [[
      for kind in ("MX SRV SOA CAA TXT NS PTR CNAME"):gmatch "%u+" do say(dns.query("records.test", kind)) end
      say(dns.query("four.test", "A")) say(dns.query("six.test", "AAAA"))
      say(code(dns.query, "records.test", "A"))
    ]])
  end)

  it_asks("ask for the name of an address, and never search", function()
    local asked = prints([[
      {host.test}
      {host.test}
      NXDOMAIN
    ]], [[
      say(dns.reverse "10.0.0.1") say(dns.reverse "2001:db8::ff")
      say(code(dns.query, "wanted2", "A"))
    ]], { resolv = "nameserver 127.0.0.1\nsearch one.test\noptions timeout:1\n" })
    assert.equal("1.0.0.10.in-addr.arpa 12 udp\n"
      .. "f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa 12 udp\nwanted2 1 udp\n", asked)
  end)
end)

describe("net.connect by name", function()
  it_asks("tries all addresses, first one of each family, and says of each why not", function()
    prints([[
      127.0.0.1 8080
      ::1 8081
      os ECONNREFUSED 2 {address=[::1]:8082 error=Connection refused} {address=127.0.0.1:8082 error=Connection refused}
      os: connect: loopback.test: [::1]:8082: Connection refused; 127.0.0.1:8082: Connection refused (ECONNREFUSED)
      dns NXDOMAIN
      dns NODATA
      127.0.0.1 8080
    ]], [[
      local four <close> = net.listen("127.0.0.1", 8080)
      local six <close> = net.listen("::1", 8081)
      say(net.connect("loopback.test", 8080):peer())
      say(net.connect("loopback.test", 8081):peer())
      local _, err = pcall(net.connect, "loopback.test", 8082)
      say(err.kind, err.code, #err.attempts, err.attempts[1], err.attempts[2])
      print(err)
      for _, call in ipairs { { "nxdomain.test" }, { "six.test", "inet" } } do
        local _, why = pcall(net.connect, call[1], 80, { family = call[2] })
        say(why.kind, why.code)
      end
      say(net.connect("localhost", 8080):peer())
    ]])
  end)

  it_asks("begins the next attempt beside one that is silent, after a quarter of a second", function()
    prints([[
      127.0.0.1 8080
      true
      true
    ]], [[
      local full <close> = net.listen("127.0.0.5", 8080, { backlog = 1 })
      for _ = 1, 4 do tide.spawn(net.connect, "127.0.0.5", 8080) end -- the rest get no answer
      tide.sleep(0.05)
      local four <close> = net.listen("127.0.0.1", 8080)
      local began = tide.time()
      local stream <close> = net.connect("holes.test", 8080)
      local took = tide.time() - began
      say(stream:peer())
      say(took > 0.2)
      began = tide.time()
      net.connect("holes.test", 8080, { delay = 0.01 }):close()
      say(tide.time() - began < 0.2)
    ]])
  end)

  it_asks("connects from a local address and port", function()
    prints([[
      127.0.0.3 5555
      os EAFNOSUPPORT
    ]], [[
      local listener <close> = net.listen("127.0.0.1", 8080)
      local stream <close> = net.connect("loopback.test", 8080, { local_address = "127.0.0.3", local_port = 5555 })
      say(stream:address())
      local _, err = pcall(net.connect, "four.test", 8080, { local_address = "::1" })
      say(err.kind, err.code)
    ]])
  end)

  it_asks("is cancelled at every stage, and leaves nothing", function()
    prints("0 0\n", [[
      local listener <close> = net.listen("127.0.0.1", 8080)
      for i = 1, 100 do
        local task = tide.spawn(net.connect, "loopback.test", 8080)
        for _ = 1, i % 7 do tide.sleep(i % 3 == 0 and 0.001 or 0) end
        task:cancel()
        local ok, stream = pcall(task.await, task)
        if ok then stream:close() end
      end
      listener:close()
      local stats
      for _ = 1, 100 do
        tide.sleep(0.02)
        stats = tide.stats()
        if stats.watching + stats.timers == 0 then break end
      end
      say(stats.watching, stats.timers)
    ]])
  end)
end)
