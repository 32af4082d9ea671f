// Who is in a course: searched, changed, added by list, link or invitation, taken out, exported.
import { api, download, post, postOnce, tellError } from "./api.js";
import { courseHead } from "./course-console.js";
import { claimOf, rosterPicker, rosterReport, words } from "./course-fields.js";
import { learningSystems } from "./course-learning.js";
import { showLinks } from "./course-links.js";
import { $, asked, confirmed, h, keyed, sentence, toast } from "./dom.js";

const ROLES = [["member", "Student"], ["assistant", "Assistant"], ["instructor", "Instructor"]];
const STATES = [["", "All"], ["joined", "In the course"], ["expected", "Expected"], ["removed", "Taken out"]];
const TAG = { joined: ".good", expected: "", removed: ".off" };
const WORD = { joined: "In", expected: "Expected", removed: "Taken out" };

export function staffPage(course) {
  new Roster(course).open();
}

class Roster {
  constructor(course) {
    Object.assign(this, { course, base: `courses/${encodeURIComponent(course.id)}`, before: [], cursor: "", asked: 0, manage: Boolean(course.may?.manage) });
    this.groups = [["", "No group"], ...course.groups.map((g) => [g.id, g.name])];
    this.body = h("tbody");
    this.pager = h("nav.pager", { "aria-label": "Pages" });
    this.links = h("div");
  }

  open() {
    const select = (id, label, options) => h("label.field", { for: id }, label, h("select", { id, onchange: () => this.first() }, options.map(([value, name]) => h("option", { value }, name))));
    const search = h("input", { type: "search", id: "find", placeholder: "Name, e-mail or id", oninput: () => { clearTimeout(this.timer); this.timer = setTimeout(() => this.first(), 250); } });
    const button = (kind, label, onclick) => h(`button.button${kind}`, { type: "button", onclick }, label);
    $("main").replaceChildren(...courseHead(this.course, "people"),
      h("section.card", { "aria-labelledby": "h-people" }, h("div.page-head", null, h("h2", { id: "h-people" }, "People"),
        h("div.acts", null, this.manage ? button(".small.primary", "Add a list", () => this.add()) : "", button(".small", "Download CSV", () => this.save("roster/file", "roster")), this.manage ? button(".small", "Invitation links", () => this.invite()) : "")),
      h("div.filters", null, h("label.field.grow", { for: "find" }, "Find", search), select("state", "State", STATES), this.groups.length > 1 ? select("group", "Group", [["", "Every group"], ...this.groups.slice(1)]) : ""),
      h("div.scroll", null, h("table", null, h("thead", null, h("tr", null, [["Name"], ["Id", "hide-phone"], ["State"], ["Role"], [this.groups.length > 1 ? "Group" : ""], [""]].map(([name, cls]) => h(`th${cls ? `.${cls}` : ""}`, { scope: "col" }, name)))), this.body)), this.pager),
      this.manage ? h("section.card.gap", { "aria-labelledby": "h-links" }, h("div.page-head", null, h("div", null, h("h2", { id: "h-links" }, "Join links"), h("p.small", null, "Anybody who has the link may join, until it is used up, ends or is withdrawn.")), button(".small", "New link", () => this.newLink())), this.links) : "", this.manage ? learningSystems(this.course, () => this.load()) : "");
    this.load();
    if (this.manage) this.loadLinks();
  }

  first() { this.before = []; this.cursor = ""; this.load(); }

  async load() {
    const mine = this.asked += 1;
    const value = (id) => $(id)?.value.trim() || "";
    const query = new URLSearchParams({ limit: 50 });
    for (const [name, given] of [["search", value("find")], ["state", value("state")], ["group", value("group")], ["cursor", this.cursor]]) if (given) query.set(name, given);
    try {
      const page = await api(`${this.base}/roster?${query}`);
      if (mine === this.asked) this.show(page);
    } catch (error) { this.body.replaceChildren(h("tr", null, h("td.muted", { colspan: 6 }, words(error)))); }
  }

  show(page) {
    if (page.items.length) keyed(this.body, page.items, (one) => one.id, (one) => this.row(one));
    else this.body.replaceChildren(h("tr", null, h("td.muted", { colspan: 6 }, "Nobody.")));
    const step = (label, go, off) => h("button.button.small", { type: "button", disabled: off, onclick: go }, label);
    const from = this.before.length * 50 + 1;
    this.pager.replaceChildren(h("span.small.muted", { role: "status" }, page.total ? `${from} to ${from + page.items.length - 1} of ${page.total}` : ""),
      h("div.acts", null, step("Previous", () => { this.cursor = this.before.pop() || ""; this.load(); }, !this.before.length), step("Next", () => { this.before.push(this.cursor); this.cursor = page.next; this.load(); }, !page.next)));
  }

  row(one) {
    const name = one.name || one.login || one.key;
    const choose = (field, options, label) => {
      const box = h("select.row-select", { "data-act": field, "aria-label": `${label} of ${name}`, onchange: () => this.change(one, { [field]: box.value }, `${name}: ${options.find(([value]) => value === box.value)[1]}`) }, options.map(([value, word]) => h("option", { value, selected: value === one[field] }, word)));
      return box;
    };
    const fixed = !this.manage || one.state === "removed";
    const again = this.manage && fixed ? h("button.button.small", { type: "button", "data-act": "again", "aria-label": `Let in again: ${name}`, onclick: () => this.change(one, { role: one.role }, `${name} is in again`) }, "Let in again") : "";
    return h("tr", null, h("td", null, h("strong", null, name), h("div.small.muted", null, one.email || (one.login === name ? "" : one.login))),
      h("td.small.hide-phone", null, one.key), h("td", null, h(`span.tag${TAG[one.state]}`, null, WORD[one.state])),
      h("td", null, fixed ? ROLES.find(([r]) => r === one.role)?.[1] || one.role : choose("role", ROLES, "Role")), h("td", null, fixed || this.groups.length < 2 ? one.group ? this.groups.find(([g]) => g === one.group)?.[1] || one.group : "" : choose("group", this.groups, "Group")),
      h("td.right", null, fixed ? again : h("button.button.small", { type: "button", "data-act": "remove", "aria-label": `Take out: ${name}`, onclick: () => this.remove(one, name) }, "Take out")));
  }

