// Drawings of a model's measurements: plain SVG, each with its numbers in words for who cannot see it.

import { h, number, s } from "./dom.js";

const SIDE = 200;
const LEFT = 34;
const TOP = 8;

const x = (value) => LEFT + SIDE * value;
const y = (value) => TOP + SIDE * (1 - value);

/** Values in [0, 1] with their intervals, one a line. */
export function intervals(rows) {
  const height = 46 * rows.length + 22;
  return s("svg", { viewBox: `0 0 320 ${height}`, class: "chart", role: "img", "aria-label": rows.map(([name, value, reach]) =>
    `${name} ${number(value, 3)}${reach ? `, from ${number(reach[0], 3)} to ${number(reach[1], 3)}` : ""}`).join("; ") },
  rows.map(([name, value, reach], row) => {
    const at = 30 + 46 * row, along = (part) => 10 + 300 * part;
    return [
      s("text", { x: 10, y: at - 12 }, `${name} ${number(value, 3)}${reach ? ` (${number(reach[0], 3)}–${number(reach[1], 3)})` : ""}`),
      s("line", { class: "axis", x1: 10, x2: 310, y1: at, y2: at }),
      reach && s("line", { class: "reach", x1: along(reach[0]), x2: along(reach[1]), y1: at, y2: at, "stroke-width": 8 }),
      s("circle", { class: "dot", cx: along(value), cy: at, r: 5 })];
  }),
  ["0", "0.5", "1"].map((label, at) => s("text", { x: 10 + 150 * at, y: height - 4, "text-anchor": ["start", "middle", "end"][at] }, label)));
}

/** How many of which went which way, from what the card states. */
export function confusion({ n, n_positive: positive, sensitivity, specificity }) {
  const hit = Math.round(sensitivity * positive), rejected = Math.round(specificity * (n - positive));
  const cell = (count, right) => h("td", { className: `num ${right ? "right" : "wrong"}` }, String(count));
  return h("table", { className: "confusion" },
    h("thead", {}, h("tr", {}, h("td", {}), ["read Positive", "read Negative"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {},
      h("tr", {}, h("th", { scope: "row" }, "is Positive"), cell(hit, true), cell(positive - hit, false)),
      h("tr", {}, h("th", { scope: "row" }, "is Negative"), cell(n - positive - rejected, false), cell(rejected, true))));
}

/** roc: pairs of false and true positive rate. */
export function roc({ roc: points, sensitivity, specificity, auc }) {
  const line = points.map(([fpr, tpr]) => `${x(fpr)},${y(tpr)}`).join(" ");
  return square(`ROC curve, area ${number(auc, 3)}; at the threshold, sensitivity ${number(sensitivity, 3)} at specificity ${number(specificity, 3)}.`,
    "1 − specificity", "sensitivity",
    s("polygon", { class: "area", points: `${x(0)},${y(0)} ${line} ${x(1)},${y(0)}` }),
    s("polyline", { class: "even", points: `${x(0)},${y(0)} ${x(1)},${y(1)}` }),
    s("polyline", { class: "curve", points: line }),
    s("circle", { class: "mark", cx: x(1 - specificity), cy: y(sensitivity), r: 5 }));
}

/** reliability: for each bin, mean probability stated, share that was positive, number of images. */
export function reliability({ reliability: bins, ece }) {
  const most = Math.max(...bins.map(([, , count]) => count));
  return square(`Reliability: calibration error ${number(ece, 3)}. ${bins.map(([said, was, count]) => `${number(said)} said, ${number(was)} positive of ${count}`).join("; ")}.`,
    "P(positive) stated", "share positive",
    s("polyline", { class: "even", points: `${x(0)},${y(0)} ${x(1)},${y(1)}` }),
    bins.map(([said, was]) => s("line", { class: "reach", x1: x(said), x2: x(said), y1: y(said), y2: y(was) })),
    bins.map(([said, was, count]) => s("circle", { class: "dot", cx: x(said), cy: y(was), r: 2.5 + 5 * Math.sqrt(count / most) })));
}

function square(label, below, beside, ...drawn) {
  return s("svg", { viewBox: `0 0 ${LEFT + SIDE + 12} ${TOP + SIDE + 36}`, class: "chart", role: "img", "aria-label": label },
    s("rect", { class: "axis", x: LEFT, y: TOP, width: SIDE, height: SIDE }), drawn,
    [0, 1].map((end) => s("text", { x: x(end), y: y(0) + 14, "text-anchor": end ? "end" : "start" }, String(end))),
    s("text", { x: x(0.5), y: y(0) + 28, "text-anchor": "middle" }, below),
    s("text", { x: 14, y: y(0.5), "text-anchor": "middle", transform: `rotate(-90 14 ${y(0.5)})` }, beside));
}
