#!/usr/bin/env bash
# Tests the three configs with Telegraf's own code ($WORK/../telegraf.test, built from
# this folder) and a separate broker, with the records of the running agent and the
# golden ones.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/lib.sh"
trap stop_all EXIT

start_broker broker "allow_anonymous true" "max_queued_messages 0"
export ROOMCALL_RECORDS=$WORK/records.jsonl
{
	live | tail -n 4000
	live | grep '"schema":"roomcall.\(call\|minute\|event\)/'
	cat "$REPO"/agent/report/testdata/*.jsonl
} >"$ROOMCALL_RECORDS"
cd "$here"
"$WORK/../telegraf.test" -test.v >"$WORK/log" 2>&1 || fail "telegraf: $(grep -v ' I! ' "$WORK/log" | head -20)"
! grep -q -e '--- SKIP' "$WORK/log" || fail "telegraf: skipped"
version=$(sed -n 's|.*influxdata/telegraf \(v[0-9.]*\).*|\1|p' go.mod)
ok telegraf "json, json_v2 and xpath_json read$(sed -n 's/.*: \([0-9]* records, all . kinds\)$/ \1/p' "$WORK/log" | head -1), no key lost, no row overwritten (Telegraf $version)"
