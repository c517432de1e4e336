#!/usr/bin/env bash
# Tests consumer.mjs with the records of the running agent: it is killed in between, and
# in the end each record is in a file of its day.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/lib.sh"
trap stop_all EXIT

start_broker broker "allow_anonymous true" "max_queued_messages 1000000"
mkdir -p "$WORK/program/days"
cp "$here/consumer.mjs" "$WORK/program"
ln -s "$NODE_MODULES" "$WORK/program/node_modules"
ids() { cat "$WORK/program/days"/*.jsonl 2>/dev/null | jq -r .id | sort -u; }
count() { ids | wc -l; }
consumer() {
	spawn "$WORK/log" node "$WORK/program/consumer.mjs" "${BROKER_URL/tcp/mqtt}" "$WORK/program/days"
	CONSUMER=$SPAWNED
}
consumer
subscribed() { grep -q 'Sending SUBACK to roomcall-node' "$WORK/broker/mosquitto.log"; }
await 20 subscribed || fail "node: does not subscribe: $(cat "$WORK/log")"

pub -q 1 -t roomcall/v1/x/x/sample -m 'no record'
pub -q 1 -t roomcall/v1/x/x/sample -m '{"id":"x","ts":"../../../x"}'
live | grep -E '"schema":"roomcall\.(sample|event|call|minute)/' >"$WORK/live.jsonl"
want=$(jq -r .id "$WORK/live.jsonl" | sort -u | wc -l)
spawn "$WORK/feed.log" bash -c '. "$REPO/packaging/scripts/interop/lib.sh"; feed "$WORK/live.jsonl"'
feeder=$SPAWNED
some() { [ "$(count)" -gt $((want / 4)) ]; }
await 60 some || fail "node: only $(count) of $want records: $(tail -3 "$WORK/log")"
kill -9 "$CONSUMER"
wait "$CONSUMER" 2>/dev/null || true
wait "$feeder"
consumer
all() { [ "$(count)" = "$want" ]; }
await 60 all || fail "node: $(count) of $want records: $(tail -3 "$WORK/log")"
[ "$(grep -c 'not a record' "$WORK/log")" -ge 2 ] || fail "node: the two bad messages were not reported"
for day in "$WORK/program/days"/*.jsonl; do
	[ "$(jq -r '.ts[:10]' "$day" | sort -u)" = "$(basename "$day" .jsonl)" ] || fail "node: $day has another day's records"
done
[ ! -e "$WORK/x.jsonl" ] || fail "node: wrote outside its folder"
ok node "$want records in $(ls "$WORK/program/days" | wc -l) files after a kill, 2 bad messages reported (mqtt.js $(jq -r .version "$NODE_MODULES/mqtt/package.json"))"
