// The people of a course as one table. Fresh rows replace old ones in place: what is chosen, where
// the page is scrolled to and what has the focus stay.
const WORDS = { running: "Running", starting: "Starting", stopping: "Stopping", queued: "Waiting", offered: "Its turn", away: "Away" };
const ORDER = ["running", "starting", "offered", "queued", "stopping", "away"];

function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function ago(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return "just now";
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

function left(iso) {
  if (!iso) return "";
  const minutes = Math.round((Date.parse(iso) - Date.now()) / 60000);
  if (minutes <= 0) return "ending";
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

// Cut off, not rounded, as everywhere: nobody has more left than is said.
const credits = (text) => Number(text).toLocaleString([], { minimumFractionDigits: 2, maximumFractionDigits: 2, roundingMode: "trunc" });
const clock = (iso) => new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const gpu = (share) => (!share ? "" : !share.milli ? "CPU only" : share.milli % 1000 === 0 ? `${share.milli / 1000} GPU` : 1000 % share.milli === 0 ? `1/${1000 / share.milli} GPU` : `${share.milli / 1000} GPU`);

function why(one) {
  if (one.status !== "queued") return one.reason || "";
  const parts = [one.position ? `No. ${one.position} in the queue` : "", one.starts_at ? `about ${clock(one.starts_at)}` : "", one.reason];
  return parts.filter(Boolean).join(", ");
}

function used(one) {
  const parts = [];
  if (one.gpu_use !== null && one.gpu_use !== undefined) parts.push(`GPU ${one.gpu_use} %`);
  if (one.memory_mib) parts.push(`${(one.memory_mib / 1024).toFixed(1)} of ${(one.memory_limit_mib / 1024).toFixed(1)} GiB`);
  return parts.join(", ");
}

export function render({ model, el }) {
  const chosen = new Set(model.chosen);
  const rows = new Map();
  const body = make("tbody");
  const count = make("span", { class: "muted", role: "status" });
  const find = make("input", { type: "search", id: "find", placeholder: "Name", oninput: draw });
  const state = make("select", { id: "state", onchange: draw }, make("option", { value: "" }, "Everybody"), ...ORDER.map((one) => make("option", { value: one }, WORDS[one])));
  const all = make("input", { type: "checkbox", "aria-label": "Choose everybody who is shown", onchange: () => { for (const one of shown()) choose(one.login, all.checked); tell(); } });
  const head = ["Name", "State", "Share", "In use", "Idle", "Time left", "Credits", ""];
  const table = make("table", {}, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, all), ...head.map((name) => make("th", { scope: "col" }, name)))), body);
  const group = make("select", { id: "group", onchange: draw });
  const groupBox = make("label", { for: "group" }, "Group", group);

  const shown = () => {
    const text = find.value.trim().toLowerCase();
    return model.rows.filter((one) => (!text || `${one.name} ${one.login}`.toLowerCase().includes(text)) && (!state.value || one.status === state.value) && (!group.value || one.group === group.value));
  };
  const choose = (login, yes) => { if (yes) chosen.add(login); else chosen.delete(login); };
  function tell() {
    model.chosen = [...chosen];
    for (const [login, { box }] of rows) box.checked = chosen.has(login);
    counted(shown());
  }
  function counted(list) {
    const here = list.filter((one) => chosen.has(one.login)).length;
    all.checked = Boolean(list.length) && here === list.length;
    all.indeterminate = here > 0 && here < list.length;
    count.textContent = chosen.size ? `${chosen.size} chosen` : `${list.length} shown`;
  }
  /** The cells of one person; only what changed is written, so a focused button stays where it is. */
  function line(one) {
    let known = rows.get(one.login);
    if (!known) {
      const name = one.name || one.login;
      const box = make("input", { type: "checkbox", "aria-label": `Choose ${name}`, onchange: () => { choose(one.login, box.checked); tell(); } });
      const cells = Array.from({ length: 7 }, () => make("td"));
      const ask = make("button", { type: "button", "aria-label": `Ask to open the server of ${name}`, onclick: () => model.send_msg({ ask: one.login }) }, "Ask to open");
      known = { box, cells, ask, prints: [], node: make("tr", {}, make("td", {}, box), ...cells, make("td", { class: "right" }, ask)) };
      rows.set(one.login, known);
    }
    const tag = (text) => make("span", { class: "tag" }, text);
    const contents = [
      () => [make("strong", {}, one.name || one.login), one.role === "member" ? null : tag(one.role), one.group_name ? tag(one.group_name) : null],
      () => [make("span", { class: `state ${one.status}` }, WORDS[one.status] || one.status), make("div", { class: "muted" }, why(one))],
      () => [gpu(one.share), one.share?.emulated ? make("div", { class: "muted" }, "emulated") : null],
      () => [used(one)], () => [one.status === "running" ? ago(one.idle_s) : ""], () => [one.status === "running" ? left(one.lease_ends_at) : ""],
      () => [one.role === "member" ? credits(one.credits) : "", one.attended ? make("div", { class: "good" }, "was here") : null],
    ];
    const prints = [[one.name, one.role, one.group_name], [one.status, why(one)], [gpu(one.share), one.share?.emulated], used(one), [one.status, ago(one.idle_s)], [one.status, left(one.lease_ends_at)], [one.credits, one.attended]].map((print) => JSON.stringify(print));
    prints.forEach((print, i) => { if (print !== known.prints[i]) known.cells[i].replaceChildren(...contents[i]().filter(Boolean)); });
    known.prints = prints;
    known.box.checked = chosen.has(one.login);
    known.ask.hidden = one.status !== "running" || one.role !== "member" || !model.may_visit;
    return known.node;
  }
  function groups() {
    const known = new Map(model.rows.filter((one) => one.group).map((one) => [one.group, one.group_name]));
    groupBox.hidden = !known.size;
    if (group.options.length === known.size + 1) return;
    const before = group.value;
    group.replaceChildren(make("option", { value: "" }, "Every group"), ...[...known].map(([id, name]) => make("option", { value: id }, name || id)));
    group.value = before;
  }
  function draw() {
    const logins = new Set(model.rows.map((one) => one.login));
    for (const login of [...rows.keys()]) if (!logins.has(login)) { rows.delete(login); chosen.delete(login); }
    groups();
    const list = shown();
    const nodes = list.map(line);
    if (nodes.length !== body.children.length || nodes.some((node, i) => node !== body.children[i])) {
      const focus = el.getRootNode().activeElement;
      body.replaceChildren(...nodes);
      if (focus && body.contains(focus)) focus.focus({ preventScroll: true });
    }
    if (!nodes.length) body.append(make("tr", {}, make("td", { colspan: 9, class: "muted" }, model.rows.length ? "Nobody like this." : "Nobody is in this course yet.")));
    counted(list);
  }
  model.on("rows", draw);
  model.on("may_visit", draw);
  model.on("chosen", () => {
    if (model.chosen.length === chosen.size && model.chosen.every((login) => chosen.has(login))) return;
    chosen.clear();
    model.chosen.forEach((login) => chosen.add(login));
    draw();
  });
  draw();
  return make("div", { class: "room" }, make("div", { class: "filters" }, make("label", { for: "find" }, "Find", find), make("label", { for: "state" }, "State", state), groupBox, count), make("div", { class: "scroll" }, table));
}
