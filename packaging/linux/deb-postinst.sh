# Enables and starts the service once, as soon as the config is good. Later it
# respects what the administrator enabled or disabled.
[ "$1" = configure ] || exit 0
make_user
[ -n "$2" ] && [ -d "$state" ] || give_files
! systemd_runs || systemctl --system daemon-reload >/dev/null || true
if systemd_runs && systemctl --quiet is-active "$unit"; then
	if config_is_good; then
		deb-systemd-invoke restart "$unit" >/dev/null || true
	else
		say_not_restarted
	fi
elif deb-systemd-helper --quiet was-enabled "$unit"; then
	if config_is_good; then
		deb-systemd-helper enable "$unit" >/dev/null || true
		! systemd_runs || deb-systemd-invoke start "$unit" >/dev/null || true
	else
		say_what_to_do
	fi
fi
