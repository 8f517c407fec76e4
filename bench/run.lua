-- The driver: runs limit and tide, or the peers, in turn for several rounds and prints tables of medians. See README.md.

local concat, sort = table.concat, table.sort
local floor = math.floor

local USAGE = [[
usage: lua5.4 bench/run.lua [options]
  --only NAME    the works whose name contains NAME (may be repeated)
  --rounds N     runs of each, of which the median counts (default 5)
  --quick        3 rounds of a fifth of the work, no table of ten times the work
  --no-tenfold   no table of ten times the work
  --peers        the same works in other runtimes, a fifth of the work, 3 rounds by default
  --build DIR    where the programs are (default $BENCH_BUILD or build/release)
  --list         the names of the works
]]

local here = arg[0]:match("^(.*)/[^/]*$") or "."
local defined = dofile(here .. "/works.lua")

local SERVER_CPU, LOAD_CPU = 0, 1
local PATIENCE = 300 -- seconds after which a program is ended and has failed
local STARVED = 0.1 -- a connection with less than this share of the median's round trips counts as starved

-- Options

local function fail(message)
  io.stderr:write(message, "\n")
  os.exit(1)
end

local function parse(args)
  local options = { only = {}, tenfold = true, scale = 1, build = os.getenv("BENCH_BUILD") or "build/release" }
  local takes = {
    ["--only"] = function(value) options.only[#options.only + 1] = value end,
    ["--rounds"] = function(value) options.rounds = math.tointeger(tonumber(value)) or fail(USAGE) end,
    ["--build"] = function(value) options.build = value end,
  }
  local flags = {
    ["--quick"] = function() options.quick = true end,
    ["--no-tenfold"] = function() options.tenfold = false end,
    ["--peers"] = function() options.peers = true end,
    ["--list"] = function() options.list = true end,
  }
  local i = 1
  while args[i] do
    local take, flag = takes[args[i]], flags[args[i]]
    if take and args[i + 1] then
      take(args[i + 1])
      i = i + 1
    elseif flag then
      flag()
    else
      fail(USAGE)
    end
    i = i + 1
  end
  if options.quick or options.peers then options.scale, options.tenfold = 0.2, false end
  options.rounds = options.rounds or (options.scale < 1 and 3 or 5)
  return options
end

local function chosen_works(only)
  local chosen = {}
  for _, work in ipairs(defined.works) do
    local wanted = #only == 0
    for _, name in ipairs(only) do wanted = wanted or work.name:find(name, 1, true) end
    if wanted then chosen[#chosen + 1] = work end
  end
  return chosen
end

-- Running one program

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- The figures a program prints as `name number name number ...`, or nil where it failed.
local function figures_of(command)
  local pipe <close> = assert(io.popen(("timeout %d %s"):format(PATIENCE, command)))
  local output = pipe:read("a")
  local ok = pipe:close()
  if not ok then return nil end
  local figures = {}
  for name, value in output:gmatch("([%a_]+) ([%d.]+)") do figures[name] = tonumber(value) end
  return figures
end

local function joined(sizes)
  local words = {}
  for i, size in ipairs(sizes) do words[i] = ("%d"):format(floor(size + 0.5)) end
  return concat(words, " ")
end

-- The shell command that runs `program` for k times the work.
local function command_line(work, program, k, options)
  local sizes = work.size(k)
  if not work.load then return ("taskset -c %s %s %s"):format(work.cpus or SERVER_CPU, program, joined(sizes)) end
  for i, size in ipairs(sizes) do sizes[i] = math.tointeger(size) or size end
  local load = work.load:format(table.unpack(sizes))
  return ("taskset -c %d %s/bench_load %s -- taskset -c %d %s"):format(LOAD_CPU, options.build, load, SERVER_CPU, program)
end

-- Several programs in turn

local function median(values)
  if #values == 0 then return nil end
  sort(values)
  local middle = (#values + 1) // 2
  return #values % 2 == 1 and values[middle] or (values[middle] + values[middle + 1]) / 2
end

-- Adds the figures of one run to what a contender has: its values, whether a run of it failed, and the least share of the
-- median that any connection got.
local function record(result, figures, unit)
  if not figures or not figures[unit] then
    result.failed = true
    return
  end
  result.values[#result.values + 1] = figures[unit]
  result.busy_values[#result.busy_values + 1] = figures.server_busy
  if figures.min and figures.median > 0 then
    result.fairness = math.min(result.fairness or 1, figures.min / figures.median)
  end
end

-- Runs the contenders ({ program =, k = } each, program nil: not there) in turn, for that many rounds.
-- Returns for each { median =, fairness =, busy =, failed = }; busy is a server's share of its core.
local function run_in_turn(work, contenders, rounds, options)
  local results = {}
  for i = 1, #contenders do results[i] = { values = {}, busy_values = {} } end
  for round = 1, rounds do
    io.stderr:write(("\r\27[K%s, round %d of %d"):format(work.name, round, rounds))
    for i, contender in ipairs(contenders) do
      if contender.program then
        local command = command_line(work, contender.program, contender.k, options)
        record(results[i], figures_of(command), work.unit)
      end
    end
  end
  io.stderr:write("\r\27[K")
  for _, result in ipairs(results) do result.median, result.busy = median(result.values), median(result.busy_values) end
  return results
end

-- Who takes part. Each returns nil where the program is not there.

local function limit_program(limit, options)
  if not limit then return nil end
  local tides = limit:match("^tide (.*)")
  if tides then return options.build .. "/tide " .. here .. "/" .. tides end
  if limit:find("%.lua$") then return "lua5.4 " .. here .. "/limits/" .. limit end
  local path = options.build .. "/" .. limit
  return exists(path:match("^%S+")) and path or nil
end

local function tide_program(work, options)
  if work.tide:find("^%a+_") and not work.tide:find("%.lua") then
    return limit_program(work.tide:gsub("%%b", options.build), options)
  end
  local path = options.build .. "/tide"
  return exists(path) and path .. " " .. here .. "/" .. work.tide or nil
end

-- Tables

local function print_row(cells)
  print("| " .. concat(cells, " | ") .. " |")
end

local function print_header(cells)
  print_row(cells)
  local line = {}
  for i = 1, #cells do line[i] = i == 1 and "---" or "---:" end
  print_row(line)
end

local function shown(value, unit)
  if not value then return "n/a" end
  if unit == "ns" then return ("%.1f ns"):format(value) end
  if unit == "bytes" then return ("%.0f B"):format(value) end
  return ("%.1fk/s"):format(value / 1000)
end

-- A server's figure comes with how busy it was: well below 100 % something else was the bottleneck.
local function shown_result(result, unit)
  if result.failed and not result.median then return "failed" end
  return shown(result.median, unit) .. (result.busy and (", busy %.0f %%"):format(result.busy * 100) or "")
end

local function shown_target(work)
  if work.at_most_absolute then return "<= " .. shown(work.at_most_absolute, work.unit) end
  return work.at_most and ("<= %.2f"):format(work.at_most) or (">= %.2f"):format(work.at_least)
end

local function meets(work, ratio, value)
  if work.at_most_absolute then return value <= work.at_most_absolute end
  if work.at_most then return ratio <= work.at_most end
  return ratio >= work.at_least
end

local function verdict(work, ratio, tide)
  if tide.failed then return "MISS (a run failed)" end
  if not tide.median or not (ratio or work.at_most_absolute) then return "n/a" end
  if tide.fairness and tide.fairness < STARVED then return ("MISS (a connection starved: %.2f of the median)"):format(tide.fairness) end
  return meets(work, ratio, tide.median) and "ok" or "MISS"
end

local function ratio_of(result, other)
  return result.median and other.median and result.median / other.median
end

local function shown_ratio(ratio)
  return ratio and ("%.2f"):format(ratio) or "n/a"
end

-- Each work at its own size: limit, tide and, where there is one, bare Lua; true if no target was missed.
local function compare_with_limits(works, options)
  local met = true
  print_header { "work", "limit", "tide", "ratio", "target", "", "bare Lua", "ratio" }
  for _, work in ipairs(works) do
    local contenders = {
      { program = limit_program(work.limit, options), k = options.scale },
      { program = tide_program(work, options), k = options.scale },
      { program = limit_program(work.bare, options), k = options.scale },
    }
    local limit, tide, bare = table.unpack(run_in_turn(work, contenders, options.rounds, options))
    local ratio = ratio_of(tide, limit)
    local judged = verdict(work, ratio, tide)
    met = met and not judged:find("^MISS")
    print_row {
      work.title, shown_result(limit, work.unit), shown_result(tide, work.unit),
      shown_ratio(ratio), shown_target(work), judged,
      work.bare and shown_result(bare, work.unit) or "", work.bare and shown_ratio(ratio_of(tide, bare)) or "",
    }
  end
  return met
end

-- The same work once and ten times, of limit and tide: the cost of one operation should stay.
local function compare_tenfold(works, options)
  print_header { "ten times the work", "limit", "limit x 10", "growth", "tide", "tide x 10", "growth" }
  local rounds = math.min(options.rounds, 3)
  for _, work in ipairs(works) do
    if work.tenfold ~= false then
      local once, tenfold = table.unpack(work.tenfold or { 1, 10 })
      local limit, tide = limit_program(work.limit, options), tide_program(work, options)
      local results = run_in_turn(work, {
        { program = limit, k = once }, { program = limit, k = tenfold },
        { program = tide, k = once }, { program = tide, k = tenfold },
      }, rounds, options)
      local cells = { work.title }
      for i = 1, 3, 2 do
        local a, b = results[i].median, results[i + 1].median
        cells[#cells + 1] = shown(a, work.unit)
        cells[#cells + 1] = shown(b, work.unit)
        cells[#cells + 1] = a and b and ("%.2f"):format(b / a) or "n/a"
      end
      print_row(cells)
    end
  end
end

-- Peers

local function filled(template, options)
  return (template:gsub("%%(%a)", { s = here .. "/peers", b = options.build }))
end

-- The first line a command prints, or nil where it cannot be run.
local function first_line(command)
  local pipe = assert(io.popen("(" .. command .. ") 2>/dev/null"))
  local line = pipe:read("l")
  return pipe:close() and line or nil
end

local function installed_peers(options)
  local found = {}
  for _, peer in ipairs(defined.peers) do
    local version = first_line(peer.version)
    local built = version and (not peer.build or os.execute(filled(peer.build, options)))
    if built then
      found[#found + 1] = peer
      print(("%s: %s  "):format(peer.name, version))
    else
      print(("%s: skipped, it is not installed (%s/peers/install.sh installs what Debian has)  "):format(peer.name, here))
    end
  end
  print()
  return found
end

local function peer_program(peer, work, options)
  if peer.lacks and peer.lacks[work.peer] then return nil end
  return filled(peer.command, options) .. " " .. work.peer
end

-- The contenders for one work and, in the same order, their columns. Protocols and streams are both asyncio's, in columns of their own.
local function peer_contenders(peers, work, options)
  local contenders = { { program = limit_program(work.limit, options) }, { program = tide_program(work, options) } }
  for _, peer in ipairs(peers) do
    contenders[#contenders + 1] = { program = peer_program(peer, work, options) }
    if work.load and peer.protocol then
      contenders[#contenders + 1] = { program = filled(peer.command, options) .. " " .. peer.protocol }
    end
  end
  for _, contender in ipairs(contenders) do contender.k = options.scale end
  return contenders
end

local function peer_columns(peers, with_protocols)
  local columns = { "limit", "tide" }
  for _, peer in ipairs(peers) do
    local both = with_protocols and peer.protocol
    columns[#columns + 1] = both and peer.name .. " streams" or peer.name
    if both then columns[#columns + 1] = peer.name .. " protocol" end
  end
  return columns
end

local function print_peer_table(works, peers, options, of_servers)
  local columns = peer_columns(peers, of_servers)
  print_header { "work", table.unpack(columns) }
  for _, work in ipairs(works) do
    if work.peer and (work.load ~= nil) == of_servers then
      local cells = { work.title }
      for i, result in ipairs(run_in_turn(work, peer_contenders(peers, work, options), options.rounds, options)) do
        local starved = result.fairness and result.fairness < STARVED
        cells[i + 1] = (result.median and shown(result.median, work.unit) or "-") .. (starved and " (starved)" or "")
      end
      print_row(cells)
    end
  end
  print()
end

local function compare_peers(works, options)
  local peers = installed_peers(options)
  print_peer_table(works, peers, options, false)
  print_peer_table(works, peers, options, true)
end

-- Says so where other programs already keep the machine busy.
local function warn_of_company()
  local file = io.open("/proc/loadavg")
  if not file then return end
  local load = file:read("n")
  file:close()
  if load and load > 0.7 then io.stderr:write(("the machine is busy (load %.1f): figures will be noisy\n"):format(load)) end
end

local options = parse(arg)
local works = chosen_works(options.only)
io.stdout:setvbuf("line")
if options.list then
  for _, work in ipairs(works) do print(work.name) end
elseif options.peers then
  warn_of_company()
  compare_peers(works, options)
else
  warn_of_company()
  local met = compare_with_limits(works, options)
  if options.tenfold then
    print()
    compare_tenfold(works, options)
  end
  os.exit(met)
end
