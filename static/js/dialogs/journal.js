/** Owns the view of the journal: the newest first, a page at a time, each happening in words. */

import { request } from "../shared/api.js";
import { browserName } from "../shared/browsers.js";
import { dialog, openDialog } from "../shared/dialog.js";
import { copyOf, named } from "../shared/elements.js";
import { dateTime, onLanguage, t } from "../shared/messages.js";
import { complain } from "../shared/toasts.js";

/** @typedef {import("../shared/api.js").Happening} Happening */

const PAGE = 50;
/** Every event that the reader may ask for; what a newer server tells besides is shown under its own name. */
const EVENTS = [
  "set-up", "signed-in", "sign-in-failed", "signed-out", "cookie-without-secret", "token-used", "password-changed",
  "factor-added", "factor-removed", "recovery-codes-made", "token-added", "token-revoked", "revealed", "exported",
  "imported", "deleted",
];
const element = dialog("journal");
const list = named(element, "happenings");
const more = named(element, "journal-more");
const filter = named(element, "journal-event", HTMLSelectElement);
/** @type {Happening[]} */
let shown = [];
// An answer that comes after another event was chosen is of no use.
let asked = 0;

export function openJournal() {
  filter.value = "";
  openDialog("journal");
  void begin();
}

/** Wire the dialog. */
export function wireJournal() {
  filter.addEventListener("change", () => void begin());
  more.addEventListener("click", () => void goOn());
  onLanguage(() => {
    const chosen = filter.value;
    filter.replaceChildren(new Option(t("journal_all"), ""), ...EVENTS.map((event) => new Option(inWords(event), event)));
    filter.value = chosen;
    list.replaceChildren(...shown.map(line));
  });
  // Names and addresses are shown while they are looked at.
  element.addEventListener("close", () => {
    shown = [];
    list.replaceChildren();
  });
}

async function begin() {
  shown = [];
  list.replaceChildren();
  await load();
}

/** Add the next page; whoever reads with the keyboard goes on at its first line. */
async function goOn() {
  const first = shown.length;
  await load();
  /** @type {HTMLElement | undefined} */ (list.children[first])?.focus();
}

async function load() {
  asked += 1;
  const mine = asked;
  const before = shown.at(-1)?.id;
  const query = new URLSearchParams({ limit: String(PAGE), ...(before && { before: String(before) }), ...(filter.value && { event: filter.value }) });
  try {
    const answer = await request("GET", `/api/journal?${query}`);
    if (mine !== asked || !element.open) return;
    shown = [...shown, ...answer.entries];
    list.append(...answer.entries.map(line));
    more.hidden = !answer.more;
    named(element, "journal-empty").hidden = shown.length > 0;
    named(element, "journal-count").textContent = t("journal_count", { count: shown.length });
  } catch (error) {
    complain(error);
  }
}

/** @param {Happening} happening */
function line(happening) {
  const made = copyOf("happening");
  named(made, "happening-what").textContent = inWords(happening.event);
  const when = /** @type {HTMLTimeElement} */ (named(made, "happening-when"));
  when.textContent = dateTime(happening.at);
  when.dateTime = new Date(happening.at).toISOString();
  named(made, "happening-more").textContent = [happening.account, detail(happening.detail)].filter(Boolean).join(" · ");
  named(made, "happening-who").textContent = [who(happening.actor), happening.address].filter(Boolean).join(" · ");
  return made;
}

/** @param {string} event */
function inWords(event) {
  const key = `journal_on_${event.replace(/-/g, "_")}`;
  const words = t(key);
  return words === key ? event : words;
}

/** A browser names itself at length. @param {string} text */
const detail = (text) => (text.startsWith("Mozilla/") ? browserName(text) : text);

/** @param {string} actor */
function who(actor) {
  return actor;
}
