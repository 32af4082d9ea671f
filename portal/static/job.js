// A workload's card, and everything that can be done with it.
import { post, postOnce, tellError } from "./api.js";
import { clock, confirmed, credits, gib, gpu, h, now, prefix, sentence, span, toast } from "./dom.js";
import { extend, stillWorking } from "./header.js";
import { atOnce, known, moved, tell } from "./store.js";

export const LIVE = ["queued", "offered", "starting", "running", "stopping"];
const STATES = { queued: "Waiting", offered: "Your turn", starting: "Starting", running: "Running", stopping: "Stopping", stopped: "Ended", failed: "Failed" };
const MINE = new Set(); // started from this page: told when they run

async function act(path, body, button) {
  if (button) button.disabled = true;
  try { return await post(path, body); } catch (error) { tellError(error); if (button) button.disabled = false; return null; } finally { moved(); }
}

/** Start at once: the card is there before the answer is. */
export async function start(offer, title, share, price, set = {}, tenant = "") {
  if ((known.workloads || []).some((w) => w.ghost && w.offer === offer)) return; // a double click is one wish
  const ghost = {
    id: `new-${Date.now()}`, name: title, kind: "notebook", status: "starting", target: "running", url: "", share, price, cost: "0",
    offer, offer_title: title, cpu: "", memory_mib: 0, created_at: new Date(now()).toISOString(), alternatives: [], notes: [], reason: "", next: "",
    progress: { done: 0, of: 4, text: "Asking for a place" }, ghost: true,
  };
  known.workloads = [ghost, ...(known.workloads || [])];
  tell("workloads");
  try {
    const made = await postOnce("workloads", { offer, set, ...(tenant ? { tenant } : {}) });
    MINE.add(made.id);
    const newer = known.workloads.find((w) => w.id === made.id); // the stream may have been quicker
    known.workloads = [newer || made, ...known.workloads.filter((w) => w.id !== ghost.id && w.id !== made.id)];
    moved(true);
  } catch (error) {
    known.workloads = known.workloads.filter((w) => w.id !== ghost.id);
    tellError(error);
    moved();
  }
  tell("workloads");
}

/** When what was started here runs: say so, and put the focus where it is wanted. */
export function announce() {
  for (const w of known.workloads || []) {
    if (!MINE.has(w.id) || !["running", "failed"].includes(w.status)) continue;
    MINE.delete(w.id);
    if (w.status === "failed") { toast(`${w.name} did not start: ${w.reason}`, w.next, true); continue; }
    toast(`${w.name} is ready`, "Open JupyterLab to begin");
    const free = [document.body, null].includes(document.activeElement) || document.activeElement.closest?.(".offer, .job, main:focus");
    if (free) document.querySelector(`[data-key="${CSS.escape(w.id)}"] [data-act="open"]`)?.focus();
  }
}
export const follow = (id) => MINE.add(id);

function pair(label, ...value) { return h("div", null, h("strong", null, ...value), label); }

function numbers(w) {
  const pairs = [];
  if (w.goes_at) pairs.push(pair("until it goes", h("span", { "data-until": w.goes_at, "data-hotly": "" })));
  else if (w.lease_ends_at && w.status === "running") pairs.push(pair("time left", h("span", { "data-until": w.lease_ends_at, "data-hotly": "" })));
  if (w.status === "offered") pairs.push(pair("to accept", h("span", { "data-until": w.offered_until, "data-hotly": "" })));
  if (w.status === "queued" && w.position) pairs.push(pair("in the queue", `No. ${w.position}`));
  if (w.status === "queued") pairs.push(pair("expected start", w.starts_at ? clock(w.starts_at) : "not known yet"));
  if (["running", "stopping"].includes(w.status)) {
    pairs.push(pair("credits so far", h("span", { "data-cost": w.cost, "data-rate": w.status === "running" ? w.price.per_hour : 0, "data-at": now() - (Date.now() - (known.fetchedAt || Date.now())) }, credits(w.cost))));
  }
  if (["stopped", "failed"].includes(w.status)) {
    pairs.push(pair("credits", credits(w.cost)));
    if (w.started_at && w.ended_at) pairs.push(pair("ran for", span((Date.parse(w.ended_at) - Date.parse(w.started_at)) / 1000)));
  }
  return pairs.length ? h("div.pairs", null, pairs) : null;
}

