// The ways to sign in, in the account menu. Fetched when the menu is opened.
import { api, tellError } from "./api.js";
import { $, confirmed, h, toast } from "./dom.js";

let asking = 0;

async function giveUp(one) {
  const text = `You sign in with ${one.title} no more, and roles that it gave you here end.`;
  if (!await confirmed(`Unlink ${one.title}?`, text, "Unlink")) return;
  try {
    await api(`identities/${encodeURIComponent(one.id)}`, { method: "DELETE" });
    toast(`${one.title} is unlinked`);
  } catch (error) { tellError(error); }
  signIns();
}

function line(one) {
  const title = one.title || one.issuer;
  return h("li", null, title, one.removable ? h("button.button.small", { type: "button", "aria-label": `Unlink: ${title}`, onclick: () => giveUp({ ...one, title }) }, "Unlink") : "");
}

/** What the visitor signs in with, and the providers that they may add. Nothing on a site without any. */
export async function signIns() {
  const mine = asking += 1;
  let linked, providers;
  try {
    [linked, providers] = (await Promise.all([api("identities"), api("providers")])).map((page) => page.items);
  } catch { return; } // the menu has its other entries; it is asked for again when it is opened again
  if (mine !== asking) return;
  const others = providers.filter((one) => !linked.some((other) => other.provider === one.name));
  const box = $("sign-ins");
  box.hidden = !linked.length && !others.length;
  box.replaceChildren(h("h3", null, "You sign in with"), h("ul.plain", null, linked.map(line)),
    ...others.map((one) => h("p", null, h("a", { href: `/hub/oidc/${encodeURIComponent(one.name)}/link` }, `Link another sign-in: ${one.title || one.name}`))));
  if (!linked.length) box.firstElementChild.replaceWith(h("h3", null, "Ways to sign in"));
}
