import { coloursOf, fillLeft, idOf, leaseRow, leftOf, make, moment, span, timeline } from "./draw.js";

const EVERY = 1000;
const root = document.body.dataset.root;
const writable = document.body.dataset.writable === "yes";
const $ = (id) => document.getElementById(id);

const state = { leases: [], readAt: 0, sort: "lease", descending: false, open: null, failed: false };

async function fetchJson(path, options = {}) {
  const response = await fetch(root + path, { cache: "no-store", ...options });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error || `${path}: ${response.status}`);
  return body;
}

function query(lease) {
  return new URLSearchParams({ namespace: lease.namespace, model: lease.model, lease: lease.lease });
}

const age = () => (performance.now() - state.readAt) / 1000;

// -- the list ---------------------------------------------------------------------------

const sorts = {
  lease: (l) => [l.namespace, l.model, l.lease],
  holder: (l) => [l.holder ?? "\uffff"],
  term: (l) => [-l.term],
  left: (l) => [l.pins.length || l.remaining === null ? Infinity : leftOf(l, 0)],
  waiting: (l) => [-l.waiting],
};

function compare(a, b) {
  const [x, y] = [sorts[state.sort](a), sorts[state.sort](b)];
  for (let i = 0; i < x.length; i += 1) {
    if (x[i] < y[i]) return -1;
    if (x[i] > y[i]) return 1;
  }
  return 0;
}

function chosen() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const namespace = $("namespace").value;
  const found = state.leases.filter((l) => {
    const text = [l.lease, l.namespace, l.model, l.holder ?? "", l.state, ...l.pins].join(" ").toLowerCase();
    return (!namespace || l.namespace === namespace) && words.every((word) => text.includes(word));
  });
  found.sort(compare);
  return state.descending ? found.reverse() : found;
}

// A row stays the same element as long as it says the same: it may be about to be clicked.
const rowsById = new Map();

function rowOf(lease) {
  const id = idOf(lease);
  const says = JSON.stringify([lease.holder, lease.term, lease.state, lease.waiting, lease.pins]);
  const known = rowsById.get(id);
  if (known?.says === says) return known.row;
  const row = leaseRow(lease, age(), () => openDetail(lease));
  row.dataset.id = id;
  rowsById.set(id, { row, says });
  return row;
}

function forgetRows() {
  const there = new Set(state.leases.map(idOf));
  for (const id of rowsById.keys()) if (!there.has(id)) rowsById.delete(id);
}

function drawList() {
  const shown = chosen();
  const body = $("leases").tBodies[0];
  const focus = document.activeElement?.closest?.("tr")?.dataset.id;
  const rows = shown.map(rowOf);
  if (rows.length !== body.rows.length || rows.some((row, i) => row !== body.rows[i])) {
    body.replaceChildren(...rows);
    if (focus) rows.find((row) => row.dataset.id === focus)?.querySelector("button").focus();
  }
  $("leases").hidden = !shown.length;
  $("none").hidden = shown.length > 0 || state.readAt === 0;
  $("none").textContent = state.leases.length ? "No lease is like that." : "No leases.";
  const held = shown.filter((l) => l.holder !== null).length;
  const waiting = shown.reduce((sum, l) => sum + l.waiting, 0);
  $("summary").textContent = state.readAt ? `${held} held, ${waiting} waiting` : "";
  for (const button of document.querySelectorAll("[data-sort]")) {
    if (button.dataset.sort !== state.sort) button.removeAttribute("aria-sort");
    else button.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
  }
}

function drawNamespaces() {
  const names = [...new Set(state.leases.map((l) => l.namespace))].sort();
  const select = $("namespace");
  const there = [...select.options].slice(1).map((option) => option.value);
  if (names.join("\n") === there.join("\n")) return;
  const chosenName = select.value;
  select.replaceChildren(make("option", { value: "" }, "all namespaces"),
    ...names.map((name) => make("option", { value: name }, name)));
  select.value = names.includes(chosenName) ? chosenName : "";
}

// Between two reads only the time left moves on.
function tick() {
  const shown = new Map(state.leases.map((lease) => [idOf(lease), lease]));
  for (const row of $("leases").tBodies[0].rows) {
    const lease = shown.get(row.dataset.id);
    if (lease) fillLeft(row.querySelector(".left"), lease, age());
  }
  $("pulse").textContent = state.readAt ? `${span(age())} ago` : "…";
  $("pulse").classList.toggle("old", state.failed || age() > 5);
}

async function poll() {
  const sent = performance.now();
  try {
    const { leases } = await fetchJson("/api/leases");
    Object.assign(state, { leases, readAt: sent, failed: false });
    $("error").hidden = true;
    forgetRows();
    drawNamespaces();
    drawList();
    tick();
    if (state.open) await drawDetail();
  } catch (error) {
    state.failed = true;
    $("error").textContent = error.message;
    $("error").hidden = false;
  }
  setTimeout(poll, document.hidden ? 10 * EVERY : EVERY);
}

// -- one lease --------------------------------------------------------------------------

