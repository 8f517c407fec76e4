local helper = require "spec.helper"
local tide = require "tide"
local net = require "tide.net"

local run, raises, fails = helper.run, helper.raises, helper.fails

local function pair()
  local one, other = net.udp { host = "127.0.0.1" }, net.udp { host = "127.0.0.1" }
  return one, other, select(2, other:address())
end

describe("net.udp", function()
  it("sends datagrams, each whole, and says from whom they are", run(function()
    local one <close> = net.udp { host = "127.0.0.1" }
    local other <close> = net.udp()
    local two = other
    local host, port = one:address()
    assert.equal("127.0.0.1", host)
    two:sendto("hello", host, port)
    two:sendto("", host, port)
    local data, from_host, from_port = one:recvfrom()
    assert.same({ "hello", "127.0.0.1", select(2, two:address()) }, { data, from_host, from_port })
    assert.equal("", (one:recvfrom()))
  end))

  it("cuts off what is longer than was asked for", run(function()
    local one, other, port = pair()
    local _ <close> = one
    local _ <close> = other
    one:sendto("hello", "127.0.0.1", port)
    one:sendto("next", "127.0.0.1", port)
    assert.equal("he", (other:recvfrom { max = 2 }))
    assert.equal("next", (other:recvfrom()))
  end))

  it("carries 65,507 bytes, and refuses more", run(function()
    local one, other, port = pair()
    local _ <close> = one
    local _ <close> = other
    local large = ("x"):rep(65507)
    one:sendto(large, "127.0.0.1", port)
    assert.equal(large, (other:recvfrom()))
    assert.equal("EMSGSIZE", raises("os", one.sendto, one, large .. "x", "127.0.0.1", port).code)
  end))

  it("connected, sends to one and hears it alone; refusals are raised once, and it goes on", run(function()
    local one, other, port = pair()
    local _ <close> = one
    local third <close> = net.udp()
    one:connect("127.0.0.1", port)
    third:sendto("not heard", one:address())
    one:send "hello"
    other:sendto("back", one:address())
    assert.equal("back", one:recv())
    other:close()
    one:send "nobody"
    assert.equal("ECONNREFUSED", raises("os", one.recv, one).code)
    local again <close> = net.udp { host = "127.0.0.1", port = port }
    one:send "again"
    assert.equal("again", (again:recvfrom()))
  end))

  it("unconnected, never raises for what a host answered", run(function()
    local one, other, port = pair()
    local _ <close> = one
    other:close()
    for _ = 1, 3 do one:sendto("nobody", "127.0.0.1", port) end
    raises("timeout", tide.timeout, 0.01, one.recvfrom, one)
  end))

  it("takes names: localhost", run(function()
    local one, other, port = pair()
    local _ <close> = one
    local _ <close> = other
    one:sendto("by name", "localhost", port)
    assert.equal("by name", (other:recvfrom()))
    assert.equal("NXDOMAIN", raises("dns", one.sendto, one, "x", "x.invalid", 1).code)
    assert.equal("NXDOMAIN", raises("dns", one.connect, one, "x.invalid", 1).code)
  end))

  it("has unix sockets, whose files go with them", run(function()
    local path = os.tmpname()
    os.remove(path)
    local one <close> = net.udp("unix:" .. path)
    local other = net.udp("unix:" .. path .. "2")
    other:sendto("hello", "unix:" .. path)
    local data, from = one:recvfrom()
    assert.same({ "hello", "unix:" .. path .. "2" }, { data, from })
    assert.equal("EADDRINUSE", raises("os", net.udp, "unix:" .. path).code)
    other:close()
    assert.is_nil(io.open(path .. "2"))
  end))

  it("waits while a unix socket is full", run(function()
    local path = "unix:@tide-spec-" .. helper.count_fds() .. os.time()
    local one <close> = net.udp(path)
    local other = net.udp "unix:@tide-spec-other"
    local _ <close> = other
    local sent = 0
    local task = tide.spawn(function()
      for i = 1, 2000 do
        other:sendto(tostring(i), path)
        sent = i
      end
    end)
    tide.sleep(0.05)
    assert(sent < 2000 and sent > 0)
    for i = 1, 2000 do assert.equal(tostring(i), (one:recvfrom())) end
    task:await()
  end))

  it("joins groups, and leaves them", run(function()
    local one <close> = net.udp { host = "0.0.0.0" }
    local _, port = one:address()
    one:join("239.1.2.3", { interface = "lo" })
    raises("os", one.join, one, "239.1.2.3", { interface = "lo" })
    one:leave("239.1.2.3", { interface = "lo" })
    raises("os", one.leave, one, "239.1.2.3", { interface = "lo" })
    raises("os", one.join, one, "127.0.0.1")
    fails("there is no 'nosuch'", one.join, one, "239.1.2.3", { interface = "nosuch" })
    assert(port > 0)
  end))

  it("one task at a time receives; who is cancelled, or killed, leaves the place", run(function()
    local one, other, port = pair()
    local _ <close> = one
    local _ <close> = other
    local waits = tide.spawn(other.recvfrom, other)
    tide.sleep(0)
    raises("invalid_state", other.recvfrom, other)
    waits:cancel()
    tide.sleep(0)
    raises("timeout", tide.timeout, 0.01, other.recvfrom, other)
    local killed = tide.spawn(other.recvfrom, other)
    tide.sleep(0)
    killed:kill()
    one:sendto("still there", "127.0.0.1", port)
    assert.equal("still there", (other:recvfrom()))
  end))

  it("closed while somebody waits, tells that one", run(function()
    local one <close> = net.udp()
    local task = tide.spawn(one.recvfrom, one)
    tide.sleep(0)
    one:close()
    one:close()
    raises("closed", task.await, task)
    raises("closed", one.sendto, one, "x", "127.0.0.1", 1)
    raises("closed", one.address, one)
    assert.equal("Datagram(closed)", tostring(one))
  end))

  it("refuses bad arguments", run(function()
    local one <close> = net.udp()
    fails("unknown option 'hots'", net.udp, { hots = "x" })
    fails("not a port", one.sendto, one, "x", "127.0.0.1", 65536)
    fails("string expected", one.sendto, one)
    fails("'ttl'", net.udp, { ttl = 256 })
    raises("dns", net.udp, { host = "no host" })
    assert.equal("EADDRNOTAVAIL", raises("os", net.udp, { host = "192.0.2.1" }).code)
  end))
end)
