// The menu, from raw to ready, with what runs already beside it; and the list of all workloads.
import { courseCards } from "./courses.js";
import { $, clock, credits, gib, gpu, h, keyed, prefix, ring, sentence, tick } from "./dom.js";
import { LIVE, announce, job, start, withStanding } from "./job.js";
import { prefetchLab } from "./prefetch.js";
import { answered, atOnce, known, refetch, want, watch } from "./store.js";

const root = document.documentElement; // has what theme.js knows of the last visit

/** What wants something from the person comes first; within that the newest. */
const ORDER = { offered: 0, starting: 1, running: 2, stopping: 2, queued: 3, failed: 4 };

function verdict(v, availability) {
  if (v.verdict === "fits") return sentence(availability) || "Starts now";
  if (v.verdict === "waits") {
    const place = v.position ? `No. ${v.position} in the queue` : "Waits for its turn";
    return `${place}${v.starts_at ? `, about ${clock(v.starts_at)}` : ""}: ${v.reason}`;
  }
  return [v.reason, v.next].filter(Boolean).map(sentence).join(". ");
}

/** What it comes with besides the GPU: "2 CPU · 8 GiB". */
function size(o) {
  const value = (name) => o.fields.find((f) => f.name === name)?.value || "";
  return [value("cpu") && `${value("cpu")} CPU`, value("memory").replace(/^([\d.]+)([GM])i$/, "$1 $2iB")].filter(Boolean).join(" · ");
}

function offer(o) {
  const kind = o.verdict.verdict;
  const label = kind === "waits" ? "Join the queue" : "Start";
  return h("li", null, h("article.card.offer", { "aria-labelledby": `o-${o.id}` },
    h("div.head", null, ring(o.share), h("div", null, h("h3", { id: `o-${o.id}` }, o.title),
      h("p.small.muted", null, gpu(o.share.milli), o.share.milli ? ` · ${gib(o.share.memory_mib)}` : "", o.share.emulated ? h("span.tag", null, "emulated") : ""))),
    h("p.summary", null, o.summary),
    h("div.facts", null, h("span.muted", null, size(o)), h("span.price", null, h("strong.num", null, credits(o.price.per_hour)), " credits/h")),
    h(`p.says.${kind}`, null, h("span", null, verdict(o.verdict, o.availability.text))),
    h("div.acts", null,
      h("button.button.primary", { type: "button", "data-act": "start", disabled: kind === "denied", "aria-label": `${label}: ${o.title}`, onclick: () => start(o.id, o.title, o.share, o.price) }, label),
      h("a.button", { href: `${prefix}launch?offer=${encodeURIComponent(o.id)}`, "data-act": "customise", "aria-label": `Customise: ${o.title}` }, "Customise"))));
}

function failed(error, kind) {
  return h("div.blank", { role: "alert" }, h("h3", null, error.message), h("p", null, sentence(error.next)),
    h("p", null, h("button.button", { type: "button", onclick: () => refetch(kind) }, "Try again")));
}

function past(list) {
  const box = h("details.past", { hidden: true }, h("summary"), h("ul.stack"));
  return { box, fill() {
    box.hidden = !list().length;
    box.firstChild.textContent = `Ended (${list().length})`;
    keyed(box.lastChild, list(), (w) => w.id, job);
    tick(box);
  } };
}

const needs = (w) => LIVE.includes(w.status) || (w.status === "failed" && known.workloads.indexOf(w) < 8);

/** The visitor's workloads that are shown in full: live ones, and ended ones that want something of them. */
export const mine = (full = true) => (known.workloads || []).filter((w) => needs(w) === full);

/** Those that are shown in full first. */
function workloads(open) {
  const live = h("ul.stack");
  const rest = (full) => mine(full).sort((a, b) => (ORDER[atOnce(a).status] ?? 9) - (ORDER[atOnce(b).status] ?? 9));
  const ended = past(() => rest(false));
  const slot = h("div", null, h("p.muted", { role: "status" }, "Loading…"));
  ended.box.open = open;
  return { node: h("div.stack", null, slot, live, ended.box), busy: () => rest(true).length > 0, fill() {
    const none = known.workloads && !rest(true).length;
    if (known.workloadsError && !known.workloads) slot.replaceChildren(failed(known.workloadsError, "workloads"));
    else slot.replaceChildren(none ? h("div.blank", null, h("h3", null, "Nothing is running"), h("p", null, "Pick something from the menu: it is ready in seconds.")) : "");
    slot.hidden = !slot.hasChildNodes() || !slot.textContent;
    keyed(live, rest(true).map(withStanding), (w) => w.id, job);
    ended.fill();
    tick(live);
    announce();
  } };
}

export function menuPage() {
  want("offers");
  prefetchLab();
  const list = h("ul.grid", { "aria-busy": "true" });
  const running = workloads(false);
  const aside = h(`aside${root.classList.contains("has-busy") ? ".busy" : ""}`, { "aria-labelledby": "mine", "data-room": "mine" }, h("div.page-head", null, h("h2", { id: "mine" }, "My workloads"), h("a.small", { href: `${prefix}workloads` }, "See all")), running.node);
  const cards = h("div", { "data-room": "courses" }, courseCards());
  let laid = false;
  const lay = () => {
    laid = true;
    if (!answered("offers")) list.append(...$("main").querySelectorAll("li.bone"));
    $("main").replaceChildren(cards, h("div.two", null,
      h("section", { "aria-labelledby": "menu" }, h("div.page-head", null, h("div", null, h("h1", { id: "menu" }, "Start something"), h("p", null, "From raw to ready. You pay for the time it runs."))), list),
      aside));
  };
  if (["courses", "mine"].every((part) => root.style.getPropertyValue(`--room-${part}`))) lay();
  watch((kind) => {
    // A first visit: what stands above the menu is not known before it has come.
    if (!laid && answered("offers", "courses", "workloads")) lay();
    if (kind === "workloads" || (kind === "me" && known.workloads)) { running.fill(); aside.classList.toggle("busy", running.busy()); }
    if (kind !== "offers") return;
    list.removeAttribute("aria-busy");
    if (known.offers?.length) keyed(list, known.offers, (o) => o.id, offer);
    else if (known.offers) list.replaceChildren(h("li", null, h("div.blank", null, h("h3", null, "The menu is empty"), h("p", null, "Your administrator decides what is on it."))));
    else if (known.offersError) list.replaceChildren(h("li", null, failed(known.offersError, "offers")));
  });
}

export function workloadsPage() {
  const all = workloads(true);
  $("main").replaceChildren(h("div.page-head", null, h("div", null, h("h1", null, "My workloads"), h("p", null, "What runs, waits, and ran.")), h("a.button.primary", { href: prefix }, "Start something")), all.node);
  all.node.classList.add("all");
  watch((kind) => { if (kind === "workloads" || (kind === "me" && known.workloads)) all.fill(); });
}
