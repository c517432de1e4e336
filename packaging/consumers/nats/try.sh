#!/usr/bin/env bash
# Tests the configs, cluster.sh and the consumer with three real nodes and a real
# PostgreSQL ($PGHOST): who may do what; then a node and a worker are killed, the nodes are
# rolled, most of them are killed at once, and the stream is filled to its bound, while 20
# rooms publish. Afterwards each acknowledged record is there once.
# packaging/scripts/scale/nats.sh does the same in full.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/nats.sh"
trap stop_nats EXIT

build_nats || fail "nats: does not build"
go -C "$here" test ./... >"$WORK/test.log" 2>&1 || fail "nats: $(tail "$WORK/test.log")"
make_nodes cluster.conf 3 4 < <(seq -f 'room-%.0f' 20 && echo interop-nats)
export PGDATABASE=nats
createdb nats
psql -q -X -v ON_ERROR_STOP=1 -f "$here/../postgres/schema.sql"
ask() { psql -X -A -t -v ON_ERROR_STOP=1 -c "$1"; }
cluster start nats-1 nats-2 nats-3 || fail "nats: $(tail -5 "$NATS_DIR/cluster.log")"
cluster setup || fail "nats: setup: $(tail -5 "$NATS_DIR/cluster.log")"

# Who may do what. A PUBACK comes for what is dropped, too.
export BROKER_HOST=127.0.0.1 BROKER_PORT
BROKER_PORT=$(cut -d, -f1 <<<"$MQTT_URLS" | cut -d: -f3) # of the first node
as() { # as USER COMMAND... with the account
	local user=$1
	shift
	"$@" -u "$user" -P "$(cat "$PASSWORDS/$user")" -i "$user" -q 1
}
record() { # record CLIENT_ID DEVICE
	echo "{\"id\":\"$1.1.$2.call.1\",\"schema\":\"roomcall.call/1.0\",\"client_id\":\"$1\",\"device\":\"$2\",\"ts_ms\":1,\"seq\":1,\"epoch\":1}"
}
worker 1
spied=$WORK/spied
spawn "$spied" timeout 60 bash -c ". $REPO/packaging/scripts/interop/lib.sh; $(declare -f as); as room-2 sub -t 'roomcall/v1/#' -t roomcall/v1/room-1/health -t '\$MQTT/msgs/#'"
as room-1 pub -t roomcall/v1/room-1/own/call -m "$(record room-1 own)"
as room-1 pub -t roomcall/v1/room-2/foreign/call -m "$(record room-2 foreign)"
as room-1 pub -t roomcall/v1/room-1/x/call -m "$(record room-2 forged)"
as room-1 pub -t roomcall/v1/room-1/health -m well
as room-1 pub -t roomcall/v1/room-1/x/call -m 'no record'
as room-1 pub -t roomcall/v1/room-1/x/call -m '{"id":"room-1.1.x.call.1","client_id":"room-1","text":"\u0000"}'
as room-1 pub -t roomcall/v1/room-1/end/call -m "$(record room-1 end)"
written() { [ "$(ask "select count(*) from call where device = '$1'")" = 1 ]; }
await 30 written end || fail "nats: an allowed record did not arrive: $(tail -3 "$NATS_DIR/worker-1.log")"
[ "$(ask 'select string_agg(device, $$ $$ order by device) from call')" = "end own" ] || fail "nats: arrived: $(ask 'select id from call')"
[ "$(grep -c skipped "$NATS_DIR/worker-1.log")" -ge 3 ] || fail "nats: the three bad messages were not reported"
[ "$(cat "$spied")" = "All subscription requests were denied." ] || fail "nats: room-2 reads $(cat "$spied")"
if pub -u room-1 -P wrong -t roomcall/v1/room-1/x -m x 2>/dev/null; then fail "nats: accepts a wrong password"; fi
if nats_as room-1 pub roomcall.v1.room-1.x.call x >/dev/null 2>&1; then fail "nats: an agent may use NATS' own protocol"; fi
if nats_as postgres --inbox-prefix _INBOX.postgres consumer rm '$MQTT_msgs' postgres -f >/dev/null 2>&1; then fail "nats: the consumer may delete itself"; fi
# An agent with the account of another one: nothing of it arrives, and it notices.
start_simulator stranger quiet-meeting
printf '%s\n' '[agent]' 'client_id = "stranger"' "data_dir = \"$WORK/stranger\"" 'http_listen = ""' '[[endpoint]]' 'device = "hub"' "url = \"$SIM_URL\"" \
	'[mqtt]' "broker = \"${MQTT_URLS%%,*}\"" 'username = "room-1"' "password_file = \"$PASSWORDS/room-1\"" >"$WORK/stranger.toml"
"$ROOMCALL" --config "$WORK/stranger.toml" check >"$WORK/stranger.check" 2>&1 || true # its exit code is 1
grep -q '^FAIL *broker echo' "$WORK/stranger.check" || fail "nats: an agent with the account of another one does not notice it: $(grep broker "$WORK/stranger.check")"
ask 'delete from call' >/dev/null
worker 2

