// The REST API through the portal: one error shape, one retry rule, one event stream.
import { $, h, learnTime, prefix, sentence, toast } from "./dom.js";

const base = `${prefix}api/v1/`;
const MARK = { "X-Perijove-Page": "1" };

export class ApiError extends Error {
  constructor(error, status) {
    super(error.message);
    Object.assign(this, { code: error.code, next: error.next || "", verdict: error.verdict, status });
  }
}

function reachable(yes) {
  const box = $("trouble");
  box.hidden = yes;
  if (!yes && !box.textContent) box.textContent = "Perijove does not answer right now. What runs keeps running; this page tries again by itself.";
}

/** Raises ApiError. A 401 leads through the sign-in and back here. */
export async function api(path, { method = "GET", body, key } = {}) {
  let answer;
  try {
    answer = await fetch(base + path, {
      method, cache: "no-store",
      headers: { ...MARK, ...(body ? { "Content-Type": "application/json" } : {}), ...(key ? { "Idempotency-Key": key } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch {
    reachable(false);
    throw new ApiError({ code: "offline", message: "Perijove cannot be reached", next: "check your connection; this page tries again by itself" }, 0);
  }
  learnTime(answer.headers.get("Date"));
  if (answer.status === 401) { signIn(); await new Promise(() => {}); }
  reachable(answer.status !== 503);
  if (answer.status === 204) return null;
  let data = null;
  try { data = await answer.json(); } catch { /* not JSON: said below */ }
  if (answer.ok && data !== null) return data;
  if (data?.error?.code === "account-closed") { shut(data.error); await new Promise(() => {}); }
  throw new ApiError(data?.error || { code: "error", message: `The service gave an answer that makes no sense (${answer.status})`, next: "try again; if it stays, tell your administrator" }, answer.status);
}

/** The account is closed: no part of the page works any more, so the page says that and nothing else.
 * Signing out first lets the sign-in ask the provider anew; signed in as before, it would lead back here. */
function shut(error) {
  if ($("shut")) return;
  for (const node of [document.querySelector(".main-nav"), document.querySelector(".tools"), $("meter"), $("endings")]) node.hidden = true;
  $("main").replaceChildren(h("div.blank", { id: "shut", role: "alert" }, h("h1", null, sentence(error.message)), h("p", null, `${sentence(error.next || "ask your administrator")}.`),
    h("form", { method: "post", action: `${prefix}sign-out` }, h("button.button.primary", { type: "submit" }, "Go to the sign-in"))));
}

export function signIn() {
  location.assign(`${prefix}sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

export const post = (path, body = {}, key) => api(path, { method: "POST", body, key });

/** A POST that may be repeated by us: the same key makes nothing twice. */
export async function postOnce(path, body) {
  const key = crypto.randomUUID ? crypto.randomUUID() : [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  for (let attempt = 0; ; attempt += 1) {
    try { return await post(path, body, key); } catch (error) {
      if (![0, 503].includes(error.status) || attempt >= 4) throw error;
      await new Promise((go) => setTimeout(go, 400 * 2 ** attempt));
    }
  }
}

/** Saves an answer as a file. Raises ApiError. */
export async function download(path, name, method = "GET") {
  let answer;
  try { answer = await fetch(base + path, { method, headers: MARK, cache: "no-store" }); } catch {
    throw new ApiError({ code: "offline", message: "Perijove cannot be reached", next: "check your connection and try again" }, 0);
  }
  if (answer.status === 401) { signIn(); await new Promise(() => {}); }
  if (!answer.ok) {
    const data = await answer.json().catch(() => null);
    throw new ApiError(data?.error || { code: "error", message: `The file was not made (${answer.status})`, next: "try again; if it stays, tell your administrator" }, answer.status);
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

export const tellError = (error) => { toast(error.message, error.next, true); };

/** Server-sent events by fetch, because they need our header. Ends when the server ends it. What changes
 * after `onOpen` was called is told. */
export async function events(path, onEvent, onOpen = () => {}) {
  const answer = await fetch(base + path, { headers: { ...MARK, Accept: "text/event-stream" }, cache: "no-store" });
  if (answer.status === 401) signIn();
  if (!answer.ok || !answer.body) throw new Error(`stream: ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let open = false;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    if (!open) { open = true; onOpen(); } // the server says hello: from here on it listens
    const blocks = (rest + value.replaceAll("\r", "")).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const data = lines.filter((l) => l.startsWith("data:")).map((l) => l.slice(5).trim()).join("\n");
      const name = lines.find((l) => l.startsWith("event:"))?.slice(6).trim() || "message";
      if (data) onEvent(name, data);
    }
  }
}
