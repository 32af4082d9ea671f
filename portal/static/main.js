// Which page this is. Each is its own document: the shell is small and its assets are cached.
import { coursesLink, visitRequests } from "./courses.js";
import { prefix } from "./dom.js";
import { launchPage } from "./frames.js";
import { header } from "./header.js";
import { menuPage, mine, workloadsPage } from "./menu.js";
import { reservationsPage } from "./reservations.js";
import { begin } from "./store.js";
import { usagePage } from "./usage.js";
import { workloadPage } from "./workload.js";

const [page = "", id, part] = location.pathname.slice(prefix.length).split("/");
header();
coursesLink();
visitRequests();
import("./kept.js").then((kept) => kept.keep(() => mine().length), () => { /* the next page is a first one */ });
if (page === "workloads" && id) workloadPage(decodeURIComponent(id));
else if (page === "courses" || page === "join") {
  // Fetched only here: nobody else waits for them.
  import("./course-pages.js").then((pages) => pages.show(page, decodeURIComponent(id || ""), part || ""));
} else if (page === "people") {
  import("./people.js").then((pages) => pages.peoplePage());
} else if (page === "inventory") {
  import("./inventory.js").then((pages) => pages.inventoryPage());
} else if (page === "console") {
  import("./desk.js").then((pages) => pages.consolePage());
} else ({ "": menuPage, workloads: workloadsPage, launch: launchPage, usage: usagePage, reservations: reservationsPage }[page])?.();
begin();
