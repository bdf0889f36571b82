// The answer: verdict, risk and doubt, both readers, change, and who said it. What is no decision never looks like one.

import { facts, h, lasted, number, percent, time } from "./dom.js";
import { doubtZone, gauge } from "./gauge.js";
import * as words from "./words.js";

/** What a person sees first. card: of the model that read, if the house still offers it. */
export function answer(job, card) {
  const { result } = job;
  const ml = job.readings.ml;
  const { word, tone } = words.verdict(result);
  return h("section", { className: "sheet answer stack", "aria-label": "Answer" },
    h("div", { className: `verdict ${tone}` },
      h("p", { className: "word" }, word),
      result.label
        ? h("p", { className: "soft" }, `${words.band(result.risk.band)} risk, P(positive) ${number(result.p_positive)}`,
            result.label === "Positive" && card?.positive_means ? `. Positive means: ${card.positive_means}.` : "")
        : h("p", {}, h("strong", {}, "This is not a negative result. "), ml.abstain_reason && words.abstained(ml.abstain_reason))),
    h("p", { className: "chips" },
      result.needs_review && h("span", { className: "chip warn" }, "Needs review"),
      ml.abstain_reason && h("span", { className: "chip doubt" }, words.abstainedShort(ml.abstain_reason)),
      result.fallback && h("span", { className: "chip warn" }, "One reader only")),
    gauge(result, ml, doubtZone(card)),
    result.needs_review && h("div", { className: "note warn" }, h("strong", {}, "A person should look: "),
      h("ul", {}, result.review_reasons.map((reason) => h("li", {}, words.review(reason))))),
    result.fallback && h("div", { className: "note" }, h("strong", {}, "Rests on the model alone. "),
      words.noReading(result.fallback.reason), " ", h("code", {}, result.fallback.reason)),
    change(result.change, ml),
    h("details", {}, h("summary", {}, "In words"), h("p", {}, result.explanation)));
}

/** A job that came to nothing. */
export function failure(job) {
  return h("section", { className: "sheet answer stack", "aria-label": "Answer" },
    h("div", { className: "verdict bad" }, h("p", { className: "word" }, "No result"), h("p", {}, words.state(job.state), ".")),
    job.error && h("div", { className: "note bad" }, h("strong", {}, "Why: "), job.error.detail, " ", h("code", {}, job.error.code)));
}

/** A job that is under way. */
export function waiting(job) {
  const { position, estimated_wait_s: wait } = job.queue ?? {};
  return h("section", { className: "sheet answer stack", "aria-label": "Answer" },
    h("div", { className: "verdict" }, h("p", { className: "word" }, "Reading …"), h("p", { className: "soft" }, job.progress.step)),
    position && h("p", { className: "note" }, h("strong", {}, `Place ${position} `), "in line",
      typeof wait === "number" ? `; about ${wait < 90 ? `${Math.ceil(wait)} s` : `${Math.ceil(wait / 60)} min`} to wait.` : "."));
}

function change(found, ml) {
  if (!found) return null;
  const prior = h("a", { href: `#/jobs/${found.prior_job_id}` }, "the earlier job");
  if (found.state === "refused") {
    return h("div", { className: "note" }, h("strong", {}, "No comparison with "), prior, `: ${words.incomparable(found.reason)}.`);
  }
  const points = Math.round(100 * found.delta_p_positive);
  return h("div", { className: "note" }, h("strong", {}, words.direction(found.direction)), ", compared with ", prior,
    `: model's P(positive) ${number(found.prior_p_positive)} → ${number(ml.p_positive)} (${points > 0 ? "+" : ""}${points} points). Read `,
    time(found.prior_read_at), ".");
}

/** Both readers side by side, with what stands between them. */
export function readers(job) {
  const { ml, gemini } = job.readings;
  const between = job.result ? words.agreement[job.result.agreement] : { sign: "…", tone: "", text: "Reading" };
  const weight = (reader) => job.result?.provenance.find((voice) => voice.reader === reader)?.weight;
  return h("section", { className: "stack", "aria-label": "Both readers" },
    h("div", { className: "readers" },
      h("section", { className: "sheet reader", "aria-label": "First reader: the model" }, h("h2", {}, "Model"), mlReading(ml, weight("ml"))),
      h("div", { className: `between ${between.tone}` }, h("p", {}, h("span", { className: "sign", "aria-hidden": "true" }, between.sign), between.text)),
      h("section", { className: "sheet reader", "aria-label": "Second reader: Gemini" }, h("h2", {}, "Gemini"), geminiReading(gemini, weight("gemini")))));
}

