! systemd_runs || systemctl --system daemon-reload >/dev/null || true
