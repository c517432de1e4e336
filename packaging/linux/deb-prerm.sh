# An upgrade does not stop the service; the new version's postinst restarts it.
if [ "$1" = remove ] && systemd_runs; then
	deb-systemd-invoke stop "$unit" >/dev/null || true
fi
