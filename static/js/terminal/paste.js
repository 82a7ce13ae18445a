/** Owns pasting and dropping: control characters taken out, many lines asked about. */

import { confirmed } from "../dialogs/dialog.js";
import { t } from "../messages.js";

/** @typedef {import("./screen.js").Screen} Screen */

/** So many characters are asked about even where a program takes a paste as one piece. */
const LONG = 20_000;

/** @param {HTMLElement} place @param {Screen} screen */
export function onPaste(place, screen) {
  // Before the emulator sees it: it would let an end-of-paste mark inside the text through.
  place.addEventListener("paste", (event) => {
    event.preventDefault();
    event.stopPropagation();
    void paste(screen, event.clipboardData?.getData("text/plain") ?? "");
  }, { capture: true });
  place.addEventListener("dragover", (event) => event.preventDefault());
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    void paste(screen, event.dataTransfer?.getData("text/plain") ?? "");
  });
}

/** @param {Screen} screen @param {string} text */
export async function paste(screen, text) {
  const harmless = withoutControls(text);
  if (!harmless) return;
  const lines = harmless.trimEnd().split(/\r\n?|\n/).length;
  // Without bracketed paste every line but the last is carried out at once.
  const asks = (lines > 1 && !screen.terminal.modes.bracketedPasteMode) || harmless.length > LONG;
  if (asks && !(await confirmed(t("paste_title"), t("paste_ask", { count: lines }), t("paste")))) return;
  screen.terminal.paste(harmless);
  screen.focus();
}

/** Return the text without escape characters and other controls; tabs and line ends stay. @param {string} text */
export function withoutControls(text) {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]/g, "");
}
