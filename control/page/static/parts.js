// What the screens are built of: elements and a small line chart. Text is text, never markup.

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
