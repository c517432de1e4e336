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

# Messages that no database can accept, and those in the name of another agent, must not
# stop the rest.
pub -q 1 -t roomcall/v1/x/x/sample -m 'no record'
pub -q 1 -t roomcall/v1/x/x/sample -m '{"id":"x.1.x.sample.1","client_id":"x","text":"\u0000"}'
pub -q 1 -t roomcall/v1/x/x/event -m "{\"id\":\"x.$(head -c 9000 /dev/urandom | base64 -w 0)\",\"client_id\":\"x\"}"
pub -q 1 -t roomcall/v1/x/x/state -m '{"ts_ms":"yesterday"}'
pub -q 1 -t roomcall/v1/x/x/call -m '{"id":"y.1.x.call.1","client_id":"y"}'
pub -q 1 -t roomcall/v1/x/x/call -m '{"id":"x.1.x.call.1","client_id":"y","Client_ID":"x"}'
{ printf '{"id":"x.1.x.call.2","client_id":"x","text":"' && head -c 300000 /dev/zero | tr '\0' x && echo '"}'; } | pub -q 1 -t roomcall/v1/x/x/call -s

live | grep -E '"schema":"roomcall\.(sample|stream|event|call|minute)/' | awk -F'"id":"' '{ split($2, a, "\""); if (!seen[a[1]]++) print }' >"$WORK/live.jsonl"
want=$(cat "$DAY" "$WORK/live.jsonl" | wc -l)
rows() { ask "select (select count(*) from sample) + (select count(*) from stream) + (select count(*) from event) + (select count(*) from call) + (select count(*) from minute)"; }
more_than() { [ "$(rows)" -gt "$1" ]; }
spawn "$WORK/feed.log" bash -c '. "$REPO/packaging/scripts/interop/lib.sh"; feed "$DAY" && feed "$WORK/live.jsonl"'
FEEDER=$SPAWNED
# Killed while it waits for a commit that never comes, together with that transaction.
blocked() { [ "$(ask "select count(*) from pg_stat_activity where wait_event_type = 'Lock'")" -gt 0 ]; }
killed=0
for part in 10 4 2; do
	await 120 more_than $((want / part)) || fail "postgres: only $(rows) of $want rows: $(tail -3 "$WORK/loader.log")"
	spawn "$WORK/lock.log" psql -X -c begin -c 'lock table sample, stream, event, call, minute in share mode' -c 'select pg_sleep(600)'
	await 60 blocked || fail "postgres: nothing was being written: $(tail -3 "$WORK/loader.log")"
	kill -9 "$LOADER"
	wait "$LOADER" 2>/dev/null || true
	ask "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()" >/dev/null
	killed=$((killed + 1))
	loader
done
wait "$FEEDER"
all() { [ "$(rows)" = "$want" ]; }
await 120 all || fail "postgres: $(rows) of $want rows: $(tail -3 "$WORK/loader.log")"

# Again, as after `roomcall buffer replay`: nothing changes.
feed "$WORK/live.jsonl"
pub -q 1 -t roomcall/v1/last/x/call -m '{"id":"last.1.x.call.1","schema":"roomcall.call/1.0","client_id":"last","device":"x","ts_ms":1,"seq":1,"epoch":1}'
last() { [ "$(ask "select count(*) from call where id = 'last.1.x.call.1'")" = 1 ]; }
await 60 last || fail "postgres: the last record did not arrive"
ask "delete from call where client_id = 'last'" >/dev/null
[ "$(rows)" = "$want" ] || fail "postgres: $(rows) rows after a replay, want $want"
[ "$(grep -c skipped "$WORK/loader.log")" -ge 7 ] || fail "postgres: the seven bad messages were not reported"

holes=$(ask "select coalesce(sum(missing), 0) from hole where client_id like 'floor-%' and kind in ('event', 'call', 'minute')")
[ "$holes" = 0 ] || fail "postgres: $holes records of the day are missing"
[ "$(ask "select count(*) from incident where client_id like 'floor-%' and ended is null")" = 0 ] || fail "postgres: incidents without an end"

