// The one way to the API. Addresses are relative to the page, so that it works under a proxy's prefix.

import * as keys from "./keys.js";

/** What the API refused, in its own words. */
export class ApiError extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail ?? "The server gave no reason.");
    Object.assign(this, { status, code: problem.code, title: problem.title, retryAfter });
  }
}

const at = (path) => new URL(path, document.baseURI);

/** One request; its answer, or an ApiError. A missing or refused key is asked for, and the request made again. */
export async function call(method, path, { headers = {}, body, signal } = {}) {
  for (;;) {
    const answer = await reached(() => fetch(at(path), {
      method, body, signal, cache: "no-store", headers: { ...headers, ...keys.header() },
    }));
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => ({}));
    if (answer.status !== 401) throw new ApiError(answer.status, problem, Number(answer.headers.get("Retry-After")) || null);
    await keys.ask(problem.detail ?? "A key is needed.");
  }
}

async function reached(request) {
  try {
    return await request();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { title: "No connection", detail: "The server cannot be reached.", code: "no_connection" });
  }
}

export const get = async (path, options) => (await call("GET", path, options)).json();
export const post = async (path, options) => (await call("POST", path, options)).json();
export const job = (id) => `v1/jobs/${encodeURIComponent(id)}`;

/** A picture or document as an address that an element can show; to be given back with URL.revokeObjectURL. */
export async function blobUrl(path, options) {
  return URL.createObjectURL(await (await call("GET", path, options)).blob());
}

let known = null;

/** The installed models, asked for once. */
export function models() {
  known ??= get("v1/models").catch((error) => { known = null; throw error; });
  return known;
}

/** Server-sent events, by fetch: an EventSource could not send the key. Ends when the stream ends. */
export async function* events(path, after, signal) {
  const headers = { Accept: "text/event-stream", ...(after && { "Last-Event-ID": after }) };
  const answer = await call("GET", path, { headers, signal });
  if (answer.status === 204) return yield { type: "over" };
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reached(() => reader.read());
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parsed(block);
      if (event) yield event;
    }
  }
}

function parsed(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  return fields.event ? { id: fields.id, type: fields.event, data: JSON.parse(fields.data ?? "{}") } : null;
}
