/** Owns the terminal view: which terminals are open in this page, which one is shown, and what the server says to each. */

import { Refused } from "../shared/api.js";
import { closed, dialog, openDialog } from "../shared/dialog.js";
import { named } from "../shared/elements.js";
import { withSocket } from "../shared/live.js";
import { onLanguage, t } from "../shared/messages.js";
import { reload } from "../shared/store.js";
import { complain, say } from "../shared/toasts.js";
import { showView } from "../shared/views.js";
import { loadLibraries } from "./libraries.js";
import { showAddress, showLogin } from "./login.js";
import { Pane } from "./pane.js";
import { wireTools } from "./tools.js";

/** @typedef {import("./pane.js").Wish} Wish */
/** @typedef {import("../shared/live.js").Socket} Socket */

const view = /** @type {HTMLElement} */ (document.querySelector("[data-view='terminals']"));
const tabs = named(view, "tabs");
const panesPlace = named(view, "panes");
const pageTitle = document.title;
/** @type {Pane[]} */
let panes = [];
/** @type {Pane | null} */
let current = null;
/** @type {Socket | null} */
let socket = null;
/** @type {import("./libraries.js").Libraries} */
let libraries;

/** Open a terminal for what is wished and show it. @param {Wish} wish @param {string} vendor */
export async function openTerminal(wish, vendor) {
  const known = wish.terminalId && panes.find((pane) => pane.id === wish.terminalId);
  showView("terminals");
  if (known) return choose(known);
  try {
    libraries = await loadLibraries(vendor);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    showView("dashboard");
    return complain(new Refused(0, { error: t("terminal_libraries") }, 0));
  }
  wireOnce();
  withSocket((connected) => {
    socket ??= listenTo(connected);
    const pane = new Pane(wish, socket, libraries, { changed: onChange, chosen: choose, closed: close });
    panes.push(pane);
    tabs.append(pane.tab);
    panesPlace.append(pane.element);
    choose(pane);
    pane.begin();
  });
}

/** Ask what shall become of the terminal that is shown. */
export async function closeCurrent() {
  if (!current || view.hidden) return;
  if (current.ended || !current.id) return close(current);
  const pane = current;
  const element = openDialog("close-terminal");
  named(element, "close-text").textContent = t("close_terminal_text", { name: pane.name });
  const answer = await closed(element);
  if (answer === "detach") {
    pane.detach();
    close(pane);
  } else if (answer === "stop") {
    pane.stop();
    close(pane);
  } else pane.screen?.focus();
}

/** Leave the view; the terminals stay open behind it. */
export function showDashboard() {
  if (document.fullscreenElement) void document.exitFullscreen();
  showView("dashboard");
  history.replaceState(null, "", location.pathname);
}

let wired = false;
function wireOnce() {
  if (wired) return;
  wired = true;
  named(view, "to-dashboard").addEventListener("click", showDashboard);
  named(view, "close-terminal").addEventListener("click", () => void closeCurrent());
  tabs.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !current) return;
    const next = panes.at((panes.indexOf(current) + step) % panes.length);
    if (next) choose(next, false);
    next?.tab.focus();
  });
  wireTools(view, () => current?.screen ?? null);
  onLanguage(() => {
    for (const pane of panes) pane.show();
  });
  for (const button of dialog("close-terminal").querySelectorAll("button[value]")) {
    button.addEventListener("click", () => dialog("close-terminal").close(/** @type {HTMLButtonElement} */ (button).value));
  }
}

/** @param {Pane} pane @param {boolean} [focus] */
function choose(pane, focus = true) {
  current = pane;
  for (const other of panes) {
    const shown = other === pane;
    other.tab.setAttribute("aria-selected", String(shown));
    other.tab.tabIndex = shown ? 0 : -1;
    other.element.hidden = !shown;
  }
  pane.tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  pane.screen?.fit();
  if (focus) pane.screen?.focus();
  if (pane.attention) pane.setAttention(null);
  remember();
}

/** Take the pane off the page; the last one gives the dashboard back. @param {Pane} pane */
function close(pane) {
  const place = panes.indexOf(pane);
  if (place < 0) return;
  panes = panes.filter((other) => other !== pane);
  pane.remove();
  onChange();
  const next = panes[Math.min(place, panes.length - 1)];
  if (next) return choose(next);
  current = null;
  showDashboard();
}

/** A reload of the page comes back to the terminal that was shown. */
function remember() {
  history.replaceState(null, "", current?.id && !view.hidden ? `#terminal=${encodeURIComponent(current.id)}` : location.pathname);
}

/** Say in the title of the page how many terminals wait for the reader. */
function onChange() {
  const waiting = panes.filter((pane) => pane.attention && !pane.ended).length;
  document.title = waiting ? `(${waiting}) ${pageTitle}` : pageTitle;
  if (navigator.setAppBadge) void (waiting ? navigator.setAppBadge(waiting) : navigator.clearAppBadge()).catch(() => undefined);
}

