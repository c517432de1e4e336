#!/usr/bin/env bash
# NATS in full, with packaging/consumers/nats:
#
#   runs      RUNS times (10) RECORDS records (60000) of 200 rooms to three nodes, while a
#             node and a worker are killed, two of three nodes and a worker are killed, and the
#             nodes are rolled: as many rows as acknowledged records, and no hole
#   sessions  2,000 agents at one node and 1,000 at three, each proven; memory and CPU a room
#   trap      what a stream of one's own over the subjects loses at one kill
#
#   nats.sh [runs|sessions|trap]...    [all]
#
# It prints a line a result, and fails where a record is lost or an agent is not proven. It
# needs node, jq and PostgreSQL (make interop installs them).
set -euo pipefail
REPO=$(cd "$(dirname "$0")/../../.." && pwd)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/roomcall-nats-XXXXXX")
export REPO WORK
. "$REPO/packaging/scripts/interop/nats.sh"
. "$REPO/packaging/scripts/interop/database.sh"
# With few ROOMS (scale.sh) one run is enough.
: "${RUNS:=$((${ROOMS:-10000} < 500 ? 1 : 10))}" "${RECORDS:=60000}" "${RATE:=500}"

NATS_DIR=$WORK/nats
finish() {
	stop_nats
	[ -n "${KEEP:-}" ] || rm -rf "$WORK"
}
trap finish EXIT
trap 'exit 130' INT TERM
ask() { psql -X -A -t -v ON_ERROR_STOP=1 -c "$1"; }
rooms() { seq -f 'room-%.0f' "$1"; }

# nodes CONF COUNT ROOMS begins anew with empty nodes.
nodes() {
	local n dir
	for dir in "$NATS_DIR"/nats-*/; do
		[ ! -e "$dir/pid" ] || kill -9 "$(cat "$dir/pid")" 2>/dev/null || true
		rm -rf "$dir"
	done
	make_nodes "$1" "$2" "$2" < <(rooms "$3")
	for n in $(seq "$2"); do nodectl start "nats-$n"; done
	cluster healthy && cluster setup || fail "nats: $(tail -5 "$NATS_DIR/cluster.log")"
}

# load ROOMS RECORDS RATE [FLAG...] starts rooms and waits until each is proven.
load() {
	: >"$WORK/load.log"
	spawn "$WORK/load.log" "$NATS_DIR/load" -broker "$MQTT_URLS" -passwords "$PASSWORDS" -rooms "$1" -records "$2" -rate "$3" "${@:4}"
	LOAD=$SPAWNED
	await 300 grep -q "proven $1 of" "$WORK/load.log" || fail "nats: not every room is proven: $(tail -1 "$WORK/load.log")"
}
acknowledged() { sed -n 's/^acknowledged \([0-9]*\).*/\1/p' "$WORK/load.log" | tail -1; }

runs() {
	local run victim began
	nodes cluster.conf 3 200
	ask "truncate sample" >/dev/null
	worker 1
	worker 2
	for run in $(seq "$RUNS"); do
		victim=$((run % 3 + 1)) began=$SECONDS
		load 200 "$RECORDS" "$RATE"
		nodectl kill "nats-$victim"
		kill_worker 1
		sleep 5
		nodectl start "nats-$victim"
		worker 1
		cluster healthy || fail "nats: not healthy after a kill"
		[ "$(acknowledged)" -lt "$RECORDS" ] || fail "nats: the records came before the faults: a lower RATE"
		nodectl kill "nats-$victim"
		nodectl kill "nats-$((victim % 3 + 1))"
		kill_worker 2
		sleep 8
		nodectl start "nats-$victim"
		nodectl start "nats-$((victim % 3 + 1))"
		worker 2
		cluster healthy || fail "nats: not healthy after the loss of the quorum"
		cluster roll nats-1 nats-2 nats-3 || fail "nats: roll"
		wait "$LOAD" || fail "nats: $(tail -1 "$WORK/load.log")"
		whole() { [ "$(ask 'select count(*) from sample')" -ge $((run * RECORDS)) ]; }
		await 120 whole || true
		echo "run $run: $(tail -1 "$WORK/load.log"); rows $(ask 'select count(*) from sample') of $((run * RECORDS)), holes $(ask 'select count(*) from hole'), $((SECONDS - began)) s"
		[ "$(ask 'select count(*) from sample')" = $((run * RECORDS)) ] && [ "$(ask 'select count(*) from hole')" = 0 ] || fail "nats: records are lost"
	done
	kill_worker 1
	kill_worker 2
}

