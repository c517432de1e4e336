#!/usr/bin/env bash
# Builds every package, on Linux: .deb and .rpm (amd64, arm64, armhf), the MSI,
# .tar.gz and .zip, a CycloneDX document for each platform, and the list of SHA-256
# sums.
#
#   packaging/scripts/package.sh [OUT]        OUT is dist by default
#
# Environment:
#   VERSION             default: the newest of packaging/changelog.yaml
#   SOURCE_DATE_EPOCH   default: the time of the last commit
#   PLATFORMS           default: linux/amd64 linux/arm64 linux/armhf windows/amd64
# Without these nothing is signed; keys are never read from the command line:
#   SIGN_CERT, SIGN_KEY             Authenticode: PEM files, for .exe and .msi
#   SIGN_PASS_FILE                  passphrase of the key, if it has one
#   SIGN_TIMESTAMP_URL              RFC 3161 timestamp service
#   RPM_KEY_FILE, NFPM_PASSPHRASE   OpenPGP secret key for the .rpm files
#   SUMS_KEY                        name of a gpg key that signs SHA256SUMS
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$(mkdir -p "${1:-$root/dist}" && cd "${1:-$root/dist}" && pwd)
cd "$root"

VERSION=${VERSION:-} VERSION=${VERSION#v}
[[ $VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+ ]] || VERSION=$(sed -n 's/^- semver: //p' packaging/changelog.yaml | head -n1)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date -d 2026-11-22 +%s)}
RPM_KEY_FILE=${RPM_KEY_FILE:-}
export VERSION SOURCE_DATE_EPOCH RPM_KEY_FILE
platforms=${PLATFORMS:-linux/amd64 linux/arm64 linux/armhf windows/amd64}

# shellcheck source=packaging/scripts/tools.sh
. packaging/scripts/tools.sh
tools gzip:gzip
[[ $platforms != *windows* ]] || tools wixl:wixl msibuild:msitools faketime:faketime osslsigncode:osslsigncode

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { echo "package: $*"; }

compile() { # GOOS GOARCH GOARM OUT
	CGO_ENABLED=0 GOOS=$1 GOARCH=$2 GOARM=$3 go build -trimpath -tags nethttpomithttp2 -buildvcs=false \
		-ldflags "-s -w -buildid= -X main.version=$VERSION" -o "$4" ./agent
}

# The parts common to every platform: man pages, completions, config, texts.
common() {
	local d=$work/common
	mkdir -p "$d/man" "$d/completions"
	go run -trimpath -buildvcs=false -tags docgen ./agent generate man "$d/man" >/dev/null
	go build -trimpath -buildvcs=false -o "$work/here" ./agent
	for shell in bash zsh fish powershell; do "$work/here" completion "$shell" >"$d/completions/$shell"; done
	cp agent.toml "$d/agent.example.toml"
	cp LICENSE "$d/LICENSE"
	go build -trimpath -buildvcs=false -o "$work/assemble" ./packaging/assemble
}

# The parts of one platform, in $work/NAME.
parts() { # GOOS GOARCH GOARM NAME PROGRAM
	local d=$work/$4
	mkdir -p "$d"
	compile "$1" "$2" "$3" "$d/$5"
	[ "$1" != windows ] || sign_windows "$d/$5"
	"$work/assemble" sbom "$d/$5" "$d/sbom.cdx.json"
	"$work/assemble" licences "$d/$5" "$d/THIRD-PARTY-LICENSES.txt"
	cp "$d/sbom.cdx.json" "$out/roomcall-$VERSION-$4.cdx.json"
}

sign_windows() { # FILE, in place
	[ -n "${SIGN_CERT:-}" ] || return 0
	local options=(-certs "$SIGN_CERT" -key "$SIGN_KEY" -h sha256 -n roomcall)
	[ -z "${SIGN_PASS_FILE:-}" ] || options+=(-readpass "$SIGN_PASS_FILE")
	[ -z "${SIGN_TIMESTAMP_URL:-}" ] || options+=(-ts "$SIGN_TIMESTAMP_URL")
	osslsigncode sign "${options[@]}" -in "$1" -out "$1.signed" >/dev/null
	mv "$1.signed" "$1"
}

