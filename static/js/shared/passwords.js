/** Owns what a new password must be, and the meter that says how strong one is. */

import { named } from "./elements.js";
import { showError, value } from "./forms.js";
import { onLanguage, t } from "./messages.js";

const MINIMUM = 10;

/** Refuse a short password before the server has to. @param {HTMLFormElement} form @param {string} field */
export function longEnough(form, field) {
  if ([...value(form, field)].length >= MINIMUM) return true;
  showError(form, t("password_short", { count: MINIMUM }), "", field);
  return false;
}

/** Wire every meter of strength to its field. */
export function wireStrength() {
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
function strength(password) {
  const characters = [...password];
  if (characters.length < MINIMUM) return 0;
  const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\d/, /[^\p{L}\d]/u].filter((kind) => kind.test(password)).length;
  const variety = new Set(characters).size;
  if (variety < 5) return 1;
  const bits = Math.min(characters.length, variety * 1.5) * (1 + kinds);
  return bits < 28 ? 1 : bits < 40 ? 2 : bits < 60 ? 3 : 4;
}