# The rooms as they were last: of the running agent its states, of the day the newest sample.
sed -n 's|^\(roomcall/v1/interop/[a-z]*/state\)\t|\1 |p' "$RECORDS" | tac | awk '!seen[$1]++' >"$WORK/states"
jq -s -r 'map(select(.schema == "roomcall.sample/1.0")) | group_by([.client_id, .device])[] | max_by(.ts_ms) |
	"roomcall/v1/\(.client_id)/\(.device)/state \(tojson)"' "$DAY" >>"$WORK/states"
while read -r topic state; do pub -r -q 1 -t "$topic" -m "$state"; done <"$WORK/states"
rooms() { [ "$(ask "select count(*) filter (where client_id = 'interop'), count(*) from room_now")" = "3|$(wc -l <"$WORK/states")" ]; }
await 30 rooms || fail "postgres: room_now has $(ask 'select count(*) from room_now') of $(wc -l <"$WORK/states") rooms"

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

# The last word of an agent counts, also when many come at once.
kill -9 "$LOADER"
wait "$LOADER" 2>/dev/null || true
for i in $(seq 100); do printf 'online\nlost\n' | pub -q 1 -l -t "roomcall/v1/pair-$i/availability"; done
loader
pairs() { [ "$(ask "select count(*) from agent where client_id like 'pair-%' and availability = 'lost'")" = 100 ]; }
await 30 pairs || fail "postgres: of 100 agents whose last word is lost $(ask "select count(*) from agent where availability = 'lost'") are"
ask "delete from agent where client_id like 'pair-%'" >/dev/null

# The views, with two agents of a small fleet: its rooms are poor with an incident (after
# an earlier one that is over), fair since the second of three samples, unreachable, and
# good; one record is missing. The other agent is lost.
now=$(($(date +%s) * 1000))
record() { # record DEVICE KIND SEQ AGE_S MORE
	pub -q 1 -t "roomcall/v1/fleet-1/$1/$2" -m "{\"id\":\"fleet-1.1.$1.$2.$3\",\"epoch\":1,\"seq\":$3,\"ts_ms\":$((now - $4 * 1000)),\"client_id\":\"fleet-1\",\"site\":\"Example site\",\"device\":\"$1\",\"room\":\"Room $1\",$5}"
}
state() { # state AGENT DEVICE AGE_S MORE
	pub -r -q 1 -t "roomcall/v1/$1/$2/state" -m "{\"ts_ms\":$((now - $3 * 1000)),\"client_id\":\"$1\",\"site\":\"Example site\",\"device\":\"$2\",\"room\":\"Room $2\",$4}"
}
record poor event 1 900 '"type":"quality.degraded","severity":"warning","incident_id":"i1","since_ms":1'
record poor event 2 800 '"type":"quality.recovered","severity":"info","incident_id":"i1"'
record poor event 4 500 "\"type\":\"quality.degraded\",\"severity\":\"warning\",\"incident_id\":\"i2\",\"since_ms\":$((now - 600000)),\"scope\":\"uplink\",\"text\":\"poor\""
record far event 1 700 "\"type\":\"endpoint.offline\",\"severity\":\"critical\",\"incident_id\":\"i3\",\"since_ms\":$((now - 700000))"
record fair sample 1 60 '"endpoint_state":"in_call","call_id":"c","grade":"good"'
record fair sample 2 50 '"endpoint_state":"in_call","call_id":"c","grade":"fair"'
record fair sample 3 45 '"endpoint_state":"in_call","call_id":"c","grade":"fair"'
state fleet-1 poor 0 '"endpoint_state":"in_call","call_id":"p","grade":"poor","grade_reasons":"video_send_loss,audio_send_delay","video_send_loss_pct":7.5'
state fleet-1 fair 0 '"endpoint_state":"in_call","call_id":"c","grade":"fair","grade_reasons":"audio_recv_jitter","audio_recv_jitter_ms":41'
state fleet-1 far 0 '"endpoint_state":"unreachable"'
state fleet-1 good 0 '"endpoint_state":"in_call","grade":"good"'
state fleet-2 hub 0 '"endpoint_state":"in_call","grade":"poor","grade_reasons":"video_send_loss"'
state fleet-1 old 3600 '"endpoint_state":"idle"'
state fleet-1 removed 0 '"endpoint_state":"idle"'
for agent in fleet-1 fleet-2; do
	notice "$agent" birth -m '{"site":"Example site","version":"7","config_hash":"ab","started_ms":1000,"devices":[{"device":"hub"}],"devices_omitted":4}'
	notice "$agent" health -m "{\"ts_ms\":$now,\"status\":\"warn\",\"codes\":\"store_full\",\"waiting\":3}"
