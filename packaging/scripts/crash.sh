#!/bin/sh
# Kills again and again with SIGKILL, ROUNDS times each (default 1000): the
# built agent under load with the broker up, down and flapping, the agent in the
# middle of a drain (a tenth as often), and a process that only appends to the
# store. Afterwards every accepted record must be there, in order. About 15
# minutes. The figures in docs/reliability.md come from here.
set -eu
: "${ROUNDS:=1000}"
SOAK_KILLS=$ROUNDS SOAK_DRAIN_KILLS=$(((ROUNDS + 9) / 10)) \
	go test -count 1 -timeout 170m -v -run 'Kill' ./packaging/soak
BUFFER_KILLS=$ROUNDS go test -count 1 -timeout 60m -v -run 'TestKilledProcess' ./buffer
