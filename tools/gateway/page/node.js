// One node: what it is, its history, what waits for it.

import {get, send} from "./api.js";
import {curve, lanes, spans} from "./charts.js";
import {NEEDS, ago, batteryText, clock, eventText, h, mac, nameOf, now, presence, span, stateOf, ticks, value} from "./words.js";

const SPANS = [["24 h", 86400], ["7 days", 604800], ["30 days", 2592000], ["1 year", 31557600]];
const EVENTS = 20;
const UNITS = {hr: " /min", spo2: " %", temp: " °C", batt: " %"};
const CURVES = ["hr", "spo2", "temp", "steps", "batt"];
const SHARES = new Set(["spo2"]);  // told as a share of 1, drawn in percent
let chosen = 604800;

const percent = (told) => !SHARES.has(told.name) ? told :
  {...told, points: told.points.map(([at, ...rest]) => [at, ...rest.map((share) => share === null ? null : 100 * share)])};

// A form whose failure is said below it.
function form(attributes, onsubmit, ...children) {
  const error = h("p", {class: "wrong", role: "alert"});
  const element = h("form", {class: "row", ...attributes, onsubmit: async (event) => {
    event.preventDefault();
    error.textContent = "";
    try {
      await onsubmit(element);
    } catch (failure) {
      error.textContent = failure.message;
    }
  }}, ...children);
  return h("div", {}, element, error);
}

function facts(node) {
  const pairs = [
    ["Name", node.ep], ["MAC", mac(node.eui)], ["Kind", node.kind], ["Firmware", node.firmware], ["Last address", node.address],
    ["Keys", node.keys ? "OSCORE" : node.keys_lost ? `lost: make keys NODE=${node.ep} ROTATE=1` : "none: it reports in the clear"],
    ["Reports", node.awake ? "awake, all the time" : `every ${span(node.beat)}, and at each event`],
    ["Heard", ticks(h("span"), () => node.heard === null ? "never" : `${ago(node.heard)} (${clock(node.heard)})`)],
  ];
  return h("dl", {class: "facts"}, pairs.filter(([, told]) => told).flatMap(([name, told]) => [h("dt", {}, name), h("dd", {}, told)]));
}

function values(node) {
  const rows = Object.entries(node.last).map(([path, told]) => h("tr", {}, h("td", {}, h("code", {}, path)), h("td", {}, value(told)), ticks(h("td"), () => ago(told.at))));
  return h("details", {}, h("summary", {}, "All values"), h("div", {class: "scroll"},
    h("table", {}, h("thead", {}, h("tr", {}, ["Path", "Value", "Told"].map((name) => h("th", {scope: "col"}, name)))), h("tbody", {}, rows))));
}

