#!/bin/sh
# Proves that this tree builds and passes on a Debian 12 that has nothing: makes a minimal root in
# a folder, puts the last commit into it, and there runs a script and all specs. Needs root,
# debootstrap and git. Mirror, keys and proxy are those of the host's apt. The folder stays.
#
#   cmake/bare-root.sh FOLDER              ./dev run examples/tour.lua, then ./dev test
#   cmake/bare-root.sh FOLDER COMMAND...   another command, in the tree
set -eu

suite=bookworm
[ $# -gt 0 ] || { sed -n '2,/^set/ s/^# \{0,1\}//p' "$0" && exit 2; }

# In a mount namespace of its own, so that no mount outlives this script.
[ -n "${TIDE_BARE_ROOT-}" ] || TIDE_BARE_ROOT=1 exec unshare --mount "$0" "$@"

tree=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
mkdir -p "$1"
root=$(CDPATH='' cd -- "$1" && pwd)
shift
[ -z "$(ls -A "$root")" ] || { echo "$root is not empty" >&2 && exit 1; }

# ---- what the host's apt knows

# shellcheck disable=SC2016 # for apt to expand
mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' \
  'Created-By: Packages' | sed -n "s/^$suite main //p" | head -n 1)
[ -n "$mirror" ] || { echo "the host's apt has no mirror of $suite" >&2 && exit 1; }

# shellcheck disable=SC2016 # for awk to expand
keyring=$(find /etc/apt/sources.list* -type f \( -name '*.list' -o -name '*.sources' \) \
  -exec awk -v RS='' -v suite="$suite" '
    $0 ~ suite && match($0, /[Ss]igned-[Bb]y[:=] *\/[^] \n]+/) {
      path = substr($0, RSTART, RLENGTH); sub(/^[^\/]*/, "", path); print path }' {} + | head -n 1)

eval "$(apt-config shell proxy Acquire::http::Proxy)"
[ -z "${proxy-}" ] || export http_proxy="$proxy" https_proxy="$proxy"

# ---- the root

case $mirror in https:*) extra=--include=ca-certificates ;; *) extra= ;; esac
debootstrap --variant=minbase ${keyring:+--keyring="$keyring"} $extra "$suite" "$root" "$mirror"

rm -f "$root/etc/apt/sources.list"
for path in sources.list sources.list.d preferences.d auth.conf auth.conf.d keyrings trusted.gpg \
  trusted.gpg.d; do
  [ ! -e "/etc/apt/$path" ] || cp -a "/etc/apt/$path" "$root/etc/apt/"
done
cp -a /usr/share/keyrings "$root/usr/share/"
apt-config dump | grep '^Acquire::' >"$root/etc/apt/apt.conf.d/99host"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"

# ---- the tree

mkdir "$root/tide"
git -C "$tree" archive HEAD | tar -x -C "$root/tide"
[ $# -gt 0 ] || set -- sh -c './dev run examples/tour.lua && ./dev test'
# shellcheck disable=SC2016 # for the shell inside to expand
exec chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  ${http_proxy:+http_proxy="$http_proxy"} sh -c 'cd /tide && exec "$@"' sh "$@"
