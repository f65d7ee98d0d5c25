#!/usr/bin/env bash
# setup.sh: what the browser test needs beside Chromium itself: playwright-core in .tools/browser/, exactly as in
# package-lock.json. It drives the Chromium that is installed; it never downloads one.
# Idempotent. WTGRAM_NO_INSTALL=1 installs nothing: it stops and lists. WTGRAM_CHROMIUM may name the browser.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(cd "$here/../.." && pwd)/.tools/browser
say() { printf 'setup: browser: %s\n' "$*"; }

if ! command -v "${WTGRAM_CHROMIUM:-chromium}" > /dev/null; then
  say "cannot go on: no Chromium (Debian: chromium), or name one in WTGRAM_CHROMIUM"
  exit 1
fi
if [ -d "$folder/node_modules/playwright-core" ] && cmp -s "$here/package-lock.json" "$folder/.wtgram-stamp"; then
  exit 0
fi
if [ "${WTGRAM_NO_INSTALL:-}" = 1 ]; then
  say "cannot go on: WTGRAM_NO_INSTALL=1, and .tools/browser lacks the packages of tests/browser/package-lock.json"
  exit 1
fi
command -v npm > /dev/null || { say "cannot go on: no npm (Debian: npm)"; exit 1; }

say "installing playwright-core in .tools/browser"
mkdir -p "$folder"
rm -f "$folder/.wtgram-stamp"
cp "$here/package.json" "$here/package-lock.json" "$folder/"
(cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
cp "$here/package-lock.json" "$folder/.wtgram-stamp"
say "playwright-core is there"
