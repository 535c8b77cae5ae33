# To be sourced, from the project's root: apt for arm64 packages, with lists, cache and status of its own in
# .cache/apt-arm64. It needs no root, adds no architecture to the machine, and believes nothing to be installed, so
# that --download-only fetches all that a package depends on.
ARM64_APT=$PWD/.cache/apt-arm64

# arm64_apt TOOL ARGUMENT...: apt-get or apt-cache.
arm64_apt() {
  mkdir -p "$ARM64_APT/state/lists/partial" "$ARM64_APT/cache/archives/partial"
  : >> "$ARM64_APT/status"
  arm64_tool=$1
  shift
  "$arm64_tool" -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User= \
    -o Dir::State="$ARM64_APT/state" -o Dir::State::status="$ARM64_APT/status" -o Dir::Cache="$ARM64_APT/cache" "$@"
}

# Once a day is enough.
arm64_apt_update() {
  if [ -n "$(find "$ARM64_APT/updated" -mtime -1 2>/dev/null)" ]; then return 0; fi
  arm64_apt apt-get update >/dev/null
  touch "$ARM64_APT/updated"
}
