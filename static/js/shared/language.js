/** Owns which language the page speaks: the one chosen here before, else the browser's first that we speak. It knows no words. */

import { keep, kept } from "./kept.js";

const LANGUAGES = ["en", "fr"];
let current = document.documentElement.lang === "fr" ? "fr" : "en";

export const language = () => current;

/** Return the language to begin with. */
export function preferredLanguage() {
  const wanted = kept("language") || navigator.languages.map((code) => code.slice(0, 2)).find((code) => LANGUAGES.includes(code));
  return wanted && LANGUAGES.includes(wanted) ? wanted : "en";
}

/** Remember the reader's choice for the next visit. @param {string} code */
export function preferLanguage(code) {
  keep("language", code);
}

/** Say that the page is in this language from now on. @param {string} code */
export function setLanguage(code) {
  current = code;
  document.documentElement.lang = code;
}
