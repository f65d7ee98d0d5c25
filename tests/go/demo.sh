#!/usr/bin/env bash
# demo.sh PROGRAMS LIBRARY_DIR: `make demo` after its set-up, and that its clients got back what they sent.
set -euo pipefail
cd "$(dirname "$0")/../.."
export WTGRAM_LIBRARY_DIR=$2
scripts/demo-clients "$1"
output=$(DEMO_SECONDS=1 DEMO_EACH_SECONDS=0.5 scripts/demo "$1")
printf '%s\n' "$output"
for language in C C++ Go; do
  line=$(grep -F "$language " <<<"$output" | grep -E '^\S+ +[0-9]+ sent, [0-9]+ came back, p50 [0-9]+\.[0-9]{2} ms$')
  read -r _ sent _ back _ <<<"$line"
  ((sent > 0 && back > 0 && back <= sent)) || { echo "demo.sh: $line"; exit 1; }
done
