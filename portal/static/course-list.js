// All courses that I see, and next term's from last term's.
import { api, postOnce, tellError } from "./api.js";
import { address, hours, mayAdd, openLab, runs, stateTag } from "./courses.js";
import { slug } from "./course-fields.js";
import { $, asked, h, prefix, sentence, toast } from "./dom.js";
import { known, watch } from "./store.js";

/** A year later for the same term, or the next number in the name: a first guess, to be changed. */
const nextTerm = (term) => term.replace(/\b(\d{4})\b/, (year) => String(Number(year) + 1));
const later = (day) => { const at = new Date(`${day}T12:00:00Z`); at.setUTCDate(at.getUTCDate() + 364); return at.toISOString().slice(0, 10); };

/** Everything of a course but its people. Goes to the settings of what was made. */
export async function clone(course) {
  const term = nextTerm(course.term);
  const form = await asked(`Clone ${course.name}`, "Settings, groups, limits, lab hours, rules and material come along; people and credits do not.", [
    { name: "name", label: "Name", value: course.name, required: true }, { name: "term", label: "Term", value: term },
    { name: "id", label: "Short name", value: slug(course.id.replace(slug(course.term), "").replace(/-+$/, "") || course.name, term || "next"), required: true },
    { name: "first_day", label: "First day", type: "date", value: later(course.first_day), required: true }, { name: "last_day", label: "Last day", type: "date", value: later(course.last_day), required: true }], "Clone");
  if (!form) return;
  try {
    const made = await postOnce(`courses/${encodeURIComponent(course.id)}/clone`, form);
    toast(`${made.name} is made`, "Add its people next");
    location.assign(address(made, "people"));
  } catch (error) { tellError(error); }
}

function row(course) {
  const act = (label, onclick) => h("button.button.small.hide-phone", { type: "button", "aria-label": `${label}: ${course.name}`, onclick }, label);
  const managed = course.may?.manage;
  return h("tr", null, h("td", null, h("a", { href: address(course) }, h("strong", null, course.name)), h("div.small.muted", null, [course.term, course.tenant_name].filter(Boolean).join(" · "))),
    h("td", null, stateTag(course)), h("td.hide-phone.small", null, ["active", "upcoming"].includes(course.state) ? hours(course.next_hours) : "–"),
    h("td.num.hide-phone", null, runs(course) ? `${course.members}${course.waiting_to_join ? ` + ${course.waiting_to_join} expected` : ""}` : "–"),
    h("td.right", null, h("div.acts", null, course.role ? openLab(course, ".small.primary") || "" : "", managed ? act("Clone", () => clone(course)) : "")));
}

export function listPage() {
  const body = h("tbody");
  const more = h("div.pager");
  const add = h("a.button.primary", { href: `${prefix}courses/new`, hidden: true }, "New course");
  const state = h("select", { id: "which", onchange: () => load() }, [["current", "Now and to come"], ["over", "Over"], ["all", "All"]].map(([value, name]) => h("option", { value }, name)));
  let last = 0;
  $("main").replaceChildren(h("div.page-head", null, h("div", null, h("h1", null, "Courses"), h("p", null, "Those that you take, teach or look after.")), add),
    h("section.card", { "aria-label": "Courses" }, h("div.filters", null, h("label.field", { for: "which" }, "Show", state)),
      h("div.scroll", null, h("table", null, h("thead", null, h("tr", null, [["Course"], ["State"], ["Lab hours", "hide-phone"], ["People", "hide-phone"], [""]].map(([name, cls]) => h(`th${cls ? `.${cls}` : ""}`, { scope: "col" }, name)))), body)), more));
  const none = h("td.muted", { colspan: 5 });
  // Who asks may be known only after the list: both say it.
  const tell = () => {
    const adds = known.me && mayAdd(known.me);
    add.hidden = !adds;
    none.replaceChildren(state.value === "over" ? "None has ended." : adds ? "None yet. New course makes one in six short steps." : "You are in no course at the moment. A link or a list of your instructor brings you in.");
  };
  watch((kind) => { if (kind === "me") tell(); });

  async function load(cursor = "") {
    const mine = last += 1;
    try {
      const page = await api(`courses?limit=50&state=${state.value}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      if (mine !== last) return;
      const rows = page.items.map(row);
      tell();
      if (cursor) body.append(...rows);
      else body.replaceChildren(...(rows.length ? rows : [h("tr", null, none)]));
      more.replaceChildren(page.next ? h("button.button", { type: "button", onclick: () => load(page.next) }, "Show more") : "");
    } catch (error) { body.replaceChildren(h("tr", null, h("td.muted", { colspan: 5 }, sentence(error.message), ". ", sentence(error.next)))); }
  }
  load();
}
