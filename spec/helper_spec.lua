-- spec.helper: what it does where a spec does not end.
local function lowest_argument()
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

-- What busted prints for a file with this text, and its exit status, with a second for each spec.
local function outcome_of(text)
  local reserved = os.tmpname()
  local path = reserved .. ".lua" -- busted loads no other files
  do
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
  end
  local pipe <close> = assert(io.popen(([[
    TIDE_SPEC_SECONDS=1 timeout -k 1 60 %s "$(command -v busted)" --helper=spec/helper.lua --pattern=. %s 2>&1
    echo "status $?"]]):format(quote(lowest_argument()), quote(path))))
  local output = pipe:read "a"
  os.remove(path)
  os.remove(reserved)
  return output
end

describe("a spec that does not end", function()
  for how, body in pairs {
    ["waits for what does not come"] = [[
      local tide = require "tide"
      tide.testing.run(function() tide.net.listen("127.0.0.1", 0):accept() end)]],
    ["never waits"] = "while true do end",
    ["blocks the process"] = 'os.execute "exec sleep 20 >/dev/null 2>&1"',
  } do
    it("because it " .. how .. " is named, and the run killed", function()
      local output = outcome_of(([[
        describe("the moon", function()
          it("is round", function() end)
          it("is made of cheese", function() %s end)
        end)
      ]]):format(body))
      assert.matches("hangs for 1 s, and is killed: [^\n]* the moon is made of cheese", output)
      assert.matches("status 137\n$", output)
    end)
  end
end)
