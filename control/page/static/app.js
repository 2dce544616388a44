// The approver's page. It shows only what the edge signed and what will be signed; control is not trusted with either.

import { APPROVAL, LOGIN, Lie, canonical, challenge, hex, isPresence, readProposal, sha256, bytesOf } from "./protocol.js";
import { h, holdButton, trend } from "./parts.js";
import { NoKey, WAIT_S, enrol, withDemoKey, withPasskey, withdraw } from "./sign.js";

const POLL_MS = 2000;
const STALE_MS = 6000;
const main = document.getElementById("main");
const badge = document.getElementById("badge");
const nav = document.getElementById("nav");
const [site, words] = await Promise.all(["site.json", "words.json"].map(async (name) => (await fetch(name)).json()));

let language = remembered() || (navigator.language.startsWith("id") ? "id" : "en");
let me = null;
let lastOk = 0;
let offline = false;
let clockOffset = 0;
let refresh = async () => {};
let turn = 0; // which screen was asked for last: an answer for an older one paints nothing

function remembered() {
  try { return localStorage.getItem("language"); } catch { return null; }
}

const t = (key, values = {}) =>
  (words[key] ? words[key][language] : key).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
const say = (key, fallback) => (words[key] ? t(key) : fallback);
const locale = () => (language === "id" ? "id-ID" : "en-GB");
const when = (seconds) => new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "medium" }).format(seconds * 1000);
const number = (value) => new Intl.NumberFormat(locale(), { maximumSignificantDigits: 4 }).format(value);
const percent = (share) => new Intl.NumberFormat(locale(), { style: "percent" }).format(share);
const now = () => Date.now() / 1000 + clockOffset;
const left = (expires) => {
  const seconds = Math.max(0, Math.round(expires - now()));
  return t("list.left", { m: Math.floor(seconds / 60), s: seconds % 60 });
};

class Refusal extends Error {
  constructor(code, detail) { super(code); this.code = code; this.detail = detail; }
}

async function api(path, method = "GET", body = null) {
  const headers = { "accept-language": language };
  if (body) headers["content-type"] = "application/json";
  if (me) headers["x-csrf-token"] = me.csrf;
  const asked = turn;
  let answer, text;
  try {
    answer = await fetch(site.control + "/api/v1" + path, {
      method, headers, credentials: "include", body: body && JSON.stringify(body), cache: "no-store",
    });
    text = await answer.text(); // a link can break in the middle of an answer, too
  } catch {
    offline = true;
    showBadge();
    throw new Refusal("offline");
  }
  lastOk = Date.now();
  offline = false;
  showBadge();
  if (method === "GET" && asked !== turn) throw new Refusal("past");
  const found = JSON.parse(text);
  if (!answer.ok) {
    if (answer.status === 401 && me) { me = null; go(); }
    throw new Refusal(found.code, found.detail);
  }
  if (found.now) clockOffset = found.now - Date.now() / 1000;
  return found;
}

async function whoIsHere() {
  const found = await api("/session");
  return found.person ? found : null;
}

async function stillHere() {
  if (await whoIsHere()) return;
  me = null;
  await go();
}

const isStale = () => offline || Date.now() - lastOk > STALE_MS;

function showBadge() {
  const age = Math.round((Date.now() - lastOk) / 1000);
  const text = offline ? t("app.offline") : isStale() ? t("app.stale", { n: age }) : t("app.live");
  if (badge.textContent !== text) badge.textContent = text;
  badge.dataset.mood = isStale() ? "bad" : "good";
  for (const one of document.querySelectorAll("[data-left]")) one.textContent = left(Number(one.dataset.left));
}

const errorText = (error) => {
  if (error instanceof Refusal) return error.code === "offline" ? t("error.offline") : say("code." + error.code, error.code);
  if (error instanceof NoKey) return t("ask." + error.message, { n: WAIT_S });
  return t("error.key", { what: error.name || String(error) });
};

