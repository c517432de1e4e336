#!/usr/bin/env bash
# Tests the program with a receiver of each kind (receiver.mjs) that rejects messages at
# first, is slow, or hangs up: every alert arrives, the end of an incident too, nothing else
# does, and an event that arrives twice is one alert. A program that was killed misses
# nothing, and what agents send again long after is one message.
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
	echo "$2" >"$WORK/$1.url"
	echo "key of $1" >"$WORK/$1.key"
	ALERT_TO=$1 ALERT_URL_FILE=$WORK/$1.url ALERT_SECRET_FILE=$WORK/$1.key SMTP_ADDR=127.0.0.1:$(sed -n 's/^mail //p' "$WORK/receiver.log") \
		MAIL_FROM=roomcall@example.com MAIL_TO=av@example.com,left-the-company@example.com spawn "$WORK/$1.log" "$WORK/alerts"
	program[$1]=$SPAWNED
}
! ALERT_TO=pigeon BROKER_URL= timeout 30 "$WORK/alerts" 2>"$WORK/wrong" || fail "alerts: starts with wrong settings"
grep -q 'pigeon.*BROKER_URL is not set' "$WORK/wrong" || fail "alerts: $(cat "$WORK/wrong")"
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
kill_all() {
	for one in "${to[@]}"; do
		kill -9 "${program[$one]}"
		wait "${program[$one]}" 2>/dev/null || true
	done
}
restart_all() {
	sleep 4 # the receivers do not like to be asked so soon
	for one in "${to[@]}"; do program "$one" "$web/$one?key=$one"; done
}
# Killed while the receiver rejects it: the alert comes again.
for one in "${to[@]}"; do await 60 grep -q 'not accepted' "$WORK/$one.log" || fail "alerts: $one: $(tail -3 "$WORK/$one.log")"; done
kill_all
touch "$WORK/accepted.open"
restart_all
count() { jq -r --arg to "$1" --arg text "$2" 'select(.to == $to) | .text | split("\n")[] | select(contains($text))' "$WORK/accepted" | grep -c . || true; }
has() { [ "$(count "$1" "$2")" -ge 1 ]; }
for one in "${to[@]}"; do
	await 60 has "$one" "请检查本会场的上行链路" || fail "alerts: $one: $(tail -3 "$WORK/$one.log") $(tail -3 "$WORK/receiver.log")"
done
# The same record again, as after an outage.
event 2 warning '"type":"quality.degraded","incident_id":"i1","text":"会场发出的音频丢包 12 %（限值 10 %）。请检查本会场的上行链路。"'
event 20 warning '"type":"endpoint.offline","text":"after the copy"'
for one in "${to[@]}"; do
	await 40 has "$one" "after the copy" || fail "alerts: $one: $(tail -3 "$WORK/$one.log")"
	[ "$(count "$one" "🟡")" = 2 ] || fail "alerts: $one: $(count "$one" "🟡") alerts, want 2"
done

# Killed: what happens meanwhile waits at the broker. The old form without text, too.
kill_all
event 3 info '"type":"quality.recovered","incident_id":"i1","text":"The call is good again <at user_id=\"all\"></at>"'
pub -q 1 -t roomcall/v1/other/hub/event -m '{"id":"pc.1.hub.event.4","ts_ms":1772452800000,"client_id":"pc","severity":"critical","text":"in the name of another agent"}'
event 4 critical '"type":"endpoint.offline","metric":"video_recv_loss_pct","value":7,"limit":3'
restart_all
for one in "${to[@]}"; do
	await 40 has "$one" "endpoint.offline (video_recv_loss_pct 7, limit 3)" || fail "alerts: $one: the alert of the time away is missing: $(tail -3 "$WORK/$one.log")"
	await 20 has "$one" "🟢" || fail "alerts: $one: the end is missing"
	[ "$(count "$one" 'in the name')" = 0 ] || fail "alerts: $one: an alert in the name of another agent"
	[ "$(count "$one" quiet)" = 0 ] || fail "alerts: $one: a call that began is no alert"
	! grep -q "key=$one\|key of" "$WORK/$one.log" || fail "alerts: $one logs a secret: $(cat "$WORK/$one.log")"
	case $one in dingtalk) faults=2 ;; *) faults=3 ;; esac
	[ "$(grep -c 'not accepted' "$WORK/$one.log")" -ge $faults ] || fail "alerts: $one: $(cat "$WORK/$one.log")"
done
has mail '🔴 03-02' || has mail '🔴 03-0' || fail "alerts: no time"
! grep -q '<at' <(jq -r 'select(.to == "feishu") | .text' "$WORK/accepted") || fail "alerts: a text calls people at Feishu"

grep -q 'rejects a recipient.*no such user' "$WORK/mail.log" || fail "alerts: a recipient who is gone is not reported"

# Many at once are few messages, within what each accepts.
sends() { wc -l <"$WORK/accepted"; }
before=$(sends)
for i in $(seq 5 104); do event "$i" warning "\"type\":\"endpoint.offline\",\"text\":\"storm $i $(printf 'x%.0s' $(seq 60))\""; done
# storms NAME: all 100 were shown or counted.
storms() { [ "$(jq -r --arg to "$1" 'select(.to == $to) | .text | split("\n")[] | select(contains("storm ")), (capture("^… [+](?<n>[0-9]+)") | range(.n | tonumber))' "$WORK/accepted" | wc -l)" -ge 100 ]; }
for one in "${to[@]}"; do await 60 storms "$one" || fail "alerts: $one: the storm is missing: $(tail -3 "$WORK/$one.log")"; done
storm=$(($(sends) - before))
((storm <= 25)) || fail "alerts: 100 alerts made $storm messages"

# An agent was cut off for hours: of 100 incidents 98 are over. An alert of now does not wait.
before=$(sends)
for i in $(seq 1 100); do
	printf '{"id":"pc.1.hub.event.%d","ts_ms":1772452800000,"device":"hub","severity":"warning","replayed":1,"incident_id":"old%d","text":"late %d"}\n' $((1000 + i)) "$i" "$i"
	((i <= 2)) || printf '{"id":"pc.1.hub.event.%d","ts_ms":1772452900000,"device":"hub","severity":"info","replayed":1,"incident_id":"old%d","text":"over %d"}\n' $((2000 + i)) "$i" "$i"
done | pub -q 1 -l -t roomcall/v1/pc/hub/event
for one in "${to[@]}"; do
	await 60 has "$one" "🟢 +98" || fail "alerts: $one: nothing of the incidents that are over: $(tail -3 "$WORK/$one.log")"
	[ "$(count "$one" "· late ")" = 2 ] || fail "alerts: $one: $(count "$one" "· late ") of 2 late alerts"
	[ "$(count "$one" "· over ")" = 0 ] || fail "alerts: $one: the end of what nobody heard of"
done
late=$(($(sends) - before))
((late <= 10)) || fail "alerts: an agent that returns made $late messages"
[ "$(grep -c ': ' "$WORK/receiver.log" || true)" = 0 ] || fail "alerts: $(grep ': ' "$WORK/receiver.log" | head -3)"
ok alerts "${#to[@]} receivers (${to[*]}) that reject, hang up, ask for patience or do not answer: each alert sent again, none lost over a kill; 100 at once in $storm messages, 198 of hours ago in $late"
