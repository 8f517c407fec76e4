-- tide.errors: groups of errors, and catching parts of them.
--
-- Groups may be nested as deeply as functions may call themselves: what goes through them keeps a list of
-- where it is, and does not recurse.
local tide = require "tide"

local check = require "tide.check"

local raw_pcall = tide.raw.pcall
local traced, raise_traced = tide.traced, tide.raise_traced -- a pcall that lets cancellation through
local new_error = tide.error
local counts = tide.counts
local pack, unpack = table.pack, table.unpack

local methods = tide.error_methods
local tide_type = tide.type

-- The kind by which a value is sorted: of errors that are not tide's, "error".
local function kind_of(err)
  if tide_type(err) == "tide.error" then return err.kind end
  return "error"
end

-- Whether it is an ErrorGroup. Programs may make errors of that kind that have no list.
local function is_group(err)
  return tide_type(err) == "tide.error" and err.kind == "group" and type(rawget(err, "errors")) == "table"
end

-- ---- what a group says

local LINES_MAX = 100 -- of a description
local DEPTH_MAX = 10 -- of groups in groups that are described

local function text_of(err)
  local ok, text = raw_pcall(tostring, err)
  return ok and text or "an error whose __tostring failed"
end

local function plural(count)
  return string.format("%d task%s", count, count == 1 and "" or "s")
end

-- What failed: of a part of a group that is not known.
local function heading(group)
  local count, by_body = #group.errors, rawget(group, "by_body")
  local what
  if by_body == nil then
    what = string.format("%d error%s", count, count == 1 and "" or "s")
  elseif not by_body then
    what = plural(count) .. " failed"
  elseif count == 1 then
    what = "the body failed"
  else
    what = plural(count - 1) .. " and the body failed"
  end
  local name = rawget(group, "name")
  return name and string.format("TaskGroup '%s': %s", name, what) or what
end

local add_group

