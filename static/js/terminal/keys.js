/** Owns the keys that mean something else in a browser than in a terminal. */

import { copied } from "../shared/clipboard.js";

/** @typedef {import("./screen.js").Screen} Screen */

/** What Claude Code takes for a new line that does not send. */
const NEW_LINE = "\x1b\r";

/**
 * Return whether the terminal shall handle the key.
 * @param {KeyboardEvent} event @param {Screen} screen
 */
export function onKey(event, screen) {
  const { terminal } = screen;
  const letter = event.key.toLowerCase();
  const command = event.ctrlKey && !event.altKey && !event.metaKey;
  if (event.key === "Enter" && event.shiftKey && !event.ctrlKey && !event.altKey) {
    if (event.type === "keydown") terminal.input(NEW_LINE);
    event.preventDefault();
    return false;
  }
  if (command && event.key === "Escape") return false;
  if (event.type !== "keydown" || !command) return true;
  if (letter === "v") return false; // the browser then pastes, and onPaste looks at what
  if (letter === "f" && event.shiftKey) {
    event.preventDefault();
    screen.place.dispatchEvent(new CustomEvent("search-wanted", { bubbles: true }));
    return false;
  }
  if (letter === "c" && (event.shiftKey || terminal.hasSelection())) {
    event.preventDefault();
    if (terminal.hasSelection()) void copied(terminal.getSelection());
    terminal.clearSelection();
    screen.focus();
    return false;
  }
  return true;
}

/** The keys that a phone does not have; arrows depend on the mode the program asked for. */
export const PHONE_KEYS = [
  { name: "esc", shows: "Esc", data: () => "\x1b" },
  { name: "tab", shows: "Tab", data: () => "\t" },
  { name: "shift_tab", shows: "Shift Tab", data: () => "\x1b[Z" },
  { name: "control", shows: "Ctrl", data: () => "" },
  { name: "up", shows: "↑", data: arrow("A") },
  { name: "down", shows: "↓", data: arrow("B") },
  { name: "left", shows: "←", data: arrow("D") },
  { name: "right", shows: "→", data: arrow("C") },
  { name: "slash", shows: "/", data: () => "/" },
  { name: "at", shows: "@", data: () => "@" },
  { name: "interrupt", shows: "^C", data: () => "\x03" },
  { name: "enter", shows: "⏎", data: () => "\r" },
];

/** @param {string} letter */
function arrow(letter) {
  /** @param {Screen} screen */
  return (screen) => (screen.terminal.modes.applicationCursorKeysMode ? `\x1bO${letter}` : `\x1b[${letter}`);
}
