# shellcheck shell=bash
# Starts a PostgreSQL of its own on a private socket, below $WORK. Leaves $PGHOST,
# $PGUSER, $PGDATABASE. As root the server runs as the user postgres, for it refuses
# to be root.

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
		-c unix_socket_directories="$dir" -c fsync=off -c timezone=UTC
	await 30 psql -d postgres -c 'select 1' || {
		cat "$dir/postgres.log" >&2
		return 1
	}
	createdb roomcall
}
