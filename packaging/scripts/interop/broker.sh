# shellcheck shell=bash
# What the brokers' try.sh share: the real agent with twenty simulated rooms, a consumer
# whose session waits (session.py), and the broker killed under them. The caller defines
#   broker_start   starts the broker, sets its process id in BROKER, waits until it listens
#   AGENT          the lines of [mqtt] for the client id room-a
#   SESSION        host, port, and the options of session.py
#   WATCH          the options of mosquitto_sub for another consumer
# shellcheck source=lib.sh
. "$REPO/packaging/scripts/interop/lib.sh"

ROOMS=20

broker_kill() {
	kill -9 -- "-$BROKER" 2>/dev/null || kill -9 "$BROKER"
	wait "$BROKER" 2>/dev/null || true
}

listens() { await 60 bash -c "exec 3<>/dev/tcp/127.0.0.1/$1"; }

# agent_start CLIENT_ID LINE... starts an agent whose [mqtt] has these lines; sets its
# process id in AGENT_PID, its config in CONFIG and its address in AT.
agent_start() {
	local id=$1
	shift
	[ -s "$WORK/rooms.toml" ] || rooms_start
	AT=127.0.0.1:$(free_port)
	CONFIG=$WORK/$id.toml
	{
		printf '[agent]\nclient_id = "%s"\ndata_dir = "data-%s"\nhttp_listen = "%s"\n\n[mqtt]\nreconnect_max = "2s"\nreplay_rate = 1000\n' "$id" "$id" "$AT"
		printf '%s\n' "$@" ""
		cat "$WORK/rooms.toml"
	} >"$CONFIG"
	chmod 600 "$CONFIG"
	agent_again "$id"
}
agent_again() { # agent_again CLIENT_ID
	spawn "$WORK/$1.log" "$ROOMCALL" --config "$CONFIG" run
	AGENT_PID=$SPAWNED
	await 20 curl -fsS "http://$AT/healthz" || fail "the agent does not start: $(tail -3 "$WORK/$1.log")"
}
rooms_start() {
	spawn "$WORK/rooms.found" "$ROOMCALL" simulate --listen 127.0.0.1:0 --rooms "$ROOMS" --scenario quiet-meeting
	await 20 found
	sed 's/^url = .*/&\npoll_interval = "500ms"/' "$WORK/rooms.found" >"$WORK/rooms.toml"
}
found() { [ "$(grep -c '^url = ' "$WORK/rooms.found")" = "$ROOMS" ]; }

metric() { curl -fsS "http://$AT/metrics" | awk -v name="$1" '$1 ~ "^" name "([{]|$)" { sum += $2 } END { print sum + 0 }'; }
acked() { metric roomcall_records_acked_total; }
acked_more() { [ "$(acked)" -ge "$1" ]; }
waiting() { "$ROOMCALL" --config "$CONFIG" buffer info --json | jq .waiting; }
waiting_less() { [ "$(waiting)" -lt "$1" ]; }
waiting_more() { [ "$(waiting)" -gt "$1" ]; }

session_start() {
	spawn "$WORK/session.log" /usr/bin/python3 "$REPO/packaging/scripts/interop/session.py" "${SESSION[0]}" "${SESSION[1]}" "$WORK/received" "${SESSION[@]:2}"
	SESSION_PID=$SPAWNED
}
session_kill() {
	kill -9 "$SESSION_PID"
	wait "$SESSION_PID" 2>/dev/null || true
}

# holes counts the numbers that are missing below the newest one on each topic.
holes() {
	sort -u "$WORK/received" | awk '{ n = split($0, part, "."); seq = part[n]; topic = substr($0, 1, length($0) - length(seq))
		got[topic]++; if (seq > last[topic] + 0) last[topic] = seq }
		END { for (t in last) missing += last[t] - got[t]; print missing + 0 }'
}
whole() { [ "$(holes)" = 0 ]; }
received() { sort -u "$WORK/received" | wc -l; }

