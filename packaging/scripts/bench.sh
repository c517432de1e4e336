#!/bin/sh
# Measures speed and size, prints a table and puts it into docs/benchmarks.md.
#
#   bench.sh            everything except the following, about 12 minutes
#   bench.sh fleet      1,000 endpoints in one agent, about 2.5 minutes
#   bench.sh backlog    a drain of 1,000,000 records, about 2 minutes
#   bench.sh growth     1 to 1,000 endpoints, 1,000 to 1,000,000 records, 1 to 64 streams,
#                       about 4 minutes; with a graph in docs/pictures
#   bench.sh growth-long  the same and 10,000,000 records, some minutes more and 10 GB of disk
#   bench.sh compare    the same job by Telegraf, Node-RED and a minimal program, about
#                       12 minutes besides their builds
#   bench.sh sizes      only prints the sizes of the stripped binaries
#
# BENCH_DIR   folder for stores and results; it must be on a disk, because a file
#             system in memory has no fsync (default: bin/bench)
# BENCH_DOC   the document with the table (default: docs/benchmarks.md)
# BENCH_GOBUILD  the build command without output and package (the Makefile's)
# BENCH_SHORT any value: short runs, only to test that it works; no document changes
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
	runs=1 time=200ms opens=1x records=5000x far=1000x seconds=3x samples=20x rounds=2x backlog=20000x grown=1x written=3x many=3x
else
	runs=3 time=2s opens=5x records=100000x far=10000x seconds=60x samples=300x rounds=24x backlog=1000000x grown=4x written=20x many=30x
fi

# build GOOS FILE builds the program as shipped.
build() {
	eval "GOOS=$1 GOARCH=amd64 ${BENCH_GOBUILD:-CGO_ENABLED=0 go build -trimpath -tags nethttpomithttp2 -ldflags '-s -w'} -o '$2' ./agent"
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
	echo "machine: Linux $(uname -r | cut -d- -f1), $(go version | cut -d' ' -f3), mosquitto $(PATH="$PATH:/usr/sbin" mosquitto -h | sed -n 's/^mosquitto version //p')"
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
	bench packaging/bench '^BenchmarkWritten$' $written
	bench packaging/bench '^BenchmarkDelayMany$' $many
}

# peers builds what is compared, in $peers. What cannot be built is left out, and its
# column stays empty.
peers() {
	mkdir -p "$peers/npm"
	rm -f "$peers/telegraf-full"
	eval "${BENCH_GOBUILD:-CGO_ENABLED=0 go build -trimpath -tags nethttpomithttp2 -ldflags '-s -w'} -o '$peers/floor' ./packaging/bench/compare/floor"
	telegraf=packaging/consumers/telegraf # pins the version
	go -C $telegraf mod download github.com/influxdata/telegraf || echo "NOT RUN telegraf: no module" >&2
	source=$(go -C $telegraf list -m -f '{{.Dir}}' github.com/influxdata/telegraf)
	version=$(go -C $telegraf list -m -f '{{.Version}}' github.com/influxdata/telegraf)
	telegraf minimal -tags custom,inputs.http,parsers.json,processors.parser,outputs.mqtt,serializers.json
	if [ -z "${BENCH_SHORT:-}" ]; then telegraf full; else echo "NOT RUN telegraf-full: its build is too long for a short run" >&2; fi
	red=$(sed -n 's/.*\(node-red@[0-9.]*\).*/\1/p' packaging/scripts/interop.sh | head -n 1)
	if ! command -v npm >/dev/null; then
		echo "NOT RUN node-red: node and npm are not installed" >&2
		echo "machine: Telegraf $version"
		return
	fi
	(cd "$peers/npm" && { [ -e package.json ] || npm init -y >/dev/null; } && npm install --no-audit --no-fund --ignore-scripts "$red" >"$dir/npm.log" 2>&1) ||
		echo "NOT RUN node-red: npm install: $(tail -n 2 "$dir/npm.log")" >&2
	echo "machine: Telegraf $version, $red, node $(node --version)"
}

# telegraf NAME BUILD-FLAGS... builds it from its own module, as its documents say.
telegraf() {
	what=telegraf-$1
	shift
	echo "== build $what" >&2
	CGO_ENABLED=0 go -C "$source" build "$@" -ldflags "-s -w -X github.com/influxdata/telegraf/internal.Version=${version#v}" -o "$peers/$what" ./cmd/telegraf >"$dir/$what.log" 2>&1 ||
		echo "NOT RUN $what: $(tail -n 2 "$dir/$what.log")" >&2
}

