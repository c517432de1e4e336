# Sourced by the packages' scripts. `tools COMMAND:PACKAGE...` requires each command;
# as root it installs what is missing with apt, otherwise it prints what to install.
PATH=$PATH:/usr/sbin
tools() {
	local pair missing=()
	for pair in "$@"; do
		command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair#*:}")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
		echo "missing: ${missing[*]}. Install with: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
		return 1
	fi
	echo "installing: ${missing[*]}"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# packager FOLDER installs nfpm there, which builds .deb and .rpm; the build cache
# keeps it. Later versions do not build.
packager() { (cd "$1" && GOBIN="$1" go install github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0); }
