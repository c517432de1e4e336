#!/usr/bin/env bash
# Sets up and looks after NATS for a roomcall fleet:
#
#   cluster.sh setup              streams and consumers: once, before the first agent
#   cluster.sh healthy            waits until every node and every copy is up to date
#   cluster.sh start NODE...      starts the nodes
#   cluster.sh roll NODE...       restarts them, one after the other, each when all are well
#   cluster.sh add NODE           starts a further node and waits until it has joined
#   cluster.sh remove NODE        moves what it stores to the others and stops it for good; it
#                                 may be dead already
#
# NATS_URL   the nodes' addresses for clients: nats://nats-1:4222,nats://nats-2:4222,...
# PASSWORDS  the folder that `users` made [/etc/nats/passwords]
# NODES      how many nodes belong to the cluster [3]; 1 = single.conf
# NODECTL    called as `$NODECTL start NODE` and `$NODECTL stop NODE` [systemctl over ssh]
# PATIENCE   seconds to wait for healthy [600]
# MAX_BYTES  bound of what waits for the consumer [20GB, or what it is]
#
# It needs jq and the NATS command line: go install github.com/nats-io/natscli/nats@v0.5.1
set -euo pipefail
: "${NATS_URL:?the addresses of the nodes}"
export NATS_URL
PASSWORDS=${PASSWORDS:-/etc/nats/passwords} NODES=${NODES:-3} PATIENCE=${PATIENCE:-600}
PREFIX='roomcall.v1' # topic_prefix of the agents, with dots
MESSAGES='$MQTT_msgs' RETAINED='$MQTT_rmsgs'

as() { # as USER ARGUMENTS... runs the NATS command line
	NATS_USER=$1 NATS_PASSWORD=$(cat "$PASSWORDS/$1") nats --no-context --timeout 10s "${@:2}"
}
nodectl() {
	if [ -n "${NODECTL:-}" ]; then "$NODECTL" "$@"; else ssh "$2" sudo systemctl "$1" nats-server; fi
}

# The two streams are as the server itself would make them for its first MQTT client, but
# for the bound and what happens at it: NATS accepts no more records (the agents keep
# them) instead of growing until the disk is full. Of an "interest" stream a message goes
# as soon as all its consumers have acknowledged it, and at once where there is none:
# therefore the consumers come before the agents.
setup() {
	local replicas=$((NODES < 3 ? 1 : 3)) filters=() kind
	stream "$MESSAGES" --subjects '$MQTT.msgs.>' --retention interest --discard new --max-bytes "${MAX_BYTES:-20GB}" --replicas $replicas
	stream "$RETAINED" --subjects '$MQTT.rmsgs.>' --retention limits --max-msgs-per-subject 1 --replicas $replicas
	for kind in sample stream event call minute; do filters+=(--filter "\$MQTT.msgs.$PREFIX.*.*.$kind"); done
	consumer "$MESSAGES" "${filters[@]}" --deliver all --wait 30s --max-pending 20000
	filters=()
	for kind in availability birth health; do filters+=(--filter "\$MQTT.rmsgs.$PREFIX.*.$kind"); done
	# One at a time, so that of two notices of an agent the newer one is written last.
	consumer "$RETAINED" "${filters[@]}" --deliver all --wait 30s --max-pending 1
}
stream() { # stream NAME FLAGS... makes it, or changes its bound
	local bound
	if bound=$(as admin stream info "$1" --json 2>/dev/null | jq .config.max_bytes); then
		# A bound that is there stays unless MAX_BYTES says otherwise.
		if [ "$1" = "$MESSAGES" ] && { [ "$bound" -le 0 ] || [ -n "${MAX_BYTES:-}" ]; }; then
			as admin stream edit "$1" -f --discard new --max-bytes "${MAX_BYTES:-20GB}" >/dev/null
		fi
	else
		as admin stream add "$1" --storage file --defaults "${@:2}" >/dev/null
	fi
	echo "stream $1"
}
consumer() { # consumer STREAM FLAGS... makes it, or leaves it as it is
	as admin consumer info "$1" postgres >/dev/null 2>&1 ||
		as admin consumer add "$1" postgres --pull --ack explicit --max-deliver=-1 --replay instant --defaults "${@:2}" >/dev/null
	echo "consumer postgres of $1"
}

# well is true when all nodes answer, each says that its copies of streams and consumers are
# up to date, and each stream has all its copies.
well() {
	local stream missing
	[ "$(as system server request jetstream-health "$NODES" 2>/dev/null | jq -r .data.status | grep -c '^ok$')" = "$NODES" ] || return 1
	for stream in $(as admin stream ls --all --names); do
		missing=$(as admin stream info "$stream" --json | jq '.config.num_replicas - 1 - ([.cluster.replicas[]? | select(.current and (.offline | not))] | length)')
		[ "$missing" = 0 ] || return 1
	done
}
answers() { as system server request jetstream-health 1 --name "$1" 2>/dev/null | grep -q '"status"'; }
healthy() {
	local end=$((SECONDS + PATIENCE))
	until well; do
		((SECONDS < end)) || {
			echo "not healthy after $PATIENCE s:" >&2
			as system server report jetstream >&2 || true
			return 1
		}
		sleep 1
	done
	echo "healthy: $NODES nodes"
}

case ${1:-} in
setup) setup ;;
healthy) healthy ;;
start)
	for node in "${@:2}"; do nodectl start "$node"; done
	healthy
	;;
roll)
	for node in "${@:2}"; do
		healthy
		nodectl stop "$node"
		nodectl start "$node"
		echo "restarted $node"
	done
	healthy
	;;
add)
	healthy
	nodectl start "$2"
	NODES=$((NODES + 1))
	healthy
	;;
remove)
	((NODES > 3)) || {
		echo "three nodes are the least: add one first" >&2
		exit 1
	}
	if answers "$2"; then
		healthy
		as system server cluster evacuate "$2" -f
		healthy
		nodectl stop "$2"
	fi # what a dead one stored is copied from the others
	as system server cluster peer-remove "$2" -f
	NODES=$((NODES - 1))
	healthy
	;;
*)
	sed -n '2,/^set /s/^# \{0,1\}//p' "$0"
	exit 2
	;;
esac