function steps(w) {
  if (!["starting", "stopping"].includes(w.status)) return null;
  const p = w.progress || { done: 0, of: 4, text: w.status === "starting" ? "Starting" : "Saving and stopping" };
  return h("div.steps", { role: "progressbar", "aria-valuemin": 0, "aria-valuemax": p.of, "aria-valuenow": p.done, "aria-valuetext": p.text },
    h("div.dots", null, Array.from({ length: p.of }, (_, i) => h(`i${i < p.done ? ".done" : i === p.done ? ".now" : ""}`))),
    h("p", { "aria-live": "polite" }, sentence(p.text), "…"));
}

/** It was told to go: when, why, and what becomes of it. */
function going(w) {
  if (!w.goes_at) return null;
  return h("div.why.turn", { role: "status" },
    h("p", null, h("strong", null, `It goes at ${clock(w.goes_at)}. `), sentence(w.goes_why), "."),
    h("p", null, "Save your work: files in your home stay. It waits again by itself, before what is new of its class.",
      w.saved_at ? ` It last said that it saved at ${clock(w.saved_at)}.` : ""));
}

/** Nothing happens in it: since when, when it stops, and what stays. */
function idle(w) {
  if (!w.idle_stop_at) return null;
  return h("div.why.turn", { role: "status" },
    h("p", null, h("strong", null, `It stops at ${clock(w.idle_stop_at)}: `), `nothing has happened in it since ${clock(w.active_at)}.`),
    h("p", null, w.share.milli ? "Its GPU then goes to others. " : "", "Files in your home and open tabs stay; variables go."));
}

/** What a person should know of its place before it is lost. */
function marks(w) {
  const tag = (text, title) => h("span.tag", { title }, text);
  const all = [
    w.preemptible ? tag("may have to go", "It was launched so: urgent work may take its place. It is told before, and waits again by itself.") : null,
    w.borrowed ? tag("borrowed", "Its place is guaranteed to another group: it goes back when they need it. It is told before, and waits again by itself.") : null,
    w.again && w.status === "queued" ? tag("waits again", "It lost its place through no fault of its own, so it comes before what is new of its class.") : null,
  ].filter(Boolean);
  return all.length ? h("p.marks", null, all) : null;
}

/** A workload behind others, with what decides who is first: what it and its groups used lately. */
export function withStanding(w) {
  const said = (known.me?.fair_share || []).map((line) => line.text);
  return w.status === "queued" && (w.position > 1 || w.reason_code === "queue") && said.length ? { ...w, standing: said.join("; ") } : w;
}

function why(w) {
  const lines = [w.reason, w.next].filter(Boolean).map((line) => h("p", null, sentence(line)));
  if (w.status === "offered") lines.unshift(h("p", null, h("strong", null, "It is your turn."), " The place is held for you."));
  const notes = LIVE.includes(w.status) ? (w.notes || []).map((note) => h("p.small", null, note)) : [];
  if (w.standing) lines.push(h("p.small.muted", null, sentence(w.standing), ". Who used less goes first."));
  if (!lines.length && !notes.length) return null;
  return h(`div.why${w.status === "failed" ? ".failed" : w.status === "offered" ? ".turn" : ""}`, null, lines, notes);
}

function alternatives(w) {
  if (w.status !== "queued" || !w.alternatives.length) return null;
  return h("div", null, h("p.small.muted", null, "Would start now instead:"), h("div.acts", null,
    w.alternatives.slice(0, 3).map((one) => h("button.button.small", {
      type: "button", "data-act": `alt-${one.offer}`,
      onclick: async (event) => {
        event.target.disabled = true;
        if (await act(`workloads/${w.id}/stop`)) start(one.offer, one.text.replace(/ starts now$/, ""), w.share, one.price, one.set, w.tenant);
      },
    }, one.text))));
}

async function stop(w, button) {
  const waiting = ["queued", "offered"].includes(w.status);
  const sure = await confirmed(waiting ? `Leave the queue for ${w.name}?` : `Stop ${w.name}?`,
    waiting ? "Nothing was charged. You can ask for it again at any time." : "Files stay; what only lives in memory is lost. You pay for the time until now.",
    waiting ? "Leave the queue" : "Stop");
  if (sure) act(`workloads/${w.id}/stop`, {}, button);
}

