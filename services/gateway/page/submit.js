// Submit: choose or drop images, see them, send them. What is refused says why in its own line.

import * as api from "./api.js";
import { announce, h, put, s } from "./dom.js";
import { previews } from "./previews.js";
import { state as stateWord, verdict } from "./words.js";

const AT_ONCE = 3;
const LOOK_EVERY_MS = 1500;
const MOST_TRIES = 8;
const BUSY = new Set([0, 429, 502, 503, 504]);

export async function show(main, { query, signal }) {
  document.title = "Submit · MediScan";
  const list = h("ul", { className: "files", "aria-label": "Chosen images" });
  const wishes = form(query.get("prior"));
  const send = h("button", { className: "main", type: "button", hidden: true }, "Read");
  const items = [];
  const progress = h("div", { className: "row", hidden: true });
  const zone = dropZone((files) => {
    for (const file of files) {
      const item = new Item(file, () => { items.splice(items.indexOf(item), 1); refresh(); });
      items.push(item);
      list.append(item.element);
    }
    refresh();
  });
  const refresh = () => {
    const ready = items.filter((item) => item.state === "ready").length;
    zone.classList.toggle("slim", items.length > 0);
    send.hidden = ready === 0;
    send.textContent = ready === 1 ? "Read this image" : `Read these ${ready} images`;
  };
  send.onclick = async () => {
    send.hidden = true;
    const chosen = items.filter((item) => item.state === "ready");
    await inTurns(chosen, (item) => item.send(wishes.fields(), signal));
    if (signal.aborted) return;
    if (chosen.length === 1 && items.length === 1 && chosen[0].job) location.hash = `#/jobs/${chosen[0].job.id}`;
    refresh();
    await watch(items, signal, () => tell(progress, items));
  };
  signal.addEventListener("abort", () => items.forEach((item) => item.leave()));
  put(main,
    h("h1", {}, "Submit images"),
    h("p", { className: "lead" }, "Two readers look at each image; you get one explained answer."),
    zone, progress, list,
    h("div", { className: "stack" }, h("p", { className: "row send" }, send), wishes.element));
}

function dropZone(take) {
  const input = h("input", { type: "file", multiple: true, className: "unseen", "aria-describedby": "kinds" });
  input.onchange = () => { take([...input.files]); input.value = ""; };
  const zone = h("label", { className: "drop" }, input,
    s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" },
      s("path", { d: "M12 16V4m0 0L7.5 8.5M12 4l4.5 4.5M4 16v3a1.5 1.5 0 0 0 1.5 1.5h13A1.5 1.5 0 0 0 20 19v-3" })),
    h("strong", {}, "Drop images here, or choose them"),
    h("span", { className: "soft", id: "kinds" }, "PNG, JPEG or DICOM; several at once"));
  zone.ondragover = (event) => { event.preventDefault(); zone.classList.add("over"); };
  zone.ondragleave = () => zone.classList.remove("over");
  zone.ondrop = (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take([...event.dataTransfer.files]);
  };
  return zone;
}

function form(prior) {
  const reference = h("input", { type: "text", maxLength: 64, autocomplete: "off" });
  const before = h("input", { type: "text", value: prior ?? "", autocomplete: "off", spellcheck: false });
  const model = h("select", {}, h("option", { value: "" }, "The default model"));
  const stat = h("input", { type: "checkbox" });
  api.models().then(({ models }) => model.append(...models.map(({ id }) => h("option", { value: id }, id))), () => {});
  const element = h("details", { className: "sheet", open: Boolean(prior) }, h("summary", {}, "More about these images"),
    h("div", { className: "grid" },
      field("Your reference, as the report shall show it", reference), field("Model", model),
      field("Compare with an earlier job (its id)", before),
      h("label", { className: "line" }, stat, "Urgent: before all routine work")));
  const fields = () => ({
    ...(reference.value && { metadata: JSON.stringify({ reference: reference.value }) }),
    ...(model.value && { model: model.value }),
    ...(before.value && { prior_job_id: before.value.trim() }),
    ...(stat.checked && { priority: "stat" }),
  });
  return { element, fields };
}

