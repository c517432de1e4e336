#!/usr/bin/env bash
# Tests the dashboards with the database that postgres/try.sh has filled with the
# example day: their structure, and every query in them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$REPO/packaging/scripts/interop/lib.sh"

# A room with problems, and one of its calls for which there are samples and streams.
export PICK_room=floor-2/room-08
PICK_call=$(psql -X -A -t -c "select s.call_id from stream s join call c using (call_id) where s.client_id = 'floor-2' and c.cause is not null group by 1 order by count(*) desc limit 1")
export PICK_call
node "$here/check.mjs" 2026-03-02T00:00:00Z 2026-03-03T00:00:00Z "$here"/*.json || fail "grafana: see above"
