# shellcheck shell=bash
# start_database [SETTING...] starts a private PostgreSQL on a socket below $WORK, with
# these settings. Sets $PGHOST, $PGUSER, $PGDATABASE, and its process id in $SPAWNED. If this runs as root, the server runs as the user postgres, because it
# refuses to run as root.

# shellcheck source=lib.sh
. "$REPO/packaging/scripts/interop/lib.sh"

start_database() {
	local bin dir=$WORK/database as=()
	bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
	mkdir -p "$dir"
	if [ "$(id -u)" = 0 ]; then
		chmod 711 "$WORK"
		chown postgres "$dir"
		as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
	fi
	export PGHOST=$dir PGUSER=roomcall PGDATABASE=roomcall
	"${as[@]}" "$bin/initdb" -D "$dir/data" -U roomcall -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/initdb.log"
	spawn "$dir/postgres.log" "${as[@]}" "$bin/postgres" -D "$dir/data" -c listen_addresses= \
		-c unix_socket_directories="$dir" -c fsync=off -c timezone=UTC "$@"
	await 30 psql -d postgres -c 'select 1' || {
		cat "$dir/postgres.log" >&2
		return 1
	}
	createdb roomcall
}
