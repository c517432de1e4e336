#!/usr/bin/env bash
# Tests schema.sql and the program that fills it with a real PostgreSQL ($PGHOST), the
# records of a day of 50 rooms ($DAY) and those of the running agent ($RECORDS). The
# program is killed in between; afterwards each record is there once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/lib.sh"
trap stop_all EXIT

psql -q -X -v ON_ERROR_STOP=1 -f "$here/schema.sql"
ask() { psql -X -A -t -v ON_ERROR_STOP=1 -c "$1"; }
go -C "$here" build -o "$WORK/loader" .
start_broker broker "allow_anonymous true" "max_queued_messages 1000000" "max_inflight_messages 200"
loader() {
	spawn "$WORK/loader.log" "$WORK/loader"
	LOADER=$SPAWNED
}
loader
await 20 grep -q reading "$WORK/loader.log" || fail "postgres: $(cat "$WORK/loader.log")"

# Messages that no database can accept must not stop the rest.
pub -q 1 -t roomcall/v1/x/x/sample -m 'no record'
pub -q 1 -t roomcall/v1/x/x/sample -m '{"id":"nul","schema":"roomcall.sample/1.0","text":"\u0000"}'

live | grep -E '"schema":"roomcall\.(sample|stream|event|call|minute)/' | awk -F'"id":"' '{ split($2, a, "\""); if (!seen[a[1]]++) print }' >"$WORK/live.jsonl"
want=$(cat "$DAY" "$WORK/live.jsonl" | wc -l)
rows() { ask "select (select count(*) from sample) + (select count(*) from stream) + (select count(*) from event) + (select count(*) from call) + (select count(*) from minute)"; }
more_than() { [ "$(rows)" -gt "$1" ]; }
spawn "$WORK/feed.log" bash -c '. "$REPO/packaging/scripts/interop/lib.sh"; feed "$DAY" && feed "$WORK/live.jsonl"'
FEEDER=$SPAWNED
killed=0
for part in 10 4 2; do
	await 120 more_than $((want / part)) || fail "postgres: only $(rows) of $want rows: $(tail -3 "$WORK/loader.log")"
	kill -9 "$LOADER"
	wait "$LOADER" 2>/dev/null || true
	killed=$((killed + 1))
	loader
done
wait "$FEEDER"
all() { [ "$(rows)" = "$want" ]; }
await 120 all || fail "postgres: $(rows) of $want rows: $(tail -3 "$WORK/loader.log")"

# Again, as after `roomcall buffer replay`: nothing changes.
feed "$WORK/live.jsonl"
pub -q 1 -t roomcall/v1/x/x/call -m '{"id":"last.1.x.call.1","schema":"roomcall.call/1.0","client_id":"last","device":"x","ts_ms":1,"seq":1,"epoch":1}'
last() { [ "$(ask "select count(*) from call where id = 'last.1.x.call.1'")" = 1 ]; }
await 60 last || fail "postgres: the last record did not arrive"
ask "delete from call where client_id = 'last'" >/dev/null
[ "$(rows)" = "$want" ] || fail "postgres: $(rows) rows after a replay, want $want"
[ "$(grep -c skipped "$WORK/loader.log")" -ge 2 ] || fail "postgres: the two bad messages were not reported"

holes=$(ask "select coalesce(sum(missing), 0) from hole where client_id like 'floor-%' and kind in ('event', 'call', 'minute')")
[ "$holes" = 0 ] || fail "postgres: $holes records of the day are missing"
[ "$(ask "select count(*) from incident where client_id like 'floor-%' and ended is null")" = 0 ] || fail "postgres: incidents without an end"
[ "$(ask "select count(*) from room_now where client_id = 'interop'")" = 3 ] || fail "postgres: room_now does not show the 3 rooms of the running agent"

# The agents' own notices: the newest counts, nonsense is skipped, an empty one forgets.
notice() { pub -r -q 1 -t "roomcall/v1/$1/$2" "${@:3}"; }
for kind in birth health; do
	grep -o "^roomcall/v1/interop/$kind	.*" "$RECORDS" | tail -1 | cut -f2 >"$WORK/$kind"
	notice interop "$kind" -f "$WORK/$kind"
	notice gone "$kind" -m '{"version":"0"}'
done
notice interop availability -m online
notice interop availability -m lost
notice gone availability -m nonsense
notice gone health -n
agents() { [ "$(ask "select client_id, availability, version, status is not null, devices from agent_now")" = "interop|lost|$("$ROOMCALL" version | awk '{ print $2 }')|t|3" ]; }
await 30 agents || fail "postgres: agents are $(ask 'table agent_now')"

ask "call forget('100 years', '100 years')" >/dev/null
[ "$(rows)" = "$want" ] || fail "postgres: forget deleted new records"
ok postgres "$want records in $want rows after $killed kills and a replay, 0 missing, 2 bad messages reported"
