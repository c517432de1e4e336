#!/bin/sh
# The long runs of the reliability tests, with the full counts of
# docs/reliability.md.
set -eu
BUFFER_POWERCUTS=${CUTS:-10000} go test -count 1 -timeout 120m -v -run 'Honest|Flushes' ./buffer
BUFFER_DAMAGES=${DAMAGES:-1000} go test -count 1 -timeout 60m -v -run 'DamageNever' ./buffer
BUFFER_STEPS=${STEPS:-15000} go test -count 1 -timeout 60m -v -run 'Random' ./buffer
ROOMCALL_SOAK=1 go test -count 1 -timeout 60m -v -run 'Drain|Cuts' ./publish
