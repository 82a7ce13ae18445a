/** Owns the ticking of the page: what each clock on it shows at this second. */

import { setText } from "./elements.js";
import { ago, dateTime, duration, t } from "./messages.js";
import { moment } from "./store.js";

/** @typedef {import("./api.js").Account} Account */

const SOON = 3 * 86400_000;
/** @type {Set<() => void>} */
const clocks = new Set();

/** Call back each second while the page is visible. @param {() => void} clock */
export function onSecond(clock) {
  clocks.add(clock);
}

setInterval(() => {
  if (!document.hidden) for (const clock of clocks) clock();
}, 1000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const clock of clocks) clock();
});

/**
 * Write when the account's credential ends, and which clock that is: an end that mends itself is never an alarm.
 * @param {HTMLElement} label @param {HTMLTimeElement} element @param {Account} account
 */
export function showEnd(label, element, account) {
  const now = Date.now();
  const soon = endsSoon(account);
  // Of a durable account only the login ends; of any other one that clock matters once it comes close.
  const login = account.ends_kind === "login" && (soon || account.durable);
  const end = login ? account.ends_at : account.durable ? 0 : account.expires_at;
  setText(label, t(login ? "login_ends" : account.ends_kind === "token" ? "setup_token_ends" : "ends"));
  element.classList.toggle("soon", soon);
  element.classList.toggle("over", account.status === "needs_login");
  if (!end) {
    element.removeAttribute("datetime");
    element.removeAttribute("title");
    setText(element, endless(account));
    return;
  }
  element.dateTime = new Date(end).toISOString();
  element.title = dateTime(end);
  setText(element, end > now ? t("ends_in", { time: duration(end - now) }) : t("ended", { time: ago(now - end) }));
}

/** Return the words for an account without an end that is known. @param {Account} account */
function endless(account) {
  if (account.auth_type === "api_key") return t("never_ends");
  if (account.status === "needs_login") return t("no_login");
  return account.durable ? t("renews_itself") : t("end_unknown");
}

/** @param {HTMLTimeElement} element @param {Account} account */
export function showLastUse(element, account) {
  const used = moment(account.last_used);
  if (!used) {
    setText(element, t("never_used"));
    return;
  }
  element.dateTime = new Date(used).toISOString();
  element.title = dateTime(used);
  setText(element, ago(Date.now() - used));
}

/** Return whether only a new login within three days keeps this account going. @param {Account} account */
export function endsSoon(account) {
  const left = account.ends_at - Date.now();
  return account.status !== "needs_login" && left > 0 && left < SOON;
}
