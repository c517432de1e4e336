#!/bin/bash
# The steps of test-systemd.sh, run as root inside the container. It prints one line
# for each; the first one that fails ends the trial.
set -u
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
topic=roomcall/v1/trial
secret=Tr1al-S3cret
mqtt_secret=Br0ker-S3cret

fail() {
	echo "FAIL $1"
	echo "--- journal"
	journalctl --no-pager -n 40 -o cat -u roomcall
	cat /trial/kept.out /trial/step.out
	exit 1
}

step() { # NAME COMMAND...
	local name=$1 began
	shift
	began=$(date +%s%3N)
	"$@" >/trial/step.out 2>&1 || fail "$name"
	printf 'ok   %-62s %6d ms\n' "$name" $(($(date +%s%3N) - began))
}

eventually() { # SECONDS COMMAND...
	local end=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt "$end" ] || { echo "timeout: $*"; return 1; }
		sleep 0.05
	done
}

not() { ! "$@"; }
all() { local c; for c in "$@"; do eval "$c" || { echo "false: $c"; return 1; }; done; }
# In a terminal systemd does not pass the credentials.
roomcall() { CREDENTIALS_DIRECTORY=/etc/roomcall-secrets command roomcall "$@"; }
main_pid() { systemctl show -P MainPID roomcall; }
active() { [ "$(systemctl show -P SubState roomcall)" = running ]; }
said() { grep -q -- "$1" /trial/step.out /trial/kept.out 2>/dev/null; }
in_journal() { journalctl -u roomcall --no-pager -o cat | grep -q -- "$1"; }
waiting() { roomcall buffer info --json 2>/dev/null | sed -n 's/.*"waiting": *\([0-9]*\).*/\1/p' | head -n1; }
has_backlog() { [ "$(waiting)" -ge "$1" ] 2>/dev/null; }
drained() { [ "$(waiting)" -lt 10 ]; }
sample() { mosquitto_sub -h 127.0.0.1 -t "$topic/room-1/sample" -C 1 -W "${1:-20}" | tee /trial/sample | grep -q '"schema":"roomcall.sample/'; }
sample_says() { mosquitto_sub -h 127.0.0.1 -t "$topic/room-1/sample" -C 1 -W 5 | grep -q -- "$1"; }
broker() { mosquitto -d -c /trial/mosquitto.conf && eventually 5 mosquitto_pub -h 127.0.0.1 -t t -m x; }
no_broker() { kill "$(pidof mosquitto)" && eventually 10 not pidof mosquitto; }
install_deb() { dpkg -i "$1" >/trial/kept.out 2>&1 || { cat /trial/kept.out; return 1; }; cat /trial/kept.out; }

configure() { # ROOM
	mkdir -p /etc/roomcall/conf.d
	cat >/etc/roomcall/conf.d/room.toml <<-END
		[agent]
		client_id = "trial"
		[[endpoint]]
		device = "room-1"
		room = "$1"
		url = "http://127.0.0.1:8088"
		username = "api"
		password_file = "\${CREDENTIALS_DIRECTORY}/endpoint"
		poll_interval = "200ms"
		idle_interval = "200ms"
		[mqtt]
		broker = "tcp://127.0.0.1:1883"
		username = "pc"
		password_file = "\${CREDENTIALS_DIRECTORY}/mqtt"
		reconnect_max = "2s"
	END
}

credential() {
	install -d -m 700 /etc/roomcall-secrets
	(umask 077 && echo "$secret" >/etc/roomcall-secrets/endpoint && echo "$mqtt_secret" >/etc/roomcall-secrets/mqtt)
	mkdir -p /etc/systemd/system/roomcall.service.d
	printf '[Service]\nLoadCredential=endpoint:/etc/roomcall-secrets/endpoint\nLoadCredential=mqtt:/etc/roomcall-secrets/mqtt\n' >/etc/systemd/system/roomcall.service.d/secret.conf
	systemctl daemon-reload
}

echo "booted: $(systemctl --version | head -n1)"

