-- tide.errors: groups of errors, and catching parts of them.
local tide = require "tide"

local check = require "tide.check"

local pcall, raw_pcall = pcall, tide.raw.pcall -- pcall is tide's: it lets cancellation through
local new_error = tide.error
local counts = tide.counts

local methods = tide.error_methods
local tide_type = tide.type

-- The kind by which a value is sorted: of errors that are not tide's, "error".
local function kind_of(err)
  if tide_type(err) == "tide.error" then return err.kind end
  return "error"
end

local function is_group(err)
  return tide_type(err) == "tide.error" and err.kind == "group"
end

local function indent(err)
  local ok, text = raw_pcall(tostring, err)
  return ok and string.gsub(text, "\n", "\n    ") or "an error whose __tostring failed"
end

local function describe(errors, name)
  local lines = {
    string.format("%s%d task%s failed", name and ("TaskGroup '" .. name .. "': ") or "", #errors,
      #errors == 1 and "" or "s"),
  }
  for i, err in ipairs(errors) do
    lines[#lines + 1] = string.format("  %d. %s", i, indent(err))
  end
  return table.concat(lines, "\n")
end

-- An ErrorGroup of the list `errors`; it keeps the list.
local function group_error(errors, name)
  return new_error("group", describe(errors, name), { errors = errors, name = name })
end

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

-- The two parts of a group, each of its shape, or nil where a part is empty.
local function split(group, matches)
  local yes, no = {}, {}
  for _, err in ipairs(group.errors) do
    if is_group(err) then
      local inner_yes, inner_no = split(err, matches)
      yes[#yes + 1] = inner_yes
      no[#no + 1] = inner_no
    elseif matches(err) then
      yes[#yes + 1] = err
    else
      no[#no + 1] = err
    end
  end
  return #yes > 0 and group_error(yes, group.name) or nil,
    #no > 0 and group_error(no, group.name) or nil
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
  local function add(group)
    for _, err in ipairs(group.errors) do
      if is_group(err) then add(err) else list[#list + 1] = err end
    end
  end
  add(self)
  return list
end

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

local function handle(err, handlers)
  local rest = is_group(err) and err or group_error { err == nil and "<no error object>" or err }
  local raised, handled = {}, false
  for _, kind in ipairs(kinds_in(rest)) do
    local handler = handlers[kind]
    if handler and rest then
      local part
      part, rest = split(rest, of_kind(kind))
      handled = true
      local ok, failure = pcall(handler, part)
      if not ok then raised[#raised + 1] = failure end
    end
  end
  if not handled then error(err, 0) end
  if #raised == 0 and not rest then return end
  if #raised == 0 then error(rest, 0) end
  if rest then raised[#raised + 1] = rest end
  error(#raised == 1 and raised[1] or group_error(raised), 0)
end

local function finish(handlers, ok, ...)
  if ok then return ... end
  handle((...), handlers)
end

local function check_handlers(handlers)
  check.type(2, "catch", "table", handlers, 3)
  for kind, handler in pairs(handlers) do
    if type(kind) ~= "string" then
      check.fail(2, "catch", string.format("its keys must be kinds, which are strings, got %s", type(kind)), 3)
    elseif not check.is_callable(handler) then
      check.fail(2, "catch", string.format("the handler of kind '%s' must be a function, got %s", kind, type(handler)), 3)
    end
  end
end

-- tide.catch(fn, {kind = handler, ...}): except*. Each handler gets the subgroup of its kind, what
-- nobody handled is raised again. Errors that are not tide's are of kind "error". -> fn's results
function tide.catch(fn, handlers)
  counts()
  check.callable(1, "catch", fn, 2)
  check_handlers(handlers)
  return finish(handlers, pcall(fn))
end

tide.set_hook("group_error", group_error)

return { group_error = group_error }
