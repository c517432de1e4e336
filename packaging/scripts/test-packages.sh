#!/usr/bin/env bash
# Tests the packages as files: builds them twice, in two folders, and compares them
# byte for byte; runs lintian, rpm, msiinfo; compares the contents with
# packaging/golden; signs with a certificate made here; searches for secrets.
#
#   packaging/scripts/test-packages.sh              UPDATE=1 updates the golden lists
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C
# shellcheck source=packaging/scripts/tools.sh
. packaging/scripts/tools.sh
tools lintian:lintian rpm:rpm msiinfo:msitools msiextract:msitools unzip:unzip openssl:openssl gpg:gpg osslsigncode:osslsigncode man:man-db

base=$(mktemp -d)
trap 'rm -rf "$base"' EXIT
failed=0
ok() { printf 'ok   %s\n' "$*"; }
bad() { printf 'FAIL %s\n' "$*"; failed=1; }
check() { # NAME COMMAND...
	local name=$1
	shift
	if "$@" >"$base/said" 2>&1; then ok "$name"; else bad "$name" && cat "$base/said"; fi
}
not() { ! "$@"; }

export VERSION=0.1.0 SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1795305600)}
unset SIGN_CERT SIGN_KEY RPM_KEY_FILE SUMS_KEY
a=$base/a b=$base/b
packaging/scripts/package.sh "$a"

# --- the same bytes from another folder, later, with another umask and time zone
mkdir -p "$base/another/folder"
tar -c --exclude=./.git --exclude=./dist --exclude=./bin . | tar -x -C "$base/another/folder"
(umask 077 && cd "$base/another/folder" && TZ=Asia/Tokyo LANG=C packaging/scripts/package.sh "$b" >/dev/null)
for f in "$a"/*; do
	check "the same bytes: ${f##*/}" cmp "$f" "$b/${f##*/}"
done
check "SHA256SUMS lists every file" bash -c "cd $a && sha256sum --quiet -c SHA256SUMS && [ \$(wc -l <SHA256SUMS) = \$(ls roomcall* | wc -l) ]"

# --- the formats' own tools
for f in "$a"/*.deb; do check "lintian has no error: ${f##*/}" lintian --allow-root --fail-on error "$f"; done
for f in "$a"/*.rpm; do
	check "rpm -K: ${f##*/}" rpm -K "$f"
	check "no path of the build in ${f##*/}" not grep -q "$PWD" <(rpm -qp --dump "$f")
done
msi=$(ls "$a"/*.msi)
check "msiinfo: 64-bit, one installer language" bash -c "msiinfo suminfo '$msi' | grep -q 'x64;1033'"
for p in CONFIGFILE CLIENTID SITE ROOM DEVICEURL DEVICEUSER SECRETFILE BROKERURL STARTSERVICE KEEPDATA; do
	check "MSI property $p is secure" bash -c "msiinfo export '$msi' Property | grep SecureCustomProperties | grep -q '\b$p\b'"
done
check "MSI: Start menu has the first set-up" bash -c "msiinfo export '$msi' Shortcut | grep -q '\[#FirstSetup\]'"
check "man page can be shown" bash -c "dpkg-deb --fsys-tarfile $a/*_amd64.deb | tar -xO ./usr/share/man/man1/roomcall.1.gz | gzip -d | man --warnings -l - | grep -q roomcall"

# --- contents, compared with the golden lists
compare() { # NAME COMMAND
	bash -c "$2" >"$base/list"
	[ "${UPDATE:-}" != 1 ] || cp "$base/list" "packaging/golden/$1"
	check "contents: $1" diff -u "packaging/golden/$1" "$base/list"
}
for arch in amd64 arm64 armhf; do
	compare deb.txt "dpkg-deb -c $a/roomcall_*_$arch.deb | awk '{print \$1, \$2, \$6}' | sort -k3"
done
for arch in x86_64 aarch64 armv7hl; do
	compare rpm.txt "rpm -qp --qf '[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES} %{FILEFLAGS:fflags}\n]' $a/roomcall-*.$arch.rpm | sed 's/ \$//' | sort -k3"
done
compare msi.txt "msiextract -l '$msi' | sort"
compare zip.txt "unzip -Z1 $a/*.zip | sort"
for arch in amd64 arm64 armhf; do compare tar.txt "tar -tzf $a/roomcall-*-linux-$arch.tar.gz | cut -d/ -f2- | sort"; done
compare conffiles.txt "dpkg-deb --ctrl-tarfile $a/*_amd64.deb | tar -xO ./conffiles | sed '/^\$/d'"

for script in packaging/fleet/*/*.ps1; do
	check "rights before secrets: $script" awk '/^icacls /{ closed = 1 } /LASTEXITCODE -ne 0/ && closed { sure = 1 } /^Copy-Item .*secrets/ && !sure { bad = 1 } END { exit bad }' "$script"
done

# --- bill of materials: every module of the program, and the program's checksum
mkdir "$base/x"
tar -xzf "$a"/*-linux-amd64.tar.gz -C "$base/x" --strip-components=1
go version -m "$base/x/roomcall" | awk '$1 == "dep" {print "pkg:golang/" $2 "@" $3}' | sort >"$base/modules"
sed -n 's/^ *"purl": "\(pkg:golang.*\)".*/\1/p' "$base/x/sbom.cdx.json" | grep -v '/std@' | sort >"$base/bill"
check "SBOM names every module: $(wc -l <"$base/modules")" diff -u "$base/modules" "$base/bill"
check "and the program's SHA-256" grep -q "$(sha256sum <"$base/x/roomcall" | cut -d' ' -f1)" "$base/x/sbom.cdx.json"
check "the licences say where the sources of MPL-2.0 and EPL-2.0 parts are" bash -c "[ \$(grep -c '^The source code of this part' '$base/x/THIRD-PARTY-LICENSES.txt') -ge 3 ]"
check "the version is in the program" bash -c "$base/x/roomcall version | grep -q 0.1.0"
check "the example config is right" "$base/x/roomcall" --config "$base/x/agent.example.toml" config show
for f in "$a"/*.deb "$a"/*.rpm; do
	check "no package brings a config of its own: ${f##*/}" bash -c "! (dpkg-deb -c '$f' 2>/dev/null || rpm -qlp '$f') | grep -q '/agent\.toml'"
