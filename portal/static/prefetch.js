// While the person reads the menu, the browser fetches what JupyterLab will be loaded from. It is the
// same for every server: the start that comes finds it in the browser's cache.
import { prefix } from "./dom.js";

const REST_MS = 1500;
const SLOW_MS = 1000;
const BACK_OFF_MS = 8000;
const DONE = "perijove-lab-ahead";

/** Never where data is dear: as the browser says of itself, or on a slow mobile network. */
const dear = () => navigator.connection?.saveData || /(^|-)2g$/.test(navigator.connection?.effectiveType || "");

const idle = () => new Promise((go) => {
  if (window.requestIdleCallback) requestIdleCallback(go, { timeout: 10000 });
  else setTimeout(go, 200);
});

const rest = (ms) => new Promise((go) => setTimeout(go, ms));

async function fetchAll() {
  const answer = await fetch(`${prefix}lab/ahead.json`, { priority: "low" });
  const addresses = answer.ok ? await answer.json() : [];
  // Once a visit of the site is enough: what is there already costs a look into the cache each time.
  if (!addresses.length || sessionStorage.getItem(DONE) === addresses[0]) return;
  for (const address of addresses) {
    await idle();
    if (document.hidden) return;  // the lab has opened in another tab: its own requests come first
    const begun = performance.now();
    const one = await fetch(address, { priority: "low" });
    if (!one.ok) return;
    await one.arrayBuffer();
    // The line or the site is busy, a class arrives perhaps: those who open their lab come first.
    if (performance.now() - begun > SLOW_MS) await rest(BACK_OFF_MS * (0.5 + Math.random()));
  }
  sessionStorage.setItem(DONE, addresses[0]);
}

/** Begin when the page is idle, some random moments later: a class arrives at once. */
export function prefetchLab() {
  if (dear()) return;
  const begin = async () => {
    await rest(REST_MS * (0.2 + Math.random()));
    await idle();
    fetchAll().catch(() => {});  // nothing depends on it
  };
  if (document.readyState === "complete") begin();
  else addEventListener("load", begin, { once: true });
}
