#!/bin/sh
# Builds Lua from Debian's sources with its own assertions and the checks of its API, and prints the
# folder with liblua5.4.so.0: in LD_LIBRARY_PATH before `tide` it takes the place of the system's.
#
#   cmake/lua-source.sh VERSION FOLDER    a version such as 5.4.4, or `newest`
#
# The sources come through apt, from the mirror that this machine uses, by a list of its own: the
# machine's lists stay as they are. What was built is in FOLDER/lua-VERSION, and is used again, as are
# for a day the lists, in FOLDER/lua-lists.
# Status 3: the version cannot be had; it says why.
set -eu

[ $# -eq 2 ] || { sed -n '2,/^set/ s/^# \{0,1\}//p' "$0" && exit 2; }
wanted=$1
mkdir -p "$2"
folder=$(CDPATH='' cd -- "$2" && pwd)
suites="bookworm trixie sid"

missing() {
  echo "Lua $wanted cannot be had: $1" >&2
  exit 3
}

finish() {
  echo "$folder/lua-$1"
  exit 0
}

[ ! -f "$folder/lua-$wanted/liblua5.4.so.0" ] || finish "$wanted"
[ ! -f "$folder/lua-newest" ] || [ "$wanted" != newest ] || finish "$(cat "$folder/lua-newest")"

# ---- what this machine's apt knows

command -v apt-get >/dev/null || missing "there is no apt here"
# shellcheck disable=SC2016 # for apt to expand
mirror=$(apt-get indextargets --format '$(COMPONENT) $(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
  sed -n 's/^main \([^ ]*\) bookworm$/\1/p' | head -n 1)
[ -n "$mirror" ] || missing "apt has no mirror of Debian's here, or was never updated"

# shellcheck disable=SC2016 # for awk to expand
keyring=$(find /etc/apt/sources.list* -type f \( -name '*.list' -o -name '*.sources' \) \
  -exec awk -v RS='' '
    /bookworm/ && match($0, /[Ss]igned-[Bb]y[:=] *\/[^] \n]+/) {
      path = substr($0, RSTART, RLENGTH); sub(/^[^\/]*/, "", path); print path }' {} + | head -n 1)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # apt downloads as a user of its own
lists=$folder/lua-lists
mkdir -p "$lists/partial" "$work/cache/archives/partial" "$work/parts" "$work/source"
for suite in $suites; do
  echo "deb-src ${keyring:+[signed-by=$keyring] }$mirror $suite main"
done >"$work/sources.list"

# An apt command with these lists.
apt() {
  command=$1
  shift
  "$command" -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts="$work/parts" \
    -o Dir::State::Lists="$lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
}

if [ -z "$(find "$lists/updated" -mmin -1440 2>/dev/null)" ]; then
  apt apt-get -qq update >"$work/log" 2>&1 || missing "the lists of sources: $(tail -n 1 "$work/log")"
  touch "$lists/updated"
fi

# ---- the sources

# The versions there are of the one that is wanted, newest first.
pattern=$wanted
[ "$wanted" != newest ] || pattern=5.4
versions=$(apt apt-cache showsrc --only-source lua5.4 2>/dev/null |
  sed -n "s/^Version: \(${pattern}[.0-9]*-.*\)/\1/p" | sort -rVu)
[ -n "$versions" ] || missing "no suite of $suites has it"

cd "$work/source"
for version in $versions; do
  apt apt-get -qq source --download-only --tar-only "lua5.4=$version" >"$work/log" 2>&1 || continue
  tar -xzf "lua5.4_${version%-*}.orig.tar.gz" 2>>"$work/log" && break
done
source=$(find "$work/source" -name lapi.c -printf '%h\n' | head -n 1)
[ -n "$source" ] || missing "$(tail -n 1 "$work/log")"
version=${version%-*}
[ ! -f "$folder/lua-$version/liblua5.4.so.0" ] || { echo "$version" >"$folder/lua-newest" && finish "$version"; }

# ---- the library

path=$(lua5.4 -e 'io.write(package.path)')
cpath=$(lua5.4 -e 'io.write(package.cpath)')
echo "LUA_5.4 { global: *; };" >"$work/symbols" # as Debian's library has them
rm -f "$source/lua.c" "$source/luac.c" "$source/ltests.c"
${CC:-cc} -std=gnu99 -O1 -g -w -shared -fPIC -Wl,-soname,liblua5.4.so.0 "-Wl,--version-script=$work/symbols" -DLUA_USE_LINUX -DLUA_COMPAT_5_3 \
  -DLUAI_ASSERT -DLUA_USE_APICHECK "-DLUA_PATH_DEFAULT=\"$path\"" "-DLUA_CPATH_DEFAULT=\"$cpath\"" \
  -o "$work/liblua5.4.so.0" "$source"/*.c -lm -ldl >&2
mkdir -p "$folder/lua-$version"
mv "$work/liblua5.4.so.0" "$folder/lua-$version/"
[ "$wanted" != newest ] || echo "$version" >"$folder/lua-newest"
finish "$version"
