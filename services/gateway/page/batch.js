// One batch: how far it has come, what was refused and why. Its jobs stand below, as on the list of all jobs.

import * as api from "./api.js";
import { announce, facts, h, put, trouble } from "./dom.js";
import { section } from "./jobs.js";

const LOOK_EVERY_MS = 2000;

export async function show(main, { id, signal }) {
  document.title = "Batch · MediScan";
  const place = { head: h("div", { className: "stack" }), jobs: h("div", { className: "stack" }) };
  put(main, h("div", { className: "stack" }, place.head, place.jobs));
  const path = `v1/batches/${encodeURIComponent(id)}`;
  const list = async () => put(place.jobs, await section("Its jobs", { batch: id }, 50, signal));
  let shown = -1;
  while (!signal.aborted) {
    const batch = await api.get(path, { signal });
    put(place.head, head(batch, path));
    if (batch.progress !== shown && (shown < 0 || batch.state !== "running")) await list();
    shown = batch.progress;
    if (batch.state !== "running") return announce(`The batch is ${batch.state}`);
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
  }
}

function head(batch, path) {
  const { submitted, ...counts } = batch.counts;
  const off = h("button", { type: "button", className: "quiet", onclick: () =>
    api.post(`${path}/cancel`).catch((error) => off.after(trouble(error))) }, "Call off");
  return [
    h("div", { className: "row spread" }, h("div", {}, h("h1", {}, "Batch"), h("p", { className: "soft mono" }, batch.id)),
      h("div", { className: "row actions" }, h("span", { className: "chip" }, batch.state), batch.state === "running" && off)),
    h("div", { className: "row" }, h("progress", { max: 1, value: batch.progress, "aria-label": "Part of the batch that is done" }),
      h("span", { className: "soft num" }, `${Math.round(batch.progress * submitted)} of ${submitted} are done`)),
    h("div", { className: "sheet" }, facts(Object.entries(counts).filter(([, count]) => count).map(([name, count]) => [name, String(count)]))),
    batch.refused.length > 0 && h("section", { className: "note bad", "aria-label": "Refused" }, h("strong", {}, "Refused"),
      h("ul", {}, batch.refused.map((item) => h("li", {}, `image ${item.index + 1}: ${item.problem.detail} `, h("code", {}, item.problem.code)))))];
}
