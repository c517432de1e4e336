#!/usr/bin/env bash
# Tests the three configs with Telegraf's own code ($WORK/../telegraf.test, built from
# this folder) and a separate broker, with the records of the running agent and the
# golden ones; then outputs.conf and the dashboards with a real InfluxDB and a real
# VictoriaMetrics, and kafka.conf with a broker that speaks Kafka's protocol.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/lib.sh"
trap stop_all EXIT

start_broker broker "allow_anonymous true" "max_queued_messages 0" "max_inflight_messages 100"
export ROOMCALL_RECORDS=$WORK/records.jsonl
{
	live | tail -n 4000
	live | grep '"schema":"roomcall.\(call\|minute\|event\)/'
	cat "$REPO"/agent/report/testdata/*.jsonl
} >"$ROOMCALL_RECORDS"
cd "$here"
INFLUX=127.0.0.1:$(free_port)
cat >"$WORK/influxdb.conf" <<-END
	reporting-disabled = true
	bind-address = "127.0.0.1:$(free_port)"
	[meta]
	  dir = "$WORK/influx/meta"
	[data]
	  dir = "$WORK/influx/data"
	  wal-dir = "$WORK/influx/wal"
	[http]
	  bind-address = "$INFLUX"
END
spawn "$WORK/influxdb.log" influxd -config "$WORK/influxdb.conf"
VICTORIA=127.0.0.1:$(free_port)
spawn "$WORK/victoria.log" victoria-metrics -httpListenAddr="$VICTORIA" -storageDataPath="$WORK/victoria" -retentionPeriod=100y -search.latencyOffset=0s
await 30 curl -fsS "http://$INFLUX/ping" || fail "telegraf: InfluxDB does not start: $(tail -3 "$WORK/influxdb.log")"
await 30 curl -fsS "http://$VICTORIA/health" || fail "telegraf: VictoriaMetrics does not start: $(tail -3 "$WORK/victoria.log")"
curl -fsS -X POST "http://$INFLUX/query" --data-urlencode 'q=create database roomcall' >/dev/null
export INFLUX_URLS="http://$INFLUX http://$VICTORIA"
"$WORK/../telegraf.test" -test.v >"$WORK/log" 2>&1 || fail "telegraf: $(grep -v ' I! ' "$WORK/log" | head -20)"
! grep -q -e '--- SKIP' "$WORK/log" || fail "telegraf: skipped"
curl -fsS "http://$VICTORIA/internal/force_flush" # what was written becomes visible
from=$(live | jq -s 'map(.ts_ms // empty) | min / 1000 | floor') to=$(date +%s)
export PICK_client_id=interop PICK_device=hub
panels() { node "$here/../grafana/series.mjs" "$here/$1.json" "http://$2" "$from" "$to" 2>&1 || fail "telegraf: dashboard $1 on $2"; }
influx=$(panels influxdb "$INFLUX") || fail "telegraf: $influx"
victoria=$(panels victoriametrics "$VICTORIA") || fail "telegraf: $victoria"
version=$(sed -n 's|.*influxdata/telegraf \(v[0-9.]*\).*|\1|p' go.mod)
ok telegraf "json, json_v2 and xpath_json read$(sed -n 's/.*: \([0-9]* records, all . kinds\)$/ \1/p' "$WORK/log" | head -1), no key lost, no row overwritten (Telegraf $version); InfluxDB: $influx; VictoriaMetrics: $victoria; Kafka (kfake):$(sed -n 's/.*kafka_test.go:[0-9]*:\( [0-9]* records\) to Kafka\(.*\)/\1\2/p' "$WORK/log") over a restart of it and a kill of Telegraf"
