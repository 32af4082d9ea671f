// My courses: the cards on top of the menu, and who sees the way to the course pages.
import { post, tellError } from "./api.js";
import { $, clock, credits, h, keyed, now, prefix, sentence } from "./dom.js";
import { LIVE } from "./job.js";
import { known, refetch, want, watch } from "./store.js";

export const address = (course, page = "") => `${prefix}courses/${encodeURIComponent(course.id)}${page && `/${page}`}`;
const TEACHES = ["instructor", "admin", "platform-admin"];
const STAFF = ["assistant", ...TEACHES];
const WORDS = { queued: "Waiting", offered: "Your turn", starting: "Starting", running: "Running", stopping: "Stopping" };
const STATES = { upcoming: "Not begun", active: "Running term", ended: "Ended", cleaned: "Ended" };

/** Who may add a course somewhere. The API judges; this only hides what would be refused. */
export const mayAdd = (me) => me.platform_admin || me.person.memberships.some((m) => TEACHES.includes(m.role));
export const runs = (course) => course.may?.run || STAFF.includes(course.role);
export const stateTag = (course) => h(`span.tag${course.state === "active" ? ".good" : course.state === "upcoming" ? "" : ".off"}`, null, STATES[course.state] || sentence(course.state));

/** "Now, until 11:00" or "Tue 4 Feb, 09:00 to 11:00", by the visitor's own clock. */
export function hours(window) {
  if (!window) return "No lab hours ahead";
  const [from, to] = [Date.parse(window.starts_at), Date.parse(window.ends_at)];
  if (from <= now() && now() < to) return `Lab hours now, until ${clock(window.ends_at)}`;
  const day = new Date(from).toLocaleDateString([], { weekday: "short" });
  const time = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return `Next lab hours: ${day} ${clock(window.starts_at)} to ${time(to)}`;
}

/** The course's lab as it is now: what the stream says is newer than what the course was told. */
export function labOf(course) {
  const all = known.workloads || [];
  const live = (w) => LIVE.includes(w.status) && !w.ghost;
  return all.find((w) => w.id === course.lab.workload && live(w))
    || all.find((w) => live(w) && w.tenant === course.place && w.offer === course.lab.offer) || null;
}

export function openLab(course, kind = ".primary") {
  const shut = ["ended", "cleaned"].includes(course.state);
  if (shut || !course.place) return null;
  return h(`a.button${kind}`, { href: address(course, "open"), "data-act": "open-lab", "aria-label": `Open lab: ${course.name}` }, "Open lab");
}

/** My credits there, or none where labs cost nothing of mine. */
export const purse = (course) => (course.my_credits === null || course.my_credits === undefined || course.my_credits === "" ? "" : `${credits(course.my_credits)} credits left`);

function card({ course, lab }) {
  return h("li", null, h("article.card.course", { "aria-labelledby": `c-${course.id}` },
    h("div.top-line", null, h("div", null, h("h3", { id: `c-${course.id}` }, course.name), h("p.what", null, [course.term, purse(course)].filter(Boolean).join(" · "))),
      lab ? h(`span.state.${lab}`, null, WORDS[lab]) : stateTag(course)),
    h("p.small", null, hours(course.next_hours)),
    h("div.acts", null, openLab(course), runs(course) ? h("a.button", { href: address(course), "data-act": "console", "aria-label": `Course console: ${course.name}` }, "Course console") : "")));
}

/** The cards of my courses, for the top of the menu. Nothing at all for who has none. */
export function courseCards() {
  const list = h("ul.courses");
  const box = h("section.my-courses", { "aria-labelledby": "my-courses", hidden: true }, h("div.page-head", null, h("h2", { id: "my-courses" }, "My courses"), h("a.small", { href: `${prefix}courses` }, "See all")), list);
  const fill = () => {
    const mine = (known.courses || []).filter((c) => c.role && ["active", "upcoming"].includes(c.state));
    box.hidden = !mine.length;
    keyed(list, mine.map((course) => ({ course, lab: labOf(course)?.status || "" })), (one) => one.course.id, card);
  };
  watch((kind) => { if (["courses", "workloads"].includes(kind)) fill(); });
  return box;
}

/** On every page: the link to the courses, for who has any or may add one. */
export function coursesLink() {
  want("courses");
  const link = document.querySelector("[data-courses]");
  watch((kind) => {
    if (link && ["courses", "me"].includes(kind)) link.hidden = !(known.courses?.length || (known.me && mayAdd(known.me)));
  });
}

/** Somebody of the staff asks to look into my server: one line, two answers, on every page. */
export function visitRequests() {
  want("visits");
  const box = h("div.endings", { role: "region", "aria-label": "Requests to open your server", hidden: true });
  $("endings").after(box);
  const answer = async (visit, allow) => {
    try { await post(`visits/${encodeURIComponent(visit.id)}/${allow === null ? "end" : "answer"}`, allow === null ? {} : { allow }); } catch (error) { tellError(error); }
    refetch("visits");
  };
  const button = (kind, act, label, visit, allow) => h(`button.button.small${kind}`, { type: "button", "data-act": act, "aria-label": `${label}: ${visit.visitor_name || visit.visitor}`, onclick: () => answer(visit, allow) }, label);
  const line = (visit) => {
    const who = h("strong", null, visit.visitor_name || visit.visitor);
    if (visit.state === "granted") {
      return h("div.ending", null, h("p", { role: "status" }, who, " may open your server", visit.ends_at ? ` until ${clock(visit.ends_at)}` : "", "."), h("div.acts", null, button("", "end", "End it now", visit, null)));
    }
    return h("div.ending", null, h("p", { role: "status" }, who, " asks to open your server", visit.reason ? `: ${visit.reason}` : "", "."),
      h("div.acts", null, button(".primary", "allow", "Allow", visit, true), button("", "refuse", "Refuse", visit, false)));
  };
  watch((kind) => {
    if (kind === "notices" && known.visits) refetch("visits");
    if (kind !== "visits" && kind !== "me") return;
    const mine = (known.visits || []).filter((v) => ["asked", "granted"].includes(v.state) && (v.mine_to_answer || (v.state === "granted" && v.student === known.me?.person.login)));
    box.hidden = !mine.length;
    keyed(box, mine, (v) => v.id, line);
  });
}
