-- A time service over UDP, which loses every third question, and clients that ask again:
--
--     tide examples/udp_time.lua
local tide = require "tide"
local net = tide.net

local service <close> = net.udp { host = "127.0.0.1" }
local host, port = service:address()

local server = tide.spawn(function()
  local asked = 0
  while true do
    local name, from_host, from_port = service:recvfrom()
    asked = asked + 1
    if asked % 3 ~= 0 then service:sendto(("%s %d"):format(name, os.time()), from_host, from_port) end
  end
end)

-- The seconds since 1970, and how often it had to ask.
local function ask(name)
  local socket <close> = net.udp()
  socket:connect(host, port)
  for try = 1, 5 do
    socket:send(name)
    local in_time, answer = tide.move_on_after(0.1, socket.recv, socket)
    if in_time then
      local whom, seconds = answer:match "^(%w+) (%d+)$"
      assert(whom == name)
      return tonumber(seconds), try
    end
  end
  error("no answer")
end

local names = { "ada", "bob", "cyd", "dan", "eve", "fay" }
local answers = tide.map(names, function(name) return { ask(name) } end, { limit = 2 })
local tries = 0
for i, name in ipairs(names) do
  local seconds, asked = table.unpack(answers[i])
  print(("%s knows the time: %s"):format(name, os.date("!%Y", seconds) >= "2024"))
  tries = tries + asked
end
print(("6 answers to %d questions"):format(tries))
server:cancel()
