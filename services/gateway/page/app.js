// Which part of the page is shown: decided by what stands after # in the address, which no server is sent.

import { announce, put, trouble } from "./dom.js";
import * as keys from "./keys.js";

const ROUTES = [
  [/^\/?$/, () => import("./submit.js")],
  [/^\/jobs$/, () => import("./jobs.js")],
  [/^\/jobs\/([\w.~-]+)$/, () => import("./job.js")],
  [/^\/batches\/([\w.~-]+)$/, () => import("./batch.js")],
  [/^\/models$/, () => import("./models.js")],
  [/^\/operate$/, () => import("./operate.js")],
  [/^\/models\/([^/]+\/[^/]+)$/, () => import("./models.js")],
];

const main = document.getElementById("main");
let current = new AbortController();

async function show() {
  const [path, query] = decodeURI(location.hash.slice(1)).split("?");
  current.abort();
  const { signal } = (current = new AbortController());
  const [pattern, load] = ROUTES.find(([known]) => known.test(path)) ?? ROUTES[0];
  mark(path);
  try {
    const part = await load();
    if (signal.aborted) return;
    put(main);
    await part.show(main, { id: pattern.exec(path)?.[1], query: new URLSearchParams(query), signal });
  } catch (error) {
    if (!signal.aborted) put(main, trouble(error, show));
  }
}

function mark(path) {
  for (const link of document.querySelectorAll("nav a")) {
    const to = link.hash.slice(1);
    const here = to === "/" ? path === "" || path === "/" : path.startsWith(to);
    here ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
}

/** Light, dark, or as the system says; not a secret, so it may outlive the tab. */
function theming() {
  const button = document.getElementById("theme");
  const apply = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    button.textContent = dark ? "Light theme" : "Dark theme";
    return dark;
  };
  let dark = apply(localStorage.getItem("mediscan-theme"));
  button.onclick = () => {
    const theme = dark ? "light" : "dark";
    localStorage.setItem("mediscan-theme", theme);
    dark = apply(theme);
    announce(`${theme} theme`);
  };
}

theming();
const forget = document.getElementById("forget");
forget.hidden = !keys.has();
forget.onclick = keys.forget;
// Not as a link: that would take the place of the part of the page in the address.
document.querySelector(".skip").onclick = (event) => { event.preventDefault(); main.focus(); };
addEventListener("hashchange", () => {
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
  show();
});
show();