done
notice fleet-1 availability -m online
notice fleet-2 availability -m lost
shows() { # shows QUERY LINE...
	local want
	want=$(printf '%s\n' "${@:2}")
	said=$(ask "$1")
	[ "$said" = "$want" ]
}
view() { await 30 shows "$@" || fail "postgres: $1 says: $said"; }
age() { echo "extract(epoch from to_timestamp($now / 1000) - $1)::int"; }
view "select count(*) from room where device = 'removed'" 1
pub -r -q 1 -t roomcall/v1/fleet-1/removed/state -n
view "select count(*) from room where device = 'removed'" 0
view "select device, endpoint_state, grade, metric, value, scope, $(age since) from bad_now where client_id like 'fleet-%'" \
	'far|unreachable|||||700' 'poor|in_call|poor|video_send_loss|7.5|uplink|600' 'fair|in_call|fair|audio_recv_jitter|41||50'
# A state that comes late, as from another consumer, does not replace a newer one.
pub -q 1 -t roomcall/v1/fleet-1/poor/state -m "{\"ts_ms\":$((now - 20000)),\"endpoint_state\":\"idle\",\"grade\":\"unknown\"}"
state fleet-1 old 3600 '"endpoint_state":"idle","grade":"good"'
view "select device, grade from room_now where client_id = 'fleet-1' and device in ('old', 'poor') order by 1" 'old|good' 'poor|poor'
view "select kind, device, missing from hole where client_id like 'fleet-%'" 'event|poor|1'
view "select version, agents, online, rooms from version_now where version = '7'" '7|2|1|10'
view "select client_id, version, config, devices, status, codes, waiting from agent_now where client_id like 'fleet-%' order by 1" \
	'fleet-1|7|ab|5|warn|store_full|3' 'fleet-2|7|ab|5|warn|store_full|3'
silent="select client_id, device, rooms, why, since > interval '9 minutes' from silent where client_id like 'fleet-%' order by client_id, device"
view "$silent" 'fleet-2||5|lost|f'
ask "delete from room where device = 'old'" >/dev/null
kill -9 "$LOADER"
wait "$LOADER" 2>/dev/null || true
loader # the broker sends again what it retains; what is old there is old here
view "$silent" 'fleet-1|old|1|no state|t' 'fleet-2||5|lost|f'
ask "update room set heard = heard - interval '10 minutes' where device = 'good'" >/dev/null
view "$silent" 'fleet-1|good|1|no state|t' 'fleet-1|old|1|no state|t' 'fleet-2||5|lost|f'
ask "update agent set heard = heard - interval '20 minutes' where client_id = 'fleet-1'" >/dev/null
view "$silent" 'fleet-1||5|no health|t' 'fleet-2||5|lost|f'
# grafana runs its queries on what is left.
ask "update agent set heard = now() where client_id = 'fleet-1'; delete from event where client_id like 'fleet-%'; delete from sample where client_id like 'fleet-%'" >/dev/null

ask "call forget('100 years', '100 years')" >/dev/null
[ "$(rows)" = "$want" ] || fail "postgres: forget deleted new records"
ok postgres "$want records in $want rows after $killed kills before a commit and a replay, 0 missing, 7 bad messages reported; who is silent, which version, which room is bad, what is missing: each seen"
