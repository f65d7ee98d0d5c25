#!/usr/bin/env bash
# talk.sh TEXT SERVER CLIENT ARGUMENT...: an example's server, and a client that is told where it is: URL, HASH and
# PID among its arguments become the server's. The client must end with 0 and print TEXT, the server end with
# 0 when it is asked to. The server must print SERVER_TEXT, if the environment has it.
set -euo pipefail
text=$1 server=$2 client=$3
shift 3
work=$(mktemp -d)
server_pid=
cleanup() {
  if [ -n "$server_pid" ]; then kill -KILL "$server_pid" 2> /dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "failed: $*"; tail -n 40 "$work"/*; exit 1; }

"$server" --port 0 > "$work/server" 2>&1 &
server_pid=$!
for _ in $(seq 600); do
  grep -q '^listening on ' "$work/server" && break
  kill -0 "$server_pid" 2> /dev/null || fail "the server ended before it listened"
  sleep 0.1
done
read -r _ _ url _ hash < "$work/server" || fail "no listening line"

arguments=()
for argument in "$@"; do
  case $argument in
    URL) arguments+=("$url") ;;
    HASH) arguments+=("$hash") ;;
    PID) arguments+=("$server_pid") ;;
    *) arguments+=("$argument") ;;
  esac
done
timeout 120 "$client" "${arguments[@]}" > "$work/client" 2>&1 || fail "the client ended with $?"
grep -Eq -- "$text" "$work/client" || fail "the client does not say: $text"
# A client that knows its PID may have asked it before.
kill -TERM "$server_pid" 2> /dev/null || true
wait "$server_pid" || fail "the server ended with $?"
server_pid=
grep -Eq -- "${SERVER_TEXT:-}" "$work/server" || fail "the server does not say: $SERVER_TEXT"
tail -n 3 "$work/client"
