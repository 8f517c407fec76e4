#!/bin/sh
# Installs the peers that Debian has: Go, Node, asyncio, uvloop, Trio, luv and cqueues.
set -eu

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

as_root apt-get update
as_root apt-get install --yes --no-install-recommends \
    golang-go nodejs python3 python3-uvloop python3-trio lua5.4 lua-luv lua-cqueues util-linux
