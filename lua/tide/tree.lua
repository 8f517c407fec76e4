-- tide.tree: what runs, drawn as a tree; and what a deadlock's error says.
local tide = require "tide"

local time, tree_nodes = tide.time, tide.tree_nodes

local _, meta = tide.new_class "Tree"

local function seconds(span)
  if span < 1 then return string.format("%.0f ms", span * 1000) end
  return string.format("%.1f s", span)
end

-- A name, on one line.
local function quoted(name)
  return "'" .. string.gsub(name, "%c", "?") .. "'"
end

-- What the task waits for, in words.
local function wait_of(node)
  if node.awaits then return "task " .. quoted(node.awaits:name()) end
  return node.waits_for
end

local function describe_task(node, now)
  local who = node.task and "task " .. quoted(node.name) or "a " .. (node.name or "task")
  local parts = { string.format("%s %s", who, node.waits_for and "waits for " .. wait_of(node) or "is " .. node.status) }
  if node.waits_for then
    local span = now - node.since
    if span >= 0.001 then parts[2] = seconds(span) end
  end
  if node.where then parts[#parts + 1] = "at " .. node.where end
  if node.spawned_at then parts[#parts + 1] = "spawned at " .. node.spawned_at end
  return parts
end

local function describe_group(node)
  local name = node.name and " " .. quoted(node.name) or ""
  local held = node.held > 0 and string.format(", %d to start", node.held) or ""
  return { string.format("TaskGroup%s: %d running%s", name, node.running, held) }
end

local function describe_scope(node, now)
  if node.deadline then return { string.format("timeout: %s left", seconds(math.max(0, node.deadline - now))) } end
  if node.iterator then return { string.format("iterator '%s'%s", node.iterator, node.shield and ", closing" or "") } end
  return { node.shield and "shield" or "scope" }
end

local function describe_greenlet(node)
  return { node.suspended and "greenlet, suspended" or "greenlet", node.where and "at " .. node.where }
end

local describe = { task = describe_task, group = describe_group, greenlet = describe_greenlet, scope = describe_scope }

local function line_of(node, now)
  local parts = describe[node.kind](node, now)
  if node.cancelled then parts[#parts + 1] = "cancelled" end
  return table.concat(parts, ", ")
end

-- Adds the lines of what is below the node. Without recursion: the tree may be deep.
local function draw(root, now)
  local lines = {}
  local stack = { { node = root, next = 1, prefix = "" } }
  while #stack > 0 do
    local top = stack[#stack]
    local child = top.node.children[top.next]
    if not child then
      stack[#stack] = nil
    else
      local last = top.next == #top.node.children
      top.next = top.next + 1
      lines[#lines + 1] = top.prefix .. (last and "└─ " or "├─ ") .. line_of(child, now)
      stack[#stack + 1] = { node = child, next = 1, prefix = top.prefix .. (last and "   " or "│  ") }
    end
  end
  return lines
end

function meta:__tostring()
  if self.kind ~= "loop" then return line_of(self, time()) end
  local lines = draw(self, self.time)
  table.insert(lines, 1, string.format("tide: %d task%s", self.tasks, self.tasks == 1 and "" or "s"))
  return table.concat(lines, "\n")
end

-- Calls visit(node) for all below `root`, parents first.
local function walk(root, visit)
  local stack = { root }
  while #stack > 0 do
    local node = table.remove(stack)
    if node ~= root then visit(node) end
    for i = #node.children, 1, -1 do stack[#stack + 1] = node.children[i] end
  end
end

-- tide.tree() -> the tree of all tasks, groups and scopes; tostring draws it
local function tree()
  local root = tree_nodes()
  local tasks = 0
  walk(root, function(node)
    setmetatable(node, meta)
    if node.task then tasks = tasks + 1 end
  end)
  local top = { kind = "loop", time = time(), tasks = tasks, cancelled = root.cancelled, children = root.children }
  return setmetatable(top, meta)
end
tide.tree = tree

local LISTED = 20 -- tasks in the text of a deadlock

-- The message of the error `deadlock`: who waits for what. A task that runs has a run of tide.testing
-- inside.
tide.set_hook("deadlock", function(message)
  local lines, count = { message }, 0
  local top = tree()
  walk(top, function(node)
    if not node.waits_for then return end
    count = count + 1
    if count <= LISTED then lines[#lines + 1] = "  " .. line_of(node, top.time) end
  end)
  if count == 0 then return message end
  lines[1] = message .. ":"
  if count > LISTED then lines[#lines + 1] = string.format("  and %d more", count - LISTED) end
  return table.concat(lines, "\n")
end)
