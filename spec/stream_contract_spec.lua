-- The contract of streams, over every kind of socket.
local tide = require "tide"
local helper = require "spec.helper"
local certificates = require "spec.certificates"
local contract = require "spec.contract.stream"

local net = tide.net

local function unix_path()
  local path = os.tmpname()
  os.remove(path)
  return "unix:" .. path
end

local function over(host, port)
  return function()
    local listener <close> = net.listen(type(host) == "string" and host or host(), port)
    local stream = net.connect(listener:address())
    return stream, listener:accept()
  end
end

-- Less of it where there is less data: it is to become full.
local function memory() return net.memory_pair(helper.size(64 * 1024)) end

local function over_tls(connect, options)
  return function()
    local client, server = connect()
    return certificates.secure(client, server, options, options)
  end
end

local transports = {
  { "TCP over IPv4", over("127.0.0.1", 0) },
  { "TCP over IPv6", over("::1", 0), optional = true },
  { "a unix socket", over(unix_path) },
  { "an abstract unix socket", over(function() return "unix:@" .. unix_path():sub(6) end), optional = true },
  { "net.pair", net.pair },
  { "memory", memory, memory = true },
  { "very little memory", function() return net.memory_pair(7) end, memory = true },
}

local function available(connect)
  return pcall(helper.run_now, function()
    for _, stream in ipairs { connect() } do stream:close() end
  end)
end

for _, transport in ipairs(transports) do
  local name, connect = table.unpack(transport)
  name = "Stream over " .. name .. ":"
  if not transport.optional or available(connect) then
    contract(connect, name, { memory = transport.memory })
  else
    it(name .. " is not available here", function() pending(name) end)
  end
end

contract(net.pair, "Stream over net.pair, with tasks in any order:", { run = { clock = "real", seeds = 3 } })
contract(memory, "Stream over memory, in virtual time:", { run = { clock = "virtual" }, memory = true })
contract(net.pair, "Stream over net.pair, in virtual time:", { run = { clock = "virtual" } })

if certificates.available then
  local old = { min_version = "1.2" }
  contract(over_tls(over("127.0.0.1", 0)), "Stream over TLS over TCP:", { tls = true })
  contract(over_tls(net.pair, old), "Stream over TLS over net.pair:", { tls = true })
  contract(over_tls(memory), "Stream over TLS over memory:", { memory = true, tls = true })
  contract(over_tls(function() return net.memory_pair(1000) end), "Stream over TLS over little memory:",
    { memory = true, tls = true })
  contract(over_tls(net.pair), "Stream over TLS, with tasks in any order:", { run = { clock = "real", seeds = 3 }, tls = true })
  contract(over_tls(memory), "Stream over TLS over memory, in virtual time:",
    { run = { clock = "virtual" }, memory = true, tls = true })
else
  it("Stream over TLS is not available here", function() pending "no OpenSSL, or not its program" end)
end
