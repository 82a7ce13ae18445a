/** Owns the keyboard shortcuts: one table makes both the keys and the list of them. */

import { dialog, isDialogOpen, openDialog } from "../shared/dialog.js";
import { named } from "../shared/elements.js";
import { keep, kept } from "../shared/kept.js";
import { t } from "../shared/messages.js";

/** @typedef {{key: string, control?: boolean, words: string, run: () => void}} Shortcut */

/** @type {Shortcut[]} */
let table = [];

/** @param {Shortcut[]} shortcuts */
export function wireShortcuts(shortcuts) {
  table = shortcuts;
  document.addEventListener("keydown", (event) => {
    const shortcut = table.find((one) => matches(one, event));
    if (!shortcut) return;
    event.preventDefault();
    shortcut.run();
  }, { capture: true });
  const single = named(document, "single-keys", HTMLInputElement);
  single.checked = kept("single-keys") !== "off";
  single.addEventListener("change", () => keep("single-keys", single.checked ? "on" : "off"));
}

export function openShortcuts() {
  named(dialog("shortcuts"), "list").replaceChildren(
    ...table.flatMap(({ key, control, words }) => {
      const term = document.createElement("dt");
      for (const part of control ? [t("key_control"), key] : [key]) {
        const cap = document.createElement("kbd");
        cap.textContent = part === "Escape" ? t("key_escape") : part.toUpperCase();
        term.append(cap, " ");
      }
      const description = document.createElement("dd");
      description.textContent = t(words);
      return [term, description];
    }),
  );
  openDialog("shortcuts");
}

/** @param {Shortcut} shortcut @param {KeyboardEvent} event */
function matches(shortcut, event) {
  if (event.altKey || event.metaKey || event.isComposing) return false;
  if (shortcut.control) return event.ctrlKey && event.key === shortcut.key;
  if (event.ctrlKey || event.repeat || event.key.toLowerCase() !== shortcut.key) return false;
  return kept("single-keys") !== "off" && !isTyping(event.target) && !isDialogOpen() && dashboardShown();
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable], .xterm") !== null;
}

const dashboardShown = () => document.querySelector("[data-view='dashboard']:not([hidden])") !== null;
