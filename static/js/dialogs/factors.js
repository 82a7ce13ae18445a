/** Owns the factors beside the password: which are set, setting up an app or a passkey, recovery codes, removing. */

import { listFactors, request } from "../shared/api.js";
import { browserName } from "../shared/browsers.js";
import { copy } from "../shared/clipboard.js";
import { confirmed, dialog, openDialog } from "../shared/dialog.js";
import { named } from "../shared/elements.js";
import { entry } from "../shared/entries.js";
import { clearError, onSubmit, value } from "../shared/forms.js";
import { ago, dateTime, t } from "../shared/messages.js";
import { showOnce } from "../shared/once.js";
import { makePasskey, passkeysWork } from "../shared/passkeys.js";
import { complain, say } from "../shared/toasts.js";

/** @typedef {import("../shared/api.js").Passkey} Passkey */

const security = dialog("security");
const totp = dialog("totp");
const passkey = dialog("passkey");
// The secret of an app that is being set up, for copying.
let secret = "";

/** Show which factors are set. */
export async function showFactors() {
  try {
    const { totp_since: since, passkeys, recovery_left: left } = await listFactors();
    const any = since > 0 || passkeys.length > 0;
    named(security, "factors-intro").textContent = t(any ? "factors_some" : "factors_none");
    named(security, "passkey-place").hidden = passkeysWork();
    named(security, "add-passkey").hidden = !passkeysWork();
    named(security, "add-totp").hidden = since > 0;
    named(security, "factors").replaceChildren(...(since ? [appLine(since)] : []), ...passkeys.map(passkeyLine), ...(any ? [codesLine(left)] : []));
  } catch (error) {
    complain(error);
  }
}

/** @param {number} since */
function appLine(since) {
  return entry(t("totp_title"), t("factor_since", { since: dateTime(since) }), [
    { words: t("remove"), about: t("factor_remove", { name: t("totp_title") }), act: () => remove("/api/auth/factors/totp", t("totp_title")) },
  ]);
}

/** @param {Passkey} key */
function passkeyLine(key) {
  const note = t("passkey_note", {
    host: new URL(key.origin).host,
    since: dateTime(key.created_at),
    used: key.last_used_at ? ago(Math.max(0, Date.now() - key.last_used_at)) : t("never_used"),
  });
  return entry(key.name, note, [
    {
      words: t("remove"),
      about: t("factor_remove", { name: key.name }),
      act: () => remove(`/api/auth/factors/passkeys/${encodeURIComponent(key.id)}`, key.name),
    },
  ]);
}

/** @param {number} left */
const codesLine = (left) => entry(t("recovery_codes"), t("recovery_left", { count: left }), [{ words: t("recovery_make"), act: makeCodes }]);

/** @param {string} path @param {string} name */
async function remove(path, name) {
  if (!(await confirmed(t("factor_remove", { name }), t("factor_remove_ask"), t("remove")))) return;
  await request("DELETE", path);
  await showFactors();
  say(t("factor_removed", { name }));
  focusBack();
}

async function makeCodes() {
  if (!(await confirmed(t("recovery_codes"), t("recovery_make_ask"), t("recovery_make")))) return;
  await changed(await request("POST", "/api/auth/factors/recovery-codes", {}));
}

/** Show what came with a change, and the list anew. @param {{recovery_codes?: string[]}} answer */
async function changed(answer) {
  const codes = answer.recovery_codes;
  if (codes) {
    const file = `claude-accounts-${location.hostname.replace(/[^\w.-]/g, "")}-recovery-codes.txt`;
    await showOnce({ title: t("recovery_codes"), intro: t("recovery_intro"), text: codes.join("\n"), file });
  }
  await showFactors();
  focusBack();
}

/** What was pressed may be there no longer. */
function focusBack() {
  const buttons = /** @type {HTMLElement[]} */ ([named(security, "add-totp"), named(security, "add-passkey"), ...security.querySelectorAll(".entries button")]);
  buttons.find((button) => !button.hidden)?.focus();
}

/** Wire the part of the security dialog that is about factors, and the dialogs that set one up. */
export function wireFactors() {
  named(security, "add-totp").addEventListener("click", () => void offerApp().catch(complain));
  named(security, "add-passkey").addEventListener("click", () => {
    const form = /** @type {HTMLFormElement} */ (passkey.querySelector("form"));
    form.reset();
    clearError(form);
    const field = /** @type {HTMLInputElement} */ (form.elements.namedItem("name"));
    field.value = browserName(navigator.userAgent).slice(0, 60);
    openDialog("passkey");
    field.select();
  });
  wireApp();
  wirePasskey();
}

async function offerApp() {
  const offer = await request("POST", "/api/auth/factors/totp", {});
  const form = /** @type {HTMLFormElement} */ (totp.querySelector("form"));
  form.reset();
  clearError(form);
  secret = offer.secret;
  const picture = named(totp, "qr", HTMLImageElement);
  picture.src = offer.picture;
  picture.alt = t("totp_picture");
  picture.hidden = false;
  named(totp, "totp-secret").textContent = secret.replace(/.{4}(?=.)/g, "$& ");
  named(totp, "open-app", HTMLAnchorElement).href = offer.uri;
  openDialog("totp");
}

function wireApp() {
  const form = /** @type {HTMLFormElement} */ (totp.querySelector("form"));
  onSubmit(form, async () => {
    const answer = await request("POST", "/api/auth/factors/totp/confirm", { code: value(form, "code") });
    totp.close();
    await changed(answer);
    say(t("totp_done"));
  });
  named(totp, "copy-secret").addEventListener("click", () => void copy(secret));
  totp.addEventListener("close", () => {
    secret = "";
    form.reset();
    named(totp, "totp-secret").textContent = "";
    named(totp, "open-app").removeAttribute("href");
    const picture = named(totp, "qr", HTMLImageElement);
    picture.removeAttribute("src");
    picture.alt = "";
    picture.hidden = true;
  });
}

function wirePasskey() {
  const form = /** @type {HTMLFormElement} */ (passkey.querySelector("form"));
  onSubmit(form, async () => {
    const name = value(form, "name").trim();
    const { options } = await request("POST", "/api/auth/factors/passkeys/options", {});
    const answer = await request("POST", "/api/auth/factors/passkeys", { name, passkey: await makePasskey(options) });
    passkey.close();
    await changed(answer);
    say(t("passkey_done", { name }));
  });
}
