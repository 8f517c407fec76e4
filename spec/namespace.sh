#!/bin/sh
# namespace.sh DIR COMMAND...: runs it in namespaces of its own, whose only network is loopback, and whose
# /etc/resolv.conf and /etc/hosts are DIR/resolv.conf and DIR/hosts, which may change meanwhile.
set -eu
# shellcheck disable=SC2016
exec unshare --map-root-user --mount --net sh -c '
  ip link set lo up
  mount --bind "$0/resolv.conf" /etc/resolv.conf
  mount --bind "$0/hosts" /etc/hosts
  exec "$@"' "$@"
