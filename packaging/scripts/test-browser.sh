#!/bin/sh
# The status page in a browser: the built program and simulated endpoints, in Chromium.
# Without a browser it installs Debian's as root; else it says what to install and fails.
# With --pictures it writes the pictures of the documentation anew.
set -eu
cd "$(dirname "$0")/../.."

find_browser() {
	for name in chromium chromium-browser google-chrome; do
		command -v "$name" && return
	done
}

update="" packages="chromium"
if [ "${1-}" = --pictures ]; then
	update="-run Pictures -update" packages="chromium fonts-noto-cjk"
fi
if [ -z "$(find_browser)" ] || { [ -n "$update" ] && ! fc-list :lang=zh-cn | grep -q .; }; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
		echo "The tests of the status page need a browser: sudo apt-get install --no-install-recommends $packages" >&2
		exit 1
	fi
	echo "installing: $packages"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# shellcheck disable=SC2086
	apt-get install -y -qq --no-install-recommends $packages >/dev/null
fi
ROOMCALL_BROWSER=$(find_browser)
export ROOMCALL_BROWSER
# shellcheck disable=SC2086
exec go test -count=1 -timeout 10m ./packaging/browser $update