function problem(error, again) {
  return h("section", { class: "card", role: "alert" }, h("h2", {}, t("error.title")), h("p", {}, errorText(error)),
    again ? h("button", { type: "button", onclick: again }, t("app.retry")) : null);
}

// What is asked of a key belongs to what is on the screen, and goes with it.
function show(...children) {
  withdraw();
  main.replaceChildren(...children.flat().filter((one) => one !== null));
}

// A question that a newer one replaced has nothing more to say: the screen is the newer one's.
function tell(out, error) {
  if (!(error instanceof NoKey) || error.message !== "replaced") out.replaceChildren(problem(error));
}

// While a person's key is asked the page says so, for how long, and lets them change their mind.
async function waiting(out, question) {
  const until = now() + WAIT_S;
  const card = h("section", { class: "card", id: "waiting" }, h("p", { role: "status" }, t("review.sign")),
    h("p", { class: "soft" }, t("ask.how"), " ", h("span", { "data-left": until, "aria-hidden": "true" }, left(until))),
    h("p", {}, h("button", { type: "button", onclick: () => withdraw("cancelled") }, t("ask.stop"))));
  out.replaceChildren(card);
  card.scrollIntoView({ block: "nearest" });
  const given = await question();
  out.replaceChildren(h("p", { role: "status" }, t("ask.sending")));
  return given;
}

async function sign(digest, credentials, out) {
  const demo = site.demo_keys.find((one) => credentials.some((key) => key.id === one.credential));
  return demo ? withDemoKey(digest, site.rp_id, demo) : waiting(out, () => withPasskey(digest, site.rp_id, credentials));
}

// Log in.

async function login(siteId, demo, out) {
  const { nonce } = await api("/login/nonce", "POST");
  // The digest is made here: control can never pass off a stop as a login.
  const digest = await challenge(LOGIN, canonical({ nonce, site: siteId }));
  const assertion = demo ? await withDemoKey(digest, site.rp_id, demo) : await sign(digest, [], out);
  me = await api("/login", "POST", { site: siteId, nonce, assertion });
  go();
}

function loginView() {
  const choice = h("select", { id: "site" }, site.sites.map((one) => h("option", { value: one.id }, one.name)));
  const out = h("div");
  const attempt = async (siteId, demo) => {
    withdraw();
    try { await login(siteId, demo, out); } catch (error) { tell(out, error); }
  };
  show(h("h1", {}, t("login.title")), h("section", { class: "card" }, h("p", {}, t("login.text")),
    site.sites.length > 1 ? h("label", { for: "site" }, t("login.site")) : null,
    site.sites.length > 1 ? choice : null,
    h("p", {}, h("button", { type: "button", onclick: () => attempt(choice.value, null) }, t("login.passkey"))),
    site.demo_keys.map((key) => h("p", {}, h("button", { type: "button", "data-demo": key.person, onclick: () => attempt(key.site, key) },
      t("login.demo", { name: key.name }))))),
  h("p", {}, h("a", { href: "#/enrol", class: "button" }, t("app.enrol"))), out);
  refresh = async () => { await api("/about"); };
}

// The list.

function facts(one) {
  return [h("p", { class: "big" }, one.label),
    h("p", { class: "soft" }, [one.line, t("level." + one.criticality), `${t("list.risk")} ${percent(one.risk)}`].filter(Boolean).join(" · ")),
    h("p", {}, one.reason)];
}

function openCard(one) {
  return h("li", { class: "card", "data-id": one.id }, facts(one),
    h("p", {}, h("span", { "data-state": true }, t("state." + one.state)), " · ",
      t("list.approvals", { k: one.approvals.length, n: one.approvals_needed }), " · ",
      h("span", { "data-left": one.expires }, left(one.expires)),
      one.asked > 1 ? " · " + t("list.asked", { n: one.asked }) : ""),
    h("a", { class: "button", href: "#/p/" + one.id }, t("list.open")));
}

