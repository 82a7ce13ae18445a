/** Owns the way in: the first password, the API token shown once, signing in, and signing in again over the page. */

import { authStatus, setUp, signIn } from "./api.js";
import { copy } from "./clipboard.js";
import { dialog } from "./dialogs/dialog.js";
import { named } from "./elements.js";
import { clearError, onSubmit, showError, value } from "./forms.js";
import { onLanguage, t } from "./messages.js";

const MINIMUM = 10;

/** Show one view of the page and hide the others. @param {string} name */
export function showView(name) {
  for (const view of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-view]"))) {
    view.hidden = view.dataset.view !== name;
  }
  const shown = /** @type {HTMLElement} */ (document.querySelector(`[data-view="${name}"]`));
  const first = name === "dashboard" ? "main" : "input:not([hidden]), h1[tabindex]";
  /** @type {HTMLElement | null} */ (shown.querySelector(first))?.focus({ preventScroll: true });
}

/** Wire the forms of the way in. @param {() => Promise<void>} enter called once the reader is signed in */
export function wireSignIn(enter) {
  const setup = named(document, "setup-form", HTMLFormElement);
  onSubmit(setup, async () => {
    if (!longEnough(setup, "password")) return;
    const { api_token: token } = await setUp(value(setup, "password"), value(setup, "setup_code"));
    setup.reset();
    named(document, "api-token").textContent = token;
    showView("token");
  });
  named(document, "copy-token").addEventListener("click", () => copy(named(document, "api-token").textContent ?? ""));
  named(document, "token-saved").addEventListener("click", () => {
    // Seen once and gone: the page does not keep it anywhere.
    named(document, "api-token").textContent = "";
    void enter();
  });
  const form = named(document, "sign-in-form", HTMLFormElement);
  onSubmit(form, async () => {
    await signIn(value(form, "password"));
    form.reset();
    await enter();
  });
  wireStrength();
}

/** Show the form that fits: no password yet, or not signed in. @param {import("./api.js").AuthStatus} status */
export function showEntry(status) {
  named(document, "setup-code-field").hidden = !status.setup_code_required;
  showView(status.setup_done ? "sign-in" : "setup");
}

/** @type {Promise<void> | null} */
let again = null;

/** Ask for the password over the page, so that forms and terminals stay as they are. @returns {Promise<void>} */
export function signInAgain() {
  again ??= new Promise((resolve) => {
    const element = dialog("sign-in-again");
    const form = /** @type {HTMLFormElement} */ (element.querySelector("form"));
    form.reset();
    clearError(form);
    element.showModal();
    element.addEventListener("close", () => {
      again = null;
      resolve();
    }, { once: true });
  });
  return again;
}

/** Wire the dialog of signInAgain; it closes only when the reader is in. @param {() => void} entered */
export function wireSignInAgain(entered) {
  const element = dialog("sign-in-again");
  element.addEventListener("cancel", (event) => event.preventDefault());
  // A second Escape closes a dialog whatever `cancel` says; without a session there is nothing to go back to.
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") event.preventDefault();
  });
  const form = /** @type {HTMLFormElement} */ (element.querySelector("form"));
  onSubmit(form, async () => {
    await signIn(value(form, "password"));
    element.close();
    entered();
  });
}

/** Return whether the session still stands. */
export async function isSignedIn() {
  return (await authStatus()).authenticated;
}

/** Refuse a short password before the server has to. @param {HTMLFormElement} form @param {string} field */
export function longEnough(form, field) {
  if ([...value(form, field)].length >= MINIMUM) return true;
  showError(form, t("password_short", { count: MINIMUM }), "", field);
  return false;
}

function wireStrength() {
  for (const meter of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-strength-of]"))) {
    const input = /** @type {HTMLInputElement} */ (document.getElementById(meter.dataset.strengthOf ?? ""));
    const show = () => {
      const level = strength(input.value);
      meter.dataset.level = String(level);
      named(meter, "strength-word").textContent = t(`strength_${level}`, { count: MINIMUM });
    };
    input.addEventListener("input", show);
    input.form?.addEventListener("reset", () => setTimeout(show));
    onLanguage(show);
    show();
  }
}

/** Return 0 (too short) to 4: length counts most, repetition and one kind of character count against. @param {string} password */
export function strength(password) {
  const characters = [...password];
  if (characters.length < MINIMUM) return 0;
  const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\d/, /[^\p{L}\d]/u].filter((kind) => kind.test(password)).length;
  const variety = new Set(characters).size;
  if (variety < 5) return 1;
  const bits = Math.min(characters.length, variety * 1.5) * (1 + kinds);
  return bits < 28 ? 1 : bits < 40 ? 2 : bits < 60 ? 3 : 4;
}
