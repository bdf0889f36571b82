// One job: its steps as they happen, then its result. The address is all that is needed to come back to it.

import * as api from "./api.js";
import { announce, h, put, trouble } from "./dom.js";
import { follow } from "./follow.js";
import { previews } from "./previews.js";
import * as result from "./result.js";
import { viewer } from "./viewer.js";
import * as words from "./words.js";

//: After these the job holds something new to show.
const TELLING = new Set(["ml.done", "gemini.done", "gemini.unavailable", "completed", "failed", "cancelled", "expired", "over"]);
//: How often a job that waits is asked for its place in line, which no event tells.
const LOOK_EVERY_MS = 3000;
const RETRYABLE = new Set(["failed", "cancelled", "expired"]);

export async function show(main, { id, signal }) {
  const place = { head: h("header", { className: "stack" }), line: h("div"), answer: h("div", { className: "second" }), rest: h("div", { className: "stack" }), note: h("div") };
  const image = viewer(previews.of(id));
  const told = new Set();
  put(main, h("article", { className: "stack" }, place.head, place.note, place.line,
    h("div", { className: "bench" }, image.element, place.answer), place.rest));

  const refresh = async () => {
    const job = await api.get(api.job(id), { signal });
    await paint(job);
    return job;
  };
  let painted = 0;
  const paint = async (job) => {
    const card = await cardOf(job, signal);
    if (signal.aborted || job.version < painted) return;
    painted = job.version;
    document.title = `${words.title(job)} · MediScan`;
    put(place.head, head(job, refresh, place.note));
    put(place.line, stages(job, told));
    put(place.answer, job.result ? result.answer(job, card) : job.ended_at ? result.failure(job) : result.waiting(job));
    put(place.rest, result.readers(job), result.provenance(job));
    if (job.readings.ml.state === "done") image.show(job, signal);
  };

  let job = await refresh();
  if (job.ended_at) return;
  const line = setInterval(async () => {
    if (job.state === "queued" && document.visibilityState === "visible") job = await refresh().catch(() => job);
  }, LOOK_EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(line));
  await follow(id, {
    signal,
    tell: async (event) => {
      told.add(event.type);
      put(place.line, stages(job, told));
      announce(spoken(event));
      if (TELLING.has(event.type)) job = await refresh();
    },
    away: (pause) => put(place.note, h("p", { className: "note warn", role: "status" },
      h("strong", {}, "Connection lost. "), `The job goes on; looking again in ${Math.ceil(pause)} s.`)),
    back: () => { put(place.note); announce("Connected again"); },
  });
  clearInterval(line);
  if (job.result) announce(`Result: ${words.verdict(job.result).word}. ${job.result.needs_review ? "Needs review." : ""}`);
}

async function cardOf(job, signal) {
  const read = job.readings.ml.model;
  if (!read || signal.aborted) return null;
  const offered = await api.models().catch(() => ({ models: [] }));
  return offered.models.find((model) => model.id === `${read.name}/${read.version}`)?.card ?? null;
}

function head(job, refresh, note) {
  const failed = (error) => put(note, trouble(error));
  const act = (name, className, work) => h("button", { type: "button", className, onclick: () => work().catch(failed) }, name);
  const post = (verb) => api.post(`${api.job(job.id)}/${verb}`);
  return [
    h("div", { className: "row spread" },
      h("div", {}, h("h1", {}, words.title(job)), h("p", { className: "soft mono" }, job.id)),
      h("div", { className: "row actions" },
        h("span", { className: `chip ${RETRYABLE.has(job.state) ? "bad" : ""}`.trim() }, words.state(job.state)),
        job.result && act("Report (PDF)", "", () => report(job)),
        job.result && act("Print", "quiet", async () => print()),
        !job.ended_at && act("Call off", "quiet", async () => { await post("cancel"); await refresh(); }),
        RETRYABLE.has(job.state) && act("Try again", "", async () => { location.hash = `#/jobs/${(await post("retry")).id}`; }),
        job.ended_at && act("Erase", "quiet", () => erase(job))))];
}

/** As a file, by fetch, because a link could not send the key. */
async function report(job) {
  const url = await api.blobUrl(`${api.job(job.id)}/report.pdf`);
  h("a", { href: url, download: `mediscan-${job.id}.pdf` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function erase(job) {
  if (!confirm("Erase this job for good: image, readings and result?")) return;
  await api.call("DELETE", api.job(job.id));
  location.hash = "#/";
}

/** What came, what comes, what will not come. Times are since submission. */
function stages(job, told) {
  const { ml, gemini } = job.readings;
  const over = Boolean(job.ended_at);
  const settled = (reading) => !["pending", "claimed"].includes(reading.state);
  const steps = [
    ["Queued", told.has("ml.started") || ml.state !== "pending" || over ? "done" : "now", since(job.timings.queued_ms, "waited")],
    ["Model reads", ml.state === "done" || told.has("ml.done") ? "done" : over ? "off" : told.has("ml.started") || ml.state === "claimed" ? "now" : "", since(job.timings.ml_ms)],
    ["Gemini reads", secondReader(gemini, told, over), gemini.state === "skipped" ? "not asked" : gemini.state === "unavailable" ? "no reading" : since(job.timings.gemini_ms)],
    ["Joined", job.result ? "done" : over ? "off" : told.has("fusion.started") || (settled(ml) && settled(gemini)) ? "now" : "", since(job.timings.total_ms)],
  ];
  return h("ol", { className: "stages", "aria-label": "Steps" }, steps.map(([name, state, extra]) =>
    h("li", { className: state, "aria-current": state === "now" ? "step" : null }, h("b", {}, name), extra,
      h("span", { className: "unseen" }, state === "done" ? " done" : state === "now" ? " under way" : state === "off" ? " not" : " to come"))));
}

function secondReader(gemini, told, over) {
  if (gemini.state === "done") return "done";
  if (gemini.state === "skipped" || gemini.state === "unavailable" || over) return "off";
  return told.has("gemini.started") || gemini.state === "claimed" ? "now" : "";
}

function since(ms, word = "after") {
  if (ms === null || ms === undefined) return "";
  return ms < 1000 ? `${word} ${Math.round(ms)} ms` : `${word} ${(ms / 1000).toFixed(1)} s`;
}

function spoken(event) {
  return {
    "ml.started": "The model reads.", "ml.done": "The model has read.", "gemini.started": "Gemini reads.",
    "gemini.done": "Gemini has read.", "gemini.unavailable": "There will be no second reading.", "fusion.started": "The readings are joined.",
    completed: "Completed.", failed: "Failed.", cancelled: "Called off.", expired: "Expired.",
  }[event.type] ?? "Queued.";
}