async function listView() {
  let found = await api("/proposals");
  const list = h("ul", { class: "plain" });
  const fresh = h("button", { type: "button", hidden: true });
  const waiting = h("div");
  const paint = () => {
    fresh.hidden = true;
    list.replaceChildren(...found.proposals.map(openCard));
    if (!found.proposals.length) list.append(h("li", { class: "card" }, h("p", {}, t("list.empty")), h("p", { class: "soft" }, t("list.empty.next"))));
    waiting.replaceChildren(...Object.entries(found.waiting_by_line).map(([line, n]) => h("p", { class: "soft" }, t("list.waiting", { n, line }))));
  };
  fresh.addEventListener("click", paint);
  paint();
  show(h("h1", {}, t("list.title")), fresh, list, waiting);
  refresh = async () => {
    found = await api("/proposals");
    const shown = new Set([...list.querySelectorAll("[data-id]")].map((one) => one.dataset.id));
    const added = found.proposals.filter((one) => !shown.has(one.id)).length;
    if (!shown.size) return paint();
    // New items wait behind a button: nothing moves under a finger.
    fresh.hidden = !added;
    fresh.textContent = t("list.new", { n: added });
    for (const card of list.querySelectorAll("[data-id]")) {
      const one = found.proposals.find((each) => each.id === card.dataset.id);
      card.querySelector("[data-state]").textContent = one ? t("state." + one.state) : t("code.not_open");
    }
  };
}

// One proposal.

// Analytics says why in every language of the page; a person reads their own.
function ownFacts(facts) {
  const other = new RegExp("^(" + Object.entries(words["review.why"]).filter(([code]) => code !== language).map(([, word]) => word).join("|") + ") \\d+$");
  return facts.filter((one) => !other.test(one.name));
}

async function evidence(answer, proposal) {
  const given = answer.evidence;
  if (!given) return h("p", { class: "soft" }, t("review.noevidence"));
  return [h("dl", {}, ownFacts(given.facts).flatMap((one) => [h("dt", {}, one.name), h("dd", {}, one.value)])),
    given.trend.length ? trend(given.trend, t("review.trend")) : null,
    given.trend.length ? h("p", { class: "soft" }, `${t("review.trend")}: ${number(given.trend[0])} → ${number(given.trend.at(-1))} ${given.trend_unit}`) : null,
    h("p", { class: "soft" }, "SHA-256 " + proposal.evidence_sha256.slice(0, 16) + "…")];
}

function rejectForm(id, out) {
  const reason = h("textarea", { id: "reason", rows: "2", maxlength: "280" });
  const send = async (event) => {
    event.preventDefault();
    withdraw();
    if (reason.value.trim().length < 3) { out.replaceChildren(h("p", { class: "bad", role: "alert" }, t("review.reject.short"))); return; }
    try { await api(`/proposals/${id}/rejection`, "POST", { reason: reason.value.trim() }); go(); } catch (error) { out.replaceChildren(problem(error)); }
  };
  return h("form", { class: "far", onsubmit: send }, h("label", { for: "reason" }, t("review.reject.reason")), reason,
    h("p", {}, h("button", { type: "submit", id: "reject" }, t("review.reject"))));
}

function story(answer) {
  const line = (one) => h("li", {}, `${when(one.at)} — ${say("event." + one.event, one.event)}${one.who ? " · " + one.who : ""}${one.detail ? " · " + say("code." + one.detail, one.detail) : ""}`);
  return [h("h2", {}, t("review.events")), h("ul", { class: "plain" }, answer.events.map(line))];
}

function outcome(answer) {
  const mood = { confirmed: "good", failed: "bad", unknown: "bad" }[answer.state] || "";
  return h("section", { class: "card" }, h("p", { class: "big", id: "label" }, answer.label),
    h("p", { class: "big " + mood, id: "state", role: "status", "data-state": answer.state }, t("state." + answer.state)),
    answer.code ? h("p", {}, say("code." + answer.code, answer.code)) : null);
}

function approvers({ approvals }, { approvals_needed: n }) {
  return `${approvals.join(", ") || t("review.nobody")} (${t("list.approvals", { k: approvals.length, n })})`;
}

