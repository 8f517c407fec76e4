-- A chat server. A client's first line is its name, every further one is said to all the others.
--   tide examples/chat.lua [host [port]]     then: nc 127.0.0.1 4000
--   tide examples/chat.lua unix:/tmp/chat    then: nc -U /tmp/chat
-- Each client has a task that reads and one that writes what is in its outbox, a queue. Nobody
-- waits for a slow client: one whose outbox is full is thrown out.
local tide = require "tide"

local Queue, TaskGroup, net = tide.Queue, tide.TaskGroup, tide.net

local Room = {}
Room.__index = Room

local function deliver(client, line)
  if client.outbox:full() then
    client.room.log(client.name .. " is too slow")
    client.group:cancel("too slow")
  else
    client.outbox:put_nowait(line .. "\n")
  end
end

function Room:say(line, but)
  for _, client in pairs(self.clients) do
    if client ~= but then deliver(client, line) end
  end
end

function Room:enter(client)
  self:say(("* %s has joined"):format(client.name))
  self.clients[client.name] = client
  self.log(client.name .. " has joined")
end

function Room:leave(client)
  self.clients[client.name] = nil
  self:say(("* %s has left"):format(client.name))
  self.log(client.name .. " has left")
end

-- A Client: name, outbox, group of its two tasks. Closing it makes it leave the room.
local Client = {}

function Client:__close()
  self.room:leave(self)
end

local function ask_name(room, stream)
  stream:write("Your name?\n")
  for name in stream:lines() do
    if name:find("^%w+$") and not room.clients[name] then return name end
    stream:write("Another name?\n")
  end
end

local function write_outbox(client, stream)
  for line in client.outbox:iter() do stream:write(line) end
  stream:flush()
  client.group:cancel() -- all is said: there is nothing more to read for
end

local function talk(client, stream)
  local room = client.room
  room:enter(client)
  local _ <close> = client
  for line in stream:lines() do room:say(client.name .. ": " .. line, client) end
  client.outbox:close()
end

local function session(room, stream)
  local name = ask_name(room, stream)
  if not name then return end
  TaskGroup(function(group)
    local client = { name = name, room = room, group = group, outbox = Queue(room.outbox) }
    group:spawn(write_outbox, client, stream)
    talk(setmetatable(client, Client), stream)
  end)
end

-- Says goodbye to all; they get `grace` seconds to read what was said to them.
function Room:close(grace)
  self:say("* closing")
  for _, client in pairs(self.clients) do client.outbox:close() end
  self.clients = {}
  self.server:close { grace = grace or 1 }
end

local chat = {}

-- chat.open{host=, port=, outbox=lines, log=fn} -> room
function chat.open(opts)
  local room = setmetatable({ clients = {}, outbox = opts.outbox or 1000, log = opts.log or print }, Room)
  room.server = net.serve(function(stream) session(room, stream) end, opts.host, opts.port, {
    on_error = function(err) room.log("a client failed: " .. tostring(err)) end,
  })
  return room
end

local function main(host, port)
  local room = chat.open { host = host or "127.0.0.1", port = tonumber(port) or not host and 4000 or nil }
  print("listening on " .. table.concat({ room.server:address() }, " "))
  io.stdout:flush()
  local _ <close> = setmetatable({}, { __close = function() tide.shield(room.close, room) end })
  room.server:wait_closed() -- until a signal cancels it
end

if arg and arg[0]:find("chat%.lua$") then main(...) end

return chat