function openDetail(lease) {
  state.open = lease;
  const close = make("button", { class: "close", type: "button", "aria-label": "Close", onclick: () => $("detail").close() }, "×");
  $("detail").replaceChildren(
    close, make("h2", { id: "detail-title" }, lease.lease),
    make("div", { class: "place" }, [lease.namespace, lease.model].filter(Boolean).join(" / ")),
    make("div", { id: "told" }, "…"), make("div", { id: "actions", class: "actions" }),
    make("p", { id: "refusal", class: "error", role: "alert", hidden: "" }));
  $("detail").showModal();
  drawDetail().catch((error) => refuse(error.message));
}

function refuse(message) {
  $("refusal").textContent = message;
  $("refusal").hidden = !message;
}

async function drawDetail() {
  const asked = state.open;
  const [lease, history] = await Promise.all([
    fetchJson(`/api/lease?${query(asked)}`), fetchJson(`/api/history?${query(asked)}`),
  ]);
  if (state.open !== asked) return;
  $("told").replaceChildren(facts(lease), ...queue(lease), ...past(lease, history));
  if (writable) drawActions(lease);
}

function facts(lease) {
  const pairs = [["State", lease.pins.length && lease.state === "held" ? "pinned" : lease.state]];
  if (lease.holder !== null) {
    pairs.push(["Holder", lease.holder], ["Since", moment(lease.granted_at)],
      ["Until", lease.pins.length ? "it is unpinned" : `${moment(lease.expiry)} (${span(lease.remaining)})`]);
  }
  pairs.push(["Term", lease.term]);
  if (lease.pins.length) pairs.push(["Pinned by", lease.pins.join(", ")]);
  if (lease.ended) pairs.push(["Before", `term ${lease.ended_term} was ${lease.ended}, ${moment(lease.ended_at)}`]);
  return make("dl", {}, ...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]));
}

function queue(lease) {
  if (!lease.queue.length) return [];
  const items = lease.queue.map((w) => make("li", {}, `${w.holder} `, make("span", { class: "place" }, `since ${moment(w.since)}`)));
  return [make("h3", {}, "Queue"), make("ol", {}, ...items)];
}

function past(lease, history) {
  if (!history.kept) return [];
  const present = lease.state === "held" || lease.state === "ending"
    ? [{ holder: lease.holder, term: lease.term, granted_at: lease.granted_at, ended_at: null, ended: "" }] : [];
  const tenures = [...present, ...history.tenures];
  if (!tenures.length) return [];
  const colours = coloursOf(tenures);
  const rows = tenures.slice(0, 50).map((t) => make("tr", {},
    make("td", { class: "number" }, String(t.term)),
    make("td", {}, swatch(colours.get(t.holder)), t.holder),
    make("td", {}, moment(t.granted_at)),
    make("td", {}, t.ended_at ? `${t.ended}, ${moment(t.ended_at)}` : "has it now")));
  return [make("h3", {}, "History"), timeline(tenures, colours, Date.now()), make("table", { class: "past" }, make("tbody", {}, ...rows))];
}

function swatch(colour) {
  const picture = make("svg:svg", { class: "swatch", viewBox: "0 0 1 1" });
  picture.append(make("svg:rect", { width: 1, height: 1, fill: colour }));
  return picture;
}

// -- changing something -----------------------------------------------------------------

// Made anew only when there is something else to do: somebody may be typing there.
function drawActions(lease) {
  const offers = JSON.stringify([lease.holder, lease.pins]);
  if ($("actions").dataset.offers === offers) return;
  $("actions").dataset.offers = offers;
  const entity = $("entity") ?? make("input", { id: "entity", placeholder: "Pin as …", "aria-label": "Pin as" });
  const buttons = [entity, button("pin", "Pin", () => act("pin", lease, { entity: entity.value })),
    ...lease.pins.map((pin) => button(null, `Unpin ${pin}`, () => act("unpin", lease, { entity: pin })))];
  if (lease.holder !== null && !lease.pins.length) {
    buttons.push(button("revoke", "Revoke", () => revoke(lease)));
  }
  $("actions").replaceChildren(...buttons);
}

function button(id, text, onclick) {
  return make("button", { id, type: "button", class: id === "revoke" ? "danger" : null, onclick }, text);
}

function revoke(lease) {
  if (window.confirm(`Take ${lease.lease} from ${lease.holder}?`)) act("revoke", lease, { holder: lease.holder });
}

async function act(verb, lease, more) {
  const { namespace, model, lease: name } = lease;
  try {
    await fetchJson(`/api/${verb}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${$("token").value}`, "Content-Type": "application/json" },
      body: JSON.stringify({ namespace, model, lease: name, ...more }),
    });
    refuse("");
    await drawDetail();
  } catch (error) {
    refuse(error.message);
  }
}

// -- begin ------------------------------------------------------------------------------

$("filter").addEventListener("input", drawList);
$("namespace").addEventListener("input", drawList);
$("detail").addEventListener("close", () => { state.open = null; });
$("detail").addEventListener("click", (event) => { if (event.target === $("detail")) $("detail").close(); });
for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    state.descending = state.sort === button.dataset.sort && !state.descending;
    state.sort = button.dataset.sort;
    drawList();
  });
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
setInterval(tick, 250);
poll();
