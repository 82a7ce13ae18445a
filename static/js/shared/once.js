/** Owns the one place where a secret is shown, this once: kept in sight until the reader says that it is kept. */

import { copy } from "./clipboard.js";
import { dialog, openDialog } from "./dialog.js";
import { download, named } from "./elements.js";
import { dateTime, t } from "./messages.js";

/** @typedef {{title: string, intro: string, text: string, file: string}} Secret */

const KEPT = "kept";
/** @type {Secret | null} */
let shown = null;
let settle = () => {};

/** Show a secret and return once the reader has kept it; nothing of it is in the page then. @param {Secret} secret @returns {Promise<void>} */
export function showOnce(secret) {
  const element = openDialog("shown-once");
  shown = secret;
  named(element, "title").textContent = secret.title;
  named(element, "once-intro").textContent = secret.intro;
  named(element, "once-place").textContent = `${location.host} · ${dateTime(Date.now())}`;
  named(element, "once-text").textContent = secret.text;
  named(element, "once-note").hidden = true;
  return new Promise((resolve) => {
    settle = resolve;
  });
}

/** Wire that dialog. */
export function wireOnce() {
  const element = dialog("shown-once");
  named(element, "copy-once").addEventListener("click", () => void copy(shown?.text ?? ""));
  named(element, "download-once").addEventListener("click", () => {
    if (shown) download(shown.file, `${shown.title}\n${named(element, "once-place").textContent}\n\n${shown.text}\n`, "text/plain");
  });
  named(element, "print-once").addEventListener("click", () => print());
  named(element, "kept").addEventListener("click", () => {
    forget(element);
    element.close(KEPT);
  });
  // Escape would lose what cannot be shown again; a second one closes a dialog whatever `cancel` says.
  element.addEventListener("cancel", insist);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") insist(event);
  });
  element.addEventListener("close", () => {
    if (element.returnValue === KEPT) return settle();
    // A phone's gesture for "back" asks nobody.
    if (shown && !element.open) element.showModal();
  });
}

/** @param {Event} event */
function insist(event) {
  event.preventDefault();
  const note = named(dialog("shown-once"), "once-note");
  note.hidden = false;
  note.textContent = t("once_keep");
  named(dialog("shown-once"), "kept").focus();
  note.scrollIntoView({ block: "nearest" });
}

/** @param {HTMLElement} element */
function forget(element) {
  shown = null;
  for (const name of ["title", "once-intro", "once-text", "once-note"]) named(element, name).textContent = "";
}
