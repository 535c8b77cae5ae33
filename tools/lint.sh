#!/bin/sh
# The one lint door, for people and for CI.
set -eu
cd "$(dirname "$0")/.."
status=0

echo "include arrows"
python3 tools/check_includes.py || status=1

echo "headers start with what lives there"
for header in $(git ls-files 'include/*.h' 'src/*.h'); do
  head -n 1 "$header" | grep -q '^//' || { echo "$header: first line says nothing"; status=1; }
done

echo "formatting"
if command -v clang-format-19 >/dev/null 2>&1; then
  git ls-files 'include/*.h' 'src/*.h' 'src/*.cc' 'fuzz/*.cc' | xargs clang-format-19 --dry-run -Werror || status=1
else
  echo "  clang-format-19 is not installed: skipped"
fi
exit $status
