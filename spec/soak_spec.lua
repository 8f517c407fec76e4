-- bench/soak.lua for a few seconds: that it passes, and that it would notice what it is for.
local build = os.getenv "TIDE_BUILD"
local tide = build and build .. "/tide" or "build/release/tide"
local sanitized = build and build:find "asan" and "--no-rss" or ""

-- Starts a soak; the function returned waits for its end, and gives what it printed and its exit status.
local function start(arguments)
  local command = ("timeout -s KILL 120 %s bench/soak.lua %s %s 2>&1; echo status $?"):format(tide, arguments, sanitized)
  local pipe = assert(io.popen(command))
  return function()
    local output, status = pipe:read("a"):match "^(.*)status (%d+)\n$"
    pipe:close()
    return output, tonumber(status)
  end
end

describe("the soak", function()
  -- all at once, as each of them takes seconds
  local clean, memory = start "5 --seed 1", start "5 --seed 1 --leak memory"
  local left = {}
  for what in pairs { task = true, handle = true, socket = true } do
    left[what] = start("1 --seed 1 --leak " .. what)
  end

  it("passes for five seconds", function()
    local output, status = clean()
    assert.equal(0, status, output)
    assert.matches("^soak: 5 s, seed 1\n", output)
    assert.matches("\nok\n$", output)
  end)

  it("fails where memory grows", function()
    local output, status = memory()
    assert.equal(1, status, output)
    assert.matches("\nFAILED: memory grows\n$", output)
  end)

  for what, part in pairs { task = "1 tasks", handle = "1 handles", socket = "1 fds" } do
    it(("fails where a %s is left behind"):format(what), function()
      local output, status = left[what]()
      assert.equal(1, status, output)
      assert.matches("\nFAILED: left behind: [^\n]*" .. part, output)
    end)
  end
end)
