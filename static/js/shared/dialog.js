/** Owns opening and closing dialogs; the browser itself keeps the focus inside and gives it back. */

import { named } from "./elements.js";
import { t } from "./messages.js";

/** Return the dialog of that name. @param {string} name @returns {HTMLDialogElement} */
export function dialog(name) {
  return /** @type {HTMLDialogElement} */ (document.querySelector(`dialog[data-name="${name}"]`));
}

/**
 * What the last opening of each dialog ends with. The browser tells of an end late: the dialog may be open again by
 * then, and what waits for the second answer must not take the first one's.
 * @type {WeakMap<HTMLDialogElement, {answer: Promise<string>, settle: () => void}>}
 */
const openings = new WeakMap();

/** Open the dialog over the page and return it. @param {string} name */
export function openDialog(name) {
  const element = dialog(name);
  if (element.open) return element;
  const opener = document.activeElement;
  openings.get(element)?.settle();
  element.returnValue = "";
  element.showModal();
  void begin(element).then(() => giveFocusBack(opener));
  return element;
}

/** Return what the dialog, which is open, will be closed with: empty for Escape. @param {HTMLDialogElement} element */
export function closed(element) {
  return openings.get(element)?.answer ?? Promise.resolve("");
}

/** @param {HTMLDialogElement} element */
function begin(element) {
  let settle = () => {};
  const answer = /** @type {Promise<string>} */ (new Promise((resolve) => {
    settle = () => {
      element.removeEventListener("close", onClose);
      resolve(element.returnValue);
    };
    const onClose = () => {
      if (!element.open) settle();
    };
    element.addEventListener("close", onClose);
  }));
  openings.set(element, { answer, settle });
  return answer;
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
export async function confirmed(title, text, yes) {
  const element = openDialog("confirm");
  named(element, "title").textContent = title;
  named(element, "text").textContent = text;
  named(element, "yes").textContent = yes;
  return (await closed(element)) === "yes";
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
