// A page for each model, from its card: what it is for, how well it reads, where it fails. What the card does not
// hold is said to be missing, never drawn.

import * as api from "./api.js";
import * as charts from "./charts.js";
import { facts, h, number, percent, put } from "./dom.js";

export async function show(main, { id, signal }) {
  const { models } = await api.models();
  if (signal.aborted) return;
  const wanted = id ? models.filter((model) => model.id === decodeURIComponent(id)) : models;
  document.title = `${id && wanted.length ? id : "Models"} · MediScan`;
  if (id && wanted.length) return put(main, model(wanted[0]));
  put(main, h("h1", {}, "Models"),
    h("p", { className: "lead" }, id ? "This model is not offered here (any more)." : "What the house reads images with."),
    h("ul", { className: "files" }, models.map(({ id: name, card, is_default: isDefault }) =>
      h("li", { className: "sheet row spread" },
        h("div", {}, h("a", { href: `#/models/${name}`, className: "name" }, name), h("p", { className: "soft small" }, purpose(card))),
        isDefault && h("span", { className: "chip" }, "default")))),
    models.length === 0 && h("p", { className: "note warn" }, "No worker offers a model at present."));
}

const purpose = (card) => card.positive_means ? `Positive means: ${card.positive_means}` : "Its card does not say what Positive means.";

function model({ id, card, is_default: isDefault }) {
  const splits = Object.entries(card.metrics ?? {}).filter(([, metrics]) => typeof metrics?.auc === "number");
  const chosen = card.operating_point?.chosen_on ?? "";
  const first = splits.findIndex(([name]) => chosen.endsWith(name.split("/")[1] ?? "\u0000"));
  const place = h("div", { className: "stack" });
  const pick = h("select", { onchange: () => put(place, split(...splits[pick.value], card)) },
    splits.map(([name], at) => h("option", { value: String(at), selected: at === Math.max(first, 0) }, name.replaceAll("_", " "))));
  if (splits.length) put(place, split(...splits[Math.max(first, 0)], card));
  return h("article", { className: "stack" },
    h("header", { className: "row spread" }, h("div", {}, h("h1", {}, id), h("p", { className: "lead" }, purpose(card))),
      isDefault && h("span", { className: "chip" }, "default")),
    h("div", { className: "grid" },
      h("section", { className: "sheet stack" }, h("h2", {}, "Intended use"), card.intended_use && h("p", {}, card.intended_use), facts([
        ["Images", [card.modality, card.body_part].flat().filter(Boolean).join(", ")], ["Positive means", card.positive_means],
        ["Labels", (card.labels ?? []).join(", ")], ["Made", card.created?.slice(0, 10)], ["Network", card.architecture],
        ["Threshold", card.threshold], ["Chosen on", chosen], ["Error rate of its label sets", card.conformal && percent(card.conformal.alpha, 0)],
        ["Abstains", "where the evidence does not decide, and from what is unlike its training images"],
      ])),
      h("section", { className: "sheet stack" }, h("h2", {}, "Limits"), (card.limits ?? []).length
        ? h("ul", { className: "limits" }, card.limits.map((limit) => h("li", {}, limit)))
        : h("p", {}, "The card states none."))),
    splits.length
      ? h("section", { className: "stack", "aria-label": "How well it reads" },
          h("div", { className: "row spread" }, h("h2", {}, "How well it reads"), h("label", { className: "field" }, h("span", {}, "Measured on"), pick)), place)
      : h("p", { className: "note warn" }, "The card holds no measurements."),
    overview(splits),
    h("section", { className: "sheet stack" }, h("h2", {}, "Data"), (card.data ?? []).length
      ? h("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Data" }, h("table", {}, h("thead", {}, h("tr", {}, ["Set", "Used for", "Licence"].map((name) => h("th", { scope: "col" }, name)))),
          h("tbody", {}, card.data.map((set) => h("tr", {}, [set.name, set.used_for, set.licence].map((cell) => h("td", {}, cell)))))))
      : h("p", {}, "The card does not say what it was trained on."),
      facts(Object.entries(card.files ?? {}).map(([name, file]) => [`SHA-256 ${name}`, h("code", {}, file.sha256)]))));
}

/** One measurement: its figures with intervals, confusion, ROC and reliability. */
function split(name, metrics, card) {
  return [
    h("p", { className: "soft" }, metrics.split ?? name, ` · ${metrics.n} images, ${metrics.n_positive} positive`, metrics.groups ? `, ${metrics.groups} groups` : ""),
    h("div", { className: "grid pairs" },
      h("section", { className: "sheet stack" }, h("h3", {}, "Figures with 95 % intervals"), charts.intervals([
        ["AUC", metrics.auc, metrics.auc_interval], ["Sensitivity", metrics.sensitivity, metrics.sensitivity_interval],
        ["Specificity", metrics.specificity, metrics.specificity_interval],
      ]), facts([
        ["PPV, NPV", `${number(metrics.ppv, 3)}, ${number(metrics.npv, 3)} (at this share of positives)`], ["Calibration error", number(metrics.ece, 3)],
        ["Brier score", number(metrics.brier, 3)], ["Abstained", percent(metrics.abstained)], ["Accuracy of the rest", percent(metrics.accuracy_kept)],
      ])),
      h("section", { className: "sheet stack" }, h("h3", {}, `Confusion at threshold ${card.threshold}`), charts.confusion(metrics),
        h("p", { className: "small soft" }, "Counted back from sensitivity, specificity and the numbers of images.")),
      curve("ROC", metrics.roc, () => charts.roc(metrics)),
      curve("Reliability", metrics.reliability, () => [charts.reliability(metrics),
        h("p", { className: "small soft" }, "One dot for each tenth of P(positive), as large as it holds images; on the dashed line, what is said is what is.")]))];
}

function curve(title, points, draw) {
  return h("section", { className: "sheet stack" }, h("h3", {}, title), Array.isArray(points) && points.length > 1
    ? draw()
    : h("p", { className: "soft" }, "The card of this model holds no points of this curve for this measurement."));
}

function overview(splits) {
  if (splits.length < 2) return null;
  const head = ["Measured on", "Images", "AUC", "Sensitivity", "Specificity", "Calibration error"];
  const with_ = (value, interval) => interval ? `${number(value, 3)} (${number(interval[0], 3)}–${number(interval[1], 3)})` : number(value, 3);
  return h("section", { className: "sheet stack" }, h("h2", {}, "All measurements"),
    h("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "All measurements" }, h("table", { className: "num" },
      h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, splits.map(([name, m]) => h("tr", {}, [name.replaceAll("_", " "), m.n, with_(m.auc, m.auc_interval),
        with_(m.sensitivity, m.sensitivity_interval), with_(m.specificity, m.specificity_interval), number(m.ece, 3)].map((cell) => h("td", {}, cell))))))));
}
