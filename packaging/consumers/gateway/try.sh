#!/usr/bin/env bash
# Tests the gateway: strict clients of the four systems, written from the systems' own
# documents, ask it for everything of a scripted day, over a file and over a real
# PostgreSQL ($PGHOST), and compare every number with the day's samples; then they read
# what convert prints and what the running agent ($RECORDS) publishes as view/*.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/lib.sh"
trap stop_all EXIT

createdb gateway
export PGDATABASE=gateway
psql -q -X -v ON_ERROR_STOP=1 -f "$here/../postgres/schema.sql"
go -C "$here" test -count=1 -timeout 15m -v . -args -postgres "host=$PGHOST user=$PGUSER dbname=gateway" >"$WORK/test.log" 2>&1 || {
	grep -E -A3 -e '--- FAIL|gateway_test|check.go' "$WORK/test.log" | head -40 >&2
	fail "gateway: the tests fail"
}
! grep -q 'NOT RUN' "$WORK/test.log" || fail "gateway: $(grep 'NOT RUN' "$WORK/test.log")"

sed '$d' "$RECORDS" >"$WORK/live.tsv"
go -C "$REPO" test -count=1 -v ./packaging/stricttest -args -live "$WORK/live.tsv" >"$WORK/live.log" 2>&1 || {
	grep -v '^=== ' "$WORK/live.log" | cut -c1-600 | head -40 >&2
	fail "gateway: what convert prints or an agent publishes is not as the documents say"
}

# The program itself, as its README starts it.
go -C "$here" build -o "$WORK/gateway" .
printf 'dashboard:%s\n' 0123456789abcdef >"$WORK/keys"
port=$(free_port)
spawn "$WORK/gateway.log" "$WORK/gateway" -listen "127.0.0.1:$port" -keys "$WORK/keys" -postgres "host=$PGHOST user=$PGUSER dbname=gateway"
await 20 curl -fsS "http://127.0.0.1:$port/healthz" || fail "gateway: $(cat "$WORK/gateway.log")"
lists="http://127.0.0.1:$port/beta/analytics/call/lists?appid=rooms&start_ts=1772409600&end_ts=1772582400"
[ "$(curl -sS -u dashboard:0123456789abcdef "$lists" | jq '.call_lists | length')" = 10 ] || fail "gateway: no calls"
[ "$(curl -sS -o "$WORK/refused" -w '%{http_code}' "$lists")" = 401 ] || fail "gateway: answers without a key"
! grep -q 0123456789abcdef "$WORK/gateway.log" "$WORK/refused" || fail "gateway: tells of a secret"
ok gateway "$(grep -c '^    --- PASS' "$WORK/test.log") parts of the day over a file and PostgreSQL; $(grep -o '[0-9]* messages: .*' "$WORK/live.log")"