linux() { # GOARCH GOARM NAME NFPM_ARCH
	local d=$work/linux-$3 c=$work/common
	parts linux "$1" "$2" "linux-$3" roomcall
	cp service/testdata/packaged.service "$d/roomcall.service"
	cp packaging/linux/roomcall.sysusers packaging/linux/{copyright,lintian-overrides} packaging/{nfpm,changelog}.yaml "$c/agent.example.toml" "$c/LICENSE" "$d"
	mkdir -p "$d/man" "$d/completions" "$d/scripts" "$d/docs"
	documents "$d/docs"
	for page in "$c"/man/*; do gzip -9n <"$page" >"$d/man/$(basename "$page").gz"; done
	cp "$c/completions/bash" "$d/completions/roomcall.bash"
	cp "$c/completions/fish" "$d/completions/roomcall.fish"
	cp "$c/completions/zsh" "$d/completions/_roomcall"
	for s in packaging/linux/{deb,rpm}-*.sh; do
		{ printf '#!/bin/sh\nset -e\n'; cat packaging/linux/common.sh "$s"; } >"$d/scripts/$(basename "$s" .sh)"
	done
	find "$d" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	for kind in deb rpm; do
		(cd "$d" && PKG_ARCH=$4 "$work/nfpm" package -f nfpm.yaml -p $kind -t "$out/" >/dev/null)
	done
	tarball "linux-$3" .tar.gz roomcall roomcall.service roomcall.sysusers
}

# documents DIR copies every page, so that the links between them lead somewhere.
documents() { cp -r docs/*.md docs/zh "$1"; }

# tarball NAME SUFFIX FILE...: the plain archive, for manual installs and other systems.
tarball() {
	local name=$1 suffix=$2 a=$work/archive/roomcall-$VERSION-$1
	shift 2
	mkdir -p "$a/docs"
	documents "$a/docs"
	for f in "$@" sbom.cdx.json THIRD-PARTY-LICENSES.txt; do cp "$work/$name/$f" "$a/"; done
	cp -r "$work/common/"{agent.example.toml,LICENSE,man,completions} packaging/changelog.yaml "$a/"
	"$work/assemble" archive "$a" "$out/roomcall-$VERSION-$name$suffix"
}

windows() {
	local d=$work/windows-amd64
	parts windows amd64 "" windows-amd64 roomcall.exe
	tarball windows-amd64 .zip roomcall.exe
	cp -r "$work/common/"{agent.example.toml,LICENSE,completions} packaging/windows/{roomcall.wxs,first-setup.cmd,status-page.url} "$d/"
	find "$d" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	# Both codes are derived from the contents: different contents are another product.
	local sum code msi=$out/roomcall-$VERSION-windows-amd64.msi
	sum=$(cat "$d/roomcall.exe" "$d/roomcall.wxs" "$d/agent.example.toml" "$d/first-setup.cmd" "$d/status-page.url" packaging/windows/finish.sql | sha256sum)
	code=$(guid "${sum:32:32}")
	rm -f "$msi"
	(cd "$d" && at_source_date wixl -a x64 -D Version="${VERSION%%[-+]*}" -D Product="$(guid "${sum:0:32}")" \
		-D Package="$code" -o "$msi" roomcall.wxs)
	while read -r query; do msibuild "$msi" -q "$query"; done <packaging/windows/finish.sql
	at_source_date msibuild "$msi" -s "roomcall $VERSION" roomcall "x64;1033" "{$code}"
	sign_windows "$msi"
}

# wixl and msibuild write the current time into the MSI.
at_source_date() { faketime -f "$(date -u -d "@$SOURCE_DATE_EPOCH" '+@%F %T')" "$@"; }

guid() { local u=${1^^}; echo "${u:0:8}-${u:8:4}-8${u:13:3}-8${u:17:3}-${u:20:12}"; }

common
for p in $platforms; do
	say "$p $VERSION"
	case $p in
	linux/*) [ -x "$work/nfpm" ] || packager "$work" ;;
	esac
	case $p in
	linux/amd64) linux amd64 "" amd64 amd64 ;;
	linux/arm64) linux arm64 "" arm64 arm64 ;;
	linux/armhf) linux arm 7 armhf arm7 ;;
	windows/amd64) windows ;;
	*) echo "package: unknown platform $p" >&2; exit 2 ;;
	esac
done
cd "$out"
sha256sum roomcall[-_]* >SHA256SUMS
[ -z "${SUMS_KEY:-}" ] || gpg --batch --yes --local-user "$SUMS_KEY" --armor --detach-sign SHA256SUMS
say "done: $out"
