// The page: the nodes by what needs a look, kept up to date by the event stream.

import {Failed, get, send} from "./api.js";
import {lanes, spans} from "./charts.js";
import {showNode} from "./node.js";
import {NEEDS, batteryText, h, mac, now, presence, stateOf, tick, ticks} from "./words.js";

const main = document.getElementById("main");
const link = document.getElementById("link");
const RANK = {tamper: 0, keys: 1, overdue: 2, open: 3, battery: 4};
const SPANS = [["24 h", 86400], ["7 days", 604800], ["30 days", 2592000]];
const nodes = new Map();
const changed = new Set();
let laneSpan = 86400;
let view = null;  // draws anew what is shown, after news of the nodes in a list of ids
let waiting = null;

const rank = (node) => node.state === "new" ? -1 : Math.min(9, ...node.needs.map((need) => RANK[need]));
const sorted = () => [...nodes.values()].sort((a, b) => rank(a) - rank(b) || a.title.localeCompare(b.title));

function batteryLine(node) {
  if (!node.battery) return null;
  const {percent} = node.battery;
  const icon = h("span", {"aria-hidden": "true"});
  icon.innerHTML = `<svg viewBox="0 0 30 14"><rect class="case" x=".5" y=".5" width="26" height="13" rx="3"/><rect class="case" x="28" y="4" width="1.5" height="6"/><rect class="fill" x="2" y="2" width="${Math.max(1, Math.min(100, Number(percent))) * 0.23}" height="10" rx="1.5"/></svg>`;
  return h("p", {class: node.needs.includes("battery") ? "level low" : "level"}, icon, h("span", {}, batteryText(node.battery)));
}

function chips(node) {
  const found = node.needs.filter((need) => need !== "open").map((need) => h("li", {class: "chip bad"}, NEEDS[need]));
  if (node.waiting) found.push(h("li", {class: "chip"}, `${node.waiting} waiting`));
  return found.length ? h("ul", {class: "chips"}, found) : null;
}

function card(node) {
  const alert = node.needs.some((need) => need !== "open");
  const kind = `card${node.needs.includes("open") ? " open" : ""}${alert ? " alert" : ""}`;
  return h("li", {class: kind, "data-id": node.id},
    h("h3", {}, h("a", {href: `#/node/${node.id}`, id: `card-${node.id}`}, node.title)),
    ticks(h("p", {class: "big"}), () => stateOf(node)),
    ticks(h("p", {class: "quiet"}), () => presence(node)),
    chips(node), batteryLine(node));
}

function newCard(node) {
  const box = h("li", {class: "card new", "data-id": node.id},
    h("h3", {}, node.ep),
    ticks(h("p", {class: "quiet"}), () => `${mac(node.eui) ?? ""} · ${presence(node)}`),
    ticks(h("p", {}), () => stateOf(node)));
  const name = h("input", {id: `name-${node.id}`, value: node.title, maxlength: 60, required: true, autocomplete: "off"});
  const error = h("p", {class: "wrong", role: "alert"});
  const form = h("form", {class: "row", hidden: true, onsubmit: async (event) => {
    event.preventDefault();
    try {
      await send("PATCH", `/api/nodes/${node.id}`, {state: "adopted", title: name.value});
      await refresh([node.id]);
      document.getElementById(`card-${node.id}`)?.focus();
    } catch (failure) {
      error.textContent = failure.message;
    }
  }}, h("label", {for: name.id}, "Name", name), h("button", {class: "main", type: "submit"}, "Adopt"));
  const start = h("button", {class: "main", id: `adopt-${node.id}`, type: "button", onclick: () => {
    start.hidden = true;
    form.hidden = false;
    box.dataset.busy = "1";
    name.select();
  }}, "Adopt …");
  box.append(h("p", {class: "noprint"}, start), form, error);
  return box;
}

