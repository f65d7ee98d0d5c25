#!/bin/sh
# exported_symbols.sh CC NM HEADER LIBRARY: the functions that the header declares and the symbols that the
# shared library defines are the same set.
set -eu
cc=$1 nm=$2 header=$3 library=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Preprocessed, comments are gone; a declared function is a name directly before an opening parenthesis.
"$cc" -E -P "$header" | tr '\n' ' ' | grep -oE '\bwtgram_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u > "$work/declared"
"$nm" -D --defined-only "$library" | awk '{ print $NF }' | sed 's/@.*//' | sort -u > "$work/exported"

[ -s "$work/declared" ] || { echo "no function found in $header"; exit 1; }
comm -23 "$work/declared" "$work/exported" | sed 's/^/declared but not exported: /' > "$work/difference"
comm -13 "$work/declared" "$work/exported" | sed 's/^/exported but not declared: /' >> "$work/difference"
if [ -s "$work/difference" ]; then
  cat "$work/difference"
  exit 1
fi
echo "$(wc -l < "$work/declared") functions, declared and exported alike"
