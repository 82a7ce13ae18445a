/** Owns the list of every running claude that was started from here, in a shell or on this page. */

import { listSessions } from "../shared/api.js";
import { copyOf, named, setHue, setText } from "../shared/elements.js";
import { withSocket } from "../shared/live.js";
import { ago, dateTime, duration, onLanguage, t } from "../shared/messages.js";
import { onSecond } from "../shared/ticking.js";
import { complain } from "../shared/toasts.js";

/** @typedef {import("../shared/api.js").RunningSession} RunningSession */

const part = named(document, "sessions-part");
const list = named(part, "running-sessions");
/** @type {RunningSession[]} */
let sessions = [];
let asked = 0;

/** Show the list and keep it true. */
export function wireSessions() {
  withSocket((socket) => {
    for (const event of ["connect", "sessions_changed", "terminals_changed"]) socket.on(event, () => void load().catch(complain));
    if (socket.connected) void load().catch(complain);
  });
  onSecond(show);
  onLanguage(show);
}

/** Return how many sessions of an account are running, as far as is known here. @param {string} accountId */
export const sessionsOf = (accountId) => sessions.filter((session) => session.account_id === accountId).length;

async function load() {
  const mine = (asked += 1);
  const answer = await listSessions();
  if (mine !== asked) return;
  sessions = answer;
  show();
}

function show() {
  part.hidden = !sessions.length;
  while (list.children.length > sessions.length) list.lastElementChild?.remove();
  while (list.children.length < sessions.length) list.append(copyOf("running-session"));
  sessions.forEach((session, place) => fill(/** @type {HTMLElement} */ (list.children[place]), session));
}

/** @param {HTMLElement} item @param {RunningSession} session */
function fill(item, session) {
  const now = Date.now();
  setHue(item, session.account_name);
  setText(named(item, "session-name"), session.account_name);
  setText(named(item, "session-folder"), session.folder);
  named(item, "session-folder").title = session.folder;
  const left = session.token_ends - now;
  const end = !session.token_ends ? "" : left > 0 ? t("session_token_ends", { time: duration(left) }) : t("session_token_ended");
  const unseen = session.elsewhere && t(`session_perhaps_${session.elsewhere}`);
  const words = [unseen, t(`session_${session.origin}`), ago(Math.max(0, now - session.since)), end, `PID ${session.pid}`];
  setText(named(item, "session-note"), words.filter(Boolean).join(" · "));
  item.title = dateTime(session.since);
}