function terms(answer, proposal, ticket) {
  const pair = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  return h("section", { class: "card" },
    h("p", { class: "big", id: "label" }, ticket.label),
    h("dl", {},
      pair(t("review.machine"), proposal.machine), pair(t("review.action"), t("review.action." + proposal.action)),
      pair(t("review.reason"), [proposal.reason, h("br", {}), h("small", { class: "soft" }, t("review.reason.signed"))]), answer.line ? pair(t("review.line"), answer.line) : [],
      pair(t("review.state"), t("observed." + ticket.state)), pair(t("review.risk"), percent(answer.risk)),
      pair(t("review.requester"), t("review.model", { model: answer.model })),
      pair(t("review.approvals"), h("span", { id: "by" }, approvers(answer, proposal))),
      pair(t("review.left"), h("strong", { "data-left": proposal.expires }, left(proposal.expires)))),
    h("p", { class: "good", id: "checked" }, t("review.checked")));
}

function consequences(answer, ticket) {
  return h("section", { class: "card" }, h("h2", {}, t("review.yes")),
    h("p", {}, t("review.yes.text", { label: ticket.label, hold: answer.hold_off_s })),
    h("h2", {}, t("review.no")), h("p", {}, t("review.no.text", { label: ticket.label })));
}

function presenceField(answer) {
  if (!answer.presence) return { parts: [], value: () => "" };
  const input = h("input", { id: "presence", inputmode: "numeric", autocomplete: "off", maxlength: "6", "aria-describedby": "presence-why" });
  const parts = [h("label", { for: "presence" }, t("review.presence")), input, h("p", { id: "presence-why", class: "soft" }, t("review.presence.why"))];
  if (site.demo_panel) {
    parts.push(h("p", {}, h("button", { type: "button", id: "panel", onclick: async () => {
      const shown = await (await fetch("demo/panel/" + answer.machine, { cache: "no-store" })).json();
      input.value = shown.presence || "";
    } }, t("panel.title"))));
  }
  return { parts, value: () => input.value.trim() };
}

async function approve(answer, proposal, presence, out) {
  withdraw();
  if (isStale()) { out.replaceChildren(h("p", { class: "bad", role: "alert" }, t("review.stale"))); return; }
  const code = presence.value();
  if (answer.presence && !isPresence(code)) { out.replaceChildren(h("p", { class: "bad", role: "alert" }, t("review.presence.bad"))); return; }
  try {
    const digest = await challenge(APPROVAL, canonical({ ...proposal, presence: code }));
    const assertion = await sign(digest, me.credentials, out);
    await api(`/proposals/${answer.id}/approvals`, "POST", { presence: code, assertion });
    go();
  } catch (error) { tell(out, error); }
}

async function proposalView(id) {
  const asked = turn;
  const answer = await api("/proposals/" + id);
  const back = h("p", {}, h("a", { class: "button", href: "#/" }, t("app.back")));
  if (answer.state !== "awaiting") {
    show(back, h("h1", {}, answer.label), outcome(answer), story(answer));
    let shown = answer.state;
    refresh = async () => {
      const found = await api("/proposals/" + id);
      if (found.state !== shown) { shown = found.state; await proposalView(id); }
    };
    return;
  }
  const { proposal, ticket } = await readProposal(answer, me.site, site.edges);
  const out = h("div");
  const presence = presenceField(answer);
  const mine = answer.approvals.includes(me.person);
  const button = holdButton(t("review.approve"), t("review.holding"), () => approve(answer, proposal, presence, out));
  const more = proposal.approvals_needed - answer.approvals.length;
  const bytes = canonical(proposal);
  const digest = hex(await sha256(bytesOf(bytes)));
  const reasons = await evidence(answer, proposal);
  if (asked !== turn) return;
  show(back, h("h1", {}, t("review.title")), terms(answer, proposal, ticket),
    h("section", { class: "card" }, h("h2", {}, t("review.evidence")), reasons),
    consequences(answer, ticket),
    h("details", { class: "card" }, h("summary", {}, t("review.bytes")), h("pre", {}, bytes),
      h("p", { class: "soft" }, "SHA-256 " + digest)),
    mine ? h("p", { class: "card", id: "mine" }, t("review.mine", { n: more })) : null,
    !me.may_approve ? h("p", { class: "card" }, t("review.viewer")) : null,
    me.may_approve && !mine ? h("section", { class: "card" }, presence.parts, button) : null,
    out, me.may_approve ? rejectForm(id, out) : null, story(answer));
  const given = answer.approvals.length;
  refresh = async () => {
    const found = await api("/proposals/" + id);
    if (found.state !== "awaiting" || (found.approvals.length !== given && mine)) await proposalView(id);
    else document.getElementById("by")?.replaceChildren(approvers(found, proposal));
  };
}

