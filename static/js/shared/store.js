/** Owns the accounts as the page knows them: loaded whole, compared by key, told to whoever shows them. */

import { listAccounts } from "./api.js";

/** @typedef {import("./api.js").Account} Account */

/** @type {Map<string, Account>} */
let accounts = new Map();
/** @type {Set<() => void>} */
const listeners = new Set();
let loading = 0;
/** @type {Promise<void> | null} */
let waiting = null;
/** @type {Promise<void>} */
let newest = Promise.resolve();

export const all = () => [...accounts.values()];
/** @param {string} id */
export const account = (id) => accounts.get(id);

/** Call back after each change. @param {() => void} listener */
export function onAccounts(listener) {
  listeners.add(listener);
}

/** Load the accounts again; many calls in a row end in one request. Throws Refused, ServerAway. @returns {Promise<void>} */
export function reload() {
  waiting ??= new Promise((resolve) => setTimeout(resolve, 20)).then(() => {
    waiting = null;
    newest = load();
    return newest;
  });
  return waiting;
}

async function load() {
  loading += 1;
  const mine = loading;
  const answer = await listAccounts();
  // An older answer that arrives late must not overwrite a newer one, and whoever asked for it decides on the newer one.
  if (mine !== loading) return newest;
  const next = new Map();
  for (const fresh of answer) {
    const known = accounts.get(fresh.id);
    // The same object for an unchanged account lets the view skip it.
    next.set(fresh.id, known && JSON.stringify(known) === JSON.stringify(fresh) ? known : fresh);
  }
  accounts = next;
  for (const listener of listeners) listener();
}

/** Return a moment as epoch milliseconds: the server writes "YYYY-MM-DD HH:MM:SS" in UTC. @param {string | number | null | undefined} written */
export function moment(written) {
  if (!written) return 0;
  if (typeof written === "number") return written;
  return Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(written) ? written : `${written.replace(" ", "T")}Z`) || 0;
}
