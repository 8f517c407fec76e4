-- Echo server on a free port of the loopback, which it prints; runs until it is ended. Also serves the idle connections.
local tide = require "tide"

local function echo(stream)
  for data in stream:chunks(65536) do stream:write(data) end
end

local server = tide.net.serve(echo, "127.0.0.1", 0)
local _, port = server:address()
print(("port %d"):format(port))
io.stdout:flush()
server:wait_closed()
