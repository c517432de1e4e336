#!/usr/bin/env bash
# Tests consumer.py with the records of the running agent: it is killed in between, some
# records arrive twice, and in the end each is in the file once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/lib.sh"
trap stop_all EXIT

start_broker broker "allow_anonymous true" "max_queued_messages 1000000"
rows() { /usr/bin/python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])' "$WORK/records.db" "$1"; }
count() { rows "select count(*) from record" 2>/dev/null || echo 0; }
consumer() {
	spawn "$WORK/log" /usr/bin/python3 "$here/consumer.py" "$BROKER_URL" "$WORK/records.db"
	CONSUMER=$SPAWNED
}
consumer
subscribed() { grep -q 'Sending SUBACK to roomcall-python' "$WORK/broker/mosquitto.log"; }
await 20 subscribed || fail "python: does not subscribe: $(cat "$WORK/log")"

pub -q 1 -t roomcall/v1/x/x/sample -m 'no record'
pub -q 1 -t roomcall/v1/x/x/sample -m '[1]'
live | grep -E '"schema":"roomcall\.(sample|event|call|minute)/' >"$WORK/live.jsonl"
want=$(jq -r .id "$WORK/live.jsonl" | sort -u | wc -l)
spawn "$WORK/feed.log" bash -c '. "$REPO/packaging/scripts/interop/lib.sh"; feed "$WORK/live.jsonl"; feed <(head -50 "$WORK/live.jsonl")'
feeder=$SPAWNED
some() { [ "$(count)" -gt $((want / 4)) ]; }
await 60 some || fail "python: only $(count) of $want rows: $(tail -3 "$WORK/log")"
kill -9 "$CONSUMER"
wait "$CONSUMER" 2>/dev/null || true
wait "$feeder"
consumer
all() { [ "$(count)" = "$want" ]; }
await 60 all || fail "python: $(count) of $want rows: $(tail -3 "$WORK/log")"
[ "$(grep -c 'not a record' "$WORK/log")" -ge 2 ] || fail "python: the two bad messages were not reported"
[ "$(rows 'select count(*) from record where json_extract(doc, "$.id") <> id')" = 0 ] || fail "python: a record under another id"
ok python "$want records in $want rows after a kill and duplicates, 2 bad messages reported (paho-mqtt $(/usr/bin/python3 -c 'import paho.mqtt; print(paho.mqtt.__version__)'))"
