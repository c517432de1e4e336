#!/usr/bin/env bash
# Tests main.go with a receiver of each kind (receiver.mjs) that rejects the first
# message: every alert arrives, the end of an incident too, nothing else does, and an
# event that arrives twice is one alert. A program that was killed misses nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/lib.sh"
trap stop_all EXIT

go -C "$here" build -o "$WORK/alerts" .
start_broker broker "allow_anonymous true" "max_queued_messages 1000000"
touch "$WORK/accepted"
spawn "$WORK/receiver.log" node "$here/receiver.mjs" "$WORK/accepted"
await 10 grep -q mail "$WORK/receiver.log" || fail "alerts: $(cat "$WORK/receiver.log")"
web=http://127.0.0.1:$(sed -n 's/^web //p' "$WORK/receiver.log")
declare -A program
program() { # program NAME URL: starts the program for one receiver
	ALERT_TO=$1 ALERT_URL=$2 ALERT_SECRET="key of $1" SMTP_ADDR=127.0.0.1:$(sed -n 's/^mail //p' "$WORK/receiver.log") \
		MAIL_FROM=roomcall@example.com MAIL_TO=av@example.com,network@example.com spawn "$WORK/$1.log" "$WORK/alerts"
	program[$1]=$SPAWNED
}
to=(mail teams dingtalk wecom feishu)
for one in "${to[@]}"; do
	program "$one" "$web/$one?key=$one"
	await 20 grep -q 'msg=reading\|reading' "$WORK/$one.log" || fail "alerts: $one: $(cat "$WORK/$one.log")"
done

event() { # event SEQ SEVERITY MORE
	pub -q 1 -t roomcall/v1/pc/hub/event -m "{\"id\":\"pc.1.hub.event.$1\",\"schema\":\"roomcall.event/1.0\",\"ts_ms\":1772452800000,\"client_id\":\"pc\",\"site\":\"上海\",\"room\":\"会议室 1\",\"device\":\"hub\",\"severity\":\"$2\",$3}"
}
event 1 info '"type":"call.started","text":"quiet"'
event 2 warning '"type":"quality.degraded","incident_id":"i1","text":"会场发出的音频丢包 12 %（限值 10 %）。请检查本会场的上行链路。"'
pub -q 1 -t roomcall/v1/pc/hub/event -m 'no event'
count() { jq -r --arg to "$1" --arg text "$2" 'select(.to == $to) | .text | split("\n")[] | select(contains($text))' "$WORK/accepted" | grep -c . || true; }
has() { [ "$(count "$1" "$2")" -ge 1 ]; }
for one in "${to[@]}"; do
	await 40 has "$one" "请检查本会场的上行链路" || fail "alerts: $one: $(tail -3 "$WORK/$one.log") $(tail -3 "$WORK/receiver.log")"
done
# The same record again, as after an outage.
event 2 warning '"type":"quality.degraded","incident_id":"i1","text":"会场发出的音频丢包 12 %（限值 10 %）。请检查本会场的上行链路。"'
event 20 warning '"type":"endpoint.offline","text":"after the copy"'
for one in "${to[@]}"; do
	await 40 has "$one" "after the copy" || fail "alerts: $one: $(tail -3 "$WORK/$one.log")"
	[ "$(count "$one" "🟡")" = 2 ] || fail "alerts: $one: $(count "$one" "🟡") alerts, want 2"
done

# Killed: what happens meanwhile waits at the broker. The old form without text, too.
for one in "${to[@]}"; do stop "${program[$one]}"; done
event 3 info '"type":"quality.recovered","incident_id":"i1","text":"The call is good again <at user_id=\"all\"></at>"'
event 4 critical '"type":"endpoint.offline","metric":"video_recv_loss_pct","value":7,"limit":3'
for one in "${to[@]}"; do program "$one" "$web/$one?key=$one"; done
for one in "${to[@]}"; do
	await 40 has "$one" "endpoint.offline (video_recv_loss_pct 7, limit 3)" || fail "alerts: $one: the alert of the time away is missing: $(tail -3 "$WORK/$one.log")"
	await 20 has "$one" "🟢" || fail "alerts: $one: the end is missing"
	[ "$(count "$one" quiet)" = 0 ] || fail "alerts: $one: a call that began is no alert"
	! grep -q "key=$one\|key of" "$WORK/$one.log" || fail "alerts: $one logs a secret: $(cat "$WORK/$one.log")"
	[ "$(grep -c 'send to' "$WORK/$one.log")" = 1 ] || fail "alerts: $one: $(cat "$WORK/$one.log")"
done
has mail '🔴 03-02' || has mail '🔴 03-0' || fail "alerts: no time"
! grep -q '<at' <(jq -r 'select(.to == "feishu") | .text' "$WORK/accepted") || fail "alerts: a text calls people at Feishu"

# Many at once are one message, within what each accepts.
before=$(wc -l <"$WORK/accepted")
for i in $(seq 5 104); do event "$i" warning "\"type\":\"endpoint.offline\",\"text\":\"storm $i $(printf 'x%.0s' $(seq 60))\""; done
for one in "${to[@]}"; do await 60 has "$one" "… +" || fail "alerts: $one: the storm is missing: $(tail -3 "$WORK/$one.log")"; done
after=$(wc -l <"$WORK/accepted")
((after - before <= 25)) || fail "alerts: 100 alerts made $((after - before)) messages"
[ "$(grep -c ': ' "$WORK/receiver.log" || true)" = 0 ] || fail "alerts: $(grep ': ' "$WORK/receiver.log" | head -3)"
ok alerts "${#to[@]} receivers (${to[*]}), each rejected once and sent again, none lost over a stop, 100 at once in $((after - before)) messages"
