// What every screen has: navigation, the meter, notices, warnings of the site, leases that end.
import { announcements } from "./announcements.js";
import { post, tellError } from "./api.js";
import { $, DIMENSIONS, clock, h, keyed, now, prefix, sentence, tick, toast, track } from "./dom.js";
import { mayReserve } from "./reservations.js";
import { known, refetch, watch } from "./store.js";

function meter(me) {
  keyed($("meter"), me.meter, (line) => `${line.dimension} ${line.scope} ${line.period}`, (line) => {
    const of = line.scope === "you" ? DIMENSIONS[line.dimension] : `${line.scope} · ${DIMENSIONS[line.dimension]}`;
    const part = line.limit ? line.used / line.limit : 0;
    return h("div.gauge", { title: line.scope === "you" ? "you" : line.scope },
      h("b", null, of), h("span", null, line.text.replace(/(\.\d\d)\d+/g, "$1")), track(part));
  });
}

function ribbon(site) {
  const box = $("ribbon");
  const lines = [...(site.trust_everyone ? ["Everybody's work runs as one operating-system user here: people are not kept apart."] : []), ...site.warnings];
  box.hidden = !site.emulated && !lines.length;
  const head = site.emulated ? ["Emulated devices", ": nothing here runs on a real GPU"] : ["This site needs care", ""];
  const print = JSON.stringify([head, lines]);
  if (box.dataset.print === print) return;
  box.dataset.print = print;
  box.replaceChildren(h("strong", null, head[0]), head[1],
    lines.length ? h("details", null, h("summary", null, lines.length === 1 ? "1 warning" : `${lines.length} warnings`),
      h("ul", null, lines.map((line) => h("li", null, sentence(line))))) : "");
}

/** Whoever may set limits of some people has a part of the console. */
const mayAdminister = (me) => me.platform_admin || me.person.memberships.some((m) => ["admin", "instructor"].includes(m.role));

function person(me) {
  const name = me.person.display_name || me.person.login;
  $("person").setAttribute("aria-label", `Your account: ${name}`);
  $("person").firstElementChild.textContent = name.split(/\s+/).map((word) => word[0]).slice(0, 2).join("").toUpperCase();
  $("who").replaceChildren(h("strong", null, name), h("br"), h("span.muted.small", null, me.person.login));
  for (const node of document.querySelectorAll("[data-admin]")) node.hidden = !me.platform_admin;
  for (const node of document.querySelectorAll("[data-staff]")) node.hidden = !mayReserve(me);
  for (const node of document.querySelectorAll("[data-console]")) node.hidden = !mayAdminister(me);
  const here = document.querySelector(".main-nav [aria-current]");
  const row = here?.closest(".main-nav"); // on a phone it scrolls
  if (row) row.scrollLeft = here.offsetLeft - row.clientWidth / 2;
  const count = $("unread");
  count.hidden = !me.unread;
  count.textContent = me.unread > 99 ? "99+" : String(me.unread);
  $("bell").setAttribute("aria-label", me.unread ? `Notices, ${me.unread} unread` : "Notices");
}

const painted = () => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));

/** On a first visit the page goes down and entries of the navigation go sideways: little each by itself. */
async function top(me) {
  meter(me);
  ribbon(me.site);
  await painted();
  person(me);
  document.documentElement.classList.add("knows-me");
}

const told = new Set();
let first = true;
/** What arrives while the page is open is said at once, not only counted. */
function sayNew(items) {
  for (const n of items) {
    if (!first && !n.read && !told.has(n.id)) toast(n.text);
    told.add(n.id);
  }
  first = false;
}

function notices() {
  const items = known.notices || [];
  if (known.notices) sayNew(items);
  if (!items.length) { $("notice-list").replaceChildren(h("li.muted", null, "Nothing new.")); return; }
  keyed($("notice-list"), items, (n) => n.id, (n) => h(`li${n.read ? "" : ".new"}`, null,
    n.workload ? h("a", { href: `${prefix}workloads/${n.workload}` }, n.text) : n.text,
    h("time", { datetime: n.at }, clock(n.at))));
}

