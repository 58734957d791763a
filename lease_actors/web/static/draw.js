// Elements from values. Text goes in as text, never as markup, whatever a lease may be named.

export function make(tag, attributes = {}, ...children) {
  const node = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${two((seconds % 3600) / 60)} m`;
  return `${Math.floor(seconds / 86400)} d ${two((seconds % 86400) / 3600)} h`;
}

export function moment(iso) {
  return iso ? new Date(iso).toLocaleString([], { dateStyle: "short", timeStyle: "medium" }) : "–";
}

export function idOf(lease) {
  return JSON.stringify([lease.namespace, lease.model, lease.lease]);
}

// What is left now of what was left when it was read.
export function leftOf(lease, age) {
  return lease.remaining === null ? null : Math.max(0, lease.remaining - age);
}

export function leftCell(lease, age) {
  const cell = make("td", { class: "left" });
  fillLeft(cell, lease, age);
  return cell;
}

export function fillLeft(cell, lease, age) {
  if (lease.pins.length || lease.state !== "held") {
    const state = lease.pins.length && lease.state === "held" ? "pinned" : lease.state;
    cell.replaceChildren(make("span", { class: `tag ${state}` }, state));
    return;
  }
  const left = leftOf(lease, age);
  const part = lease.duration ? Math.min(1, left / lease.duration) : 0;
  cell.replaceChildren(
    make("progress", { max: 1, value: part, class: part < 1 / 3 ? "short" : null }),
    span(left),
  );
}

export function leaseRow(lease, age, open) {
  const place = [lease.namespace, lease.model].filter(Boolean).join(" / ");
  const pins = lease.pins.map((pin) => make("span", { class: "tag pinned" }, pin));
  const row = make("tr", { onclick: open },
    make("td", { class: "name" },
      make("button", { type: "button" }, lease.lease), " ", make("span", { class: "place" }, place)),
    make("td", {}, lease.holder ?? "–"),
    make("td", { class: "number", "data-label": "term" }, String(lease.term)),
    leftCell(lease, age),
    make("td", { class: `number${lease.waiting ? "" : " empty"}`, "data-label": "waiting" },
      lease.waiting ? String(lease.waiting) : "–"),
    make("td", { class: `pins${pins.length ? "" : " empty"}` }, ...(pins.length ? pins : ["–"])),
  );
  return row;
}

// A colour of its own for each holder; neighbours are a golden angle apart.
export function coloursOf(tenures) {
  const names = [...new Set(tenures.map((t) => t.holder))].sort();
  return new Map(names.map((name, i) => [name, `hsl(${Math.round(150 + i * 137.5) % 360} 45% 52%)`]));
}

// One strip: who had it from when to when, up to now.
export function timeline(tenures, colours, now) {
  const width = 700, height = 34;
  const first = Math.min(...tenures.map((t) => Date.parse(t.granted_at)));
  const last = Math.max(now, ...tenures.map((t) => Date.parse(t.ended_at ?? 0)));
  const x = (time) => (last > first ? ((time - first) / (last - first)) * width : 0);
  const picture = make("svg:svg", {
    class: "timeline", viewBox: `0 0 ${width} ${height + 18}`, preserveAspectRatio: "none", role: "img",
    "aria-label": "who had the lease, and when",
  });
  for (const tenure of tenures) {
    const from = x(Date.parse(tenure.granted_at));
    const to = x(tenure.ended_at ? Date.parse(tenure.ended_at) : now);
    const title = `${tenure.holder}, term ${tenure.term}: ${moment(tenure.granted_at)} – `
      + (tenure.ended_at ? `${moment(tenure.ended_at)}, ${tenure.ended}` : "now");
    picture.append(make("svg:rect", {
      x: from, y: 2, width: Math.max(1.5, to - from), height: height - 4, rx: 2,
      fill: colours.get(tenure.holder), opacity: tenure.ended_at ? 0.75 : 1,
    }, make("svg:title", {}, title)));
  }
  return picture;
}