const field = (name, input) => h("label", { className: "field" }, h("span", {}, name), input);

/** One chosen file, its line on the page, and what becomes of it. */
class Item {
  constructor(file, removed) {
    Object.assign(this, { file, state: "ready", job: null });
    // A name of the request, so that a lost answer never makes a second job.
    this.name = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    this.url = URL.createObjectURL(file);
    this.line = h("p", { className: "small soft" }, size(file.size));
    this.side = h("div", {}, h("button", {
      type: "button", className: "quiet", "aria-label": `Remove ${file.name}`, onclick: () => { this.element.remove(); this.leave(); removed(); },
    }, "Remove"));
    this.element = h("li", { className: "sheet file" }, thumbnail(this.url, file),
      h("div", {}, h("p", { className: "name" }, file.name), this.line), this.side);
  }

  async send(fields, signal) {
    this.state = "sending";
    put(this.side);
    this.say("Sending …");
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.append(name, value);
    body.append("image", this.file, "image");
    for (let tries = 1; !signal.aborted; tries += 1) {
      try {
        return this.accepted(await api.post("v1/jobs", { body, signal, headers: { "Idempotency-Key": this.name } }));
      } catch (error) {
        if (signal.aborted) return;
        if (!BUSY.has(error.status) || tries === MOST_TRIES) return this.refused(error);
        const pause = error.retryAfter ?? 2;
        this.say(`${error.message} Trying again in ${pause} s …`);
        await new Promise((done) => setTimeout(done, pause * 1000));
      }
    }
  }

  accepted(job) {
    this.state = "sent";
    previews.keep(job.id, this.url);
    this.update(job);
  }

  update(job) {
    this.job = job;
    const result = job.result && verdict(job.result);
    const chip = h("span", { className: `chip ${result ? result.tone : ""}`.trim() }, result ? result.word : stateWord(job.state));
    this.say(job.error?.detail ?? (job.ended_at ? "Read." : job.progress.step));
    put(this.side, h("span", { className: "row" }, chip, h("a", { href: `#/jobs/${job.id}` }, "Open")));
  }

  refused(error) {
    this.state = "refused";
    this.element.classList.add("refused");
    put(this.line, h("strong", {}, "Refused. "), error.message);
    this.line.className = "small";
    put(this.side, h("span", { className: "chip bad" }, "Not sent"));
    announce(`${this.file.name} was refused: ${error.message}`);
  }

  say(text) { put(this.line, `${size(this.file.size)} · ${text}`); }

  leave() { if (!this.job) URL.revokeObjectURL(this.url); }
}

function thumbnail(url, file) {
  const none = h("span", { className: "thumb none", "aria-hidden": "true" }, (file.name.split(".").pop() || "file").slice(0, 5).toUpperCase());
  const picture = h("img", { className: "thumb", src: url, alt: "" });
  picture.onerror = () => picture.replaceWith(none);
  return picture;
}

const size = (bytes) => bytes < 1 << 20 ? `${Math.max(1, Math.round(bytes / 1024))} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;

async function inTurns(items, work) {
  const waiting = [...items];
  const lane = async () => { while (waiting.length) await work(waiting.shift()); };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

/** How far several images have come, all together. */
function tell(place, items) {
  const sent = items.filter((item) => item.state === "sent" || item.state === "refused");
  const over = sent.filter((item) => item.state === "refused" || item.job.ended_at).length;
  place.hidden = sent.length < 2;
  const words = `${over} of ${sent.length} are done`;
  put(place, h("progress", { max: sent.length, value: over, "aria-label": "Images that are done" }), h("span", { className: "soft num" }, words));
  if (over === sent.length) announce(words);
}

/** Several jobs are looked at in turn: a browser has six connections to a host, and each stream would take one. */
async function watch(items, signal, tell) {
  for (;;) {
    tell();
    const open = items.filter((item) => item.job && !item.job.ended_at);
    if (!open.length || signal.aborted) return;
    for (const item of open) {
      const job = await api.get(api.job(item.job.id), { signal }).catch(() => null);
      if (signal.aborted) return;
      if (job) item.update(job);
    }
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
  }
}
