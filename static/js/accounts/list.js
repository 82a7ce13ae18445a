/** Owns the list of accounts: cards or rows, patched by key, and grown while it is scrolled. */

import { copyOf, named, setHue, setIcon, setText } from "../shared/elements.js";
import { keep, kept } from "../shared/kept.js";
import { onLanguage, t, translate } from "../shared/messages.js";
import { account as accountOf, all, onAccounts } from "../shared/store.js";
import { onSecond } from "../shared/ticking.js";
import { showEnd, showLastUse, showLoginEnd, urgency } from "./countdown.js";
import { chosenStatus, matching } from "./filter.js";
import { showProof, stateOf } from "./proof.js";
import { showUsage } from "./usage.js";

/** @typedef {import("../shared/api.js").Account} Account */

/** So many accounts enter the page at first, and again each time its end comes into view. */
const STEP = 24;
const CARDS_UP_TO = 8;
/** @type {Record<string, string>} */
const ICONS = { signed_in: "untried", refused: "needs_login" };
const list = named(document, "accounts");
const more = named(document, "more");
/** @type {Map<string, {element: HTMLElement, account: Account}>} */
const shown = new Map();
let limit = STEP;
let known = false;
let terminals = false;
/** @type {Set<string>} */
const busy = new Set();

/**
 * Wire the list.
 * @param {(act: string, account: Account) => void} act called for each button of an account
 */
export function wireAccounts(act) {
  list.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-act]"));
    const account = accountOf(/** @type {HTMLElement | null} */ (button?.closest(".account"))?.dataset.id ?? "");
    if (button && account && button.getAttribute("aria-disabled") !== "true") act(button.dataset.act ?? "", account);
  });
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("[data-layout]"))) {
    button.addEventListener("click", () => {
      keep("layout", button.dataset.layout ?? "");
      showLayout();
    });
  }
  onAccounts(() => {
    known = true;
    showAccounts();
  });
  onLanguage(() => {
    for (const { element } of shown.values()) element.remove();
    shown.clear();
    if (known) showAccounts();
  });
  onSecond(tick);
  new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting) || list.children.length < limit) return;
    limit += STEP;
    showAccounts();
  }, { rootMargin: "800px" }).observe(more);
}

/** Show the accounts that match from the first on, after the search or a filter changed. */
export function showMatches() {
  limit = STEP;
  showAccounts();
}

/** Say whether the page can open terminals; without, their buttons are not shown. @param {boolean} available */
export function offerTerminals(available) {
  terminals = available;
  for (const { element, account } of shown.values()) fill(element, account);
}

/** Mark accounts as being worked on. @param {string[]} ids @param {boolean} on */
export function setBusy(ids, on) {
  for (const id of ids) {
    if (on) busy.add(id);
    else busy.delete(id);
    const entry = shown.get(id);
    if (entry) showBusy(entry.element, id);
  }
}

function showAccounts() {
  const found = matching();
  const wanted = found.slice(0, limit);
  const ids = new Set(wanted.map((account) => account.id));
  for (const [id, { element }] of shown) {
    if (ids.has(id)) continue;
    element.remove();
    shown.delete(id);
  }
  let place = list.firstElementChild;
  for (const account of wanted) {
    const element = elementOf(account);
    if (element === place) place = place.nextElementSibling;
    else list.insertBefore(element, place);
  }
  const none = all().length === 0;
  named(document, "first-steps").hidden = !none;
  named(document, "nothing").hidden = none || found.length > 0;
  for (const name of ["toolbar", "health"]) named(document, name).hidden = none;
  setText(named(document, "found"), t("found", { count: found.length, filter: chosenStatus() }));
  showLayout();
}

/** @param {Account} account */
function elementOf(account) {
  const entry = shown.get(account.id);
  if (entry?.account === account) return entry.element;
  const element = entry?.element ?? newElement(account.id);
  fill(element, account);
  shown.set(account.id, { element, account });
  return element;
}

/** @param {string} id */
function newElement(id) {
  const element = copyOf("account");
  element.dataset.id = id;
  translate(element);
  return element;
}