// The overview. Elements of nodes that have not changed stay, and with them focus and typing.
function overview() {
  const title = h("h1");
  const fresh = h("section", {"aria-labelledby": "new-title"}, h("h2", {id: "new-title"}, "New nodes"),
    h("p", {class: "quiet"}, "They have reported here for the first time. What they tell is kept apart until you adopt them."), h("ul", {class: "cards"}));
  const known = h("section", {"aria-label": "Nodes"}, h("ul", {class: "cards"}));
  const empty = h("section", {class: "panel"}, h("h2", {}, "No node has reported yet"),
    h("p", {}, "Give a node this gateway's CoAP address, which it printed when it started, and switch it on: its first report makes a card here."));
  const chartBox = h("div", {class: "panel"});
  const choice = h("div");
  const history = h("section", {"aria-labelledby": "lanes-title"}, h("div", {class: "head"}, h("h2", {id: "lanes-title"}, "Open and closed"), choice), chartBox);
  main.replaceChildren(h("div", {class: "head"}, title), empty, fresh, known, history);
  document.title = "Mote";
  const shown = new Map();

  function place(list, wanted, make) {
    const before = document.activeElement?.id;
    const elements = wanted.map((node) => {
      const text = JSON.stringify(node);
      const old = shown.get(node.id);
      const same = old && old.make === make && (old.text === text || old.element.dataset.busy);
      if (!same) shown.set(node.id, {text, make, element: make(node)});
      return shown.get(node.id).element;
    });
    if (elements.length !== list.children.length || elements.some((element, index) => list.children[index] !== element)) {
      list.replaceChildren(...elements);
      if (before && document.activeElement?.id !== before) document.getElementById(before)?.focus({preventScroll: true});
    }
  }

  async function drawLanes() {
    const doors = [...nodes.values()].filter((node) => node.state === "adopted" && "s/contact" in node.last);
    history.hidden = !doors.length;
    if (!doors.length) return;
    const to = now();
    const found = await get(`/api/lanes?from=${(to - laneSpan).toFixed(0)}&to=${to.toFixed(0)}`);
    const before = document.activeElement?.id;
    choice.replaceChildren(spans(laneSpan, SPANS, (seconds) => { laneSpan = seconds; drawLanes(); }));
    chartBox.replaceChildren(lanes(found, to - laneSpan, to, true));
    if (before?.startsWith("span-")) document.getElementById(before)?.focus();
  }

  async function draw() {
    const all = sorted();
    const adopted = all.filter((node) => node.state !== "new");
    const needing = adopted.filter((node) => node.needs.length).length;
    title.textContent = !adopted.length ? "Mote" : needing ? `${needing} of ${adopted.length} ${needing === 1 ? "needs" : "need"} a look` : "All is well";
    empty.hidden = all.length > 0;
    fresh.hidden = adopted.length === all.length;
    place(fresh.lastElementChild, all.filter((node) => node.state === "new"), newCard);
    place(known.lastElementChild, adopted, card);
    await drawLanes();
  }
  return draw;
}

async function refresh(ids) {
  if (ids && ids.length <= 4) {
    for (const id of ids) {
      try {
        nodes.set(id, await get(`/api/nodes/${id}`));
      } catch (failure) {
        if (!(failure instanceof Failed)) throw failure;
        nodes.delete(id);
      }
    }
  } else {
    const list = await get("/api/nodes");
    nodes.clear();
    for (const node of list) nodes.set(node.id, node);
  }
  await view?.(ids);
}

// What came within a moment is asked for together.
function later(id) {
  changed.add(id);
  waiting ??= setTimeout(async () => {
    const ids = [...changed];
    changed.clear();
    waiting = null;
    await refresh(ids).catch(away);
  }, 50);
}

async function route() {
  const found = /^#\/node\/(\d+)$/.exec(location.hash);
  view = found ? showNode(main, Number(found[1]), refresh) : overview();
  await view();
  scrollTo(0, 0);
}

function away(failure) {
  link.className = "away";
  link.textContent = failure?.message ?? "Connection lost, trying again …";
}

function connect() {
  const stream = new EventSource("/api/events");
  stream.onopen = () => {
    link.className = "";
    link.textContent = "Live";
    refresh().catch(away);
  };
  stream.onerror = () => {
    away();
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => refresh().catch(away).then(connect), 5000);
  };
  for (const kind of ["event", "node", "wait"]) {
    stream.addEventListener(kind, (event) => later(JSON.parse(event.data).node));
  }
}

addEventListener("hashchange", () => route().then(() => main.focus({preventScroll: true}), away));
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
setInterval(tick, 1000);
setInterval(() => refresh().catch(away), 60000);
try {
  await refresh();
  await route();
} catch (failure) {
  away(failure);
}
connect();
