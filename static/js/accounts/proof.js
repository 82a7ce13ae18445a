/** Owns what the page says of whether a credential works: valid only means that nothing has ended. */

import { setText } from "../shared/elements.js";
import { ago, dateTime, t } from "../shared/messages.js";

/** @typedef {import("../shared/api.js").Account} Account */

/**
 * Return how an account stands: ready (`valid`) is only what was seen to work.
 * @param {Account} account @returns {"valid" | "expired" | "needs_login" | "untried" | "signed_in" | "refused"}
 */
export function stateOf(account) {
  if (account.status === "needs_login") return "needs_login";
  if (account.tried === "refused") return "refused";
  if (account.status !== "valid" || account.tried === "works") return account.status;
  return account.tried;
}

/** Return under which of the counts over the list an account is. @param {Account} account */
export function groupOf(account) {
  const state = stateOf(account);
  return state === "signed_in" ? "untried" : state === "refused" ? "needs_login" : state;
}

/** Return why a credential was refused. @param {Account} account */
export const reasonOf = (account) => t(`tried_because_${account.tried_reason}`);

/** Write what is known of the credential, and since when. @param {HTMLElement} part @param {HTMLElement} words @param {Account} account */
export function showProof(part, words, account) {
  part.hidden = !account.masked_key;
  const reason = account.tried === "refused" ? reasonOf(account) : "";
  const text = t(`tried_${account.tried}`, { time: ago(Date.now() - account.tried_at), reason });
  setText(words, text);
  const title = account.tried_at ? `${text} (${dateTime(account.tried_at)})` : text;
  if (words.title !== title) words.title = title;
}
