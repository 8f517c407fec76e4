-- tide.iter: what closing fails with. Of several errors the first is raised, the others are reported.
local tide = require "tide"
local helper = require "spec.helper"

local run = tide.testing.wrap

-- A generator of 1, 2, ... whose cleanup fails with `name`.
local function failing(name)
  return tide.generator(function(yield)
    local _ <close> = helper.closer(function() error(name, 0) end)
    for i = 1, 9 do
      tide.sleep(0.001)
      yield(i)
    end
  end)
end

local function fail() error("own", 0) end

local function take(it, steps)
  for _ = 1, steps do it() end
  return it
end

-- That the function raises `expected` and that the others, in any order, are reported.
local function raises_one(expected, others, fn, ...)
  local failures = helper.collect_failures()
  local ok, err = pcall(fn, ...)
  assert.are.same({ false, expected }, { ok, err })
  local reported = {}
  for _, failure in ipairs(failures) do
    assert.are.equal("an iterator", failure.what)
    reported[#reported + 1] = failure.err
  end
  table.sort(reported)
  assert.are.same(others, reported)
end

describe("where closing fails as well,", function()
  local own = { -- what a program fails with while a generator is open
    ["a step"] = function() failing "a":map(fail)() end,
    ["a filter"] = function() failing "a":filter(fail)() end,
    ["a loop"] = function() for _ in failing "a":each() do fail() end end,
    ["foreach"] = function() failing "a":foreach(fail) end,
    ["reduce"] = function() failing "a":reduce(fail, 0) end,
    ["a block"] = function()
      local it <close> = take(failing "a", 1)
      fail()
      return it
    end,
  }
  for name, fn in pairs(own) do
    it("the error of " .. name .. " goes on", run(function() raises_one("own", { "a" }, fn) end))
  end

  it("both sources of a zip are told of", run(function()
    local zip = take(failing "a":zip(failing "b"), 1)
    raises_one("b", { "a" }, zip.close, zip)
    zip:close()
  end))

  it("the inner and the outer of a flatten are told of", run(function()
    local outer = tide.generator(function(yield)
      local _ <close> = helper.closer(function() error("outer", 0) end)
      yield(failing "inner")
    end)
    local flat = take(outer:flatten(), 1)
    raises_one("inner", { "outer" }, flat.close, flat)
  end))

  it("all sources of a merge are told of", run(function()
    local merged = take(failing "a":merge(failing "b", failing "c"), 3)
    tide.sleep(0.01)
    raises_one("c", { "a", "b" }, merged.close, merged)
  end))

  it("a source of a merge that failed goes before those that are closed for it", run(function()
    local merged = take(failing "a":merge(failing "b", failing "c":map(fail)), 0)
    raises_one("own", { "a", "b", "c" }, function() while true do merged() end end)
  end))

  it("a cancellation gives way", run(function()
    raises_one("a", {}, tide.move_on_after, 0.1, function()
      for _ in failing "a":each() do tide.sleep(1) end
    end)
  end))

  it("what the loops of a task left open is told of", run(function()
    local failures = helper.collect_failures()
    local task = tide.spawn(function()
      for _, name in ipairs { "a", "b", "c" } do failing(name):each()() end
    end)
    task:await()
    local told = {}
    for i, failure in ipairs(failures) do told[i] = failure.err end
    table.sort(told)
    assert.are.same({ "a", "b", "c" }, told)
  end))
end)

describe("an Iter that is closed before it could tell", function()
  it("raises what its source's closing failed with", run(function()
    local taken = take(failing "a":take(1), 1)
    raises_one("a", {}, taken.close, taken)
    raises_one("a", {}, function() return failing "a":take(1):first() end)
  end))

  it("reports what ended a chunk before its time", run(function()
    local failures = helper.collect_failures()
    local chunks = tide.iter(function(_, i) return i < 2 and i + 1 or fail() end, nil, 0):chunk(3)
    assert.are.same({ 1, 2 }, chunks())
    chunks:close()
    assert.are.same({ "an iterator", "own" }, { failures[1].what, failures[1].err })
  end))
end)
