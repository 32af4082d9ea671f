// For administrators: who is here, inviting, credits, quotas.
import { api, post, tellError } from "./api.js";
import { $, DIMENSIONS, asked, confirmed, credits, h, prefix, sentence, toast, track } from "./dom.js";
import { blank, labelled, small, stacked } from "./listing.js";

const ROLES = ["member", "assistant", "instructor", "admin"];

/** The link is shown once: it is stored hashed. */
function showLink(invitation) {
  const field = h("input", { readonly: true, value: invitation.url, "aria-label": "Invitation link", onfocus: () => field.select() });
  const copy = h("button.button.primary", { type: "button", onclick: async () => {
    try { await navigator.clipboard.writeText(invitation.url); copy.textContent = "Copied"; } catch { field.focus(); field.select(); toast("Press Ctrl+C to copy it"); }
  } }, "Copy");
  const box = h("dialog", { "aria-labelledby": "link-title", onclose: () => box.remove() }, h("h2", { id: "link-title" }, "Invitation link"),
    h("p.muted", null, `It works once, until ${new Date(invitation.expires_at).toLocaleString()}, and is not shown again.`),
    h("div.copy", null, field, copy), h("div.acts", null, h("button.button", { type: "button", onclick: () => box.close() }, "Done")));
  document.body.append(box);
  box.showModal();
}

const named = (d) => DIMENSIONS[d] ?? d;
const amount = { gpu: (n) => `${n / 1000} ${n === 1000 ? "GPU" : "GPUs"}`, cpu: (n) => `${n / 1000} CPU`, memory: (n) => `${Math.round(n / 2 ** 28) / 4} GiB` };

/** On a large site the console shows them all; here the first will do. */
const MOST = 60;

/** Tenants from the root down, each with its depth. A dimension that nobody set or uses is left out. */
function inTree(items) {
  const lines = new Map();
  for (const one of items) lines.set(one.tenant, [...(lines.get(one.tenant) || []), one]);
  const below = new Map();
  for (const [tenant, [first]] of lines) {
    const parent = lines.has(first.parent) ? first.parent : "";
    below.set(parent, [...(below.get(parent) || []), tenant]);
  }
  const shown = (one) => one.dimension === "gpu" || one.used || one.guaranteed || one.limit !== null;
  const walk = (parent, depth) => (below.get(parent) || []).flatMap((tenant) => [...lines.get(tenant).filter(shown).map((one) => ({ ...one, depth })), ...walk(tenant, depth + 1)]);
  return walk("", 0);
}

