-- How much data a spec moves: `size`, or a thousandth of it where each system call moves one byte.
local ONE_BYTE = os.getenv "TIDE_ONE_BYTE" ~= nil

return function(size)
  return ONE_BYTE and size // 1000 + 1 or size
end
