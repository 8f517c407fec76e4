#!/bin/sh
# Installs the peers that Debian has: Go, Node, asyncio, uvloop, Trio, luv and cqueues. Says and does
# nothing where they are there.
set -eu

packages="golang-go nodejs python3 python3-uvloop python3-trio lua5.4 lua-luv lua-cqueues util-linux"

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# shellcheck disable=SC2086 # a list of words
set -- $packages
present=$(dpkg-query -W -f '${db:Status-Status}\n' "$@" 2>/dev/null | grep -c '^installed$') || true
[ "$present" -lt $# ] || exit 0
as_root apt-get update
as_root apt-get install --yes --no-install-recommends "$@"
