#!/bin/sh
# The long runs of the reliability tests, with the full counts of
# docs/reliability.md. The tests with a full disk need the right to mount (root).
#
#   soak.sh                     all of them, about 100 minutes
#   soak.sh store|restore|fleet|flat|network|disk|outage|backlog ...   only these
set -eu
: "${CUTS:=10000}" "${DAMAGES:=1000}" "${STEPS:=15000}"
: "${RESTORES:=60}" "${FAULT_MINUTES:=600}" "${FLAT_MINUTES:=60}" "${FLEET:=100000}"
: "${SECONDS_EACH:=60}" "${HOURS:=48}" "${DAYS:=30}" "${RECORDS:=1000000}"

failed=""

# run PACKAGE PATTERN runs the tests; after a failure the other runs continue.
run() {
	echo "== $1: $2" >&2
	go test -count 1 -timeout 120m -v -run "$2" "./$1" || failed="$failed $1:$2"
}

# store: power cuts, damaged files, random operations compared with a plain slice.
store() {
	BUFFER_POWERCUTS=$CUTS run buffer 'PowerCut|Flushes'
	BUFFER_DAMAGES=$DAMAGES run buffer 'DamageNever'
	BUFFER_STEPS=$STEPS run buffer 'RandomOperations'
	BUFFER_FAULT_MINUTES=$FAULT_MINUTES run buffer 'FailAtRandom'
	run buffer 'TenBoots'
	run agent/record 'Boots'
}

# restore: an old store is put back again and again.
restore() { SOAK_RESTORES=$RESTORES run packaging/soak 'OldStore'; }

# fleet: 1,000 rooms in the smallest store. flat: what must not grow in an hour.
fleet() { SOAK_FLEET=$FLEET run packaging/soak 'ThousandRooms'; }

flat() { SOAK_FLAT=$FLAT_MINUTES run packaging/soak 'NothingGrows'; }

# network: connections of the client alone, then the built agent, and its stops.
network() {
	ROOMCALL_SOAK=1 run publish 'Drain|Cuts'
	SOAK_NETWORK=$SECONDS_EACH SOAK_STOPS=50 run packaging/soak 'Network|Broker|AccessList|StopUnder'
}

disk() {
	SOAK_DISK_HOURS=$HOURS SOAK_DISK_ROUNDS=10 SOAK_FLAPS=40 run packaging/soak 'Disk|EachPollIs'
	run buffer 'FullDisk'
}

outage() { SOAK_DAYS=$DAYS run packaging/soak 'Outage'; }

backlog() { SOAK_RECORDS=$RECORDS run packaging/soak 'Backlog'; }

[ $# -gt 0 ] || set -- store restore fleet flat network disk outage backlog
for part in "$@"; do
	case $part in
	store | restore | fleet | flat | network | disk | outage | backlog) "$part" ;;
	*)
		echo "usage: soak.sh [store|restore|fleet|flat|network|disk|outage|backlog ...]" >&2
		exit 2
		;;
	esac
done
[ -z "$failed" ] || {
	echo "FAILED:$failed" >&2
	exit 1
}
