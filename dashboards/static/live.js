// The live badge, ages, and values that change in place. Nothing is ever re-sorted or inserted here:
// what is new waits behind an "N new" button.
"use strict";
(() => {
  const body = document.body, data = body.dataset;
  const staleAfterMs = Number(data.staleAfter) * 1000;
  const BEAT_LOST_MS = 3500, DEAD_MS = 5000, RETRY_MS = 1500;
  let offsetMs = Number(data.now) - Date.now();   // the server's clock less this one's
  let fedMs = Number(data.fed), seq = Number(data.seq), boot = data.boot;
  let lastBeat = Date.now(), source = null, retry = null, lost = false, reading = true;
  const newAlarms = new Set(), newNeeds = new Set();
  const badge = document.getElementById("live");
  const now = () => Date.now() + offsetMs;

  function span(ms) {
    const s = Math.max(0, Math.round(ms / 1000));
    if (s < 120) return s + "\u00a0" + data.sayS;
    if (s < 7200) return Math.round(s / 60) + "\u00a0" + data.sayMin;
    if (s < 172800) return Math.round(s / 3600) + "\u00a0" + data.sayH;
    return Math.round(s / 86400) + "\u00a0" + data.sayDays;
  }

  function setText(element, text) { if (element.textContent !== text) element.textContent = text; }

  function paintBadge() {
    const silent = Date.now() - lastBeat, old = now() - fedMs;
    let state = "live", text = data.sayLive;
    if (lost && (silent > DEAD_MS || !navigator.onLine)) { state = "offline"; text = data.sayOffline; }
    else if (silent > BEAT_LOST_MS) { state = "stale"; text = data.sayStale + " " + span(silent); }
    else if (!reading || old > staleAfterMs) { state = "stale"; text = data.sayStale + (fedMs ? " " + span(old) : ""); }
    if (badge.dataset.state !== state) badge.dataset.state = state;
    setText(badge, text);
  }

  function paintAges() {
    for (const element of document.querySelectorAll("[data-heard]")) {
      const heard = Number(element.dataset.heard), age = now() - heard, old = !heard || age > (Number(element.dataset.patience) || staleAfterMs);
      if (element.classList.contains("is-stale") !== old) element.classList.toggle("is-stale", old);
      for (const place of element.querySelectorAll("[data-age]")) {
        setText(place, heard ? data.sayAgo.replace("{age}", span(age)) : data.sayNever);
        place.classList.toggle("age-stale", old);
      }
    }
  }

  function paintMachine(id, one) {
    for (const element of document.querySelectorAll('[data-machine="' + CSS.escape(id) + '"]')) {
      if (element.dataset.level !== undefined && element.dataset.level !== one.level) element.dataset.level = one.level;
      if (element.dataset.heard !== undefined) { element.dataset.heard = one.heard; element.dataset.patience = one.patience || staleAfterMs; }
      for (const place of element.querySelectorAll("[data-live]")) {
        const text = one.words[place.dataset.live];
        if (text === undefined) continue;
        setText(place, text);
        if (place.dataset.live === "health") paintBar(element, text, one.level);
        if (place.dataset.live === "zone") place.parentElement.dataset.zone = text;
      }
    }
  }

  function paintBar(element, health, level) {
    const bar = element.querySelector("svg.bar");
    if (!bar) return;
    bar.dataset.level = level === "alarm" || level === "warning" ? level : "";
    bar.querySelector(".fill").setAttribute("width", String(Number(health) || 0));
  }

  function offer(id, n) {
    const bar = document.getElementById(id);
    if (!bar || !n) return;
    setText(bar.querySelector("button"), data.sayNew.replace("{n}", n));
    bar.hidden = false;
  }

  function onChange(event) {
    const change = JSON.parse(event.data);
    seq = change.seq; fedMs = change.fed;
    const needs = document.getElementById("needs");
    for (const [id, one] of Object.entries(change.machines)) {
      paintMachine(id, one);
      const calls = one.level === "alarm" || one.level === "warning" || one.calling > 0;
      if (needs && calls && !needs.querySelector('[data-machine="' + CSS.escape(id) + '"]')) newNeeds.add(id);
      document.dispatchEvent(new CustomEvent("machine-changed", { detail: id }));
    }
    for (const [key, text] of Object.entries(change.counts)) {
      for (const place of document.querySelectorAll('[data-live-count="' + key + '"]')) {
        setText(place, text);
        if (place.dataset.n !== undefined) { place.dataset.n = text; place.classList.toggle("is-alarm", text !== "0"); }
      }
    }
    const list = document.getElementById("alarm-list");
    for (const id of change.alarms) {
      const card = document.getElementById("alarm-" + id);
      // A card that a person is using is left alone until they are done with it.
      if (card && window.htmx && !card.contains(document.activeElement)) {
        window.htmx.ajax("GET", "/alarms/" + encodeURIComponent(id), { target: card, swap: "outerHTML" });
      } else if (!card && list) newAlarms.add(id);
    }
    offer("needs-new", newNeeds.size); offer("alarms-new", newAlarms.size);
    paintAges();
  }

  function onBeat(event) {
    const beat = JSON.parse(event.data);
    lastBeat = Date.now(); lost = false; reading = beat.reading;
    offsetMs = beat.now - Date.now(); fedMs = Math.max(fedMs, beat.fed);
    if (beat.boot !== boot) { boot = beat.boot; seq = 0; }
    paintBadge();
    document.dispatchEvent(new Event("link-up"));
  }

  function connect() {
    clearTimeout(retry); retry = null;
    if (source) source.close();
    const machine = data.machineFilter ? "&machine=" + encodeURIComponent(data.machineFilter) : "";
    source = new EventSource("/events?seq=" + seq + "&boot=" + boot + machine);
    source.addEventListener("change", onChange);
    source.addEventListener("beat", onBeat);
    source.onerror = () => { lost = true; source.close(); source = null; again(); };
  }

  function again() { if (!retry) retry = setTimeout(connect, RETRY_MS); }

  setInterval(() => {
    // A link that hangs without an error is replaced too.
    if (source && Date.now() - lastBeat > DEAD_MS) { lost = true; source.close(); source = null; again(); }
    paintBadge(); paintAges();
  }, 1000);
  addEventListener("online", connect);
  addEventListener("offline", () => { lost = true; paintBadge(); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  document.addEventListener("click", (event) => { if (event.target.closest("[data-reload]")) location.reload(); });
  paintAges(); paintBadge(); connect();
})();
