// Forms of a course: one draft, controls bound to places in it, what is wrong shown beside them.
import { h, sentence } from "./dom.js";

export const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const parts = (path) => path.replaceAll("[", ".").replaceAll("]", "").split(".").filter(Boolean);
export const read = (draft, path) => parts(path).reduce((value, name) => value?.[name], draft);
export function write(draft, path, value) {
  const names = parts(path);
  const last = names.pop();
  let place = draft;
  for (const name of names) place = place[name] ??= {};
  if (value === undefined) delete place[last]; else place[last] = value;
}

/** "Physics 101", "Spring 2027" → "physics-101-spring-2027": what tenants may be called. */
export function slug(...words) {
  const plain = words.join("-").normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  return plain.replace(/[^a-z0-9]+/g, "-").replace(/^[^a-z]+/, "").slice(0, 40).replace(/-+$/, "");
}

/** A length of time as it is written in the API, with how people read it. */
export const LENGTHS = { "45m": "45 minutes", "1h": "1 hour", "1h30m": "1½ hours", "2h": "2 hours", "3h": "3 hours", "4h": "4 hours" };

let number = 0;

/** Controls that write into `draft` as they are changed; `changed(path)` is called after each. */
export class Form {
  constructor(draft, changed = () => {}) {
    Object.assign(this, { draft, changed, places: new Map() });
  }

  /** A labelled control. `options` is a list of [value, words]; `empty` is what is written for "". */
  field(path, label, { options, hint, tag = "input", empty = "", numeric = false, then, ...props } = {}) {
    const id = `f${number += 1}`;
    const value = read(this.draft, path);
    const common = { id, name: path, "aria-describedby": `${id}-hint ${id}-wrong`, autocomplete: "off", ...props };
    const shown = value === undefined || value === null ? "" : String(value);
    const control = options
      ? h("select", common, options.map(([key, words]) => h("option", { value: key, selected: String(key) === shown }, words)))
      : h(tag, { ...common, ...(tag === "input" ? { value: shown } : {}) });
    if (tag === "textarea") control.value = shown;
    control.addEventListener(options ? "change" : "input", () => {
      const typed = control.value;
      write(this.draft, path, typed === "" ? empty : numeric ? Number(typed) : typed);
      this.right(path);
      then?.(typed);
      this.changed(path);
    });
    const wrong = h("span.wrong", { id: `${id}-wrong` });
    this.places.set(parts(path).join("."), { control, wrong });
    return h("div.field", null, h("label", { for: id }, label), control, hint ? h("span.hint", { id: `${id}-hint` }, hint) : "", wrong);
  }

  /** Boxes for a list of values at `path`: which of `options` ([value, words]) are in it. */
  boxes(path, legend, options, hint = "") {
    const wrong = h("span.wrong");
    const boxes = options.map(([value, words]) => {
      const box = h("input", { type: "checkbox", checked: (read(this.draft, path) || []).includes(value) });
      box.addEventListener("change", () => {
        const chosen = options.map(([one]) => one).filter((one, i) => boxes[i].firstChild.checked);
        write(this.draft, path, chosen);
        this.right(path);
        this.changed(path);
      });
      return h("label", null, box, words);
    });
    const set = h("fieldset.days", null, h("legend", null, legend), boxes, hint ? h("p.hint", null, hint) : "", wrong);
    this.places.set(parts(path).join("."), { control: set, wrong });
    return set;
  }

  /** What a control no longer there would have been told. */
  forget(path) {
    const start = parts(path).join(".");
    for (const name of [...this.places.keys()]) if (name === start || name.startsWith(`${start}.`)) this.places.delete(name);
  }

  right(path) {
    const place = this.places.get(parts(path).join("."));
    if (!place) return;
    place.control.removeAttribute("aria-invalid");
    place.wrong.textContent = "";
  }

  clear() { for (const path of this.places.keys()) this.right(path); }

  /** Says each problem beside its control; returns those that have none here. */
  say(problems) {
    this.clear();
    let first = null;
    const left = problems.filter((problem) => {
      const names = parts(problem.field || "");
      while (names.length && !this.places.has(names.join("."))) names.pop();
      const place = this.places.get(names.join("."));
      if (!place || !place.control.isConnected) return true;
      place.control.setAttribute("aria-invalid", "true");
      place.wrong.textContent += `${place.wrong.textContent ? " " : ""}${words(problem)}`;
      first ??= place.control;
      return false;
    });
    (first?.matches("fieldset") ? first.querySelector("input") : first)?.focus();
    return left;
  }

  /** Controls that must be filled in and are not. */
  missing() {
    return [...this.places].filter(([, { control }]) => control.isConnected && control.required && !control.value.trim()).map(([field]) => ({ field, message: "this is needed", next: "" }));
  }
}

export const words = (problem) => [problem.message, problem.next].filter(Boolean).map((one) => `${sentence(one)}.`).join(" ").replaceAll("..", ".");