# through_kills takes consumer and broker away and fails unless the consumer has, in the
# end, every record that the agent counts as delivered. Sets DELIVERED, their number;
# LOST_QUEUE and LOST_DRAIN, what was gone behind its PUBACK after the two kills; BACK,
# what `roomcall buffer replay` brought back; TWICE, what came twice before that; RETAINED
# and SHARED, yes or no; and TOLD, a sentence with them.
through_kills() {
	local start=$EPOCHSECONDS away mark
	: >"$WORK/received"
	session_start
	await 30 grep -q subscribed "$WORK/session.log" || fail "the consumer cannot subscribe: $(tail -3 "$WORK/session.log")"
	agent_start room-a "${AGENT[@]}"
	await 90 acked_more 1000 || fail "the agent delivers nothing: $(tail -3 "$WORK/room-a.log")"

	# What a subscription with a wildcard gets of the retained states, and a shared one.
	RETAINED=$(mosquitto_sub "${WATCH[@]}" -q 1 -t 'roomcall/v1/+/+/state' -W 3 -F %r 2>/dev/null | grep -c 1 || true)
	SHARED=$(mosquitto_sub "${WATCH[@]}" -q 1 -t '$share/group/roomcall/v1/+/+/sample' -W 3 -F %t 2>/dev/null | grep -c . || true)
	((RETAINED > 0)) && RETAINED=yes || RETAINED=no
	((SHARED > 0)) && SHARED=yes || SHARED=no

	# The consumer goes away without a word, and comes back to what waits for it.
	session_kill
	away=$(acked)
	await 90 acked_more $((away + 3000)) || fail "the agent stopped while the consumer was away"
	mark=$(acked)
	session_start
	have() { [ "$(received)" -ge "$1" ]; }
	await 60 have "$mark" || fail "of $mark records delivered while the consumer was away it has $(received) after it came back"
	await 60 whole || fail "$(holes) records were lost while the consumer was away"

	# The broker is killed while 1,500 records and more wait there for the consumer.
	session_kill
	away=$(acked)
	await 90 acked_more $((away + 1500)) || fail "the agent stopped while the consumer was away"
	broker_kill
	broker_start
	session_start
	mark=$(acked)
	await 90 acked_more $((mark + 2000)) || fail "the agent does not come back to the broker: $(tail -3 "$WORK/room-a.log")"
	await 45 whole || true # NATS sends again what was in flight after 30 s
	LOST_QUEUE=$(holes)

	# The broker is away until 3,000 records wait at the agent, and killed while they come.
	broker_kill
	await 60 waiting_more 3000 || fail "the agent does not record without a broker"
	mark=$(acked)
	broker_start
	await 90 acked_more $((mark + 800)) || fail "the agent does not come back to the broker: $(tail -3 "$WORK/room-a.log")"
	broker_kill
	broker_start
	await 180 waiting_less 500 || fail "the agent does not catch up: $(waiting) records wait"
	mark=$(acked)
	await 90 acked_more $((mark + 1000))

	stop "$AGENT_PID"
	delivered
	await 45 complete || true
	BACK=$(missing) TWICE=$(($(wc -l <"$WORK/received") - $(received)))
	LOST_DRAIN=$((BACK - LOST_QUEUE))
	if ! complete; then
		agent_again room-a
		"$ROOMCALL" --config "$CONFIG" buffer replay --since "$(date -u -d "@$start" +%FT%TZ)" >"$WORK/replay" || fail "buffer replay: $(cat "$WORK/replay")"
		await 120 complete || fail "after buffer replay $(missing) records are still missing"
		stop "$AGENT_PID"
		delivered
		await 10 complete || fail "$(missing) of $DELIVERED records are missing"
	fi
	TOLD="retained states by a wildcard: $RETAINED, records by \$share: $SHARED; $DELIVERED acknowledged, all received, $TWICE twice; lost behind the PUBACK: 0 while the consumer was away, $LOST_QUEUE at a kill -9 while it was, $LOST_DRAIN at a kill -9 while it read; buffer replay brought back $BACK"
}
# missing counts what the agent counts as delivered and the consumer does not have: holes,
# or the newest ones. What came and was not acknowledged any more at the stop is not missing.
missing() {
	local holes newest
	holes=$(holes) newest=$((DELIVERED - $(received)))
	echo $((holes > newest ? holes : newest > 0 ? newest : 0))
}
complete() { [ "$(missing)" = 0 ]; }
delivered() { DELIVERED=$("$ROOMCALL" --config "$CONFIG" buffer info --json | jq .delivered_kept); }

# certificate makes a CA ($WORK/ca.crt) and a certificate of the broker for 127.0.0.1
# ($WORK/broker.crt, broker.key).
certificate() {
	local at=$WORK/broker
	{
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=roomcall interop CA" -keyout "$WORK/ca.key" -out "$WORK/ca.crt"
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=127.0.0.1" -keyout "$at.key" -out "$at.csr"
		openssl x509 -req -days 30 -in "$at.csr" -CA "$WORK/ca.crt" -CAkey "$WORK/ca.key" -CAcreateserial -extfile <(echo "subjectAltName=IP:127.0.0.1") -out "$at.crt"
	} >"$WORK/certificate.log" 2>&1 || fail "openssl: $(tail -3 "$WORK/certificate.log")"
	chmod 644 "$at.key"
}

# stranger LINE... starts an agent with the client id room-b and these lines of [mqtt],
# those of the account of room-a: nothing may count as delivered, and nothing arrive.
# Sets SAID, what check says of it.
stranger() {
	local before
	before=$(wc -l <"$WORK/received")
	agent_start room-b "$@"
	await 60 grep -qE 'delivery proof failed|connect to broker failed' "$WORK/room-b.log" || fail "the stranger's agent does not notice that it is denied: $(tail -3 "$WORK/room-b.log")"
	[ "$(acked)" = 0 ] || fail "$(acked) records of a stranger count as delivered"
	SAID=$("$ROOMCALL" --config "$CONFIG" check | sed -n '/^FAIL *broker/s/  */ /gp' | head -1) || true # its exit code is 1
	stop "$AGENT_PID"
	if tail -n +$((before + 1)) "$WORK/received" | grep -q '^room-b'; then fail "records of a stranger arrived"; fi
}
