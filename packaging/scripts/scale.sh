#!/usr/bin/env bash
# A fleet of ROOMS simulated rooms on the brokers that docs/scale.md compares: measures,
# fails when a record is lost, and writes the tables and graphs of that page.
#
#   scale.sh               everything, about 15 minutes with 10,000 rooms on two cores, and
#                          half an hour more for the NATS cluster
#   scale.sh mosquitto|tls|nats|day|postgres|cluster ...
#                          only these
#
# ROOMS              how many [10000]; below 500 each part is short
# SCALE_DIR          folder for results [bin/scale]
# SCALE_DOC          the document with the tables [docs/scale.md]
# SKIP_NATS_CLUSTER  any value: without the proof of the NATS cluster
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/scripts/tools.sh
: "${ROOMS:=10000}" "${SCALE_DIR:=bin/scale}" "${SCALE_DOC:=docs/scale.md}"
export ROOMS
mkdir -p "$SCALE_DIR"
SCALE_DIR=$(cd "$SCALE_DIR" && pwd)
export SCALE_RESULTS="$SCALE_DIR/results.json" SCALE_NATS_SERVER="$SCALE_DIR/nats-server" SCALE_NATS_USERS="$SCALE_DIR/nats-users"
failed=""

# play PATTERN TIMEOUT runs tests of the simulator; a failure lets the others go on.
play() {
	echo "== $1, $ROOMS rooms" >&2
	go test -count 1 -v -timeout "$2" -run "$1" ./packaging/fleet/sim || failed="$failed $1"
}

mosquitto() { play '^TestScaleMosquitto$' 20m; }
tls() { play '^TestScaleMosquittoTLS$' 20m; }
nats() {
	(cd packaging/consumers/nats && go build -o "$SCALE_NATS_SERVER" github.com/nats-io/nats-server/v2 && go build -o "$SCALE_NATS_USERS" ./users)
	play '^TestScaleNATS' 30m
}
# The collector would run all the time: fake time leaves it none.
day() { SCALE_DAY="$SCALE_DIR/day.json" GOGC=800 play '^TestADayOnTheWire$' 20m; }
cluster() {
	if [ -n "${SKIP_NATS_CLUSTER:-}" ] || [ ! -x packaging/scripts/scale/nats.sh ]; then
		echo "NOT RUN: the proof of the NATS cluster" >&2
		return
	fi
	beside cluster packaging/scripts/scale/nats.sh
}
postgres() {
	if ! command -v psql >/dev/null || ! command -v pg_createcluster >/dev/null; then
		echo "NOT RUN: the consumer of PostgreSQL (install postgresql and postgresql-client)" >&2
		return
	fi
	beside postgres packaging/scripts/scale/postgres.sh
}

# beside NAME COMMAND... keeps what a script prints, for the document.
beside() {
	echo "== $1" >&2
	if "${@:2}" >"$SCALE_DIR/out"; then
		tee "$SCALE_DIR/$1.txt" <"$SCALE_DIR/out"
	else
		failed="$failed $1"
	fi
}

machine() {
	echo "$(date -u +%Y-%m-%d) (UTC), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
	echo "$(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(awk '/^MemTotal/ {printf "%.1f GiB", $2 / 1048576}' /proc/meminfo); rooms, broker and consumer share them"
	echo "Linux $(uname -r | cut -d- -f1), $(go version | cut -d' ' -f3), mosquitto $(command mosquitto -h | sed -n 's/^mosquitto version //p'), nats-server $(cd packaging/consumers/nats && go list -m -f '{{.Version}}' github.com/nats-io/nats-server/v2)"
	echo "load average before the run: $(cut -d' ' -f1 /proc/loadavg)"
}

tools mosquitto:mosquitto
parts=("$@")
[ $# -gt 0 ] || parts=(mosquitto tls nats day postgres cluster)
# Above the table of the brokers: when and where these were measured.
[[ " ${parts[*]} " != *" mosquitto "* && " ${parts[*]} " != *" tls "* && " ${parts[*]} " != *" nats "* ]] || machine >"$SCALE_DIR/machine.txt"
for part in "${parts[@]}"; do
	case $part in
	mosquitto | tls | nats | day | postgres | cluster) "$part" ;;
	*)
		echo "usage: scale.sh [mosquitto|tls|nats|day|postgres|cluster ...]" >&2
		exit 2
		;;
	esac
done
go run ./packaging/fleet/sim -doc "$SCALE_DOC" -results "$SCALE_DIR"
[ -z "$failed" ] || {
	echo "FAILED:$failed" >&2
	exit 1
}
