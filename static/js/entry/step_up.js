/** Owns the question that stands before what shows, exports or destroys credentials: the password once more. */

import { request } from "../shared/api.js";
import { closed, dialog, openDialog } from "../shared/dialog.js";
import { clearError, onSubmit, value } from "../shared/forms.js";
import { isUnlocked } from "../shared/unlocked.js";

const PROVEN = "proven";
const element = dialog("step-up");
const form = /** @type {HTMLFormElement} */ (element.querySelector("form"));
/** @type {Promise<boolean> | null} */
let asking = null;

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
  clearError(form);
  openDialog("step-up");
  return (await closed(element)) === PROVEN;
}

/** Wire the dialog of proveAgain. */
export function wireStepUp() {
  onSubmit(form, async () => {
    await request("POST", "/api/auth/step-up", { password: value(form, "password") });
    element.close(PROVEN);
  });
  element.addEventListener("close", () => form.reset());
}
