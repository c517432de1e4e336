#!/usr/bin/env bash
# Runs the commands of "From the command line" in docs/consume.md as they are, with the
# broker of the running agent. What mosquitto_sub would follow for ever ends after 6 s;
# both are said in mosquitto_sub's own config file.
set -euo pipefail
. "$REPO/packaging/scripts/interop/lib.sh"

export XDG_CONFIG_HOME=$WORK/config
mkdir -p "$XDG_CONFIG_HOME" "$WORK/blocks"
printf -- '-h %s\n-p %s\n-W 6\n' "$BROKER_HOST" "$BROKER_PORT" >"$XDG_CONFIG_HOME/mosquitto_sub"
awk -v dir="$WORK/blocks" '
	/^## / { inside = $0 == "## From the command line" }
	/^```/ { if (open) open = 0; else if (inside && $0 == "```sh") { open = 1; n++ } ; next }
	open { print > sprintf("%s/%02d", dir, n) }' "$REPO/docs/consume.md"
count=$(find "$WORK/blocks" -type f | wc -l)
((count == 5)) || fail "lines: $count blocks in docs/consume.md, want 5"
cd "$WORK"
for block in blocks/*; do
	bash "$block" >"out-${block#*/}" 2>err || true
	! grep -v '^Timed out$' err || fail "lines: $(cat "$block"): $(cat err)"
	[ "${block#*/}" != 03 ] || live | grep -E '"schema":"roomcall\.(sample|stream|event|call|minute)/' >>day.jsonl
done
[ "$(jq -R 'try (fromjson | .id | length) catch 0' day.jsonl | grep -c '^0$' || true)" = 0 ] || fail "lines: day.jsonl has lines that are not records"
[ "$(jq -R 'try (fromjson | .topic | length) catch 0' all.jsonl | grep -c '^0$' || true)" = 0 ] || fail "lines: all.jsonl has lines without a topic"
[ "$(wc -l <out-02)" = 3 ] || fail "lines: the rooms are $(cat out-02)"
[ "$(jq -r .id once.jsonl | sort | uniq -d | wc -l)" = 0 ] || fail "lines: once.jsonl has duplicates"
[ ! -s out-05 ] || fail "lines: missing numbers: $(cat out-05)"
csv() { # csv FILE COLUMNS KIND
	[ "$(wc -l <"$1")" = "$(grep -c "\"schema\":\"roomcall.$3/" once.jsonl)" ] || fail "lines: $1 has $(wc -l <"$1") rows"
	node -e 'const [, f, n] = process.argv; for (const row of require("fs").readFileSync(f, "utf8").trim().split("\n")) if ((row.replace(/"([^"]|"")*"/g, "").match(/,/g) ?? []).length != n - 1) throw row' "$1" "$2" || fail "lines: $1"
}
csv samples.csv 8 sample
csv calls.csv 6 call
[ "$(jq -s -c 'map(select(.seq != 2))[]' once.jsonl >holes.jsonl && sed 's/day\.jsonl/holes.jsonl/' blocks/05 | tail -n 4 | bash | wc -l)" -ge 3 ] || fail "lines: a hole is not found"
ok lines "$count blocks of docs/consume.md: $(wc -l <day.jsonl) lines, $(wc -l <once.jsonl) records, $(wc -l <samples.csv) samples and $(wc -l <calls.csv) calls as CSV"
