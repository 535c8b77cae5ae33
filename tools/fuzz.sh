#!/bin/sh
# Every libFuzzer target under ASan and UBSan, one after the other. Usage: fuzz.sh SECONDS-EACH
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh clang-19 libclang-rt-19-dev
cmake --preset fuzz > /dev/null
cmake --build build/fuzz
status=0
for source in fuzz/*_fuzz.cc; do
  name=$(basename "$source" .cc)
  corpus=build/fuzz/corpus/$name
  seeds=fuzz/corpus/${name%_fuzz}
  mkdir -p "$corpus"
  [ -d "$seeds" ] || seeds=""
  echo "== $name"
  "build/fuzz/$name" -max_total_time="$1" -rss_limit_mb=3000 -timeout=20 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$name-" "$corpus" $seeds > "build/fuzz/$name.log" 2>&1 || status=1
  tail -n 8 "build/fuzz/$name.log"
done
exit $status
