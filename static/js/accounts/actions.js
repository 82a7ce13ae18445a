/** Owns what is done to accounts without a dialog: refresh one, all, or those that ran out; copy the launch command. */

import { sessionsOf } from "../running/sessions.js";
import { Refused, checkAccount, launchCommand, refreshAccount } from "../shared/api.js";
import { copy } from "../shared/clipboard.js";
import { named } from "../shared/elements.js";
import { t } from "../shared/messages.js";
import { all, reload } from "../shared/store.js";
import { complain, refuse, say } from "../shared/toasts.js";
import { setBusy } from "./list.js";
import { reasonOf } from "./proof.js";

/** @typedef {import("../shared/api.js").Account} Account */

/** A browser opens six connections at most; two are left for everything else. */
const AT_ONCE = 4;

/** @param {Account} account */
export async function copyCommand(account) {
  try {
    const { command } = await launchCommand(account.id);
    await copy(command, t("copied_command", { command }));
  } catch (error) {
    complain(error);
  }
}

/** Try the credential, and say what came of it. @param {Account} account */
export async function checkOne(account) {
  setBusy([account.id], true);
  try {
    const checked = await checkAccount(account.id);
    await reload();
    if (checked.tried === "refused") refuse(t("checked_refused", { name: account.name, reason: reasonOf(checked) }));
    else say(t(checked.tried === "works" ? "checked_works" : "checked_signed_in", { name: account.name }));
  } catch (error) {
    complain(error);
  } finally {
    setBusy([account.id], false);
  }
}

/** @param {Account} account */
export async function refreshOne(account) {
  const failure = (await refresh([account])).get(account);
  if (failure) return complain(failure);
  const running = account.durable ? 0 : sessionsOf(account.id);
  const note = running ? ` ${t("sessions_keep", { count: running })}` : "";
  say(t("refreshed", { name: account.name }) + note);
}

/** Refresh every account that has a refresh token and a login. */
export async function refreshAll() {
  const wanted = all().filter((account) => account.has_refresh && account.status !== "needs_login");
  if (!wanted.length) return say(t("nothing_to_refresh"));
  const button = /** @type {HTMLElement} */ (document.querySelector("[data-do='refresh-all']"));
  button.setAttribute("aria-busy", "true");
  report(wanted, await refresh(wanted));
  button.removeAttribute("aria-busy");
}

/** Refresh what ran out, once for all open tabs, when the page opens. */
export async function refreshExpired() {
  const ranOut = () => all().filter((account) => account.status === "expired" && account.has_refresh);
  const once = async () => {
    if (!ranOut().length) return;
    // Another tab may have refreshed them since our list came.
    await reload();
    const wanted = ranOut();
    if (wanted.length) report(wanted, await refresh(wanted));
  };
  // Plain HTTP from another machine has no locks; the server then sees to it that a login is refreshed once.
  if (!navigator.locks) return once();
  await navigator.locks.request("refresh-expired", { ifAvailable: true }, (lock) => (lock ? once() : undefined));
}

/** @param {Account[]} accounts @param {Map<Account, Error>} failures */
function report(accounts, failures) {
  const done = accounts.length - failures.size;
  if (done) say(t("refreshed_many", { count: done }));
  const [first] = failures;
  if (!first) return;
  const [account, error] = first;
  if (failures.size === 1 || !(error instanceof Refused)) complain(error);
  else complain(new Refused(error.status, { error: t("not_refreshed", { count: failures.size, name: account.name, reason: error.message }), hint: error.hint }, 0));
}

/** Refresh a few at a time and return what failed. @param {Account[]} accounts */
async function refresh(accounts) {
  /** @type {Map<Account, Error>} */
  const failures = new Map();
  const ids = accounts.map((account) => account.id);
  const queue = [...accounts];
  setBusy(ids, true);
  const work = async () => {
    for (let account = queue.shift(); account; account = queue.shift()) {
      try {
        await refreshAccount(account.id);
      } catch (error) {
        failures.set(account, /** @type {Error} */ (error));
      }
      setBusy([account.id], false);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, queue.length) }, work));
  await reload().catch(complain);
  return failures;
}

/** Show or hide the button that refreshes all. */
export function showRefreshAll() {
  const button = /** @type {HTMLElement} */ (document.querySelector("[data-do='refresh-all']"));
  button.hidden = !all().some((account) => account.has_refresh);
  named(document, "accounts").setAttribute("aria-busy", "false");
}
