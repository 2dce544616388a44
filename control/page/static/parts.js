// What the screens are built of: elements, a button to hold and a small line chart. Text is text, never markup.

const HOLD_MS = 1500;
const TICK_MS = 50;

export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((one) => one !== null));
  return made;
}

// A button that acts only when it was held long enough. rest, held: what it says meanwhile.
export function holdButton(rest, held, act) {
  const bar = h("progress", { max: HOLD_MS, value: 0, "aria-hidden": "true" });
  const label = h("span", {}, rest);
  const button = h("button", { type: "button", class: "main", id: "approve" }, label, bar);
  let pressed = 0;
  let seen = 0;
  let timer = 0;
  const end = () => { clearInterval(timer); timer = 0; bar.value = 0; label.textContent = rest; button.style.minHeight = ""; };
  const begin = () => {
    if (timer || button.disabled) return;
    pressed = 0;
    seen = performance.now();
    button.style.minHeight = `${button.offsetHeight}px`; // fewer words must not draw it away from under the finger
    label.textContent = held;
    timer = setInterval(() => {
      const now = performance.now();
      // While the page stood still it saw nobody hold: a busy device counts late, and never a tap as a hold.
      pressed += Math.min(now - seen, TICK_MS * 2);
      seen = now;
      bar.value = pressed;
      if (pressed < HOLD_MS) return;
      end();
      act(button);
    }, TICK_MS);
  };
  button.addEventListener("pointerdown", begin);
  for (const name of ["pointerup", "pointerleave", "pointercancel", "blur", "contextmenu"]) button.addEventListener(name, end);
  button.addEventListener("keydown", (event) => { if ((event.key === " " || event.key === "Enter") && !event.repeat) { event.preventDefault(); begin(); } });
  button.addEventListener("keyup", end);
  return button;
}

// A line over time, without axes: the numbers stand beside it. label: what a screen reader says.
export function trend(values, label) {
  const space = "http://www.w3.org/2000/svg";
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const points = values.map((v, i) => `${((i / Math.max(1, values.length - 1)) * 100).toFixed(1)},${(38 - ((v - low) / span) * 36).toFixed(1)}`);
  const box = document.createElementNS(space, "svg");
  const line = document.createElementNS(space, "polyline");
  for (const [name, value] of [["viewBox", "0 0 100 40"], ["preserveAspectRatio", "none"], ["class", "trend"], ["role", "img"], ["aria-label", label]]) box.setAttribute(name, value);
  for (const [name, value] of [["points", points.join(" ")], ["fill", "none"], ["stroke", "currentColor"], ["stroke-width", "2"], ["vector-effect", "non-scaling-stroke"]]) line.setAttribute(name, value);
  box.append(line);
  return box;
}
