// What was spent: the balance, the burn chart (Panel), the statement.
import { api, download, tellError } from "./api.js";
import { $, clock, credits, h, now, prefix, sentence } from "./dom.js";
import { frame } from "./frames.js";

/** Asking for more is fetched only when this page is open. */
const requests = (box) => import("./desk-requests.js").then((part) => part.myRequests(box));

/** A day as `<input type=date>` writes it, by the visitor's clock. */
const day = (at) => [at.getFullYear(), String(at.getMonth() + 1).padStart(2, "0"), String(at.getDate()).padStart(2, "0")].join("-");

/** The statement between two days as a file; the last day counts whole. */
function files() {
  const today = new Date(now());
  const from = h("input", { type: "date", value: day(new Date(today.getFullYear(), today.getMonth(), 1)), max: day(today), required: true });
  const to = h("input", { type: "date", value: day(today), max: day(today), required: true });
  const get = async (format, button) => {
    if (!from.reportValidity() || !to.reportValidity()) return;
    button.disabled = true;
    const begins = new Date(`${from.value}T00:00:00`);
    const ends = new Date(`${to.value}T00:00:00`);
    ends.setDate(ends.getDate() + 1);
    const query = new URLSearchParams({ from: begins.toISOString(), to: ends.toISOString(), format });
    try { await download(`statement/file?${query}`, `statement_${from.value}_${to.value}.${format}`); } catch (error) { tellError(error); }
    button.disabled = false;
  };
  const button = (format, label) => h("button.button", { type: "button", onclick: (e) => get(format, e.target) }, label);
  return h("section.card.gap", { "aria-labelledby": "h-file" }, h("h2", { id: "h-file" }, "As a file"),
    h("div.range", null, h("label.field", null, "From", from), h("label.field", null, "Until", to), button("csv", "Download CSV"), button("parquet", "Download Parquet")));
}

export async function usagePage() {
  const rows = h("tbody");
  const tiles = h("div.tiles");
  const more = h("button.button.gap", { type: "button", hidden: true }, "Show older");
  const table = h("div.scroll", null, h("table", null, h("caption.sr", null, "Statement, the newest first"),
    h("thead", null, h("tr", null, ["When", "What", "Workload"].map((t) => h("th", { scope: "col" }, t)), h("th.right", { scope: "col" }, "Credits"))), rows));
  const asking = h("section.card.gap", { "aria-labelledby": "h-more" });
  const statement = h("section.card.gap", { "aria-labelledby": "h-st" }, h("h2", { id: "h-st" }, "Statement"), table, more);
  $("main").replaceChildren(h("div.page-head", null, h("div", null, h("h1", null, "Usage"), h("p", null, "Credits are held before a start and settled by the second when it ends."))), tiles,
    h("section.card", { "aria-labelledby": "h-burn" }, h("h2", { id: "h-burn" }, "Balance over time"), frame("panels/usage", "Balance over time")), files(), asking, statement);
  requests(asking);

  let cursor = "";
  async function load() {
    let usage;
    try { usage = await api(`usage${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`); } catch (error) { tellError(error); return; }
    if (!cursor) {
      const tile = (value, label) => h("div.card.tile", null, h("strong", null, value), h("span", null, label));
      tiles.replaceChildren(tile(credits(usage.balance), "credits left"), tile(credits(usage.held), "held for what runs"), tile(credits(usage.spent), "spent"), tile(usage.gpu_hours, "GPU-hours"));
    }
    for (const line of usage.items) {
      const plus = !line.amount.startsWith("-");
      rows.append(h("tr", null, h("td.muted.num", null, clock(line.at)), h("td", null, sentence(line.text || line.kind)),
        h("td", null, line.workload ? h("a", { href: `${prefix}workloads/${line.workload}` }, line.workload_name || line.workload) : "–"),
        h(`td.right.num.${plus ? "plus" : "minus"}`, null, (plus ? "+" : "−") + credits(line.amount.replace("-", "")))));
    }
    if (!rows.children.length) table.replaceChildren(h("p.muted", null, "Nothing yet: your statement begins with your first start."));
    cursor = usage.next || "";
    more.hidden = !cursor;
  }
  more.addEventListener("click", load);
  load();
}
