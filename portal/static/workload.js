// One workload's own page: progress, history, log, cost, share and what can be done.
import { api, events } from "./api.js";
import { $, clock, credits, gib, gpu, h, keyed, prefix, sentence, tick } from "./dom.js";
import { LIVE, announce, follow, goBack, job, withStanding } from "./job.js";
import { known, watch } from "./store.js";

export function workloadPage(id) {
  const list = h("ul.plain");
  const history = h("ol.history.plain");
  const log = h("pre.log", { tabindex: 0, "aria-label": "The end of the log" }, "…");
  const title = h("h1", null, "…");
  const share = h("div.pairs");
  const seen = [];
  const gone = (error) => $("main").replaceChildren(h("div.blank", { role: "alert" }, h("h1", null, error.message), h("p", null, sentence(error.next)), h("p", null, h("a.button.primary", { href: prefix }, "Go to the menu"))));
  $("main").replaceChildren(h("div.page-head", null, h("div", null, title, h("p", null, h("a", { href: `${prefix}workloads` }, "All my workloads")))), list,
    h("div.detail", null,
      h("section.card", { "aria-labelledby": "h-history" }, h("h2", { id: "h-history" }, "History"), history),
      h("div.stack", null, h("section.card", { "aria-labelledby": "h-share" }, h("h2", { id: "h-share" }, "Size and price"), share),
        h("section.card", { "aria-labelledby": "h-log" }, h("h2", { id: "h-log" }, "Log"), log))));

  let first = true;
  async function show() {
    let w = (known.workloads || []).find((one) => one.id === id);
    if (!w) {
      try { w = await api(`workloads/${id}`); } catch (error) { if (error.status === 404) gone(error); return; }
    }
    if (first && ["queued", "offered", "starting"].includes(w.status)) follow(id);
    if (first || !LIVE.includes(w.status)) readLog();
    first = false;
    title.textContent = w.name;
    document.title = `${w.name} · Perijove`;
    keyed(list, [withStanding(w)], (one) => one.id, (one) => job(one, true));
    const fact = (label, value) => h("div", null, h("strong", null, value), label);
    share.replaceChildren(fact(w.share.emulated ? "of an emulated device" : w.share.model || "share", gpu(w.share.milli)),
      w.share.milli ? fact("GPU memory", gib(w.share.memory_mib)) : "", fact("CPU", w.cpu), fact("memory", gib(w.memory_mib)),
      fact("credits per hour", credits(w.price.per_hour)), Number(w.held) ? fact("credits held", credits(w.held)) : "",
      w.lease_ends_at ? fact("until", clock(w.lease_ends_at)) : "");
    tick(list);
    announce();
    goBack(w);
  }

  async function readLog() {
    try { log.textContent = (await api(`workloads/${id}/logs?tail=200`)).text || "Nothing was written yet."; } catch (error) { log.textContent = sentence(error.message); }
    log.scrollTop = log.scrollHeight;
  }

  async function readHistory() {
    for (let pause = 1000; ; pause = Math.min(pause * 2, 15000)) {
      let ended = false;
      try {
        await events(`workloads/${id}/events`, (name, data) => {
          if (name === "end") { ended = true; return; }
          const event = JSON.parse(data);
          if (event.id === undefined || seen.some((one) => one.id === event.id)) return;
          seen.push(event);
          keyed(history, seen, (e) => e.id, (e) => h("li", null, h("time", { datetime: e.at }, new Date(e.at).toLocaleTimeString()), h("span", null, sentence(e.text))));
        });
      } catch { /* once more below */ }
      if (ended) return;
      await new Promise((go) => setTimeout(go, pause));
    }
  }

  watch((kind) => { if (kind === "workloads" || (kind === "me" && known.workloads)) show(); });
  readHistory();
  setInterval(() => { if (!document.hidden && (known.workloads || []).some((w) => w.id === id && ["starting", "running"].includes(w.status))) readLog(); }, 5000);
}
