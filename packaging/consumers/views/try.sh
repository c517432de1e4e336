#!/usr/bin/env bash
# Runs the commands of the table of the five systems in docs/convert.md with the records
# of the running agent, and checks that the page contains every key that _meta names.
set -euo pipefail
. "$REPO/packaging/scripts/interop/lib.sh"

page=$REPO/docs/convert.md
mapfile -t commands < <(grep '^| \*\*' "$page" | grep -o '`roomcall [^`]*`' | tr -d '`')
((${#commands[@]} == 6)) || fail "views: the table has ${#commands[@]} commands, want 6"
# ended finds a finished call among what the agent has published.
ended() {
	live >"$WORK/day.jsonl"
	call=$(jq -r 'select(.schema == "roomcall.call/1.0" and .device == "boot") | .call_id' "$WORK/day.jsonl" | head -1)
	[ -n "$call" ]
}
await 70 ended || fail "views: the agent recorded no finished call of boot"
cd "$WORK"
names=0
for command in "${commands[@]}"; do
	command=${command//room-1/boot}
	# shellcheck disable=SC2086
	set -- ${command//CALL/$call}
	shift
	"$ROOMCALL" --config "$LIVE/agent.toml" "$@" >out.json 2>err || fail "views: $command: $(cat err)"
	jq -e . out.json >/dev/null || fail "views: $command does not print JSON"
	[ "$1" = convert ] || continue
	jq -e '._meta | .exact and .approximate and .absent and (.exact | length > 0)' out.json >/dev/null || fail "views: $command: no _meta"
	# Names with an underscore or a capital inside, and metric ids.
	while read -r name; do
		names=$((names + 1))
		grep -qF "$name" "$page" || fail "views: $command: docs/convert.md does not mention $name"
	done < <(jq -r '._meta | (.exact + .approximate + .absent)[]' out.json | sed 's/([^)]*)//g' | grep -oE '[a-zA-Z]+[_A-Z][A-Za-z_0-9]+|[0-9]{5}' | grep -vE '^(UTC|CPU|SDK)$' | sort -u)
done
for view in zoom agora trtc; do
	await 70 grep -q "/boot/view/$view	" "$RECORDS" || fail "views: the running agent publishes no view/$view"
done
ok views "${#commands[@]} commands of docs/convert.md, $names names of _meta in it; the agent's views arrive"
