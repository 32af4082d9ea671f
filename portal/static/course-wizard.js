// A new course, step by step. What is typed is kept in this tab: back, forward and reload lose nothing.
import { api, download, post, postOnce, tellError } from "./api.js";
import { address, mayAdd } from "./courses.js";
import { DAYS, Form, LENGTHS, claimOf, read, rosterPicker, rosterReport, rows, slug, words, write } from "./course-fields.js";
import { blank } from "./course-pages.js";
import { showLinks } from "./course-links.js";
import { $, confirmed, h, sentence } from "./dom.js";
import { known, refetch, watch } from "./store.js";

const KEPT = "perijove-new-course";
const day = (offset) => new Date(Date.now() + offset * 864e5 - new Date().getTimezoneOffset() * 6e4).toISOString().slice(0, 10);
const fresh = () => ({
  id: "", name: "", parent: "", term: "", first_day: day(0), last_day: day(112), time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC",
  lab: { offer: "", set: {} }, offers: [], environment: "", material: { url: "", branch: "", folder: "" },
  student: { limits: {}, credits: "10" }, limits: {}, credits: "0", hours: [], groups: [], rules: [], clean_up_days: 14,
});

/** What the form needs to know of the site. Raises ApiError. */
export async function choices() {
  const optional = (path) => api(path).then((page) => page.items, () => []);
  const [offers, environments, providers] = await Promise.all([api("offers").then((page) => page.items), optional("environments"), optional("providers")]);
  return { offers: offers.filter((o) => o.kind === "notebook"), all: offers, environments, providers };
}

/** Where the visitor may add a course: tenants by id and name. */
async function parents() {
  if (known.me.platform_admin) return (await api("tenants")).items.filter((t) => !["course", "group"].includes(t.kind)).map((t) => [t.id, t.name]);
  return known.me.person.memberships.filter((m) => ["instructor", "admin"].includes(m.role)).map((m) => [m.tenant, m.tenant_name]);
}

const ZONES = () => h("datalist", { id: "zones" }, (Intl.supportedValuesOf?.("timeZone") || []).map((zone) => h("option", { value: zone })));

export function basics(form, where) {
  return h("div.form", null, where || "", form.field("term", "Term", { maxlength: 60, placeholder: "Spring 2027" }),
    h("div.pair", null, form.field("first_day", "First day", { type: "date", required: true }), form.field("last_day", "Last day", { type: "date", required: true })),
    form.field("time_zone", "Time zone", { list: "zones", maxlength: 60, hint: "Lab hours keep to these clocks, also when they change in spring and autumn." }), ZONES(),
    form.field("clean_up_days", "Days until clean-up", { type: "number", min: 0, max: 365, numeric: true, empty: 14, hint: "After the course has ended. Then each student's course folder is exported for the staff, and roles and unused credits go back." }));
}

/** A choice among the values that the offer allows; what is not chosen stays as the offer has it. */
function answer(form, field) {
  const options = field.choices || (field.min && field.max ? null : [field.value]);
  const path = `lab.set.${field.name}`;
  const first = [["", `as in the menu (${field.value})`]];
  if (options) return form.field(path, field.label, { options: [...first, ...options.map((o) => [o, o])], empty: undefined });
  return form.field(path, field.label, { empty: undefined, placeholder: field.value, hint: `from ${field.min} to ${field.max}` });
}

export function lab(form, site) {
  const extra = h("div.trio");
  const draw = () => {
    form.forget("lab.set");
    const offer = site.offers.find((o) => o.id === read(form.draft, "lab.offer"));
    extra.replaceChildren(...(offer?.fields || []).filter((f) => f.mode === "adjustable").map((f) => answer(form, f)));
  };
  if (!read(form.draft, "lab.offer")) write(form.draft, "lab.offer", (site.offers.find((o) => o.id === "gpu-quarter") || site.offers[0])?.id || "");
  const offer = form.field("lab.offer", "“Open lab” starts", { options: site.offers.map((o) => [o.id, `${o.title}, ${o.price.per_hour} credits per hour`]), required: true, then: () => { write(form.draft, "lab.set", {}); draw(); } });
  draw();
  const environments = [["", "the site's own"], ...site.environments.map((e) => [e.name, e.name])];
  return h("div.form", null, offer, extra,
    form.field("environment", "Environment", { options: environments, hint: "The packages that notebooks find. Your administrator adds more." }),
    h("h3", null, "Material"),
    form.field("material.url", "Git repository", { type: "url", maxlength: 500, placeholder: "https://git.example.org/phys101/material.git", hint: "Students have it when their lab opens. What they change stays theirs; what is new is merged without conflicts." }),
    h("div.pair", null, form.field("material.branch", "Branch", { placeholder: "the default one" }), form.field("material.folder", "Folder in their home", { placeholder: "named after the course" })),
    h("h3", null, "What else they may start"), form.boxes("offers", "Offers of the menu (none: all of it)", site.all.map((o) => [o.id, o.title])));
}

