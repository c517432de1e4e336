# shellcheck shell=bash
# Shared by interop.sh and the consumers' try.sh. Source it; it needs $WORK, the
# temporary folder. Everything runs on loopback with free ports, and stop_all ends
# what spawn started, by its process id.

PATH=$PATH:/usr/sbin
PIDS=()

# spawn LOG COMMAND... starts a process as the leader of its own group and stores its
# id in $SPAWNED.
spawn() {
	local log=$1
	shift
	setsid "$@" >>"$log" 2>&1 </dev/null &
	SPAWNED=$!
	PIDS+=("$SPAWNED")
}

# stop PID ends what spawn started, with its children, and waits for it.
stop() {
	kill -- "-$1" 2>/dev/null || return 0
	for _ in $(seq 50); do
		kill -0 -- "-$1" 2>/dev/null || break
		sleep 0.1
	done
	kill -9 -- "-$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

stop_all() {
	local i
	for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do stop "${PIDS[i]}"; done
	PIDS=()
}

free_port() {
	node -e 's=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'
}

# await SECONDS COMMAND... waits until the command succeeds.
await() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.2
	done
}

# start_broker NAME [LINE...] starts mosquitto with a loopback listener and these lines
# of config; it sets $BROKER_HOST, $BROKER_PORT and $BROKER_URL, and the process id in
# $SPAWNED.
start_broker() {
	local dir=$WORK/$1
	shift
	mkdir -p "$dir"
	BROKER_HOST=127.0.0.1
	BROKER_PORT=$(free_port)
	BROKER_URL=tcp://$BROKER_HOST:$BROKER_PORT
	{
		echo "listener $BROKER_PORT $BROKER_HOST"
		printf '%s\n' "$@"
	} >"$dir/mosquitto.conf"
	[ "$(id -u)" != 0 ] || echo "user root" >>"$dir/mosquitto.conf"
	spawn "$dir/mosquitto.log" mosquitto -v -c "$dir/mosquitto.conf"
	await 10 bash -c "exec 3<>/dev/tcp/$BROKER_HOST/$BROKER_PORT" || {
		cat "$dir/mosquitto.log" >&2
		return 1
	}
	export BROKER_HOST BROKER_PORT BROKER_URL
}

# start_simulator NAME SCENARIO starts a simulated endpoint and sets its address in
# $SIM_URL.
start_simulator() {
	local log=$WORK/sim-$1.log
	spawn "$log" "$ROOMCALL" simulate --listen 127.0.0.1:0 --scenario "$2"
	await 10 grep -q 'url = ' "$log"
	SIM_URL=$(sed -n 's/.*url = "\(.*\)".*/\1/p' "$log")
}

# endpoint DEVICE ROOM SCENARIO starts a simulated endpoint and prints its table for
# agent.toml.
endpoint() {
	start_simulator "$1" "$3"
	printf '[[endpoint]]\ndevice = "%s"\nroom = "%s"\nurl = "%s"\npoll_interval = "1s"\nidle_interval = "1s"\npeer_names = "plain"\n\n' "$1" "$2" "$SIM_URL"
}

# sub ARGS... and pub ARGS... run the mosquitto clients with the current broker.
sub() { mosquitto_sub -h "$BROKER_HOST" -p "$BROKER_PORT" "$@"; }
pub() { mosquitto_pub -h "$BROKER_HOST" -p "$BROKER_PORT" "$@"; }

# live prints what the running agent has published so far, without the last line,
# which may be half written. state is a copy of a sample, and the echo is not a record.
live() { sed '$d' "$RECORDS" | grep -v -e '/echo	' -e '/state	' | cut -f2 | grep '^{'; }

ok() { echo "ok $*"; }
fail() {
	echo "FAIL $*" >&2
	exit 1
}

# feed FILE publishes records (one JSON object a line) on their topics, in order on
# each topic.
feed() {
	local dir part
	dir=$(mktemp -d "$WORK/feed-XXXX")
	awk -v dir="$dir" '
		function key(name) { return match($0, "\"" name "\":\"[^\"]*") ? substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 4) : "" }
		{ kind = key("schema"); sub(/^roomcall\./, "", kind); sub(/\/1\.0$/, "", kind)
		  print > (dir "/" key("client_id") "~" key("device") "~" kind) }' "$1"
	for part in "$dir"/*; do
		pub -q 1 -l -t "roomcall/v1/$(basename "$part" | tr '~' '/')" <"$part"
	done
	rm -r "$dir"
}