/** Rows that can be added and taken away: `build(path, i)` makes one. */
export function rows(form, path, { build, blank, add, none = "" }) {
  const list = h("div.stack");
  const items = () => { if (!read(form.draft, path)) write(form.draft, path, []); return read(form.draft, path); };
  const draw = () => {
    form.forget(path);
    list.replaceChildren(...(items().length ? items().map((_, i) => build(`${path}.${i}`, i, () => { items().splice(i, 1); draw(); form.changed(path); more.focus(); })) : none ? [h("p.hint", null, none)] : []));
  };
  const more = h("button.button.small", { type: "button", onclick: () => { items().push(blank()); draw(); form.changed(path); list.lastElementChild?.querySelector("input, select")?.focus(); } }, add);
  draw();
  const box = h("div.stack", null, list, h("div", null, more));
  box.draw = draw;
  return box;
}

const MOST_BYTES = 700_000;

/** A file as base64: the service finds out how it is encoded. Raises an error with `message` and `next`. */
export async function bytesOf(file) {
  if (file.size > MOST_BYTES) throw { message: `${file.name} has ${Math.round(file.size / 1000)} kB: that is no roster`, next: `at most ${MOST_BYTES / 1000} kB, which is more than 5,000 people` };
  if (!file.size) throw { message: `${file.name} is empty`, next: "choose the file with the list" };
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/** What a roster would do, and what is wrong with it, by line. */
export function rosterReport(roster) {
  if (!roster) return "";
  const bad = roster.problems || [];
  const fatal = bad.some((p) => p.fatal);
  const where = (p) => [p.line ? `line ${p.line}` : "", p.column ? `column ${p.column}` : ""].filter(Boolean).join(", ");
  const line = (p) => h("li", null, where(p) ? h("strong", null, `${sentence(where(p))}: `) : "", `${sentence(p.message)}.`);
  const counts = [[roster.new, "new"], [roster.known, "to be changed"], [roster.same, "there already"], [roster.joined, "in at once"]].filter(([n]) => n).map(([n, what]) => `${n} ${what}`).join(", ");
  return h(`div.told.${fatal ? "bad" : bad.length ? "warn" : "good"}`, { role: "status" },
    h("p", null, h("strong", null, fatal ? "The list cannot be taken as it is" : `${roster.rows} ${roster.rows === 1 ? "person" : "people"} on the list`), fatal || !counts ? "" : `: ${counts}.`),
    bad.length ? h("details", { open: bad.length <= 20 }, h("summary", null, bad.length === 1 ? "1 line needs a look" : `${bad.length} lines need a look`), h("ul", null, bad.slice(0, 200).map(line)), bad.length > 200 ? h("p", null, `and ${bad.length - 200} more`) : "") : h("p", null, "Nothing is wrong with it."),
    roster.people?.length && !fatal ? h("details", null, h("summary", null, "How it was read"), h("ul", null, roster.people.slice(0, 5).map((p) => h("li", null, [p.key, p.name, p.email, p.group, p.role].filter(Boolean).join(" · "))))) : "");
}

/** By what a provider's people are known in a list. */
export function claimOf(providers, name) {
  const one = providers.find((p) => p.name === name);
  return one ? `The column ${one.roster_claim === "email" ? "email" : "id"} says who they are: it must be what ${one.title || one.name} says as “${one.roster_claim}”.` : "You get a file with a link for each, to send by your own mail program.";
}

/** Choose a file or paste. `then({file, csv, name})` is called with what there is. */
export function rosterPicker(then, given = {}) {
  const said = h("p.hint", { role: "status" }, given.name ? `${given.name} was read` : "");
  const area = h("textarea", { id: "roster-text", spellcheck: "false", placeholder: "id,name,email,group\ns1234,Ada Lovelace,ada@example.org," });
  area.value = given.csv || "";
  const say = (kind, words) => { said.className = kind; said.textContent = words; };
  const picker = h("input", { type: "file", id: "roster-file", "aria-describedby": "roster-hint", accept: ".csv,.tsv,.txt,text/csv,text/plain", onchange: async () => {
    const [file] = picker.files;
    if (!file) return;
    try {
      const bytes = await bytesOf(file);
      area.value = "";
      say("hint", `${file.name} was read`);
      then({ file: bytes, csv: "", name: file.name });
    } catch (error) { say("wrong-line", words(error)); picker.value = ""; }
  } });
  area.addEventListener("change", () => { picker.value = ""; say("hint", ""); then({ file: "", csv: area.value, name: "" }); });
  return h("div", null, h("div.field", null, h("label", { for: "roster-file" }, "CSV file"), picker, h("span.hint", { id: "roster-hint" },  "Columns: id (or student id), email, name, group, role, in any order. An id or an e-mail is needed.")), said,
    h("details", { open: Boolean(given.csv) }, h("summary.hint", null, "Or paste the list here"), h("label.field", { for: "roster-text" }, h("span.sr", null, "List as text"), area)));
}
