// Before the first paint: the theme that was chosen here, else the system's; and the room of what stood
// on the page last time (kept.js), so that what comes with the answers moves nothing.
(() => {
  const root = document.documentElement;
  const read = (key) => { try { return localStorage.getItem(key); } catch { return null; /* no storage */ } };
  const apply = () => {
    const chosen = read("perijove-theme") || "system";
    if (chosen === "system") delete root.dataset.theme;
    else root.dataset.theme = chosen;
  };
  apply();
  addEventListener("storage", apply);
  try {
    const { width, on, rooms } = JSON.parse(read("perijove-kept"));
    root.classList.add(...on);
    if (Math.abs(width - innerWidth) > 60) return;
    for (const [part, { height }] of Object.entries(rooms)) root.style.setProperty(`--room-${part}`, `${height}px`);
  } catch { /* a first visit */ }
})();
