-- A tour of tide in two seconds: a chat server (examples/chat.lua) and a dozen clients on the
-- loopback, all tasks of this one process. It tells what happens and ends by itself.
package.path = (arg and arg[0] or ""):gsub("[^/]*$", "") .. "?.lua;" .. package.path

local tide = require "tide"
local chat = require "chat"

local TaskGroup, net, sleep, spawn, time = tide.TaskGroup, tide.net, tide.sleep, tide.spawn, tide.time

local began = time()

local function say(format, ...)
  print(("%5.2f s  " .. format):format(time() - began, ...))
end

local function title(text)
  print("\n" .. text)
end

-- A client: joins under a name, and reads what is said until the server hangs up.
local heard = {}

local function join(room, name)
  local stream = net.connect(room.server:address())
  stream:read_line()
  stream:write(name, "\n")
  heard[name] = 0
  return stream
end

local function listen(room, name)
  local stream <close> = join(room, name)
  for _ in stream:lines() do heard[name] = heard[name] + 1 end
end

local function total()
  local sum = 0
  for _, count in pairs(heard) do sum = sum + count end
  return sum
end

-- Waits until condition() holds; not for ever.
local function await(condition)
  tide.timeout(10, function()
    while not condition() do sleep(0.001) end
  end)
end

title "A server, and a dozen clients, each a task of its own"
local room = chat.open {
  host = "127.0.0.1", port = 0, outbox = 50,
  log = function(text) if not text:find "joined" then say("server: %s", text) end end,
}
say("listening on %s:%d", room.server:address())
local names = { "ann", "bob", "cid", "dee", "eva", "fay", "gil", "hal", "ian", "joy" }
local listeners = {}
for i, name in ipairs(names) do listeners[i] = spawn(listen, room, name):set_name(name) end
local max, sloth = join(room, "max"), join(room, "sloth")
await(function() return room.joined == 12 end)
sleep(0.1) -- until everyone has read who came
say("%d connections, %d tasks", #room.server, #tide.all_tasks())

title "Everyone hears everyone"
local before, start = total(), time()
for i = 1, 100 do max:write("hello ", i, "\n") end
await(function() return total() - before >= 1000 end)
say("max said 100 lines, the others heard 1000, %.0f ms later", (time() - start) * 1000)

title "A slow client holds nobody up: sloth reads nothing, and its outbox fills"
local long, lines = ("z"):rep(30000), 0
before = total()
while room.clients.sloth do
  max:write(long, "\n")
  lines = lines + 1
  sleep(0.001)
end
await(function() return total() - before >= (lines + 1) * #names end) -- and that sloth left
say("%d MB were said, and all the others have heard them", lines * #long // 1000000)
sloth:close()

title "A task that crashes takes its group along, which cleans up, and nothing else"
local function bot(name, seconds)
  local stream <close> = join(room, name)
  sleep(seconds)
  stream:write(name, " is about to crash\n")
  sleep(0.05)
  error(name .. " hit a bug")
end
tide.catch(function()
  local bots <close> = TaskGroup { name = "bots" }
  bots:spawn(bot, "robin", 60)
  bots:spawn(bot, "rusty", 0.5)
  bots:spawn(bot, "ruby", 60)
end, {
  error = function(group) say("caught: %s", group.errors[1]) end,
})
await(function() return #room.server == 11 end)
say("all three bots have closed their streams; %d connections go on", #room.server)

title "A timeout: nobody answers max within half a second"
max:write("anybody there?\n")
local _, err = tide.try(tide.timeout, 0.5, max.read_until, max, "yes!")
say("%s; the stream is unharmed: %s", err.kind, max:read_line())

title "An orderly shutdown: what was said is delivered, then every task ends"
before = total()
for i = 1, 50 do max:write("goodbye ", i, "\n") end
max:close_write()
await(function() return not room.clients.max end)
room:close(1)
tide.gather(listeners)
max:close()
say("the others heard %d lines; %d connections, %d task left", total() - before, #room.server,
  #tide.all_tasks())
