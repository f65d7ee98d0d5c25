#!/usr/bin/env bash
# setup.sh: the real peers of the interop tests: a Python environment in .tools/interop/ for each file
# requirements-PEER.txt; the modules and crates of the peers in Go and Rust, which ctest builds, in the caches of Go and
# cargo. Idempotent: an environment whose stamp matches its requirements and its Python is left alone.
# `setup.sh PEER...` prepares only these environments.
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
ready() { # PEER
  local folder=$tools/$1
  [ -x "$folder/bin/python" ] && cmp -s "$here/requirements-$1.txt" "$folder/.wtgram-stamp"
}

environments=() missing=() sources=()
for list in "$here"/requirements-*.txt; do
  peer=$(basename "$list" .txt)
  peer=${peer#requirements-}
  [ $# = 0 ] || [[ " $* " == *" $peer "* ]] || continue
  environments+=("$peer")
  ready "$peer" || missing+=("$peer")
done
# The peers in Go and Rust, each in its folder. Go must not get another toolchain for them.
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly
if [ $# = 0 ]; then
  for folder in webtransport-go/0.9 webtransport-go/0.13; do
    (cd "$here/$folder" && GOPROXY=off go list -deps . > /dev/null 2>&1) || sources+=("$folder")
  done
  folder=web-transport-quinn
  (cd "$here/$folder" && cargo fetch --locked --offline > /dev/null 2>&1) || sources+=("$folder")
fi
[ $((${#missing[@]} + ${#sources[@]})) -gt 0 ] || exit 0

if [ "${WTGRAM_NO_INSTALL:-}" = 1 ]; then
  say "cannot go on: WTGRAM_NO_INSTALL=1 and peers are missing"
  for peer in "${missing[@]}"; do
    say "  missing: .tools/interop/$peer, a Python environment with the packages of tests/interop/requirements-$peer.txt"
  done
  for folder in "${sources[@]}"; do
    say "  missing: what the lock file in tests/interop/$folder names (go mod download, cargo fetch --locked)"
  done
  exit 1
fi

for folder in "${sources[@]}"; do
  say "getting the dependencies of tests/interop/$folder"
  case $folder in
    webtransport-go/*) (cd "$here/$folder" && go mod download) ;;
    *) (cd "$here/$folder" && cargo fetch --locked) ;;
  esac
done
[ ${#missing[@]} -gt 0 ] || exit 0

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

for peer in "${missing[@]}"; do
  python=$python_older
  [ "$peer" != pywebtransport-0.21.1 ] || python=$python_newer
  folder=$tools/$peer
  say "making .tools/interop/$peer with $("$python" --version)"
  rm -rf "$folder"
  mkdir -p "$tools"
  "$python" -m venv "$folder"
  # 0.9.1 declares Python >= 3.12 and runs on 3.11 all the same; the pins name every package, so nothing is resolved.
  "$folder/bin/python" -m pip --quiet --disable-pip-version-check install --no-deps --ignore-requires-python \
    -r "$here/requirements-$peer.txt"
  "$folder/bin/python" -c "import ${peer%-*}"
  cp "$here/requirements-$peer.txt" "$folder/.wtgram-stamp"
done
say "peers are there: ${environments[*]}"
