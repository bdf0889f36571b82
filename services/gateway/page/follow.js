// A job's events to their end, through reloads and lost connections: what was told is known by its id.

import * as api from "./api.js";

const ENDS = new Set(["completed", "failed", "cancelled", "expired", "over"]);
const PAUSES_S = [0.5, 1, 2, 4, 8];

/** Call `tell(event)` for each step until the job is over. away(seconds), back(): the connection is lost, and here again. */
export async function follow(id, { tell, away, back, signal }) {
  let last = "";
  for (let failures = 0; !signal.aborted;) {
    try {
      for await (const event of api.events(`${api.job(id)}/events`, last, signal)) {
        if (failures) back();
        failures = 0;
        last = event.id ?? last;
        await tell(event);
        if (ENDS.has(event.type)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
      const pause = error.retryAfter ?? PAUSES_S[Math.min(failures, PAUSES_S.length - 1)];
      failures += 1;
      away(pause);
      await rest(pause, signal);
    }
  }
}

/** So many seconds, or until the network is back. */
function rest(seconds, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, seconds * 1000);
    const soon = () => { clearTimeout(timer); done(); };
    addEventListener("online", soon, { once: true, signal });
    signal.addEventListener("abort", soon, { once: true });
  });
}
