// The pages of courses, each fetched when it is opened.
import { api } from "./api.js";
import { runs } from "./courses.js";
import { $, h, prefix, sentence } from "./dom.js";

/** What there is instead of a page. The words are the API's: strangers are told "there is no …". */
export function blank(error) {
  $("main").replaceChildren(h("div.blank", { role: "alert" }, h("h1", null, sentence(error.message)), h("p", null, sentence(error.next || "")), h("p", null, h("a.button.primary", { href: prefix }, "Go to the menu"))));
}

const TABS = { "": "course-console.js", attendance: "course-console.js", credits: "course-console.js", people: "course-roster.js", settings: "course-settings.js" };

async function ofCourse(id, part) {
  let course;
  try { course = await api(`courses/${encodeURIComponent(id)}`); } catch (error) { blank(error); return; }
  document.title = `${course.name} · Perijove`;
  if (part === "open") { (await import("./course-open.js")).openPage(course); return; }
  if (!runs(course)) { (await import("./course-open.js")).studentPage(course); return; }
  const page = TABS[part];
  if (!page) { blank({ message: "There is no such page", next: "It may have moved: start from the menu." }); return; }
  (await import(`./${page}`)).staffPage(course, part);
}

export async function show(page, id, part) {
  try {
    if (page === "join") (await import("./course-open.js")).joinPage();
    else if (!id) (await import("./course-list.js")).listPage();
    else if (id === "new") (await import("./course-wizard.js")).wizardPage();
    else await ofCourse(id, part);
  } catch (error) {
    blank(error.next === undefined ? { message: "This page could not be opened", next: "Reload it; if it stays, tell your administrator." } : error);
    if (error.next === undefined) throw error;
  }
}
