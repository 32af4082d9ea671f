// The staff's page of a course: tabs, the room, credits and attendance in their frames, a broadcast.
import { download, post, tellError } from "./api.js";
import { address, hours, openLab, stateTag } from "./courses.js";
import { $, clock, credits, h, now, toast } from "./dom.js";
import { frame } from "./frames.js";

const TABS = [["", "Room"], ["attendance", "Attendance"], ["credits", "Credits"], ["people", "People"], ["settings", "Settings"]];

/** The head of each page of a course for its staff, with the tabs. */
export function courseHead(course, part) {
  const tabs = TABS.filter(([name]) => name !== "settings" || course.may?.manage);
  const facts = [course.term, hours(course.next_hours), `${course.members} ${course.members === 1 ? "student" : "students"}${course.waiting_to_join ? `, ${course.waiting_to_join} expected` : ""}`, `${credits(course.course_credits || 0)} credits to give`];
  return [h("div.page-head", null, h("div", null, h("h1", null, course.name, " ", stateTag(course)), h("p", null, facts.filter(Boolean).join(" · "))), openLab(course, "") || ""),
    h("nav.tabs", { "aria-label": "Course" }, h("ul", null, tabs.map(([name, title]) => h("li", null, h("a", { href: address(course, name), ...(name === part ? { "aria-current": "page" } : {}) }, title)))))];
}

const file = (course, path, label) => h("button.button.small", { type: "button", onclick: async () => {
  try { await download(`courses/${encodeURIComponent(course.id)}/${path}/file`, `${course.id}-${path}.csv`); } catch (error) { tellError(error); }
} }, label);

const LENGTHS = [["15m", "15 minutes", 15], ["2h", "2 hours", 120], ["1d", "a day", 1440], ["7d", "a week", 10080]];

/** A message that appears on the pages and in the notebooks of everybody in the course. */
function broadcast(course) {
  const text = h("textarea", { id: "say", rows: 2, maxlength: 500, required: true, placeholder: "We begin in five minutes: open notebook 3" });
  const length = h("select", { id: "say-for" }, LENGTHS.map(([value, words]) => h("option", { value, selected: value === "2h" }, words)));
  const from = h("input", { id: "say-from", type: "datetime-local" });
  const level = h("select", { id: "say-level" }, [["info", "A note"], ["warning", "A warning"]].map(([value, words]) => h("option", { value }, words)));
  const button = h("button.button.primary", { type: "submit" }, "Send to everybody");
  const form = h("form.form.gap", { onsubmit: send }, h("label.field", { for: "say" }, "Message", text),
    h("div.trio", null, h("label.field", { for: "say-level" }, "As", level), h("label.field", { for: "say-from" }, "From (empty: now)", from), h("label.field", { for: "say-for" }, "Shown for", length)),
    h("div.acts", null, button));
  async function send(event) {
    event.preventDefault();
    const minutes = LENGTHS.find(([value]) => value === length.value)[2];
    const begins = from.value ? Date.parse(from.value) : now(); // by the visitor's own clock
    button.disabled = true;
    try {
      await post("announcements", { tenant: course.id, text: text.value.trim(), level: level.value, ...(from.value ? { starts_at: new Date(begins).toISOString() } : {}), ends_at: new Date(begins + minutes * 60000).toISOString() });
      if (begins > now()) toast(`It will appear at ${clock(new Date(begins).toISOString())}`, "On their pages and in their notebooks. The console lists it, under Announcements");
      else toast("Sent", "It appears on their pages and in their notebooks");
      text.value = from.value = "";
    } catch (error) { tellError(error); }
    button.disabled = false;
  }
  return h("details.card.gap", null, h("summary", null, h("strong", null, "Tell everybody something")), form);
}

function spendingPage(course) {
  return [h("section.card", { "aria-labelledby": "h-burn" }, h("div.page-head", null, h("h2", { id: "h-burn" }, "Credits of the course over time")), frame(`panels/spending?course=${encodeURIComponent(course.id)}`, "Burn-down of credits"))];
}

function attendancePage(course) {
  return [h("section.card", { "aria-labelledby": "h-there" }, h("div.page-head", null, h("div", null, h("h2", { id: "h-there" }, "Who was in the lab hours"), h("p.small", null, "Minutes with a running lab. Lab hours that were given up do not count.")), file(course, "attendance", "Download CSV")),
    frame(`panels/attendance?course=${encodeURIComponent(course.id)}`, "Attendance"))];
}

function roomPage(course) {
  return [h("section.card", { "aria-labelledby": "h-room" }, h("div.page-head", null, h("h2", { id: "h-room" }, "Room"), file(course, "room", "Download CSV")), frame(`panels/room?course=${encodeURIComponent(course.id)}`, "Room")), broadcast(course)];
}

export function staffPage(course, part) {
  const build = { "": roomPage, credits: spendingPage, attendance: attendancePage }[part];
  $("main").replaceChildren(...courseHead(course, part), ...build(course));
}
