// The risk gauge: bands, hand, and the doubt. Where the model abstained there is no hand and no score: there is no risk.

import { h, number, s } from "./dom.js";
import { band } from "./words.js";

const CENTRE = [120, 118];
const RADIUS = 88;

/** result: of the job; ml: its reading; zone: the scores between which the model cannot decide, if its card is known. */
export function gauge(result, ml, zone) {
  const { risk } = result;
  const isVoid = !result.label;
  const isUnknown = ml.abstain_reason === "out_of_distribution"; // then nothing that the model says has a place here
  if (isUnknown) zone = null;
  const threshold = isUnknown || typeof risk.threshold !== "number" ? null : 100 * risk.threshold;
  const voices = result.provenance
    .filter((voice) => !(isUnknown && voice.reader === "ml"))
    .map((voice) => ({ name: voice.reader === "ml" ? "M" : "G", at: 100 * voice.p_positive }));
  return h("figure", { className: "plain stack" },
    s("svg", { viewBox: isVoid ? "0 0 240 142" : "0 0 240 174", class: `gauge${isVoid ? " void" : ""}`, role: "img", "aria-label": described(result, voices, zone, threshold) },
      arc("band low", 0, risk.moderate_from - 0.7),
      arc("band moderate", risk.moderate_from + 0.7, risk.high_from - 0.7),
      arc("band high", risk.high_from + 0.7, 100),
      zone && arc("zone", zone[0], zone[1], RADIUS - 17),
      threshold !== null && tick("edge", threshold, RADIUS - 13, RADIUS + 15),
      voices.length > 1 && arc("span", ...minMax(voices.map((voice) => voice.at)), RADIUS + 21),
      apart(voices).map((voice) => [
        circle("reader", voice.shown, RADIUS + 21, 7.5),
        text("letter", voice.name, ...point(voice.shown, RADIUS + 21), 3.5)]),
      isVoid ? null : tick("hand", risk.score, 0, RADIUS - 24),
      isVoid ? null : s("circle", { class: "hub", cx: CENTRE[0], cy: CENTRE[1], r: 6 }),
      text("score", isVoid ? "no decision" : String(risk.score), CENTRE[0], CENTRE[1], isVoid ? -20 : 37),
      text("of", isVoid ? "no risk is stated" : "of 100", CENTRE[0], CENTRE[1], isVoid ? -3 : 52),
      text("", "0", CENTRE[0] - RADIUS, CENTRE[1], 18), text("", "100", CENTRE[0] + RADIUS, CENTRE[1], 18)),
    h("figcaption", { className: "key" },
      voices.length > 0 && h("span", { className: "k-reader" }, voices.map(({ name }) => (name === "M" ? "M model" : "G Gemini")).join(", ")),
      threshold !== null && h("span", { className: "k-edge" }, `threshold ${number(threshold, 0)}`),
      zone && h("span", { className: "k-zone" }, `cannot decide ${number(zone[0], 0)}–${number(zone[1], 0)}`)));
}

/** From a model's card: the scores at which neither label, or no label at all, can be ruled out (split conformal). */
export function doubtZone(card) {
  const { least_negative: negative, least_positive: positive } = card?.conformal ?? {};
  if (negative === undefined || positive === undefined) return null;
  const [from, to] = minMax([100 * positive, 100 * (1 - negative)]);
  return to - from < 0.5 ? null : [from, to];
}

function described({ risk, label }, voices, zone, threshold) {
  const parts = [label
    ? `Risk ${risk.score} of 100, ${band(risk.band).toLowerCase()} band.`
    : "No decision, so no risk is stated."];
  if (threshold !== null) parts.push(`Threshold ${number(threshold, 0)}.`);
  parts.push(...voices.map(({ name, at }) => `${name === "M" ? "Model" : "Gemini"} at ${number(at, 0)}.`));
  if (zone) parts.push(`Between ${number(zone[0], 0)} and ${number(zone[1], 0)} the model cannot decide.`);
  return parts.join(" ");
}

const minMax = (values) => [Math.min(...values), Math.max(...values)];

/** Two marks that would cover each other are drawn beside each other. */
function apart(voices) {
  if (voices.length < 2 || Math.abs(voices[0].at - voices[1].at) > 6) return voices.map((voice) => ({ ...voice, shown: voice.at }));
  const middle = Math.min(97, Math.max(3, (voices[0].at + voices[1].at) / 2));
  const first = voices[0].at <= voices[1].at ? -3 : 3;
  return [{ ...voices[0], shown: middle + first }, { ...voices[1], shown: middle - first }];
}

function point(score, radius) {
  const angle = Math.PI * (1 - score / 100);
  return [CENTRE[0] + radius * Math.cos(angle), CENTRE[1] - radius * Math.sin(angle)];
}

function arc(name, from, to, radius = RADIUS) {
  const [x0, y0] = point(from, radius), [x1, y1] = point(to, radius);
  return s("path", { class: name, d: `M${x0} ${y0}A${radius} ${radius} 0 0 1 ${x1} ${y1}` });
}

function tick(name, score, inner, outer) {
  const [x1, y1] = point(score, inner), [x2, y2] = point(score, outer);
  return s("line", { class: name, x1, y1, x2, y2 });
}

function circle(name, score, radius, r) {
  const [cx, cy] = point(score, radius);
  return s("circle", { class: name, cx, cy, r });
}

function text(name, words, x, y, down) {
  return s("text", { class: name, x, y: y + down, "text-anchor": "middle" }, words);
}
