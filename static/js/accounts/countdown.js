/** Owns the clocks of an account: what each one shows at this second, and how soon only the reader can help. */

import { setText } from "../shared/elements.js";
import { ago, dateTime, duration, t } from "../shared/messages.js";
import { moment } from "../shared/store.js";

/** @typedef {import("../shared/api.js").Account} Account */

const SOON = 3 * 86400_000;
const URGENT = 86400_000;
/**
 * Write when the account's token ends; an end that mends itself is never dressed as an alarm.
 * @param {HTMLElement} label @param {HTMLTimeElement} element @param {Account} account
 */
export function showEnd(label, element, account) {
  const now = Date.now();
  // Only of a durable account does a running session renew the token.
  const renews = account.durable && account.status !== "needs_login";
  setText(label, t(renews ? (account.expires_at > now ? "token_renews" : "token") : account.ends_kind === "token" ? "setup_token_ends" : "ends"));
  const words = (/** @type {number} */ end) => {
    if (renews && end <= now) return t("renews_itself");
    return end > now ? t("ends_in", { time: duration(end - now) }) : t("ended", { time: ago(now - end) });
  };
  showMoment(element, account.expires_at, words, endless(account));
  showUrgency(element, account.durable || account.has_refresh ? "" : urgency(account));
}

/** Return the words for an account without an end that is known. @param {Account} account */
function endless(account) {
  if (account.auth_type === "api_key") return t("never_ends");
  if (account.status === "needs_login") return t("no_login");
  return account.durable ? t("renews_itself") : t("end_unknown");
}

/** Write when the login itself ends, from which on only signing in helps. @param {HTMLTimeElement} element @param {Account} account */
export function showLoginEnd(element, account) {
  const now = Date.now();
  showMoment(
    element,
    account.login_expires_at ?? 0,
    (end) => (end > now ? t("ends_in", { time: duration(end - now) }) : t("ended", { time: ago(now - end) })),
    t("end_unknown"),
  );
  showUrgency(element, urgency(account));
}

/** @param {HTMLTimeElement} element @param {number} moment 0 for none @param {(moment: number) => string} words @param {string} none */
function showMoment(element, moment, words, none) {
  setText(element, moment ? words(moment) : none);
  if (moment) {
    element.dateTime = new Date(moment).toISOString();
    element.title = dateTime(moment);
  } else {
    element.removeAttribute("datetime");
    element.removeAttribute("title");
  }
}

/** @param {HTMLElement} element @param {string} urgency */
function showUrgency(element, urgency) {
  element.classList.toggle("soon", urgency === "soon" || urgency === "urgent");
  element.classList.toggle("over", urgency === "over");
}

/**
 * Return how soon only a new login or token helps, at this second: the server's word is as old as the last load.
 * @param {Account} account @returns {"" | "soon" | "urgent" | "over"}
 */
export function urgency(account) {
  if (account.status === "needs_login") return "over";
  const end = account.ends_at;
  if (!end) return "";
  const left = end - Date.now();
  if (left <= 0) return "over";
  return left <= URGENT ? "urgent" : left <= SOON ? "soon" : "";
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
