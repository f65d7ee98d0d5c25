#!/usr/bin/env bash
# instrumented.sh NM PROGRAM...: each program calls AddressSanitizer when it starts, and handlers of
# UndefinedBehaviorSanitizer that do not return.
set -euo pipefail
nm=$1
shift
status=0
for program in "$@"; do
  symbols=$("$nm" "$program")
  for wanted in '__asan_init' '__ubsan_handle_[a-z0-9_]*_abort'; do
    if ! grep -Eq " $wanted(@|$)" <<< "$symbols"; then
      echo "${program##*/} has no $wanted"
      status=1
    fi
  done
done
echo "$# programs looked at"
exit $status
