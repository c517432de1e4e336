#!/usr/bin/env bash
# Tests the .exe and the MSI under wine, which is not Windows: docs/windows-test.md lists
# what it cannot show. Everything is on loopback and in one folder, which is removed
# at the end.
#
#   packaging/scripts/test-windows.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C
# shellcheck source=packaging/scripts/tools.sh
. packaging/scripts/tools.sh

[ "$(uname -sm)" = "Linux x86_64" ] || { echo "SKIPPED, NOT TESTED UNDER WINE: this test needs Linux on x86-64"; exit 0; }
tools wine:wine x86_64-w64-mingw32-gcc:gcc-mingw-w64-x86-64 mosquitto:mosquitto mosquitto_sub:mosquitto-clients unzip:unzip

base=$(mktemp -d)
export WINEPREFIX=$base/wine WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml=;winemenubuilder.exe=" DISPLAY=
broker_pid="" keeper=""
clean_up() {
	[ -z "$broker_pid" ] || kill "$broker_pid" 2>/dev/null || true
	[ -z "$keeper" ] || kill "$keeper" 2>/dev/null || true
	wineserver -k 2>/dev/null || true
	wineserver -w 2>/dev/null || true
	rm -rf "$base"
}
trap clean_up EXIT

# --- steps
fail() {
	echo "FAIL $1"
	cat "$base/out" "$base/said" 2>/dev/null
	cat "$data"/setup.log "$data"/logs/* 2>/dev/null | tail -n 40 || true
	exit 1
}
step() { # NAME COMMAND...
	local name=$1 began
	shift
	began=$(date +%s%3N)
	"$@" >"$base/out" 2>&1 || fail "$name"
	printf 'ok   %-62s %6d ms\n' "$name" $(($(date +%s%3N) - began))
}
eventually() { # SECONDS COMMAND...
	local end=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt "$end" ] || { echo "timeout: $*"; return 1; }
		sleep 0.1
	done
}
not() { ! "$@"; }
all() { local c; for c in "$@"; do eval "$c" || { echo "false: $c"; return 1; }; done; }
free_port() { local p; while :; do p=$((20000 + RANDOM % 20000)); (: <"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo $p; return; }; done; }

# --- the parts of the trial
programs="$WINEPREFIX/drive_c/Program Files/roomcall"
data=$WINEPREFIX/drive_c/ProgramData/roomcall
menu() { find "$WINEPREFIX/drive_c" -path "*Start Menu*roomcall/*"; } # wine has several, by version
mqtt=$(free_port) sim=$(free_port)
# wine closes a command's output late when a service that it started holds it open,
# so the commands write to files.
exe() { wine "$programs/roomcall.exe" "$@" </dev/null >"$base/said" 2>&1; }
msi() { wine msiexec "$@" /qn </dev/null >"$base/said" 2>&1; }
state() { wine sc query roomcall </dev/null >"$base/said" 2>&1; }
running() { state && grep -q "STATE.*4" "$base/said"; }
stopped() { state && grep -q "STATE.*1 " "$base/said"; }
installed() { state; }
service_pid() { pgrep -f "Program Files.roomcall.roomcall.exe.*agent.toml.* run"; }
broker() {
	printf 'listener %s 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\nmax_queued_messages 0\nuser root\n' "$mqtt" "$base" >"$base/mosquitto.conf"
	mosquitto -c "$base/mosquitto.conf" >/dev/null 2>&1 &
	broker_pid=$!
	eventually 5 mosquitto_pub -h 127.0.0.1 -p "$mqtt" -t t -m x
}
no_broker() { kill "$broker_pid" && wait "$broker_pid" || true; broker_pid=""; }
sub() { mosquitto_sub -h 127.0.0.1 -p "$mqtt" -q 1 -t "roomcall/v1/trial/+/sample" "$@"; }
sample() { sub -C 1 -W "${1:-20}" | grep -q '"schema":"roomcall.sample/'; }
waiting() { exe buffer info --json; sed -n 's/.*"waiting": *\([0-9]*\).*/\1/p' "$base/said" | head -n1; }
has_backlog() { [ "$(waiting)" -ge "$1" ] 2>/dev/null; }
drained() { [ "$(waiting)" -lt 10 ] 2>/dev/null; }
# Numbers of the samples by the epoch of their store: id is client.epoch.device.kind.number.
no_gap() {
	grep -o '"id":"[^"]*"' "$base/samples" | tr -d '"' | awk -F. '{print $2, $5}' | sort -u -k1,1n -k2,2n |
		awk '$1 == epoch && $2 != last + 1 { print "gap before", $2; bad = 1 } { epoch = $1; last = $2 } END { print NR, "samples"; exit bad || NR < 10 }'
}
# within 3 s in the service itself; wine needs some more time to start a command
stop_in_time() {
	local began
	began=$(date +%s%3N)
	exe stop || return 1
	echo $(($(date +%s%3N) - began)) >"$base/took"
	[ "$(cat "$base/took")" -le 3500 ]
}

# The agent's own address cannot be changed before there is a config.
port_is_free() { ! (: <"/dev/tcp/127.0.0.1/9478") 2>/dev/null; }
eventually 60 port_is_free || { echo "FAIL another agent uses 127.0.0.1:9478 on this machine"; exit 1; }

# Everything is built with a golang.org/x/sys adapted to this wine: service settings
# that wine does not know count as set and read as zero, and wine's services need not be
# in session 0. It is in a separate module cache, whose other modules are links.
wine_sys() {
	local cache sys
	go mod download
	cache=$(go env GOMODCACHE)
	sys=golang.org/x/$(basename "$(go list -m -f '{{.Dir}}' golang.org/x/sys)")
	mkdir -p "$base/mod/golang.org/x"
	(cd "$cache" && find . -mindepth 1 -maxdepth 1 ! -name golang.org && find ./golang.org -mindepth 1 -maxdepth 1 ! -name x && find ./golang.org/x -mindepth 1 -maxdepth 1) |
		while read -r d; do ln -s "$cache/$d" "$base/mod/$d"; done
	rm "$base/mod/$sys"
	cp -r "$cache/$sys" "$base/mod/$sys"
	chmod -R u+w "$base/mod/$sys"
	sed -i -E '/^func (Change|Query)ServiceConfig2\(/,/^}/ s/r1 == 0/r1 == 0 \&\& e1 != ERROR_INVALID_LEVEL/' "$base/mod/$sys/windows/zsyscall_windows.go"
	sed -i 's/parentProcess.SessionID == 0 && //' "$base/mod/$sys/windows/svc/security.go"
	[ "$(diff -r "$cache/$sys" "$base/mod/$sys" | grep -c '^>')" -eq 3 ] || { echo "FAIL golang.org/x/sys differs from what this script expects"; exit 1; }
	export GOMODCACHE=$base/mod
}
wine_sys

mkdir "$base"/{v1,v2}
for v in 0.1.0:v1 0.1.1:v2; do
	VERSION=${v%:*} PLATFORMS=windows/amd64 packaging/scripts/package.sh "$base/${v#*:}"
done
mv "$base"/v1/*.msi "$base/v1.msi"
mv "$base"/v2/*.msi "$base/v2.msi"
: >"$base/out"
# Wait until the first wine has ended completely: a second one beside it has no services.
step "wine" all 'wineboot -i' 'wineserver -w'
step "the DLL that this wine lacks" x86_64-w64-mingw32-gcc -shared -O2 -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" packaging/trial/bcryptprimitives.c -ladvapi32
unzip -q "$base"/v1/*.zip -d "$WINEPREFIX/drive_c/"
mv "$WINEPREFIX"/drive_c/roomcall-* "$WINEPREFIX/drive_c/plain"
printf 'Tr1al-S3cret\r\n' >"$WINEPREFIX/drive_c/secret.txt"
step "broker" broker
sub -c -i watcher -E
# The simulated endpoint, from the same .exe; it also keeps wine's services alive.
wine "$WINEPREFIX/drive_c/plain/roomcall.exe" simulate --listen "127.0.0.1:$sim" --scenario quiet-meeting --user api --password-file 'C:\secret.txt' </dev/null >/dev/null 2>&1 &
keeper=$!
step "the .exe runs: a simulated endpoint listens" eventually 20 bash -c "(: </dev/tcp/127.0.0.1/$sim) 2>/dev/null"

GOOS=windows go test -c -o "$WINEPREFIX/drive_c/service.exe" ./service
service_tests() { (cd service && ROOMCALL_TEST_SCM=1 wine 'C:\service.exe' -test.v </dev/null >"$base/said" 2>&1) && grep -q 'all steps done' "$base/said"; }
step "package service: install, start, hang, fail, stop, uninstall" service_tests

# --- MSI: install, run, stop, kill
step "MSI with bad values fails and leaves nothing behind" all 'not msi /i "$base/v1.msi" DEVICEURL=nonsense BROKERURL=tcp://127.0.0.1:1' 'not test -e "$programs/roomcall.exe"' 'not installed'
step "and setup.log says what was wrong" grep -q nonsense "$data/setup.log"
step "MSI installs silently" msi /i "$base/v1.msi" CLIENTID=trial SITE=lab "ROOM=Room A" "DEVICEURL=http://127.0.0.1:$sim" DEVICEUSER=api 'SECRETFILE=C:\secret.txt' "BROKERURL=tcp://127.0.0.1:$mqtt"
step "the service runs" eventually 20 running
step "Start menu: first set-up and status page" all 'menu' 'menu | grep -q "roomcall status page.url"' 'menu | grep -q "roomcall first set-up.lnk"'
step "the log is in its folder" eventually 10 test -s "$data/logs/roomcall.log"
step "a sample is delivered" sample
step "the secret is in its own file" all 'grep -q S3cret "$data/endpoint.secret"' 'not grep -rq S3cret "$data/agent.toml" "$data/setup.log"'
sed -i 's/^device = .*/&\npoll_interval = "500ms"\nidle_interval = "500ms"/' "$data/agent.toml"
step "stop within 3 s" all stop_in_time stopped
echo "     took $(cat "$base/took") ms, wine's own start of a command included"
step "start" all 'exe start' 'eventually 10 running' sample
# wine's service manager does not notice that a service died, and restarts nothing.
step "after a kill the store opens again" all 'kill -9 "$(service_pid)"' 'eventually 5 not service_pid' 'exe stop || true' 'exe start' 'eventually 10 running' 'eventually 5 service_pid' sample

# --- upgrade, downgrade, removal
step "records wait while the broker is down" all no_broker 'eventually 60 has_backlog 10'
before=$(waiting)
step "MSI upgrades" msi /i "$base/v2.msi"
step "the new version runs with what waited" all 'exe version' 'grep -q 0.1.1 "$base/said"' 'eventually 20 running' "eventually 20 has_backlog $before"
step "the broker is back: everything is delivered" all broker 'eventually 60 drained' sample
sub -c -i watcher -W 3 >"$base/samples" 2>/dev/null || true
step "no sample is missing after stop, kill and upgrade" no_gap
echo "     $(tail -n1 "$base/out"), numbered without a gap"
step "MSI refuses a downgrade" all 'not msi /i "$base/v1.msi"' 'exe version' 'grep -q 0.1.1 "$base/said"' running
step "MSI uninstalls and keeps config and store" all 'msi /x "$base/v2.msi"' 'not installed' 'not test -e "$programs/roomcall.exe"' 'test -s "$data/agent.toml"' 'ls "$data"/data/seg-*.db'
step "MSI installs again and continues with them" all 'msi /i "$base/v2.msi"' 'eventually 20 running' sample
step "KEEPDATA=0 removes them" all 'msi /x "$base/v2.msi" KEEPDATA=0' 'not installed' 'not test -e "$data"' 'not test -e "$programs"' '[ -z "$(menu)" ]'
step "MSI without answers installs the program alone, and says so" all 'msi /i "$base/v2.msi"' 'test -e "$programs/roomcall.exe"' 'not installed' 'grep -q "no config was written" "$data/setup.log"'
step "first set-up as the Start menu does it: init, install, start" all \
	'exe init --yes --client-id trial --url "http://127.0.0.1:$sim" --username api --secret-file "C:\\secret.txt" --broker "tcp://127.0.0.1:$mqtt" --install --start' 'eventually 20 running' sample
step "and removal" all 'msi /x "$base/v2.msi" KEEPDATA=0' 'not installed' 'not test -e "$data"'

# --- the .exe by hand
programs=$WINEPREFIX/drive_c/plain
step "by hand: init, install, start" all \
	'exe init --yes --no-check --client-id trial --url "http://127.0.0.1:$sim" --username api --secret-file "C:\\secret.txt" --broker "tcp://127.0.0.1:$mqtt"' \
	'exe install' 'exe start' 'eventually 10 running' sample
step "by hand: uninstall" all 'exe uninstall' 'not installed'
echo "all steps done"
