/** Owns opening and closing dialogs; the browser itself keeps the focus inside and gives it back. */

import { named } from "../elements.js";
import { t } from "../messages.js";

/** Return the dialog of that name. @param {string} name @returns {HTMLDialogElement} */
export function dialog(name) {
  return /** @type {HTMLDialogElement} */ (document.querySelector(`dialog[data-name="${name}"]`));
}

/** Open the dialog over the page and return it. @param {string} name */
export function openDialog(name) {
  const element = dialog(name);
  const opener = document.activeElement;
  if (!element.open) element.showModal();
  element.addEventListener("close", () => giveFocusBack(opener), { once: true });
  return element;
}

/** Return whether any dialog is open. */
export const isDialogOpen = () => document.querySelector("dialog[open]") !== null;

/** Wire every button that closes the dialog it stands in. */
export function wireDialogs() {
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog")?.close());
  }
}

/**
 * Ask a question and return whether it was answered with yes.
 * @param {string} title @param {string} text @param {string} yes
 * @returns {Promise<boolean>}
 */
export function confirmed(title, text, yes) {
  const element = openDialog("confirm");
  element.returnValue = "no";
  named(element, "title").textContent = title;
  named(element, "text").textContent = text;
  named(element, "yes").textContent = yes;
  return new Promise((resolve) => {
    element.addEventListener("close", () => resolve(element.returnValue === "yes"), { once: true });
  });
}

/** @param {HTMLElement} element @param {string} name */
export function setTitle(element, name, values = {}) {
  named(element, "title").textContent = t(name, values);
}

/** What opened the dialog may be gone with the account it belonged to. @param {Element | null} opener */
function giveFocusBack(opener) {
  if (opener instanceof HTMLElement && opener.isConnected && opener.offsetParent) return;
  if (document.querySelector("dialog[open]")) return;
  /** @type {HTMLElement | null} */ (document.querySelector("[data-view='dashboard']:not([hidden]) main"))?.focus({ preventScroll: true });
}