/** @param {HTMLElement} element @param {Account} account */
function fill(element, account) {
  const state = stateOf(account);
  element.dataset.status = state;
  setHue(element, account.name);
  setText(/** @type {HTMLElement} */ (element.querySelector(".avatar")), initials(account.name));
  setText(named(element, "name"), account.name);
  named(element, "name").title = account.name;
  setText(named(element, "kind"), kind(account));
  named(element, "kind").title = kind(account);
  setIcon(/** @type {HTMLElement} */ (element.querySelector(".status")), ICONS[state] ?? state);
  setText(named(element, "status-word"), t(`state_${state}`));
  setText(named(element, "credential"), account.masked_key || "–");
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll("[data-about]"))) {
    button.setAttribute("aria-label", t(button.dataset.about ?? "", { name: account.name }));
    // A button with its own words needs no second ones.
    if (button.classList.contains("square")) button.title = t(`${button.dataset.about}_title`);
  }
  const oauth = account.auth_type === "oauth";
  const ended = account.status === "needs_login";
  named(element, "login-part").hidden = !account.login_expires_at;
  actButton(element, "refresh").hidden = !oauth || !account.has_refresh || ended;
  // Of a login that can be renewed, a refresh is the better proof.
  actButton(element, "check").hidden = !account.masked_key || ended || (oauth && account.has_refresh);
  showBusy(element, account.id);
  showTimes(element, account);
}

/** Where only a new login or token helps, or soon will, that is a big button. @param {HTMLElement} element @param {Account} account */
function showWayOut(element, account) {
  const how = urgency(account);
  const token = account.ends_kind === "token" && account.status !== "needs_login";
  actButton(element, "open").hidden = how === "over" || !terminals;
  for (const [act, wanted, possible] of /** @type {[string, boolean, boolean][]} */ ([
    ["login", how !== "" && !token, account.auth_type === "oauth"],
    ["edit", how !== "" && token, true],
  ])) {
    const first = named(element, `${act}-first`);
    first.hidden = !wanted;
    first.classList.toggle("primary", how === "over");
    named(element, `${act}-again`).hidden = wanted || !possible;
  }
}

/** @param {HTMLElement} element @param {string} act @returns {HTMLElement} */
const actButton = (element, act) => /** @type {HTMLElement} */ (element.querySelector(`[data-act="${act}"]`));

/** @param {HTMLElement} element @param {string} id */
function showBusy(element, id) {
  for (const act of ["refresh", "check"]) {
    const button = actButton(element, act);
    button.setAttribute("aria-busy", String(busy.has(id)));
    button.setAttribute("aria-disabled", String(busy.has(id)));
  }
}

/** @param {HTMLElement} element @param {Account} account */
function showTimes(element, account) {
  showEnd(named(element, "ends-label"), named(element, "ends", HTMLTimeElement), account);
  showLoginEnd(named(element, "login-ends", HTMLTimeElement), account);
  showUsage(named(element, "usage"), account);
  showWayOut(element, account);
  showLastUse(named(element, "last-used", HTMLTimeElement), account);
  showProof(named(element, "proof"), named(element, "proof-words"), account);
}

function tick() {
  const now = Date.now();
  for (const { element, account } of shown.values()) {
    showTimes(element, account);
    // The server's word is as old as the last load; a clock that ran out since then is seen here first.
    const over = account.status === "valid" && !account.durable && account.auth_type === "oauth" && account.expires_at > 0 && account.expires_at <= now;
    if (over && ["valid", "untried", "signed_in"].includes(element.dataset.status ?? "")) {
      element.dataset.status = "expired";
      setIcon(/** @type {HTMLElement} */ (element.querySelector(".status")), "expired");
      setText(named(element, "status-word"), t("state_expired"));
    }
  }
}

function showLayout() {
  const layout = kept("layout") || (all().length > CARDS_UP_TO ? "rows" : "cards");
  list.classList.toggle("cards", layout === "cards");
  list.classList.toggle("rows", layout === "rows");
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-layout]"))) {
    button.setAttribute("aria-pressed", String(button.dataset.layout === layout));
  }
}

/** @param {Account} account */
function kind(account) {
  const type = account.auth_type === "api_key" ? t("type_api_key") : account.has_refresh || !account.masked_key ? t("type_oauth") : t("kind_setup_token");
  const plan = account.subscription_type ? account.subscription_type.charAt(0).toUpperCase() + account.subscription_type.slice(1) : "";
  const way = account.durable ? t("durable") : account.has_refresh ? t("injected") : "";
  return [type, way, plan, account.email ?? ""].filter(Boolean).join(" · ");
}

/** @param {string} name */
function initials(name) {
  const [first = "", second = ""] = name.split("-");
  return second ? first.charAt(0) + second.charAt(0) : first.slice(0, 2);
}
