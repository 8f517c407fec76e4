-- An echo server over TLS, with a certificate that is made on the fly, and clients that believe it, or
-- do not:
--
--     tide examples/tls_echo.lua
local tide = require "tide"
local net = tide.net

-- An authority of our own, in memory: a certificate for localhost that vouches for itself.
local function new_certificate()
  local pipe <close> = assert(io.popen("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
    .. "-days 1 -subj /CN=echo -addext subjectAltName=DNS:localhost -keyout - -out - 2>/dev/null"))
  local pem = pipe:read "a"
  return assert(pem:match "%-%-%-%-%-BEGIN CERTIFICATE.*", "the program openssl is needed"),
    pem:match "%-%-%-%-%-BEGIN PRIVATE KEY.-%-%-%-%-%-END PRIVATE KEY%-%-%-%-%-\n"
end

local function echo(stream)
  for line in stream:lines() do stream:write(line, "\n") end
end

local cert, key = new_certificate()
local server <close> = net.serve(echo, "127.0.0.1", 0, {
  tls = { cert = cert, key = key },
  on_error = function(err) print("the server hears: " .. (err.reason or err.kind)) end,
})
local _, port = server:address()

local function say(name, options, words)
  local stream <close> = net.connect("127.0.0.1", port, { tls = options })
  stream:write(words, "\n")
  print(("%s, %s: %s"):format(name, stream:tls().version, stream:read_line()))
end

say("a friend", { ca = cert, server_name = "localhost" }, "hello")
say("who believes everybody", { verify = false }, "hello again")

local _, err = tide.try(say, "a stranger", { server_name = "localhost" }, "hello")
print("a stranger: " .. err.reason)
_, err = tide.try(say, "who wants another", { ca = cert, server_name = "example.org" }, "hello")
print("who wants another: " .. err.message)
