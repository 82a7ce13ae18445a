/** Owns the words of the page: the catalogue of its language, numbers and moments in that language. */

import { request } from "./api.js";
import { language, preferLanguage, preferredLanguage, setLanguage } from "./language.js";

/** @type {Record<string, string | Record<string, string>>} */
let catalogue = {};
/** @type {Set<() => void>} */
const listeners = new Set();

/** Call back after each change of language. @param {() => void} listener */
export function onLanguage(listener) {
  listeners.add(listener);
}

/** Load the catalogue of the reader's language. */
export async function loadLanguage() {
  await speak(preferredLanguage());
}

/** Change the language of the page and remember the choice. @param {string} code */
export async function chooseLanguage(code) {
  preferLanguage(code);
  await speak(code);
}

/** @param {string} code */
async function speak(code) {
  catalogue = await request("GET", `/static/locales/${code}.json`);
  setLanguage(code);
  translate(document);
  for (const template of document.querySelectorAll("template")) translate(template.content);
  for (const listener of listeners) listener();
}

/**
 * Return the sentence of that name with its {places} filled; `count` chooses between its plural forms.
 * @param {string} key @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const entry = catalogue[key];
  let text = key;
  if (typeof entry === "string") text = entry;
  else if (entry) text = entry[new Intl.PluralRules(language()).select(Number(values.count))] ?? entry.other ?? key;
  return text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));
}

/** Fill in every `data-text`, `data-label` and `data-placeholder` below `root`. @param {ParentNode} root */
export function translate(root) {
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-text]"))) {
    element.textContent = t(element.dataset.text ?? "");
  }
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-label]"))) {
    const words = t(element.dataset.label ?? "");
    element.setAttribute("aria-label", words);
    if (element instanceof HTMLButtonElement) element.title = words;
  }
  for (const element of /** @type {NodeListOf<HTMLInputElement>} */ (root.querySelectorAll("[data-placeholder]"))) {
    element.placeholder = t(element.dataset.placeholder ?? "");
  }
}

/** @param {number} value @param {string} unit */
const unit = (value, unit) => new Intl.NumberFormat(language(), { style: "unit", unit, unitDisplay: "short" }).format(value);

/** Return a length of time in its two largest units, seconds only within the last hour. @param {number} milliseconds */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days) return `${unit(days, "day")} ${unit(hours, "hour")}`;
  if (hours) return `${unit(hours, "hour")} ${unit(minutes, "minute")}`;
  if (minutes) return `${unit(minutes, "minute")} ${unit(seconds % 60, "second")}`;
  return unit(seconds, "second");
}

/** Return how long ago a moment was, in words. @param {number} milliseconds */
export function ago(milliseconds) {
  const words = new Intl.RelativeTimeFormat(language(), { numeric: "auto" });
  const minutes = Math.floor(milliseconds / 60000);
  if (minutes < 1) return t("just_now");
  if (minutes < 60) return words.format(-minutes, "minute");
  if (minutes < 1440) return words.format(-Math.floor(minutes / 60), "hour");
  return words.format(-Math.floor(minutes / 1440), "day");
}

/** @param {number} moment epoch milliseconds */
export const dateTime = (moment) => new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "short" }).format(moment);

/** @param {number} moment epoch milliseconds */
export const clock = (moment) => new Intl.DateTimeFormat(language(), { timeStyle: "short" }).format(moment);

/** @param {string[]} names */
export const list = (names) => new Intl.ListFormat(language()).format(names);
