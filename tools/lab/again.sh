#!/bin/sh
# Runs a lab, and once more where the emulated machine itself hung or ended before its program did (statuses 124 and 125 of
# common.sh): TCG sometimes keeps a stale translation of code that Linux patches; docs/kvm.md. What fails inside the machine is
# not tried again.
"$@"
status=$?
case $status in
  124 | 125)
    echo "lab: its machine ended with status $status; once more" >&2
    exec "$@"
    ;;
esac
exit $status
