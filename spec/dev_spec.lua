-- ./dev, in a tree of stubs: what its verbs would install and call.
local stubs = [=[
  dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
  mkdir -p "$dir/bin" "$dir/bench/peers" "$dir/build/release" && cp dev CMakePresets.json "$dir"
  stub() { printf '#!/bin/sh\n%s\n' "$2" >"$1"; chmod +x "$1"; }
  stub "$dir/bin/cmake" true
  stub "$dir/bin/apt-get" 'echo apt-get "$@"'
  stub "$dir/bin/dpkg-query" 'shift 3; printf "installed %s\n" "$@"'
  stub "$dir/bin/lua5.4" 'echo lua5.4 "$@"'
  stub "$dir/build/release/tide" 'echo tide "$@"'
  stub "$dir/bench/peers/install.sh" 'echo peers; exit ${PEERS_STATUS-0}'
  PATH=$dir/bin:$PATH; export PATH
  cd "$dir"
]=]

-- What `./dev ARGUMENTS` prints, with what it installs.
local function dev(arguments)
  local pipe <close> = assert(io.popen(("%s\n(%s) 2>&1"):format(stubs, arguments)))
  return pipe:read "a"
end

describe("./dev bench", function()
  it("installs the peers where they are asked for", function()
    assert.equal("peers\nlua5.4 bench/run.lua --peers\n", dev "./dev bench --peers")
    assert.equal("peers\nlua5.4 bench/run.lua --only echo --peers\n", dev "./dev bench --only echo --peers")
    assert.equal("lua5.4 bench/run.lua --only echo\n", dev "./dev bench --only echo")
  end)

  it("goes on where not all peers can be had", function()
    assert.equal("peers\nnot all peers could be installed\nlua5.4 bench/run.lua --peers\n",
      dev "PEERS_STATUS=1 ./dev bench --peers")
  end)
end)

describe("./dev lua", function()
  local stub = [[mkdir cmake && stub cmake/lua-source.sh 'echo "lua-source $1" >&2; [ "$1" != 5.5 ] && echo /lua-$1' && ]]
    .. [[stub build/release/tide 'shift; echo "$LD_LIBRARY_PATH" "$TIDE_LUA" "$@"' && ]]

  it("runs specs with that Lua", function()
    assert.equal("lua-source 5.4.4\n/lua-5.4.4 /lua-5.4.4 --helper=spec/helper.lua --filter-out=skipped its closer spec/lock_spec.lua\n",
      dev(stub .. "stub bin/busted true && ./dev lua 5.4.4 spec/lock_spec.lua"))
  end)

  it("says what cannot be had, and how it is used", function()
    assert.matches("lua%-source 5.5\nstatus", dev(stub .. "{ ./dev lua 5.5 || echo status; }"))
    assert.matches("usage: ./dev lua", dev "./dev lua")
  end)
end)

describe("./dev soak", function()
  it("runs the soak for so long, with its options", function()
    assert.equal("tide bench/soak.lua\n", dev "./dev soak")
    assert.equal("tide bench/soak.lua 5 --seed 1\n", dev "./dev soak 5 --seed 1")
  end)
end)

describe("the build", function()
  it("is possible with makefiles", function()
    local pipe <close> = assert(io.popen [[
      dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
      cmake -G "Unix Makefiles" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE=-O0 -S . -B "$dir" >"$dir/log" 2>&1 &&
        make -j2 -C "$dir" tide_static >"$dir/log" 2>&1 && echo possible || tail -n 3 "$dir/log"
    ]])
    assert.equal("possible\n", pipe:read "a")
  end)
end)
