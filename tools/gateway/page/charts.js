// Charts: lanes of open and closed, and curves by uPlot.

import {clock, h, nameOf, span} from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;  // units of a lane, stretched to the width there is
const LEAST = 3;  // units of the shortest opening: a door that was open for a second is seen

function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Pieces [from, to, kind] of a lane: what the contact was, "unknown" where nobody knows.
export function pieces(lane, from, to) {
  const found = [];
  let at = from;
  let kind = lane.before === null ? "unknown" : lane.before ? "open" : "closed";
  for (const [time, value] of lane.contact) {
    found.push([at, time, kind]);
    at = time;
    kind = value ? "open" : "closed";
  }
  const known = Math.min(to, lane.known ?? to);
  if (known > at) found.push([at, known, kind]);
  if (known < to) found.push([Math.max(at, known), to, "unknown"]);
  for (const [start, end] of lane.gaps) found.push([Math.max(start, from), Math.min(end, to), "unknown"]);
  return found.filter(([start, end]) => end > start);
}

function laneChart(lane, from, to) {
  const x = (at) => (at - from) / (to - from) * WIDTH;
  const drawn = pieces(lane, from, to);
  const order = {closed: 0, unknown: 1, open: 2};
  const bars = [...drawn].sort((a, b) => order[a[2]] - order[b[2]]).map(([start, end, kind]) => {
    const bar = s("rect", {class: kind, x: x(start), y: 0, width: Math.max(LEAST, x(end) - x(start)), height: 20});
    bar.append(s("title", {}, `${kind}, ${clock(start)} to ${clock(end)} (${span(end - start)})`));
    return bar;
  });
  const lids = lane.tamper.filter(([, off]) => off).map(([at]) =>
    s("rect", {class: "tamper", x: x(at), y: 0, width: LEAST, height: 20}, s("title", {}, `lid taken off, ${clock(at)}`)));
  const openings = drawn.filter(([, , kind]) => kind === "open");
  const total = openings.reduce((sum, [start, end]) => sum + end - start, 0);
  const said = `${lane.title}: open ${openings.length === 1 ? "once" : `${openings.length} times`}, ${span(total)} in all` +
    (lids.length ? `; lid taken off ${lids.length} times` : "");
  return s("svg", {viewBox: `0 0 ${WIDTH} 20`, preserveAspectRatio: "none", role: "img", "aria-label": said}, ...bars, ...lids);
}

// Times for the marks of an axis, at most `count`, on whole hours or days of this place.
function marks(from, to, count) {
  const steps = [900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400];
  const step = steps.find((size) => (to - from) / size <= count) ?? 30 * 86400;
  const shift = new Date(to * 1000).getTimezoneOffset() * 60;
  const found = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) found.push([at, step]);
  return found;
}

// A time as a mark of an axis: the day at midnight and in spans of weeks, else the hour.
function timeMark(at, seconds) {
  const date = new Date(at * 1000);
  if (seconds > 40 * 86400) return date.toLocaleDateString([], {day: "numeric", month: "short"});
  if (seconds && date.getHours() === 0 && date.getMinutes() === 0) return date.toLocaleDateString([], {weekday: "short", day: "numeric"});
  return date.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"});
}

export function lanes(list, from, to, link) {
  const box = h("div", {class: "lanes"});
  for (const lane of list) {
    box.append(h("div", {class: "lane"}, link ? h("a", {href: `#/node/${lane.node}`}, lane.title) : h("span", {}, "Contact"), laneChart(lane, from, to)));
  }
  const axis = h("div", {class: "axis", "aria-hidden": "true"});
  for (const [at, step] of marks(from, to, innerWidth < 600 ? 4 : 9)) {
    const place = (at - from) / (to - from) * 100;
    if (place < 3 || place > 97) continue;
    const mark = h("span", {}, timeMark(at, step < 86400 ? 0 : to - from));
    mark.style.left = `${place}%`;
    axis.append(mark);
  }
  box.append(h("div", {class: "lane foot"}, h("span"), axis));
  const seen = new Set(list.flatMap((lane) => pieces(lane, from, to).map((piece) => piece[2])));
  box.append(h("p", {class: "key"},
    h("span", {}, "closed"), h("span", {class: "open"}, "open"),
    seen.has("unknown") && h("span", {class: "unknown"}, "not known"),
    list.some((lane) => lane.tamper.some(([, off]) => off)) && h("span", {class: "tamper"}, "lid taken off")));
  return box;
}