async function readAll() {
  if (!(known.notices || []).some((n) => !n.read)) return;
  try { await post("notices/all/read"); } catch { return; }
  refetch("notices");
  refetch("me");
}

/** 15 and 5 minutes before a lease ends, or work that was told to go goes, and when work is idle: one line,
 * one click. */
function endings() {
  const box = $("endings");
  const end = (w) => w.idle_stop_at || w.goes_at || w.lease_ends_at || "";
  const soon = (known.workloads || []).map((w) => ({ w, left: (Date.parse(end(w)) - now()) / 60000 }))
    .filter(({ w, left }) => w.status === "running" && (w.idle_stop_at || (left > 0 && left <= 15)))
    .map(({ w, left }) => ({ id: w.id, name: w.name, ends: end(w), idle: Boolean(w.idle_stop_at), why: w.goes_at && w.goes_why, extend: w.can_extend, last: left <= 5 }));
  box.hidden = !soon.length;
  keyed(box, soon, (one) => one.id, (one) => h(`div.ending${one.last ? ".last" : ""}`, null,
    h("p", { role: "status" }, h("strong", null, one.name), one.idle ? " is idle and stops in " : one.why ? " has to go in " : " ends in ", h("strong.num", null, h("span", { "data-until": one.ends }))),
    one.idle ? h("button.button.small", { type: "button", "data-act": "working", onclick: () => stillWorking(one.id) }, "I am still working") : one.why ? h("span.small", null, `${sentence(one.why)}. Save your work: it waits again by itself.`) : one.extend
      ? h("button.button.small", { type: "button", "data-act": "extend", onclick: () => extend(one.id) }, "Extend by 1 hour")
      : h("span.small", null, "Somebody waits for it, so it cannot be extended: save your work.")));
  tick(box);
}

export async function stillWorking(id) {
  try { await post(`workloads/${id}/active`); } catch (error) { tellError(error); }
  refetch("workloads");
}

export async function extend(id) {
  try { await post(`workloads/${id}/extend`, { by: "1h" }); } catch (error) { tellError(error); }
  refetch("workloads");
  refetch("me");
}

function theme() {
  let chosen = "system";
  try { chosen = localStorage.getItem("perijove-theme") || "system"; } catch { /* no storage */ }
  const choose = (value) => {
    try { localStorage.setItem("perijove-theme", value); } catch { /* for this page only */ }
    const roots = [document.documentElement, ...[...document.querySelectorAll("iframe")].map((f) => f.contentDocument?.documentElement)];
    for (const root of roots.filter(Boolean)) {
      if (value === "system") delete root.dataset.theme; else root.dataset.theme = value;
    }
  };
  const early = document.querySelector("[name=theme]:checked"); // whoever is quick chose before this script ran
  if (early) choose(early.value);
  for (const radio of document.querySelectorAll("[name=theme]")) {
    radio.checked = radio.value === (early?.value ?? chosen);
    radio.addEventListener("change", () => choose(radio.value));
  }
}

function whenOpen(id, then) {
  const sheet = $(id);
  sheet.addEventListener("toggle", (event) => { if (event.newState === "open") then(); });
  if (sheet.matches(":popover-open")) then(); // whoever is quick opened it before this script ran
}

export function header() {
  const path = location.pathname.replace(/\/$/, "");
  for (const link of document.querySelectorAll(".main-nav a")) {
    const to = new URL(link.href).pathname.replace(/\/$/, "");
    const menu = to === prefix.replace(/\/$/, "");
    if (menu ? path === to || path.endsWith("/launch") : path.startsWith(to)) link.setAttribute("aria-current", "page");
  }
  theme();
  announcements();
  $("banners").append($("announcements"));
  whenOpen("notices", readAll);
  whenOpen("person-menu", () => {
    import("./sign-ins.js").then((menu) => menu.signIns(), () => { /* its other entries are there */ });
  });
  watch((kind) => {
    if (kind === "me" && known.me) top(known.me);
    if (kind === "notices") notices();
    if (kind === "workloads") endings();
  });
  setInterval(endings, 5000);
}
