-- net.serve: one task per connection, errors, limits, closing.
local tide = require "tide"
local helper = require "spec.helper"

local net, run, sleep, spawn = tide.net, helper.run, tide.sleep, tide.spawn

local function echo(stream)
  for data in stream:chunks(4096) do stream:write(data) end
end

local function serve(handler, opts)
  return net.serve(handler, "127.0.0.1", 0, opts)
end

local function connect(server)
  return net.connect(server:address())
end

-- Waits until f() is true.
local function eventually(f)
  tide.timeout(10, function()
    while not f() do sleep(0.001) end
  end)
end

local function has_connections(server, count)
  return function() return #server == count end
end

-- Whether the peer has ended the connection.
local function hung_up(stream)
  local data, err = tide.timeout(5, tide.try, stream.read, stream, 1)
  return data == nil and (err == nil or tide.is(err, "os"))
end

describe("net.serve", function()
  it("runs the handler in a task for each connection", run(function()
    local tasks = {}
    local server <close> = serve(function(stream)
      tasks[#tasks + 1] = tide.current_task()
      echo(stream)
    end)
    local one <close>, other <close> = nil, nil
    one, other = nil, nil
  end))
end)
