-- A lock guards what happens across a wait. Waiters get it in the order they came.
local tide = require "tide"

local Lock, gather, sleep, spawn = tide.Lock, tide.gather, tide.sleep, tide.spawn

local balance = 0

local function deposit_unsafely(amount)
  local seen = balance
  sleep(0)
  balance = seen + amount
end

local function deposit(name, lock, amount)
  print(name .. " wants the lock")
  do
    local _ <close> = lock:acquire()
    print(name .. " has the lock")
    local seen = balance
    sleep(0.01)
    balance = seen + amount
  end
  print(name .. " released it")
end

gather { spawn(deposit_unsafely, 10), spawn(deposit_unsafely, 10), spawn(deposit_unsafely, 10) }
print("without a lock: " .. balance)

balance = 0
local lock = Lock()
gather { spawn(deposit, "ann", lock, 10), spawn(deposit, "bob", lock, 10), spawn(deposit, "cid", lock, 10) }
print("with a lock: " .. balance)
print("locked: " .. (lock:locked() and "yes" or "no"))
