# To be sourced by scripts of the x86 lab: a command's status and what it prints. `failed` is 1 once one was not as it should be.
failed=0

# expect STATUS TEXT COMMAND...: that exit status, and TEXT in what it prints; '' is in anything.
expect() {
  status=$1 text=$2
  shift 2
  timeout "${EXPECT_SECONDS:-120}" "$@" > /tmp/output 2>&1 < /dev/null
  got=$?
  if [ "$got" = "$status" ] && { [ -z "$text" ] || grep -q -e "$text" /tmp/output; }; then
    echo "ok: $*"
  else
    echo "FAILED: $*: status $got, not $status, or no '$text' in:"
    cat /tmp/output
    failed=1
  fi
}