/** @param {Socket} connected */
function listenTo(connected) {
  /** @param {string} event @param {(pane: Pane, payload: any) => void} heard */
  const on = (event, heard) => {
    connected.on(event, (payload) => {
      const pane = panes.find((one) => (payload.request ? one.request === payload.request : one.id === payload.terminal_id));
      if (pane) heard(pane, payload);
    });
  };
  connected.on("connect", () => {
    for (const pane of panes) {
      pane.screen?.setLive(true);
      pane.attach();
    }
  });
  connected.on("disconnect", () => {
    for (const pane of panes) pane.screen?.setLive(false);
  });
  on("terminal_started", onStarted);
  on("terminal_attached", onAttached);
  on("terminal_output", onOutput);
  on("terminal_exit", onExit);
  on("terminal_error", onError);
  on("terminal_title", (pane, { title }) => {
    pane.title = title;
    pane.show();
  });
  on("terminal_attention", onAttention);
  on("terminal_resized", (pane, size) => pane.screen?.resized(size));
  on("terminal_viewers", (pane, { viewers }) => {
    pane.viewers = viewers;
    pane.show();
  });
  on("login_url", (pane, { url }) => showAddress(pane, url));
  on("login_complete", (pane, login) => {
    say(t("login_complete", { name: pane.name, who: login.email || pane.name }));
    void reload().catch(complain);
    close(pane);
  });
  return connected;
}

/** @param {Pane} pane @param {any} started */
function onStarted(pane, started) {
  pane.id = started.terminal_id;
  pane.cwd = started.cwd ?? "";
  pane.title = started.title ?? "";
  pane.show();
  // What was told of the size before the terminal had a name was told to nobody.
  pane.screen?.tell(true);
  for (const notice of started.notices ?? []) say(notice);
  if (pane === current) remember();
}

/** @param {Pane} pane @param {any} attached */
function onAttached(pane, attached) {
  pane.name = attached.account ?? pane.name;
  pane.wish.accountId = attached.account_id ?? pane.wish.accountId;
  pane.wish.cwd ??= attached.cwd;
  pane.cwd = attached.cwd ?? "";
  pane.title = attached.title ?? "";
  pane.screen?.replay(attached.offset, attached.end);
  pane.setAttention(pane === current ? null : attached.attention ?? null);
  if (attached.login && !pane.wish.login) {
    pane.wish.login = true;
    showLogin(pane);
  }
  if (attached.ended) endWith(pane, attached.exit_code, null);
  if (pane === current) remember();
}

/** @param {Pane} pane @param {{data: ArrayBuffer | string, offset: number, gap?: number, state?: boolean}} output */
function onOutput(pane, output) {
  if (output.gap) pane.screen?.restart(output.offset);
  const data = typeof output.data === "string" ? new TextEncoder().encode(output.data) : new Uint8Array(output.data);
  if (output.state) pane.screen?.restore(data);
  else pane.screen?.write(data, output.offset);
}

/** @param {Pane} pane @param {{exit_code: number | null, signal?: number | null}} exit */
function onExit(pane, exit) {
  endWith(pane, exit.exit_code, exit.signal ?? null);
}

/** @param {Pane} pane @param {number | null} code @param {number | null} signal */
function endWith(pane, code, signal) {
  // Why it failed says more than how it ended.
  if (pane.failed) return;
  const words = signal ? t("ended_signal", { signal }) : t("ended_code", { code: code ?? "?" });
  pane.end(pane.wish.login ? t("login_ended") : words, { restart: true });
}

/** @param {Pane} pane @param {{error: string, hint?: string, code?: string}} answer */
function onError(pane, { error, hint = "", code = "" }) {
  const sentence = error.charAt(0).toUpperCase() + error.slice(1);
  // An error after the start (too much typed at once, say) does not end the terminal; a sign-in that failed is over.
  if (pane.id && !pane.wish.login && code !== "no_terminal") return complain(new Refused(0, { error, hint }, 0));
  pane.failed = true;
  pane.elsewhere = code === "bound_elsewhere";
  pane.end(sentence, { restart: true, hint, force: ["rival_credential", "conflict", "bound_elsewhere"].includes(code) });
}

/** @param {Pane} pane @param {{kind: string, title: string, body: string}} attention */
function onAttention(pane, attention) {
  const seen = pane === current && !view.hidden && document.hasFocus();
  pane.setAttention(seen ? null : attention);
  if (!attention.kind || seen || !("Notification" in window) || Notification.permission !== "granted") return;
  const notification = new Notification(`${pane.name}: ${attention.title || t("tab_attention")}`, { body: attention.body, tag: pane.id });
  notification.addEventListener("click", () => {
    window.focus();
    showView("terminals");
    choose(pane);
    notification.close();
  });
}

