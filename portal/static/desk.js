// The console: quotas, people, requests, the queue, devices, announcements, audit. Each part is made
// when it is opened, and shows no more than its visitor may see.
import { api, post, tellError } from "./api.js";
import { asks } from "./desk-requests.js";
import { $, asked, clock, confirmed, credits, h, prefix, sentence, toast } from "./dom.js";
import { frame } from "./frames.js";
import { blank, head, listing, small } from "./listing.js";
import { known, watch } from "./store.js";

const ROLES = ["", "member", "assistant", "instructor", "admin", "platform-admin"];

const search = (placeholder) => h("input", { type: "search", placeholder, autocomplete: "off", maxlength: 60 });
const select = (options, names = {}) => h("select", null, options.map((o) => h("option", { value: o }, names[o] ?? sentence(o))));
const field = (label, input) => h("label.field", null, label, input);
const filters = (...fields) => h("div.range", null, fields);

function people() {
  const fields = { search: search("Name or login"), tenant: search("Id of a tenant"), role: select(ROLES, { "": "Any role" }), state: select(["", "active", "closed"], { "": "Any state" }), sort: select(["login", "name", "-since", "-balance", "balance"], { login: "Login", name: "Name", "-since": "Newest", "-balance": "Most credits", balance: "Fewest credits" }) };
  const act = async (work, done, reload) => { try { await work(); toast(done); } catch (error) { tellError(error); } reload(); };
  async function grant(p, reload) {
    const form = await asked(`Credits for ${p.display_name || p.login}`, "They are new, and added to the balance.", [{ name: "credits", label: "Credits", value: "50", required: true }], "Grant");
    if (form) act(() => post(`people/${encodeURIComponent(p.login)}/grant`, form), "Granted", reload);
  }
  async function turn(p, reload) {
    if (p.active && !await confirmed(`Deactivate ${p.display_name || p.login}?`, "Their tokens and sessions end and what they run is stopped.", "Deactivate")) return;
    act(() => post(`people/${encodeURIComponent(p.login)}/${p.active ? "deactivate" : "activate"}`), p.active ? "Deactivated" : "Activated", reload);
  }
  const row = (p, reload) => h("tr", null, h("td", null, h("strong", null, p.display_name || p.login), h("div.small.muted", null, p.login)),
    h("td", null, p.memberships.map((m) => `${m.role} in ${m.tenant_name}`).join(", ") || "–"), h("td.num", null, credits(p.balance)),
    h("td", null, p.active ? "Active" : h("span.tag.off", null, "Deactivated")),
    h("td.right", null, h("div.acts", null, known.me?.platform_admin ? small("Grant credits", p.login, () => grant(p, reload)) : null, small(p.active ? "Deactivate" : "Activate", p.login, () => turn(p, reload)))));
  return [h("p.muted", null, "Their limits are set under Quotas. ", h("a", { href: `${prefix}people` }, "Invite somebody")),
    filters(field("Find", fields.search), field("Tenant", fields.tenant), field("Role", fields.role), field("State", fields.state), field("Sort by", fields.sort)),
    listing({ label: "People", columns: ["Name", "Role", "Credits", "State", ""], path: "people", fields, row, empty: "Nobody is called that." })];
}

