#!/bin/sh
# Runs a command, and says what it said when it has ended: several at a time are not mixed up.
said=$(mktemp)
"$@" >"$said" 2>&1
status=$?
cat "$said"
rm -f "$said"
exit $status
