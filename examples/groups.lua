-- What happens when a task of a TaskGroup fails: the others are cancelled and clean up, then the
-- group raises an error that holds every failure, of which tide.catch handles parts.
local tide = require "tide"

local TaskGroup, catch, sleep = tide.TaskGroup, tide.catch, tide.sleep

local Connection = {}
Connection.__index = Connection

function Connection:__close(err)
  print(("  %s closed%s"):format(self.name, tide.is(err, "cancelled") and " (cancelled)" or ""))
end

local function query(name, seconds, failure)
  local _ <close> = setmetatable({ name = name }, Connection)
  sleep(seconds)
  if failure then error(failure) end
  return name .. "'s rows"
end

local function all_well()
  return TaskGroup(function(group)
    local users, orders = group:spawn(query, "users", 0.02), group:spawn(query, "orders", 0.01)
    return users:await() .. " and " .. orders:await()
  end)
end

local function one_fails()
  local group <close> = TaskGroup { name = "report" }
  group:spawn(query, "users", 10)
  group:spawn(query, "orders", 0.01, tide.error("db", "table is gone"))
  sleep(10)
end

local function several_fail()
  local group <close> = TaskGroup()
  group:spawn(query, "users", 0, tide.error("db", "table is gone"))
  group:spawn(query, "orders", 0, tide.error("timeout", "server is slow"))
  group:spawn(query, "stock", 0, tide.error("db", "no permission"))
end

local function messages(group)
  local list = {}
  for i, err in ipairs(group:leaves()) do list[i] = err.message end
  return table.concat(list, "; ")
end

print "all well:"
print("  " .. all_well())

print "one fails:"
local _, err = tide.try(one_fails)
print("  " .. tostring(err):gsub("\n", "\n  "))

print "several fail:"
catch(several_fail, {
  db = function(group) print("  database: " .. messages(group)) end,
  timeout = function(group) print("  late: " .. messages(group)) end,
})

print "what nobody handles is raised again:"
_, err = tide.try(catch, several_fail, { db = function() print "  database: handled" end })
print("  left: " .. messages(err))
