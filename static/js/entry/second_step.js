/** Owns the second step of a sign-in: a code of the app, a passkey or a recovery code, in place of the password's form. */

import { Refused, secondStep, signInOptions } from "../shared/api.js";
import { copyOf, named } from "../shared/elements.js";
import { clearError, onSubmit, showError, value } from "../shared/forms.js";
import { onLanguage, t } from "../shared/messages.js";
import { passkeysWork, usePasskey } from "../shared/passkeys.js";
import { say } from "../shared/toasts.js";

/** As the server names the ways. @typedef {"totp" | "passkey" | "recovery_code"} Way */
/** @typedef {{ask: (refusal: Refused) => void, end: () => void}} Step */

/**
 * Put the second step into `place`.
 * @param {HTMLElement} place
 * @param {{entered: () => Promise<void> | void, back: (error?: Refused) => void}} handlers entered: the reader is in; back: to the password, perhaps with what went wrong
 * @returns {Step}
 */
export function secondStepIn(place, { entered, back }) {
  const form = /** @type {HTMLFormElement} */ (copyOf("second-step"));
  place.append(form);
  /** @type {string[]} */
  let ways = [];
  /** @type {Way} */
  let way = "totp";
  let pending = "";
  // Whether the form is being sent with a passkey, whatever is typed.
  let byPasskey = false;

  /** @param {Way} wanted */
  function show(wanted) {
    way = wanted;
    clearError(form);
    dress(form, way, ways);
    focusOn(form, way);
  }

  function end() {
    pending = "";
    form.reset();
    place.hidden = true;
  }

  async function sendPasskey() {
    const { options } = await signInOptions(pending);
    await secondStep(pending, { passkey: await usePasskey(options) });
    end();
    await entered();
  }

  async function sendCode() {
    const code = value(form, "code").trim();
    if (!code) return showError(form, t("missing", { field: codeName(way) }), "", "code");
    const spends = way === "recovery_code";
    const { recovery_left: left } = await secondStep(pending, { [way]: code });
    end();
    await entered();
    if (spends) say(t("recovery_used", { count: left ?? 0 }));
  }

  onSubmit(form, async () => {
    try {
      await (byPasskey || way === "passkey" ? sendPasskey() : sendCode());
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (isOver(error)) {
        end();
        return back(error);
      }
      // Whichever code it was, it stands in the one field there is, to be typed over.
      error.field = ["totp", "recovery_code"].includes(error.field) ? "code" : "";
      if (error.field) codeOf(form).select();
      throw error;
    }
  });
  named(form, "use-passkey").addEventListener("click", () => {
    byPasskey = true;
    form.requestSubmit();
    byPasskey = false;
  });
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-use]"))) {
    button.addEventListener("click", () => {
      form.reset();
      show(/** @type {Way} */ (button.dataset.use));
    });
  }
  named(form, "step-back").addEventListener("click", () => {
    end();
    back();
  });
  onLanguage(() => dress(form, way, ways));

  return {
    end,
    ask(refusal) {
      pending = refusal.pending;
      ways = (refusal.ways ?? []).filter((one) => one !== "passkey" || passkeysWork());
      form.reset();
      place.hidden = false;
      show(ways.includes("totp") ? "totp" : ways.includes("passkey") ? "passkey" : "recovery_code");
      if (ways.length) return;
      showError(form, t("second_none"), refusal.hint);
      named(form, "step-back").focus();
    },
  };
}

/** Sign in with a passkey alone. */
export async function signInByPasskey() {
  const { pending, options } = await signInOptions("");
  await secondStep(pending, { passkey: await usePasskey(options) });
}

/** Show the button of signInByPasskey where it can be of use. @param {ParentNode} form @param {import("../shared/api.js").AuthStatus} status */
export function offerPasskey(form, status) {
  named(form, "passkey-alone").hidden = !(status.passkeys && passkeysWork());
}

/** Tell whether this sign-in waits no longer. @param {Refused} error */
const isOver = (error) => error.status === 401 && !error.field;

/** @param {HTMLFormElement} form @param {Way} way @param {string[]} ways */
function dress(form, way, ways) {
  const typed = way !== "passkey" && ways.length > 0;
  const field = codeOf(form);
  named(form, "step-intro").textContent = ways.length ? t(`second_${way}`) : "";
  named(form, "code-label").textContent = codeName(way);
  named(form, "code-field").hidden = named(form, "send-code").hidden = !typed;
  field.inputMode = way === "totp" ? "numeric" : "text";
  field.autocomplete = way === "totp" ? "one-time-code" : "off";
  const passkey = named(form, "use-passkey");
  passkey.hidden = !ways.includes("passkey");
  passkey.classList.toggle("primary", !typed);
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-use]"))) {
    button.hidden = button.dataset.use === way || !ways.includes(button.dataset.use ?? "");
  }
}

/** @param {HTMLFormElement} form @param {Way} way */
function focusOn(form, way) {
  if (way === "passkey") named(form, "use-passkey").focus();
  else codeOf(form).focus();
}

/** @param {Way} way */
const codeName = (way) => t(way === "recovery_code" ? "recovery_code" : "totp_code");

/** @param {HTMLFormElement} form */
const codeOf = (form) => /** @type {HTMLInputElement} */ (form.elements.namedItem("code"));
