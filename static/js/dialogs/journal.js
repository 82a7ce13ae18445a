/** Owns the view of the journal: the newest first, a page at a time, each happening in words. */

import { request } from "../shared/api.js";
import { browserName } from "../shared/browsers.js";
import { dialog, openDialog } from "../shared/dialog.js";
import { copyOf, named } from "../shared/elements.js";
import { dateTime, onLanguage, t } from "../shared/messages.js";
import { complain } from "../shared/toasts.js";

/** @typedef {import("../shared/api.js").Happening} Happening */
/** @typedef {import("../shared/api.js").Session} Session */

const PAGE = 50;
/** Every event that the reader may ask for; what a newer server tells besides is shown under its own name. */
const EVENTS = [
  "set-up", "set-up-failed", "sign-in", "factor-asked", "sign-in-failed", "sign-in-blocked", "left-out",
  "proof-failed", "cookie-without-secret", "sign-out", "session-ended", "sign-out-everywhere", "password-changed",
  "password-reset", "factor-added", "factor-removed", "factors-reset", "recovery-codes-made", "recovery-code-used",
  "token-added", "token-rotated", "token-revoked", "token-used", "token-refused", "reveal", "export", "import",
  "account-removed", "account-checked",
];
/** Those that tell by what somebody proved, or failed to prove, who he is. */
const OF_PROOFS = new Set(["sign-in", "sign-in-failed", "proof-failed", "factor-added", "factor-removed"]);
const element = dialog("journal");
const list = named(element, "happenings");
const more = named(element, "journal-more");
const filter = named(element, "journal-event", HTMLSelectElement);
/** @type {Happening[]} */
let shown = [];
// An answer that comes after another event was chosen is of no use.
let asked = 0;
/** The signed-in browsers and programs, by which the journal's actors are known. @type {Session[]} */
let sessions = [];

export function openJournal() {
  filter.value = "";
  sessions = [];
  openDialog("journal");
  void request("GET", "/api/auth/sessions").then((found) => {
    sessions = found;
    list.replaceChildren(...shown.map(line));
  }, complain);
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
  named(made, "happening-more").textContent = [happening.account, detail(happening)].filter(Boolean).join(" · ");
  named(made, "happening-who").textContent = [who(happening.actor), happening.address].filter(Boolean).join(" · ");
  return made;
}

/** @param {string} event */
function inWords(event) {
  const key = `journal_on_${event.replace(/-/g, "_")}`;
  const words = t(key);
  return words === key ? event : words;
}

/** @param {Happening} happening */
function detail({ event, detail: text }) {
  // A browser names itself at length.
  if (text.startsWith("Mozilla/")) return browserName(text);
  if (event === "left-out") return inWords(text);
  if (!OF_PROOFS.has(event)) return text;
  return text.replace(/(^|, )(password|totp|passkey|recovery_code)(?=,| |$)/g, (_all, before, way) => before + t(`way_${way}`));
}

/** Return who it was: a kind, and a session's id or a token's name. @param {string} actor */
function who(actor) {
  const [kind = "", ...rest] = actor.split(" ");
  const name = rest.join(" ");
  if (kind === "token") return t("actor_token", { name });
  if (kind !== "browser" && kind !== "program") return kind === "command" ? t("actor_command") : actor;
  const session = sessions.find((one) => name && one.id.startsWith(name));
  if (!session) return t(`actor_${kind}`);
  return session.current ? t("session_this", { browser: browserName(session.user_agent) }) : browserName(session.user_agent);
}
