// What the page knows. One stream says what changed; without it, asking every five seconds does.
import { api, events } from "./api.js";
import { now } from "./dom.js";

const PATHS = { me: "me", offers: "offers", workloads: "workloads?state=all&limit=50", notices: "notices", courses: "courses?limit=100", visits: "visits", announcements: "announcements?limit=20" };
export const known = { me: null, offers: null, workloads: null, notices: null, courses: null, visits: null, announcements: null };
const listeners = [];
const wanted = new Set(["me", "workloads", "notices"]);
const running = {};
const began = {};
/** Of these everybody is told at once, and need not all ask at once. */
const SPREAD_MS = { announcements: 3000, offers: 2000, courses: 2000 };
/** Whoever starts something waits for that alone: the rest of what it changes is asked for a moment after,
 * or when this long has passed. Each question takes time of the same processors. */
const AFTERWARDS_MS = 400;
const AT_LATEST_MS = 3000;
const rest = new Set();
let resting = 0;
let restsUntil = 0;

/** Whether the first answer, or the first failure, is there. */
export const answered = (...kinds) => kinds.every((kind) => known[kind] || known[`${kind}Error`]);

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
      began[kind] = Date.now();
      try {
        const data = await api(PATHS[kind]);
        known[kind] = kind === "me" ? data : data.items;
        if (kind === "workloads") known.fetchedAt = Date.now();
        known[`${kind}Error`] = null;
      } catch (error) { known[`${kind}Error`] = error; }
      tell(kind);
      if (kind === "workloads" && rest.size && !moving()) ask(AFTERWARDS_MS);
    } while (run.again);
    delete running[kind];
  })();
  running[kind] = run;
  return run.done;
}

export const refetchAll = () => Promise.all([...wanted].map(refetch));

/** When no start is on its way; nothing while nobody looks, as all is asked for when they do again. */
function refetchLater(...kinds) {
  for (const kind of kinds) rest.add(kind);
  if (!resting) ask(moving() ? AT_LATEST_MS : 0);
}

/** Sooner than it was going to be, never later. */
function ask(inMs) {
  if (resting && restsUntil <= Date.now() + inMs) return;
  restsUntil = Date.now() + inMs;
  clearTimeout(resting);
  resting = setTimeout(() => {
    const kinds = document.hidden ? [] : [...rest];
    resting = 0;
    rest.clear();
    kinds.forEach(refetch);
  }, inMs);
}

/** Within a moment, unless it has been asked for by then. */
function refetchSoon(kind) {
  const heard = Date.now();
  setTimeout(() => { if (!(began[kind] > heard)) refetchLater(kind); }, Math.random() * SPREAD_MS[kind]);
}

let streaming = false;
/** A workload of the visitor's moved; `told` where the stream says so too. */
export function moved(told = false) {
  if (!told || !streaming) refetch("workloads");
  refetchLater("me", "offers");
}

async function stream() {
  for (;;) {
    try {
      await events("stream", (_, data) => {
        let kind = "";
        try { kind = JSON.parse(data).kind; } catch { return; }
        if (kind === "workloads") moved();
        else if (SPREAD_MS[kind]) refetchSoon(kind);
        else refetchLater(kind);
      }, () => { streaming = true; });
    } catch { /* asked for again below */ }
    streaming = false;
    await new Promise((go) => setTimeout(go, 5000));
    refetchAll();
  }
}

/** Queued for the moment between asking and being granted: nobody waits who can start now. */
export function atOnce(w) {
  const due = w.status === "queued" && !w.notify && w.starts_at && Date.parse(w.starts_at) <= now();
  return due ? { ...w, status: "starting", reason: "", next: "" } : w;
}

const moving = () => (known.workloads || []).some((w) => ["starting", "stopping"].includes(atOnce(w).status));

export function begin() {
  refetchAll();
  stream();
  let beat = 0;
  setInterval(() => {
    beat += 1;
    if (document.hidden && beat % 15) return;
    // The stream tells when it runs; how far it is until then need not be known to the second.
    if (moving() && beat % (streaming ? 3 : 1) === 0) refetch("workloads");
    if (beat % (streaming ? 30 : 5) === 0) refetchAll();
  }, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refetchAll(); });
}
