#!/usr/bin/env bash
# Runs every consumer of packaging/consumers: `interop.sh` or `interop.sh NAME...`. It
# prints one line per consumer: "ok NAME ...", "FAIL NAME" or "NOT RUN NAME reason",
# and fails unless all are ok. It needs Go; as root it installs with apt and npm what
# else is missing; npm's packages go into a temporary folder. Everything runs on
# loopback with free ports. KEEP=1 keeps the temporary folder.
set -euo pipefail
REPO=$(cd "$(dirname "$0")/../.." && pwd)
export REPO
WORK=$(mktemp -d "${TMPDIR:-/tmp}/roomcall-interop-XXXXXX")
export WORK
# shellcheck source=interop/live.sh
. "$REPO/packaging/scripts/interop/live.sh"
# shellcheck source=interop/database.sh
. "$REPO/packaging/scripts/interop/database.sh"

ALL=(mosquitto rabbitmq nats-mqtt mochi shared lines python node alerts prometheus homeassistant views schema nodered telegraf postgres grafana gateway nats)
WANTED=("${@:-${ALL[@]}}")
wanted() { [[ " ${WANTED[*]} " == *" $1 "* ]]; }
for name in "${WANTED[@]}"; do
	[[ " ${ALL[*]} " == *" $name "* ]] || fail "no consumer $name; the consumers are: ${ALL[*]}"
done
if wanted grafana && ! wanted postgres; then WANTED=("${WANTED[@]/grafana/postgres}" grafana); fi

finish() {
	stop_all
	if [ -n "${KEEP:-}" ]; then echo "kept $WORK"; else rm -rf "$WORK"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

# install_needs installs what is missing, as root on Debian; otherwise the consumers
# that need it are not run.
NEEDS=(mosquitto:mosquitto mosquitto_sub:mosquitto-clients jq:jq curl:curl psql:postgresql-client
	pg_createcluster:postgresql prometheus:prometheus promtool:prometheus node:nodejs npm:npm paho:python3-paho-mqtt
	influxd:influxdb victoria-metrics:victoria-metrics openssl:openssl rabbitmq-server:rabbitmq-server epmd:erlang-base)
has() {
	case $1 in
	paho) /usr/bin/python3 -c 'import paho.mqtt.client' >/dev/null 2>&1 ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}
missing() {
	local n
	for n in "${NEEDS[@]}"; do has "${n%:*}" || echo "${n#*:}"; done | sort -u
}
install_needs() {
	local list policy=/usr/sbin/policy-rc.d
	mapfile -t list < <(missing)
	((${#list[@]})) || return 0
	if [ "$(id -u)" != 0 ] || ! has apt-get; then
		echo "missing: ${list[*]} (install them, or run this as root on Debian)" >&2
		return 0
	fi
	echo "installing: ${list[*]}"
	# A policy that starts no service: this script starts everything itself.
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	else
		policy=
	fi
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${list[@]}"; } \
		>"$WORK/apt.log" 2>&1 || tail -5 "$WORK/apt.log" >&2
	[ -z "$policy" ] || rm -f "$policy"
}

# tools_of NAME prints what a consumer needs besides Go and mosquitto.
tools_of() {
	case $1 in
	prometheus) echo jq curl node prometheus promtool ;;
	homeassistant | schema | shared | lines | views) echo jq node ;;
	nodered | node) echo jq curl node npm ;;
	python) echo jq paho ;;
	alerts) echo jq node ;;
	postgres | grafana) echo jq psql pg_createcluster node ;;
	gateway) echo jq curl psql pg_createcluster ;;
	nats) echo jq psql pg_createcluster node go ;;
	mosquitto) echo jq curl node paho openssl mosquitto_passwd ;;
	rabbitmq) echo jq curl node paho openssl rabbitmq-server epmd ;;
	mochi | nats-mqtt) echo jq curl node paho openssl ;;
	telegraf) echo jq curl node influxd victoria-metrics ;;
	esac
}

NPM=(mqtt@5.16.0 node-red@4.1.15 @asyncapi/parser@3.6.3 @asyncapi/modelina@5.10.1 ajv@8.20.0 ajv-formats@3.0.1)
# prepare starts the slow parts in the background while the agent collects records.
prepare() {
	if [ -z "${NODE_MODULES:-}" ] && { wanted nodered || wanted schema || wanted node; }; then
		export NODE_MODULES=$WORK/npm/node_modules
		mkdir -p "$WORK/npm"
		spawn "$WORK/npm.log" bash -c "cd '$WORK/npm' && npm init -y && npm install --no-audit --no-fund --ignore-scripts ${NPM[*]}"
		NPM_JOB=$SPAWNED
	fi
	if wanted telegraf; then
		spawn "$WORK/telegraf-build.log" go -C "$REPO/packaging/consumers/telegraf" test -c -o "$WORK/telegraf.test" .
		TELEGRAF_JOB=$SPAWNED
	fi
	wanted schema || wanted postgres || return 0
	export DAY=$WORK/day.jsonl
	"$REPO/packaging/scripts/example-day.sh" "$DAY" >"$WORK/day.log" 2>&1 || fail "the example day: $(tail -5 "$WORK/day.log")"
}

# ready NAME waits for what the consumer needs, or prints why it cannot run.
ready() {
	local tool
	for tool in $(tools_of "$1"); do
		has "$tool" || { echo "$tool is not installed" && return 1; }
	done
	case $1 in
	nodered | schema | node)
		[ -z "${NPM_JOB:-}" ] || wait "$NPM_JOB" || { echo "npm install failed: $(tail -2 "$WORK/npm.log")" && return 1; }
		NPM_JOB= ;;
	telegraf)
		wait "$TELEGRAF_JOB" || { echo "Telegraf's module does not build: $(tail -2 "$WORK/telegraf-build.log")" && return 1; } ;;
	postgres | gateway | nats)
		[ "${PGHOST:-}" = "$WORK/database" ] || start_database || { echo "no PostgreSQL" && return 1; } ;;
	esac
}

recorded() { grep -q "/$1	" "$RECORDS"; }

install_needs
has mosquitto || fail "mosquitto is not installed: nothing can be tested"
has node || fail "node is not installed: nothing can be tested"
export ROOMCALL=$WORK/roomcall
CGO_ENABLED=0 go -C "$REPO" build -o "$ROOMCALL" ./agent
start_live
prepare
for kind in call minute event stream view/zoom; do
	await 200 recorded "$kind" || fail "the agent published no $kind within 200 s"
done
bad=0
for name in "${WANTED[@]}"; do
	if ! ready "$name" >"$WORK/$name.reason" 2>&1; then
		echo "NOT RUN $name $(cat "$WORK/$name.reason")"
		bad=1
		continue
	fi
	mkdir -p "$WORK/$name"
	if ! WORK=$WORK/$name "$REPO/packaging/consumers/$name/try.sh" 2>"$WORK/$name.err"; then
		echo "FAIL $name"
		sed 's/^/    /' "$WORK/$name.err" >&2
		bad=1
	fi
done
exit $bad
