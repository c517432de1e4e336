# shellcheck shell=bash
# Starts the main broker, three simulated rooms and an agent, and records everything
# that is published. Sets $BROKER_*, $HTTP (the agent's address), $LIVE (the folder of
# its agent.toml) and $RECORDS (a file with topic, tab, payload on each line).

# shellcheck source=lib.sh
. "$REPO/packaging/scripts/interop/lib.sh"

start_live() {
	start_broker main "allow_anonymous true" "persistence false" "max_queued_messages 0" "max_inflight_messages 200"
	RECORDS=$WORK/records.tsv
	HTTP=127.0.0.1:$(free_port)
	spawn "$RECORDS" mosquitto_sub -h "$BROKER_HOST" -p "$BROKER_PORT" -q 1 -t 'roomcall/v1/interop/#' -F '%t	%p'
	{
		cat <<-END
			[agent]
			client_id = "interop"
			site = "Zürich \"HQ\""
			data_dir = "data"
			http_listen = "$HTTP"

			[mqtt]
			broker = "$BROKER_URL"

			[publish]
			views = ["zoom", "agora", "volc", "trtc"]

		END
		endpoint hub "会议室 1" meeting-day
		endpoint far "Far side" far-end-bad
		endpoint boot "Basement" reboot
	} >"$WORK/agent.toml"
	spawn "$WORK/agent.log" "$ROOMCALL" --config "$WORK/agent.toml" run
	await 20 curl -fsS "http://$HTTP/readyz" || {
		cat "$WORK/agent.log" >&2
		return 1
	}
	export RECORDS HTTP LIVE=$WORK
}