  async attempt(work, done) {
    try { const answer = await work(); if (done) toast(done); return answer; } catch (error) { tellError(error); return null; } finally { this.load(); }
  }

  change(one, body, done) { this.attempt(() => api(`${this.base}/roster/${encodeURIComponent(one.id)}`, { method: "PUT", body }), done); }

  async remove(one, name) {
    if (await confirmed(`Take ${name} out of the course?`, "What they run in it is stopped, and their unused credits go back to the course. Their files stay.", "Take out")) this.attempt(() => api(`${this.base}/roster/${encodeURIComponent(one.id)}`, { method: "DELETE" }), `${name} was taken out`);
  }

  async save(path, name, method) {
    try { await download(`${this.base}/${path}`, `${this.course.id}-${name}.csv`, method); } catch (error) { tellError(error); }
  }

  async invite() {
    if (await confirmed("Make invitation links?", "One for each who is expected by invitation, in a CSV file for your mail program. They are shown only in that file; earlier links of the same people end.", "Download them", false)) this.save("roster/invitations", "invitations", "POST");
  }

  /** A list that is checked as soon as it is chosen, and taken only by a button. */
  async add() {
    const providers = await api("providers").then((page) => page.items, () => []);
    const report = h("div", { "aria-live": "polite" });
    const take = h("button.button.primary", { type: "submit", disabled: true }, "Add them");
    const provider = h("select", { id: "roster-provider", "aria-describedby": "claim", onchange: () => { claim.textContent = claimOf(providers, provider.value); check(); } }, [["", "Each gets an invitation link"], ...providers.map((p) => [p.name, `People of ${p.title || p.name}`])].map(([value, label]) => h("option", { value, selected: value === providers[0]?.name }, label)));
    const claim = h("span.hint", { id: "claim" }, claimOf(providers, provider.value));
    let given = null;
    const body = () => ({ csv: given.csv, file: given.file, provider: provider.value });
    const check = async () => {
      if (!given) return;
      report.replaceChildren(h("p.muted", null, "Checking…"));
      try {
        const answer = await post(`${this.base}/roster/check`, body());
        report.replaceChildren(rosterReport(answer));
        take.disabled = answer.problems.some((p) => p.fatal);
      } catch (error) { report.replaceChildren(h("div.told.bad", { role: "alert" }, words(error))); take.disabled = true; }
    };
    const done = () => { box.close(); box.remove(); };
    const form = h("form", { onsubmit: async (event) => {
      event.preventDefault();
      take.disabled = true;
      try {
        const answer = await postOnce(`${this.base}/roster`, body());
        done();
        toast(`${answer.new} added, ${answer.known} changed`, provider.value ? "They are in when they sign in" : "Give them their invitation links next");
        this.first();
      } catch (error) { report.replaceChildren(h("div.told.bad", { role: "alert" }, words(error))); }
    } }, h("h2", { id: "add-title" }, "Add a list of people"), rosterPicker((one) => { given = one; check(); }), h("div.field", null, h("label", { for: "roster-provider" }, "Who are they?"), provider, claim), report,
      h("div.acts", null, h("button.button", { type: "button", onclick: done }, "Cancel"), take));
    const box = h("dialog.wide", { "aria-labelledby": "add-title", oncancel: done }, form);
    document.body.append(box);
    box.showModal();
  }

  async newLink() {
    const form = await asked("New join link", "It is shown once.", [{ name: "most", label: "For at most so many people", type: "number", value: "200", required: true }, { name: "expires", label: "Ends after", value: "14d", required: true },
      { name: "group", label: "Into the group", options: this.groups, value: "" }], "Make the link");
    if (!form) return;
    try { showLinks(await postOnce(`${this.base}/links`, { ...form, most: Number(form.most) })); } catch (error) { tellError(error); }
    this.loadLinks();
  }

  async loadLinks() {
    let items;
    try { items = (await api(`${this.base}/links`)).items; } catch (error) { this.links.replaceChildren(h("p.muted", null, words(error))); return; }
    const open = items.filter((one) => !one.withdrawn_at && Date.parse(one.expires_at) > Date.now());
    const withdraw = async (one) => {
      if (!await confirmed("Withdraw this link?", "Who joined with it stays. Nobody else can join with it.", "Withdraw")) return;
      try { await api(`${this.base}/links/${encodeURIComponent(one.id)}`, { method: "DELETE" }); } catch (error) { tellError(error); }
      this.loadLinks();
    };
    const line = (one) => h("tr", null, h("td", null, `${one.used} of ${one.most} joined`, one.group ? h("span.tag", null, this.groups.find(([id]) => id === one.group)?.[1] || one.group) : ""), h("td.small", null, `until ${new Date(one.expires_at).toLocaleString()}`),
      h("td.right", null, h("button.button.small", { type: "button", "aria-label": `Withdraw the link with ${one.used} of ${one.most} joined`, onclick: () => withdraw(one) }, "Withdraw")));
    this.links.replaceChildren(open.length ? h("div.scroll", null, h("table", null, h("tbody", null, open.map(line)))) : h("p.muted", null, "None at the moment."));
  }
}
