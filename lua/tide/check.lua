-- tide.check: wrong arguments, told in the manner of Lua's own library.
local tide = require "tide"

local is_callable, type_name, read_options = tide.is_callable, tide.type_name, tide.read_options

local MOST = 2147483647 -- entries of a list

local check = { is_callable = is_callable, type_name = type_name }

-- Raises "bad argument". `level` is as for error: whose fault it is, seen from who calls this: 2 is
-- the caller of the public function that calls it, and each function in between adds 1.
function check.fail(position, name, what, level)
  error(string.format("bad argument #%d to '%s' (%s)", position, name, what), level + 1)
end

-- Raises "bad argument ... (function expected, got nil)".
function check.unexpected(position, name, expected, got, level)
  check.fail(position, name, string.format("%s expected, got %s", expected, type_name(got)), level + 1)
end

function check.callable(position, name, value, level)
  if not is_callable(value) then check.unexpected(position, name, "function", value, level + 1) end
end

function check.type(position, name, expected, value, level)
  if type(value) ~= expected then check.unexpected(position, name, expected, value, level + 1) end
end

-- How many entries a list has, which may be one of table.pack's.
function check.length(position, name, list, level)
  local length = math.type(list.n) == "integer" and list.n or #list
  if length > MOST then check.fail(position, name, "field 'n' must be at most " .. MOST, level + 1) end
  return length
end

-- A number of seconds.
function check.seconds(position, name, value, level)
  check.type(position, name, "number", value, level + 1)
  if value ~= value then check.fail(position, name, "must not be NaN", level + 1) end
end

local function options_read(position, name, level, problem, ...)
  if problem then check.fail(position, name, problem, level + 1) end
  return ...
end

-- The values of the options that are known, in their order: bindings/options.c says how `known` is
-- written. Raises for others, and for values that are wrong.
function check.options(position, name, known, options, level)
  if options ~= nil then check.type(position, name, "table", options, level + 1) end
  return options_read(position, name, level, read_options(options, known))
end

-- The object of a method, which is of that class where `is` says so.
function check.self(is, name, class, value, level)
  if is then return end
  error(string.format("calling '%s' on bad self (%s expected, got %s)", name, class, type_name(value)), level + 1)
end

return check
