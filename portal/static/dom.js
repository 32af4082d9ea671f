// Small pieces of page: elements, keyed lists that keep the focus, times and amounts for people.

/** Said outright: a table that is laid out as cards on a phone is none to some browsers otherwise. */
const ROLES = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", th: "columnheader", td: "cell" };

/** h("p.small", {title: "x", onclick: f}, "text", node): never parses HTML. */
export function h(what, props, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  if (ROLES[tag]) node.setAttribute("role", ROLES[tag]);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

export const $ = (id) => document.getElementById(id);
export const prefix = document.body.dataset.prefix;

/** Make `list` show `items`: what did not change keeps its node, what did keeps the focus. */
export function keyed(list, items, key, build) {
  const old = new Map([...list.children].map((node) => [node.dataset.key, node]));
  const nodes = items.map((item) => {
    const id = String(key(item));
    const print = JSON.stringify(item);
    const before = old.get(id);
    if (before && before.perijovePrint === print) return before;
    const node = build(item);
    node.dataset.key = id;
    node.perijovePrint = print;
    if (before) node.perijoveFocus = focusIn(before);
    return node;
  });
  const same = nodes.length === list.children.length && nodes.every((node, i) => node === list.children[i]);
  if (same) return;
  list.replaceChildren(...nodes);
  for (const node of nodes) {
    if (!node.perijoveFocus) continue;
    const again = node.querySelector(`[data-act="${node.perijoveFocus}"]`) || node.querySelector("a, button");
    delete node.perijoveFocus;
    again?.focus({ preventScroll: true });
  }
}

function focusIn(node) {
  const active = document.activeElement;
  return active && node.contains(active) ? active.dataset.act || "any" : "";
}

let skew = 0;
/** The server's clock, from the Date of its answers. */
export function learnTime(date) {
  const at = Date.parse(date || "");
  if (at) skew = Math.abs(at - Date.now()) > 3000 ? at - Date.now() : 0;
}
export const now = () => Date.now() + skew;

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 900) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  const minutes = Math.round(s / 60);
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.round(minutes / 1440)} days`;
}

export function clock(iso) {
  const at = new Date(iso);
  const sameDay = at.toDateString() === new Date(now()).toDateString();
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return sameDay ? time : `${at.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

/** Two decimals, four for what is less than one: a minute of a small share is worth showing. Cut off,
 * not rounded: nobody has more left than is said. */
export const credits = (text) => Number(text).toLocaleString([], { minimumFractionDigits: 2, maximumFractionDigits: Math.abs(text) < 1 ? 4 : 2, roundingMode: "trunc" });
export const gib = (mib) => (mib % 1024 === 0 ? mib / 1024 : (mib / 1024).toFixed(1)) + "\u00a0GiB";
export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : "");

export const DIMENSIONS = { gpu: "GPU", cpu: "CPU", memory: "Memory", workloads: "Running at once", credits: "Credits", "gpu-hours": "GPU-hours", tokens: "Tokens" };

export function gpu(milli) {
  if (!milli) return "CPU only";
  if (milli % 1000 === 0) return milli === 1000 ? "1 GPU" : `${milli / 1000} GPUs`;
  return 1000 % milli === 0 ? `1/${1000 / milli} GPU` : `${milli / 1000} GPU`;
}

/** What counts by the second: <b data-until="ISO"> and <b data-cost …>. */
export function tick(root = document) {
  for (const node of root.querySelectorAll("[data-until]")) {
    const left = (Date.parse(node.dataset.until) - now()) / 1000;
    node.textContent = left > 0 ? span(left) : "ending";
    node.parentElement.classList.toggle("hot", left < 300 && "hotly" in node.dataset);
  }
  for (const node of root.querySelectorAll("[data-cost]")) {
    const hours = (now() - Number(node.dataset.at)) / 3600000;
    node.textContent = credits(Number(node.dataset.cost) + Number(node.dataset.rate) * hours);
  }
}
setInterval(tick, 1000);

