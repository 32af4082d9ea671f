// What the page knows. One stream says what changed; without it, asking every five seconds does.
import { api, events } from "./api.js";

const PATHS = { me: "me", offers: "offers", workloads: "workloads?state=all&limit=50", notices: "notices", courses: "courses?limit=100", visits: "visits", announcements: "announcements?limit=20" };
export const known = { me: null, offers: null, workloads: null, notices: null, courses: null, visits: null, announcements: null };
const listeners = [];
const wanted = new Set(["me", "workloads", "notices"]);
const running = {};

/** `then(kind)` is called after each change. */
export const watch = (then) => listeners.push(then);
export const want = (kind) => wanted.add(kind);
export const tell = (kind) => listeners.forEach((then) => then(kind));

/** Fetch once more; a call while one is under way makes one more afterwards. */
export function refetch(kind) {
  if (!wanted.has(kind)) return Promise.resolve();
  if (running[kind]) { running[kind].again = true; return running[kind].done; }
  const run = { again: false };
  run.done = (async () => {
    do {
      run.again = false;
      try {
        const data = await api(PATHS[kind]);
        known[kind] = kind === "me" ? data : data.items;
        if (kind === "workloads") known.fetchedAt = Date.now();
        known[`${kind}Error`] = null;
      } catch (error) { known[`${kind}Error`] = error; }
      tell(kind);
    } while (run.again);
    delete running[kind];
  })();
  running[kind] = run;
  return run.done;
}

export const refetchAll = () => Promise.all([...wanted].map(refetch));

let streaming = false;
async function stream() {
  for (;;) {
    try {
      streaming = true;
      await events("stream", (_, data) => {
        let kind = "";
        try { kind = JSON.parse(data).kind; } catch { return; }
        // A whole site hears of an announcement at once and need not ask at once.
        if (kind === "announcements") setTimeout(() => refetch(kind), Math.random() * 3000); else refetch(kind);
        if (kind === "workloads") { refetch("me"); refetch("offers"); }
      });
    } catch { /* asked for again below */ }
    streaming = false;
    await new Promise((go) => setTimeout(go, 5000));
    refetchAll();
  }
}

const moving = () => (known.workloads || []).some((w) => ["starting", "stopping"].includes(w.status));

export function begin() {
  refetchAll();
  stream();
  let beat = 0;
  setInterval(() => {
    beat += 1;
    if (document.hidden && beat % 15) return;
    if (moving()) refetch("workloads");
    if (beat % (streaming ? 30 : 5) === 0) refetchAll();
  }, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refetchAll(); });
}
