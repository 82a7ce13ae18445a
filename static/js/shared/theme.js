/** Owns the choice between light, dark and the system's theme. */

import { keep, kept } from "./kept.js";

/** @type {Set<() => void>} */
const listeners = new Set();

/** Call back after each change of theme, the system's too. @param {() => void} listener */
export function onTheme(listener) {
  listeners.add(listener);
}

/** Return whether the page is dark now. */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** @param {HTMLSelectElement} select */
export function wireTheme(select) {
  select.value = kept("theme") || "auto";
  select.addEventListener("change", () => {
    keep("theme", select.value);
    if (select.value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = select.value;
    tell();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
}

function tell() {
  for (const listener of listeners) listener();
}
