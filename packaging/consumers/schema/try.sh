#!/usr/bin/env bash
# Checks the output of `roomcall schema` with @asyncapi/parser and ajv from npm, against
# the payloads of the running agent ($RECORDS), of the example day ($DAY) and the golden
# ones.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/lib.sh"

mkdir -p "$WORK/schemas"
"$ROOMCALL" schema >"$WORK/schemas/asyncapi.json"
for kind in birth health sample stream event call minute view/zoom view/agora view/volc view/trtc; do
	"$ROOMCALL" schema "$kind" >"$WORK/schemas/${kind/\//_}.json"
done
{
	live
	tail -n 20000 "$DAY"
	cat "$REPO"/agent/report/testdata/*.jsonl
} >"$WORK/payloads"
node "$here/check.mjs" "$WORK/schemas" "$WORK/payloads" || fail "schema: see above"