const LIMITS = [["gpu", "GPU", "0.25"], ["cpu", "CPU cores", "2"], ["memory", "Memory", "8Gi"], ["workloads", "Servers", "1"], ["gpu-hours", "GPU-hours in all", "20"]];
const limit = (form, path, [name, label, example]) => form.field(`${path}.${name}`, label, { empty: undefined, placeholder: `no limit (${example})`, maxlength: 25 });

/** `more` comes before the course's own limits; `bounds` stands in their place where they are not the visitor's to set. */
export function limits(form, more = "", bounds = null) {
  const group = (path, i, remove) => h("fieldset.choice", null, h("legend", null, `Group ${i + 1}`), form.field(`${path}.name`, "Name", { required: true, maxlength: 60, placeholder: "Quiz" }),
    h("div.trio", null, LIMITS.slice(0, 3).map((one) => limit(form, `${path}.student_limits`, one))), h("div", null, h("button.button.small", { type: "button", onclick: remove }, "Remove this group")));
  return h("div.form", null,
    h("fieldset.choice", null, h("legend", null, "Each student"), form.field("student.credits", "Credits", { inputmode: "decimal", empty: "0", hint: "Given when a student joins, from the course's credits." }), h("p.hint", null, "At most at a time; empty: no limit here."), h("div.trio", null, LIMITS.map((one) => limit(form, "student.limits", one)))),
    h("fieldset.choice", null, h("legend", null, "All of them together"), more, bounds ? "" : h("p.hint", null, "At most at a time; empty: what the tenant above allows."), bounds ?? h("div.trio", null, LIMITS.filter(([name]) => name !== "workloads").map((one) => limit(form, "limits", [one[0], one[1], { gpu: "8", cpu: "64", memory: "256Gi", "gpu-hours": "2000" }[one[0]]])))),
    h("fieldset.choice", null, h("legend", null, "Groups with limits of their own"), h("p.hint", null, "For example a quiz group without GPU (0), and a bigger one for projects."), rows(form, "groups", { build: group, blank: () => ({ id: "", name: "", student_limits: {} }), add: "Add a group", none: "Everybody has the same limits." })));
}

export function labHours(form) {
  const one = (path, i, remove) => h("fieldset.choice", null, h("legend", null, `Lab hours ${i + 1}`), form.boxes(`${path}.weekdays`, "Every week on", DAYS.map((name, n) => [n, name])),
    h("div.trio", null, form.field(`${path}.starts`, "From", { type: "time", required: true }), form.field(`${path}.length`, "How long", { options: Object.entries(LENGTHS).some(([key]) => key === read(form.draft, `${path}.length`)) ? Object.entries(LENGTHS) : [...Object.entries(LENGTHS), [read(form.draft, `${path}.length`), read(form.draft, `${path}.length`)]] }),
      form.field(`${path}.places`, "Places", { type: "number", min: 0, max: 500, numeric: true, empty: 0, hint: "0: as many as students" })),
    form.field(`${path}.name`, "Name", { placeholder: "Lab", maxlength: 60 }), h("div", null, h("button.button.small", { type: "button", onclick: remove }, "Remove these hours")));
  return h("div.form", null, h("p.hint", null, "During lab hours places are held for the course: who comes gets in at once."),
    rows(form, "hours", { build: one, blank: () => ({ weekdays: [0], starts: "09:00", length: "2h", places: 0, name: "" }), add: "Add lab hours", none: "No capacity is held. Students start when there is room." }));
}

