#!/usr/bin/env bash
# Tests rabbitmq.conf and accounts.sh with a real RabbitMQ: nothing is lost at a kill -9,
# an agent writes below its own client id only, `watch` says what it cannot see there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/broker.sh"
trap stop_all EXIT

certificate
PORT=$(free_port)
mkdir -p "$WORK/home"
cp "$here/enabled_plugins" "$WORK/enabled_plugins"
sed "s|^mqtt.listeners.ssl.default = .*|mqtt.listeners.ssl.default = 127.0.0.1:$PORT|; s|^listeners.tcp.default = .*|listeners.tcp.default = 127.0.0.1:$(free_port)|; s|/etc/rabbitmq/|$WORK/|" \
	"$here/rabbitmq.conf" >"$WORK/rabbitmq.conf"
export HOME=$WORK/home RABBITMQ_NODENAME=roomcall@localhost RABBITMQ_LOGS=- \
	RABBITMQ_MNESIA_BASE=$WORK/mnesia RABBITMQ_CONFIG_FILE=$WORK/rabbitmq.conf RABBITMQ_ENABLED_PLUGINS_FILE=$WORK/enabled_plugins \
	RABBITMQ_PLUGINS_EXPAND_DIR=$WORK/expand RABBITMQ_PID_FILE=$WORK/pid \
	ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT RABBITMQ_DIST_PORT
ERL_EPMD_PORT=$(free_port) RABBITMQ_DIST_PORT=$(free_port)
bin=/usr/lib/rabbitmq/bin
# Erlang's port mapper, which would otherwise stay behind as a daemon.
spawn "$WORK/epmd.log" epmd -port "$ERL_EPMD_PORT"

broker_start() {
	spawn "$WORK/rabbitmq.log" "$bin/rabbitmq-server"
	BROKER=$SPAWNED
	listens "$PORT" || fail "RabbitMQ does not start: $(tail -5 "$WORK/rabbitmq.log")"
}
broker_start
account() { echo "secret-$2" | RABBITMQCTL=$bin/rabbitmqctl "$here/accounts.sh" "$@" >>"$WORK/accounts.log" 2>&1 || fail "accounts.sh $*: $(tail -3 "$WORK/accounts.log")"; }
account agent room-a
account consumer session
account consumer watcher

AGENT=("broker = \"tls://127.0.0.1:$PORT\"" 'ca_file = "ca.crt"' 'username = "room-a"' 'password = "secret-room-a"')
SESSION=(127.0.0.1 "$PORT" --user session --password secret-session --ca "$WORK/ca.crt")
WATCH=(-h 127.0.0.1 -p "$PORT" --cafile "$WORK/ca.crt" -i watcher -u watcher -P secret-watcher)
through_kills
[ "$LOST_QUEUE,$LOST_DRAIN" = 0,0 ] || fail "RabbitMQ lost records behind its PUBACK: $TOLD"

# `watch` sees no retained states here, and says so.
printf '%s\n' '[agent]' 'client_id = "watcher"' "data_dir = \"$WORK/data-watcher\"" '[mqtt]' "${AGENT[0]}" "${AGENT[1]}" 'username = "watcher"' 'password = "secret-watcher"' >"$WORK/watcher.toml"
cat "$WORK/rooms.toml" >>"$WORK/watcher.toml"
spawn "$WORK/watch.log" "$ROOMCALL" --config "$WORK/watcher.toml" watch
await 30 grep -q 'sent no stored states' "$WORK/watch.log" || fail "watch does not say what it cannot see: $(tail -3 "$WORK/watch.log")"

stranger "${AGENT[@]}"
ok rabbitmq "$TOLD; the client id of another agent: $SAID"
