/** Owns what this browser remembers between visits: tastes only, never a token, a name or a credential. */

/** @typedef {"theme" | "language" | "layout" | "single-keys" | "terminal-font" | "terminal-options"} Taste */

/** Return what was kept, "" for nothing or where storage is switched off. @param {Taste} name */
export function kept(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

/** @param {Taste} name @param {string} value */
export function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // A browser that keeps nothing still works; the choice lasts until the page is closed.
  }
}