# --- Debian: install, run, reload, fail, recover
step "install without a config" install_deb /trial/v1.deb
step "prints the next steps, starts nothing" all 'said "roomcall init"' 'said "systemctl enable --now"' 'not active' 'not systemctl -q is-enabled roomcall'
step "a start waits for a config, which is no failure, and that is said" all 'systemctl start roomcall' 'not active' 'not systemctl -q is-failed roomcall' \
	'not roomcall start >/trial/said 2>&1' 'grep -q "waits for a config: .roomcall init" /trial/said' \
	'not roomcall status >/trial/said 2>&1' 'grep -q "waits for a config" /trial/said' 'not roomcall check >/trial/said 2>&1' 'not grep FAIL /trial/said'
step "user, config and store have tight permissions" all \
	'[ "$(stat -c %U:%G:%a /etc/roomcall)" = root:roomcall:750 ]' 'test -s /etc/roomcall/agent.example.toml' \
	'[ "$(stat -c %U:%G:%a /var/lib/roomcall)" = roomcall:roomcall:750 ]'
(umask 077 && printf 'pc:%s\n' "$mqtt_secret" >/trial/passwords && mosquitto_passwd -U /trial/passwords)
step "broker" broker
/usr/bin/roomcall simulate --listen 127.0.0.1:8088 --scenario quiet-meeting --user api --password-file <(echo $secret) >/dev/null 2>&1 &
mosquitto_sub -h 127.0.0.1 -i watcher -c -q 1 -t "$topic/+/sample" -E
mosquitto_sub -h 127.0.0.1 -t '#' -F '%t %p' >/trial/traffic 2>&1 & # until the broker goes away
step "config with a secret that only root can read" all 'configure "Room A"' credential
step "installing again accepts the config" install_deb /trial/v1.deb
step "and starts and enables the service" all 'eventually 10 active' 'systemctl -q is-enabled roomcall'
step "a sample is delivered" sample
step "the agent reported ready: systemctl status has its line" eventually 10 all '[ -n "$(systemctl show -P StatusText roomcall)" ]'
step "a plain user may ask status, and not read records with names" all 'runuser -u nobody -- roomcall status | grep -q room-1' \
	'[ "$(runuser -u nobody -- curl -s -o /dev/null -w "%{http_code}" http://127.0.0.1:9478/api/v1/buffer/export)" = 403 ]' \
	'roomcall buffer export --delivered | grep -q roomcall.sample' 'not runuser -u nobody -- test -r /etc/roomcall/agent.example.toml'
step "systemd-analyze security is 1.5 or better" all \
	'systemd-analyze security --no-pager roomcall | tail -n1 | tee /trial/score' '[ "$(grep -o "[0-9]\.[0-9]" /trial/score | tr -d .)" -le 15 ]'
echo "     $(sed 's/[^ -~]*//g' /trial/score)"
pid=$(main_pid)
step "reload applies the new config" all 'configure "Room B"' 'systemctl reload roomcall' 'eventually 20 sample_says Room.B' '[ "$(main_pid)" = "$pid" ]'
step "reload rejects a bad config, the old one stays" all 'echo "nonsense = 1" >>/etc/roomcall/conf.d/room.toml' \
	'systemctl reload roomcall' 'eventually 10 in_journal "reload refused"' 'eventually 20 sample_says Room.B'
step "a start with a bad config fails once, and is not tried again" all 'not systemctl restart roomcall' 'eventually 10 systemctl -q is-failed roomcall' \
	'[ "$(systemctl show -P ExecMainStatus roomcall)" = 2 ]' '[ "$(systemctl show -P SubState roomcall)" = failed ]'
configure "Room B"
step "the right config runs again" all 'systemctl reset-failed roomcall' 'systemctl start roomcall' sample
pid=$(main_pid)
new_process() { local now; now=$(main_pid); [ "$now" != 0 ] && [ "$now" != "$pid" ]; }
# How long it takes is printed, not asserted: RestartSec=2 makes it short.
step "kill -9: systemd starts a new process" all '[ "$(systemctl show -P RestartUSec roomcall)" = 2s ]' 'kill -9 $pid' 'eventually 20 new_process'
step "and a sample is delivered again" sample
step "a shorter watchdog" all 'mkdir -p /run/systemd/system/roomcall.service.d' \
	'printf "[Service]\nWatchdogSec=3\nTimeoutAbortSec=2\n" >/run/systemd/system/roomcall.service.d/w.conf' 'systemctl daemon-reload' 'systemctl restart roomcall'
