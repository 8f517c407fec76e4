-- What is measured: each work with its limit, its size and its target; and the peers that do the same works.

local max = math.max

-- A contender runs a work as `command .. " " .. sizes`; for an echo server the load generator gets `command`.
-- `tide` is a script, or a program in C (bench/core). `cpus`: those that both may use, else one.
-- `bare` is the same with one coroutine each and nothing else: what Lua alone costs.
-- `size(k)` gives the arguments for k times the work. `tenfold` are the two sizes that must cost the same per operation.

local works = {
  {
    name = "switch1", title = "`sleep(0)`, 1 task, per switch", unit = "ns", at_most = 1.4,
    limit = "limit_switch", tide = "sleep0.lua", peer = "switch",
    size = function(k) return { 1, 5000000 * k } end,
  },
  {
    name = "switch1000", title = "`sleep(0)`, 1,000 tasks, per switch", unit = "ns", at_most = 1.4,
    limit = "limit_switch", tide = "sleep0.lua", peer = "switch",
    size = function(k) return { 1000, 5000000 * k } end,
  },
  {
    name = "spawn", title = "spawn + await, batches of 1,000", unit = "ns", at_most = 1.15,
    limit = "limit_spawn new", tide = "spawn.lua", peer = "spawn",
    size = function(k) return { 1000000 * k } end,
  },
  {
    name = "parked", title = "a task in a long sleep, RSS each", unit = "bytes", at_most = 1.25,
    limit = "limit_parked", tide = "parked.lua", peer = "parked",
    size = function(k) return { 100000 * max(k, 1) } end,
  },
  {
    name = "timers", title = "sleeps of 0-10 ms, 10,000 tasks, CPU each", unit = "ns", at_most = 1.0,
    limit = "limit_timers", tide = "timers.lua", peer = "timers",
    size = function(k) return { 10000 * max(k, 1), 100 * k / max(k, 1) } end,
  },
  {
    name = "million", title = "1,000,000 tasks asleep at once, CPU each", unit = "ns", at_most = 2,
    limit = "limit_timers", tide = "timers.lua", tenfold = false,
    size = function(k) return { 1000000 * k, 1, max(10 * k, 1) } end,
  },
  {
    name = "nap", title = "a sleep of 100 us, how long it takes", unit = "ns", at_most_absolute = 200000, tenfold = false,
    limit = "limit_nap", tide = "nap.lua",
    size = function(k) return { 5000 * k } end,
  },
  {
    name = "queue1024", title = "`Queue(1024)`, per item", unit = "ns", at_most = 1.2,
    limit = "queue.lua", tide = "queue.lua", peer = "queue",
    size = function(k) return { 1024, 5000000 * k } end,
  },
  {
    name = "queue1", title = "`Queue(1)`, per item", unit = "ns", at_most = 0.75,
    limit = "queue.lua", tide = "queue.lua", peer = "queue",
    size = function(k) return { 1, 1000000 * k } end,
  },
  {
    name = "select", title = "`select` over 4 queues, per item, beside `get`", unit = "ns", at_most = 2,
    limit = "tide select.lua get", tide = "select.lua select",
    size = function(k) return { 1000000 * k } end,
  },
  {
    name = "queue_iter", title = "`q:iter()`, per item, beside `q:get()` in a loop", unit = "ns", at_most = 1.1,
    limit = "tide queue_iter.lua get", tide = "queue_iter.lua iter",
    size = function(k) return { 5000000 * k } end,
  },
  {
    name = "generator", title = "a step of a generator, beside Lua's `coroutine.wrap`", unit = "ns", at_most = 1.3,
    limit = "tide generator.lua wrap", tide = "generator.lua generator",
    size = function(k) return { 5000000 * k } end,
  },
  {
    name = "chain_list", title = "`map():filter()` over a list, per value, beside a loop by hand", unit = "ns", at_most = 2,
    limit = "tide chain.lua hand list", tide = "chain.lua chain list",
    size = function(k) return { 5000000 * k } end,
  },
  {
    name = "chain_function", title = "`map():filter()` over a function, per value, beside a loop by hand", unit = "ns", at_most = 2,
    limit = "tide chain.lua hand function", tide = "chain.lua chain function",
    size = function(k) return { 5000000 * k } end,
  },
  {
    name = "timeout", title = "`tide.timeout(1, f)`, where `f` returns at once", unit = "ns", at_most_absolute = 400,
    limit = "limit_timeout", tide = "timeout.lua",
    size = function(k) return { 2000000 * k } end,
  },
  {
    name = "lock", title = "`Lock`, 100 tasks, `sleep(0)` inside, per acquire", unit = "ns", at_most = 0.7,
    limit = "lock.lua", tide = "lock.lua", peer = "lock",
    size = function(k) return { 100, 1000000 * k } end,
  },
  {
    name = "async_ready", title = "an async C function that is completed at once, more than a plain one", unit = "ns",
    at_most_absolute = 100, limit = "hosted_async plain", tide = "hosted_async ready", tenfold = false,
    size = function(k) return { 1000000 * k } end,
  },
  {
    name = "async_callback", title = "an async C function by a callback, beside raw yield and resume", unit = "ns", at_most = 1.5,
    limit = "limit_switch 1", tide = "hosted_async callback", tenfold = false,
    size = function(k) return { 1000000 * k } end,
  },
  {
    name = "limit_memory", title = "a loop that only makes tables, in a state whose memory is limited", unit = "ns", at_most = 1.05,
    limit = "hosted_limits alloc none", tide = "hosted_limits alloc memory", tenfold = false,
    size = function(k) return { 10000000 * k } end,
  },
  {
    name = "limit_slice", title = "`sleep(0)`, 1 task, whose slice is limited, by a signal", unit = "ns", at_most = 1.01,
    limit = "hosted_limits sleep none", tide = "hosted_limits sleep slice", tenfold = false,
    size = function(k) return { 5000000 * k } end,
  },
  {
    name = "limit_loop", title = "a loop that does nothing else, likewise", unit = "ns", at_most = 1.02,
    limit = "hosted_limits loop none", tide = "hosted_limits loop slice", tenfold = false,
    size = function(k) return { 200000000 * k } end,
  },
  {
    name = "patterns_find", title = "`string.find` with bounded patterns, beside Lua's", unit = "ns", at_most = 1.5,
    limit = "hosted_patterns find own", tide = "hosted_patterns find bounded", tenfold = false,
    size = function(k) return { 1000000 * k } end,
  },
  {
    name = "patterns_match", title = "`string.match`, likewise", unit = "ns", at_most = 1.5,
    limit = "hosted_patterns match own", tide = "hosted_patterns match bounded", tenfold = false,
    size = function(k) return { 500000 * k } end,
  },
  {
    name = "patterns_gmatch", title = "a match of `string.gmatch`, likewise", unit = "ns", at_most = 1.5,
    limit = "hosted_patterns gmatch own", tide = "hosted_patterns gmatch bounded", tenfold = false,
    size = function(k) return { 4000000 * k } end,
  },
  {
    name = "patterns_gsub", title = "a replacement of `string.gsub`, likewise", unit = "ns", at_most = 1.5,
    limit = "hosted_patterns gsub own", tide = "hosted_patterns gsub bounded", tenfold = false,
    size = function(k) return { 4000000 * k } end,
  },
  {
    name = "limit_stop", title = "how long after its slice a busy task is stopped, CPU time", unit = "ns", at_most_absolute = 10000000,
    limit = "hosted_limits stop hook", tide = "hosted_limits stop slice", tenfold = false,
    size = function(k) return { 20 * k } end,
  },
  {
    name = "guest", title = "an event of a descriptor in a host's libev loop, CPU, beside `tide_loop_run`", unit = "ns", at_most = 1.15,
    limit = "core_guest run", tide = "core_guest libev", tenfold = false,
    size = function(k) return { 500000 * k } end,
  },
  {
    name = "guest_poll", title = "the same in a host that polls `tide_loop_fd`", unit = "ns", at_most = 1.15,
    limit = "core_guest run", tide = "core_guest poll", tenfold = false,
    size = function(k) return { 500000 * k } end,
  },
  {
    name = "tls64", title = "TLS 1.3, a round trip of 64 B, both ends, CPU", unit = "ns", at_most = 1.11,
    limit = "core_tls echo raw", tide = "core_tls echo tide", tenfold = false,
    size = function(k) return { 64, 50000 * k } end,
  },
  {
    name = "tls16384", title = "the same with 16 KiB", unit = "ns", at_most = 1.05,
    limit = "core_tls echo raw", tide = "core_tls echo tide", tenfold = false,
    size = function(k) return { 16384, 10000 * k } end,
  },
  {
    name = "tls_handshake", title = "a handshake of TLS 1.3, both ends, CPU", unit = "ns", at_most = 1.1,
    limit = "core_tls handshake raw", tide = "core_tls handshake tide", tenfold = false,
    size = function(k) return { 1, 1000 * k } end,
  },
  {
    name = "tick", title = "a tick's overrun of its 500 us, 1,000 tasks ready, beside one step, median", unit = "ns",
    at_most = 1, limit = "core_tick step", tide = "core_tick tide", tenfold = false,
    size = function(k) return { 500, max(1000, 4000 * k // 1) } end,
  },
  {
    name = "tick999", title = "the same, 99.9th percentile, beside a loop that looks at the clock", unit = "ns",
    at_most = 1.5, limit = "core_tick bare", tide = "core_tick tide", tenfold = false,
    size = function(k) return { 999, max(1000, 4000 * k // 1) } end,
  },
  {
    name = "neighbour", title = "from turn to turn beside a state with 10,000 tasks ready, beside one alone", unit = "ns",
    at_most_absolute = 210000, limit = "hosted_neighbour 1", tide = "hosted_neighbour 10000", tenfold = false,
    size = function(k) return { 5000 * k } end,
  },
  {
    name = "states", title = "RSS after 10,000 states opened, used and closed, beside 1,000", unit = "bytes",
    at_most = 1.02, limit = "hosted_states 1000", tide = "hosted_states 10000", tenfold = false,
    size = function() return {} end,
  },
  {
    name = "post", title = "a post that resumes a task of another thread's loop", unit = "ns", at_most = 1.2, tenfold = false,
    limit = "limit_post", tide = "core_post", cpus = "0,1",
    size = function(k) return { 100000 * k } end,
  },
  {
    name = "post_eventfd", title = "the same, beside an eventfd and an `ev_io`", unit = "ns", at_most = 1.2, tenfold = false,
    limit = "limit_post eventfd", tide = "core_post", cpus = "0,1",
    size = function(k) return { 100000 * k } end,
  },
  {
    name = "completion", title = "a completion, made, waited for and ended, beside a future", unit = "ns", at_most = 1.25,
    limit = "core_completion future", tide = "core_completion completion",
    size = function(k) return { 5000000 * k } end,
  },
  {
    name = "state_bytes", title = "a state with tide, beyond one with Lua's libraries, memory of Lua's", unit = "bytes",
    at_most_absolute = 100 * 1024, limit = "hosted_states bytes bare", tide = "hosted_states bytes tide", tenfold = false,
    size = function() return {} end,
  },
  {
    name = "state_time", title = "the same, opened, collected and closed", unit = "ns", at_most_absolute = 1000000,
    limit = "hosted_states time bare", tide = "hosted_states time tide", tenfold = false,
    size = function() return {} end,
  },
  {
    name = "start", title = "`tide -e ''`, from start to end, beside `lua5.4`", unit = "ns", at_most = 2, tenfold = false,
    limit = "limit_start lua5.4", tide = "limit_start %b/tide",
    size = function(k) return { max(20, 300 * k // 1) } end,
  },
  {
    name = "job1", title = "a job in a pool of 2 threads and back, one at a time", unit = "ns", at_most = 1.3, tenfold = false,
    limit = "limit_job", tide = "core_job", cpus = "0,1",
    size = function(k) return { 1, 100000 * k } end,
  },
  {
    name = "job64", title = "the same, 64 at a time, per job", unit = "ns", at_most = 1.3, tenfold = false,
    limit = "limit_job", tide = "core_job", cpus = "0,1",
    size = function(k) return { 64, 500000 * k } end,
  },
  {
    name = "job1_lua", title = "a job from Lua, one at a time, beside the bare pool", unit = "ns", at_most = 2, tenfold = false,
    limit = "limit_job", tide = "hosted_job", cpus = "0,1",
    size = function(k) return { 1, 100000 * k } end,
  },
  {
    name = "job64_lua", title = "the same, by 64 tasks, per job", unit = "ns", at_most = 2, tenfold = false,
    limit = "limit_job", tide = "hosted_job", cpus = "0,1",
    size = function(k) return { 64, 500000 * k } end,
  },
  {
    name = "channel", title = "`tide_channel` of 1,024 between two threads, per message", unit = "ns", at_most = 1.5, tenfold = false,
    limit = "limit_channel", tide = "core_channel", cpus = "0,1",
    size = function(k) return { 1000000 * k } end,
  },
  {
    name = "idle", title = "an idle connection in `net.serve`, RSS each", unit = "bytes", at_most_absolute = 2200,
    limit = "limit_echo", tide = "echo_server.lua", peer = "echo", load = "idle -c %d",
    size = function(k) return { 10000 * k } end, tenfold = { 0.1, 1 },
  },
}

local function echo(connections, bytes, title, at_least)
  works[#works + 1] = {
    name = ("echo%dx%d"):format(connections, bytes), title = "echo, " .. title, unit = "trips_per_s", at_least = at_least,
    limit = "limit_echo", bare = "limit_echo lua", tide = "echo_server.lua", peer = "echo", load = "echo -c %d -s %d -t %s",
    size = function(k) return { connections, bytes, max(k, 0.5) } end, tenfold = false,
  }
end

echo(50, 64, "50 x 64 B", 0.92)
echo(1000, 64, "1,000 x 64 B", 0.87)
echo(50, 16384, "50 x 16 KiB", 0.87)
echo(1000, 16384, "1,000 x 16 KiB", 0.87)

works[#works + 1] = {
  name = "relay", title = "relay in C by `tide_stream_copy`, 50 x 16 KiB", unit = "trips_per_s", at_least = 0.95,
  limit = "limit_echo", tide = "core_relay", load = "echo -c %d -s %d -t %s",
  size = function(k) return { 50, 16384, max(k, 0.5) } end, tenfold = false,
}

-- `%s` in a command is the folder of the peers' programs, `%b` the build folder. `version` prints one line where the peer is installed.
-- `lacks` are the works a peer has no means of its own for.
local peers = {
  {
    name = "Go", version = "go version", build = "go build -o %b/bench_peer_go %s/with_go.go",
    command = "env GOMAXPROCS=1 %b/bench_peer_go",
  },
  {
    name = "Node", version = "node --version", command = "node --expose-gc %s/with_node.js",
    lacks = { queue = true, lock = true },
  },
  {
    name = "luv", version = [[lua5.4 -e 'print((require "luv".version_string()))']], command = "lua5.4 %s/with_luv.lua",
    lacks = { spawn = true, queue = true, lock = true },
  },
  {
    name = "cqueues", command = "lua5.4 %s/with_cqueues.lua",
    version = [[lua5.4 -e 'require "cqueues"' && (dpkg-query -W -f '${Version}\n' lua-cqueues || echo 'version unknown')]],
  },
  {
    name = "uvloop", version = "/usr/bin/python3 -c 'import uvloop; print(uvloop.__version__)'",
    command = "/usr/bin/python3 %s/with_asyncio.py uvloop", protocol = "echo_protocol",
  },
  {
    name = "asyncio", version = "/usr/bin/python3 --version",
    command = "/usr/bin/python3 %s/with_asyncio.py asyncio", protocol = "echo_protocol",
  },
  {
    name = "Trio", version = "/usr/bin/python3 -c 'import trio; print(trio.__version__)'",
    command = "/usr/bin/python3 %s/with_trio.py",
  },
}

return { works = works, peers = peers }
