/** Owns one line of a list in a dialog: a title, a note, and what can be done with it. */

import { copyOf, named } from "./elements.js";
import { complain } from "./toasts.js";

/**
 * Return such a line.
 * @param {string} title @param {string} note
 * @param {{words: string, about?: string, act: () => Promise<void>}[]} acts about: what a screen reader hears in place of the words
 */
export function entry(title, note, acts) {
  const line = copyOf("entry");
  named(line, "entry-title").textContent = title;
  named(line, "entry-note").textContent = note;
  named(line, "entry-acts").append(...acts.map(button));
  return line;
}

/** @param {{words: string, about?: string, act: () => Promise<void>}} act */
function button({ words, about, act }) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button";
  made.textContent = words;
  if (about) made.setAttribute("aria-label", about);
  made.addEventListener("click", () => void act().catch(complain));
  return made;
}
