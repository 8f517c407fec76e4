-- A chat server. A client's first line is its name, every further one is said to all the others.
--   tide examples/chat.lua [host [port]]     then: nc 127.0.0.1 4000
--   tide examples/chat.lua unix:/tmp/chat    then: nc -U /tmp/chat
-- Each client has a task that reads and one that writes what is in its outbox, a queue. Nobody
-- waits for a slow client: one whose outbox is full is thrown out.
local tide = require "tide"

local Queue, TaskGroup, net, sleep = tide.Queue, tide.TaskGroup, tide.net, tide.sleep

local Room = {}
Room.__index = Room

local function deliver(client, line)
  if not client.outbox:full() then return client.outbox:put_nowait(line .. "\n") end
  client.room.clients[client.name] = nil
  client.room.log(client.name .. " is too slow")
  client.group:cancel("too slow")
end

function Room:say(line, but)
  for _, client in pairs(self.clients) do
    if client ~= but then deliver(client, line) end
  end
end

function Room:enter(client)
  self:say(("* %s has joined"):format(client.name))
  self.clients[client.name] = client
  self.joined = self.joined + 1
  self.log(client.name .. " has joined")
end

function Room:leave(client)
  if self.clients[client.name] == client then self.clients[client.name] = nil end
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
  for line in stream:lines() do
    room:say(client.name .. ": " .. line, client)
    sleep(0) -- who says much at once lets the writers go on in between
  end
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

-- What a connection that breaks, or a line that is too long, is handled by: the client has left.
local function leaves() end

local chat = {}

-- chat.open{host=, port=, outbox=lines, log=fn} -> room
function chat.open(opts)
  local room = setmetatable({ clients = {}, joined = 0, outbox = opts.outbox or 1000, log = opts.log or print }, Room)
  local function handler(stream)
    tide.catch(function() session(room, stream) end, { os = leaves, limit = leaves })
  end
  room.server = net.serve(handler, opts.host, opts.port)
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