# load RECORDS A_SECOND starts 20 rooms; all_there RECORDS waits until it has ended with all
# acknowledged, and each is a row.
load() {
	total=$((${total:-0} + $1))
	spawn "$WORK/load.log" "$NATS_DIR/load" -broker "$MQTT_URLS" -passwords "$PASSWORDS" -rooms 20 -records "$1" -rate "$2"
	LOAD=$SPAWNED
	await 30 grep -q 'proven 20' "$WORK/load.log" || fail "nats: not every room is proven: $(tail -1 "$WORK/load.log")"
}
rows() { [ "$(ask 'select count(*) from sample')" = "$total" ]; }
all_there() {
	wait "$LOAD" || fail "nats: $1: $(tail -1 "$WORK/load.log")"
	await 60 rows || fail "nats: $1: $(ask 'select count(*) from sample') rows of $total acknowledged"
	[ "$(ask 'select count(*) from hole')" = 0 ] || fail "nats: $1: records are missing: $(ask 'table hole')"
	[ "$(ask 'select count(*) from room_now')" = 20 ] || fail "nats: $1: $(ask 'select count(*) from room_now') of 20 rooms"
	: >"$WORK/load.log"
}
acknowledged() { sed -n 's/^acknowledged \([0-9]*\).*/\1/p' "$WORK/load.log" | tail -1; }

# What the database does not accept is not acknowledged, by whoever reads it.
load 2000 150
ask 'alter table sample rename to away' >/dev/null
refused() { grep -q 'starting again.*write records' "$NATS_DIR/worker-1.log" "$NATS_DIR/worker-2.log"; }
await 30 refused || fail "nats: the workers do not notice that a table is missing"
nodectl kill nats-1
kill_worker 1
ask 'alter table away rename to sample' >/dev/null
sleep 5
nodectl start nats-1
worker 1
cluster healthy || fail "nats: not healthy after a kill: $(tail -5 "$NATS_DIR/cluster.log")"
all_there "a table missing, a node and a worker killed"

load 3000 150
nodectl kill nats-2
nodectl kill nats-3
sleep 1 # what is still under way arrives
before=$(acknowledged)
sleep 5
[ "$(acknowledged)" = "$before" ] || fail "nats: acknowledges without a quorum"
nodectl start nats-2
nodectl start nats-3
cluster healthy || fail "nats: not healthy after the loss of the quorum"
all_there "loss of the quorum"

load 4000 150
cluster roll nats-1 nats-2 nats-3 || fail "nats: roll: $(tail -5 "$NATS_DIR/cluster.log")"
all_there "a roll"

if cluster remove nats-1; then fail "nats: one of three nodes may be removed"; fi
load 4000 150
cluster add nats-4 || fail "nats: add: $(tail -5 "$NATS_DIR/cluster.log")"
NODES=4 cluster remove nats-1 || fail "nats: remove: $(tail -5 "$NATS_DIR/cluster.log")"
all_there "a node added and one removed"

# No consumer: at its bound the stream accepts no more, and the rooms keep their records.
kill_worker 1
kill_worker 2
MAX_BYTES=2MB cluster setup
load 4000 1000
full() { grep -q 'maximum bytes exceeded' "$NATS_DIR"/nats-*/log; }
await 60 full || fail "nats: the stream is not full"
worker 1
worker 2
all_there "no consumer and a full stream"

# The real agent: proven, and in the table of agents with its version.
start_simulator nats quiet-meeting
cat >"$WORK/agent.toml" <<-END
	[agent]
	client_id = "interop-nats"
	data_dir = "data"
	http_listen = ""
	[[endpoint]]
	device = "hub"
	url = "$SIM_URL"
	poll_interval = "1s"
	[mqtt]
	broker = [$(sed 's/[^,]*/"&"/g' <<<"$MQTT_URLS")]
	username = "interop-nats"
	password_file = "nats/passwords/interop-nats"
END
spawn "$WORK/agent.log" "$ROOMCALL" --config "$WORK/agent.toml" run
agent() { [ "$(ask "select availability || ' ' || version from agent_now where client_id = 'interop-nats'")" = "$1 $("$ROOMCALL" version | awk '{ print $2 }')" ]; }
await 60 agent online || fail "nats: the agent is $(ask 'table agent_now' | tail -1): $(tail -3 "$WORK/agent.log")"
await 60 grep -q 'delivery proven' "$WORK/agent.log" || fail "nats: the agent's delivery is not proven: $(tail -3 "$WORK/agent.log")"
kill -9 "$SPAWNED"
await 60 agent lost || fail "nats: the agent is not lost: $(ask 'table agent_now' | tail -1)"
ok nats "write only below the own client id, read nothing of others but the echo; $total acknowledged records of 20 rooms in $total rows, 0 missing, after a missing table, kill -9 of a node and a worker, no quorum, a roll, a node added and one removed, a full stream"
