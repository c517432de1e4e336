#!/bin/sh
# Makes docs/example-day.md anew: simulates a day of a 50-room site in fast time
# and writes the page from the published records alone. With a file name it writes
# the records themselves into it, for trying consumers (samples and streams of ten
# minutes, everything else of the whole day).
set -eu
cd "$(dirname "$0")/../.."
if [ $# -gt 0 ]; then
	case $1 in /*) out=$1 ;; *) out=$PWD/$1 ;; esac
	go test -count=1 -run TestTheExampleDayIsFresh ./packaging/exampleday -args -records "$out"
else
	go test -count=1 -run TestTheExampleDayIsFresh ./packaging/exampleday -args -update
fi
