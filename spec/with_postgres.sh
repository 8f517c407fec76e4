#!/bin/sh
# Starts a PostgreSQL server, on a socket in a folder of its own, and runs a command with the parameters
# of a connection to it as one more argument. Status 77: no server is installed.
set -eu
bin=$(find /usr/lib/postgresql -name initdb -print 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || exit 77
bin=$(dirname "$bin")
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -INT $pid; wait; rm -rf "$dir"' EXIT
as=
if [ "$(id -u)" -eq 0 ]; then # which the server refuses to be
  chown nobody "$dir"
  as="setpriv --reuid=nobody --regid=nogroup --clear-groups"
fi
cd "$dir"
$as "$bin/initdb" -D "$dir/data" -U tide -A trust --no-sync -E UTF8 --locale=C >"$dir/log" 2>&1 || { cat "$dir/log" && exit 1; }
$as "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off >"$dir/log" 2>&1 &
pid=$!
for _ in $(seq 300); do
  "$bin/pg_isready" -q -h "$dir" && break
  sleep 0.1
done
"$@" "host=$dir user=tide dbname=postgres"
