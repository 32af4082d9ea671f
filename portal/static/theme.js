// Before the first paint: the theme that was chosen here, else the system's.
(() => {
  const apply = () => {
    let chosen = "system";
    try { chosen = localStorage.getItem("perijove-theme") || "system"; } catch { /* no storage */ }
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
  };
  apply();
  addEventListener("storage", apply);
})();
