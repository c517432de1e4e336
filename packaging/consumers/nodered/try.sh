#!/usr/bin/env bash
# Tests the flow in a real Node-RED (from npm, in $NODE_MODULES): rooms and alerts of
# the running agent appear, and a record that arrives twice counts once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/lib.sh"
trap stop_all EXIT

mkdir -p "$WORK/user"
cp "$here/flow.json" "$WORK/user/flow.json"
port=$(free_port)
cat >"$WORK/settings.js" <<END
module.exports = {
	uiHost: "127.0.0.1", uiPort: $port, userDir: "$WORK/user", flowFile: "flow.json",
	httpAdminRoot: false, telemetry: { enabled: false }, logging: { console: { level: "info" } },
};
END
export MQTT_HOST=$BROKER_HOST MQTT_PORT=$BROKER_PORT
spawn "$WORK/nodered.log" node "$NODE_MODULES/node-red/red.js" --settings "$WORK/settings.js"
get() { curl -fsS "http://127.0.0.1:$port/roomcall$1"; }
await 60 get "" || fail "nodered: does not start: $(tail -5 "$WORK/nodered.log")"

rooms() { [ "$(get "" | jq '[.[] | select(.agent == "online" and .state != null and .grade != null and .age_s < 30)] | length')" = 3 ]; }
await 30 rooms || fail "nodered: rooms are $(get "")"
get "" | jq -e 'any(.room == "会议室 1")' >/dev/null || fail "nodered: a room's name is broken"

event='{"id":"twice.1.hub.event.1","client_id":"twice","device":"hub","room":"Twice","ts":"T","type":"quality.degraded","severity":"warning","metric":"video_recv_loss_pct","value":7,"limit":3}'
for text in "$event" "$event" "${event/warning/info}"; do pub -q 1 -t roomcall/v1/twice/hub/event -m "$text"; done
alerts() { get /alerts | jq -e 'any(contains("Twice"))'; }
await 30 alerts || fail "nodered: no alert arrived"
[ "$(get /alerts | jq '[.[] | select(contains("Twice"))] | length')" = 1 ] || fail "nodered: a duplicate counted twice"
[ "$(get /alerts | jq -r '.[] | select(contains("Twice"))')" = "T Twice: quality.degraded (video_recv_loss_pct 7, limit 3)" ] || fail "nodered: the alert is $(get /alerts)"
pub -q 1 -t roomcall/v1/twice/hub/event -m '{"id":"twice.1.hub.event.2","client_id":"twice","device":"hub","ts":"T","type":"endpoint.offline","severity":"critical","text":"It does not answer."}'
sentence() { get /alerts | jq -e 'any(. == "T hub: It does not answer.")'; }
await 30 sentence || fail "nodered: the agent's sentence is not in $(get /alerts)"
if grep -iE 'error|warn.*missing' "$WORK/nodered.log" | grep -v 'bcrypt' >"$WORK/errors"; then fail "nodered: $(head -3 "$WORK/errors")"; fi
ok nodered "3 rooms and their agent over HTTP, alerts from events, duplicate dropped (Node-RED $(sed -n 's/.*"version": "\(.*\)".*/\1/p' "$NODE_MODULES/node-red/package.json"))"