export function toast(message, next = "", bad = false) {
  const box = h(`div.toast${bad ? ".bad" : ""}`, null,
    h("div", null, h("p", null, h("strong", null, sentence(message))), next ? h("p", null, sentence(next)) : null),
    h("button", { type: "button", "aria-label": "Close this message", onclick: () => box.remove() }, "×"));
  $("toasts").append(box);
  setTimeout(() => box.remove(), bad ? 15000 : 6000);
}

/** A question with one dangerous or decisive answer. Resolves to true or false. */
export function confirmed(title, text, action, danger = true) {
  return new Promise((resolve) => {
    const done = (answer) => { box.close(); box.remove(); resolve(answer); };
    const box = h("dialog", { "aria-labelledby": "ask-title", oncancel: () => done(false) },
      h("h2", { id: "ask-title" }, title), h("p.muted", null, text),
      h("div.acts", null,
        h("button.button", { type: "button", onclick: () => done(false) }, "Cancel"),
        h(`button.button.${danger ? "danger" : "primary"}`, { type: "button", onclick: () => done(true) }, action)));
    document.body.append(box);
    box.showModal();
  });
}

/** A form in a dialog. `fields` are {name, label, type?, options?, value?}, options words or
 * [value, words]; resolves to values or null. */
export function asked(title, text, fields, action) {
  return new Promise((resolve) => {
    const done = (answer) => { box.close(); box.remove(); resolve(answer); };
    const inputs = fields.map((f) => f.options
      ? h("select", { name: f.name }, f.options.map((o) => [o].flat()).map(([value, words = value]) => h("option", { value, selected: value === f.value }, words)))
      : h("input", { name: f.name, type: f.type || "text", value: f.value || "", required: f.required, placeholder: f.placeholder || "", autocomplete: "off" }));
    const form = h("form", { onsubmit: (event) => { event.preventDefault(); done(Object.fromEntries(new FormData(form))); } },
      h("h2", { id: "ask-title" }, title), h("p.muted", null, text),
      fields.map((f, i) => h("label.field", null, f.label, inputs[i])),
      h("div.acts", null,
        h("button.button", { type: "button", onclick: () => done(null) }, "Cancel"),
        h("button.button.primary", { type: "submit" }, action)));
    const box = h("dialog", { "aria-labelledby": "ask-title", oncancel: () => done(null) }, form);
    document.body.append(box);
    box.showModal();
  });
}

/** One fixed bar: `part` from 0 to 1. */
export function track(part, label) {
  const fill = h(`i${part >= 1 ? ".full" : part >= 0.8 ? ".high" : ""}`);
  fill.style.width = `${Math.min(100, Math.max(0, part * 100))}%`;
  return h("div.track", label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }, fill);
}

/** The share of a device as a ring of eight pieces; a chip for work without one. */
export function ring(share) {
  const box = svg("svg", { viewBox: "0 0 56 56", class: "ring", "aria-hidden": "true" });
  if (!share.milli) {
    box.append(svg("rect", { x: 15, y: 15, width: 26, height: 26, rx: 6, "stroke-width": 3, class: "chip" }),
      svg("path", { d: "M22 8v6M34 8v6M22 42v6M34 42v6M8 22h6M8 34h6M42 22h6M42 34h6", "stroke-width": 3 }),
      svg("text", { x: 28, y: 32 }, "CPU"));
    for (const node of box.querySelectorAll("rect, path")) node.style.strokeWidth = 3;
    box.querySelector("text").style.fontSize = "10px";
    return box;
  }
  const around = 2 * Math.PI * 22;
  const piece = around / 8;
  const full = Math.min(1, share.milli / 1000);
  const circle = (cls, dashes) => svg("circle", { cx: 28, cy: 28, r: 22, class: cls, transform: "rotate(-90 28 28)", "stroke-dasharray": dashes });
  box.append(circle("whole", `${piece - 2.5} 2.5`));
  const held = Math.max(1, Math.round(full * 8));
  const dashes = Array.from({ length: held }, () => `${piece - 2.5} 2.5`).join(" ");
  box.append(circle("held", `${dashes} 0 ${around}`));
  box.append(svg("text", { x: 28, y: 32.5 }, share.milli > 1000 ? `${share.milli / 1000}` : gpu(share.milli).split(" ")[0]));
  return box;
}