export function showNode(main, id, refreshAll) {
  let node = null;
  let renaming = false;
  const head = h("div", {class: "head"});
  const state = h("section", {class: "panel"});
  const about = h("section", {class: "panel", "aria-labelledby": "about"});
  const charts = h("section", {"aria-labelledby": "course"});
  const queue = h("section", {class: "panel", "aria-labelledby": "waits"});
  const list = h("section", {class: "panel", "aria-labelledby": "told"});
  const label = h("section", {class: "panel", "aria-labelledby": "label-title"});
  main.replaceChildren(h("p", {}, h("a", {href: "#/"}, "‹ All nodes")), head,
    h("div", {class: "two"}, state, queue), charts, h("div", {class: "two"}, list, h("div", {class: "stack"}, about, label)));

  const change = async (body) => {
    await send("PATCH", `/api/nodes/${id}`, body);
    await refreshAll([id]);
  };

  function drawHead() {
    if (renaming) return;
    document.title = `${node.title} – Mote`;
    head.replaceChildren(h("h1", {}, node.title), h("button", {type: "button", id: "rename", onclick: () => {
      renaming = true;
      const name = h("input", {id: "title", value: node.title, maxlength: 60, required: true, autocomplete: "off"});
      const done = () => { renaming = false; drawHead(); document.getElementById("rename").focus(); };
      head.replaceChildren(form({onkeydown: (event) => { if (event.key === "Escape") done(); }}, async () => {
        await change({title: name.value});
        await draw();
        done();
      }, h("label", {for: "title"}, "Name", name), h("button", {class: "main", type: "submit"}, "Rename"), h("button", {type: "button", onclick: done}, "Cancel")));
      name.select();
    }}, "Rename"));
  }

  function drawState() {
    const look = node.needs.filter((need) => need !== "open");
    state.className = `panel ${node.needs.includes("open") ? "open" : ""}`;
    state.replaceChildren(
      ticks(h("p", {class: "big"}), () => stateOf(node)),
      ticks(h("p", {class: "quiet"}), () => presence(node)),
      look.length ? h("ul", {class: "chips"}, look.map((need) => h("li", {class: "chip bad"}, NEEDS[need]))) : "",
      node.battery ? h("p", {}, `Battery ${batteryText(node.battery)}`, node.battery.days === null &&
        h("span", {class: "quiet"}, " · a forecast needs a week of reports and a level that falls")) : "",
      node.state === "new" ? h("p", {}, h("button", {class: "main", type: "button", onclick: () => change({state: "adopted"})}, "Adopt")) : "",
      values(node));
  }

  async function drawCharts() {
    const to = now(), from = to - chosen;
    const query = `from=${from.toFixed(0)}&to=${to.toFixed(0)}`;
    const names = CURVES.filter((name) => node.names.includes(name)).concat(node.names.filter((name) => !CURVES.includes(name)));
    const found = await Promise.all([
      "s/contact" in node.last ? get(`/api/lanes?node=${id}&${query}`) : [],
      ...names.map((name) => get(`/api/nodes/${id}/history?name=${encodeURIComponent(name)}&points=${Math.max(200, main.clientWidth)}&${query}`)),
    ]);
    const before = document.activeElement?.id;
    charts.replaceChildren(h("div", {class: "head"}, h("h2", {id: "course"}, "Course"), spans(chosen, SPANS, (seconds) => { chosen = seconds; drawCharts(); })),
      found[0].length ? h("div", {class: "panel"}, lanes(found[0], from, to, false)) : "",
      ...found.slice(1).map(percent).map((told) => h("div", {class: "panel"},
        h("div", {class: "head"}, h("h3", {}, nameOf(told.name)), h("a", {href: `/api/nodes/${id}/history.csv?name=${encodeURIComponent(told.name)}&${query}`}, "CSV")),
        told.points.length ? curve(told, from, to, UNITS[told.name] ?? "") : h("p", {class: "quiet"}, "Nothing in this span."))));
    if (before?.startsWith("span-")) document.getElementById(before)?.focus();
  }

  async function drawQueue() {
    const rows = (await get(`/api/nodes/${id}/queue`)).reverse();
    const keep = async (body) => {
      await send("POST", `/api/nodes/${id}/queue`, body);
      await refreshAll([id]);
    };
    const table = rows.length ? h("div", {class: "scroll"}, h("table", {},
      h("thead", {}, h("tr", {}, ["Request", "State", ""].map((name) => h("th", {scope: "col"}, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {},
        h("td", {}, h("code", {}, `${row.method} ${row.path}`), row.payload ? ` ${row.payload.slice(0, 60)}` : ""),
        h("td", {}, row.result || row.state),
        h("td", {}, h("button", {type: "button", "aria-label": `Delete ${row.method} ${row.path}`, onclick: async () => {
          await send("DELETE", `/api/nodes/${id}/queue/${row.id}`);
          await refreshAll([id]);
        }}, "Delete"))))))) : h("p", {class: "quiet"}, node.awake ? "Nothing waits: the node is awake." : "Nothing waits for its next report.");
    queue.replaceChildren(h("h2", {id: "waits"}, "What waits"), table, node.keys ? h("div", {},
      form({id: "beat"}, (element) => keep({method: "PUT", path: "config", payload: {heartbeat_s: Math.round(element.elements.minutes.value * 60)}}),
        h("label", {for: "minutes"}, "Report every … minutes", h("input", {id: "minutes", name: "minutes", type: "number", min: 1, max: 1440, step: 1, required: true, value: Math.round(node.beat / 60)})),
        h("button", {class: "main", type: "submit"}, node.awake ? "Send" : "Tell it at its next report")),
      h("details", {}, h("summary", {}, "Another request"), form({id: "request"}, ({elements}) => keep({method: elements.method.value, path: elements.path.value, payload: elements.payload.value || null}),
        h("label", {for: "method"}, "Method", h("select", {id: "method", name: "method"}, ["GET", "PUT", "POST", "DELETE", "iPATCH"].map((name) => h("option", {}, name)))),
        h("label", {for: "path"}, "Path", h("input", {id: "path", name: "path", required: true, autocomplete: "off", spellcheck: "false"})),
        h("label", {for: "payload"}, "Text", h("input", {id: "payload", name: "payload", autocomplete: "off"})),
        h("button", {type: "submit"}, "Keep it")))) :
      h("p", {class: "quiet"}, "Changes need keys: a node accepts none in the clear. ", h("code", {}, `make keys NODE=${node.ep}`), " makes them."));
  }

  async function drawList() {
    const told = await get(`/api/nodes/${id}/events?last=${EVENTS}`);
    list.hidden = !told.length;
    list.replaceChildren(h("div", {class: "head"}, h("h2", {id: "told"}, "Events"), h("a", {href: `/api/nodes/${id}/events.csv`}, "All as CSV")),
      h("div", {class: "scroll"}, h("table", {}, h("thead", {}, h("tr", {}, ["When", "What"].map((name) => h("th", {scope: "col"}, name)))),
        h("tbody", {}, told.reverse().map((event) => h("tr", {}, h("td", {}, clock(event.at)), h("td", {}, eventText(event))))))));
  }

  function drawAbout() {
    const remove = h("button", {class: "danger", type: "button", id: "remove", onclick: async () => {
      if (!remove.dataset.sure) {
        remove.dataset.sure = "1";
        remove.textContent = `Really remove ${node.title}?`;
        return;
      }
      await send("DELETE", `/api/nodes/${id}`);
      await refreshAll([id]);
      location.hash = "#/";
    }}, "Remove …");
    about.replaceChildren(h("h2", {id: "about"}, "About"), facts(node), h("p", {class: "noprint"}, remove));
    label.replaceChildren(h("h2", {id: "label-title"}, "Label"), h("p", {class: "label"}, h("a", {href: `/api/nodes/${id}/label.svg`, target: "_blank"},
      h("img", {src: `/api/nodes/${id}/label.svg`, alt: `QR code with the address of ${node.title}: open it to print it`}))));
  }

  async function draw(ids) {
    if (ids && !ids.includes(id)) return;
    const first = node === null;
    const before = JSON.stringify(node);
    node = await get(`/api/nodes/${id}`);
    if (JSON.stringify(node) === before) return;
    drawHead();
    drawState();
    if (first || !about.contains(document.activeElement)) drawAbout();
    const typing = queue.contains(document.activeElement) && document.activeElement.matches("input, select");
    await Promise.all([drawCharts(), drawList(), typing ? null : drawQueue()]);
  }
  return draw;
}
