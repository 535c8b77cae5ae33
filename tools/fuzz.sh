#!/bin/sh
# Every libFuzzer target under ASan and UBSan, as many at once as there are processors. Usage: fuzz.sh SECONDS-EACH
# With a target's name behind that, it alone is run, and must be built.
set -eu
cd "$(dirname "$0")/.."
seconds=$1

if [ $# -eq 2 ]; then
  name=$2
  corpus=build/asan/corpus/$name
  seeds=fuzz/corpus/${name%_fuzz}
  mkdir -p "$corpus"
  [ -d "$seeds" ] || seeds=""
  status=0
  # shellcheck disable=SC2086
  "build/asan/$name" -max_total_time="$seconds" -rss_limit_mb=3000 -timeout=20 -print_final_stats=1 \
    -artifact_prefix="build/asan/$name-" "$corpus" $seeds > "build/asan/$name.log" 2>&1 || status=1
  printf '== %s\n%s\n' "$name" "$(tail -n 8 "build/asan/$name.log")"
  exit $status
fi

cmake --preset asan > /dev/null
targets=$(for source in fuzz/*_fuzz.cc; do basename "$source" .cc; done)
# shellcheck disable=SC2086
cmake --build build/asan --target $targets
echo "$targets" | xargs -P "$(nproc)" -n 1 tools/fuzz.sh "$seconds"
