#!/usr/bin/env bash
# setup.sh: the real peers of the interop tests, in .tools/interop/: one Python environment for each pywebtransport.
# Idempotent: an environment whose stamp matches its requirements and its Python is left alone.
# WTGRAM_NO_INSTALL=1 installs nothing: it stops and lists. WTGRAM_PYTHON_NEWER may name a Python >= 3.12.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=$(cd "$here/../.." && pwd)/.tools/interop
say() { printf 'setup: interop: %s\n' "$*"; }

# usable_python PROGRAM MINOR: a CPython 3.MINOR or newer that can make environments
usable_python() {
  "$1" -c "import sys, venv, ensurepip, ssl; sys.exit(sys.version_info < (3, $2))" 2>/dev/null
}

# find_python MINOR CANDIDATE...
find_python() {
  local minor=$1 candidate
  shift
  for candidate in "$@"; do
    if [ -n "$candidate" ] && usable_python "$candidate" "$minor"; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return 0
    fi
  done
  return 1
}

# An environment is ready when it was made from these requirements and its Python is still there.
ready() { # VERSION
  local folder=$tools/pywebtransport-$1
  [ -x "$folder/bin/python" ] && cmp -s "$here/requirements-pywebtransport-$1.txt" "$folder/.wtgram-stamp"
}

missing=()
for version in 0.6.1 0.9.1 0.21.1; do
  ready "$version" || missing+=("$version")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "${WTGRAM_NO_INSTALL:-}" = 1 ]; then
  say "cannot go on: WTGRAM_NO_INSTALL=1 and peers are missing"
  for version in "${missing[@]}"; do
    say "  missing: .tools/interop/pywebtransport-$version, a Python environment with the packages of" \
      "tests/interop/requirements-pywebtransport-$version.txt"
  done
  exit 1
fi

# 0.6.1 and 0.9.1 are tested on 3.11, the Python of Debian 12; any newer one will do where that is missing.
python_older=$(find_python 11 python3.11 python3 python3.12 python3.13 python3.14) || true
python_newer=$(find_python 12 "${WTGRAM_PYTHON_NEWER:-}" "$tools/../bin/python-newer" python3 python3.12 python3.13 \
  python3.14 "$HOME"/.pyenv/versions/3.1[2-9]*/bin/python3) || true
[ -n "$python_older" ] || { say "cannot go on: no Python 3.11 or newer with venv (Debian: python3 python3-venv)"; exit 1; }
[ -n "$python_newer" ] || {
  say "cannot go on: pywebtransport 0.21 needs Python 3.12 or newer with venv, and there is none here;" \
    "put one on the PATH as python3.12 (or later), or name it in WTGRAM_PYTHON_NEWER"
  exit 1
}

for version in "${missing[@]}"; do
  python=$python_older
  [ "$version" != 0.21.1 ] || python=$python_newer
  folder=$tools/pywebtransport-$version
  say "making .tools/interop/pywebtransport-$version with $("$python" --version)"
  rm -rf "$folder"
  mkdir -p "$tools"
  "$python" -m venv "$folder"
  # 0.9.1 declares Python >= 3.12 and runs on 3.11 all the same; the pins name every package, so nothing is resolved.
  "$folder/bin/python" -m pip --quiet --disable-pip-version-check install --no-deps --ignore-requires-python \
    -r "$here/requirements-pywebtransport-$version.txt"
  "$folder/bin/python" -c 'import pywebtransport'
  cp "$here/requirements-pywebtransport-$version.txt" "$folder/.wtgram-stamp"
done
say "peers are there: pywebtransport 0.6.1, 0.9.1, 0.21.1"
