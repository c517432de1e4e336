#!/bin/sh
# Announces the rooms to Home Assistant: publishes a retained discovery config for
# each device of each agent, from the agents' retained birth messages, and again
# whenever an agent publishes a new one. With --once it stops after two seconds. All
# other arguments go to mosquitto_sub and mosquitto_pub (-h HOST, -p PORT, --cafile
# FILE ...). Put an account into ~/.config/mosquitto_sub and ~/.config/mosquitto_pub
# ("-u NAME" and "-P PASSWORD", a line each) rather than into the arguments.
# TOPIC_PREFIX is the agents' topic_prefix. Needs mosquitto-clients and jq.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=${TOPIC_PREFIX:-roomcall/v1}
tab=$(printf '\t')
once=
if [ "${1:-}" = --once ]; then
	shift
	once='--retained-only -W 2'
fi
# shellcheck disable=SC2086
mosquitto_sub "$@" $once -q 1 -t "$prefix/+/birth" -F '%t	%p' | while IFS=$tab read -r topic birth; do
	printf '%s\n' "$birth" | jq -r --arg topic "$topic" -f "$here/discovery.jq" |
		while IFS=$tab read -r config text; do
			printf '%s' "$text" | mosquitto_pub "$@" -q 1 -r -t "$config" -s
			echo "$config"
		done
done
