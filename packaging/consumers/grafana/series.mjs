// Checks a dashboard on a time series database: node series.mjs DASHBOARD URL FROM TO. It
// checks the structure and runs every query, with Grafana's variables and macros filled
// in, at URL (the HTTP interface of Prometheus, VictoriaMetrics or InfluxDB). FROM and TO
// are Unix seconds. A panel without any row is an error, because there is data for each.
// PICK_NAME chooses the value of a variable.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";

const [file, url, from, to] = process.argv.slice(2);
const board = JSON.parse(readFileSync(file, "utf8"));
const vars = new Map();

const fill = (q) => {
  const out = q
    .replaceAll("$timeFilter", `time >= ${from}s AND time <= ${to}s`)
    .replaceAll("$__interval", "15s")
    .replaceAll("$__range", `${to - from}s`)
    .replace(/\$(\w+)/g, (_, name) => {
      assert(vars.has(name), `unknown variable $${name} in ${q}`);
      return vars.get(name);
    });
  return out;
};

async function get(path, params) {
  const reply = await fetch(`${url}${path}?${new URLSearchParams(params)}`);
  const text = await reply.text();
  assert(reply.ok, `${path} ${JSON.stringify(params)}: ${reply.status} ${text}`);
  return JSON.parse(text);
}

async function prometheus(t) {
  const query = fill(t.expr);
  const reply = t.instant
    ? await get("/api/v1/query", { query, time: to })
    : await get("/api/v1/query_range", { query, start: from, end: to, step: "15s" });
  return reply.data.result.length;
}

async function influx(query) {
  const reply = await get("/query", { db: "roomcall", epoch: "ms", q: fill(query) });
  assert(!reply.results[0].error, `${query}: ${reply.results[0].error}`);
  return reply.results[0].series ?? [];
}

async function values(v) {
  if (v.datasource.type === "influxdb") return (await influx(v.query)).flatMap((s) => s.values.map((row) => row[1]));
  const [, metric, label] = /^label_values\((.*), (\w+)\)$/.exec(v.query);
  return (await get(`/api/v1/label/${label}/values`, { "match[]": fill(metric), start: from, end: to })).data;
}

for (const key of ["uid", "title", "schemaVersion", "panels", "time", "templating"]) assert(board[key], `no ${key}`);
assert(!("id" in board), "has an id, which is valid in one Grafana only");
for (const v of board.templating.list.filter((v) => v.type === "query")) {
  const list = await values(v);
  assert(list.length, `variable ${v.name} has no values`);
  const pick = process.env[`PICK_${v.name}`] ?? list[0];
  assert(list.includes(pick), `${v.name} has ${list}, not ${pick}`);
  vars.set(v.name, pick);
}
let queries = 0;
const ids = new Set(), taken = new Set();
for (const p of board.panels) {
  assert(!ids.has(p.id) && p.title && ["stat", "table", "timeseries", "state-timeline"].includes(p.type), p.title);
  ids.add(p.id);
  const g = p.gridPos;
  assert(g.x >= 0 && g.x + g.w <= 24, `${p.title}: wider than the page`);
  for (let x = g.x; x < g.x + g.w; x++) for (let y = g.y; y < g.y + g.h; y++) {
    assert(!taken.has(`${x},${y}`), `${p.title}: overlaps another panel`);
    taken.add(`${x},${y}`);
  }
  let rows = 0;
  for (const t of p.targets) {
    assert.equal(t.datasource.uid, "${datasource}", p.title);
    rows += t.expr ? await prometheus(t) : (await influx(t.query)).length;
    queries++;
  }
  assert(rows, `${p.title}: no rows`);
}
console.log(`${board.panels.length} panels, ${queries} queries`);