# trial PATTERN OUTPUT runs benchmarks of the comparison once.
trial() {
	(cd packaging/bench && "$dir/compare.test" -test.run '^$' -test.benchtime 1x -test.bench "$1") >"$2" 2>&1
}

compare() {
	go test -c -o "$dir/compare.test" ./packaging/bench
	{
		echo "pkg: roomcall/packaging/bench"
		echo "BenchmarkCompareSize/roomcall 1 $(stat -c %s "$dir/roomcall") bytes"
		for name in floor telegraf-minimal telegraf-full; do
			[ ! -e "$peers/$name" ] || echo "BenchmarkCompareSize/$name 1 $(stat -c %s "$peers/$name") bytes"
		done
		[ ! -e "$peers/npm/node_modules/node-red" ] ||
			echo "BenchmarkCompareSize/node-red 1 $(($(stat -L -c %s "$(command -v node)") + $(du -sb "$peers/npm/node_modules" | cut -f1))) bytes"
	} >>"$results"
	for pattern in CompareSteady 'CompareCatchUp$' CompareCatchUpFar 'CompareLosses$/no_broker'; do # one at a time: these are times
		echo "== $pattern" >&2
		trial "^Benchmark$pattern" "$dir/out" || failed=1
		tee -a "$results" <"$dir/out" >&2
	done
	echo "== CompareLosses, CompareWear" >&2
	jobs=
	for name in floor samples samples-collected roomcall roomcall-collected telegraf-minimal telegraf-full node-red; do # at once: these are counts
		for pattern in 'Losses$/[^n].*' 'Wear$'; do
			trial "^BenchmarkCompare$pattern/^$name\$" "$dir/out.${pattern%%\$*}.$name" &
			jobs="$jobs $!"
		done
	done
	for job in $jobs; do wait "$job" || failed=1; done
	cat "$dir"/out.* | tee -a "$results" >&2
	rm -f "$dir"/out.*
}

growth() {
	bench packaging/bench '^BenchmarkGrowthEndpoints$' $grown
	bench packaging/bench '^BenchmarkGrowthRecords$' 1x
	bench agent/report '^BenchmarkStreams$' $time
}

growth_long() {
	growth
	bench packaging/bench '^BenchmarkGrowthLong$' 1x
}

graph= table=$mode
case $mode in
all) run=all ;;
fleet) run="bench packaging/bench ^BenchmarkFleet$ $rounds" ;;
backlog) run="bench packaging/bench ^BenchmarkBacklog$ $backlog" ;;
growth) run=growth graph=docs/pictures/growth.svg ;;
growth-long) run=growth_long graph=docs/pictures/growth.svg table=growth ;;
compare) run=compare ;;
sizes) run=sizes ;;
*)
	echo "usage: bench.sh [all|fleet|backlog|growth|growth-long|compare|sizes]" >&2
	exit 2
	;;
esac
failed=0
peers=$dir/peers
export ROOMCALL_BENCH_PEERS="$peers"
build linux "$dir/roomcall"
export ROOMCALL_BENCH_BINARY="$dir/roomcall"
if [ "$mode" = compare ]; then # before the machine is quiet
	peers >"$dir/peers.txt"
fi
machine >"$results"
[ "$mode" != compare ] || cat "$dir/peers.txt" >>"$results"
$run
[ "$mode" != sizes ] || exit 0
doc=${BENCH_DOC:-docs/benchmarks.md} readme=README.md raw=docs/benchmarks-compare.txt
if [ -n "${BENCH_SHORT:-}" ]; then
	cp "$doc" "$dir/doc.md"
	cp README.md "$dir/readme.md"
	doc=$dir/doc.md readme=$dir/readme.md raw=/dev/null
	[ -z "$graph" ] || graph=$dir/growth.svg
fi
go run ./packaging/bench -doc "$doc" -graph "$graph" "$table" "$results"
if [ "$mode" = compare ]; then
	go run ./packaging/bench -doc "$readme" buyers "$results"
	grep -E '^(machine:|pkg:|Benchmark)' "$results" >"$raw"
fi
exit $failed
