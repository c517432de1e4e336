// Checks the dashboards: node check.mjs FROM TO DASHBOARD... It checks their structure
// and runs every query in them by psql, with Grafana's variables and macros filled in.
// FROM and TO are the time range, RFC 3339. A query that returns no row, or a time
// series without time and number, is an error, because the database has data for each.
import { readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import assert from "node:assert/strict";

const [from, to, ...files] = process.argv.slice(2);
const boards = files.map((f) => JSON.parse(readFileSync(f, "utf8")));
const uids = boards.map((b) => b.uid);
assert.equal(new Set(uids).size, boards.length, "uids are not unique");
const panelTypes = ["stat", "table", "timeseries", "piechart", "state-timeline"];
const seconds = { s: 1, m: 60, h: 3600 };

function expandMacros(sql) {
  const group = (col, every) => {
    const n = parseInt(every, 10) * seconds[every.at(-1)];
    return `floor(extract(epoch from ${col})/${n})*${n}`;
  };
  return sql
    .replace(/\$__timeFilter\(([^)]*)\)/g, (_, col) => `${col} BETWEEN '${from}' AND '${to}'`)
    .replace(/\$__timeGroupAlias\(([^,]*),\s*'([^']*)'\)/g, (_, col, every) => `${group(col, every)} AS "time"`);
}

const quote = (v) => `'${String(v).replaceAll("'", "''")}'`;

function expand(sql, vars) {
  const out = expandMacros(sql.replace(/\$\{(\w+):sqlstring\}/g, (all, name) => {
    assert(vars.has(name), `unknown variable ${all}`);
    return vars.get(name).map(quote).join(",");
  }));
  assert(!/\$(__|\{)/.test(out), `unknown macro or variable: ${/\$(__|\{)\w*/.exec(out)}`);
  return out;
}

let queries = 0, rows = 0;
function run(sql) {
  const text = execFileSync("psql", ["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", `select coalesce(json_agg(q), '[]') from (${sql}) as q`], { encoding: "utf8", maxBuffer: 1 << 28 });
  const list = JSON.parse(text);
  queries++;
  rows += list.length;
  return list;
}

// variables chooses a value of each list, as a person would: PICK_NAME selects it by a
// part of its text; without it, all values of a multiple choice, else the first.
function variables(board) {
  const vars = new Map();
  for (const v of board.templating.list) {
    if (v.type === "datasource") { assert.equal(v.query, "grafana-postgresql-datasource"); continue; }
    const list = run(expand(v.query, vars));
    assert(list.length, `${board.uid}: variable ${v.name} has no values`);
    const value = (row) => row.__value ?? Object.values(row)[0];
    const pick = process.env[`PICK_${v.name}`];
    const chosen = pick ? list.filter((row) => String(value(row)).includes(pick)) : list;
    assert(chosen.length, `${board.uid}: no ${v.name} like ${pick}`);
    vars.set(v.name, v.multi ? list.map(value) : [value(chosen[0])]);
  }
  return vars;
}

function checkRows(where, target, list) {
  assert(list.length, `${where}: no rows`);
  if (target.format !== "time_series") return;
  const keys = Object.keys(list[0]);
  assert(keys.includes("time"), `${where}: a time series without time`);
  const values = keys.filter((k) => k !== "time" && k !== "metric");
  assert(values.some((k) => list.some((row) => row[k] !== null)), `${where}: no value in any row`);
  for (let i = 1; i < list.length; i++) assert(list[i - 1].time <= list[i].time, `${where}: not ordered by time`);
}

function checkLinks(where, text) {
  for (const [, uid] of text.matchAll(/\/d\/([\w-]+)/g)) assert(uids.includes(uid), `${where}: link to the unknown ${uid}`);
}

function checkBoard(board) {
  for (const key of ["uid", "title", "schemaVersion", "panels", "time", "templating"]) assert(board[key], `${board.uid}: no ${key}`);
  assert(!("id" in board), `${board.uid}: has an id, which is valid in one Grafana only`);
  checkLinks(board.uid, JSON.stringify(board));
  const vars = variables(board), ids = new Set(), taken = new Set();
  for (const p of board.panels) {
    const where = `${board.uid}, ${p.title}`;
    assert(!ids.has(p.id) && panelTypes.includes(p.type) && p.title, where);
    ids.add(p.id);
    const g = p.gridPos;
    assert(g.x >= 0 && g.x + g.w <= 24, `${where}: wider than the page`);
    for (let x = g.x; x < g.x + g.w; x++) for (let y = g.y; y < g.y + g.h; y++) {
      assert(!taken.has(`${x},${y}`), `${where}: overlaps another panel`);
      taken.add(`${x},${y}`);
    }
    assert(p.targets.length, `${where}: no query`);
    for (const t of p.targets) {
      assert.equal(t.datasource.uid, "${datasource}", where);
      const list = run(expand(t.rawSql, vars));
      checkRows(where, t, list);
      const fields = Object.keys(list[0]);
      for (const o of p.fieldConfig.overrides) assert(fields.includes(o.matcher.options), `${where}: no field ${o.matcher.options}`);
      for (const [, field] of JSON.stringify(p.fieldConfig).matchAll(/__data\.fields\.(\w+)/g)) assert(fields.includes(field), `${where}: no field ${field}`);
    }
  }
}

for (const board of boards) checkBoard(board);
console.log(`ok grafana ${boards.length} dashboards, ${boards.reduce((n, b) => n + b.panels.length, 0)} panels, ${queries} queries run, ${rows} rows`);
