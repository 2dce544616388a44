// Charts: uPlot over the JSON interface; each has a keyboard cursor, a spoken value and a table of the same numbers.
"use strict";
(() => {
  const lang = document.documentElement.lang === "id" ? "id-ID" : "en-GB", timeZone = document.documentElement.dataset.zone;
  const INK = "#15191d", GRID = "#dfe2e5", LINE = "#2f4858", FILL = "rgba(47,72,88,.16)";
  const CURSORS = { "1x": "#15191d", bpfo: "#7a3e9d", bpfi: "#00677f", bsf: "#8a4b08", ftf: "#3d5a1e" };
  const ZONE_FILL = ["rgba(120,130,140,.05)", "rgba(120,130,140,.12)", "rgba(242,176,30,.25)", "rgba(179,24,29,.16)"];
  const made = new Map();
  let span = 1, axis = null;
  const shown = new Set();

  const fmt = (digits) => new Intl.NumberFormat(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const clock = new Intl.DateTimeFormat(lang, { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone });
  const tick = (values) => values.map((value) => value == null ? "" : new Intl.NumberFormat(lang, { maximumSignificantDigits: 5 }).format(value));

  function address(box) {
    const url = new URL(box.dataset.chart, location.origin);
    if (/trend|health|waterfall/.test(url.pathname)) url.searchParams.set("hours", /waterfall/.test(url.pathname) ? 24 : span);
    if (/spectrum|waveform|waterfall/.test(url.pathname)) {
      const first = document.querySelector("[data-axis]");
      url.searchParams.set("axis", axis || (first && first.dataset.axis) || "x");
    }
    return url;
  }

  function wait(box, text, retry) {
    const old = made.get(box); if (old && old.plot) old.plot.destroy();
    made.delete(box);
    const cover = document.createElement("div"); cover.className = "chart-wait";
    const words = document.createElement("div"); words.textContent = text; cover.append(words);
    if (retry) {
      const button = document.createElement("button"); button.type = "button"; button.className = "btn";
      button.textContent = box.dataset.sayRetry; button.onclick = () => load(box); words.append(document.createElement("br"), button);
    }
    box.replaceChildren(cover);
  }

  async function load(box) {
    if (!made.has(box)) wait(box, box.dataset.sayWait);
    let chart;
    try {
      const answer = await fetch(address(box), { headers: { Accept: "application/json" } });
      if (answer.status === 404) { wait(box, box.dataset.sayNone); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      chart = await answer.json();
    } catch { wait(box, box.dataset.sayFailed, true); return; }
    if (!box.isConnected) return;
    const empty = chart.kind === "waterfall" ? !chart.db.length : !chart.x.length;
    if (empty) { wait(box, box.dataset.sayNone); return; }
    draw(box, chart);
  }

  function draw(box, chart) {
    const old = made.get(box);
    if (old && old.plot && old.chart.kind === chart.kind) {
      old.chart = chart; old.plot.setData(columns(chart)); table(box, chart); return;
    }
    box.replaceChildren();
    if (chart.kind === "waterfall") { made.set(box, { chart }); heat(box, chart); }
    else made.set(box, { chart, plot: new uPlot(options(box, chart), columns(chart), box) });
    table(box, chart);
  }

  function columns(chart) {
    if (chart.kind === "waveform") return [chart.x, chart.low, chart.high];
    if (chart.kind === "spectrum") return [chart.x, chart.y];
    if (chart.kind === "energy") return chart.base.length ? [chart.x, chart.y, chart.base, chart.low, chart.high] : [chart.x, chart.y];
    return chart.low.length ? [chart.x, chart.y, chart.low, chart.high] : [chart.x, chart.y];
  }

  function options(box, chart) {
    const time = chart.kind === "trend" || chart.kind === "energy", number = fmt(chart.digits);
    const value = (_, v) => v == null ? "–" : number.format(v) + (chart.unit ? " " + chart.unit : "");
    const series = [{ label: chart.x_label, value: (_, v) => v == null ? "–" : time ? clock.format(v * 1000) : fmt(2).format(v) + (chart.kind === "waveform" ? " ms" : " Hz") }];
    const line = (label, extra) => ({ label, stroke: LINE, width: 1.5, value, spanGaps: false, points: { show: false }, ...extra });
    if (chart.kind === "waveform") series.push(line(box.dataset.sayLow, { width: 1 }), line(box.dataset.sayHigh, { width: 1 }));
    else series.push(line(chart.label, { points: { show: (plot) => plot.data[0].length === 1 || (chart.kind === "energy" && plot.data[0].length < 60), size: 6, fill: LINE } }));
    const ghost = { stroke: "transparent", width: 0 };
    if (chart.kind === "energy" && chart.base.length) series.push(line(box.dataset.sayBaseline, { stroke: INK, dash: [6, 4] }), line(box.dataset.sayLow, ghost), line(box.dataset.sayHigh, ghost));
    if (chart.kind === "trend" && chart.low.length) series.push(line(box.dataset.sayLow, ghost), line(box.dataset.sayHigh, ghost));
    const bands = chart.kind === "waveform" ? [{ series: [2, 1], fill: FILL }] : chart.kind === "trend" && chart.low.length ? [{ series: [3, 2], fill: FILL }] : chart.kind === "energy" && chart.base.length ? [{ series: [4, 3], fill: "rgba(90,100,110,.16)" }] : [];
    const wide = matchMedia("(min-width: 600px)").matches;
    return {
      width: Math.max(240, box.clientWidth - 14), height: box.classList.contains("short") ? 190 : 260, series, bands,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), timeZone), legend: { live: true }, cursor: { drag: { x: chart.kind !== "trend", y: false } },
      scales: { x: { time, range: (plot, low, high) => breadth(chart, plot.data[0], low, high) }, y: { range: (plot, low, high) => range(chart, low, high) } },
      axes: [
        { stroke: INK, grid: { stroke: GRID, width: 1 }, ticks: { stroke: GRID }, values: time ? times : (_, v) => tick(v), space: wide ? 70 : 60, size: time ? 34 : 46, label: time ? undefined : chart.x_label, labelSize: 16, labelFont: "12px system-ui", font: "12px system-ui" },
        { stroke: INK, grid: { stroke: GRID, width: 1 }, ticks: { stroke: GRID }, values: (_, v) => tick(v), size: 56, label: wide && chart.unit ? chart.label + ", " + chart.unit : undefined, labelSize: 20, labelFont: "12px system-ui", font: "12px system-ui" },
      ],
      hooks: { drawClear: [(plot) => under(box, plot)], draw: [(plot) => over(box, plot)], setCursor: [(plot) => speak(box, plot)] },
    };
  }

  function breadth(chart, x, low, high) {   // of a single point uPlot makes years
    const pad = chart.kind === "energy" ? 1800 : x.length === 1 ? 60 : 0;
    return [low - pad, (x.length === 1 ? low : high) + pad];
  }

  function range(chart, low, high) {
    if (low == null) return [0, 1];
    if (chart.kind === "waveform") { const top = Math.max(Math.abs(low), Math.abs(high), 1e-4) * 1.08; return [-top, top]; }
    if (chart.bands && chart.bands.length) return [0, Math.max(high * 1.1, chart.bands[1] * 1.05)];
    if (chart.kind === "spectrum") return [0, high * 1.12 || 1];
    if (chart.kind === "energy" && low >= 0) return [0, high * 1.15 || 1];
    const pad = Math.max((high - low) * .12, Math.abs(high) * .02, 1e-6);
    return [low >= 0 ? Math.max(0, low - pad) : low - pad, high + pad];
  }

  function times(plot, values) {
    const seconds = plot.scales.x.max - plot.scales.x.min;
    const shape = seconds > 172800 ? { day: "2-digit", month: "short" } : seconds > 600 ? { hour: "2-digit", minute: "2-digit" } : { hour: "2-digit", minute: "2-digit", second: "2-digit" };
    const format = new Intl.DateTimeFormat(lang, { ...shape, timeZone });
    return values.map((value) => format.format(value * 1000));
  }

  function under(box, plot) {
    const state = made.get(box), chart = state ? state.chart : null;
    if (!chart || !chart.bands || !chart.bands.length) return;
    const { ctx, bbox } = plot, edges = [0, ...chart.bands, plot.scales.y.max], pixel = devicePixelRatio;
    ctx.save(); ctx.font = 12 * pixel + "px system-ui"; ctx.textAlign = "right";
    for (let i = 0; i < 4; i++) {
      if (edges[i] >= plot.scales.y.max) break;
      const top = plot.valToPos(Math.min(edges[i + 1], plot.scales.y.max), "y", true), bottom = plot.valToPos(edges[i], "y", true);
      ctx.fillStyle = ZONE_FILL[i]; ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
      ctx.fillStyle = INK;
      if (bottom - top > 14 * pixel) ctx.fillText("ABCD"[i], bbox.left + bbox.width - 5 * pixel, Math.min(bottom - 4 * pixel, top + 14 * pixel));
    }
    ctx.restore();
  }

  function over(box, plot) {
    const state = made.get(box), chart = state ? state.chart : null;
    if (!chart) return;
    const { ctx, bbox } = plot, pixel = devicePixelRatio;
    ctx.save(); ctx.beginPath(); ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height); ctx.clip();
    for (const gap of chart.gaps || []) {
      const from = plot.valToPos(gap[0], "x", true), to = plot.valToPos(gap[1], "x", true);
      ctx.fillStyle = "rgba(20,25,30,.10)"; ctx.fillRect(from, bbox.top, Math.max(2, to - from), bbox.height);
    }
    const taken = []; ctx.textAlign = "left";
    for (const line of chart.lines || []) {
      if (!shown.has(line.code) || line.hz == null) continue;
      ctx.strokeStyle = CURSORS[line.code]; ctx.fillStyle = CURSORS[line.code]; ctx.lineWidth = 1.5 * pixel; ctx.font = "bold " + 12 * pixel + "px system-ui";
      for (let k = 1; k <= 6; k++) {
        const hz = line.hz * k; if (hz > plot.scales.x.max) break; if (hz < plot.scales.x.min) continue;
        const x = plot.valToPos(hz, "x", true);
        ctx.setLineDash(k === 1 ? [] : [4 * pixel, 4 * pixel]); ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
        const text = line.code === "1x" ? k + "×" : k > 1 ? k + " " + line.name : line.name, width = ctx.measureText(text).width + 6 * pixel;
        const row = [0, 1, 2].find((one) => !taken.some((other) => other[0] === one && x < other[2] && x + width > other[1]));
        if (row === undefined || (k > 1 && row > 1)) continue;   // crowded: the dashed line alone
        taken.push([row, x, x + width]); ctx.fillText(text, x + 3 * pixel, bbox.top + (13 + 14 * row) * pixel);
      }
    }
    ctx.restore();
  }

  function speak(box, plot) {
    const state = made.get(box); if (!state) return;
    const i = plot.cursor.idx, place = document.getElementById(box.id + "-say");
    if (i == null || document.activeElement !== box || !place) return;
    const first = plot.series[0].value(plot, plot.data[0][i]), second = plot.series[1].value(plot, plot.data[1][i]);
    const at = plot.data[0][i], gap = (state.chart.gaps || []).find((one) => one[0] <= at && at <= one[1]);
    place.textContent = first + ": " + second + (gap ? " · " + box.dataset.sayGap + ": " + gap[4] : "");
  }

  function move(box, step) {
    const state = made.get(box); if (!state || !state.plot) return;
    const plot = state.plot, n = plot.data[0].length;
    const at = step === "first" ? 0 : step === "last" ? n - 1 : Math.min(n - 1, Math.max(0, (plot.cursor.idx ?? n - 1) + step));
    const y = plot.data[1][at];
    plot.setCursor({ left: plot.valToPos(plot.data[0][at], "x"), top: y == null ? 0 : plot.valToPos(y, "y") });
  }

  function table(box, chart) {
    const details = document.querySelector('[data-table-of="' + box.id + '"]');
    if (!details) return;
    const fill = () => {
      if (!details.open) return;
      const current = made.get(box).chart, element = document.createElement("table"); element.className = "data";
      const head = element.createTHead().insertRow(), rows = element.createTBody();
      const titles = current.kind === "trend" || current.kind === "energy" ? ["", current.label] : current.kind === "waveform" ? ["ms", box.dataset.sayLow, box.dataset.sayHigh] : current.kind === "waterfall" ? ["", "Hz", "dB"] : ["Hz", current.label];
      for (const title of titles) { const cell = document.createElement("th"); cell.scope = "col"; cell.textContent = title + (title === current.label && current.unit ? ", " + current.unit : ""); head.append(cell); }
      for (const cells of lines(current)) { const row = rows.insertRow(); for (const cell of cells) row.insertCell().textContent = cell; }
      details.querySelector(".table-wrap").replaceChildren(element);
    };
    details.ontoggle = fill; fill();
  }

  function lines(chart) {
    const number = fmt(chart.digits ?? 2), say = (v) => v == null ? "–" : number.format(v), out = [];
    if (chart.kind === "waterfall") {
      chart.db.forEach((row, i) => { const k = row.indexOf(Math.max(...row)); out.push([chart.when[i], fmt(1).format((k + .5) * chart.max_hz / row.length), String(row[k])]); });
      return out;
    }
    if (chart.kind === "spectrum") {   // the loudest lines are what a person looks for
      const order = chart.y.map((v, i) => [v, i]).sort((a, b) => b[0] - a[0]).slice(0, 30);
      return order.map(([v, i]) => [fmt(2).format(chart.x[i]), say(v)]);
    }
    const step = Math.max(1, Math.ceil(chart.x.length / 120));
    for (let i = 0; i < chart.x.length; i += step) {
      if (chart.kind === "waveform") out.push([fmt(2).format(chart.x[i]), say(chart.low[i]), say(chart.high[i])]);
      else out.push([clock.format(chart.x[i] * 1000), say(chart.y[i])]);
    }
    return out;
  }

  function heat(box, chart) {
    const canvas = document.createElement("canvas"); canvas.className = "heat";
    canvas.width = chart.db[0].length; canvas.height = chart.db.length;
    const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
    chart.db.forEach((row, y) => row.forEach((db, x) => {
      const share = (db + 60) / 60, at = 4 * (y * canvas.width + x);   // light grey to near black: no false colour
      image.data[at] = 245 - 230 * share; image.data[at + 1] = 246 - 221 * share; image.data[at + 2] = 247 - 218 * share; image.data[at + 3] = 255;
    }));
    context.putImageData(image, 0, 0);
    const scale = document.createElement("div"); scale.className = "heat-scale"; scale.setAttribute("aria-hidden", "true");
    for (let i = 0; i <= 4; i++) { const mark = document.createElement("span"); mark.textContent = fmt(0).format(chart.max_hz * i / 4) + (i === 4 ? " Hz" : ""); scale.append(mark); }
    const note = document.createElement("p"); note.className = "chart-note";
    note.textContent = chart.when[0] + " – " + chart.when[chart.when.length - 1] + " · max " + fmt(4).format(chart.top_g) + " g";
    box.append(canvas, scale, note);
  }

  function scan() { for (const box of document.querySelectorAll("[data-chart]")) if (!made.has(box)) load(box); for (const box of [...made.keys()]) if (!box.isConnected) made.delete(box); }
  function press(button, group) { document.querySelectorAll(group).forEach((other) => other.setAttribute("aria-pressed", String(other === button))); }
  function reload() { document.querySelectorAll("[data-chart]").forEach((box) => { const old = made.get(box); if (old && old.plot) { old.plot.destroy(); made.delete(box); } load(box); }); }

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-span],[data-axis],[data-cursor]"); if (!target) return;
    if (target.dataset.span) { span = Number(target.dataset.span); press(target, "[data-span]"); reload(); }
    else if (target.dataset.axis) { axis = target.dataset.axis; press(target, "[data-axis]"); reload(); }
    else {
      const on = target.getAttribute("aria-pressed") !== "true"; target.setAttribute("aria-pressed", String(on));
      if (on) shown.add(target.dataset.cursor); else shown.delete(target.dataset.cursor);
      for (const state of made.values()) if (state.plot) state.plot.redraw();
    }
  });
  document.addEventListener("keydown", (event) => {
    const box = event.target; if (!box.dataset || !box.dataset.chart) return;
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: "first", End: "last" };
    if (event.key in steps) { event.preventDefault(); move(box, steps[event.key]); }
  });
  let last = 0, due = null;
  document.addEventListener("machine-changed", () => {
    if (due) return;
    due = setTimeout(() => {
      due = null; last = Date.now();
      if (document.hidden) return;
      document.querySelectorAll('[data-chart*="/trend"],[data-chart*="/health"]').forEach((box, i) => { if (i < 1 || span <= 8) load(box); });
    }, Math.max(0, 2000 * Math.max(1, span) - (Date.now() - last)));
  });
  let resize = null;
  addEventListener("resize", () => { clearTimeout(resize); resize = setTimeout(() => { for (const [box, state] of made) if (state.plot) state.plot.setSize({ width: Math.max(240, box.clientWidth - 14), height: state.plot.height }); }, 150); });
  document.addEventListener("htmx:after:swap", () => { shown.clear(); axis = null; scan(); });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", scan); else scan();
})();
