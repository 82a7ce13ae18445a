/** Owns how a form is sent: one at a time, with its error beside it and the focus on the field it is about. */

import { Refused } from "./api.js";
import { named } from "./elements.js";
import { sentence } from "./toasts.js";

/**
 * Run `send` on submit; what it throws is shown in the form.
 * @param {HTMLFormElement} form @param {() => Promise<void>} send
 */
export function onSubmit(form, send) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    form.setAttribute("aria-busy", "true");
    clearError(form);
    try {
      await send();
    } catch (error) {
      showError(form, sentence(error), error instanceof Refused ? error.hint : "", error instanceof Refused ? error.field : "");
    } finally {
      form.removeAttribute("aria-busy");
    }
  });
}

/** @param {HTMLElement} form */
export function clearError(form) {
  named(form, "error").hidden = true;
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

/** @param {HTMLElement} form @param {string} text @param {string} [hint] @param {string} [field] */
export function showError(form, text, hint = "", field = "") {
  const place = named(form, "error");
  place.hidden = false;
  place.textContent = text;
  if (hint) {
    const line = document.createElement("span");
    line.className = "hint";
    line.textContent = hint;
    place.append(line);
  }
  const input = form instanceof HTMLFormElement && field ? form.elements.namedItem(field) : null;
  if (input instanceof HTMLInputElement && input.offsetParent) {
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }
  // On a phone the end of a form is out of sight, and a button that seems to do nothing is pressed again.
  place.scrollIntoView({ block: "nearest" });
}

/** Return what stands in the field of that name. @param {HTMLFormElement} form @param {string} name */
export function value(form, name) {
  const field = form.elements.namedItem(name);
  if (field instanceof HTMLInputElement || field instanceof RadioNodeList) return field.value;
  throw new Error(`no field named ${name}`);
}
