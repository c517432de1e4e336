# Shared by the maintainer scripts; package.sh inserts it at their top. POSIX sh.
unit=roomcall.service
config=/etc/roomcall/agent.toml
state=/var/lib/roomcall

systemd_runs() { [ -d /run/systemd/system ]; }

make_user() {
	if command -v systemd-sysusers >/dev/null 2>&1 && [ -f /usr/lib/sysusers.d/roomcall.conf ]; then
		systemd-sysusers roomcall.conf
	elif ! getent passwd roomcall >/dev/null; then
		useradd --system --user-group --no-create-home --home-dir "$state" --shell /usr/sbin/nologin \
			--comment "Call quality of meeting rooms to MQTT" roomcall
	fi
}

# The service's user reads the config and owns the store; nobody else can read them.
give_files() {
	chown root:roomcall /etc/roomcall "$config"
	chmod 0750 /etc/roomcall
	chmod 0640 "$config"
	[ -d "$state" ] || install -d -m 0750 -o roomcall -g roomcall "$state"
}

# Checks whether the service could run with the config: as its user, with the
# credentials that the unit passes to it.
config_is_good() {
	creds=$(mktemp -d /run/roomcall-check.XXXXXX) || return 1
	if systemd_runs; then
		systemctl cat "$unit" 2>/dev/null | sed -n 's/^LoadCredential=//p' | while IFS=: read -r name file; do
			[ ! -f "$file" ] || install -m 0400 -o roomcall -g roomcall "$file" "$creds/$name"
		done
	fi
	chown roomcall:roomcall "$creds"
	good=yes
	CREDENTIALS_DIRECTORY=$creds runuser -u roomcall -- /usr/bin/roomcall --config "$config" check --offline >"$creds/said" 2>&1 || good=no
	[ "$good" = yes ] || sed 's/^/roomcall: /' "$creds/said" >&2
	rm -rf "$creds"
	[ "$good" = yes ]
}

say_what_to_do() {
	cat >&2 <<-END
	roomcall: not started, because the config is not complete. Next steps:
	roomcall:   edit $config
	roomcall:   roomcall check
	roomcall:   systemctl enable --now roomcall
	END
}

say_not_restarted() {
	echo "roomcall: the config has errors; the old version keeps running. Correct the config, then run: systemctl restart roomcall" >&2
}