function mlReading(ml, weight) {
  if (ml.state === "unavailable") return [h("p", { className: "says" }, "No reading"), h("p", {}, ml.detail || words.noReading(ml.reason))];
  if (ml.state !== "done") return comes(ml);
  const isUnknown = ml.abstain_reason === "out_of_distribution";
  return [
    says(ml.abstain_reason ? "Declined to decide" : ml.label),
    ml.abstain_reason && h("p", {}, words.abstained(ml.abstain_reason)),
    !isUnknown && meter(ml.p_positive, ml.threshold),
    facts([
      ["P(positive)", `${number(ml.p_positive)}${isUnknown ? ", not to be relied on" : ""}`], ["Threshold", number(ml.threshold)],
      ["Cannot rule out", ml.conformal_set.join(" or ") || "neither label fits"],
      ["Familiarity", familiarity(ml.ood_score)],
      ["Weight", weight === undefined ? null : percent(weight, 0)], ["Time", lasted(ml.timings_ms.total)],
      ["Frame read", ml.frame ? `${ml.frame}${ml.frames.length > 1 ? ` of ${ml.frames.length} that were all read` : ""}` : null],
      ["Views averaged", ml.views > 1 ? String(ml.views) : null], ["Pixels", ml.image_notes.join("; ")],
    ])];
}

const familiarity = (score) => score > 1
  ? `unlike its training images (${number(score)}, limit 1)`
  : `like its training images (${number(score)}, limit 1)`;

// Everything that Gemini wrote is another's text: it becomes text nodes, and nothing else.
function geminiReading(gemini, weight) {
  if (gemini.state === "pending" || gemini.state === "claimed") return comes(gemini);
  if (gemini.state !== "done") {
    return [h("p", { className: "says soft" }, gemini.state === "skipped" ? "Not asked" : "No reading"),
      h("p", {}, words.noReading(gemini.reason), " ", h("code", {}, gemini.reason)), gemini.detail && h("p", { className: "small soft" }, gemini.detail)];
  }
  return [
    says(gemini.label ?? "Declined to decide"), meter(gemini.p_positive, 0.5),
    h("p", { className: "said" }, gemini.explanation),
    gemini.findings.length > 0 && h("div", {}, h("h3", {}, "Findings"),
      h("ul", { className: "findings said" }, gemini.findings.map((finding) => h("li", {}, finding)))),
    h("div", { className: "said" }, facts([
      ["P(positive)", number(gemini.p_positive)], ...Object.entries(gemini.key_metrics),
      ["Weight", weight === undefined ? null : percent(weight, 0)], ["Time", lasted(gemini.timings_ms.total)],
    ])),
    h("p", { className: "small soft" }, "Written by Google Gemini, a general model; not checked by anybody.")];
}

const says = (word) => h("p", { className: "says" }, word);

function comes(reading) {
  const word = reading.state === "claimed" ? "Reading …" : "Waiting …";
  return [h("p", { className: "says soft" }, word), reading.deliveries > 1 && h("p", { className: "small" }, `Try ${reading.deliveries}`)];
}

function meter(p, threshold) {
  const filled = h("i"), edge = h("b", { title: "Threshold" });
  filled.style.width = `${100 * p}%`;
  edge.style.left = `calc(${100 * threshold}% - 1px)`;
  return h("div", { className: "meter", role: "img", "aria-label": `P(positive) ${number(p)}, threshold ${number(threshold)}` }, filled, edge);
}

/** Where a DICOM image belongs: identifiers, nothing of the patient's own. */
function dicom(source) {
  return source ? [
    ["Accession number", source.accession_number], ["Modality", [source.modality, source.body_part].filter(Boolean).join(", ")],
    ["Frames", source.number_of_frames > 1 ? `${source.number_of_frames}, wanted: ${source.frame}` : null],
    ["Study", h("code", {}, source.study_instance_uid)], ["Image UID", h("code", {}, source.sop_instance_uid)],
  ] : [];
}

/** Which weights, which version, which threshold, how joined. */
export function provenance(job) {
  const { ml, gemini } = job.readings;
  const model = ml.model;
  return h("section", { className: "sheet stack", "aria-label": "Where this comes from" },
    h("h2", {}, "Where this comes from"),
    h("div", { className: "grid" },
      facts([
        ["Model", model && h("a", { href: `#/models/${model.name}/${model.version}` }, `${model.name} ${model.version}`)],
        ["Weights", model && h("code", {}, model.sha256)], ["Threshold", ml.threshold && number(ml.threshold, 4)],
        ["Second reader", gemini.model && `${gemini.model}, prompt ${gemini.prompt_version}`],
        ["Joined by", job.result && words.policy(job.result.policy)],
      ]),
      facts([
        ["Job", h("code", {}, job.id)], ["Your id", job.client_id], ["Batch", job.batch_id && h("a", { href: `#/batches/${job.batch_id}` }, job.batch_id)],
        ["Submitted", time(job.created_at)],
        ["Took", lasted(job.timings.total_ms)], ["Image", `${job.image.width} × ${job.image.height} px, ${job.image.media_type}`],
        ...dicom(job.image.dicom),
        ["Compared with", job.prior_job_id && h("a", { href: `#/jobs/${job.prior_job_id}` }, job.prior_job_id)],
        ["Tries again", job.retry_of && h("a", { href: `#/jobs/${job.retry_of}` }, job.retry_of)],
        ...Object.entries(job.metadata).map(([name, value]) => [name, String(value)]),
      ])));
}
