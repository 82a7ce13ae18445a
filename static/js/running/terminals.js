/** Owns the list of terminals that run on the server, with or without a page that looks at them. */

import { request } from "../shared/api.js";
import { copyOf, named, setHue, setText } from "../shared/elements.js";
import { withSocket } from "../shared/live.js";
import { ago, onLanguage, t } from "../shared/messages.js";
import { onSecond } from "../shared/ticking.js";
import { complain } from "../shared/toasts.js";

/** @typedef {{terminal_id: string, account_id: string, account: string, cwd: string, title: string, since: number, attention: {kind: string} | null, ended: boolean}} Running */

const part = named(document, "running");
const list = named(part, "running-list");
/** @type {Running[]} */
let running = [];
let asked = 0;

/** Show the list and keep it true. @param {(running: Running) => void} open */
export function wireRunning(open) {
  list.addEventListener("click", (event) => {
    const id = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("button"))?.dataset.id;
    const found = running.find((terminal) => terminal.terminal_id === id);
    if (found) open(found);
  });
  withSocket((socket) => {
    socket.on("connect", () => void load().catch(complain));
    socket.on("terminals_changed", () => void load().catch(complain));
    if (socket.connected) void load().catch(complain);
  });
  onSecond(show);
  onLanguage(show);
}

/** Return the terminal of that id, when it is still there. @param {string} id */
export async function findRunning(id) {
  /** @type {Running[]} */
  const answer = await request("GET", "/api/terminals");
  return answer.find((terminal) => terminal.terminal_id === id);
}

async function load() {
  const mine = (asked += 1);
  const answer = await request("GET", "/api/terminals");
  if (mine !== asked) return;
  running = answer;
  show();
}

function show() {
  const alive = running.filter((terminal) => !terminal.ended);
  part.hidden = !alive.length;
  while (list.children.length > alive.length) list.lastElementChild?.remove();
  while (list.children.length < alive.length) list.append(copyOf("running"));
  alive.forEach((terminal, place) => fill(/** @type {HTMLElement} */ (list.children[place]), terminal));
}

/** @param {HTMLElement} item @param {Running} terminal */
function fill(item, terminal) {
  const button = /** @type {HTMLElement} */ (item.querySelector("button"));
  button.dataset.id = terminal.terminal_id;
  button.dataset.state = terminal.attention ? "attention" : "idle";
  setHue(button, terminal.account);
  setText(named(item, "running-name"), terminal.account);
  const words = [terminal.attention ? t("tab_attention") : terminal.title || terminal.cwd, ago(Math.max(0, Date.now() - terminal.since))];
  setText(named(item, "running-note"), words.filter(Boolean).join(" · "));
  button.title = terminal.cwd;
}
