#!/bin/sh
# Writes docs/example-day.md again: simulates a day of a 50-room site in fast time
# and generates the page only from the published records. With a file name it writes
# the records themselves into that file, for testing consumers (samples and streams of
# ten minutes, everything else of the whole day).
set -eu
cd "$(dirname "$0")/../.."
if [ $# -gt 0 ]; then
	case $1 in /*) out=$1 ;; *) out=$PWD/$1 ;; esac
	go test -count=1 -run TestTheExampleDayIsFresh ./packaging/exampleday -args -records "$out"
else
	go test -count=1 -run TestTheExampleDayIsFresh ./packaging/exampleday -args -update
fi