export function ruleRows(form, site) {
  const provider = (path) => site.providers.length ? form.field(`${path}.provider`, "Provider", { options: [["", "choose"], ...site.providers.map((p) => [p.name, p.title || p.name])], required: true })
    : form.field(`${path}.provider`, "Provider", { required: true, maxlength: 60, hint: "its name in the site's sign-in settings" });
  const rule = (path, i, remove) => h("fieldset.choice", null, h("legend", null, `Rule ${i + 1}`), h("div.trio", null, provider(path), form.field(`${path}.claim`, "Claim", { required: true }), form.field(`${path}.value`, "Value", { required: true, placeholder: "phys101-students" }),
    form.field(`${path}.role`, "They are", { options: [["member", "students"], ["assistant", "assistants"], ["instructor", "instructors"]] })), h("div", null, h("button.button.small", { type: "button", onclick: remove }, "Remove this rule")));
  return rows(form, "rules", { build: rule, blank: () => ({ provider: site.providers[0]?.name || "", claim: "groups", value: "", role: "member" }), add: "Add a group of the campus sign-in", none: "" });
}

/** Limits of a course as a whole are set from above: null for administrators, the API judges which;
 * words with what is set for everybody else. */
export function bounds(set = {}, parent = "") {
  if (known.me?.platform_admin || known.me?.person.memberships.some((m) => m.role === "admin" && (!parent || m.tenant === parent))) return null;
  const most = LIMITS.filter(([name]) => set[name]).map(([name, label]) => `${label} ${set[name]}`);
  return h("p.hint", null, `${most.length ? `At most at a time: ${most.join(", ")}. ` : ""}An administrator of the tenant above may ${most.length ? "change" : "set"} limits for the course as a whole.`);
}

function people(form, site, ask, report) {
  const kept = form.draft;
  const take = (given) => {
    kept.roster = given.file || given.csv.trim() ? { ...given, provider: kept.roster?.provider ?? site.providers[0]?.name ?? "" } : undefined;
    form.changed("roster");
    draw();
    ask();
  };
  const provider = h("div");
  const draw = () => provider.replaceChildren(...(kept.roster ? [form.field("roster.provider", "Who are they?", { options: [["", "Each gets an invitation link from me"], ...site.providers.map((p) => [p.name, `People of ${p.title || p.name}: they are in when they sign in`])], then: () => { draw(); ask(); }, hint: claimOf(site.providers, kept.roster.provider) })] : []));
  draw();
  return h("div.form", null, h("p.hint", null, "Choose one way or several. All of them can be added later too."),
    h("fieldset.choice", null, h("legend", null, "A list (CSV)"), rosterPicker(take, kept.roster || {}), provider, report),
    h("fieldset.choice", null, h("legend", null, "A group of the campus sign-in"), h("p.hint", null, "Everybody who is in that group is in the course from their next sign-in on, and out when they leave the group."), ruleRows(form, site)),
    h("fieldset.choice", null, h("legend", null, "An invitation link"), link(form), h("p.hint", null, "Anybody who has it may join, up to 200 people in the next 14 days. On the page People of the course you withdraw it, or make others.")),
    h("p.hint", null, "A learning system (Moodle, Canvas, Open edX) can bring the roster by itself: your administrator connects it once, and the first launch from there links its course with this one."));
}

function link(form) {
  const box = h("input", { type: "checkbox", checked: Boolean(form.draft.with_link), onchange: () => { form.draft.with_link = box.checked; form.changed("with_link"); } });
  return h("label.pick", null, box, "Make a link when the course is made");
}

