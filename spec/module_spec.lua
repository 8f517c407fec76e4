-- The module as Lua finds it: tide and its parts, in any order.
local build = os.getenv "TIDE_BUILD"
local has_lua = os.execute "command -v lua5.4 >/dev/null"

-- The interpreters that can load tide: the program, and Lua with the module.
local interpreters = {}
if build then
  interpreters[1] = build .. "/tide"
  if has_lua and not build:find "/asan$" then interpreters[2] = "lua5.4" end -- Lua lacks the sanitizers
end

local function output_of(interpreter, code)
  local pipe <close> = assert(io.popen(("%s -e '%s' 2>&1"):format(interpreter, code)))
  return pipe:read "a"
end

-- The names of what is in lua/tide.
local function parts()
  local names = {}
  local pipe <close> = assert(io.popen "ls lua/tide/*.lua")
  for name in pipe:read("a"):gmatch "lua/tide/([%w_]+)%.lua" do names[#names + 1] = name end
  return names
end

describe("require", function()
  for _, interpreter in ipairs(interpreters) do
    local name = interpreter:match "[^/]*$"

    it("of tide.net may come before that of tide, in " .. name, function()
      assert.equal("true\ttrue\n", output_of(interpreter, [[
        local net = require "tide.net"
        local tide = require "tide"
        print(net == tide.net, net == require "tide.net")
      ]]))
    end)

    it("of tide.net may come after that of tide, in " .. name, function()
      assert.equal("true\n", output_of(interpreter, [[
        local tide = require "tide"
        print(require "tide.net" == tide.net)
      ]]))
    end)

    it("finds every part of tide first, in " .. name, function()
      for _, part in ipairs(parts()) do
        assert.equal("function\n", output_of(interpreter, ([[
          require "tide.%s"
          print(type(require "tide".net.serve))
        ]]):format(part)))
      end
    end)

    it("tells of a part that there is not, in " .. name, function()
      assert.matches("module .tide%.nonsense. not found", output_of(interpreter, [[require "tide.nonsense"]]))
    end)
  end

  if #interpreters == 0 then
    it("is tested where $TIDE_BUILD names a build", function() pending "TIDE_BUILD names no build directory" end)
  end
end)
