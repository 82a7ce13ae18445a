/** Owns copying to the clipboard, where the browser allows it and where it does not. */

import { closed, dialog, openDialog } from "./dialog.js";
import { named } from "./elements.js";
import { t } from "./messages.js";
import { say } from "./toasts.js";

/** Copy the text and say so; where that is impossible, show it for copying by hand. @param {string} text @param {string} [said] */
export async function copy(text, said = t("copied")) {
  if (await copied(text)) return say(said);
  const place = named(openDialog("copy"), "text");
  place.textContent = text;
  await closed(dialog("copy"));
  // It may be a secret.
  place.textContent = "";
}

/** @param {string} text */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedTheOldWay(text);
  }
}

/** Plain HTTP from another machine has no clipboard API; this older way still works there. @param {string} text */
function copiedTheOldWay(text) {
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "heard-only";
  const dialogs = document.querySelectorAll("dialog[open]");
  (dialogs[dialogs.length - 1] ?? document.body).append(area);
  area.select();
  const worked = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return worked;
}
