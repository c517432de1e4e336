#!/bin/sh
# Kills again and again, ROUNDS times (default 1000): the agent under load with
# the broker up, down and flapping, and a process that appends to the store.
# Every accepted record must be there afterwards, in order.
set -eu
: "${ROUNDS:=1000}"
ROOMCALL_CRASH_ROUNDS=$ROUNDS go test -count 1 -timeout 170m -v -run 'Kill|Crash' ./agent
BUFFER_KILLS=$ROUNDS go test -count 1 -timeout 60m -v -run 'TestKilledProcess' ./buffer
