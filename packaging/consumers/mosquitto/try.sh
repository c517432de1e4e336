#!/usr/bin/env bash
# Tests roomcall.conf and roomcall.acl with a real mosquitto: what an agent and a
# consumer may publish arrives, and nothing else does.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/broker.sh"
trap stop_all EXIT

passwords=$WORK/roomcall.passwords
for user in room-a room-b postgres; do
	touch "$passwords"
	mosquitto_passwd -b "$passwords" "$user" "secret-$user" 2>/dev/null
done
cp "$here/roomcall.acl" "$WORK/roomcall.acl"
chmod 600 "$passwords" "$WORK/roomcall.acl"
mapfile -t lines < <(grep -v '^#' "$here/roomcall.conf" | grep . |
	sed "s|/etc/mosquitto/|$WORK/|; s|^persistence true|&\npersistence_location $WORK/broker/|")
certificate
TLS_PORT=$(free_port)
start_broker broker "${lines[@]}" "listener $TLS_PORT 127.0.0.1" "cafile $WORK/ca.crt" "certfile $WORK/broker.crt" "keyfile $WORK/broker.key"
BROKER=$SPAWNED

as() { # as USER COMMAND... adds the account
	local user=$1
	shift
	"$@" -u "$user" -P "secret-$user" -q 1
}

# What a consumer sees of everything that the users try to write.
seen=$WORK/seen
spawn "$seen" mosquitto_sub -h "$BROKER_HOST" -p "$BROKER_PORT" -u postgres -P secret-postgres -q 1 -t 'roomcall/v1/#' -F '%t'
# What room-b can read of room-a.
spied=$WORK/spied
spawn "$spied" mosquitto_sub -h "$BROKER_HOST" -p "$BROKER_PORT" -u room-b -P secret-room-b -q 1 -t 'roomcall/v1/#' -t 'roomcall/v1/room-a/echo' -F '%t'
# An agent reads its own echo.
echoed=$WORK/echoed
spawn "$echoed" mosquitto_sub -h "$BROKER_HOST" -p "$BROKER_PORT" -u room-a -P secret-room-a -q 1 -t roomcall/v1/room-a/echo -F '%t'
subscribed() { [ "$(grep -c 'Sending SUBACK' "$WORK/broker/mosquitto.log")" -ge 3 ]; }
await 10 subscribed || fail "mosquitto: the subscribers could not subscribe"

as room-a pub -t roomcall/v1/room-a/hub/sample -m allowed
as room-a pub -t roomcall/v1/room-b/hub/sample -m foreign
as room-a pub -t homeassistant/device/x/config -m foreign
as postgres pub -t roomcall/v1/room-a/hub/sample -m consumer
as room-a pub -t roomcall/v1/room-a/echo -m proof
if pub -t roomcall/v1/room-a/x -m anonymous 2>/dev/null; then fail "mosquitto: accepts clients without a password"; fi
if pub -u room-a -P wrong -t roomcall/v1/room-a/x -m x 2>/dev/null; then fail "mosquitto: accepts a wrong password"; fi
as room-a pub -t roomcall/v1/room-a/hub/end -m end
await 10 grep -q 'room-a/hub/end' "$seen" || fail "mosquitto: an allowed record did not arrive"

want=$'roomcall/v1/room-a/hub/sample\nroomcall/v1/room-a/echo\nroomcall/v1/room-a/hub/end'
[ "$(cat "$seen")" = "$want" ] || fail "mosquitto: arrived: $(tr '\n' ' ' <"$seen")"
[ ! -s "$spied" ] || fail "mosquitto: room-b reads $(cat "$spied")"
await 10 grep -q room-a/echo "$echoed" || fail "mosquitto: room-a cannot read its echo"

# The real agent: with its own user name delivery is proven; with another one it reports
# that delivery fails, although the broker acknowledges every record.
start_simulator hub quiet-meeting
agent() { # agent CLIENT_ID USER
	local http
	http=127.0.0.1:$(free_port)
	printf 'secret-%s\n' "$2" >"$WORK/$1.secret"
	chmod 600 "$WORK/$1.secret"
	cat >"$WORK/$1.toml" <<-END
		[agent]
		client_id = "$1"
		data_dir = "data-$1"
		http_listen = "$http"
		[[endpoint]]
		device = "hub"
		url = "$SIM_URL"
		poll_interval = "1s"
		[mqtt]
		broker = "$BROKER_URL"
		username = "$2"
		password_file = "$1.secret"
	END
	spawn "$WORK/$1.log" "$ROOMCALL" --config "$WORK/$1.toml" run
}
agent room-a room-a
first=$SPAWNED
await 20 grep -q room-a/hub/stream "$seen" || fail "mosquitto: the agent's records do not arrive"
agent room-c room-b
await 30 grep -q 'delivery proof failed' "$WORK/room-c.log" || fail "mosquitto: the denied agent does not notice it"
if grep -q room-c "$seen"; then fail "mosquitto: a record under another client id arrived"; fi

stop "$first"
stop "$SPAWNED"
rm -r "$WORK/data-room-a"

# Through the loss of consumer and broker, over TLS.
broker_start() {
	spawn "$WORK/broker/mosquitto.log" mosquitto -c "$WORK/broker/mosquitto.conf"
	BROKER=$SPAWNED
	listens "$TLS_PORT"
}
AGENT=("broker = \"tls://127.0.0.1:$TLS_PORT\"" 'ca_file = "ca.crt"' 'username = "room-a"' 'password = "secret-room-a"')
SESSION=(127.0.0.1 "$TLS_PORT" --user postgres --password secret-postgres --ca "$WORK/ca.crt")
WATCH=(-h 127.0.0.1 -p "$TLS_PORT" --cafile "$WORK/ca.crt" -u postgres -P secret-postgres)
through_kills
ok mosquitto "write only below the own client id, read only the own echo; 5 denied, 3 allowed, agent proven and denied; $TOLD"