# used prints memory in KiB and CPU in ticks of all nodes.
used() {
	local pid kib=0 ticks=0
	for pid in "$NATS_DIR"/nats-*/pid; do
		pid=$(cat "$pid")
		kib=$((kib + $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")))
		ticks=$((ticks + $(awk '{ print $14 + $15 }' "/proc/$pid/stat")))
	done
	echo $kib $ticks
}
sessions() {
	local conf count agents before connected after minute=60
	for conf in single.conf:1:2000 cluster.conf:3:1000; do
		IFS=: read -r conf count agents <<<"$conf"
		nodes "$conf" "$count" "$agents"
		read -ra before <<<"$(used)"
		load "$agents" "$agents" "$agents" -stay
		read -ra connected <<<"$(used)"
		sleep $minute
		read -ra after <<<"$(used)"
		echo "$agents agents, $count nodes: $(tail -1 "$WORK/load.log"); $(nats_as admin stream info '$MQTT_msgs' --json | jq .state.consumer_count) consumer of \$MQTT_msgs"
		echo "  memory: $((before[0] / 1024)) MiB without them, $((after[0] / 1024)) MiB with them, $(((after[0] - before[0]) / agents)) KiB an agent"
		echo "  CPU of an agent: $(((connected[1] - before[1]) * 10 / agents)) ms to connect and prove, $(((after[1] - connected[1]) * 10000 / minute / agents)) µs a second at rest"
		stop "$LOAD"
	done
}

# trap_ gives the stream of one's own a leader on nats-1, which is killed, and $MQTT_msgs one
# elsewhere.
trap_() {
	local kept
	nodes cluster.conf 3 200
	nats_as admin stream add obvious --subjects 'roomcall.v1.*.*.sample' --storage file --retention limits --replicas 3 --defaults >/dev/null
	nats_as admin stream cluster step-down obvious --preferred nats-1 >/dev/null 2>&1 || true
	nats_as admin stream cluster step-down '$MQTT_msgs' --preferred nats-2 >/dev/null 2>&1 || true
	load 200 20000 1000
	nodectl kill nats-1
	sleep 8
	nodectl start nats-1
	cluster healthy || fail "nats: not healthy"
	wait "$LOAD" || fail "nats: $(tail -1 "$WORK/load.log")"
	nats_as admin sub --stream obvious --all --raw --count "$(nats_as admin stream info obvious --json | jq .state.messages)" >"$WORK/obvious" 2>/dev/null
	kept=$(grep -o '"id":"[^"]*"' "$WORK/obvious" | sort -u | wc -l)
	echo "trap: of 20000 acknowledged records a stream over the subjects has $kept, $((20000 - kept)) are lost; \$MQTT_msgs has $(nats_as admin stream info '$MQTT_msgs' --json | jq .state.messages) messages for the consumer"
}

build_nats
start_database || fail "no PostgreSQL"
psql -q -X -v ON_ERROR_STOP=1 -f "$REPO/packaging/consumers/postgres/schema.sql"
parts=("$@")
(($#)) || parts=(runs sessions trap)
for part in "${parts[@]}"; do
	case $part in
	runs | sessions) "$part" ;;
	trap) trap_ ;;
	*) fail "nats.sh [runs|sessions|trap]..." ;;
	esac
done
