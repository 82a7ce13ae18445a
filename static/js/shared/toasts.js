/** Owns the short notices in the corner: said politely, kept while they are read, errors until they are closed. */

import { Refused, ServerAway } from "./api.js";
import { copyOf, named, setIcon } from "./elements.js";
import { t, translate } from "./messages.js";

const STAYS = 6000;
const LIMIT = 4;
const container = named(document, "toasts");

/** Say that something worked. @param {string} text */
export function say(text) {
  show(text, "", false);
}

/** Say what cannot be. @param {string} text */
export function refuse(text) {
  show(text, "", true);
}

/** Say what went wrong and what helps. @param {unknown} error */
export function complain(error) {
  if (error instanceof ServerAway) return; // the banner over the page says so already
  show(sentence(error), error instanceof Refused ? error.hint : "", true);
}

/** Return the words for an error; one that is not the server's is a mistake of ours and goes on. @param {unknown} error */
export function sentence(error) {
  if (error instanceof ServerAway) return t("server_away");
  if (!(error instanceof Refused)) throw error;
  if (error.status === 429 && error.retryAfter) {
    return t("too_many", { count: Math.max(1, Math.ceil(error.retryAfter / 60)) });
  }
  const words = error.message;
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {string} text @param {string} hint @param {boolean} bad */
function show(text, hint, bad) {
  const toast = copyOf("toast");
  translate(toast);
  toast.classList.toggle("bad", bad);
  toast.setAttribute("role", bad ? "alert" : "status");
  setIcon(toast, bad ? "needs_login" : "valid");
  const words = /** @type {HTMLElement} */ (toast.querySelector("p"));
  // The live region must be in the page before its words are.
  atTheTop().append(toast);
  words.append(text);
  if (hint) {
    const line = document.createElement("span");
    line.className = "hint";
    line.textContent = hint;
    words.append(line);
  }
  toast.querySelector("button")?.addEventListener("click", () => toast.remove());
  while (container.children.length > LIMIT) container.firstElementChild?.remove();
  if (!bad) leaveAfterAWhile(toast);
}

/** @param {HTMLElement} toast */
function leaveAfterAWhile(toast) {
  let timer = setTimeout(() => toast.remove(), STAYS);
  for (const event of ["pointerenter", "focusin"]) toast.addEventListener(event, () => clearTimeout(timer));
  for (const event of ["pointerleave", "focusout"]) {
    toast.addEventListener(event, () => {
      clearTimeout(timer);
      timer = setTimeout(() => toast.remove(), STAYS);
    });
  }
}

/** Everything under an open dialog is out of reach, so notices go into the topmost one. */
function atTheTop() {
  const open = /** @type {NodeListOf<HTMLDialogElement>} */ (document.querySelectorAll("dialog[open]"));
  const top = open[open.length - 1];
  const parent = top ?? document.body;
  if (container.parentElement !== parent) {
    parent.append(container);
    top?.addEventListener("close", () => document.body.append(container), { once: true });
  }
  return container;
}
