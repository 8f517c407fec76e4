-- tide.testing_faults: testing.faults, which runs a function with system calls and allocations of the loop failing, each in
-- turn.
local tide = require "tide"

local check = require "tide.check"
local left = require "tide.testing_left"

local counts, is, new_error, type_of = tide.counts, tide.is, tide.error, tide.type
local spawn, wait = tide.spawn, tide.wait
local raw_pcall = tide.raw.pcall
local testing = require "tide.testing"
local run = testing.run
local parts = tide.testing_parts
local new_faults, set_faults, struck = parts.faults, parts.set_faults, parts.struck

local CALLS_MAX = 10000 -- of one sort, that are failed in turn
local SECONDS_MAX = 3600 -- of virtual time, for one run

-- What each call may fail with, of that which its caller gets to see.
local USUAL = {
  read = { "ECONNRESET", "ENOMEM" },
  write = { "EPIPE", "ENOBUFS" },
  socket = { "EMFILE" },
  socketpair = { "EMFILE" },
  accept = { "EMFILE" },
  bind = { "EADDRINUSE" },
  listen = { "EADDRINUSE" },
  connect = { "ECONNREFUSED", "ETIMEDOUT" },
  setsockopt = { "ENOMEM" },
  shutdown = { "ENOTCONN" },
  getsockname = { "ENOBUFS" },
  getpeername = { "ENOTCONN" },
  open = { "EMFILE" },
  stat = { "EACCES" },
  lstat = { "EACCES" },
  unlink = { "EACCES" },
  eventfd = { "EMFILE" },
  pthread_create = { "EAGAIN" },
}

-- ---- options

local function fail(what) check.fail(2, "faults", what, 4) end

-- The strings of an option: one, or a list; each of those for which `is_known` is true.
local function read_names(field, value, is_known, otherwise)
  local list = type(value) == "string" and { value } or value
  if type(list) ~= "table" then fail(string.format("field '%s' must be %s, or a list of them", field, otherwise)) end
  for _, name in ipairs(list) do
    if type(name) ~= "string" or not is_known(name) then
      fail(string.format("field '%s': '%s' is not %s", field, tostring(name), otherwise))
    end
  end
  return list
end

local function is_call(name) return USUAL[name] ~= nil end

local function read_options(opts)
  local memory, syscalls, errors, at = check.options(2, "faults", "memory:flag syscalls:any errors:any at:count", opts, 3)
  if memory == nil and syscalls == nil then memory, syscalls = true, true end
  if syscalls == true then
    syscalls = parts.calls()
  elseif syscalls then
    syscalls = read_names("syscalls", syscalls, is_call, "the name of a system call")
  end
  if errors then errors = read_names("errors", errors, parts.is_errno, "the name of an error, such as 'EPIPE'") end
  return { memory = memory, syscalls = syscalls or {}, errors = errors, at = at }
end

-- ---- one point

-- The to-be-closed value while faults are in effect; there is one at a time.
local Effect = {}
Effect.__index = Effect
local in_effect

-- Also while the function's task goes on, where who awaits it was cancelled: that is cancelled, then.
function Effect:__close()
  if self.task and not self.task:done() then self.task:cancel() end
  if in_effect ~= self then return end
  in_effect = self.outer
  set_faults(in_effect and in_effect.faults)
end

function Effect:begin(faults)
  self.faults, self.outer = faults, in_effect
  in_effect = self
  set_faults(faults)
  return self
end

local one_byte -- what testing.one_byte has put into effect

local function check_free()
  if in_effect == one_byte then return end
  error(new_error("already_running", "faults are in effect already"), 0)
end

-- testing.one_byte(on): whether each system call that reads or writes moves one byte only
function testing.one_byte(on)
  check.type(1, "one_byte", "boolean", on, 2)
  check_free()
  if on == (one_byte ~= nil) then return end
  if one_byte then one_byte:__close() end
  one_byte = on and setmetatable({}, Effect):begin(new_faults()) or nil
end

-- Whether the error is that of the fault, or comes of it.
local function is_of_fault(err, code)
  if type_of(err) ~= "tide.error" then
    return not code and type(err) == "string" and string.find(err, "not enough memory", 1, true) ~= nil
  end
  if not is(err, "group") then return err.code == code or err.cause ~= nil and is_of_fault(err.cause, code) end
  for _, leaf in ipairs(err:leaves()) do
    if not is_of_fault(leaf, code) then return false end
  end
  return true
end

-- An error object is an answer to a fault; other errors are mistakes.
local function check_error(err, code)
  if is(err, "deadlock") or type_of(err) ~= "tide.error" and not is_of_fault(err, code) then error(err, 0) end
end

-- Runs the function with the fault. Whether there were as many calls.
local function run_point(fn, call, at, code)
  local before = left.look()
  local failures <close> = left.collect_failures(function(err) return is_of_fault(err, code) end)
  local faults = new_faults(call, at, code)
  local effect <close> = setmetatable({}, Effect)
  local task = spawn(function()
    local _ <close> = effect:begin(faults)
    fn()
  end)
  effect.task = task
  wait { task, timeout = SECONDS_MAX }
  if not task:done() then error("it does not end", 0) end
  local hit, err = struck(faults), not task:cancelled() and task:error()
  if err and not hit then error(err, 0) end
  if err then check_error(err, code) end
  left.check(before, task:id(), failures, function() task, effect.task = nil, nil end)
  return hit
end

-- ---- all points

local function describe(call, at, code)
  return code and string.format("%s %d, %s", call, at, code) or string.format("%s %d", call, at)
end

-- The calls of one sort in turn, or only that one. How many there were.
local function fail_each(fn, call, only, code)
  for at = only or 1, only or CALLS_MAX do
    local ok, hit = raw_pcall(run, function() return run_point(fn, call, at, code) end)
    if not ok then error(string.format("testing.faults: %s: %s", describe(call, at, code), tostring(hit)), 0) end
    if not hit then return at - (only or 1) end
  end
  if not only then error(string.format("testing.faults: more than %d calls of '%s'", CALLS_MAX, call), 0) end
  return 1
end

-- testing.faults(fn[, {memory=, syscalls=, errors=, at=}]) (waits) -> the number of points
function testing.faults(fn, opts)
  counts()
  check.callable(1, "faults", fn, 2)
  local options = read_options(opts)
  check_free()
  local points = options.memory and fail_each(fn, "allocation", options.at) or 0
  for _, call in ipairs(options.syscalls) do
    for _, code in ipairs(options.errors or USUAL[call]) do
      local struck_at = fail_each(fn, call, options.at, code)
      points = points + struck_at
      if struck_at == 0 then break end -- it makes no such call
    end
  end
  return points
end
