# 0 = the last version is being removed. Config, secrets and store stay: rpm has no purge.
if [ "$1" = 0 ] && systemd_runs; then
	systemctl --quiet disable --now "$unit" || true
fi
