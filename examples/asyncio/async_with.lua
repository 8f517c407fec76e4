-- async with: a to-be-closed variable; opening and closing may wait. Whatever way the block is left, it is closed, the last first.
local tide = require "tide"

local sleep, spawn = tide.sleep, tide.spawn

local Connection = {}
Connection.__index = Connection

local function connect(name)
  print("opening " .. name)
  sleep(0.01)
  return setmetatable({ name = name }, Connection)
end

function Connection:query(text)
  sleep(0.01)
  if text == "bad" then error(tide.error("value", "bad query")) end
  return self.name .. ": " .. text
end

-- Closing may wait too; also while the block is left by a cancellation, if that is kept out.
function Connection:__close(err)
  tide.shield(sleep, 0.01)
  local kind = type(err) == "table" and err.kind
  print("closed " .. self.name .. (kind and " by " .. kind or ""))
end

do
  local db <close> = connect "db"
  print(db:query "one")
end

-- Several at once.
do
  local db <close> = connect "db"
  local cache <close> = connect "cache"
  print(cache:query "two" .. ", " .. db:query "three")
end

-- Left by return.
local function first()
  local db <close> = connect "db"
  return db:query "four" -- it is closed before the caller goes on
end
print(first())

-- Left by an error.
local _, err = tide.try(function()
  local db <close> = connect "db"
  db:query "bad"
end)
print("error: " .. err.message)

-- Left by a cancellation.
local task = spawn(function()
  local _ <close> = connect "db"
  sleep(60)
end)
sleep(0.05)
task:cancel()
tide.wait { task }
print("cancelled: " .. tostring(task:cancelled()))
