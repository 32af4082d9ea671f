// What stands on the page, kept for the next one: theme.js gives it its room before the first paint.
// Sizes and flags only, no names. Fetched when the page is there.
import { $ } from "./dom.js";
import { answered, known, watch } from "./store.js";

const KEY = "perijove-kept";
const FLAGS = { ribbon: "#ribbon", courses: "[data-courses]", staff: "[data-staff]", admin: "[data-admin]", console: "[data-console]" };
const root = document.documentElement;

const read = () => { try { return JSON.parse(localStorage.getItem(KEY)) || {}; } catch { return {}; } };

/** The heights of the parts, which are the elements with `data-room`, and `on`, the flags. `counts` says
 * how many things a part holds: with more or fewer, its height on another page is forgotten. */
function write(on, counts) {
  const { rooms = {}, width } = read();
  for (const name of [...root.classList]) if (name.startsWith("has-") && !on.includes(name)) root.classList.remove(name);
  for (const part of Object.keys(rooms)) {
    if (Math.abs(width - innerWidth) > 60 || rooms[part].count !== counts[part]) delete rooms[part];
  }
  for (const node of document.querySelectorAll("[data-room]")) {
    const part = node.dataset.room;
    root.style.removeProperty(`--room-${part}`);
    rooms[part] = { height: node.offsetHeight, count: counts[part] };
  }
  try { localStorage.setItem(KEY, JSON.stringify({ width: innerWidth, on, rooms })); } catch { /* the next page is a first one */ }
}

function all(busy) {
  if (!known.me || !answered("courses", "workloads", "visits", "announcements")) return;
  if (!root.classList.contains("knows-me")) { requestAnimationFrame(() => all(busy)); return; } // the navigation comes last
  const on = Object.keys(FLAGS).filter((flag) => !document.querySelector(FLAGS[flag]).hidden);
  write([...on, ...(busy() ? ["busy"] : [])].map((flag) => `has-${flag}`), { courses: known.courses?.length || 0, mine: busy() });
}

/** From now on; `busy` counts the workloads that the menu shows in full. */
export function keep(busy) {
  let soon = 0;
  // In the next frame: by then the listeners of the change have drawn it.
  const change = () => { soon ||= requestAnimationFrame(() => { soon = 0; all(busy); }); };
  watch(change);
  change();
  // Whoever comes after on this browser may be somebody else.
  $("person-menu").addEventListener("submit", () => { try { localStorage.removeItem(KEY); } catch { /* nothing was kept */ } });
}
