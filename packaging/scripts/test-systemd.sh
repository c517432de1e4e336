#!/usr/bin/env bash
# Tests the .deb and the .rpm on a real systemd: boots one in a container over a
# throw-away copy of this system, runs the steps of packaging/trial/steps.sh there,
# and removes everything. Needs root and systemd-nspawn.
#
#   packaging/scripts/test-systemd.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=packaging/scripts/tools.sh
. packaging/scripts/tools.sh

skip() { echo "SKIPPED, NOT TESTED ON A REAL SYSTEMD: $*"; exit 0; }
[ "$(uname -sm)" = "Linux x86_64" ] || skip "the packages under test are for Linux on x86-64"
[ "$(id -u)" = 0 ] || skip "root is needed"
tools systemd-nspawn:systemd-container mosquitto:mosquitto mosquitto_sub:mosquitto-clients rpm:rpm perl:perl curl:curl unzip:unzip ||
	skip "tools are missing and cannot be installed"
[ -x /lib/systemd/systemd ] || skip "systemd is not installed"
base=$(mktemp -d)
mount -t tmpfs -o size=2g tmpfs "$base" 2>/dev/null || { rmdir "$base"; skip "mounting is not allowed here"; }
nspawn=""
clean_up() {
	# SIGTERM makes nspawn end the container.
	[ -z "$nspawn" ] || { kill "$nspawn" 2>/dev/null && wait "$nspawn" || true; }
	umount -l "$base/root" 2>/dev/null || true
	umount -l "$base"
	rmdir "$base"
}
trap clean_up EXIT

mkdir "$base"/{upper,work,root,v1,v2}
packager "$base" || skip "the packager cannot be installed; is the module proxy reachable?"
for v in 0.1.0:v1 0.1.1:v2; do
	VERSION=${v%:*} PLATFORMS=linux/amd64 packaging/scripts/package.sh "$base/${v#*:}"
done
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/root" || skip "an overlay mount is not possible here"
root=$base/root
# The trial starts from a machine that never had roomcall and may start services.
rm -rf "$root/usr/sbin/policy-rc.d" "$root"/{etc,var/lib}/roomcall "$root/trial"
mkdir "$root/trial"
cp "$base"/v1/*.deb "$root/trial/v1.deb"
cp "$base"/v2/*.deb "$root/trial/v2.deb"
cp "$base"/v1/*.rpm "$root/trial/v1.rpm"
cp "$base"/v2/*.rpm "$root/trial/v2.rpm"
cp packaging/trial/{steps.sh,newer-store.pl,mosquitto.conf} "$root/trial/"
cp packaging/trial/trial.service "$root/etc/systemd/system/trial.service"

SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout 600 systemd-nspawn --directory="$root" --boot --register=no --keep-unit \
	--private-network --machine=roomcall-trial-$$ --quiet systemd.unit=trial.service >"$base/console" 2>&1 &
nspawn=$!
# The trial's first line shows that systemd boots here. If it cannot (no cgroups, no
# namespaces), that is not a failure of roomcall.
for _ in $(seq 120); do
	[ ! -s "$root/trial/report" ] && kill -0 "$nspawn" 2>/dev/null || break
	sleep 1
done
[ -s "$root/trial/report" ] || { tail -n 50 "$base/console"; skip "systemd does not boot in a container here"; }
wait "$nspawn" || true # nspawn also fails when it cannot clean up; the report decides
nspawn=""
cat "$root/trial/report"
grep -q '^all steps done' "$root/trial/report" || { echo "FAIL: the trial on systemd failed"; exit 1; }