async function relaunch(w, set, button) {
  const made = await act(`workloads/${w.id}/relaunch`, { set }, button);
  if (made) { follow(made.id); if (location.pathname.includes(`/workloads/${w.id}`)) location.assign(`${prefix}workloads/${made.id}${location.search}`); }
}

/** Whoever came here from a JupyterLab that had ended is led back to where they were in it. */
export function goBack(w) {
  const back = new URLSearchParams(location.search).get("back");
  if (!back || w.status !== "running" || !w.url) return;
  const lab = new URL(w.url, location);
  const server = lab.pathname.slice(0, lab.pathname.indexOf(`/${w.id}/`) + w.id.length + 2);
  const to = new URL(back, new URL(server, lab));
  history.replaceState(null, "", location.pathname); // once: Back leads to this page
  location.assign(to.origin === lab.origin && to.pathname.startsWith(`${server}lab`) ? to : lab);
}

function actions(w) {
  const button = (kind, name, label, onclick) => h(`button.button${kind}`, { type: "button", "data-act": name, "aria-label": `${label}: ${w.name}`, onclick }, label);
  if (w.ghost) return null;
  const all = [];
  if (w.status === "running") {
    all.push(h("a.button.primary", { href: w.url, target: "_blank", rel: "noopener", "data-act": "open", "aria-label": `Open JupyterLab: ${w.name}` }, w.kind === "notebook" ? "Open JupyterLab" : "Open"));
    if (w.idle_stop_at) all.push(button("", "working", "I am still working", () => stillWorking(w.id)));
    if (w.can_extend && !w.goes_at) all.push(button("", "extend", "Extend", () => extend(w.id)));
  }
  if (w.status === "offered") all.push(button(".primary", "accept", "Accept", (e) => { follow(w.id); act(`workloads/${w.id}/accept`, {}, e.target); }));
  if (["stopped", "failed"].includes(w.status)) {
    const larger = Object.entries(w.suggestion || {}).map(([k, v]) => `${k} ${v}`).join(", ");
    if (larger) all.push(button(".primary", "larger", `Relaunch with ${larger}`, (e) => relaunch(w, w.suggestion, e.target)));
    const idle = w.reason_code === "idle";
    all.push(button(idle ? ".primary" : "", "relaunch", larger ? "Same again" : idle ? "Start again" : "Relaunch", (e) => relaunch(w, {}, e.target)));
  }
  if (["queued", "offered", "starting", "running"].includes(w.status)) all.push(button(".plain", "stop", w.status === "queued" ? "Leave the queue" : w.status === "offered" ? "Decline" : "Stop", (e) => stop(w, e.target)));
  return all.length ? h("div.acts", null, all) : null;
}

function notify(w) {
  if (w.status !== "queued") return null;
  const box = h("input", { type: "checkbox", "data-act": "notify", checked: w.notify, onchange: () => act(`workloads/${w.id}/notify`, { on: box.checked }) });
  return h("label.switch", null, box, "Notify me, and hold my turn for ten minutes");
}

export function what(w) {
  const size = [w.cpu ? `${w.cpu} CPU` : "", w.memory_mib ? gib(w.memory_mib) : ""].filter(Boolean);
  return [gpu(w.share.milli) + (w.share.emulated ? " (emulated)" : ""), ...size].join(" · ");
}

/** `deep` is the card on the workload's own page, which has a heading of its own. */
export function job(asked, deep = false) {
  const w = atOnce(asked);
  const title = deep ? null : h("h3", { id: `t-${w.id}` }, w.ghost ? w.name : h("a", { href: `${prefix}workloads/${w.id}` }, w.name));
  return h("li", null, h(`article.card.job${LIVE.includes(w.status) ? "" : ".ended"}`, deep ? { "aria-label": w.name } : { "aria-labelledby": `t-${w.id}` },
    h("div.top-line", null, h("div", null, title, h("p.what", null, what(w)), marks(w)), h(`span.state.${w.status}`, null, STATES[w.status] || w.status)),
    steps(w), numbers(w), going(w), idle(w), why(w), alternatives(w), notify(w), actions(w)));
}
