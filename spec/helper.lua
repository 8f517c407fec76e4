-- spec.helper: what every spec file gets: tide, and a check after each spec that nothing is left.
require "tide"
