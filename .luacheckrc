std = "lua54"
max_line_length = 140
self = false
exclude_files = { "build" }
files["spec"] = { std = "+busted" }
