-- shield: who waits may be cancelled, what is waited for is not.
local tide = require "tide"

local shield, sleep, spawn = tide.shield, tide.sleep, tide.spawn

local function save()
  sleep(0.2)
  print "saved"
  return 42
end

-- A task that others go on with.
local saving = spawn(save)
local waiter = spawn(function()
  local ok, err = tide.raw.pcall(shield, saving)
  print("waiter: " .. (ok and "got it" or err.kind))
  if not ok then error(err, 0) end
end)
sleep(0.1)
waiter:cancel()
tide.wait { waiter }
print("waiter cancelled: " .. tostring(waiter:cancelled()) .. ", saving cancelled: " .. tostring(saving:cancelled()))
print("result: " .. saving:await())

-- Without it the cancellation goes on to what is awaited.
saving = spawn(save)
waiter = spawn(function() saving:await() end)
sleep(0.1)
waiter:cancel()
tide.wait { waiter }
print("unshielded, saving cancelled: " .. tostring(saving:cancelled()))

-- A timeout around a shield ends the wait only.
saving = spawn(save)
local _, err = tide.try(tide.timeout, 0.1, shield, saving)
print("timed out: " .. tostring(tide.is(err, "timeout")) .. ", done: " .. tostring(saving:done()))
print("result: " .. saving:await())
