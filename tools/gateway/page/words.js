// Words and elements: how times, values and states are said, and how elements are made.

const UNITS = [["year", 31557600], ["month", 2629800], ["day", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const PLURAL = new Set(["year", "month", "week", "day"]);
const NAMES = {hr: "Heart rate", spo2: "Oxygen", steps: "Steps", temp: "Temperature", batt: "Battery", contact: "Contact", tamper: "Lid"};
const SUFFIXES = {"/min": "\u00a0/min", "beat/min": "\u00a0/min", "%EL": "\u00a0%", "%": "\u00a0%", "Cel": "\u00a0°C", "count": "", "V": "\u00a0V"};

export const NEEDS = {tamper: "Lid is off", overdue: "Overdue", open: "Open", battery: "Battery", keys: "Keys"};

let offsetS = 0;

// The gateway's time in seconds: a phone's own clock may be wrong.
export const now = () => Date.now() / 1000 + offsetS;

export function setClock(response) {
  const date = Date.parse(response.headers.get("Date"));
  if (Math.abs(date - Date.now()) > 5000) offsetS = (date - Date.now()) / 1000;
}

// An element; `on*` attributes are listeners, false and null leave an attribute out.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Texts that change with time: a function each, called every second while its element is shown.
const ticking = new Map();
export function ticks(element, text) {
  ticking.set(element, text);
  element.textContent = text();
  return element;
}
export function tick() {
  for (const [element, text] of ticking) {
    if (!element.isConnected) ticking.delete(element);
    else if (element.textContent !== text()) element.textContent = text();
  }
}

const said = (count, name) => `${count}\u00a0${PLURAL.has(name) && count !== 1 ? name + "s" : name}`;

// "12 min", "3 h", "2 days": one unit, two where the first is small and the second says much.
export function span(seconds) {
  let left = Math.max(0, Math.round(seconds));
  if (left < 1) return said(0, "s");
  const index = UNITS.findIndex(([, size]) => left >= size);
  const [name, size] = UNITS[index];
  const count = Math.floor(left / size);
  left -= count * size;
  const next = UNITS[index + 1];
  const more = next && count < 3 && name !== "min" ? Math.floor(left / next[1]) : 0;
  return more ? `${said(count, name)} ${said(more, next[0])}` : said(count, name);
}

export const ago = (at) => at === null || at === undefined ? "never" : now() - at < 2 ? "now" : `${span(now() - at)} ago`;

export function clock(at) {
  const date = new Date(at * 1000);
  const today = new Date(now() * 1000).toDateString() === date.toDateString();
  const time = date.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"});
  return today ? time : `${date.toLocaleDateString([], {day: "numeric", month: "short"})}, ${time}`;
}

// "Open for 12 min"; beyond an hour a node's clock may have drifted.
export function stateOf(node) {
  const contact = node.last["s/contact"];
  if (contact) {
    const age = now() - node.since;
    return `${contact.value ? "Open" : "Closed"} for ${age > 3600 ? "about " : ""}${span(age)}`;
  }
  const shown = ["s/hr", "s/spo2", "s/temp", "s/steps"].filter((path) => path in node.last);
  if (shown.length) return shown.slice(0, 3).map((path) => value(node.last[path])).join(" · ");
  return node.heard ? "Nothing told yet" : "Never heard";
}

export function presence(node) {
  if (node.heard === null) return "not heard yet";
  if (node.awake) return `awake, heard ${ago(node.heard)}`;
  if (node.overdue) return `overdue: last heard ${ago(node.heard)}`;
  const left = node.due - now();
  return left >= 0 ? `asleep, due in ${span(left)}` : `asleep, due ${span(-left)} ago`;
}

// "83 %, about 13 months left (12 to 15)", in the unit that suits the middle.
export function batteryText({percent, days, low, high}) {
  const level = `${Math.round(percent)}\u00a0%`;
  if (days === null) return level;
  const [name, size] = days < 21 ? ["day", 1] : days < 60 ? ["week", 7] : days < 730 ? ["month", 30.4] : ["year", 365.25];
  const [least, middle, most] = [low, days, high].map((count) => count === null ? null : Math.round(count / size));
  const range = most === null ? ` (${least} or more)` : least === most ? "" : ` (${least} to ${most})`;
  return `${level}, about ${said(middle, name)} left${range}`;
}

export function value({value: told, unit}) {
  if (typeof told === "boolean") return told ? "yes" : "no";
  if (unit === "/" && typeof told === "number") return `${Math.round(100 * told)}\u00a0%`;
  const number = typeof told === "number" ? Number(told.toFixed(1)).toLocaleString() : told;
  return `${number}${SUFFIXES[unit] ?? (unit ? " " + unit : "")}`;
}

// The EUI-64 of a node as it is printed on a board.
export const mac = (eui) => eui?.replace(/(..)(?=.)/g, "$1:");

export const nameOf = (name) => NAMES[name] ?? name;

export function eventText({source, value: told}) {
  if (source === "contact") return told ? "Opened" : "Closed";
  if (source === "tamper") return told ? "Lid taken off" : "Lid put on";
  return `${nameOf(source)} ${told}`;
}