export function peoplePage() {
  let typing;
  const find = h("input", { type: "search", placeholder: "Name or login", maxlength: 60, autocomplete: "off", oninput: () => { clearTimeout(typing); typing = setTimeout(load, 250); } });
  const attempt = async (work, done) => { try { const answer = await work(); if (done) toast(done); load(); return answer; } catch (error) { tellError(error); return null; } };

  async function invite() {
    const form = await asked("Invite somebody", "They choose a name and a password with the link.", [
      { name: "role", label: "Role", options: ROLES, value: "member" }, { name: "tenant", label: "Tenant", value: "main", required: true },
      { name: "email", label: "E-mail (optional, for display)", type: "email" }], "Make the link");
    if (!form) return;
    const made = await attempt(() => post("invitations", form));
    if (made) showLink(made);
  }
  async function grant(person) {
    const form = await asked(`Credits for ${person.display_name || person.login}`, "They are added to the balance.", [{ name: "credits", label: "Credits", value: "50", required: true }], "Grant");
    if (form) attempt(() => post(`people/${encodeURIComponent(person.login)}/grant`, form), "Granted");
  }
  async function turn(person) {
    if (person.active && !await confirmed(`Deactivate ${person.display_name || person.login}?`, "Their tokens and sessions end and what they run is stopped.", "Deactivate")) return;
    attempt(() => post(`people/${encodeURIComponent(person.login)}/${person.active ? "deactivate" : "activate"}`));
  }
  async function limit(quota = {}) {
    const form = await asked("Set a limit", "Leave the limit empty to remove it. Without a person it is for all together, with * for each person.", [
      { name: "tenant", label: "Tenant", value: quota.tenant || "main", required: true }, { name: "person", label: "Person (login)", value: quota.person || "" },
      { name: "dimension", label: "Of what", options: Object.entries(DIMENSIONS), value: quota.dimension || "gpu" },
      { name: "period", label: "Begins anew each (for credits, GPU-hours, tokens)", options: ["", "day", "week", "month"], value: quota.period || "" },
      { name: "limit", label: "Limit", placeholder: "1/2, 8, 32Gi", value: "" }], "Set");
    if (form) attempt(() => api("quotas", { method: "PUT", body: { ...form, limit: form.limit.trim() || null } }), "Set");
  }

  async function guarantee(use) {
    const form = await asked(`Guarantee for ${use.name}`, "It is always there for them. What they do not use, others borrow and give back. 0 guarantees nothing.", [
      { name: "dimension", label: "Of what", options: Object.entries(DIMENSIONS).slice(0, 3), value: use.dimension },
      { name: "amount", label: "Guaranteed", placeholder: "1/2, 8, 32Gi", required: true }], "Guarantee");
    if (form) attempt(() => api("quotas/guaranteed", { method: "PUT", body: { ...form, tenant: use.tenant } }), "Set");
  }

  const held = (use) => {
    const [show, most] = [amount[use.dimension], use.limit ?? (use.guaranteed || null)];
    return h("tr", null, h("td", null, h(`span.depth-${Math.min(use.depth, 4)}`, null, h("strong", null, use.name))), h("td", null, named(use.dimension)),
      h("td.num", null, use.guaranteed ? show(use.guaranteed) : "–"), h("td.num", null, use.limit === null ? "no limit" : show(use.limit)),
      h("td.num.wide-bar", null, show(use.used), use.borrowed ? h("span.tag", { title: "Above its guarantee: it goes back when others need theirs" }, `${show(use.borrowed)} borrowed`) : "", most ? track(use.used / most) : ""),
      h("td.right", null, small("Guarantee", `${named(use.dimension)} of ${use.name}`, () => guarantee(use))));
  };

  const person = (p) => h("tr", null, h("td", null, h("strong", null, p.display_name || p.login), h("div.small.muted", null, p.login)),
    h("td", null, p.memberships.map((m) => `${m.role} in ${m.tenant_name}`).join(", ") || "–"), h("td.num", null, credits(p.balance)),
    h("td", null, p.active ? "Active" : h("span.tag.off", null, "Deactivated")),
    h("td.right", null, h("div.acts", null, small("Grant credits", p.login, () => grant(p)), small(p.active ? "Deactivate" : "Activate", p.login, () => turn(p)))));
  const quota = (q) => h("tr", null, h("td", null, q.tenant), h("td", null, q.person === "*" ? "each person" : q.person || "all together"), h("td", null, named(q.dimension)), h("td.num", null, q.text),
    h("td.right", null, small("Change", `${named(q.dimension)} of ${q.person || q.tenant}`, () => limit(q))));

  /** A table in a card of its own. `ask` gives its items and, where there are more, the words for that. */
  function part(label, columns, ask, row, ...above) {
    const body = h("tbody");
    const wide = (content) => h("tr", null, h("td.muted", { colspan: columns.length }, content));
    const rows = ([items, more]) => [...(more ? [wide(h("a", { href: `${prefix}console` }, more))] : []), ...(items.length ? items.map((one) => labelled(columns, row(one))) : [wide("None yet.")])];
    return { body, card: h("section.card.gap", { "aria-label": label }, above, stacked(label, columns, body)),
      asked: () => ask().then(rows).catch((error) => [blank(columns.length, `${sentence(error.message)}. ${sentence(error.next)}`)]) };
  }
  const found = async () => { const { items, next } = await api(`people?${new URLSearchParams({ search: find.value, limit: 50 })}`); return [items, next && "There are more: type a name above, or see the console."]; };
  const uses = async () => { const items = inTree((await api("quotas/use")).items); return [items.slice(0, MOST), items.length > MOST && "All groups are in the console."]; };
  const limits = async () => { const { items, next } = await api(`quotas?limit=${MOST}`); return [items, next && "All limits are in the console."]; };
  const parts = [
    part("People", ["Name", "Role", "Credits", "State", ""], found, person, h("div.range", null, h("label.field", null, "Find", find))),
    part("What groups hold", ["Group", "Of what", "Guaranteed", "At most", "Held now", ""], uses, held, h("h2", null, "What groups hold")),
    part("Quotas", ["Tenant", "Person", "Of what", "Limit", ""], limits, quota, h("div.page-head", null, h("h2", null, "Quotas"), h("button.button.small", { type: "button", onclick: () => limit() }, "Set a limit"))),
  ];
  $("main").replaceChildren(h("div.page-head", null, h("div", null, h("h1", null, "People"), h("p", null, "Who may use this site, and how much.")), h("button.button.primary", { type: "button", onclick: invite }, "Invite")), parts[0].card);

  /** All are asked for at once; what stands below a table comes when the table has, and stays where it is. */
  async function load() {
    const answers = parts.map((one) => one.asked());
    for (const [i, one] of parts.entries()) {
      one.body.replaceChildren(...await answers[i]);
      if (!one.card.isConnected) $("main").append(one.card);
    }
  }
  load();
}
