// Capacity held for lab hours or a date: what is held, reserving with its conflicts, giving up.
import { api, post, postOnce, tellError } from "./api.js";
import { $, confirmed, h, sentence, toast } from "./dom.js";
import { known, watch } from "./store.js";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const LIVE = ["upcoming", "clearing", "open", "used"];
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const path = (one) => `reservations/${encodeURIComponent(one.id)}`;
const two = (number) => String(number).padStart(2, "0");
const dayOf = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
const timeOf = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;
const small = (label, name, onclick) => h("button.button.small", { type: "button", "data-act": label, "aria-label": `${label}: ${name}`, onclick }, label);
const tag = (word) => h(`span.tag${["open", "used"].includes(word) ? ".good" : LIVE.includes(word) ? "" : ".off"}`, null, sentence(word));

function when(one) {
  const days = one.weekdays.map((day) => sentence(day)).join(", ");
  return `${days ? `${days}, ${one.first_day} to ${one.last_day}` : one.first_day}, ${one.starts} for ${one.length} (${one.time_zone})`;
}

/** For whom this visitor may reserve: tenants by id and name. */
async function tenants() {
  if (known.me.platform_admin) return (await api("tenants")).items.map((t) => [t.id, t.name]);
  return known.me.person.memberships.filter((m) => m.role !== "member").map((m) => [m.tenant, m.tenant_name]);
}

/** What is in the way, each with the nearest free window; `take` puts it into the form. */
function conflicts(answer, take) {
  const said = (c) => h("li", null, sentence(c.text), ". ", c.nearest ? ["The nearest free window is ", h("strong", null, c.nearest.text), ". ", take(c)] : "There is no free window near.");
  return [h("p", null, h("strong", null, `${answer.conflicts.length} of ${answer.windows.length} ${answer.windows.length === 1 ? "window" : "windows"} cannot be held`)),
    h("ul.conflicts", null, answer.conflicts.slice(0, 5).map(said)), answer.conflicts.length > 5 ? h("p.muted", null, `and ${answer.conflicts.length - 5} more`) : ""];
}

async function reserve(reload) {
  let owners, offers;
  try { [owners, offers] = await Promise.all([tenants(), api("offers").then((page) => page.items)]); } catch (error) { tellError(error); return; }
  const field = (label, control) => h("label.field", null, label, control);
  const input = (name, type, more = {}) => h("input", { name, type, required: true, autocomplete: "off", ...more });
  const tomorrow = dayOf(new Date(Date.now() + 864e5));
  const first = input("first_day", "date", { value: tomorrow });
  const starts = input("starts", "time", { value: "09:00" });
  const last = h("input", { name: "last_day", type: "date" });
  const boxes = DAYS.map((day) => h("input", { type: "checkbox", name: "weekdays", value: day }));
  const said = h("div.said", { role: "status", "aria-live": "polite" });
  const done = () => { box.close(); box.remove(); };
  const form = h("form", { onsubmit: submit },
    h("h2", { id: "reserve-title" }, "Reserve"), h("p.muted", null, `Times are by the clocks of ${ZONE}. Until shortly before, held places are lent to work that can be told to go.`),
    field("Name", input("name", "text", { maxlength: 60, placeholder: "Lab A" })),
    field("For", h("select", { name: "tenant" }, owners.map(([id, name]) => h("option", { value: id }, name)))),
    field("Places", input("count", "number", { min: 1, max: 500, value: 10 })),
    field("Each like", h("select", { name: "offer" }, offers.map((o) => h("option", { value: o.id }, o.title)))),
    h("div.pair", null, field("First day", first), field("From", starts)),
    field("How long", input("length", "text", { value: "2h", pattern: "([0-9]+d)?([0-9]+h)?([0-9]+m)?", title: "like 2h or 1h30m" })),
    h("fieldset.days", null, h("legend", null, "Every week on (none: only once)"), DAYS.map((day, i) => h("label", null, boxes[i], sentence(day)))),
    field("Until (every week)", last),
    field("Given up if nobody came after", input("no_show", "text", { value: "15m" })),
    said, h("div.acts", null, h("button.button", { type: "button", onclick: done }, "Cancel"), h("button.button.primary", { type: "submit" }, "Reserve")));

  function wish() {
    const { weekdays, ...plain } = Object.fromEntries(new FormData(form));
    const days = boxes.filter((b) => b.checked).map((b) => b.value);
    return { ...plain, count: Number(plain.count), weekdays: days, last_day: days.length ? plain.last_day : "", time_zone: ZONE };
  }
  function take(conflict) {
    const at = new Date(conflict.nearest.starts_at);
    const weekly = boxes.some((b) => b.checked);
    if (weekly && dayOf(at) !== dayOf(new Date(conflict.window.starts_at))) return "";
    return small("Take it", conflict.nearest.text, () => { starts.value = timeOf(at); if (!weekly) first.value = dayOf(at); said.replaceChildren(); form.querySelector("[type=submit]").focus(); });
  }
  async function submit(event) {
    event.preventDefault();
    try {
      const answer = await post("reservations/check", wish());
      if (!answer.possible) { said.replaceChildren(...conflicts(answer, take)); said.scrollIntoView({ block: "nearest" }); return; }
      const made = await postOnce("reservations", wish());
      done();
      toast(`${made.name} is held: ${made.count} × ${made.unit}`);
      reload();
    } catch (error) { said.replaceChildren(h("p.bad", null, sentence(error.message), ". ", sentence(error.next), ".")); said.scrollIntoView({ block: "nearest" }); }
  }
  const box = h("dialog", { "aria-labelledby": "reserve-title", oncancel: done }, form);
  document.body.append(box);
  box.showModal();
}

