#!/usr/bin/env bash
# Tests nats.conf with a real nats-server, built from the module beside it: nothing is lost
# at a kill -9, and an agent with the account of another one notices it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/broker.sh"
trap stop_all EXIT

go -C "$here/../nats" build -o "$WORK/nats-server" github.com/nats-io/nats-server/v2
certificate
PORT=$(free_port)
sed "s|\"127.0.0.1:4222\"|\"127.0.0.1:$(free_port)\"|; s|\"0.0.0.0:8883\"|\"127.0.0.1:$PORT\"|; s|/etc/nats/|$WORK/|; s|/etc/nats/|$WORK/|; s|/var/lib/nats|$WORK/store|" "$here/nats.conf" >"$WORK/nats.conf"
export ROOM_A_PASSWORD=secret-room-a SESSION_PASSWORD=secret-session
broker_start() {
	spawn "$WORK/nats.log" "$WORK/nats-server" -c "$WORK/nats.conf"
	BROKER=$SPAWNED
	listens "$PORT" || fail "NATS does not start: $(tail -3 "$WORK/nats.log")"
}
broker_start
AGENT=("broker = \"tls://127.0.0.1:$PORT\"" 'ca_file = "ca.crt"' 'username = "room-a"' 'password = "secret-room-a"')
SESSION=(127.0.0.1 "$PORT" --user session --password secret-session --ca "$WORK/ca.crt")
WATCH=(-h 127.0.0.1 -p "$PORT" --cafile "$WORK/ca.crt" -u session -P secret-session)
through_kills
[ "$LOST_QUEUE,$LOST_DRAIN" = 0,0 ] || fail "NATS lost records behind its PUBACK: $TOLD"
stranger "${AGENT[@]}"
ok nats-mqtt "$TOLD; the client id of another agent: $SAID"