done
check "the packages' messages name the first command" bash -c "dpkg-deb --ctrl-tarfile $a/*_amd64.deb | tar -xO ./postinst | grep -q 'roomcall init' && rpm -qp --scripts $a/*.x86_64.rpm | grep -q 'roomcall init'"
check "systemd leaves a wrong config alone, and waits without one" bash -c "grep -qx RestartPreventExitStatus=2 $base/x/roomcall.service && grep -qx 'ConditionPathExists=|/etc/roomcall/agent.toml' $base/x/roomcall.service"

# --- signing, with keys made here
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=roomcall-test -addext extendedKeyUsage=codeSigning -keyout "$base/key.pem" -out "$base/cert.pem" 2>/dev/null
export GNUPGHOME=$base/gpg
mkdir -m 700 "$GNUPGHOME"
gpg --batch --quiet --passphrase '' --quick-gen-key 'roomcall test' rsa2048 sign 1d 2>/dev/null
gpg --batch --armor --export-secret-keys >"$base/rpm.key"
gpg --batch --armor --export >"$base/rpm.pub"
SIGN_CERT=$base/cert.pem SIGN_KEY=$base/key.pem RPM_KEY_FILE=$base/rpm.key SUMS_KEY='roomcall test' PLATFORMS="linux/amd64 windows/amd64" packaging/scripts/package.sh "$base/signed" >/dev/null
(cd "$base" && unzip -q signed/*.zip -d unzipped)
for f in "$base"/signed/*.msi "$base"/unzipped/*/roomcall.exe; do
	check "signed: ${f##*/}" osslsigncode verify -CAfile "$base/cert.pem" -TSA-CAfile "$base/cert.pem" -in "$f"
done
mkdir "$base/rpmdb"
rpm --dbpath "$base/rpmdb" --import "$base/rpm.pub"
check "signed: rpm" bash -c "rpm --dbpath $base/rpmdb -K $base/signed/*.rpm | grep -q 'digests signatures OK'"
check "signed: SHA256SUMS" gpg --batch --verify "$base/signed/SHA256SUMS.asc" "$base/signed/SHA256SUMS"
gpgconf --kill all

# --- the packages contain nothing that does not belong there
mkdir "$base/all"
for f in "$a"/*.deb; do dpkg-deb -R "$f" "$base/all/$(basename "$f")"; done
msiextract -C "$base/all/msi" "$msi" >/dev/null
check "no path of this machine" not grep -r -a -l -F -e "$PWD" -e "$(go env GOPATH)" -e "$base" "$base/all"
check "no private key, no token" not grep -r -a -l -E -e '-----BEGIN [A-Z ]*PRIVATE KEY-----' -e 'AKIA[0-9A-Z]{16}' -e 'gh[pousr]_[A-Za-z0-9]{36}' "$base/all"
check "no password in the config" not grep -r -E '^[^#]*(password|secret)[a-z_]* *=' "$base"/all/*/etc "$base"/all/msi/*/roomcall/agent.example.toml
exit $failed
