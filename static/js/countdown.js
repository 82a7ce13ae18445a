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
 * Write when the account's credential ends; an end that mends itself is never dressed as an alarm.
 * @param {HTMLTimeElement} element @param {Account} account
 */
export function showEnd(element, account) {
  const now = Date.now();
  // The login is the clock that matters once it comes close: the access token renews itself.
  const login = account.login_expires_at ?? 0;
  const loginSoon = login > 0 && login - now < SOON;
  const end = loginSoon ? login : account.expires_at;
  element.classList.toggle("soon", loginSoon && login > now);
  element.classList.toggle("over", account.status === "needs_login");
  if (!end) {
    element.removeAttribute("datetime");
    element.removeAttribute("title");
    setText(element, account.auth_type === "api_key" ? t("never_ends") : t(account.status === "needs_login" ? "no_login" : "end_unknown"));
    return;
  }
  element.dateTime = new Date(end).toISOString();
  element.title = dateTime(end);
  setText(element, end > now ? t("ends_in", { time: duration(end - now) }) : t("ended", { time: ago(now - end) }));
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

/** Return whether the login of this account ends within three days. @param {Account} account */
export function loginEndsSoon(account) {
  const login = account.login_expires_at ?? 0;
  return account.status !== "needs_login" && login > Date.now() && login - Date.now() < SOON;
}
