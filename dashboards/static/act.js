// Words of people: sent at once, or kept on this device while the link is down and sent when it is back.
// Every form carries an action id, so that sending twice is harmless.
"use strict";
(() => {
  const data = document.body.dataset, KEY = "mitra-waiting", MAX_WAITING = 50;
  const queueBox = document.getElementById("queue"), toast = document.getElementById("toast");
  let hide = null, sending = false;

  function say(text) {
    toast.textContent = text; toast.hidden = false;
    clearTimeout(hide); hide = setTimeout(() => { toast.hidden = true; }, 6000);
  }

  function waiting() { try { return JSON.parse(localStorage.getItem(KEY)) || []; } catch { return []; } }
  function keep(list) { localStorage.setItem(KEY, JSON.stringify(list.slice(-MAX_WAITING))); paint(); }
  function paint() {
    const n = waiting().length;
    queueBox.hidden = !n;
    queueBox.textContent = n ? data.sayQueued.replace("{n}", n) : "";
  }

  async function send() {
    if (sending || !waiting().length) return;
    sending = true;
    try {
      for (let list = waiting(); list.length; list = waiting()) {
        const one = list[0];
        const answer = await fetch(one.url, { method: "POST", body: new URLSearchParams(one.body), headers: { "HX-Request": "true" } });
        if (answer.status >= 500) break;
        keep(waiting().filter((other) => other.id !== one.id));
        if (!answer.ok) say(data.sayFailed);
      }
    } catch { /* Still no link: the next beat tries again. */ }
    sending = false;
    if (!waiting().length) document.querySelectorAll("[data-waiting]").forEach((card) => card.removeAttribute("data-waiting"));
  }

  document.addEventListener("htmx:error", (event) => {
    const context = event.detail && event.detail.ctx, form = context && context.sourceElement && context.sourceElement.closest("form[data-queue]");
    if (context && context.response) return;   // the server did answer: see below
    if (!form) { say(data.sayFailed); return; }
    const fields = new FormData(form), pressed = document.activeElement;
    if (pressed && pressed.form === form && pressed.name) fields.set(pressed.name, pressed.value);
    const id = fields.get("action_id");
    if (!waiting().some((one) => one.id === id)) keep([...waiting(), { id, url: form.action, body: [...fields.entries()] }]);
    const card = form.closest(".alarm"); if (card) card.setAttribute("data-waiting", "");
    say(data.saySaved);
  });

  document.addEventListener("htmx:response:error", async (event) => {
    const response = event.detail.ctx && event.detail.ctx.response;
    let words = data.sayFailed;
    try { words = JSON.parse(event.detail.ctx.text).detail || words; } catch { /* not a problem document */ }
    if (response && response.status === 401) location.href = "/sign-in?back=" + encodeURIComponent(location.pathname + location.search);
    else say(words);
  });
  // An error page must never replace a card.
  document.addEventListener("htmx:before:swap", (event) => {
    const response = event.detail.ctx && event.detail.ctx.response;
    if (response && response.status >= 400) event.preventDefault();
  });

  function picked() {
    const button = document.getElementById("ack-picked");
    if (!button) return;
    const n = document.querySelectorAll('input[name="picked"]:checked').length;
    document.getElementById("actbar").hidden = !n;
    button.querySelector("[data-picked]").textContent = n ? "(" + n + ")" : "";
  }
  document.addEventListener("change", (event) => { if (event.target.name === "picked") picked(); });
  document.addEventListener("htmx:after:swap", picked);
  document.addEventListener("click", (event) => {
    const tab = event.target.closest("a[data-tab]");
    if (!tab) return;
    document.querySelectorAll("a[data-tab]").forEach((other) => other.removeAttribute("aria-current"));
    tab.setAttribute("aria-current", "page");
    history.replaceState(null, "", tab.href);
  });
  // Where tabs do not fit, the open one is in view.
  for (const tab of document.querySelectorAll(".tabs a[aria-current]")) {
    const bar = tab.closest(".tabs");
    bar.scrollLeft += tab.getBoundingClientRect().left - bar.getBoundingClientRect().left - (bar.clientWidth - tab.offsetWidth) / 2;
  }
  document.addEventListener("link-up", send);
  paint(); picked();
})();
