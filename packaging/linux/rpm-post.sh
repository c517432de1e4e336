# $1 is the number of installed versions: 1 = first install, 2 = upgrade.
[ -d "$state" ] || give_files
systemd_runs || exit 0
systemctl --system daemon-reload >/dev/null || true
if systemctl --quiet is-active "$unit"; then
	if config_is_good; then
		systemctl restart "$unit" || true
	else
		say_not_restarted
	fi
elif [ "$1" = 1 ]; then
	if config_is_good; then
		systemctl enable --now "$unit" || true
	else
		say_what_to_do
	fi
fi
