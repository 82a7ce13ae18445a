/** Owns which accounts are looked for: the search, the type, the status. */

import { named, setText } from "../shared/elements.js";
import { list, t } from "../shared/messages.js";
import { all } from "../shared/store.js";
import { urgency } from "./countdown.js";
import { groupOf } from "./proof.js";

/** @typedef {import("../shared/api.js").Account} Account */

const search = named(document, "search", HTMLInputElement);
const type = named(document, "type", HTMLSelectElement);
const health = named(document, "health");
const attention = named(document, "attention");
const NAMED_AT_MOST = 4;
/** Not a status: everybody whom the notice over the list is about. */
const ATTENTION = "attention";
let status = "";

/** Wire search, type and health; `changed` is called after each change. @param {() => void} changed */
export function wireFilter(changed) {
  search.addEventListener("input", changed);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !search.value) return;
    event.preventDefault();
    search.value = "";
    changed();
  });
  type.addEventListener("change", changed);
  health.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("button"));
    if (button) choose(button.dataset.status ?? "", changed);
  });
  named(document, "attention").addEventListener("click", (event) => {
    if (/** @type {Element} */ (event.target).closest("button")) choose(ATTENTION, changed);
  });
}

export const chosenStatus = () => status;

/** Put the cursor into the search. */
export function focusSearch() {
  search.focus();
  search.select();
}

/** @param {string} wanted @param {() => void} changed */
function choose(wanted, changed) {
  status = status === wanted ? "" : wanted;
  for (const button of health.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.status === status));
  }
  showPressed();
  changed();
}

/** Return the accounts that match, by name. */
export function matching() {
  const words = plain(search.value).split(/\s+/).filter(Boolean);
  return all()
    .filter((account) => !type.value || account.auth_type === type.value)
    .filter((account) => !status || (status === ATTENTION ? urgency(account) !== "" : groupOf(account) === status))
    .filter((account) => {
      const text = plain(`${account.name} ${account.email ?? ""} ${account.organization ?? ""} ${account.subscription_type ?? ""}`);
      return words.every((word) => text.includes(word));
    })
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** Return the text without case and accents. @param {string} text */
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** Show how many accounts are in which state, and who needs the reader. */
export function showHealth() {
  const accounts = all();
  for (const button of health.querySelectorAll("button")) {
    const wanted = button.dataset.status;
    const count = wanted ? accounts.filter((account) => groupOf(account) === wanted).length : accounts.length;
    // Most have none of them; who has just looked for them keeps the button.
    if (wanted === "untried") /** @type {HTMLElement} */ (button.parentElement).hidden = !count && status !== wanted;
    setText(/** @type {HTMLElement} */ (button.querySelector(".count")), String(count));
  }
  const words = [];
  for (const kind of ["login", "token"]) {
    for (const how of ["over", "urgent", "soon"]) {
      const found = accounts.filter((account) => urgency(account) === how && (account.ends_kind === "token" ? "token" : "login") === kind);
      if (found.length) words.push(t(`attention_${kind}_${how}`, { count: found.length, names: names(found) }));
    }
  }
  attention.hidden = !words.length;
  setText(named(attention, "attention-text"), words.join(" "));
  showPressed();
}

function showPressed() {
  attention.querySelector("button")?.setAttribute("aria-pressed", String(status === ATTENTION));
}

/** @param {Account[]} accounts */
function names(accounts) {
  const first = accounts.slice(0, NAMED_AT_MOST).map((account) => account.name);
  const rest = accounts.length - first.length;
  return list(rest > 0 ? [...first, t("and_more", { count: rest })] : first);
}
