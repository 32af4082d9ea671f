// A Panel page in a frame of the shell: as tall as what it holds, opened only when it is needed.
import { $, h, prefix } from "./dom.js";

/** Waits until Panel is up, then opens the frame. The frame may ask to go to pages of ours only. */
export function frame(path, title) {
  const box = h("div", { "aria-busy": "true" }, h("p.frame-wait", { role: "status" }, "Opening…"));
  (async () => {
    for (let attempt = 0; attempt < 60; attempt += 1) {
      try { if ((await fetch(`${prefix}panels/static/js/bokeh.min.js`, { method: "HEAD" })).ok) break; } catch { /* once more */ }
      await new Promise((go) => setTimeout(go, 500));
    }
    const inner = h("iframe", { src: prefix + path, title });
    inner.addEventListener("load", () => {
      const root = inner.contentDocument?.querySelector("main");
      if (!root) return;
      const fit = () => { inner.style.height = `${Math.max(120, Math.ceil(root.getBoundingClientRect().height) + 8)}px`; };
      new ResizeObserver(fit).observe(root);
      fit();
      box.querySelector(".frame-wait")?.remove();
      box.removeAttribute("aria-busy");
    });
    box.append(inner);
    addEventListener("message", (event) => {
      if (event.source !== inner.contentWindow || event.origin !== location.origin) return;
      const to = event.data?.perijove;
      if (typeof to === "string" && /^(launch\?offer=|workloads\/)[\w.%-]+$/.test(to)) location.assign(prefix + to);
    });
  })();
  return box;
}

export function launchPage() {
  const offer = new URLSearchParams(location.search).get("offer") || "";
  $("main").replaceChildren(
    h("div.page-head", null, h("div", null, h("h1", null, "Customise and launch"), h("p", null, h("a", { href: prefix }, "Back to the menu")))),
    h("div.card", null, frame(`panels/launch?offer=${encodeURIComponent(offer)}`, "Launch form")));
}
