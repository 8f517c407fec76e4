-- Greenlets: functions that switch to each other in the middle, and where their ends go.
local tide = require "tide"

local greenlet = tide.greenlet

-- Two that take turns. The first to end goes back to who made it; the other stays where it is.

local knit, purl

knit = greenlet(function()
  print "knit"
  print("and again, with " .. purl:switch "wool")
  return "a scarf"
end)

purl = greenlet(function(thread)
  print("purl, with " .. thread)
  knit:switch "needles"
  print "never"
end)

local function name(g) return g.dead and "dead" or "alive" end

print("made: " .. knit:switch())
print(("knit is %s and purl %s"):format(name(knit), name(purl)))

-- A function that calls back, deep inside, becomes one that is asked.

local function walk(tree, visit)
  if tree.left then walk(tree.left, visit) end
  visit(tree.value)
  if tree.right then walk(tree.right, visit) end
end

local function values_of(tree)
  local asker = greenlet.current()
  local walker = greenlet(function()
    walk(tree, function(value) asker:switch(value) end)
  end)
  return function() return walker:switch() end -- nil when it has ended
end

local function leaf(value) return { value = value } end
local values = {}
for value in values_of { left = leaf(1), value = 2, right = { left = leaf(3), value = 4, right = leaf(5) } } do
  values[#values + 1] = value
end
print(table.concat(values, " "))

-- Errors go to the parent; and from outside into one that is suspended.

local failing = greenlet(function() error(tide.error("value", "as planned")) end)
local _, err = tide.try(failing.switch, failing)
print("the parent gets: " .. err.message)

local listener = greenlet(function()
  local parent = greenlet.current().parent
  while true do
    local ok, thrown = pcall(parent.switch, parent, "listening")
    if not ok then print("thrown into it: " .. thrown.message) end
  end
end)
print(listener:switch())
print(listener:throw(tide.error("value", "a stone")))

-- A parent may be changed, and one that is dead is passed over.

local function relay(...) return table.concat({ ... }, " ") end

local first, second = greenlet(relay), greenlet(relay)
first.parent = second
print(first:switch("by", "the", "second"))
print(first:switch "through the dead")

-- What is open is closed.

local holder = greenlet(function()
  local _ <close> = tide.defer(print, "let go")
  greenlet.current().parent:switch()
end)
holder:switch()
holder:close()
print("holder is " .. name(holder))
