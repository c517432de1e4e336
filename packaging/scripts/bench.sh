#!/bin/sh
# Measures speed and size, prints a table and puts it into docs/benchmarks.md.
#
#   bench.sh            everything except the following, about 6 minutes
#   bench.sh fleet      1,000 endpoints in one agent, about 2.5 minutes
#   bench.sh backlog    a drain of 1,000,000 records, about 2 minutes
#   bench.sh sizes      only prints the sizes of the stripped binaries
#
# BENCH_DIR   folder for stores and results; it must be on a disk, because a file
#             system in memory has no fsync (default: bin/bench)
# BENCH_DOC   the document with the table (default: docs/benchmarks.md)
# BENCH_GOBUILD  the build command without output and package (the Makefile's)
# BENCH_SHORT any value: short runs, only to test that it works
set -eu
cd "$(dirname "$0")/../.."
mode=${1:-all}
dir=${BENCH_DIR:-bin/bench}
mkdir -p "$dir/_tmp"
dir=$(cd "$dir" && pwd)
export TMPDIR="$dir/_tmp" # go ignores folders that begin with _
results="$dir/$mode.txt"
trap 'rm -rf "$dir/_tmp"' EXIT

if [ -n "${BENCH_SHORT:-}" ]; then
	runs=1 time=200ms opens=1x records=5000x far=1000x seconds=3x samples=20x rounds=2x backlog=20000x
else
	runs=3 time=2s opens=5x records=100000x far=10000x seconds=60x samples=300x rounds=24x backlog=1000000x
fi

# build GOOS FILE builds the program as shipped.
build() {
	eval "GOOS=$1 GOARCH=amd64 ${BENCH_GOBUILD:-CGO_ENABLED=0 go build -trimpath -ldflags '-s -w'} -o '$2' ./agent"
}

# bench PACKAGE PATTERN TIME runs benchmarks and keeps their output. One that fails
# leaves its rows empty, and the run continues.
bench() {
	echo "== $2" >&2
	go test -run '^$' -bench "$2" -benchtime "$3" "./$1" >"$dir/out" || failed=1
	tee -a "$results" <"$dir/out" >&2
}

machine() {
	echo "machine: $(date -u +%Y-%m-%d) (UTC), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
	echo "machine: $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(awk '/^MemTotal/ {printf "%.1f GiB", $2 / 1048576}' /proc/meminfo)"
	echo "machine: Linux $(uname -r), $(go version | cut -d' ' -f3), mosquitto $(PATH="$PATH:/usr/sbin" mosquitto -h | sed -n 's/^mosquitto version //p')"
	echo "machine: store on $(stat -f -c %T "$dir") (disk $(basename "$(df --output=source "$dir" | tail -n 1)"))"
	echo "machine: load average before the run: $(cut -d' ' -f1 /proc/loadavg)"
}

sizes() {
	build windows "$dir/roomcall.exe"
	echo "pkg: roomcall/packaging/bench"
	echo "BenchmarkBinary/linux_amd64 1 $(stat -c %s "$dir/roomcall") bytes"
	echo "BenchmarkBinary/windows_amd64 1 $(stat -c %s "$dir/roomcall.exe") bytes"
}

all() {
	sizes | tee -a "$results" >&2
	for _ in $(seq $runs); do # in turn, so that compared figures come from the same disk
		bench cgi '^BenchmarkDecode$' $time
		bench agent/report '^BenchmarkPoll$' $time
		bench buffer '^Benchmark(Append|AppendOldStore|BareBbolt)$' $time
		bench packaging/bench '^BenchmarkDrain$' $records
	done
	bench packaging/bench '^BenchmarkDrainFar$' $far
	bench buffer '^BenchmarkOpenFull$' $opens
	bench packaging/bench '^BenchmarkDelay$' $samples
	bench packaging/bench '^BenchmarkMemory$' $seconds
}

case $mode in
all) run=all ;;
fleet) run="bench packaging/bench ^BenchmarkFleet$ $rounds" ;;
backlog) run="bench packaging/bench ^BenchmarkBacklog$ $backlog" ;;
sizes) run=sizes ;;
*)
	echo "usage: bench.sh [all|fleet|backlog|sizes]" >&2
	exit 2
	;;
esac
failed=0
build linux "$dir/roomcall"
export ROOMCALL_BENCH_BINARY="$dir/roomcall"
machine >"$results"
$run
[ "$mode" != sizes ] || exit 0
go run ./packaging/bench -doc "${BENCH_DOC:-docs/benchmarks.md}" "$mode" "$results"
exit $failed
