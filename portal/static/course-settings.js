// Everything of a course that may change, section by section; cloning and ending it.
import { api, post, postOnce, tellError } from "./api.js";
import { courseHead } from "./course-console.js";
import { Form, words } from "./course-fields.js";
import { clone } from "./course-list.js";
import { basics, bounds, choices, lab, labHours, limits, ruleRows } from "./course-wizard.js";
import { $, asked, clock, confirmed, h, sentence, toast } from "./dom.js";
import { refetch } from "./store.js";

const copy = (value) => JSON.parse(JSON.stringify(value));

/** What the API takes back of what it shows. */
function draftOf(course) {
  const { name, term, first_day, last_day, time_zone, offers, environment, student, limits: most, clean_up_days } = course;
  return copy({
    name, term, first_day, last_day, time_zone, offers, environment, student, limits: most, clean_up_days,
    lab: { offer: course.lab.offer, set: course.lab.set }, material: { url: course.material.url, branch: course.material.branch, folder: course.material.folder },
    hours: course.hours.map(({ weekdays, starts, length, places, name: called }) => ({ weekdays, starts, length, places, name: called })),
    groups: course.groups.map(({ id, name: called, student_limits }) => ({ id, name: called, student_limits })), rules: course.rules,
  });
}

const SECTIONS = [
  ["Basics", ["name", "term", "first_day", "last_day", "time_zone", "clean_up_days"], (form) => basics(form, form.field("name", "Name", { required: true, maxlength: 200 }))],
  ["Lab and material", ["lab", "offers", "environment", "material"], (form, site) => lab(form, site)],
  ["Limits and groups", ["student", "limits", "groups"], (form, site, course) => limits(form, "", bounds(course.limits))],
  ["Lab hours", ["hours"], (form) => labHours(form)],
  ["Groups of the campus sign-in", ["rules"], (form, site) => ruleRows(form, site)],
];

export async function staffPage(course) {
  let site;
  try { site = await choices(); } catch (error) { tellError(error); return; }
  let now = course;
  const main = h("div.stack");
  const path = () => `courses/${encodeURIComponent(now.id)}`;

  /** One section: its own draft, its own button, so that one mistake holds up nothing else. */
  function section([title, names, build]) {
    const draft = draftOf(now);
    const prints = () => Object.fromEntries(names.map((name) => [name, JSON.stringify(draft[name])]));
    let before = prints(); // only what is changed is sent: the rest may not be the visitor's to change
    const button = h("button.button.primary", { type: "submit", disabled: true }, "Save");
    const said = h("div", { "aria-live": "polite" });
    const form = new Form(draft, () => { button.disabled = false; });
    const save = async (event) => {
      event.preventDefault();
      const missing = form.missing();
      if (missing.length) { form.say(missing); return; }
      button.disabled = true;
      try {
        now = await api(path(), { method: "PUT", body: { ...Object.fromEntries(names.filter((name) => JSON.stringify(draft[name]) !== before[name]).map((name) => [name, draft[name]])), version: now.version } });
        before = prints();
        said.replaceChildren();
        toast(`${title}: saved`);
        refetch("courses");
        if (title !== "Basics") return;
        draw();
      } catch (error) {
        button.disabled = false;
        const field = /^([\w.[\]]+): /.exec(error.message)?.[1] || "";
        const left = form.say([{ field, message: error.message, next: error.next }]);
        said.replaceChildren(left.length ? h("div.told.bad", { role: "alert" }, words(error)) : "");
      }
    };
    return h("form.card", { novalidate: true, "aria-label": title, onsubmit: save }, h("h2", null, title), build(form, site, now), said, h("div.steps-acts", null, h("span"), button));
  }

  function material() {
    const m = now.material;
    if (!m.url) return "";
    const look = h("button.button.small", { type: "button", onclick: async () => {
      look.disabled = true;
      try { await post(`${path()}/material/fetch`); toast("The repository is being looked at"); now = await api(path()); draw(); } catch (error) { tellError(error); look.disabled = false; }
    } }, "Look for new material now");
    return h("section.card", { "aria-label": "State of the material" }, h("div.page-head", null, h("h2", null, "State of the material"), look),
      h(`div.told.${m.error ? "bad" : "good"}`, { role: "status" }, m.error ? sentence(m.error) : m.commit ? `Version ${m.commit.slice(0, 10)}, looked at ${m.at ? clock(m.at) : "never"}.` : "Not looked at yet."));
  }

  async function money() {
    const form = await asked("Add credits to the course", "They are moved from the tenant above.", [{ name: "credits", label: "Credits", value: "100", required: true }], "Move them");
    if (!form) return;
    try { now = await api(path(), { method: "PUT", body: { credits: form.credits, version: now.version } }); toast("Moved"); draw(); } catch (error) { tellError(error); }
  }

  async function end() {
    if (!await confirmed(`End ${now.name} now?`, `Nobody starts anything in it any more. After ${now.clean_up_days} days what students made is exported, and roles and unused credits go back.`, "End the course")) return;
    try { now = await postOnce(`${path()}/end`, {}); toast("The course has ended"); draw(); } catch (error) { tellError(error); }
  }

  async function reopen() {
    try { now = await postOnce(`${path()}/reopen`, {}); toast("The course goes on until its last day"); draw(); } catch (error) { tellError(error); }
  }

  function draw() {
    const act = (kind, label, onclick) => h(`button.button${kind}`, { type: "button", onclick }, label);
    main.replaceChildren(...SECTIONS.map(section), material(), h("section.card", { "aria-label": "More" }, h("h2", null, "More"),
      h("div.acts", null, act("", "Add credits", money), act("", "Clone for next term", () => clone(now)), ["active", "upcoming"].includes(now.state) ? act(".danger", "End the course", end) : now.state === "ended" ? act("", "Open the course again", reopen) : "")));
    document.querySelector(".page-head h1")?.closest(".page-head").replaceWith(courseHead(now, "settings")[0]);
  }
  $("main").replaceChildren(...courseHead(now, "settings"), main);
  draw();
}
