std = "lua54"
max_line_length = 140
self = false
exclude_files = { "build" }
-- The Lua part's globals are its own, and those that bindings/module.c gives it. Strings' methods are the script's.
files["lua/tide"] = { std = { read_globals = {
  "error", "getmetatable", "ipairs", "math", "next", "pairs", "pcall", "rawequal", "rawget", "require", "select",
  "setmetatable", "string", "table", "tostring", "type",
} } }
files["spec"] = { std = "+busted" }
