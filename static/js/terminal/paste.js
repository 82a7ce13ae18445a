/** Owns pasting and dropping: control characters taken out, many lines asked about, pictures handed on as files. */

import { confirmed } from "../shared/dialog.js";
import { t } from "../shared/messages.js";
import { complain, refuse } from "../shared/toasts.js";

/** @typedef {import("./screen.js").Screen} Screen */

/** So many characters are asked about even where a program takes a paste as one piece. */
const LONG = 20_000;
/** What the server takes. */
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const LARGEST_PICTURE = 20 * 1024 * 1024;

/** @param {HTMLElement} place @param {Screen} screen */
export function onPaste(place, screen) {
  // Before the emulator sees it: it would let an end-of-paste mark inside the text through.
  place.addEventListener("paste", (event) => {
    event.preventDefault();
    event.stopPropagation();
    void take(screen, event.clipboardData);
  }, { capture: true });
  place.addEventListener("dragover", (event) => event.preventDefault());
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    void take(screen, event.dataTransfer);
  });
}

/** Text is pasted; files are handed on, and what comes back are paths. @param {Screen} screen @param {DataTransfer | null} data */
async function take(screen, data) {
  const text = data?.getData("text/plain") ?? "";
  if (text) return paste(screen, text);
  const files = [...(data?.files ?? [])];
  if (!files.length) return;
  const pictures = files.filter((file) => PICTURES.includes(file.type));
  if (pictures.length < files.length) refuse(t("only_pictures"));
  for (const picture of pictures) {
    if (picture.size > LARGEST_PICTURE) refuse(t("picture_too_large", { name: picture.name }));
    else await keep(screen, picture);
  }
}

/** @param {Screen} screen @param {File} picture */
async function keep(screen, picture) {
  try {
    const path = await screen.out.picture(picture);
    if (!path) return;
    // As a terminal types the path of a file that is dropped on it.
    screen.terminal.paste(path.replace(/[^\w@%+=:,./-]/g, "\\$&") + " ");
    screen.focus();
  } catch (error) {
    complain(error);
  }
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
