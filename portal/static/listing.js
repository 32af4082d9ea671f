// Lists that the server filters, sorts and pages.
import { api } from "./api.js";
import { h, sentence } from "./dom.js";

export const head = (...names) => h("thead", null, h("tr", null, names.map((n) => h("th", { scope: "col" }, n))));
export const small = (label, name, onclick) => h("button.button.small", { type: "button", "aria-label": `${label}: ${name}`, onclick }, label);
export const blank = (columns, text) => h("tr", null, h("td.muted", { colspan: columns }, text));

/** A table whose lines are cards on a phone, where each cell says itself what it is. */
export const stacked = (label, columns, body) => h("div.scroll.stacked", null, h("table", null, h("caption.sr", null, label), head(...columns), body));

/** A line of it, its cells labelled. */
export function labelled(columns, row) {
  [...row.cells].forEach((cell, i) => { if (i && columns[i]) cell.dataset.label = columns[i]; });
  return row;
}

/** A list that the server filters, sorts and pages. `fields` are inputs by the name of their
 * parameter, `read` turns what was typed into what the API takes, `row` makes a line of an item. */
export function listing({ label, columns, path, fields, row, empty, params = {}, read = {} }) {
  const body = h("tbody");
  const more = h("button.button.gap", { type: "button", hidden: true, onclick: () => load(true) }, "Show more");
  const count = h("p.small.muted.num");
  const said = h("p.sr", { role: "status" });
  let cursor = "";
  let asking = 0;
  async function load(further = false) {
    const mine = (asking += 1);
    const query = new URLSearchParams({ ...params, limit: 50 });
    for (const [name, input] of Object.entries(fields)) if (input.value) query.set(name, read[name] ? read[name](input.value) : input.value);
    if (further && cursor) query.set("cursor", cursor);
    try {
      const page = await api(`${path}?${query}`);
      if (mine !== asking) return;
      cursor = page.next || "";
      const rows = page.items.map((item) => labelled(columns, row(item, () => load())));
      if (further) body.append(...rows);
      else body.replaceChildren(...(rows.length ? rows : [blank(columns.length, empty)]));
      count.textContent = page.total === undefined ? "" : `${page.total.toLocaleString()} in all`;
      said.textContent = `${rows.length ? body.rows.length : 0} shown${cursor ? ", there are more" : ""}`;
      more.hidden = !cursor;
    } catch (error) {
      if (mine === asking) body.replaceChildren(blank(columns.length, `${sentence(error.message)}. ${sentence(error.next)}.`));
    }
  }
  let typing;
  for (const input of Object.values(fields)) {
    input.addEventListener(input.type === "search" ? "input" : "change", () => { clearTimeout(typing); typing = setTimeout(load, input.type === "search" ? 250 : 0); });
  }
  load();
  return h("div", null, stacked(label, columns, body), more, count, said);
}
