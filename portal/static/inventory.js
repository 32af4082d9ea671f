// What exists and what is held of it: a heat map (Panel) and every device as text.
import { api } from "./api.js";
import { $, gib, gpu, h, keyed, sentence, track } from "./dom.js";
import { frame } from "./frames.js";
import { deviceState, nodeState, resumeAll, roll, states } from "./nodes.js";

const HARD = { hard: "hard limit", soft: "soft limit", none: "not enforced" };

function device(d, state, reload) {
  const ok = d.health === "ok";
  return h("div.device", null,
    h("div", null, h("strong", null, d.model), d.emulated ? h("span.tag", null, "emulated") : "", d.untested ? h("span.tag", null, "untested") : "",
      h("div.small.muted", null, `${d.id} · ${gib(d.memory_mib)} · ${d.sharing}`)),
    track(d.held_milli / 1000, `${gpu(d.held_milli)} held of one`),
    h("span.small.num", null, ok ? (d.held_milli ? `${d.held_milli / 10} % held` : "free") : h("span.tag.bad", { title: d.health_reason }, sentence(d.health)),
      !ok && d.health_reason ? h("div.small.muted", null, d.health_reason) : "", deviceState(state, reload)));
}

function node(n, state, reload) {
  const known = new Map((state?.devices || []).map((d) => [d.id, d]));
  const row = (name, held, of, text) => h("div.device", null, h("strong", null, name), track(of ? held / of : 0, text), h("span.small.num", null, text));
  return h("section.card", { "aria-label": n.name }, h("div.page-head", null, h("h2", null, n.name), state ? nodeState(state, reload) : null), n.devices.map((d) => device(d, known.get(d.id), reload)),
    row("CPU", n.cpu_held_milli, n.cpu_milli, `${n.cpu_held_milli / 1000} of ${n.cpu_milli / 1000}`),
    row("Memory", n.memory_held_mib, n.memory_mib, `${gib(n.memory_held_mib)} of ${gib(n.memory_mib)}`));
}

export function inventoryPage() {
  const nodes = h("div.stack.gap");
  const notes = h("div");
  const acts = h("div.acts", { hidden: true },
    h("button.button", { type: "button", onclick: () => roll(load) }, "Drain all"), h("button.button", { type: "button", onclick: () => resumeAll(load) }, "Resume all"));
  $("main").replaceChildren(h("div.page-head", null, h("div", null, h("h1", null, "Inventory"), h("p", null, "What this site has, and what is held of it right now.")), acts),
    h("section.card", { "aria-labelledby": "h-heat" }, h("h2", { id: "h-heat" }, "Devices"), frame("panels/inventory", "Heat map of devices")), nodes, notes);
  async function load() {
    let inventory, state;
    try { [inventory, state] = await Promise.all([api("inventory"), states()]); } catch (error) {
      if (!nodes.children.length) nodes.replaceChildren(h("div.blank", { role: "alert" }, h("h2", null, error.message), h("p", null, sentence(error.next))));
      return;
    }
    acts.hidden = state.size < 2;
    keyed(nodes, inventory.nodes.map((n) => ({ ...n, state: state.get(n.name) })), (n) => n.name, (n) => node(n, n.state, load));
    const isolation = Object.entries(inventory.isolation).map(([what, how]) => `${{ cpu: "CPU", gpu: "GPU" }[what] || what}: ${HARD[how] || how}`).join(" · ");
    notes.replaceChildren(h("section.card.gap", { "aria-label": "Isolation" }, h("h2", null, "How shares are kept apart"), isolation ? h("p", null, sentence(isolation)) : "",
      inventory.notes.map((note) => h("p.muted.small", null, note))));
  }
  load();
  setInterval(() => { if (!document.hidden) load(); }, 5000);
}