/** All windows of one, asked for when they are opened. */
function windows(one, change) {
  const rows = h("tbody");
  const row = (w) => h("tr", null, h("td", null, w.text), h("td", null, tag(w.state)), h("td.num", null, `${w.held} held, ${w.used} used`, w.short ? h("span.tag.bad", null, `${w.short} missing`) : ""), h("td.small.muted", null, sentence(w.reason)),
    h("td.right", null, one.can_change && LIVE.includes(w.state) ? small("Give up", w.text, async () => {
      if (await confirmed("Give up this window?", `${w.text}. What runs goes on; its places are everybody's again.`, "Give up")) change(() => post(`${path(one)}/windows/${w.id}/release`), "Given up");
    }) : ""));
  return h("details", { ontoggle: async (event) => {
    if (!event.target.open || rows.children.length) return;
    try { rows.replaceChildren(...(await api(path(one))).windows.map(row)); } catch (error) { tellError(error); }
  } }, h("summary", null, "All windows"), h("div.scroll", null, h("table", null, h("thead", null, h("tr", null, ["When", "State", "Places", "Why", ""].map((n) => h("th", { scope: "col" }, n)))), rows)));
}

export function reservationsPage() {
  const list = h("div.reservations");
  const add = h("button.button.primary", { type: "button", hidden: true, onclick: () => reserve(load) }, "Reserve");
  $("main").replaceChildren(h("div.page-head", null, h("div", null, h("h1", null, "Reservations"), h("p", null, "Capacity held for lab hours, or for a date.")), add), list);
  watch((kind) => { if (kind === "me" && known.me) add.hidden = !mayReserve(known.me); });
  const change = async (work, done) => { try { await work(); toast(done); } catch (error) { tellError(error); } load(); };

  function card(one) {
    const next = one.windows[0];
    return h("section.card.gap", { "aria-label": one.name },
      h("div.page-head", null, h("div", null, h("h2", null, one.name, next ? tag(next.state) : ""), h("p.muted", null, `${one.count} × ${one.unit} for ${one.tenant_name}`)),
        one.can_change ? small("Cancel", one.name, async () => {
          if (await confirmed(`Cancel ${one.name}?`, "Nothing is held any more. What runs goes on.", "Cancel it")) change(() => api(path(one), { method: "DELETE" }), "Cancelled");
        }) : ""),
      h("p", null, when(one)),
      next ? h("p", null, h("strong", null, next.text), ` – ${sentence(next.reason)}. `, next.short ? h("span.tag.bad", null, next.short === 1 ? "1 place is missing" : `${next.short} places are missing`) : "") : "",
      h("p.small.muted", null, `${one.ahead} ${one.ahead === 1 ? "window" : "windows"} ahead · given up ${one.no_show} after the beginning if nobody came · lent until ${one.lend_margin} before`),
      windows(one, change));
  }
  async function load() {
    try {
      const items = (await api("reservations")).items;
      list.replaceChildren(...(items.length ? items.map(card) : [h("p.muted", null, "Nothing is held for you or your people.")]));
    } catch (error) { list.replaceChildren(h("p.muted", null, `${sentence(error.message)}. ${sentence(error.next)}.`)); }
  }
  load();
}

/** Assistants, instructors and administrators, each for their own tenants. */
export const mayReserve = (me) => me.platform_admin || me.person.memberships.some((m) => m.role !== "member");
