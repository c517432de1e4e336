#!/usr/bin/env bash
# Tests main.go: what it loses at a kill -9, and that an agent writes below its own
# client id only.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/broker.sh"
trap stop_all EXIT

CGO_ENABLED=0 go -C "$here" build -o "$WORK/mochi" .
certificate
PORT=$(free_port)
printf '%s\n' "room-a secret-room-a agent" "session secret-session consumer" "watcher secret-watcher consumer" >"$WORK/accounts"
broker_start() {
	spawn "$WORK/mochi.log" "$WORK/mochi" -listen "127.0.0.1:$PORT" -cert "$WORK/broker.crt" -key "$WORK/broker.key" -accounts "$WORK/accounts" -store "$WORK/broker.db"
	BROKER=$SPAWNED
	listens "$PORT" || fail "mochi does not start: $(tail -3 "$WORK/mochi.log")"
}
broker_start
AGENT=("broker = \"tls://127.0.0.1:$PORT\"" 'ca_file = "ca.crt"' 'username = "room-a"' 'password = "secret-room-a"')
SESSION=(127.0.0.1 "$PORT" --user session --password secret-session --ca "$WORK/ca.crt")
WATCH=(-h 127.0.0.1 -p "$PORT" --cafile "$WORK/ca.crt" -u watcher -P secret-watcher)
through_kills
stranger "${AGENT[@]}"
ok mochi "$TOLD; the client id of another agent: $SAID"