const STEPS = [["basics", "Basics"], ["people", "People"], ["lab", "Lab"], ["limits", "Limits and credits"], ["hours", "Lab hours"], ["review", "Review"]];
const OF_STEP = { basics: ["id", "name", "parent", "term", "first_day", "last_day", "time_zone", "clean_up_days"], people: ["roster", "rules"], lab: ["lab", "offers", "environment", "material"], limits: ["student", "limits", "credits", "groups"], hours: ["hours"] };
const stepOf = (problem) => Object.keys(OF_STEP).find((step) => OF_STEP[step].some((name) => (problem.field || "") === name || /^[.[]/.test((problem.field || "").slice(name.length)) && (problem.field || "").startsWith(name)));

function kept() {
  try { return { ...fresh(), ...JSON.parse(sessionStorage.getItem(KEPT) || "{}") }; } catch { return fresh(); }
}

/** The body that the API takes: what only this page needs stays here. */
function body(draft) {
  const { with_link, own_id, roster, ...plain } = draft;
  return { ...plain, ...(roster && (roster.file || roster.csv) ? { roster: { csv: roster.csv || "", file: roster.file || "", provider: roster.provider || "" } } : {}) };
}

export async function wizardPage() {
  if (!known.me) await new Promise((go) => { watch((kind) => { if (kind === "me") go(); }); });
  if (!known.me || !mayAdd(known.me)) { blank({ message: "You teach no course here yet", next: "Ask the administrator of your department to make you an instructor." }); return; }
  let site, owners;
  try { [site, owners] = await Promise.all([choices(), parents()]); } catch (error) { blank(error); return; }
  const from = await learning();
  if (from?.course) { location.replace(address({ id: from.course })); return; }
  new Wizard(site, owners, from).open();
}

/** The course of a learning system that the visitor came from, to be linked when this one is made. */
async function learning() {
  const id = new URLSearchParams(location.search).get("lti");
  if (!id) return null;
  try { return await api(`lti/contexts/${encodeURIComponent(id)}`); } catch (error) { tellError(error); return null; }
}

class Wizard {
  constructor(site, owners, from = null) {
    Object.assign(this, { site, owners, from, draft: kept(), problems: [], seen: new Set(), asked: 0 });
    if (from && !this.draft.name) Object.assign(this.draft, { name: from.title.slice(0, 200), id: slug(from.title) });
    if (!owners.some(([id]) => id === this.draft.parent)) this.draft.parent = owners[0]?.[0] || "main";
    this.form = new Form(this.draft, (path) => this.changed(path));
    this.report = h("div");
    this.verdicts = h("div");
    this.box = h("div");
    this.trail = h("ol.plain");
  }

  open() {
    $("main").replaceChildren(h("div.page-head", null, h("div", null, h("h1", null, "New course"), h("p", null, "What you type is kept in this tab until the course is made.")), h("button.button", { type: "button", onclick: () => this.restart() }, "Start over")),
      this.from ? h("p.told.good", { role: "status" }, "It will be linked with ", h("strong", null, this.from.title || "your course"), " in your learning system: who opens that one there comes into this one.") : "",
      h("div.wizard", null, h("nav.trail", { "aria-label": "Steps" }, this.trail), h("form", { novalidate: true, onsubmit: (event) => { event.preventDefault(); this.next(); } }, this.box)));
    addEventListener("hashchange", () => this.show());
    this.show();
  }

  get step() {
    const asked = location.hash.slice(1);
    return STEPS.some(([name]) => name === asked) ? asked : "basics";
  }

  changed(path) {
    if (["name", "term"].includes(path) && !this.draft.own_id) {
      this.draft.id = slug(this.draft.name, this.draft.term);
      const place = this.form.places.get("id");
      if (place) place.control.value = this.draft.id;
    }
    if (path === "id") this.draft.own_id = Boolean(this.draft.id);
    if (path.startsWith("hours")) this.later();
    this.keep();
  }

  keep() {
    try { sessionStorage.setItem(KEPT, JSON.stringify(this.draft)); } catch { /* too large or not allowed: it lasts until a reload */ }
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), 600);
  }

  async restart() {
    if (!await confirmed("Start over?", "What you typed here is forgotten.", "Start over")) return;
    sessionStorage.removeItem(KEPT);
    location.replace(location.pathname + location.search);
  }

  show() {
    const [name, title] = STEPS.find(([one]) => one === this.step);
    const index = STEPS.findIndex(([one]) => one === name);
    this.form.places.clear();
    const legend = h("legend", { tabindex: -1 }, h("h2", null, title));
    const build = { basics: () => this.basics(), people: () => people(this.form, this.site, () => this.check(), this.report), lab: () => lab(this.form, this.site), limits: () => limits(this.form, this.money(), this.bounds()), hours: () => labHours(this.form), review: () => this.review() };
    this.general = h("div");
    this.box.replaceChildren(h("fieldset.step", null, legend, build[name]()),
      h("div.steps-acts", null, index ? h("button.button", { type: "button", onclick: () => { location.hash = STEPS[index - 1][0]; } }, "Back") : h("span"), h("button.button.primary", { type: "submit" }, name === "review" ? "Create the course" : "Next")),
      // Below the buttons: what comes while somebody presses one must not move it away from under them.
      name === "hours" ? this.verdicts : "", this.general);
    this.draw();
    if (this.seen.size) legend.focus();
    this.seen.add(name);
    if (["people", "hours", "review"].includes(name)) this.check();
    scrollTo(0, 0);
  }

  basics() {
    const owner = this.owners.length > 1 ? this.form.field("parent", "Belongs to", { options: this.owners }) : "";
    return basics(this.form, h("div", null, this.form.field("name", "Name", { required: true, maxlength: 200, placeholder: "Physics 101" }), h("div.gap-small", null, owner),
      this.form.field("id", "Short name", { required: true, maxlength: 40, pattern: "[a-z][a-z0-9-]{1,39}", hint: "For addresses and the command line: small letters, digits and -. It stays." })));
  }

  money() {
    return this.form.field("credits", "Credits", { inputmode: "decimal", empty: "0", hint: `Moved from ${this.owners.find(([id]) => id === this.draft.parent)?.[1] || "the tenant above"} into the course. Each student's credits come out of it.` });
  }

  bounds() {
    const fixed = bounds({}, this.draft.parent);
    if (fixed) this.draft.limits = {};
    return fixed;
  }

  review() {
    this.summary = h("div.stack", { "aria-live": "polite" }, h("p.muted", null, "Checking…"));
    return h("div.form", null, this.summary);
  }

  draw() {
    const wrong = new Set(this.problems.map(stepOf));
    this.trail.replaceChildren(...STEPS.map(([name, title]) => h(`li${this.seen.has(name) && wrong.has(name) ? ".wrong" : this.seen.has(name) && name !== "review" && name !== this.step ? ".done" : ""}`, null,
      h("a", { href: `#${name}`, ...(name === this.step ? { "aria-current": "step" } : {}) }, h("span", null, title)))));
  }

  /** Ask what making it would say; an older answer never covers a newer one. Null when it cannot be asked. */
  async check() {
    const mine = this.asked += 1;
    let answer;
    try { answer = await post("courses/check", body(this.draft)); } catch (error) {
      if (mine === this.asked) this.refused(error);
      return null;
    }
    if (mine !== this.asked) return null;
    this.problems = answer.problems;
    this.report.replaceChildren(rosterReport(answer.roster));
    this.verdicts.replaceChildren(hoursReport(answer.hours));
    if (this.step === "review") this.summary.replaceChildren(...this.overview(answer));
    this.draw();
    return answer;
  }

  refused(error) {
    const box = this.step === "review" ? this.summary : this.general;
    box.replaceChildren(h("div.told.bad", { role: "alert" }, words(error)));
  }

  overview(answer) {
    const go = (problem) => stepOf(problem) ? h("a", { href: `#${stepOf(problem)}` }, STEPS.find(([name]) => name === stepOf(problem))[1]) : "";
    return [answer.problems.length ? h("div.told.bad", { role: "alert" }, h("p", null, h("strong", null, "This must be put right first")), h("ul", null, answer.problems.map((p) => h("li", null, words(p), " ", go(p))))) : h("div.told.good", null, h("p", null, h("strong", null, "Everything is in order."), " Nothing is made until you press the button.")),
      h("ul.points", null, this.given().map((line) => h("li", null, line)), answer.summary.map((line) => h("li", null, sentence(line)))), answer.roster ? rosterReport(answer.roster) : "", hoursReport(answer.hours.filter((one) => !one.possible))];
  }

  /** What was typed, where the answer's own summary does not say it. */
  given() {
    const { name, term, first_day, last_day, time_zone, lab: chosen, environment, material, student, groups, rules, with_link } = this.draft;
    const offer = this.site.offers.find((o) => o.id === chosen.offer);
    const set = Object.values(chosen.set || {}).filter(Boolean);
    const most = LIMITS.filter(([key]) => student.limits[key]).map(([key, label]) => `${label} ${student.limits[key]}`);
    const owner = this.owners.find(([id]) => id === this.draft.parent)?.[1];
    return [`${[name, term].filter(Boolean).join(", ")}${owner ? `, of ${owner}` : ""}`, `From ${first_day} to ${last_day}, by the clocks of ${time_zone}`,
      offer ? `“Open lab” starts: ${offer.title}${set.length ? ` (${set.join(", ")})` : ""}${environment ? `, with the packages of ${environment}` : ""}` : "",
      material.url ? `Material: ${material.url}` : "No material", most.length ? `Each student at most: ${most.join(", ")}` : "",
      groups.length ? `Groups: ${groups.map((g) => g.name || "(no name)").join(", ")}` : "", rules.length ? `Groups of the campus sign-in: ${rules.map((r) => r.value || "?").join(", ")}` : "",
      with_link ? "A link to join is made" : ""].filter(Boolean);
  }

  async next() {
    const step = this.step;
    if (step === "review") { this.create(); return; }
    const missing = this.form.missing();
    if (missing.length) { this.form.say(missing); return; }
    const answer = await this.check();
    if (!answer) return;
    const here = answer.problems.filter((problem) => stepOf(problem) === step);
    const left = this.form.say(here);
    this.general.replaceChildren(left.length ? h("div.told.bad", { role: "alert" }, h("ul", null, left.map((p) => h("li", null, words(p))))) : "");
    if (!here.length) location.hash = STEPS[STEPS.findIndex(([name]) => name === step) + 1][0];
  }

  async create() {
    const button = this.box.querySelector("[type=submit]");
    button.disabled = true;
    button.textContent = "Creating…";
    try {
      const course = await postOnce("courses", body(this.draft));
      sessionStorage.removeItem(KEPT);
      refetch("courses");
      await this.made(course);
    } catch (error) {
      button.disabled = false;
      button.textContent = "Create the course";
      this.summary.prepend(h("div.told.bad", { role: "alert" }, words(error)));
    }
  }

  /** The course is there whether the link comes about or not; what became of it, in words. */
  async link(course) {
    if (!this.from) return "";
    try {
      await post(`courses/${encodeURIComponent(course.id)}/lti`, { context: this.from.id });
      return h("p", null, `It is linked with ${this.from.title || "your course"} in your learning system.`);
    } catch (error) {
      return h("p.wrong-line", { role: "alert" }, `It is not linked with your learning system yet. ${words(error)} You can link it on its page People.`);
    }
  }

  async made(course) {
    const invited = this.draft.roster && !this.draft.roster.provider;
    const linked = await this.link(course);
    history.replaceState(null, "", location.pathname);
    $("main").replaceChildren(h("div.opening", null, h("div.blank", null, h("h1", { tabindex: -1 }, `${course.name} is ready`),
      h("p", null, `${course.members} in it, ${course.waiting_to_join} expected. Students find it on top of their menu.`), linked,
      h("div.acts", null, h("a.button.primary", { href: address(course) }, "Open the course console"), h("a.button", { href: address(course, "people") }, "People"),
        invited ? h("button.button", { type: "button", onclick: () => download(`courses/${course.id}/roster/invitations`, `${course.id}-invitations.csv`, "POST").catch(tellError) }, "Download invitation links") : ""))));
    $("main").querySelector("h1").focus();
    if (!this.draft.with_link) return;
    try { showLinks(await postOnce(`courses/${course.id}/links`, {})); } catch (error) { tellError(error); }
  }
}

export function hoursReport(verdicts) {
  if (!verdicts?.length) return "";
  const bad = verdicts.some((one) => !one.possible);
  return h(`div.told.${bad ? "warn" : "good"}`, { role: "status" }, h("ul", null, verdicts.map((one) => h("li", null, one.name ? h("strong", null, `${one.name}: `) : "", sentence(one.text)))));
}
