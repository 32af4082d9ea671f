// What students see of a course: opening the lab, the course's page, joining by a link.
import { api, post, postOnce } from "./api.js";
import { address, hours, labOf, openLab, purse, runs, stateTag } from "./courses.js";
import { $, credits, h, keyed, prefix, sentence, tick } from "./dom.js";
import { LIVE, job, withStanding } from "./job.js";
import { known, moved, refetch, watch } from "./store.js";

const head = (course, more) => h("div.page-head", null, h("div", null, h("h1", null, course.name), h("p", null, [course.term, hours(course.next_hours)].filter(Boolean).join(" · "))), more || "");

/** Why there is no lab now, in the Verdict's words, with what would help. */
function refused(course, error, again) {
  const others = error.verdict?.alternatives || [];
  return h("div.blank", { role: "alert" }, h("h2", null, sentence(error.message)), error.next ? h("p", null, sentence(error.next)) : "",
    others.length ? h("p", null, others.map((one) => one.text).join("; ")) : "",
    h("div.acts", null, h("button.button.primary", { type: "button", onclick: again }, "Try again"), h("a.button", { href: address(course) }, "To the course")));
}

/** Starts or finds the lab, shows how it comes along, and goes there by itself. */
export function openPage(course) {
  const list = h("ul.plain");
  const said = h("p.small-plan", { role: "status" }, "JupyterLab opens by itself when it is ready. You may leave this page: your turn stays.");
  $("main").replaceChildren(h("div.opening", null, head(course), list, said));
  let id = "";
  let gone = false;

  function show(w) {
    keyed(list, [withStanding(w)], (one) => one.id, (one) => job(one, true));
    tick(list);
    said.hidden = !LIVE.includes(w.status) || w.status === "stopping";
    if (w.status !== "running" || !w.url || gone) return;
    gone = true;
    location.replace(w.url); // not in the history: "back" from JupyterLab leads to the course
  }
  function look() {
    const all = known.workloads || [];
    const mine = all.find((w) => w.id === id);
    const next = mine && LIVE.includes(mine.status) ? mine : labOf({ ...course, lab: { ...course.lab, workload: id } }) || mine;
    if (!next) return;
    id = next.id;
    show(next);
  }
  async function ask() {
    list.replaceChildren(h("li.bone", { "aria-busy": "true" }, h("span.sr", { role: "status" }, "Asking for your lab"), h("span.line.tall")));
    try {
      const w = await postOnce(`courses/${encodeURIComponent(course.id)}/lab`, {});
      id = w.id;
      if (known.workloads) known.workloads = [w, ...known.workloads.filter((one) => one.id !== w.id)];
      show(w);
      moved(true);
    } catch (error) { said.hidden = true; list.replaceChildren(h("li", null, refused(course, error, ask))); }
  }
  watch((kind) => { if (kind === "workloads" && id) look(); });
  ask();
}

const DIMENSIONS = { gpu: "GPU", cpu: "CPU", memory: "memory", workloads: "servers at a time", "gpu-hours": "GPU-hours", credits: "credits" };

/** A student's page of a course: the button, credits and limits of one's own, what it is about. */
export function studentPage(course) {
  const list = h("ul.plain");
  const limits = Object.entries(course.student?.limits || {});
  const fact = (label, value) => h("div", null, h("strong", null, value), label);
  const money = purse(course) ? fact("credits of mine in this course", credits(course.my_credits)) : "";
  const material = course.material?.url || course.material?.commit || course.material?.folder ? h("section.card", { "aria-labelledby": "h-material" }, h("h2", { id: "h-material" }, "Material"), h("p", null, course.material.commit ? "It is in the folder " : "It could not be fetched yet. Once it is here, a start of your lab brings it into the folder ", h("strong", null, course.material.folder || course.id), course.material.commit ? " of your lab. What you change stays; what is new comes with the next start." : "."),
    course.material.error ? h("p.small.wrong-line", null, sentence(course.material.error)) : "") : "";
  $("main").replaceChildren(head(course, openLab(course) || stateTag(course)), list,
    h("div.detail", null, h("section.card", { "aria-labelledby": "h-mine" }, h("h2", { id: "h-mine" }, "Mine here"),
      money || limits.length ? h("div.pairs", null, money, limits.map(([name, value]) => fact(`${DIMENSIONS[name] || name} at most`, value))) : h("p.muted", null, "No limits of your own are set.")), material));
  watch((kind) => {
    if (kind !== "workloads") return;
    const lab = labOf(course);
    keyed(list, lab ? [withStanding(lab)] : [], (w) => w.id, (w) => job(w, true));
    tick(list);
  });
}

/** By a link that was handed out. Nothing happens until the button is pressed. */
export function joinPage() {
  const token = new URLSearchParams(location.search).get("token") || "";
  const said = h("div", { role: "status", "aria-live": "polite" });
  const button = h("button.button.primary", { type: "button", onclick: join }, "Join the course");
  $("main").replaceChildren(h("div.opening", null, h("div.blank", null, h("h1", null, "Join a course"),
    h("p", null, token ? "Somebody who teaches a course gave you this link. It puts you on the list of the course." : "This address has no invitation in it. Open the link that you were given once more."),
    token ? h("p", null, button) : h("p", null, h("a.button", { href: prefix }, "Go to the menu")), said)));

  async function join() {
    button.disabled = true;
    try {
      const course = await post("courses/join", { token });
      history.replaceState(null, "", `${prefix}join`); // the invitation is used: out of the address
      await refetch("courses");
      const joined = course.name ? course : await api(`courses/${encodeURIComponent(course.id)}`);
      $("main").replaceChildren(h("div.opening", null, h("div.blank", null, h("h1", null, `Welcome to ${joined.name}`), h("p", null, hours(joined.next_hours)),
        h("div.acts.centred", null, openLab(joined), h("a.button", { href: address(joined) }, runs(joined) ? "Course console" : "To the course")))));
      $("main").querySelector("a.button")?.focus();
    } catch (error) {
      button.disabled = false;
      said.replaceChildren(h("p.wrong-line", null, sentence(error.message), ". ", sentence(error.next)));
    }
  }
}
