// For administrators: who is here, inviting, credits, quotas.
import { api, post, tellError } from "./api.js";
import { $, asked, confirmed, credits, h, prefix, sentence, toast, track } from "./dom.js";

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

const NAMES = { gpu: "GPU", cpu: "CPU", memory: "Memory" };
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
  const people = h("tbody");
  const quotas = h("tbody");
  const uses = h("tbody");
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
      { name: "dimension", label: "Of what", options: ["gpu", "cpu", "memory", "workloads", "credits", "gpu-hours", "tokens"], value: quota.dimension || "gpu" },
      { name: "period", label: "Begins anew each (for credits, gpu-hours, tokens)", options: ["", "day", "week", "month"], value: quota.period || "" },
      { name: "limit", label: "Limit", placeholder: "1/2, 8, 32Gi", value: "" }], "Set");
    if (form) attempt(() => api("quotas", { method: "PUT", body: { ...form, limit: form.limit.trim() || null } }), "Set");
  }

  async function guarantee(use) {
    const form = await asked(`Guarantee for ${use.name}`, "It is always there for them. What they do not use, others borrow and give back. 0 guarantees nothing.", [
      { name: "dimension", label: "Of what", options: ["gpu", "cpu", "memory"], value: use.dimension },
      { name: "amount", label: "Guaranteed", placeholder: "1/2, 8, 32Gi", required: true }], "Guarantee");
    if (form) attempt(() => api("quotas/guaranteed", { method: "PUT", body: { ...form, tenant: use.tenant } }), "Set");
  }

  const held = (use) => {
    const [show, most] = [amount[use.dimension], use.limit ?? (use.guaranteed || null)];
    return h("tr", null, h("td", null, h(`span.depth-${Math.min(use.depth, 4)}`, null, h("strong", null, use.name))), h("td", null, NAMES[use.dimension]),
      h("td.num", null, use.guaranteed ? show(use.guaranteed) : "–"), h("td.num", null, use.limit === null ? "no limit" : show(use.limit)),
      h("td.num.wide-bar", null, show(use.used), use.borrowed ? h("span.tag", { title: "Above its guarantee: it goes back when others need theirs" }, `${show(use.borrowed)} borrowed`) : "", most ? track(use.used / most) : ""),
      h("td.right", null, small("Guarantee", () => guarantee(use), `${NAMES[use.dimension]} of ${use.name}`)));
  };

  const head = (...names) => h("thead", null, h("tr", null, names.map((n) => h("th", { scope: "col" }, n))));
  $("main").replaceChildren(h("div.page-head", null, h("div", null, h("h1", null, "People"), h("p", null, "Who may use this site, and how much.")), h("button.button.primary", { type: "button", onclick: invite }, "Invite")),
    h("section.card", { "aria-label": "People" }, h("div.range", null, h("label.field", null, "Find", find)), h("div.scroll", null, h("table", null, head("Name", "Role", "Credits", "State", ""), people))),
    h("section.card.gap", { "aria-labelledby": "h-use" }, h("h2", { id: "h-use" }, "What groups hold"),
      h("div.scroll", null, h("table", null, head("Group", "Of what", "Guaranteed", "At most", "Held now", ""), uses))),
    h("section.card.gap", { "aria-labelledby": "h-quota" }, h("div.page-head", null, h("h2", { id: "h-quota" }, "Quotas"), h("button.button.small", { type: "button", onclick: () => limit() }, "Set a limit")),
      h("div.scroll", null, h("table", null, head("Tenant", "Person", "Of what", "Limit", ""), quotas))));

  const small = (label, onclick, name) => h("button.button.small", { type: "button", onclick, "aria-label": `${label}: ${name}` }, label);
  const elsewhere = (columns, text) => h("tr", null, h("td", { colspan: columns }, h("a", { href: `${prefix}console` }, text)));
  const blank = (columns, error) => h("tr", null, h("td.muted", { colspan: columns }, error ? `${sentence(error.message)}. ${sentence(error.next)}` : "None yet."));
  async function load() {
    try {
      const { items, next } = await api(`people?${new URLSearchParams({ search: find.value, limit: 50 })}`);
      people.replaceChildren(...(next ? [elsewhere(5, "There are more: type a name above, or see the console.")] : []), ...items.map((p) => h("tr", null, h("td", null, h("strong", null, p.display_name || p.login), h("div.small.muted", null, p.login)),
        h("td", null, p.memberships.map((m) => `${m.role} in ${m.tenant_name}`).join(", ") || "–"), h("td.num", null, credits(p.balance)),
        h("td", null, p.active ? "Active" : h("span.tag.off", null, "Deactivated")),
        h("td.right", null, h("div.acts", null, small("Grant credits", () => grant(p), p.login), small(p.active ? "Deactivate" : "Activate", () => turn(p), p.login))))));
    } catch (error) { people.replaceChildren(blank(5, error)); }
    try {
      const items = inTree((await api("quotas/use")).items);
      uses.replaceChildren(...(items.length ? items.slice(0, MOST).map(held) : [blank(6)]), ...(items.length > MOST ? [elsewhere(6, "All groups are in the console.")] : []));
    } catch (error) { uses.replaceChildren(blank(6, error)); }
    try {
      const { items, next } = await api(`quotas?limit=${MOST}`);
      quotas.replaceChildren(...(items.length ? items.map((q) => h("tr", null, h("td", null, q.tenant), h("td", null, q.person === "*" ? "each person" : q.person || "all together"), h("td", null, q.dimension), h("td.num", null, q.text),
        h("td.right", null, small("Change", () => limit(q), `${q.dimension} of ${q.person || q.tenant}`)))) : [blank(5)]), ...(next ? [elsewhere(5, "All limits are in the console.")] : []));
    } catch (error) { quotas.replaceChildren(blank(5, error)); }
  }
  load();
}
