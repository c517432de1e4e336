# Shared by the maintainer scripts; package.sh inserts it at their top. POSIX sh.
unit=roomcall.service
config=/etc/roomcall/agent.toml # made by roomcall init
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
	chown root:roomcall /etc/roomcall
	chmod 0750 /etc/roomcall
	if [ -e "$config" ]; then
		chown root:roomcall "$config"
		chmod 0640 "$config"
	fi
	[ -d "$state" ] || install -d -m 0750 -o roomcall -g roomcall "$state"
}

has_config() { [ -e "$config" ] || ls /etc/roomcall/conf.d/*.toml >/dev/null 2>&1; }

# Checks whether the service could run with the config: as its user, with the
# credentials that the unit passes to it.
config_is_good() {
	has_config || return 1
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
	if has_config; then
		cat >&2 <<-END
		roomcall: not started, because the config has errors. Correct them, then:
		roomcall:   roomcall check
		roomcall:   systemctl enable --now roomcall
		END
		return
	fi
	cat >&2 <<-END
	roomcall: installed. It waits for a config. Next steps, as root:
	roomcall:   roomcall init                     asks for endpoint and broker, and tries them
	roomcall:   systemctl enable --now roomcall
	roomcall: Every setting is explained in /etc/roomcall/agent.example.toml.
	END
}

say_not_restarted() {
	echo "roomcall: the config has errors; the old version keeps running. Correct the config, then run: systemctl restart roomcall" >&2
}
