// Makes elements. Text becomes text and nothing else: nobody here parses markup, and the policy would not let them.

const SVG = "http://www.w3.org/2000/svg";

/** An element. props: properties (`onclick`, `className`), or attributes where there is no such property. */
export function h(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/** The same, for drawings: every prop is an attribute. */
export function s(tag, props = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) made.setAttribute(name, value);
  made.append(...flat(children));
  return made;
}

function filled(made, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name in made && !name.startsWith("aria")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...flat(children));
  return made;
}

const flat = (children) => children.flat(3).filter((child) => child !== null && child !== undefined && child !== false);

/** Put these in place of what is there. */
export function put(where, ...children) {
  where.replaceChildren(...flat(children));
}

/** Say something to who does not see the page. */
export function announce(text) {
  const status = document.getElementById("status");
  if (status.textContent !== text) status.textContent = text;
}

/** A list of facts; those without a value are left out. */
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { className: "facts" }, known.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

export const number = (value, digits = 2) => Number(value).toFixed(digits);
export const percent = (value, digits = 1) => `${(100 * value).toFixed(digits)} %`;

/** A time as people here write it, exact to a machine. */
export function time(iso) {
  const at = new Date(iso);
  return h("time", { dateTime: iso }, at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }));
}

/** So many milliseconds, in words. */
export function lasted(ms) {
  if (ms === null || ms === undefined) return "";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** A problem, explained where it happened. */
export function trouble(error, again) {
  return h("div", { className: "note bad", role: "alert" },
    h("strong", {}, error.title ?? "Something went wrong"), h("p", {}, error.message),
    again && h("p", {}, h("button", { type: "button", onclick: again }, "Try again")));
}