// What was.

async function historyView() {
  let shown = "";
  const key = (proposals) => JSON.stringify(proposals.map((one) => [one.id, one.state, one.code]));
  const paint = (proposals) => {
    shown = key(proposals);
    show(h("h1", {}, t("history.title")), proposals.length ? h("ul", { class: "plain" }, proposals.map((one) => h("li", { class: "card" }, facts(one),
      h("p", {}, `${t("state." + one.state)}${one.code ? " — " + say("code." + one.code, one.code) : ""}`), h("p", { class: "soft" }, when(one.closed || one.created)),
      h("a", { class: "button", href: "#/p/" + one.id }, t("list.open"))))) : h("p", { class: "card" }, t("history.empty")));
  };
  paint((await api("/proposals?state=closed")).proposals);
  refresh = async () => {
    await stillHere();
    if (!me) return;
    const { proposals } = await api("/proposals?state=closed");
    if (key(proposals) !== shown) paint(proposals);
  };
}

function table(heads, rows) {
  return h("table", { class: "rows" }, h("thead", {}, h("tr", {}, heads.map((one) => h("th", { scope: "col" }, t(one))))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((one) => h("td", {}, String(one)))))));
}

async function receiptsView() {
  const { receipts } = await api("/receipts");
  const heads = ["receipts.time", "receipts.edge", "receipts.machine", "receipts.result", "receipts.code"];
  show(h("h1", {}, t("receipts.title")), receipts.length ? h("div", { class: "card" }, table(heads, receipts.map((one) =>
    [when(one.wall), one.edge, one.machine || "–", t("result." + one.result), one.code ? say("code." + one.code, one.code) : "–"])))
    : h("p", { class: "card" }, t("receipts.empty")));
  refresh = stillHere;
}

// A value is a word where the page has one (a state, a code, a result), else what was written.
function detail([key, value]) {
  const text = ["state.", "code.", "result.", "observed.", "event."].map((kind) => kind + value).find((one) => words[one]);
  return `${say("key." + key, say("code." + key, key.replaceAll("_", " ")))}: ${text ? t(text) : value}`;
}

async function auditView() {
  const found = await api("/audit");
  const heads = ["audit.time", "audit.who", "audit.kind", "audit.detail"];
  const { size, witnesses } = found.witnessed;
  show(h("h1", {}, t("audit.title")), h("p", {}, t("audit.size", { n: found.size, size, count: witnesses })),
    found.entries.length ? h("div", { class: "card" }, table(heads, found.entries.map((one) =>
      [when(one.at), one.who, say("event." + one.kind, one.kind), Object.entries(one.what).filter(([, value]) => value !== "").map(detail).join("; ")])))
      : h("p", { class: "card" }, t("audit.empty")));
  refresh = stillHere;
}

// A new key.

