// Keeps the page up to date and draws the charts. All words come from the server: at
// an event the page is fetched again, and what changed is taken over.
"use strict";
(() => {
  const soonest = 1000, silence = 15000; // ms
  const $ = (id) => document.getElementById(id);
  const charts = $("charts");

  // take makes a node like another one without replacing what stays the same, so that
  // focus, reading position and what is unfolded stay.
  function take(node, next) {
    for (const { name, value } of next.attributes) if (node.getAttribute(name) !== value && !["hidden", "open", "aria-pressed"].includes(name)) node.setAttribute(name, value);
    if ("keep" in node.dataset) return;
    let at = node.firstChild;
    for (const want of [...next.childNodes]) {
      const known = want.id && $(want.id);
      if (known && known !== at && known.parentNode === node) node.insertBefore(at = known, at);
      if (at && at.nodeName === want.nodeName && (at.id || "") === (want.id || "")) {
        if (at.nodeType === Node.ELEMENT_NODE) take(at, want);
        else if (at.data !== want.data) at.data = want.data;
        at = at.nextSibling;
      } else node.insertBefore(document.importNode(want, true), at);
    }
    while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
  }

  let due = 0, busy = false;
  async function refresh() {
    due = 0;
    if (busy) return;
    busy = true;
    try {
      const answer = await fetch(location.href, { signal: AbortSignal.timeout(silence) });
      if (answer.status === 404) return location.replace("/");
      if (!answer.ok) throw new Error(answer.status);
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const same = next.documentElement.dataset.version === document.documentElement.dataset.version;
      if (!same || !charts !== !next.getElementById("charts")) return location.reload();
      document.title = next.title;
      take(document.querySelector("link[rel=icon]"), next.querySelector("link[rel=icon]"));
      const focus = document.activeElement;
      for (const part of ["header", "main"]) take(document.querySelector(part), next.querySelector(part));
      if (focus !== document.activeElement && focus.isConnected) focus.focus({ preventScroll: true }); // its row has moved
      await draw();
      $("lost").hidden = true;
    } catch { $("lost").hidden = false; } finally { busy = false; }
  }
  const changed = () => { due ||= setTimeout(refresh, soonest * Math.max(1, document.querySelectorAll(".row").length / 40)); };

  // The stream of events says when to look; while nobody looks it is closed.
  let stream, heard;
  function listen() {
    stream?.close();
    clearTimeout(heard);
    if (document.hidden) return;
    const here = () => {
      clearTimeout(heard);
      heard = setTimeout(() => { $("lost").hidden = false; listen(); }, silence);
      changed();
    };
    stream = new EventSource("/api/v1/events" + location.search);
    for (const kind of ["alive", "sample", "event", "call", "missed"]) stream.addEventListener(kind, here);
    stream.onerror = () => {
      if (stream.readyState !== EventSource.CLOSED) return void ($("lost").hidden = false);
      clearTimeout(heard); // the agent refused: too many listen, say. The page itself tells whether it is there
      heard = setTimeout(() => { changed(); listen(); }, 3000);
    };
  }

  // --- charts ---
  const media = { audio: [], video: [], aux: [6, 4] }; // with the dashes of their lines
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  let history, span = "hour", plots = [];

  // append puts newer points behind those that are there.
  function append(old, more) {
    const from = more.t.length ? more.t[0] : Infinity;
    const n = old.t.findIndex((t) => t >= from), keep = n < 0 ? old.t.length : n;
    const out = { step_s: more.step_s };
    for (const key of new Set([...Object.keys(old), ...Object.keys(more)])) {
      if (key !== "step_s") out[key] = (old[key] ?? Array(old.t.length).fill(null)).slice(0, keep).concat(more[key] ?? Array(more.t.length).fill(null));
    }
    return out;
  }

  async function load() {
    const last = history?.minutes.t.at(-1);
    const answer = await fetch(`/api/v1/history?device=${charts.dataset.device}` + (last ? `&since=${last}000` : ""), { signal: AbortSignal.timeout(silence) });
    if (!answer.ok) throw new Error(answer.status);
    const more = await answer.json();
    if (last && more.oldest_ms < history.oldest_ms) { // the agent has read its store meanwhile
      history = undefined;
      return load();
    }
    history = last ? { ...more, readings: append(history.readings, more.readings), minutes: append(history.minutes, more.minutes) } : more;
  }

  // shown is what the chosen time has: its points, with a hole where there were none.
  function shown() {
    const now = history.ts_ms / 1000, call = +charts.dataset.call;
    const from = span === "call" ? call : now - (span === "day" ? 86400 : 3600);
    const source = from < now - 3600 ? history.minutes : history.readings;
    const hole = Math.max(3 * source.step_s, 4 * charts.dataset.interval, 30);
    const rows = [];
    source.t.forEach((t, i) => {
      if (t < from) return;
      const last = rows.at(-1);
      if (last !== undefined && t - source.t[last] > hole) rows.push(-1);
      rows.push(i);
    });
    const t = rows.map((row, i) => row < 0 ? source.t[rows[i - 1]] + source.step_s : source.t[row]);
    return { from, now, t, worst: source === history.minutes, column: (key) => source[key] && rows.map((row) => row < 0 ? null : source[key][row]) };
  }

  // limitsOf are the lines of the profile for a measure of some media: their grade and
  // the media that they hold for.
  function limitsOf(key, names) {
    const limits = JSON.parse(charts.dataset.limits) ?? {}, lines = new Map();
    for (const name of names) for (const grade of ["fair", "poor"]) {
      const y = limits[`${name}_${key}_${grade}`];
      if (y !== undefined) lines.set(y, { grade, names: [...(lines.get(y)?.names ?? []), name] });
    }
    return lines;
  }

  function plot(figure, data) {
    const { key, direction } = figure.dataset, words = JSON.parse(charts.dataset.words);
    const names = Object.keys(media).filter((name) => data.column(`${name}_${direction}_${key}`)?.some((v) => v !== null));
    const lines = limitsOf(key, names);
    const highest = Math.max(1, ...[...lines.keys()].map((y) => y * 1.25));
    const axis = { stroke: colour("dim"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const options = {
      width: figure.clientWidth, height: 120, padding: [8, 20, 0, 0],
      cursor: { sync: { key: "time" }, drag: { x: false, y: false } },
      scales: { x: { range: () => [data.from, data.now] }, y: { range: (_, min, max) => [0, Math.max(highest, (max ?? 0) * 1.1)] } },
      axes: [{ ...axis, size: 24, space: 70, values: (_, list) => list.map(clock) }, { ...axis, size: 44, space: 26 }],
      series: [{ label: words.time, value: (_, t) => t === null ? "" : clock(t) },
        ...names.map((name) => ({ label: words[name], stroke: colour(name), width: 1.5, dash: media[name], points: { show: data.t.length < 2 }, value: (_, v) => v ?? "–" }))],
      hooks: { ready: [(u) => u.setLegend({ idx: data.t.length - 1 })], draw: [(u) => {
        const { ctx, bbox } = u;
        ctx.save();
        ctx.lineWidth = devicePixelRatio;
        ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
        ctx.font = `${10 * devicePixelRatio}px system-ui`;
        ctx.textAlign = "left";
        ctx.textBaseline = "alphabetic";
        for (const [y, line] of lines) {
          const at = u.valToPos(y, "y", true);
          ctx.strokeStyle = ctx.fillStyle = colour(line.grade);
          ctx.beginPath();
          ctx.moveTo(bbox.left, at);
          ctx.lineTo(bbox.left + bbox.width, at);
          ctx.stroke();
          if (line.names.length < names.length) ctx.fillText(line.names.map((name) => words[name]).join(", ") + " " + y, bbox.left + 4, at - 3);
        }
        ctx.restore();
      }] },
    };
    figure.hidden = names.length === 0;
    figure.dataset.lines = JSON.stringify([...lines.keys()]);
    figure.dataset.last = JSON.stringify(Object.fromEntries(names.map((name) => [name, data.column(`${name}_${direction}_${key}`).at(-1)])));
    if (names.length === 0) return null;
    return new uPlot(options, [data.t, ...names.map((name) => data.column(`${name}_${direction}_${key}`))], figure);
  }
  const clock = (t) => new Date((t + +charts.dataset.zone) * 1000).toISOString().slice(11, 16); // in the agent's zone, as all times here

  function paint() {
    if (span === "call" && +charts.dataset.call === 0) span = "hour";
    for (const button of charts.querySelectorAll("[data-span]")) {
      button.setAttribute("aria-pressed", button.dataset.span === span);
      button.hidden = button.dataset.span === "call" && +charts.dataset.call === 0;
    }
    plots.forEach((p) => p && p.destroy());
    charts.hidden = false;
    const data = shown(), figures = [...charts.querySelectorAll("figure")];
    figures.forEach((figure) => { figure.hidden = false; });
    plots = figures.map((figure) => plot(figure, data));
    $("nocall").hidden = plots.some(Boolean);
    $("worst").hidden = !data.worst || !plots.some(Boolean);
    charts.dataset.drawn = data.t.length;
  }

  async function draw() {
    if (!charts) return;
    await load();
    paint();
  }

  charts?.addEventListener("click", (event) => {
    const button = event.target.closest("[data-span]");
    if (button && history) { span = button.dataset.span; paint(); }
  });
  let resized;
  addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => history && paint(), 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => history && paint());
  document.addEventListener("visibilitychange", () => { listen(); if (!document.hidden) changed(); });
  draw().catch(() => {});
  listen();
})();
