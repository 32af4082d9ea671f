// A link that is shown once: it is stored hashed.
import { h, toast } from "./dom.js";

export function showLinks(link) {
  const field = h("input", { readonly: true, value: link.url, "aria-label": "Join link", onfocus: () => field.select() });
  const copy = h("button.button.primary", { type: "button", onclick: async () => {
    try { await navigator.clipboard.writeText(link.url); copy.textContent = "Copied"; } catch { field.focus(); field.select(); toast("Press Ctrl+C to copy it"); }
  } }, "Copy");
  const box = h("dialog", { "aria-labelledby": "join-title", onclose: () => box.remove() }, h("h2", { id: "join-title" }, "Join link"),
    h("p.muted", null, `Up to ${link.most} people may join with it, until ${new Date(link.expires_at).toLocaleString()}. It is not shown again.`),
    h("div.copy", null, field, copy), h("div.acts", null, h("button.button", { type: "button", onclick: () => box.close() }, "Done")));
  document.body.append(box);
  box.showModal();
}
