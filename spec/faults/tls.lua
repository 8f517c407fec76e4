-- spec.faults.tls: encrypted streams, in a run of tide.testing. Nobody may be kept waiting, and nothing
-- may pass that nobody has vouched for.
local tide = require "tide"
local net, testing = tide.net, require "tide.testing"

-- Of nobody, for nothing but this.
local CERT = [[
-----BEGIN CERTIFICATE-----
MIIBjzCCATWgAwIBAgIUDdLUHNXyeaMb2R1itqBOLBzEqrswCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGZmF1bHRzMCAXDTI2MTIwMTEyNTAyMFoYDzIxMjYxMTA3MTI1
MDIwWjARMQ8wDQYDVQQDDAZmYXVsdHMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATOEvRwJ0FZfsz3ni9FBRpNskSUWA6hF2SP2lDOHdxkS1o18VQeM0y1LEsHg0js
NXXOoCoOIsUoIyeJKnC/q9kPo2kwZzAdBgNVHQ4EFgQUmw2mER9HwB/PF5wVWN5H
A+dVw+MwHwYDVR0jBBgwFoAUmw2mER9HwB/PF5wVWN5HA+dVw+MwDwYDVR0TAQH/
BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwIDSAAwRQIg
LRdg4OXP8B7CSnzMvv/5SHw6vhLDj3aKB76P5ByYePUCIQDbjVyYVuNtdQOQy7xz
XI/9fgexH6mdO26xQQYlMQ2Lrw==
-----END CERTIFICATE-----
]]
local KEY = [[
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIP1lgfOKBNI6hNR8ipEUYZihTTOYGz2FRUpJZN14lH/uoAoGCCqGSM49
AwEHoUQDQgAEzhL0cCdBWX7M954vRQUaTbJElFgOoRdkj9pQzh3cZEtaNfFUHjNM
tSxLB4NI7DV1zqAqDiLFKCMniSpwv6vZDw==
-----END EC PRIVATE KEY-----
]]

local SERVER = { cert = CERT, key = KEY }
local CLIENT = { ca = CERT, server_name = "localhost" }

local scenarios = {}

local function define(name, body)
  scenarios[name] = function()
    testing.run(function() tide.timeout(5, body) end)
  end
end

local function echo(stream)
  for chunk in stream:chunks() do stream:write(chunk) end
end

local function talk(stream)
  assert(stream:tls().peer.names[1] == "localhost")
  stream:write "hello\n"
  assert(stream:read_line() == "hello")
  stream:close_write()
  assert(stream:read_all() == "")
end

-- In place: both ends in one program. Whose other end fails is cancelled.
define("pair", function()
  local one, other = net.pair()
  tide.TaskGroup(function(group)
    group:spawn(function()
      local mine <close> = other
      mine:starttls { server = true, cert = CERT, key = KEY }
      echo(mine)
    end)
    local mine <close> = one
    mine:starttls { server = false, ca = CERT, server_name = "localhost" }
    talk(mine)
  end)
end)

-- A server and its client.
define("served", function()
  local server <close> = net.serve(echo, "127.0.0.1", 0, { tls = SERVER, on_error = function() end })
  local host, port = server:address()
  local stream <close> = net.connect(host, port, { tls = CLIENT })
  talk(stream)
end)

-- A client that believes nobody: it never gets through.
define("stranger", function()
  local server <close> = net.serve(echo, "127.0.0.1", 0, { tls = SERVER, on_error = function() end })
  local host, port = server:address()
  local ok, err = pcall(net.connect, host, port, { tls = { server_name = "localhost" } })
  assert(not ok)
  if type(err) == "table" and err.kind == "tls" then assert(err.reason == "self_signed" or err.reason == "truncated") end
end)

-- Files, of which none can be read.
define("files", function()
  local ok = pcall(net.listen, "127.0.0.1", 0, { tls = { cert = "/nowhere.pem", key = "/nowhere.key" } })
  assert(not ok)
  ok = pcall(net.listen, "127.0.0.1", 0, { tls = { cert = "README.md" } })
  assert(not ok)
end)

return scenarios