pid=$(main_pid)
step "SIGSTOP triggers it, systemd starts a new process" all 'kill -STOP $pid' 'eventually 30 new_process' 'in_journal "Watchdog timeout"' 'eventually 10 active'
rm -rf /run/systemd/system/roomcall.service.d
systemctl daemon-reload

# --- Upgrade, downgrade, a newer store
step "records wait while the broker is down" all no_broker 'eventually 60 has_backlog 30'
before=$(waiting)
step "upgrade" install_deb /trial/v2.deb
step "the new version runs" all 'eventually 10 active' 'roomcall version | grep -q 0.1.1' \
	'[ "$(readlink /proc/$(main_pid)/exe)" = /usr/bin/roomcall ]'
step "what waited still waits" eventually 20 has_backlog "$before"
echo "     waited before: $before, after: $(waiting)"
step "the broker is back: everything is delivered" all broker 'eventually 60 drained' sample
step "config and credential are unchanged" all 'eventually 10 sample_says Room.B' 'test -f /etc/systemd/system/roomcall.service.d/secret.conf'
sleep 1
mosquitto_sub -h 127.0.0.1 -i watcher -c -q 1 -t "$topic/+/sample" -W 3 >/trial/samples 2>/dev/null
# Numbers of the samples by the epoch of their store: id is client.epoch.device.kind.number.
no_gap() {
	grep -o '"id":"[^"]*"' "/trial/samples" | tr -d '"' | awk -F. '{print $2, $5}' | sort -u -k1,1n -k2,2n |
		awk '$1 == epoch && $2 != last + 1 { print "gap before", $2; bad = 1 } { epoch = $1; last = $2 } END { print NR, "samples"; exit bad || NR < 50 }'
}
step "no sample is missing after kill, watchdog and upgrade" no_gap
echo "     $(tail -n1 /trial/step.out), numbered without a gap"
step "upgrade to the same version with a bad config does not stop it" all 'echo "nonsense = 1" >>/etc/roomcall/conf.d/room.toml' \
	'pid=$(main_pid)' 'install_deb /trial/v2.deb' 'said "the old version keeps running"' '[ "$(main_pid)" = "$pid" ]' active
configure "Room B"
step "downgrade keeps the store" all 'install_deb /trial/v1.deb' 'eventually 10 active' 'roomcall version | grep -q 0.1.0' sample
newest() { ls /var/lib/roomcall/seg-*.db | tail -n1; }
sums() { sha256sum /var/lib/roomcall/seg-*.db; }
step "a store of a newer version is rejected" all 'systemctl stop roomcall' 'cp -a /var/lib/roomcall /trial/kept' 'perl /trial/newer-store.pl "$(newest)"' \
	'sums >/trial/sums' 'not timeout 20 systemctl start roomcall' 'in_journal "newer version"'
step "and left untouched" all 'systemctl stop roomcall' 'sums | cmp - /trial/sums'
step "the right store runs again" all 'rm -rf /var/lib/roomcall' 'cp -a /trial/kept /var/lib/roomcall' 'systemctl reset-failed roomcall' 'systemctl start roomcall' sample

# --- Secrets
no_secret() { # in files and folders
	local found
	[ "$(du -sb "$@" | awk '{n += $1} END {print n}')" -gt 0 ] || { echo "nothing to search: $*"; return 1; }
	for s in "$secret" "$mqtt_secret" "$(printf %s "$secret" | base64)" "$(printf %s "$mqtt_secret" | base64)"; do
		found=$(grep -r -a -l -F -e "$s" "$@") && { echo "a secret is in: $found"; return 1; }
	done
	return 0
}
outside=/trial/outside
mkdir -p $outside/packages
journalctl --no-pager -o export -u roomcall >$outside/journal
cp "/proc/$(main_pid)/environ" $outside/environ
cp "/proc/$(main_pid)/cmdline" $outside/argv
for c in "status" "status --json" "config show" "config show --effective" "check" "check --json" "poll --raw" "poll --json" "buffer info" "version --json"; do
	# shellcheck disable=SC2086
	roomcall $c >>"$outside/commands" 2>&1
