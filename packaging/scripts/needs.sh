#!/bin/sh
# Installs what the tests need besides Go: mosquitto with its clients, strace, which
# shows what is flushed when, and a C compiler for the race detector. As root it uses
# apt; otherwise it prints what to install and fails.
set -eu

missing=""
need() { command -v "$1" >/dev/null 2>&1 || PATH="$PATH:/usr/sbin" command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need mosquitto mosquitto
need mosquitto_sub mosquitto-clients
[ "$(uname -s)" != Linux ] || need strace strace
need gcc gcc
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "The tests need:$missing" >&2
	echo "Install with: sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# A policy that starts no service: the tests run their own brokers.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
