/** Owns signing an account in through a terminal: the address as a button, the code as a field, the terminal behind. */

import { named } from "../shared/elements.js";
import { t } from "../shared/messages.js";

/** @typedef {import("./pane.js").Pane} Pane */

/** Wire the login part of a pane. @param {Pane} pane */
export function wireLogin(pane) {
  const part = named(pane.element, "login");
  const form = named(part, "code-form", HTMLFormElement);
  const code = named(part, "code", HTMLInputElement);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!code.value.trim()) return code.focus();
    pane.send(`${code.value.trim()}\r`);
    code.value = "";
    named(part, "login-state").textContent = t("login_checking");
  });
  named(part, "show-terminal").addEventListener("click", () => {
    part.hidden = true;
    pane.screen?.fit();
    pane.screen?.focus();
  });
  named(part, "cancel-login").addEventListener("click", () => pane.stop());
}

/** Show the login part, waiting for the address. @param {Pane} pane */
export function showLogin(pane) {
  const part = named(pane.element, "login");
  part.hidden = false;
  named(part, "login-title").textContent = t("login_one", { name: pane.name });
  named(part, "login-state").textContent = t("login_starting");
  named(part, "code-form").hidden = true;
  named(part, "login-open").hidden = true;
}

/** The address has come. @param {Pane} pane @param {string} url */
export function showAddress(pane, url) {
  // It came out of a terminal: only the web may be opened.
  if (!/^https:\/\//.test(url)) return;
  const part = named(pane.element, "login");
  const link = named(part, "login-open", HTMLAnchorElement);
  link.href = url;
  link.hidden = false;
  named(part, "code-form").hidden = false;
  named(part, "login-state").textContent = t("login_open_note");
  link.focus();
}
