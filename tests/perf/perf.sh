#!/usr/bin/env bash
# perf.sh WTGRAM_PERF: a server and clients on loopback: figures as JSON and as text, good errors, the exit
# codes of --help.
set -euo pipefail
perf=$1
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "failed: $*"; cat "$work"/*; exit 1; }

"$perf" server --host 127.0.0.1 --port 0 > "$work/server" 2>&1 &
server=$!
for _ in $(seq 600); do
  grep -q -- --hash "$work/server" && break
  sleep 0.1
done
# The command line that the server prints is the one that works.
read -r -a client <<< "$(sed -n 's/^  wtgram-perf client //p' "$work/server")"
[ ${#client[@]} -eq 3 ] || fail "the server prints no command line"

echo "- a paced run as JSON: lines and a summary in which everything sent was delivered"
"$perf" client "${client[@]}" --seconds 2.5 --rate 1000 --size 200 --mix 80,15,5 --ttl 60000 --json > "$work/json" || fail "the paced run"
python3 - "$work/json" << 'PYTHON' || fail "the figures"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert [line["summary"] for line in lines] == [False, False, True], lines
total = lines[-1]
assert 0 < total["sent"] <= 2600, total
assert total["delivered_share"] > 0.95, total
assert 0 < total["rtt_us"]["p50"] <= total["rtt_us"]["p90"] <= total["rtt_us"]["p99"], total
PYTHON

echo "- a run flat out as text"
"$perf" client "${client[@]}" --seconds 1.2 > "$work/text" || fail "the run flat out"
grep -q '^summary over' "$work/text" || fail "no summary"

expect() { # CODE TEXT ARGUMENTS...
  local code=0 wanted=$1 text=$2
  shift 2
  "$perf" "$@" > "$work/output" 2>&1 || code=$?
  [ "$code" -eq "$wanted" ] || fail "$* ended with $code instead of $wanted"
  grep -q -- "$text" "$work/output" || fail "$* does not say: $text"
}
echo "- wrong usage, wrong trust and datagrams that are too large say what is wrong"
expect 0 "default 1000" --help
expect 2 "wtgram-perf client URL"
expect 2 "needs a URL" client
expect 2 "64 hex digits" client "${client[0]}" --hash 12
expect 2 "a number from 24 to 1500" client "${client[@]}" --size x
expect 2 "knows no option" client "${client[@]}" --frobnicate 1
expect 2 "a value is missing" client "${client[@]}" --rate
expect 1 "CERTIFICATE_UNTRUSTED" client "${client[0]}"
expect 1 "up to [0-9]* bytes" client "${client[@]}" --size 1500

echo "- Ctrl-C ends the server, which says what it received"
kill -INT "$server"
wait "$server" || fail "the server ended with $?"
server=
grep -q 'gone after [0-9]* datagrams' "$work/server" || fail "the server is silent"
