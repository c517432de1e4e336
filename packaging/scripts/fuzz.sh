#!/bin/sh
# Runs every fuzz target for FUZZTIME (default 10m), one after the other.
set -eu
: "${FUZZTIME:=10m}"
for dir in $(go list -f '{{.Dir}}' ./...); do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go 2>/dev/null | cut -d' ' -f2); do
		echo "== $target ($dir)"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" -fuzzminimizetime 20x "$dir"
	done
done
