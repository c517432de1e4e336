#!/usr/bin/env bash
# Measures the PostgreSQL consumer: postgres.sh [RECORDS] (default 100000). Records of
# 1,000 rooms in a call wait at a mosquitto; the consumer reads them into a PostgreSQL
# that flushes each commit to disk, once with one insert a record and once as it does,
# with one statement a table. Prints one line: records a second, their ratio, and the
# CPU time of 1,000 records. Everything runs on loopback, in a temporary folder below
# BENCH_DIR (default: bin/bench), which must be on a disk.
set -euo pipefail
REPO=$(cd "$(dirname "$0")/../../.." && pwd)
export REPO
mkdir -p "${BENCH_DIR:=$REPO/bin/bench}"
WORK=$(mktemp -d "$BENCH_DIR/postgres-XXXXXX")
export WORK
# shellcheck source=../interop/database.sh
. "$REPO/packaging/scripts/interop/database.sh"
trap 'stop_all; [ -n "${KEEP:-}" ] || rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM

start_database -c fsync=on
database=$SPAWNED
psql -q -X -v ON_ERROR_STOP=1 -f "$REPO/packaging/consumers/postgres/schema.sql"
start_broker broker "allow_anonymous true" "max_queued_messages 10000000" "max_inflight_messages 1000" "set_tcp_nodelay true"
export RECORDS=$WORK/day.jsonl PROCESSES="postgres=$database broker=$SPAWNED"
"$REPO/packaging/scripts/example-day.sh" "$RECORDS" >"$WORK/day.log" 2>&1 || fail "the example day: $(tail -5 "$WORK/day.log")"
go -C "$REPO/packaging/consumers/postgres" test -run '^$' -bench Consume -benchtime "${1:-100000}x" . >"$WORK/bench" || fail "$(tail -5 "$WORK/bench")"
awk -v records="${1:-100000}" '
	/^BenchmarkConsume/ { way = $1 ~ /rows/ ? "rows" : "unnest"; for (i = 3; i < NF; i += 2) value[way, $(i + 1)] = $i }
	function cpu(way) { return value[way, "postgres-ms/1000"] + value[way, "consumer-ms/1000"] + value[way, "broker-ms/1000"] }
	END { printf "postgres: %d records: %.0f records/s, %.0f a commit, one insert a record %.0f (%.2f); CPU of 1,000 records: %.0f ms beside %.0f (PostgreSQL %.0f beside %.0f, consumer %.0f, broker %.0f)\n",
		records, value["unnest", "records/s"], value["unnest", "records/commit"], value["rows", "records/s"], value["unnest", "records/s"] / value["rows", "records/s"],
		cpu("unnest"), cpu("rows"), value["unnest", "postgres-ms/1000"], value["rows", "postgres-ms/1000"], value["unnest", "consumer-ms/1000"], value["unnest", "broker-ms/1000"] }' "$WORK/bench"
