/** Owns the question that stands before what shows, exports or destroys credentials: the password once more, or a factor. */

import { listFactors, Refused, request, ServerAway } from "../shared/api.js";
import { closed, dialog, openDialog } from "../shared/dialog.js";
import { named } from "../shared/elements.js";
import { clearError, onSubmit, value } from "../shared/forms.js";
import { passkeysWork, usePasskey } from "../shared/passkeys.js";
import { isUnlocked } from "../shared/unlocked.js";

const PROVEN = "proven";
const element = dialog("step-up");
const form = /** @type {HTMLFormElement} */ (element.querySelector("form"));
/** @type {Promise<boolean> | null} */
let asking = null;
/** What is typed. @type {"password" | "totp"} */
let typed = "password";
// Whether the form is being sent with a passkey, whatever is typed.
let byPasskey = false;
/** @type {string[]} */
let ways = [];

/** Ask, once for all who wait, and return whether the proof was given. @returns {Promise<boolean>} */
export function proveAgain() {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

/** Ask only where the last proof is good no longer, and return whether there is one. */
export const proven = async () => isUnlocked() || (await proveAgain());

async function ask() {
  form.reset();
  ways = ["password"];
  show("password");
  openDialog("step-up");
  void findWays();
  return (await closed(element)) === PROVEN;
}

/** Offer the factors that are set, besides the password, which is there at once. */
async function findWays() {
  try {
    const { totp_since: totp, passkeys } = await listFactors();
    ways = ["password"];
    if (totp) ways.push("totp");
    if (passkeysWork() && passkeys.some((key) => key.origin === location.origin)) ways.push("passkey");
    dress();
  } catch (error) {
    // The password is enough.
    if (!(error instanceof Refused || error instanceof ServerAway)) throw error;
  }
}

/** @param {"password" | "totp"} wanted */
function show(wanted) {
  typed = wanted;
  clearError(form);
  dress();
  /** @type {HTMLInputElement} */ (form.elements.namedItem(typed)).focus();
}

function dress() {
  for (const field of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-way]"))) {
    field.hidden = field.dataset.way !== typed;
  }
  named(form, "other-ways").hidden = ways.length < 2;
  for (const button of uses()) {
    const use = button.dataset.use ?? "";
    button.hidden = !ways.includes(use) || use === typed;
  }
}

const uses = () => /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-use]"));

/** @returns {Promise<Record<string, unknown>>} */
async function proof() {
  if (!byPasskey) return { [typed]: value(form, typed) };
  const { options } = await request("POST", "/api/auth/step-up/passkey", {});
  return { passkey: await usePasskey(options) };
}

/** Wire the dialog of proveAgain. */
export function wireStepUp() {
  onSubmit(form, async () => {
    await request("POST", "/api/auth/step-up", await proof());
    element.close(PROVEN);
  });
  for (const button of uses()) {
    button.addEventListener("click", () => {
      if (button.dataset.use !== "passkey") return show(button.dataset.use === "totp" ? "totp" : "password");
      byPasskey = true;
      form.requestSubmit();
      byPasskey = false;
    });
  }
  element.addEventListener("close", () => form.reset());
}
