#!/usr/bin/env bash
# valgrind_echo.sh VALGRIND ECHO_SERVER ECHO_CLIENT: both example programs talk to each other under valgrind,
# and neither touches memory it must not, nor leaves any behind.
set -euo pipefail
valgrind=$1 server=$2 client=$3
work=$(mktemp -d)
server_pid=
cleanup() {
  if [ -n "$server_pid" ] && kill -0 "$server_pid" 2>/dev/null; then kill -KILL "$server_pid" || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

memcheck=("$valgrind" --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,possible
          --num-callers=30 --fair-sched=yes)
[ ! -f "${0%/*}/valgrind.supp" ] || memcheck+=(--suppressions="${0%/*}/valgrind.supp")

"${memcheck[@]}" --log-file="$work/server.valgrind" "$server" --port 0 > "$work/server.out" 2>&1 &
server_pid=$!

show() {
  for file in "$work"/*; do
    echo "== ${file##*/}"
    tail -n 80 "$file"
  done
}

for _ in $(seq 600); do
  grep -q '^listening on ' "$work/server.out" && break
  kill -0 "$server_pid" 2>/dev/null || { echo "the server ended before it listened"; show; exit 1; }
  sleep 0.1
done
read -r _ _ url _ hash < <(grep -m1 '^listening on ' "$work/server.out") || { echo "no listening line"; show; exit 1; }

client_status=0
"${memcheck[@]}" --log-file="$work/client.valgrind" "$client" --url "$url" --hash "$hash" --count 200 \
  > "$work/client.out" 2>&1 || client_status=$?

# SIGTERM asks the server to close what it has and to end with 0.
kill -TERM "$server_pid" 2>/dev/null || true
server_status=0
wait "$server_pid" || server_status=$?
server_pid=
if [ "$client_status" != 0 ] || [ "$server_status" != 0 ]; then
  echo "client exited $client_status, server exited $server_status (99: valgrind found something)"
  show
  exit 1
fi
tail -n 3 "$work/client.out"
grep -h 'ERROR SUMMARY' "$work"/*.valgrind
