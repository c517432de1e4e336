# shellcheck shell=bash
# Builds NATS and runs nodes of packaging/consumers/nats on loopback with free ports. Sets
# what cluster.sh needs (NATS_URL, PASSWORDS, NODECTL, NODES), $MQTT_URLS for agents and
# $NATS_DIR, the folder with the programs.

# shellcheck source=lib.sh
. "$REPO/packaging/scripts/interop/lib.sh"

NATS_CLI=github.com/nats-io/natscli/nats@v0.5.1

# build_nats makes nats-server (of the consumer's go.mod), nats, roomcall-nats, users and
# load.
build_nats() {
	NATS_DIR=$WORK/nats
	mkdir -p "$NATS_DIR"
	(
		cd "$REPO/packaging/consumers/nats"
		go build -o "$NATS_DIR/nats-server" github.com/nats-io/nats-server/v2
		go build -o "$NATS_DIR/roomcall-nats" .
		go build -o "$NATS_DIR/" ./users ./load
	) && (cd "$NATS_DIR" && GOBIN=$NATS_DIR go install "$NATS_CLI")
	PATH=$NATS_DIR:$PATH
}

# make_nodes CONF COUNT PREPARED prepares nodes of single.conf or cluster.conf. The cluster
# begins with COUNT of them: a route to one that is not there yet would keep them from
# choosing a leader. Client ids come from stdin.
make_nodes() {
	local n dir routes=() urls=() mqtt=() client mqtt_port http route
	CLUSTER_SH=$REPO/packaging/consumers/nats/cluster.sh
	for n in $(seq "$3"); do routes+=("127.0.0.1:$(free_port)"); done
	"$NATS_DIR/users" "$NATS_DIR" "${routes[@]:0:$2}"
	for n in $(seq "$3"); do
		dir=$NATS_DIR/nats-$n
		mkdir -p "$dir"
		client=127.0.0.1:$(free_port) mqtt_port=$(free_port) http=127.0.0.1:$(free_port)
		route=${routes[n - 1]}
		cp "$REPO"/packaging/consumers/nats/*.conf "$NATS_DIR"/*.conf "$dir"
		sed -i "s|0.0.0.0:1883|127.0.0.1:$mqtt_port|; s|0.0.0.0:4222|$client|; s|0.0.0.0:6222|$route|; s|127.0.0.1:8222|$http|
			s|/var/lib/nats|$dir/data|" "$dir"/{cluster,single,roomcall}.conf
		echo "$1" >"$dir/conf"
		echo "$http" >"$dir/http"
		urls+=("nats://$client") mqtt+=("tcp://127.0.0.1:$mqtt_port")
	done
	NATS_URL=$(IFS=, && echo "${urls[*]}")
	MQTT_URLS=$(IFS=, && echo "${mqtt[*]}")
	cat >"$NATS_DIR/nodectl" <<-'END'
		#!/usr/bin/env bash
		# nodectl start|stop|kill NODE
		set -euo pipefail
		dir=$(dirname "$0")/$2
		if [ "$1" = start ]; then
			NODE=$2 setsid "$(dirname "$0")/nats-server" -c "$dir/$(cat "$dir/conf")" >>"$dir/log" 2>&1 </dev/null &
			echo $! >"$dir/pid"
			exit
		fi
		pid=$(cat "$dir/pid")
		if [ "$1" = kill ]; then kill -9 "$pid"; else kill "$pid"; fi
		while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
	END
	chmod +x "$NATS_DIR/nodectl"
	export NATS_URL MQTT_URLS PASSWORDS=$NATS_DIR/passwords NODECTL=$NATS_DIR/nodectl NODES=$2
}

nodectl() { "$NODECTL" "$@"; }
cluster() { PATIENCE=120 "$CLUSTER_SH" "$@" >>"$NATS_DIR/cluster.log" 2>&1; }
nats_as() { NATS_USER=$1 NATS_PASSWORD=$(cat "$PASSWORDS/$1") nats --no-context "${@:2}"; }

# worker N starts the consumer; its process id is in $NATS_DIR/worker-N.pid.
worker() {
	NATS_USER=postgres NATS_PASSWORD_FILE=$PASSWORDS/postgres spawn "$NATS_DIR/worker-$1.log" "$NATS_DIR/roomcall-nats"
	echo "$SPAWNED" >"$NATS_DIR/worker-$1.pid"
}
kill_worker() {
	local pid
	pid=$(cat "$NATS_DIR/worker-$1.pid")
	kill -9 "$pid"
	wait "$pid" 2>/dev/null || true
}

stop_nats() {
	local pid
	for pid in "$NATS_DIR"/nats-*/pid; do
		[ ! -e "$pid" ] || kill -9 "$(cat "$pid")" 2>/dev/null || true
	done
	stop_all
}
