// For administrators: the state of each node, and taking nodes out of service and back.
import { api, post, tellError } from "./api.js";
import { asked, clock, confirmed, h, sentence, toast } from "./dom.js";

const GOOD = ["in service"];
const QUIET = ["to be drained", "empty"];
const path = (name) => `nodes/${encodeURIComponent(name)}`;

/** Nodes by name as administrators see them. Who may not gets none, and no error. */
export async function states() {
  try { return new Map((await api("nodes")).items.map((n) => [n.name, n])); } catch (error) {
    if ([403, 404].includes(error.status)) return new Map();
    throw error;
  }
}

async function act(work, done, reload) {
  try { await work(); toast(done); } catch (error) { tellError(error); }
  reload();
}

async function drain(n, reload) {
  const form = await asked(`Take ${n.name} out of service`,
    `Nothing new is placed there. ${n.running ? `${n.running} running there ${n.running === 1 ? "is" : "are"} told to go, and wait again by themselves.` : "Nothing runs there now."}`, [
      { name: "by", label: "Empty by (2h, or a time like 2026-11-21T18:00:00Z)", value: "2h", required: true },
      { name: "reason", label: "Why, for the people whose work must go", placeholder: "new power supply" }], "Drain");
  if (form) act(() => post(`${path(n.name)}/drain`, form), `Node ${n.name} is being drained`, reload);
}

async function resume(n, reload) {
  if (await confirmed(`Put ${n.name} back into service?`, "New work is placed there again; what was told to go may stay.", "Resume", false)) {
    act(() => post(`${path(n.name)}/resume`), `Node ${n.name} is in service`, reload);
  }
}

const button = (label, name, onclick) => h("button.button.small", { type: "button", "data-act": label, "aria-label": `${label}: ${name}`, onclick }, label);

/** What a node's card says and offers below its heading. */
export function nodeState(n, reload) {
  const closed = !GOOD.includes(n.state) && n.state !== "impaired";
  const lines = [n.closed, n.reason && !n.closed.includes(n.reason) ? `why: ${n.reason}` : "",
    n.by && !n.empty_at ? `empty by ${clock(n.by)}` : "", n.empty_at ? `empty since ${clock(n.empty_at)}` : ""].filter(Boolean);
  return h("div.node-state", null,
    h("p", null, h(`span.tag${GOOD.includes(n.state) ? ".good" : QUIET.includes(n.state) ? ".off" : n.state === "draining" ? "" : ".bad"}`, null, sentence(n.state)),
      h("span.small.muted", null, n.running === 1 ? " 1 workload there" : ` ${n.running} workloads there`)),
    lines.length ? h("p.small.muted", null, sentence(lines.join("; ")), ".") : null,
    h("div.acts", null,
      n.by || n.state === "to be drained" ? null : button("Drain", n.name, () => drain(n, reload)),
      closed && n.state !== "silent" ? button("Resume", n.name, () => resume(n, reload)) : null));
}

/** What a device's line adds: quarantine, and the way out of it. */
export function deviceState(d, reload) {
  if (!d) return null;
  if (!d.quarantined) return d.failed_starts ? h("div.small.muted", null, `${d.failed_starts} failed ${d.failed_starts === 1 ? "start" : "starts in a row"}`) : null;
  return h("div.acts", null, h("span.tag.bad", null, "Quarantine"), button("Release", d.id, async () => {
    if (await confirmed(`Offer ${d.id} again?`, "It was taken out because starts on it kept failing. Release it when you have looked.", "Release", false)) {
      act(() => post(`devices/${encodeURIComponent(d.id)}/release`), `Device ${d.id} is offered again`, reload);
    }
  }));
}

/** One node after another; a part of the GPUs stays. */
export async function roll(reload) {
  const form = await asked("Drain all nodes, one after another", "The next begins when the one before is back in service.", [
    { name: "at_most", label: "At most this part of the GPUs is out", value: "0.25", required: true },
    { name: "each", label: "Time for each node to empty", value: "4h", required: true },
    { name: "reason", label: "Why, for the people whose work must go", placeholder: "new driver" }], "Begin");
  if (form) act(() => post("nodes/drain", { ...form, at_most: Number(form.at_most) }), "The drain has begun", reload);
}

export async function resumeAll(reload) {
  if (await confirmed("Put every node back into service?", "A rolling drain ends; what was told to go may stay.", "Resume all", false)) {
    act(() => post("nodes/resume"), "Every node is in service", reload);
  }
}
