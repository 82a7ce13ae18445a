/** Owns the bar above the terminals and the keys below: search, font size, full screen, options, a phone's keys. */

import { named } from "../shared/elements.js";
import { translate } from "../shared/messages.js";
import { PHONE_KEYS } from "./keys.js";
import { changeFont, isOn, turn } from "./options.js";
import { paste } from "./paste.js";

/** @typedef {import("./screen.js").Screen} Screen */

/** @param {HTMLElement} view @param {() => Screen | null} current */
export function wireTools(view, current) {
  named(view, "smaller").addEventListener("click", () => changeFont(-1));
  named(view, "larger").addEventListener("click", () => changeFont(1));
  named(view, "full-screen").addEventListener("click", async () => {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await view.requestFullscreen();
    current()?.focus();
  });
  named(view, "terminal-menu").addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "closed") current()?.focus();
  });
  wireSearch(view, current);
  wireOptions(view);
  wirePhoneKeys(view, current);
}

/** @param {HTMLElement} view @param {() => Screen | null} current */
function wireSearch(view, current) {
  const bar = named(view, "search-bar");
  const input = named(bar, "terminal-search", HTMLInputElement);
  const toggle = () => {
    bar.hidden = !bar.hidden;
    if (bar.hidden) return done();
    input.focus();
    input.select();
  };
  const done = () => {
    bar.hidden = true;
    current()?.searching.clearDecorations();
    current()?.focus();
  };
  /** @param {boolean} back */
  const find = (back) => {
    const search = current()?.searching;
    if (!input.value) search?.clearDecorations();
    else if (back) search?.findPrevious(input.value);
    else search?.findNext(input.value);
  };
  named(view, "find").addEventListener("click", toggle);
  view.addEventListener("search-wanted", toggle);
  input.addEventListener("input", () => find(true));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") find(!event.shiftKey);
    else if (event.key === "Escape" && !event.ctrlKey) done();
    else return;
    event.preventDefault();
  });
  named(bar, "find-up").addEventListener("click", () => find(true));
  named(bar, "find-down").addEventListener("click", () => find(false));
  named(bar, "find-close").addEventListener("click", done);
}

/** @param {HTMLElement} view */
function wireOptions(view) {
  for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (view.querySelectorAll("[data-option]"))) {
    const option = /** @type {import("./options.js").Option} */ (box.dataset.option);
    box.checked = isOn(option);
    box.addEventListener("change", async () => {
      // A browser may only be asked for notifications on a click, and the answer may be no.
      if (option === "notify" && box.checked) box.checked = "Notification" in window && (await Notification.requestPermission()) === "granted";
      turn(option, box.checked);
    });
  }
}

/** @param {HTMLElement} view @param {() => Screen | null} current */
function wirePhoneKeys(view, current) {
  const row = named(view, "phone-keys");
  const pasting = named(row, "phone-paste");
  for (const key of PHONE_KEYS) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    button.textContent = key.shows;
    button.dataset.key = key.name;
    // A sign that is no word needs one.
    if (/[←-⏎]/.test(key.shows)) button.dataset.label = `phone_${key.name}`;
    // The phone's keyboard stays where it is as long as the terminal keeps the focus.
    button.addEventListener("pointerdown", (event) => event.preventDefault());
    button.addEventListener("click", () => {
      const screen = current();
      if (!screen) return;
      if (key.name === "control") {
        screen.control = !screen.control;
        button.setAttribute("aria-pressed", String(screen.control));
      } else screen.terminal.input(key.data(screen));
    });
    if (key.name === "control") {
      button.setAttribute("aria-pressed", "false");
      view.addEventListener("control-used", () => button.setAttribute("aria-pressed", "false"));
    }
    pasting.before(button);
  }
  translate(row);
  pasting.hidden = !navigator.clipboard?.readText;
  pasting.addEventListener("click", async () => {
    const screen = current();
    if (screen) await paste(screen, await navigator.clipboard.readText());
  });
}
