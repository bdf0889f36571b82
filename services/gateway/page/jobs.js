// The tenant's jobs: what needs a person first, then the newest. Filters are in the address, so that a view can be kept.

import * as api from "./api.js";
import { announce, h, put, time, trouble } from "./dom.js";
import * as words from "./words.js";

const FIRST = 20;
const PAGE = 30;
//: A page may be empty and yet not the last: a search ends after a while. So many are asked for at one press.
const MOST_PAGES = 5;
const FILTERS = [
  ["state", "State", ["queued", "running", "completed", "failed", "cancelled", "expired"], words.state],
  ["label", "Result", ["Positive", "Negative"], String],
  ["risk_band", "Risk", ["low", "moderate", "high"], words.band],
  ["needs_review", "Review", ["true", "false"], (value) => (value === "true" ? "Needed" : "Not needed")],
];

export async function show(main, { query, signal }) {
  document.title = "Jobs · MediScan";
  const wanted = Object.fromEntries([...query].filter(([name, value]) => value && (name === "since" || FILTERS.some(([known]) => known === name))));
  const place = h("div", { className: "stack" });
  put(main, h("div", { className: "stack" }, h("div", { className: "row spread" }, h("h1", {}, "Jobs"), h("button", { type: "button", onclick: () => fill() }, "Refresh")),
    filters(wanted), place));
  const fill = async () => {
    try {
      put(place, ...(Object.keys(wanted).length ? [await section("Found", wanted, PAGE, signal)] : await usual(signal)));
      announce("The list is up to date");
    } catch (error) {
      if (!signal.aborted) put(place, trouble(error, fill));
    }
  };
  await fill();
}

/** Without a filter: the review queue, then what is newest. */
async function usual(signal) {
  return [
    await section("Needs review", { needs_review: "true" }, FIRST, signal, "Nothing waits for a person."),
    await section("Recent", {}, PAGE, signal, "No job yet."),
  ];
}

function filters(wanted) {
  const apply = (name, value) => {
    const next = new URLSearchParams({ ...wanted, [name]: value });
    for (const [key, given] of [...next]) if (!given) next.delete(key);
    location.hash = `#/jobs${next.size ? `?${next}` : ""}`;
  };
  const since = h("input", { type: "date", value: wanted.since?.slice(0, 10) ?? "", onchange: () => apply("since", since.value) });
  return h("form", { className: "filters", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
    FILTERS.map(([name, label, values, said]) => {
      const select = h("select", { onchange: () => apply(name, select.value) }, h("option", { value: "" }, "Any"),
        values.map((value) => h("option", { value, selected: wanted[name] === value }, said(value))));
      return h("label", { className: "field" }, h("span", {}, label), select);
    }),
    h("label", { className: "field" }, h("span", {}, "Since"), since));
}

/** Some of the jobs, with a button for older ones. wanted: as the API's parameters. */
export async function section(title, wanted, limit, signal, none = "No job fits.") {
  const list = h("ul", { className: "jobs" });
  const foot = h("p");
  const more = async (cursor) => {
    const { items, next } = await page(wanted, limit, cursor, signal);
    list.append(...items.map(row));
    put(foot, next && h("button", { type: "button", onclick: () => more(next) }, "Older ones"));
    if (!list.childElementCount) put(foot, h("span", { className: "soft" }, none));
  };
  await more(null);
  return h("section", { className: "stack", "aria-label": title }, h("h2", {}, title), list, foot);
}

async function page(wanted, limit, cursor, signal) {
  for (let asked = 1; ; asked += 1) {
    const query = new URLSearchParams({ ...wanted, limit, ...(cursor && { cursor }) });
    const { items, next_cursor: next } = await api.get(`v1/jobs?${query}`, { signal });
    if (items.length || !next || asked === MOST_PAGES) return { items, next };
    cursor = next;
  }
}

function row(job) {
  const result = job.result;
  const verdict = result && words.verdict(result);
  const tone = result ? verdict.tone : "";
  return h("li", {}, h("a", { className: "sheet", href: `#/jobs/${job.id}` },
    h("span", { className: `risk num ${tone}`.trim() }, result ? (result.label ? result.risk.score : "?") : "–",
      h("span", { className: "unseen" }, result?.label ? " risk of 100, " : " no risk stated, ")),
    h("span", {}, h("span", { className: "what" }, words.title(job)), h("br"), h("span", { className: "small soft" }, time(job.created_at), ` · ${words.state(job.state)}`)),
    h("span", { className: "row" },
      result?.needs_review && h("span", { className: "chip warn" }, "Needs review"),
      h("span", { className: `chip ${tone || (job.error ? "bad" : "")}`.trim() }, result ? verdict.word : words.state(job.state)))));
}
