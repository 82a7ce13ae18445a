/** Owns which view of the page is shown. */

/** Show one view of the page and hide the others. @param {string} name */
export function showView(name) {
  for (const view of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-view]"))) {
    view.hidden = view.dataset.view !== name;
  }
  const shown = /** @type {HTMLElement} */ (document.querySelector(`[data-view="${name}"]`));
  const first = name === "dashboard" ? "main" : "input:not([hidden]), h1[tabindex]";
  /** @type {HTMLElement | null} */ (shown.querySelector(first))?.focus({ preventScroll: true });
}
