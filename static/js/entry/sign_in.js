/** Owns the way in: the first password, the API token shown once, signing in, and signing in again over the page. */

import { authStatus, Refused, setUp, signIn } from "../shared/api.js";
import { copy } from "../shared/clipboard.js";
import { dialog } from "../shared/dialog.js";
import { named } from "../shared/elements.js";
import { clearError, onSubmit, showError, value } from "../shared/forms.js";
import { longEnough } from "../shared/passwords.js";
import { sentence } from "../shared/toasts.js";
import { showView } from "../shared/views.js";
import { offerPasskey, secondStepIn, signInByPasskey } from "./second_step.js";

// Whether the address brought the setup code, so that nobody need type it.
let broughtCode = false;

/** Wire the forms of the way in. @param {() => Promise<void>} enter called once the reader is signed in */
export function wireSignIn(enter) {
  const setup = named(document, "setup-form", HTMLFormElement);
  onSubmit(setup, async () => {
    if (!longEnough(setup, "password")) return;
    const token = await firstPassword(setup);
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
  wirePassword(named(document, "sign-in-form", HTMLFormElement), enter);
}

/**
 * Wire a form that asks for the password, and in the place beside it the second step that may follow.
 * @param {HTMLFormElement} form @param {() => Promise<void> | void} entered
 */
function wirePassword(form, entered) {
  const place = named(/** @type {HTMLElement} */ (form.parentElement), "second-step");
  const step = secondStepIn(place, {
    entered: () => entered(),
    back: (error) => {
      form.hidden = false;
      if (error) showError(form, sentence(error), error.hint);
      /** @type {HTMLInputElement} */ (form.elements.namedItem("password")).focus();
    },
  });
  onSubmit(form, async () => {
    try {
      await signIn(value(form, "password"));
    } catch (error) {
      if (!(error instanceof Refused) || !error.ways) throw error;
      form.reset();
      form.hidden = true;
      return step.ask(error);
    }
    form.reset();
    await entered();
  });
  const passkey = named(form, "passkey-alone");
  passkey.addEventListener("click", async () => {
    if (form.getAttribute("aria-busy") === "true") return;
    form.setAttribute("aria-busy", "true");
    clearError(form);
    try {
      await signInByPasskey();
      form.reset();
      await entered();
    } catch (error) {
      showError(form, sentence(error), error instanceof Refused ? error.hint : "");
    } finally {
      form.removeAttribute("aria-busy");
    }
  });
  begin.set(form, () => {
    step.end();
    form.hidden = false;
    form.reset();
    clearError(form);
  });
}

/** What lets each such form begin anew. @type {WeakMap<HTMLFormElement, () => void>} */
const begin = new WeakMap();

/** @param {HTMLFormElement} form @returns {Promise<string>} the API token */
async function firstPassword(form) {
  try {
    return (await setUp(value(form, "password"), value(form, "setup_code"))).api_token;
  } catch (error) {
    if (error instanceof Refused && error.field === "setup_code") {
      // The link's code is good once: the printed one is asked for.
      broughtCode = false;
      named(document, "setup-code-field").hidden = false;
    }
    throw error;
  }
}

/** Take the setup code out of the address, before anything can see it there, and remember it for the one form. */
export function takeSetupCode() {
  const code = location.hash.match(/^#setup=([A-Za-z0-9-]{1,64})$/)?.[1];
  if (!code) return;
  history.replaceState(null, "", location.pathname + location.search);
  const form = named(document, "setup-form", HTMLFormElement);
  /** @type {HTMLInputElement} */ (form.elements.namedItem("setup_code")).value = code;
  named(document, "setup-code-field").hidden = true;
  broughtCode = true;
}

/** Show the form that fits: no password yet, or not signed in. @param {import("../shared/api.js").AuthStatus} status */
export function showEntry(status) {
  named(document, "setup-code-field").hidden = broughtCode || !status.setup_code_required;
  const form = named(document, "sign-in-form", HTMLFormElement);
  begin.get(form)?.();
  offerPasskey(form, status);
  showView(status.setup_done ? "sign-in" : "setup");
}

/** @type {Promise<void> | null} */
let again = null;

/** Ask for the password over the page, so that forms and terminals stay as they are. @returns {Promise<void>} */
export function signInAgain() {
  again ??= new Promise((resolve) => {
    const element = dialog("sign-in-again");
    const form = named(element, "again-form", HTMLFormElement);
    begin.get(form)?.();
    element.showModal();
    // Where nobody answers, the password is asked for all the same.
    void authStatus().then((status) => offerPasskey(form, status), () => {});
    element.addEventListener("close", () => {
      again = null;
      resolve();
    }, { once: true });
  });
  return again;
}

/** Close that question where another tab has answered it; tell whether it stood here. */
export function isSignedInAgain() {
  if (!again) return false;
  dialog("sign-in-again").close();
  return true;
}

/** Wire the dialog of signInAgain; it closes only when the reader is in. @param {() => void} entered */
export function wireSignInAgain(entered) {
  const element = dialog("sign-in-again");
  element.addEventListener("cancel", (event) => event.preventDefault());
  // A second Escape closes a dialog whatever `cancel` says; without a session there is nothing to go back to.
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") event.preventDefault();
  });
  const form = named(element, "again-form", HTMLFormElement);
  wirePassword(form, () => {
    element.close();
    entered();
  });
  // What was typed last is not there to be read.
  element.addEventListener("close", () => begin.get(form)?.());
}
