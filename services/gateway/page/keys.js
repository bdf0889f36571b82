// The API key, where the gateway takes keys. It lies in sessionStorage: a reload in the middle of a job must not lose
// it, and it ends with the tab. Never in localStorage or a cookie, which outlive the person at the desk, nor in an
// address, which proxies log.

import { h } from "./dom.js";

const SLOT = "mediscan-key";
let asking = null;

/** What to send with a request. */
export function header() {
  const key = sessionStorage.getItem(SLOT);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

export const has = () => sessionStorage.getItem(SLOT) !== null;

/** Log out: the page begins anew, and nothing that was shown stays in memory. */
export function forget() {
  sessionStorage.removeItem(SLOT);
  location.hash = "#/";
  location.reload();
}

/** Ask the person, once for all who wait. why: what the gateway said. */
export function ask(why) {
  asking ??= asked(why).finally(() => { asking = null; });
  return asking;
}

function asked(why) {
  return new Promise((done) => {
    const field = h("input", { type: "password", id: "api-key", autocomplete: "off", required: true, spellcheck: false });
    const dialog = h("dialog", { "aria-labelledby": "key-title" },
      h("form", { method: "dialog", onsubmit: (event) => { event.preventDefault(); take(); } },
        h("h2", { id: "key-title" }, "This gateway takes API keys"),
        h("p", { className: "soft" }, why),
        h("label", { className: "field" }, h("span", {}, "API key"), field),
        h("p", { className: "small soft" }, "Kept in this tab alone, until it is closed."),
        h("button", { className: "main", type: "submit" }, "Use this key")));
    const take = () => {
      sessionStorage.setItem(SLOT, field.value.trim());
      document.getElementById("forget").hidden = false;
      dialog.close();
      dialog.remove();
      done();
    };
    dialog.oncancel = (event) => event.preventDefault();
    document.body.append(dialog);
    dialog.showModal();
  });
}