/** All that waits, in its order: a page of the API holds 200. */
async function waiting() {
  const found = [];
  let cursor = "";
  for (let page = 0; page < 10; page += 1) {
    const answer = await api(`workloads?everybody=true&state=queued&limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    found.push(...answer.items);
    cursor = answer.next || "";
    if (!cursor) break;
  }
  return found.sort((a, b) => (a.position ?? 1e9) - (b.position ?? 1e9));
}

function queue() {
  const body = h("tbody");
  const row = (w) => h("tr", null, h("td.num", null, w.status === "offered" ? "its turn" : (w.position ?? "–")), h("td", null, w.owner), h("td", null, h("strong", null, w.name), h("div.small.muted", null, `${w.offer_title} · ${w.tenant}`)),
    h("td", null, sentence(w.reason) || "–"), h("td", null, w.starts_at ? `about ${clock(w.starts_at)}` : "not known"));
  async function load() {
    try {
      const items = await waiting();
      body.replaceChildren(...(items.length ? items.map(row) : [blank(5, "Nothing waits.")]));
    } catch (error) { body.replaceChildren(blank(5, `${sentence(error.message)}. ${sentence(error.next)}.`)); }
  }
  load();
  const again = setInterval(() => { if (!body.isConnected) clearInterval(again); else if (!document.hidden) load(); }, 10000);
  return [h("p.muted", null, "Expected times are bounds: they hold if nobody extends and nothing more urgent comes."),
    h("div.scroll", null, h("table", null, h("caption.sr", null, "What waits, the first to start first"), head("Position", "Who", "What", "Why it waits", "Expected"), body))];
}

function devices() {
  return [h("p.muted", null, "Each square is a device, darker the more of it is held. ", known.me?.platform_admin ? h("a", { href: `${prefix}inventory` }, "Drain a node, or release a device, on the inventory page.") : ""),
    frame("panels/inventory", "Heat map of devices")];
}

const local = (value) => (value ? new Date(value).toISOString() : "");

function announcements() {
  const state = select(["all", "on", "scheduled", "over"], { all: "All", on: "On now" });
  const tenant = h("input", { required: true, value: known.me?.platform_admin ? "main" : known.me?.person.memberships.find((m) => m.role !== "member")?.tenant || "", maxlength: 60 });
  const [text, level] = [h("textarea", { required: true, rows: 3, maxlength: 1000 }), select(["info", "warning"], { info: "Information" })];
  const [from, to] = [h("input", { type: "datetime-local" }), h("input", { type: "datetime-local" })];
  const act = async (work, done, reload) => { try { await work(); toast(done); } catch (error) { tellError(error); } reload(); };
  const row = (a, reload) => h("tr", null, h("td", null, a.text, h("div.small.muted", null, a.tenant_name)), h("td", null, h(`span.tag${a.state === "on" ? ".good" : ".off"}`, null, sentence(a.state))),
    h("td", null, `${clock(a.starts_at)} – ${clock(a.ends_at)}`), h("td.num", null, a.seen_by),
    h("td.right", null, ["on", "scheduled"].includes(a.state) ? small("Withdraw", a.text.slice(0, 40), () => act(() => api(`announcements/${a.id}`, { method: "DELETE" }), "Withdrawn", reload)) : ""));
  const list = h("div");
  const fill = () => list.replaceChildren(listing({ label: "Announcements", columns: ["Text", "State", "From – until", "Put away by", ""], path: "announcements/all", fields: { state }, row, empty: "None yet." }));
  const form = h("form", { onsubmit: (event) => {
    event.preventDefault();
    const send = () => post("announcements", { tenant: tenant.value.trim(), text: text.value, level: level.value, starts_at: local(from.value), ends_at: local(to.value) });
    act(async () => { await send(); text.value = ""; }, "Announced", fill);
  } }, h("div.range", null, field("To everybody of (id of a tenant)", tenant), field("Kind", level), field("From (empty: now)", from), field("Until (empty: for a day)", to)), field("What people read, in the portal and in their notebooks", text),
  h("div.acts.gap", null, h("button.button.primary", { type: "submit" }, "Announce")));
  fill();
  return [form, h("div.range.gap", null, field("Show", state)), list];
}

/** Somebody may have written what only looks like a time. */
const stamp = (text) => (/^\d{4}-\d\d-\d\dT[\d:.]{8,15}(Z|[+-]\d\d:\d\d)$/.test(text) && Date.parse(text) ? clock(text) : text);

/** The beginning of a day by the visitor's clock, or of one after it: the last day counts whole. */
function midnight(day, after) {
  const at = new Date(`${day}T00:00:00`);
  at.setDate(at.getDate() + after);
  return at.toISOString();
}

function audit() {
  const fields = { actor: search("Login"), action: search("Like set-quota"), object: search("On what"), tenant: search("Id of a tenant"), from: h("input", { type: "date" }), to: h("input", { type: "date" }) };
  const row = (line) => h("tr", null, h("td.num.muted", null, line.id), h("td", null, clock(line.at)), h("td", null, line.actor_login || line.actor), h("td", null, line.action), h("td", null, line.object_login || line.object, h("div.small.muted", null, line.tenant)),
    h("td.small", null, Object.entries(line.told).map(([name, text]) => `${name}: ${stamp(text)}`).join(" · ")));
  return [h("p.muted", null, "Nothing is ever taken out of it: each line seals the one before. ", h("code", null, "perijove audit verify"), " checks all of it."),
    filters(field("Who", fields.actor), field("Act", fields.action), field("On what", fields.object), field("Tenant", fields.tenant), field("From", fields.from), field("Until", fields.to)),
    listing({ label: "Audit, the newest first", columns: ["No.", "When", "Who", "Act", "On what", "Detail"], path: "audit", fields, read: { from: (day) => midnight(day, 0), to: (day) => midnight(day, 1) }, row, empty: "Nothing like that happened." })];
}

const admin = (me) => me.platform_admin || me.person.memberships.some((m) => m.role === "admin");
const PARTS = {
  quotas: ["Quotas", () => frame("panels/desk", "Quotas of tenants and people")],
  requests: ["Requests", asks],
  people: ["People", people, admin],
  queue: ["Queue", queue],
  devices: ["Devices", devices],
  announcements: ["Announcements", announcements],
  audit: ["Audit", audit, admin],
};

export function consolePage() {
  const nav = h("nav.parts", { "aria-label": "Console" });
  const view = h("section.card", { "aria-labelledby": "h-part" });
  $("main").replaceChildren(h("div.page-head", null, h("div", null, h("h1", null, "Console"), h("p", null, "What your part of the site may have, who asks for more, and what happened."))), nav, view);
  let shown = "";
  function show() {
    const me = known.me;
    if (!me) return;
    const mine = Object.entries(PARTS).filter(([, [, , may]]) => !may || may(me));
    const id = location.hash.slice(1) in PARTS ? location.hash.slice(1) : "quotas";
    nav.replaceChildren(h("ul", null, mine.map(([key, [name]]) => h("li", null, h("a", { href: `#${key}`, "aria-current": key === id ? "page" : null }, name)))));
    if (shown === id) return;
    const first = !shown;
    shown = id;
    const title = h("h2", { id: "h-part", tabindex: "-1" }, PARTS[id][0]);
    view.replaceChildren(title, ...[PARTS[id][1]()].flat());
    if (!first) title.focus({ preventScroll: true });
  }
  addEventListener("hashchange", show);
  watch((kind) => { if (kind === "me" && !shown) show(); });
  show();
}
