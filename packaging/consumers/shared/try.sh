#!/usr/bin/env bash
# Tests a consumer group: two members share the samples of the fleet. Each record
# goes to one of them, and none is lost when a member disconnects and comes back with
# its session.
set -euo pipefail
. "$REPO/packaging/scripts/interop/lib.sh"
trap stop_all EXIT

# -i and -c: the session of a member stays when it goes away, and its share waits.
member() { # member NAME
	spawn "$WORK/$1" mosquitto_sub -h "$BROKER_HOST" -p "$BROKER_PORT" -i "group-$1" -c -q 1 -t '$share/group/roomcall/v1/+/+/sample' -F '%p'
}
has() { [ "$(cat "$WORK/$1" | wc -l)" -ge "$2" ]; }
member one
ONE=$SPAWNED
member two
await 60 has one 10 || fail "shared: the first member receives nothing"
await 60 has two 10 || fail "shared: the second member receives nothing"
stop "$ONE"
alone=$(wc -l <"$WORK/two")
await 60 has two $((alone + 10)) || fail "shared: the second member does not continue alone"
away=$(wc -l <"$WORK/one")
member one
await 60 has one $((away + 10)) || fail "shared: the first member does not receive its share after it came back"

# Every record of each device reached one of them; the newest three may still be on
# their way to the other member.
cat "$WORK/one" "$WORK/two" >"$WORK/group"
missing=$(jq -s '[group_by(.device)[] | map(.seq) | unique | (.[-1] - 3) as $last | map(select(. <= $last)) |
	.[-1] - .[0] + 1 - length] | add' "$WORK/group")
[ "$missing" = 0 ] || fail "shared: $missing records reached no member"
both=$(comm -12 <(jq -r .id "$WORK/one" | sort -u) <(jq -r .id "$WORK/two" | sort -u) | wc -l)
retained=$(timeout 2 mosquitto_sub -h "$BROKER_HOST" -p "$BROKER_PORT" -q 1 -t '$share/new/roomcall/v1/+/+/state' -F %r | grep -c 1 || true)
[ "$(sub -t 'roomcall/v1/+/+/state' -C 1 -W 10 -F %r)" = 1 ] || fail "shared: no retained state for a plain subscription"
ok shared "$(wc -l <"$WORK/one") and $(wc -l <"$WORK/two") samples to two members, $both to both, none lost; $retained retained states by \$share (the standard says 0), all by a plain subscription"
