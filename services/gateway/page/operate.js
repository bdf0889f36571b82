// The house at a glance, for who runs it: what waits and for how long, who works, what was given up.

import * as api from "./api.js";
import { announce, facts, h, number, put, time, trouble } from "./dom.js";
import * as words from "./words.js";

const LOOK_EVERY_MS = 2000;

export async function show(main, { signal }) {
  document.title = "Operate · MediScan";
  const place = { house: h("div", { className: "stack" }), dead: h("div", { className: "stack" }) };
  put(main, h("div", { className: "stack" }, h("header", {}, h("h1", {}, "Operate"),
    h("p", { className: "lead" }, "All tenants together; dead letters are your own tenant's.")), place.house, place.dead));
  await deadLetters(place.dead, signal);
  while (!signal.aborted) {
    if (document.visibilityState === "visible") await look(place.house, signal);
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
  }
}

async function look(place, signal) {
  try {
    const house = await api.get("v1/cluster", { signal });
    if (!signal.aborted) put(place, overview(house), queues(house), rest(house));
  } catch (error) {
    if (!signal.aborted) put(place, trouble(error));
    if (error.status === 403) await new Promise((done) => signal.addEventListener("abort", done));
  }
}

const tile = (name, value, extra, tone = "") => h("div", { className: `sheet tile ${tone}`.trim() },
  h("span", { className: "soft small" }, name), h("span", { className: "big num" }, value), h("span", { className: "small soft" }, extra));

function overview(house) {
  const waiting = house.queues.reduce((sum, queue) => sum + queue.waiting, 0);
  const oldest = Math.max(0, ...house.queues.map((queue) => queue.oldest_waiting_s ?? 0));
  const { state, cause, retry_in_s: again } = house.gemini_circuit;
  return h("section", { className: "grid tiles", "aria-label": "Overview" },
    tile("Open jobs", house.live_jobs, `${waiting} steps wait`),
    tile("Oldest waits", age(oldest), "for a worker"),
    tile("Ended in the last minute", house.ended_last_minute, `${house.ended.completed ?? 0} completed in all`),
    tile("Dead letters", house.dead_letters, `${house.dead_lettered} ever`),
    tile("Gemini", { closed: "asked", open: "left alone", half_open: "probed" }[state] ?? state,
      state === "closed" ? "circuit closed" : `${cause ? words.noReading(cause) : "circuit open"} next probe in ${Math.ceil(again)} s`),
    tile("Reaper", house.reaper_alive ? "alive" : "missing", house.reaper_alive ? "repairs what stops" : "nobody repairs"));
}

function queues(house) {
  const head = ["Step", "Priority", "Waiting", "Oldest waits", "In work", "Longest in work", "Workers", "At once"];
  return h("section", { className: "sheet stack", "aria-label": "Queues" }, h("h2", {}, "Queues"),
    h("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Table of queues" }, h("table", { className: "num" },
      h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, house.queues.map((queue) => {
        const workers = house.workers[queue.stage] ?? { nodes: 0, slots: 0 };
        return h("tr", {}, h("th", { scope: "row" }, queue.stage), [queue.priority, queue.waiting, age(queue.oldest_waiting_s), queue.claimed,
          age(queue.oldest_claimed_s), workers.nodes || "none", workers.slots].map((cell) => h("td", {}, String(cell))));
      })))));
}

function rest(house) {
  const named = (counts) => Object.entries(counts).map(([name, count]) => `${name.replaceAll("_", " ")} ${count}`).join(", ") || "none";
  const { used_bytes: used, limit_bytes: limit } = house.ledger_memory;
  return h("section", { className: "grid", "aria-label": "More" },
    h("div", { className: "sheet stack" }, h("h2", {}, "Since the ledger was made"), facts([
      ["Ended", named(house.ended)], ["Model alone because", named(house.fallbacks)], ["Rescued from lost workers", named(house.rescued)],
      ["Published again", named(house.republished)], ["Too late to matter", named(house.late)], ["Lost with a ledger", String(house.lost)],
    ])),
    h("div", { className: "sheet stack" }, h("h2", {}, "What fills up"), facts([
      ["Ledger", limit ? `${bytes(used)} of ${bytes(limit)} (${number((100 * used) / limit, 0)} %)` : `${bytes(used)}, no limit`],
      ["Blob store", house.blobs.state === "ok" ? (house.blobs.free_bytes === null ? "ok" : `${bytes(house.blobs.free_bytes)} free`) : "away"],
      ["Messages in the broker", house.messages ? named(house.messages) : "the broker is away"], ["Webhooks waiting", String(house.webhooks_waiting)],
      ["Models", house.models.map((model) => model.id + (model.is_default ? " (default)" : "")).join(", ") || "none offered"],
    ])));
}

async function deadLetters(place, signal) {
  const fill = async () => {
    try {
      const { items, next_cursor: more } = await api.get("v1/dead-letters?limit=50", { signal });
      put(place, h("section", { className: "sheet stack", "aria-label": "Dead letters" },
        h("div", { className: "row spread" }, h("h2", {}, "Dead letters"), h("button", { type: "button", className: "quiet", onclick: fill }, "Refresh")),
        items.length ? h("ul", { className: "stack" }, items.map(letter)) : h("p", { className: "soft" }, "None: no job was given up."),
        more && h("p", { className: "small soft" }, "There are older ones; these are the newest 50.")));
    } catch (error) {
      if (!signal.aborted) put(place, error.status === 403 ? null : trouble(error, fill));
    }
  };
  const letter = ({ job_id: id, died_at: at, error }) => {
    const replay = h("button", { type: "button", "aria-label": `Replay ${id}`, onclick: async () => {
      replay.disabled = true;
      try {
        const { id: made } = await api.post(`v1/dead-letters/${encodeURIComponent(id)}/replay`);
        put(line, h("p", {}, "Read again as ", h("a", { href: `#/jobs/${made}` }, made)));
        announce("The job is read again");
      } catch (problem) {
        line.append(trouble(problem));
      }
    } }, "Replay");
    const line = h("li", { className: "row spread" },
      h("div", {}, h("a", { href: `#/jobs/${id}`, className: "mono" }, id), h("p", { className: "small" }, error.detail, " ", h("code", {}, error.code), " · ", time(at))), replay);
    return line;
  };
  await fill();
}

function age(seconds) {
  if (!seconds) return "–";
  if (seconds < 90) return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${number(seconds / 3600, 1)} h`;
}

const bytes = (count) => count < 1 << 30 ? `${Math.round(count / (1 << 20))} MiB` : `${number(count / (1 << 30), 1)} GiB`;