done
for page in / /metrics /readyz /api/v1/status /api/v1/samples; do curl -s "http://127.0.0.1:9478$page"; done >$outside/pages
roomcall diag --out $outside/diag.zip >>$outside/commands 2>&1
cp -a /var/lib/roomcall $outside/store
mosquitto_sub -h 127.0.0.1 -t '#' -F '%t %p' -W 2 >>/trial/traffic 2>/dev/null # the retained messages
cp /trial/traffic $outside/traffic
for p in /trial/v?.deb; do dpkg-deb -R "$p" "$outside/packages/$(basename "$p")"; done
for p in /trial/v?.rpm; do rpm2cpio "$p" >"$outside/packages/$(basename "$p").cpio"; done
step "the search for secrets finds them where they belong" all 'not no_secret /etc/roomcall-secrets' 'grep -q roomcall.sample $outside/traffic' 'grep -q MESSAGE= $outside/journal'
step "no secret in the journal, environment and arguments" no_secret $outside/{journal,environ,argv}
step "none in the output of commands and pages" no_secret $outside/{commands,pages}
step "none in the support bundle" all 'unzip -q $outside/diag.zip -d $outside/diag' 'no_secret $outside/diag'
step "none in the MQTT traffic and the store" no_secret $outside/{traffic,store}
step "none in the packages" no_secret $outside/packages

# --- Remove and purge
step "remove stops it" all 'dpkg -r roomcall' 'not active' 'not test -e /usr/bin/roomcall' 'not test -e /etc/systemd/system/multi-user.target.wants/roomcall.service'
step "config and store are kept" all 'test -s /etc/roomcall/conf.d/room.toml' 'test -n "$(newest)"' 'getent passwd roomcall'
step "installing again continues with them" all 'install_deb /trial/v2.deb' 'eventually 10 active' sample
step "purge leaves nothing" all 'dpkg -P roomcall' 'not test -e /etc/roomcall' 'not test -e /var/lib/roomcall' 'not getent passwd roomcall' \
	'not getent group roomcall' 'not test -e /usr/lib/systemd/system/roomcall.service' '[ -z "$(find /usr /etc /var/lib -name "*roomcall*" -not -path "/etc/roomcall-secrets*" -not -path "*/roomcall.service.d*" 2>/dev/null)" ]'

# --- by hand, as docs/install.md types it
init() { command roomcall init --yes --no-check --client-id trial --device room-1 --url http://127.0.0.1:8088 --username api --secret-file /etc/roomcall-secrets/endpoint --broker tcp://127.0.0.1:1883; }
rm -rf /etc/systemd/system/roomcall.service.d
step "by hand: install, init, enable" all 'install_deb /trial/v1.deb' init 'command roomcall check' \
	'systemctl enable --now roomcall' 'command roomcall status' sample
install -m 755 /usr/bin/roomcall /usr/local/bin/roomcall
step "by hand: purge" dpkg -P roomcall
hash -r
step "without a package: init, install, start" all init 'command roomcall install' 'command roomcall start' 'command roomcall status' sample
step "without a package: uninstall keeps config and store" all 'command roomcall uninstall' 'not active' 'test -s /etc/roomcall/agent.toml' 'test -n "$(newest)"' \
	'rm -rf /etc/roomcall /var/lib/roomcall /usr/local/bin/roomcall /etc/sysusers.d/roomcall.conf' 'userdel roomcall'
hash -r

# --- rpm, on this Debian: its database is empty, so dependencies are not checked
rpm_do() { rpm --force-debian --nodeps "$@"; }
step "rpm: install without a config" all 'rpm_do -i /trial/v1.rpm >/trial/kept.out 2>&1' 'said "roomcall init"' 'not active' \
	'[ "$(stat -c %U:%G:%a /etc/roomcall)" = root:roomcall:750 ]' '[ "$(stat -c %U:%a /var/lib/roomcall)" = roomcall:750 ]'
step "rpm: with a config it starts" all 'configure "Room C"' credential 'systemctl enable --now roomcall' sample
step "rpm: upgrade restarts the service" all 'pid=$(main_pid)' 'rpm_do -U /trial/v2.rpm' 'eventually 10 active' 'new_process' 'roomcall version | grep -q 0.1.1' sample
step "rpm: erase stops it and keeps the store" all 'rpm_do -e roomcall' 'not active' 'not test -e /usr/bin/roomcall' 'test -n "$(newest)"' 'test -s /etc/roomcall/conf.d/room.toml'
echo "all steps done"