-- Adds an error to the lines, or says how many there are no more of.
local function add_error(lines, number, err, depth)
  local indent = string.rep("    ", depth - 1) .. "  "
  if is_group(err) then
    if depth == DEPTH_MAX then
      lines[#lines + 1] = string.format("%s%d. group: %s, in groups deeper than are shown", indent, number, heading(err))
    else
      add_group(lines, string.format("%s%d. group: ", indent, number), err, depth + 1)
    end
  else
    local text = string.gsub(text_of(err), "\n", "\n  " .. indent)
    lines[#lines + 1] = string.format("%s%d. %s", indent, number, text)
  end
end

function add_group(lines, prefix, group, depth)
  lines[#lines + 1] = prefix .. heading(group)
  for i, err in ipairs(group.errors) do
    if #lines >= LINES_MAX then
      lines[#lines + 1] = string.format("%s  and %d more", string.rep("    ", depth - 1), #group.errors - i + 1)
      return
    end
    add_error(lines, i, err, depth)
  end
end

local function describe(group)
  local lines = {}
  add_group(lines, "", group, 1)
  return table.concat(lines, "\n")
end

-- The message of a group is made when it is asked for: making it costs more than raising.
tide.set_hook("group_message", function(err)
  if is_group(err) then return describe(err) end
end)

-- An ErrorGroup of the list `errors`; it keeps the list. `by_body`: whether the body of the TaskGroup is
-- one of those that failed; nil where that is not known.
local function group_error(errors, name, by_body)
  local err = new_error("group", nil, { errors = errors, name = name })
  err.by_body = by_body
  return err
end

-- ---- parts of a group

local function of_kind(kind)
  return function(err) return kind_of(err) == kind end
end

-- The predicate that `what` stands for, of the method named.
local function matcher(what, name)
  if type(what) == "string" then return of_kind(what) end
  if not check.is_callable(what) then check.unexpected(1, name, "kind or function", what, 3) end
  return what
end

local function check_group(err, name)
  check.self(is_group(err), name, "ErrorGroup", err, 3)
end

-- An ErrorGroup of the list, which is a part of another's; nil where it is empty.
local function part_of(group, errors)
  if #errors == 0 then return nil end
  local part = group_error(errors, rawget(group, "name"))
  part.traceback = rawget(group, "traceback")
  return part
end

-- Calls enter(group), leaf(err), leave(group) for a group and all in it, in order; not for one that is in
-- itself, again.
local function walk(group, enter, leaf, leave)
  local groups, places, depth = { group }, { 0 }, 1
  local entered = { [group] = true }
  enter(group)
  while depth > 0 do
    local list, place = groups[depth].errors, places[depth] + 1
    local err = list[place]
    places[depth] = place
    if err == nil then
      leave(groups[depth])
      entered[groups[depth]] = nil
      groups[depth] = nil
      depth = depth - 1
    elseif not is_group(err) then
      leaf(err)
    elseif not entered[err] then
      depth = depth + 1
      groups[depth], places[depth], entered[err] = err, 0, true
      enter(err)
    end
  end
end

local function nothing() end

-- The two parts of a group, each of its shape, or nil where a part is empty.
local function split(group, matches)
  local above = {} -- {yes, no} of the groups around, from the outermost on
  local yes, no
  local function enter()
    above[#above + 1] = { yes, no }
    yes, no = {}, {}
  end
  local function leaf(err)
    local list = matches(err) and yes or no
    list[#list + 1] = err
  end
  local function leave(inner)
    local inner_yes, inner_no = part_of(inner, yes), part_of(inner, no)
    yes, no = unpack(table.remove(above), 1, 2)
    if #above == 0 then
      yes, no = inner_yes, inner_no
    else
      yes[#yes + 1] = inner_yes
      no[#no + 1] = inner_no
    end
  end
  walk(group, enter, leaf, leave)
  return yes, no
end

-- group:split(what) -> matching, rest; `what` is a kind or a predicate
function methods:split(what)
  check_group(self, "split")
  return split(self, matcher(what, "split"))
end

-- group:subgroup(what) -> matching
function methods:subgroup(what)
  check_group(self, "subgroup")
  return (split(self, matcher(what, "subgroup")))
end

-- group:leaves() -> list of the errors in it and in the groups in it
function methods:leaves()
  check_group(self, "leaves")
  local list = {}
  walk(self, nothing, function(err) list[#list + 1] = err end, nothing)
  return list
end

-- ---- catch

local CATCH_ALL = 1 -- the key of the handler without a kind

-- The kinds in a group, each once, in order of appearance.
local function kinds_in(group)
  local kinds, seen = {}, {}
  for _, err in ipairs(group:leaves()) do
    local kind = kind_of(err)
    if not seen[kind] then
      seen[kind] = true
      kinds[#kinds + 1] = kind
    end
  end
  return kinds
end

-- What the handlers of a catch have done.
local Handling = {}
Handling.__index = Handling

-- Calls a handler for a part. What it raises is kept, with its traceback.
function Handling:call(handler, part)
  local results = pack(traced(handler, part))
  self.handled = true
  if results[1] then
    self.results = results
  else
    self.raised[#self.raised + 1] = results[2]
    self.traceback = self.traceback or results[3]
  end
end

-- Returns the results of the handler that was called last, or raises what handlers have raised and `rest`.
function Handling:finish(rest)
  local raised = self.raised
  if #raised == 0 and not rest then return unpack(self.results, 2, self.results.n) end
  if #raised == 0 then return raise_traced(rest, rest.traceback) end
  if not rest and #raised == 1 then return raise_traced(raised[1], self.traceback) end
  raised[#raised + 1] = rest
  return error(group_error(raised), 0)
end

local function handle(handlers, err, traceback)
  local rest = is_group(err) and err or group_error { err == nil and "<no error object>" or err }
  local handling = setmetatable({ handled = false, results = nil, raised = {}, traceback = nil }, Handling)
  if rest ~= err then rest.traceback = traceback end
  for _, kind in ipairs(kinds_in(rest)) do
    if handlers[kind] and rest then
      local part
      part, rest = split(rest, of_kind(kind))
      handling:call(handlers[kind], part)
    end
  end
  if rest and handlers[CATCH_ALL] then
    handling:call(handlers[CATCH_ALL], rest)
    rest = nil
  end
  if not handling.handled then return raise_traced(err, traceback) end
  return handling:finish(rest)
end

local function finish(handlers, ok, ...)
  if ok then return ... end
  return handle(handlers, ...)
end

local function check_handlers(handlers)
  check.type(2, "catch", "table", handlers, 3)
  for kind, handler in pairs(handlers) do
    if math.type(kind) == "integer" and handlers[CATCH_ALL] ~= nil and kind ~= CATCH_ALL then
      check.fail(2, "catch", "only one handler can be without a kind", 3)
    elseif type(kind) ~= "string" and kind ~= CATCH_ALL then
      check.fail(2, "catch", string.format("its keys must be kinds, which are strings, got %s", type(kind)), 3)
    elseif not check.is_callable(handler) then
      local name = kind == CATCH_ALL and "without a kind" or string.format("of kind '%s'", kind)
      check.fail(2, "catch", string.format("the handler %s must be a function, got %s", name, type(handler)), 3)
    end
  end
end

-- tide.catch(fn, {kind = handler, ..., handler}): except*. Each handler gets the subgroup of its kind, the
-- one without a kind what is left; what nobody handled is raised again. Errors that are not tide's are of
-- kind "error". -> fn's results, or those of the handler that was called last
function tide.catch(fn, handlers)
  counts()
  check.callable(1, "catch", fn, 2)
  check_handlers(handlers)
  return finish(handlers, traced(fn))
end

return { group_error = group_error }
