#!/bin/sh
# Ends a process that stays with one spec for too long, and says with which: PID FILE SECONDS. The
# file's first line says where the process is; spec/helper.lua changes it at each spec. Runs as long
# as the process does, and removes the file. Seconds in which the machine stands still do not count.
pid=$1 file=$2 limit=$3
last='' seconds=0
while sleep 1 && kill -0 "$pid" 2>/dev/null; do
  IFS= read -r line <"$file" || continue
  [ "$line" = "$last" ] || seconds=0
  last=$line
  seconds=$((seconds + 1))
  [ $seconds -gt "$limit" ] || continue
  echo "hangs for $limit s, and is killed: $line" >&2
  kill -KILL "$pid"
  break
done
rm -f "$file"
