# What deploy/quickstart and deploy/check share; to be sourced by bash.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# One line on what comes next.
say() {
  printf '\n==> %s\n' "$*"
}

# Goes before a command that only root may run.
as_root=()
if [ "$(id -u)" != 0 ]; then
  as_root=(sudo --)
fi

# Installs those packages of deploy/packages' groups that are missing.
install_packages() {
  local group package missing=()
  for group in "$@"; do
    while read -r package; do
      dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" \
        2>/dev/null | grep -q '^ii' || missing+=("$package")
    done < <(awk -v group="$group" '$1 == group { print $2 }' \
      "$root/deploy/packages")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
      --no-install-recommends "${missing[@]}"
  fi
}

# Builds targets of a preset into build/PRESET; all of them if none is named.
build() {
  local preset=$1
  shift
  say "building $preset"
  if command -v ccache >/dev/null; then
    export CMAKE_CXX_COMPILER_LAUNCHER=ccache
    # One checkout's objects serve another's.
    export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
  fi
  (
    cd "$root" &&
      cmake --preset "$preset" -Wno-dev &&
      cmake --build --preset "$preset" --target "${@:-all}"
  )
}