function enrolView() {
  const person = h("input", { id: "person", maxlength: "64", pattern: "[a-z0-9\\-]+", required: true, autocomplete: "off" });
  const name = h("input", { id: "name", maxlength: "80", required: true, autocomplete: "name" });
  const choice = h("select", { id: "enrol-site" }, site.sites.map((one) => h("option", { value: one.id }, one.name)));
  const out = h("div");
  const make = async (event) => {
    event.preventDefault();
    try {
      const made = await waiting(out, () => enrol(choice.value, person.value.trim(), name.value.trim(), site.rp_id));
      const text = JSON.stringify(made, null, 1);
      const link = URL.createObjectURL(new Blob([text], { type: "application/json" }));
      out.replaceChildren(h("section", { class: "card" }, h("p", { role: "status" }, t("enrol.done")), h("pre", { id: "enrolment" }, text),
        h("a", { class: "button", href: link, download: `${person.value.trim()}.enrol.json` }, t("enrol.save"))));
    } catch (error) { tell(out, error); }
  };
  show(h("h1", {}, t("enrol.title")), h("form", { class: "card", onsubmit: make }, h("p", {}, t("enrol.text")),
    h("label", { for: "enrol-site" }, t("login.site")), choice, h("label", { for: "person" }, t("enrol.person")), person,
    h("label", { for: "name" }, t("enrol.name")), name, h("p", {}, h("button", { type: "submit", id: "make" }, t("enrol.make")))), out);
  refresh = async () => { await api("/about"); };
}

async function machineView(machine) {
  const { proposals } = await api("/proposals");
  const found = proposals.find((one) => one.machine === machine);
  if (found) { location.replace("#/p/" + found.id); return; }
  await listView();
}

// Where we are.

const VIEWS = [["#/history", historyView], ["#/receipts", receiptsView], ["#/audit", auditView]];

function frame(hash) {
  document.documentElement.lang = language;
  document.title = t("app.title");
  document.getElementById("skip").textContent = t("app.skip");
  document.getElementById("language").textContent = t("app.language");
  document.getElementById("plant").textContent = me ? `${site.sites.find((one) => one.id === me.site)?.name ?? me.site} · ${me.name}` : t("app.title");
  const demo = document.getElementById("demo");
  demo.hidden = !site.demo_keys.length;
  demo.textContent = t("app.demo");
  nav.hidden = !me;
  nav.setAttribute("aria-label", t("app.title"));
  const links = [["#/", "app.now"], ["#/history", "app.history"], ["#/receipts", "app.receipts"], ["#/audit", "app.audit"]];
  nav.replaceChildren(...links.map(([to, key]) => h("a", { href: to, "aria-current": hash === to ? "page" : null }, t(key))),
    h("a", { href: "#/out" }, t("app.logout")));
}

async function go() {
  const asked = turn += 1;
  withdraw();
  const hash = location.hash || "#/";
  refresh = async () => {};
  frame(hash);
  try {
    if (hash === "#/enrol") return enrolView();
    if (!me) {
      me = await whoIsHere();
      if (!me) return loginView();
      frame(hash);
    }
    if (hash === "#/out") { await api("/session", "DELETE"); me = null; location.hash = "#/"; return loginView(); }
    const view = VIEWS.find(([to]) => to === hash);
    if (view) return await view[1]();
    const [, kind, id] = hash.split("/");
    if (kind === "p") return await proposalView(id);
    if (kind === "m") return await machineView(id);
    return await listView();
  } catch (error) {
    if (asked !== turn) return;
    if (!(error instanceof Lie) && !(error instanceof Refusal) && !(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
    const isLie = !(error instanceof Refusal);
    show(isLie ? h("section", { class: "card lie", role: "alert", id: "lie" }, h("h1", {}, t("lie.title")), h("p", {}, t("lie.text", { what: error.message })))
      : problem(error, go));
    refresh = isLie ? async () => {} : async () => { if (error.code === "offline") { await api("/about"); await go(); } };
  }
}

document.getElementById("language").addEventListener("click", () => {
  language = language === "en" ? "id" : "en";
  try { localStorage.setItem("language", language); } catch { /* private mode: the choice lasts for this page */ }
  go();
});
window.addEventListener("hashchange", () => { go(); main.focus(); });
setInterval(showBadge, 1000);
setInterval(() => {
  const asked = turn;
  refresh().catch((error) => { if (asked === turn && !(error instanceof Refusal)) show(problem(error, go)); });
}, POLL_MS);
go();
