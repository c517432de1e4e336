#!/usr/bin/env bash
# Tests the discovery configs: they are retained, have the structure that Home
# Assistant requires, name topics that exist, and their templates return the values of
# the agent's real states, and nothing for what is absent.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/lib.sh"

"$here/discovery.sh" --once -h "$BROKER_HOST" -p "$BROKER_PORT" >"$WORK/made"
[ "$(wc -l <"$WORK/made")" = 3 ] || fail "homeassistant: made $(wc -l <"$WORK/made") configs, want one for each of 3 rooms"
sub -t 'homeassistant/#' --retained-only -C 3 -W 10 -F %p >"$WORK/configs"
sub -t 'roomcall/v1/+/+/state' -t 'roomcall/v1/+/availability' --retained-only -C 4 -W 10 -F '%t	%p' >"$WORK/retained"
# A state in a call, an idle one and one without an answer.
live | grep '"schema":"roomcall.sample/1.0"' >"$WORK/samples"
node "$here/check.mjs" "$WORK/configs" "$WORK/retained" "$WORK/samples" || fail "homeassistant: see above"