// A choice of one span of time, as buttons.
export function spans(chosen, choices, onchoose) {
  return h("div", {class: "choice", role: "group", "aria-label": "Span of time"}, choices.map(([name, seconds]) =>
    h("button", {type: "button", id: `span-${seconds}`, "aria-pressed": String(chosen === seconds), onclick: () => onchoose(seconds)}, name)));
}

const drawn = new Map();  // element -> what draws it anew, in other colours or another width
const resized = new ResizeObserver((entries) => {
  for (const {target, contentRect} of entries) drawn.get(target)?.chart.setSize({width: Math.floor(contentRect.width), height: 180});
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const [box, {draw}] of drawn) if (box.isConnected) draw(); else drawn.delete(box);
});

// A curve with the range of its values where points are means.
export function curve(found, from, to, unit) {
  const box = h("div", {class: "curve", role: "img"});
  const [times, means, least, greatest] = [0, 1, 2, 3].map((index) => found.points.map((point) => point[index]));
  const digits = (number) => number === null || number === undefined ? "–" : `${Number(number.toFixed(1)).toLocaleString()}${unit}`;
  box.setAttribute("aria-label", times.length ?
    `${nameOf(found.name)}: last ${digits(means.at(-1))}, least ${digits(Math.min(...least))}, greatest ${digits(Math.max(...greatest))}` :
    `${nameOf(found.name)}: nothing in this span`);
  if (typeof uPlot === "undefined") {
    box.append(h("p", {class: "quiet"}, "Curves need uPlot: `make setup` installs it, with Node.js."));
    return box;
  }
  function draw() {
    drawn.get(box)?.chart.destroy();
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const axis = {stroke: colour("--quiet"), grid: {stroke: colour("--line"), width: 1}, ticks: {stroke: colour("--line"), width: 1}, font: "12px system-ui"};
    const options = {
      width: box.clientWidth || 300, height: 180, cursor: {sync: {key: "mote"}, drag: {x: false, y: false}},
      hooks: {setCursor: [(chart) => { if (chart.cursor.idx === null) chart.setLegend({idx: times.length - 1}, false); }]},
      scales: {x: {time: true, min: from, max: to}, y: {range: (chart, min, max) => min === max ? [min - 1, max + 1] : uPlot.rangeNum(min, max, 0.1, true)}},
      axes: [{...axis, space: 70, size: 32, values: (chart, times) => times.map((at) => timeMark(at, to - from))}, {...axis, size: 48}],
      series: [
        {label: "time", value: (chart, at) => at ? clock(at) : "–"},
        ...(found.level === "raw" ? [] : ["least", "greatest"].map((label) => ({label, stroke: "transparent", points: {show: false}, value: (chart, number) => digits(number)}))),
        {label: found.level === "raw" ? "value" : "mean", stroke: colour("--main"), width: 2, points: {size: 5, show: times.length < 60, fill: colour("--main")}, value: (chart, number) => digits(number)},
      ],
      bands: found.level === "raw" ? [] : [{series: [2, 1], fill: colour("--soft")}],
    };
    const data = found.level === "raw" ? [times, means] : [times, least, greatest, means];
    const chart = new uPlot(options, data, box);
    chart.setLegend({idx: times.length - 1}, false);
    drawn.set(box, {chart, draw});
  }
  requestAnimationFrame(() => { draw(); resized.observe(box); });
  return box;
}
