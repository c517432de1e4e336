#!/usr/bin/env bash
# Tests the scrape config, the alerts and the dashboard with a real Prometheus and the running agent.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/lib.sh"
trap stop_all EXIT

cp "$here"/*.yml "$WORK"
sed -i "s/127.0.0.1:9478/$HTTP/" "$WORK/roomcall-targets.yml"
sed -i 's/scrape_interval: 15s/scrape_interval: 1s/' "$WORK/prometheus.yml"
promtool check config "$WORK/prometheus.yml" >"$WORK/check" || fail "prometheus: $(cat "$WORK/check")"
curl -fsS "http://$HTTP/metrics" >"$WORK/metrics"
promtool check metrics <"$WORK/metrics" >"$WORK/check" 2>&1 || fail "prometheus: promtool rejects /metrics: $(cat "$WORK/check")"

port=$(free_port)
spawn "$WORK/prometheus.log" prometheus --config.file="$WORK/prometheus.yml" \
	--storage.tsdb.path="$WORK/data" --web.listen-address="127.0.0.1:$port"
ask() { curl -fsS -G "http://127.0.0.1:$port/api/v1/query" --data-urlencode "query=$1"; }
scraped() { [ "$(ask 'up{job="roomcall"}' | jq -r '.data.result[0].value[1]')" = 1 ]; }
await 30 scraped || fail "prometheus: the agent is not scraped: $(tail -3 "$WORK/prometheus.log")"

# The agent has every metric that an alert names, and every alert is loaded.
for name in $(grep -o 'roomcall_[a-z_]*' "$here/roomcall-rules.yml" | sort -u); do
	grep -q "^$name" "$WORK/metrics" || fail "prometheus: the agent has no $name"
done
rules() { curl -fsS "http://127.0.0.1:$port/api/v1/rules" | jq '[.data.groups[].rules[] | select(.lastError == null or .lastError == "")] | length'; }
[ "$(rules)" = "$(grep -c 'alert:' "$here/roomcall-rules.yml")" ] || fail "prometheus: not all alerts are loaded"
series=$(ask 'count({job="roomcall"})' | jq -r '.data.result[0].value[1]')
scrapes() { [ "$(ask 'min(count_over_time(up{job="roomcall"}[5m])) > 9' | jq -r '.data.result | length')" = 1 ]; }
await 60 scrapes || fail "prometheus: not 10 scrapes within 60 s"
now=$(date +%s)
panels=$(PICK_instance=$HTTP PICK_device=far node "$here/../grafana/series.mjs" "$here/dashboard.json" "http://127.0.0.1:$port" $((now - 60)) "$now" 2>&1) || fail "prometheus: the dashboard: $panels"
ok prometheus "$series series scraped from the agent, $(rules) alerts loaded, promtool accepts config and metrics, dashboard: $panels"
