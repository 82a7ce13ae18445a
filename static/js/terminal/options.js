/** Owns what the reader chose for all terminals: font size, screen reader, copying, notifications. */

import { keep, kept } from "../shared/kept.js";

const SMALLEST = 9;
const LARGEST = 28;
const USUAL = 14;
/** @typedef {"reader" | "copy-selection" | "notify" | "plain"} Option */
/** @type {Set<() => void>} */
const listeners = new Set();

/** @param {() => void} listener */
export function onOptions(listener) {
  listeners.add(listener);
}

export const fontSize = () => Math.min(LARGEST, Math.max(SMALLEST, Number(kept("terminal-font")) || USUAL));

/** @param {number} step */
export function changeFont(step) {
  keep("terminal-font", String(Math.min(LARGEST, Math.max(SMALLEST, fontSize() + step))));
  for (const listener of listeners) listener();
}

/** @param {Option} option */
export const isOn = (option) => kept("terminal-options").split(" ").includes(option);

/** @param {Option} option @param {boolean} on */
export function turn(option, on) {
  const others = kept("terminal-options").split(" ").filter((one) => one && one !== option);
  keep("terminal-options", [...others, ...(on ? [option] : [])].join(" "));
  for (const listener of listeners) listener();
}
