-- ExceptionGroup and except*: an ErrorGroup, taken apart by kind, also where groups are in groups.
local tide = require "tide"

local TaskGroup, sleep = tide.TaskGroup, tide.sleep

local function fail(kind, message, delay)
  sleep(delay or 0)
  error(tide.error(kind, message))
end


local function messages(group)
  local list = {}
  for _, err in ipairs(group:leaves()) do list[#list + 1] = err.message end
  table.sort(list)
  return table.concat(list, " ")
end

-- Each handler gets its part, whole groups down.
tide.catch(function()
  TaskGroup(function(group)
    group:spawn(fail, "value", "one")
    group:spawn(fail, "type", "two")
    group:spawn(fail, "value", "three")
  end)
end, {
  value = function(part) print("values: " .. messages(part)) end,
  type = function(part) print("types: " .. messages(part)) end,
})

-- What nobody handles goes on.
local _, err = tide.try(tide.catch, function()
  TaskGroup(function(group)
    group:spawn(fail, "value", "one")
    group:spawn(fail, "type", "two")
  end)
end, { value = function(part) print("handled: " .. messages(part)) end })
print("left: " .. messages(err))

-- A lone error is a group of one.
tide.catch(function() fail("value", "lone") end, {
  value = function(part) print(#part.errors .. ": " .. messages(part)) end,
})

-- Parts by a predicate, of groups in groups.
_, err = tide.try(function()
  TaskGroup(function(outer)
    outer:spawn(function()
      TaskGroup(function(inner)
        inner:spawn(fail, "value", "deep", 0.01)
        inner:spawn(fail, "type", "deeper", 0.01)
      end)
    end)
  end)
end)
local matching, rest = err:split(function(leaf) return leaf.message == "deep" end)
print("matching: " .. messages(matching) .. ", in groups: " .. #matching.errors)
print("rest: " .. messages(rest))
print("none: " .. tostring(err:subgroup "key" == nil))
