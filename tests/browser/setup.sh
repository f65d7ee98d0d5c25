#!/usr/bin/env bash
# setup.sh: what the browser tests need beside Chromium and Firefox themselves: the programs that drive them, in
# .tools/browser/, exactly as in package-lock.json. They drive the browsers that are installed and download none.
# Idempotent. WTGRAM_NO_INSTALL=1 installs nothing: it stops and lists. WTGRAM_CHROMIUM and WTGRAM_FIREFOX may name the
# browsers.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(cd "$here/../.." && pwd)/.tools/browser
say() { printf 'setup: browser: %s\n' "$*"; }

for browser in "${WTGRAM_CHROMIUM:-chromium}:Chromium:chromium:WTGRAM_CHROMIUM" "${WTGRAM_FIREFOX:-firefox-esr}:Firefox:firefox-esr:WTGRAM_FIREFOX"; do
  IFS=: read -r program name package variable <<< "$browser"
  command -v "$program" > /dev/null || { say "cannot go on: no $name (Debian: $package), or name one in $variable"; exit 1; }
done
if [ -d "$folder/node_modules/playwright-core" ] && [ -d "$folder/node_modules/puppeteer-core" ] \
  && cmp -s "$here/package-lock.json" "$folder/.wtgram-stamp"; then
  exit 0
fi
if [ "${WTGRAM_NO_INSTALL:-}" = 1 ]; then
  say "cannot go on: WTGRAM_NO_INSTALL=1, and .tools/browser lacks the packages of tests/browser/package-lock.json"
  exit 1
fi
command -v npm > /dev/null || { say "cannot go on: no npm (Debian: npm)"; exit 1; }

say "installing playwright-core and puppeteer-core in .tools/browser"
mkdir -p "$folder"
rm -f "$folder/.wtgram-stamp"
cp "$here/package.json" "$here/package-lock.json" "$folder/"
(cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
cp "$here/package-lock.json" "$folder/.wtgram-stamp"
say "playwright-core and puppeteer-core are there"
