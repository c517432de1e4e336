#!/bin/sh
# Accounts and rights in RabbitMQ: accounts.sh agent NAME | accounts.sh consumer NAME
# The password comes from standard input. An agent's name is its client_id; a consumer's
# is its MQTT client id. RabbitMQ's own user guest is deleted. Without the command
# `rabbitmqctl` on this machine, set RABBITMQCTL.
set -eu
ctl=${RABBITMQCTL:-rabbitmqctl}
kind=$1 name=$2
read -r password
# A client reads through queues that are named after its client id. `roomcall check`,
# `watch` and `forget` append something to it, so that they disconnect nobody; no more than
# that, or the account room would reach the queues of room-a.
queue="mqtt-subscription-$name(-check|(-watch)?-[A-Z2-7]{8})?qos[01]"
case $kind in
agent)
	write="^roomcall\\.v1\\.$name\\."
	read="^roomcall\\.v1\\.$name\\.(echo|health|[^.]+\\.state)\$"
	;;
consumer)
	write='^$'
	read='^roomcall\.v1\.'
	;;
*) echo "agent or consumer" >&2 && exit 2 ;;
esac
$ctl -q delete_user guest 2>/dev/null || true
printf '%s\n' "$password" | $ctl -q add_user "$name"
$ctl -q set_permissions "$name" "^$queue\$" "^($queue|amq\\.topic)\$" "^($queue|amq\\.topic)\$"
$ctl -q set_topic_permissions "$name" amq.topic "$write" "$read"
