// The courses of learning systems that lead into a course: linked, ended, and their rosters looked at.
import { api, post, tellError } from "./api.js";
import { words } from "./course-fields.js";
import { clock, confirmed, h, sentence, toast } from "./dom.js";

/** What is known of the roster of one of them. */
function roster(one) {
  if (one.error) return h("span.wrong-line", null, sentence(one.error));
  if (!one.roster) return "It does not share its roster: students come in by opening the course there.";
  return one.synced_at ? `Roster taken over at ${clock(one.synced_at)}` : "Roster not looked at yet";
}

/** What a look came to, in one line for each that went well. */
const outcome = (one) => `${one.members} on the list of ${one.platform}: ${one.joined} changed, ${one.left} left${one.kept_out ? `, ${one.kept_out} stay out because you took them out` : ""}`;

/** A part of the page People. Hidden where no learning system has to do with this course. `then()` is
 * called when people may have come or gone. */
export function learningSystems(course, then) {
  const base = `courses/${encodeURIComponent(course.id)}/lti`;
  const look = h("button.button.small", { type: "button", onclick: sync }, "Sync now");
  const body = h("tbody");
  const box = h("section.card.gap", { "aria-labelledby": "h-lti", hidden: true }, h("div.page-head", null, h("div", null, h("h2", { id: "h-lti" }, "Learning systems"), h("p.small", null, "Who opens one of these there comes into this course. The roster is looked at when somebody does, at most every ten minutes.")), look),
    h("div.scroll", null, h("table", null, body)));

  async function sync() {
    look.disabled = true;
    look.textContent = "Looking…";
    try {
      const { items } = await post(`${base}/sync`);
      const good = items.filter((one) => !one.error);
      if (good.length) toast(good.map(outcome).join("; "));
      then();
    } catch (error) { tellError(error); }
    look.disabled = false;
    look.textContent = "Sync now";
    load();
  }

  async function act(work, done) {
    try { await work(); toast(done); then(); } catch (error) { tellError(error); }
    load();
  }

  async function unlink(one) {
    if (await confirmed(`End the link with ${one.title || one.platform}?`, "Whom this learning system alone has brought leaves the course; what they run in it is stopped. Their files stay.", "End the link")) act(() => api(`${base}/${encodeURIComponent(one.id)}`, { method: "DELETE" }), "The link has ended");
  }

  function line(one, linked) {
    const name = one.title || one.id;
    const button = (label, onclick) => h("button.button.small", { type: "button", "aria-label": `${label}: ${name}`, onclick }, label);
    return h("tr", null, h("td", null, h("strong", null, name), h("div.small.muted", null, one.platform)), h("td.small", null, linked ? roster(one) : "Not linked to any course here"),
      h("td.right", null, linked ? button("End the link", () => unlink(one)) : button("Link", () => act(() => post(base, { context: one.id }), `${name} is linked`))));
  }

  async function load() {
    try {
      const [linked, open] = (await Promise.all([api(base), api("lti/contexts")])).map((page) => page.items);
      box.hidden = !linked.length && !open.length;
      look.hidden = !linked.some((one) => one.roster);
      body.replaceChildren(...linked.map((one) => line(one, true)), ...open.map((one) => line(one, false)));
    } catch (error) {
      box.hidden = false;
      body.replaceChildren(h("tr", null, h("td.muted", null, words(error))));
    }
  }
  load();
  return box;
}
