// What is announced to the visitor, on every page until they put it away.
import { post, tellError } from "./api.js";
import { $, clock, h, keyed } from "./dom.js";
import { known, refetch, want, watch } from "./store.js";

const lines = (text) => text.split("\n").flatMap((line, i) => (i ? [h("br"), line] : [line]));

async function putAway(id) {
  try { await post(`announcements/${encodeURIComponent(id)}/seen`); } catch (error) { tellError(error); }
  refetch("announcements");
}

function show(box) {
  const items = known.announcements || [];
  box.hidden = !items.length;
  keyed(box, items, (one) => one.id, (one) => h(`div.announcement${one.level === "warning" ? ".warning" : ""}`, null,
    h("p", { role: "status" }, h("strong", null, one.tenant_name), h("span.announced", null, ...lines(one.text)),
      h("span.small.muted", null, `${one.by ? `${one.by}, ` : ""}${clock(one.starts_at)}`)),
    h("button.button.small", { type: "button", "data-act": "seen", onclick: () => putAway(one.id) }, "Got it")));
}

export function announcements() {
  const box = h("div.announcements", { id: "announcements", role: "region", "aria-label": "Announcements", hidden: true });
  $("main").before(box);
  want("announcements");
  watch((kind) => { if (kind === "announcements") show(box); });
}
