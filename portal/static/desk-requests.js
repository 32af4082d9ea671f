// Requests for more: what is asked of you, and what you ask for.
import { api, post, tellError } from "./api.js";
import { asked, clock, h, sentence, toast } from "./dom.js";
import { listing, small } from "./listing.js";

const NAMES = { gpu: "GPU", cpu: "CPU", memory: "memory", workloads: "running at once", "gpu-hours": "GPU-hours", tokens: "tokens", storage: "storage" };
const STATES = { open: "Open", approved: "Approved", denied: "Denied", withdrawn: "Withdrawn", "": "All" };
const path = (r, verb) => `quota-requests/${encodeURIComponent(r.id)}/${verb}`;

async function act(work, done, reload) {
  try { await work(); toast(done); } catch (error) { tellError(error); }
  reload();
}

async function approve(r, reload) {
  const form = await asked(`Approve ${r.text} for ${r.person}?`, `They may have ${r.now} now. What you approve becomes their own limit in ${r.tenant_name}.`, [
    { name: "amount", label: "Amount", value: r.amount, required: true }, { name: "answer", label: "A word to them (optional)" }], "Approve");
  if (form) act(() => post(path(r, "decide"), { approve: true, ...form }), "Approved", reload);
}

async function deny(r, reload) {
  const form = await asked(`Deny ${r.text} for ${r.person}?`, "They read why.", [{ name: "answer", label: "Why", required: true }], "Deny");
  if (form) act(() => post(path(r, "decide"), { approve: false, ...form }), "Denied", reload);
}

/** Ask for more; also from the usage page. */
export async function askForMore(reload = () => {}) {
  const form = await asked("Ask for more", "The administrators of your tenant are told, and answer.", [
    { name: "dimension", label: "Of what", options: Object.entries(NAMES), value: "gpu" }, { name: "amount", label: "How much in all", placeholder: "1/2, 8, 32Gi", required: true },
    { name: "period", label: "Per (for GPU-hours and tokens)", options: ["", "day", "week", "month"], value: "" }, { name: "reason", label: "What for", required: true }], "Ask");
  if (form) act(() => post("quota-requests", form), "Asked", reload);
}

function row(r, reload) {
  return h("tr", null, h("td", null, h("strong", null, r.name || r.person), h("div.small.muted", null, `${r.person} in ${r.tenant_name}`)),
    h("td", null, h("strong", null, r.text), h("div.small.muted", null, `of ${NAMES[r.dimension] ?? r.dimension}, has ${r.now}`)), h("td", null, r.reason),
    h("td", null, h(`span.tag${r.state === "approved" ? ".good" : r.state === "open" ? "" : ".off"}`, null, STATES[r.state]),
      r.decided_by ? h("div.small.muted", null, `${r.granted ? `${r.granted}, ` : ""}by ${r.decided_by}`) : "", r.answer ? h("div.small", null, sentence(r.answer)) : ""),
    h("td", null, clock(r.asked_at)),
    h("td.right", null, h("div.acts", null, r.may_decide ? [small("Approve", `${r.text} for ${r.person}`, () => approve(r, reload)), small("Deny", `${r.text} for ${r.person}`, () => deny(r, reload))] : null,
      r.mine && r.state === "open" ? small("Withdraw", r.text, () => act(() => post(path(r, "withdraw")), "Withdrawn", reload)) : null)));
}

/** The part of the console. */
export function asks() {
  const state = h("select", null, Object.entries(STATES).map(([value, name]) => h("option", { value }, name)));
  const list = h("div");
  const fill = () => list.replaceChildren(listing({ label: "Requests for more, the newest first", columns: ["Who", "Asks for", "What for", "State", "When", ""], path: "quota-requests", fields: { state }, row, empty: "Nobody asks for more." }));
  fill();
  return [h("div.page-head", null, h("div.range", null, h("label.field", null, "Show", state)), h("button.button", { type: "button", onclick: () => askForMore(fill) }, "Ask for more")), list];
}

/** For everybody, on the usage page: what I asked for. */
export async function myRequests(box) {
  const fill = async () => {
    const items = (await api("quota-requests?mine=true&limit=10")).items;
    box.replaceChildren(h("div.page-head", null, h("h2", { id: "h-more" }, "More quota"), h("button.button.small", { type: "button", onclick: () => askForMore(fill) }, "Ask for more")),
      items.length ? h("ul.stack", null, items.map((r) => h("li", null, h("strong", null, r.text), ` in ${r.tenant_name}: `, STATES[r.state].toLowerCase(), r.granted ? `, ${r.granted}` : "", r.answer ? `. ${sentence(r.answer)}` : "",
        r.state === "open" ? h("span", null, " ", small("Withdraw", r.text, () => act(() => post(path(r, "withdraw")), "Withdrawn", fill))) : ""))) : h("p.muted", null, "Your limits are above, in the meter. Say how much you need and what for; your administrators answer."));
  };
  try { await fill(); } catch (error) { tellError(error); }
}
