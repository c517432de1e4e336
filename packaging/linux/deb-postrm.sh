# remove keeps config, secrets and the store with what waits in it; purge keeps
# only the journal.
case "$1" in
remove | purge)
	! systemd_runs || systemctl --system daemon-reload >/dev/null || true
	! command -v deb-systemd-helper >/dev/null || deb-systemd-helper purge "$unit" >/dev/null || true
	;;
esac
if [ "$1" = purge ]; then
	rm -rf "$state" /etc/roomcall
	! getent passwd roomcall >/dev/null || userdel roomcall >/dev/null 2>&1 || true
	! getent group roomcall >/dev/null || groupdel roomcall >/dev/null 2>&1 || true
fi
