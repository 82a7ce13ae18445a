/** Owns the quiet line that says until when the last proof is good, in every tab alike. */

import { named, setText } from "./elements.js";
import { clock, onLanguage, t } from "./messages.js";

const NAME = "unlocked-until";
let until = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** Note for how long from now on no proof is asked for; 0 ends it. @param {number} seconds */
export function noteUnlocked(seconds) {
  until = seconds > 0 ? Date.now() + seconds * 1000 : 0;
  try {
    localStorage.setItem(NAME, String(until));
  } catch {
    // Without storage this tab alone shows it.
  }
  show();
}

/** Tell whether a proof is still good, as far as this browser knows. */
export const isUnlocked = () => Date.now() < until;

/** Wire the line and its button. @param {() => void} lock asks the server for the end of it */
export function wireUnlocked(lock) {
  named(document, "lock-now").addEventListener("click", lock);
  addEventListener("storage", (event) => {
    if (event.key !== NAME) return;
    until = Number(event.newValue) || 0;
    show();
  });
  onLanguage(show);
}

function show() {
  clearTimeout(timer);
  const left = until - Date.now();
  const line = named(document, "unlocked");
  line.hidden = left <= 0;
  if (left <= 0) return;
  setText(named(line, "unlocked-text"), t("unlocked_until", { time: clock(until) }));
  timer = setTimeout(show, left);
}
