// The quota desk: a tree of tenants whose limits are edited in their cells. It only shows and asks:
// the server finds, sorts, pages, judges and keeps.
const NAMES = { gpu: "GPU", cpu: "CPU", memory: "Memory", workloads: "Running at once", "gpu-hours": "GPU-hours", credits: "Credits", tokens: "Tokens", storage: "Storage" };
const HINTS = { gpu: "1/2, 4", cpu: "8", memory: "32Gi", workloads: "5", "gpu-hours": "100", credits: "500", tokens: "1000000", storage: "50Gi" };
const GUARANTEED = ["gpu", "cpu", "memory"];
const USED_UP = ["gpu-hours", "credits", "tokens"];

function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const trim = (number, places) => String(Number(number.toFixed(places)));

function amount(dimension, number) {
  if (dimension === "gpu" || dimension === "cpu") return trim(number / 1000, 3);
  if (dimension === "memory" || dimension === "storage") return `${trim(number / 2 ** 30, 1)} GiB`;
  if (dimension === "gpu-hours") return trim(number / 3600000, 2);
  if (dimension === "credits") return trim(number / 1e6, 2);
  return number.toLocaleString();
}

export function render({ model, el }) {
  const send = (act, more = {}) => model.send_msg({ act, ...more });
  let editing = "";
  let at = 0;
  let touched = "";

  // ---- tools ----
  let typing;
  const find = make("input", { type: "search", id: "find", placeholder: "Name of a tenant", autocomplete: "off", oninput: () => {
    clearTimeout(typing);
    typing = setTimeout(() => send("search", { text: find.value }), 300);
  } });
  const which = make("select", { id: "which", onchange: () => send("dimension", { dimension: which.value }) },
    Object.entries(NAMES).map(([value, name]) => make("option", { value }, name)));
  const tools = make("div", { class: "tools" }, make("label", { for: "find" }, "Find", find), make("label", { for: "which" }, "Of what", which));
  const status = make("div", { role: "status", "aria-live": "polite" });
  const alertBox = make("div", { role: "alert" });

  /** Of an empty table: nothing has come yet, or there is nothing. Some tenant is there for everybody. */
  const none = (words) => (model.lines.length || find.value || model.trouble ? words : "Opening…");

  // ---- cells ----
  function cell(key, label, shown, written, may, put) {
    if (!may) return make("span", {}, shown);
    const open = make("button", { type: "button", class: "cell", "data-key": key, "aria-label": `${label}: ${shown}. Edit` }, shown);
    open.addEventListener("click", () => {
      editing = key;
      at = open.getBoundingClientRect().top - root.getBoundingClientRect().top;
      const input = make("input", { "data-key": key, "aria-label": label, maxlength: 20, placeholder: HINTS[model.dimension] || "", autocomplete: "off" });
      input.value = written;
      const back = () => { if (editing !== key) return; editing = ""; input.replaceWith(open); };
      input.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" && event.key !== "Enter") return;
        event.preventDefault(); // or the button that has the focus next would be pressed by it
        if (event.key === "Escape") { back(); open.focus(); return; }
        const value = input.value.trim();
        back();
        open.focus();
        if (value !== written) put(value);
      });
      input.addEventListener("blur", () => { const value = input.value.trim(); const was = editing === key; back(); if (was && value !== written) put(value); });
      open.replaceWith(input);
      input.focus();
      input.select();
    });
    return open;
  }

  const used = (d, c) => {
    if (c.used === null) return make("span", { class: "muted" }, "not measured");
    const most = c.limit ?? (c.guaranteed || null);
    const over = c.limit !== null && c.used > c.limit;
    const bar = most ? make("span", { class: "bar", "aria-hidden": "true" }, make("i", { class: c.used >= most ? "full" : null, style: `width:${Math.min(100, (100 * c.used) / most)}%` })) : null;
    return make("span", { class: over ? "over" : null }, amount(d, c.used), c.used_in ? ` this ${c.used_in}` : "", over ? " (over)" : "", bar);
  };

  const PERIODS = [["", "for good"], ["day", "a day"], ["week", "a week"], ["month", "a month"]];
  const period = (label, c, may, put) => {
    if (!may || c.limit === null) return make("span", { class: "muted" }, c.limit === null ? "" : PERIODS.find(([value]) => value === c.period)[1]);
    const select = make("select", { "aria-label": label, onchange: () => put(select.value) }, PERIODS.map(([value, name]) => make("option", { value }, name)));
    select.value = c.period;
    return select;
  };

  // ---- the tree ----
  function tell(tenant, change) {
    touched = tenant;
    send("edit", { tenant, ...change });
  }
  function row(line) {
    const d = model.dimension;
    if (line.more) {
      return make("tr", {}, make("td", { colspan: 7, style: `padding-left:${line.depth * 20 + 36}px` },
        make("button", { type: "button", "data-key": `more:${line.parent}`, onclick: () => send("more", { parent: line.parent, cursor: line.more }) }, "Show more")));
    }
    const c = line.dimensions[d];
    const edit = (field) => (value) => tell(line.tenant, {person: "", dimension: d, field, value, version: c.version, period: c.period });
    const turn = line.children && !line.flat
      ? make("button", { type: "button", class: "turn", "data-key": `turn:${line.tenant}`, "aria-expanded": String(line.open), "aria-label": `${line.open ? "Close" : "Open"} ${line.name}`, onclick: () => send(line.open ? "close" : "open", { tenant: line.tenant }) }, line.open ? "▾" : "▸")
      : make("span", { style: "display:inline-block;width:32px" });
    return make("tr", {},
      make("td", { class: "name", style: `padding-left:${line.depth * 20}px` }, turn, make("strong", {}, line.name),
        line.flat && line.path.length ? make("span", { class: "above" }, line.path.join(" › ")) : ""),
      GUARANTEED.includes(d) ? make("td", {}, cell(`${line.tenant}:guaranteed`, `Guaranteed, ${NAMES[d]} of ${line.name}`, c.guaranteed ? amount(d, c.guaranteed) : "–", c.guaranteed ? c.guaranteed_written : "", line.may_set, edit("guaranteed"))) : null,
      make("td", {}, cell(`${line.tenant}:limit`, `At most, ${NAMES[d]} of ${line.name}`, c.limit === null ? "no limit" : amount(d, c.limit), c.written, line.may_set, edit("limit"))),
      USED_UP.includes(d) ? make("td", {}, period(`Period, ${NAMES[d]} of ${line.name}`, c, line.may_set, edit("period"))) : null,
      make("td", {}, used(d, c)),
      GUARANTEED.includes(d) ? make("td", {}, c.borrowed ? make("span", { class: "tag", title: "Above its guarantee: it goes back when others need theirs" }, amount(d, c.borrowed)) : make("span", { class: "muted" }, "–")) : null,
      make("td", { class: "right" }, line.may_set_people ? make("button", { type: "button", "data-key": `people:${line.tenant}`, "aria-label": `People of ${line.name}`, onclick: () => send("people", { tenant: line.tenant, name: line.name }) }, "People") : ""));
  }

  const sortable = (key, name) => {
    const mine = model.sort.replace("-", "") === key;
    const next = model.sort === key ? `-${key}` : key;
    const order = mine ? (model.sort.startsWith("-") ? "descending" : "ascending") : null;
    return make("th", { scope: "col", "aria-sort": order },
      make("button", { type: "button", "data-key": `sort:${key}`, onclick: () => send("sort", { sort: next }) }, name, mine ? (order === "ascending" ? " ▲" : " ▼") : ""));
  };
  const tree = make("div", { class: "scroll" });
  /** A wide row below a tenant's own, for what belongs to it. */
  const wide = (node) => make("tr", {}, make("td", { class: "wide", colspan: 7 }, node));
  function rows(line) {
    const found = [row(line)];
    if (line.tenant && line.tenant === touched && done.childElementCount) found.push(wide(done));
    if (line.tenant && line.tenant === model.chosen.tenant) found.push(wide(people));
    return found;
  }
  const typingThere = () => people.contains(root.getRootNode().activeElement) && root.getRootNode().activeElement.tagName === "INPUT";
  function drawTree() {
    if (editing || typingThere()) return;
    root.insertBefore(done, alertBox); // unless a row takes it
    root.insertBefore(people, history);
    keepFocus(() => {
      const d = model.dimension;
      which.value = d;
      const held = !USED_UP.includes(d) && d !== "storage";
      tree.replaceChildren(make("table", {}, make("caption", {}, `${NAMES[d]} of tenants. Press a limit to change it.`),
        make("thead", {}, make("tr", {}, sortable("name", "Tenant"), GUARANTEED.includes(d) ? sortable("guaranteed", "Guaranteed") : null, sortable("limit", "At most"),
          USED_UP.includes(d) ? make("th", { scope: "col" }, "Per") : null, held ? sortable("used", "Used") : make("th", { scope: "col" }, "Used"),
          GUARANTEED.includes(d) ? sortable("borrowed", "Borrowed") : null, make("th", { scope: "col" }, ""))),
        make("tbody", {}, model.lines.length ? model.lines.flatMap(rows) : make("tr", {}, make("td", { colspan: 7, class: "muted" }, none("No tenant is called that."))))));
    });
  }

  // ---- limits of people ----
  const people = make("section", { "aria-label": "Limits of people", hidden: true });
  function drawPeople() {
    if (editing) return;
    people.hidden = !model.chosen.tenant;
    if (people.hidden) return;
    keepFocus(() => {
      const { tenant, name } = model.chosen;
      const search = make("input", { type: "search", "data-key": "find-person", "aria-label": "Find a person", placeholder: "Find a person", value: model.chosen.search || "", onchange: () => send("find-person", { text: search.value }) });
      const login = make("input", { "data-key": "login", maxlength: 60, placeholder: "login, or * for each", autocomplete: "off" });
      const limit = make("input", { "data-key": "new-limit", maxlength: 20, placeholder: HINTS[model.dimension], size: 8, autocomplete: "off" });
      const per = make("select", { "data-key": "new-period" }, PERIODS.map(([value, shown]) => make("option", { value }, shown)));
      const add = () => {
        if (!login.value.trim() || !limit.value.trim()) { (login.value.trim() ? limit : login).focus(); return; }
        at = people.getBoundingClientRect().top - root.getBoundingClientRect().top;
        tell(tenant, { person: login.value.trim(), dimension: model.dimension, field: "limit", value: limit.value.trim(), version: null, period: USED_UP.includes(model.dimension) ? per.value : "" });
      };
      const line = (one) => make("tr", {}, make("td", { class: "name" }, one.person === "*" ? make("em", {}, "each person") : one.person), make("td", {}, NAMES[one.dimension]),
        make("td", {}, cell(`p:${one.person}:${one.dimension}`, `At most, ${NAMES[one.dimension]} of ${one.person === "*" ? "each person" : one.person}`, one.text, "", true,
          (value) => tell(tenant, { person: one.person, dimension: one.dimension, field: "limit", value, version: one.version, period: one.period }))),
        make("td", { class: "right" }, make("button", { type: "button", "data-key": `rm:${one.person}:${one.dimension}`, "aria-label": `Remove the limit on ${NAMES[one.dimension]} of ${one.person}`, onclick: (event) => { at = event.target.getBoundingClientRect().top - root.getBoundingClientRect().top; tell(tenant, { person: one.person, dimension: one.dimension, field: "limit", value: "", version: one.version, period: "" }); } }, "Remove")));
      people.replaceChildren(make("div", { class: "over-it" }, make("h2", { tabindex: -1, "data-key": "people-head" }, `People of ${name}`), make("button", { type: "button", "data-key": "people-close", "aria-label": `Close people of ${name}`, onclick: () => send("people", { tenant: "", name: "" }) }, "Close")),
        make("p", { class: "muted" }, "What one person may have goes before what each may have; the nearest tenant's word counts."),
        make("div", { class: "tools" }, make("label", {}, "Find", search)),
        make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ["Person", "Of what", "At most", ""].map((n) => make("th", { scope: "col" }, n)))),
          make("tbody", {}, model.people.length ? model.people.map(line) : make("tr", {}, make("td", { colspan: 4, class: "muted" }, "Nothing is set here: what is set above holds."))))),
        make("div", { class: "tools", style: "margin-top:12px" }, make("label", {}, "Person", login), make("label", {}, `${NAMES[model.dimension]} at most`, limit),
          USED_UP.includes(model.dimension) ? make("label", {}, "Per", per) : null, make("button", { type: "button", "data-key": "add", onclick: add }, "Set a limit")));
    });
  }

  // ---- what was done ----
  const done = make("div", {});
  function drawDone() {
    const { text, ids } = model.done;
    done.replaceChildren();
    if (text) done.append(make("div", { class: "done" }, make("span", {}, text), ids?.length ? make("button", { type: "button", "data-key": "undo-last", onclick: () => send("undo", { ids }) }, "Undo") : null));
    status.textContent = text || "";
    drawTree();
  }
  const history = make("section", { "aria-label": "Changes of limits" });
  function drawHistory() {
    keepFocus(() => {
      const line = (one) => make("tr", {}, make("td", { class: "name" }, one.name), make("td", {}, `${one.before} → ${one.after}`), make("td", {}, one.by),
        make("td", {}, new Date(one.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })),
        make("td", { class: "right" }, one.undone_by ? make("span", { class: "muted" }, "taken back") : make("button", { type: "button", "data-key": `undo:${one.id}`, "aria-label": `Undo ${one.name}: ${one.before} → ${one.after}`, onclick: () => send("undo", { ids: [one.id] }) }, "Undo")));
      history.replaceChildren(make("h2", {}, "Changes"), make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ["Limit", "From what to what", "By", "When", ""].map((n) => make("th", { scope: "col" }, n)))),
        make("tbody", {}, model.history.length ? model.history.map(line) : make("tr", {}, make("td", { colspan: 5, class: "muted" }, none("None yet.")))))));
    });
  }

  // ---- preview ----
  const dialog = make("dialog", { "aria-labelledby": "preview-title", oncancel: (event) => { event.preventDefault(); send("discard"); } });
  function drawPreview() {
    const found = model.preview;
    if (!found.lines) { if (dialog.open) dialog.close(); return; }
    const told = [...found.problems.map((p) => `${p.message}: ${p.next}`), ...found.consequences.map((c) => c.text)];
    dialog.replaceChildren(make("h2", { id: "preview-title" }, found.refused ? "This cannot be kept" : "Change the limit?"),
      ...found.lines.map((one) => make("p", {}, make("strong", {}, one.name), `: ${one.before} → ${one.after}`)),
      told.length ? make("ul", {}, told.map((t) => make("li", {}, `${t[0].toUpperCase()}${t.slice(1)}.`))) : make("p", { class: "muted" }, "Nobody is over it, nothing has to wait longer, and nothing is stopped."),
      make("div", { class: "acts" }, found.refused ? null : make("button", { type: "button", class: "primary", onclick: () => send("apply") }, "Apply"),
        make("button", { type: "button", onclick: () => send("discard") }, found.refused ? "Close" : "Cancel")));
    dialog.style.top = `${Math.max(0, at - 20)}px`;
    if (!dialog.open) dialog.showModal();
    dialog.querySelector("button").focus();
  }

  function drawTrouble() {
    alertBox.replaceChildren(...(model.trouble ? [make("div", { class: "bad" }, model.trouble)] : []));
  }

  const root = make("div", { class: "desk" }, make("span", { style: "position:absolute;clip-path:inset(50%)" }, status), done, alertBox, tools, tree, people, history, dialog);
  function keepFocus(draw) {
    const key = root.getRootNode().activeElement?.dataset?.key;
    draw();
    if (key) root.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
  }
  el.append(root);
  for (const name of ["lines", "dimension", "sort"]) model.on(name, drawTree);
  for (const name of ["people", "chosen"]) model.on(name, drawPeople);
  model.on("chosen", drawTree);
  model.on("chosen", () => { if (model.chosen.fresh) people.querySelector("h2")?.focus(); });
  model.on("dimension", drawPeople);
  model.on("history", drawHistory);
  for (const name of ["lines", "trouble"]) model.on(name, () => { if (!model.history.length) drawHistory(); });
  model.on("trouble", () => { if (!model.lines.length) drawTree(); });
  model.on("preview", drawPreview);
  model.on("done", drawDone);
  model.on("trouble", drawTrouble);
  drawTree();
  drawPeople();
  drawDone();
  drawHistory();
  drawTrouble();
}
