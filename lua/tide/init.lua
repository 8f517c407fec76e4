-- tide.init: puts the Lua part of tide together.
local tide = require "tide"

require "tide.errors"
require "tide.group"
require "tide.concurrent"
require "tide.map"
require "tide.retry"
require "tide.defer"
require "tide.iter"
require "tide.iter_sources"
require "tide.iter_lazy"
require "tide.iter_tasks"
require "tide.iter_ends"
require "tide.net"
require "tide.testing"
require "tide.testing_sweep"
require "tide.testing_faults"
require "tide.tree"

-- what only the parts need
tide.set_hook = nil
tide.read_options = nil
tide.error_methods = nil
tide.is_callable = nil
tide.type_name = nil
tide.begins = nil
tide.counts = nil
tide.new_use = nil
tide.join = nil
tide.completions = nil
tide.shielded_await = nil
tide.shield_call = nil
tide.generator_parts = nil
tide.failure_parts = nil
tide.group_methods = nil
tide.interval_parts = nil
tide.iter_parts = nil
tide.tree_nodes = nil
tide.traced = nil
tide.raise_traced = nil
tide.spawn_connection = nil
tide.spawn_owning = nil
tide.mark_loops = nil
tide.new_class = nil
tide.is_of = nil
tide.metafield = nil
tide.testing.parts = nil
