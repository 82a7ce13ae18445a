/** Owns the dialog of the API tokens: the list, making one, making the first one anew, revoking. */

import { request } from "../shared/api.js";
import { confirmed, dialog, openDialog } from "../shared/dialog.js";
import { named } from "../shared/elements.js";
import { entry } from "../shared/entries.js";
import { clearError, onSubmit, showError, value } from "../shared/forms.js";
import { ago, dateTime, t } from "../shared/messages.js";
import { showOnce } from "../shared/once.js";
import { complain, say } from "../shared/toasts.js";

/** @typedef {import("../shared/api.js").ApiToken} ApiToken */

// The token that the first set-up gives; it has a route of its own.
const FIRST = "first";
const DAY = 86_400_000;
const element = dialog("tokens");
const form = named(element, "token-form", HTMLFormElement);
const rotation = dialog("rotate");

export function openTokens() {
  form.reset();
  clearError(form);
  showDay();
  openDialog("tokens");
  void showTokens();
}

/** Wire the dialog and the one that makes the first token anew. */
export function wireTokens() {
  named(form, "token-end", HTMLSelectElement).addEventListener("change", showDay);
  onSubmit(form, make);
  const rotating = /** @type {HTMLFormElement} */ (rotation.querySelector("form"));
  onSubmit(rotating, async () => {
    const { api_token: token } = await request("POST", "/api/auth/rotate-token", { password: value(rotating, "password") });
    rotation.close();
    await show(token, FIRST);
  });
  rotation.addEventListener("close", () => rotating.reset());
}

/** A day is asked for only where one is to be chosen. */
function showDay() {
  named(form, "day-field").hidden = end().value !== "day";
}

const end = () => named(form, "token-end", HTMLSelectElement);

async function showTokens() {
  try {
    /** @type {ApiToken[]} */
    const tokens = await request("GET", "/api/auth/tokens");
    named(element, "token-list").replaceChildren(...tokens.map(line));
    named(element, "no-token").hidden = tokens.length > 0;
  } catch (error) {
    complain(error);
  }
}

/** @param {ApiToken} token */
function line(token) {
  const ended = token.expires_at > 0 && token.expires_at <= Date.now();
  const note = [
    t(`scope_${token.scope}`),
    // What an earlier version made has no such moment.
    token.created_at ? t("factor_since", { since: dateTime(token.created_at) }) : "",
    token.expires_at ? t(ended ? "token_ended" : "token_ends", { end: dateTime(token.expires_at) }) : t("token_endless"),
    t("token_used", { used: token.last_used_at ? ago(Math.max(0, Date.now() - token.last_used_at)) : t("never_used") }),
  ];
  const revoking = { words: t("token_revoke"), about: t("token_revoke_one", { name: token.name }), act: () => revoke(token) };
  const renewing = { words: t("rotate"), act: async () => void openRotation() };
  return entry(token.name === FIRST ? t("token_first") : token.name, note.filter(Boolean).join(" · "), token.name === FIRST ? [renewing, revoking] : [revoking]);
}

function openRotation() {
  clearError(/** @type {HTMLFormElement} */ (rotation.querySelector("form")));
  openDialog("rotate");
}

/** @param {ApiToken} token */
async function revoke(token) {
  if (!(await confirmed(t("token_revoke_one", { name: token.name }), t("token_revoke_ask"), t("token_revoke")))) return;
  await request("DELETE", `/api/auth/tokens/${token.id}`);
  await showTokens();
  say(t("token_revoked", { name: token.name }));
  named(form, "token-name").focus();
}

async function make() {
  const name = value(form, "name").trim();
  const expires = endsAt();
  if (Number.isNaN(expires)) return showError(form, t("missing", { field: t("token_day") }), "", "expires_at");
  const wanted = { name, scope: value(form, "scope"), ...(expires && { expires_at: expires }) };
  const { api_token: token } = await request("POST", "/api/auth/tokens", wanted);
  form.reset();
  showDay();
  await show(token, name);
}

/** Return the chosen end in epoch milliseconds, 0 for none, NaN where no day was chosen. */
function endsAt() {
  const chosen = end().value;
  if (chosen !== "day") return chosen ? Date.now() + Number(chosen) * DAY : 0;
  // To the end of that day where the reader is.
  return Date.parse(`${value(form, "expires_at")}T23:59:59`);
}

/** @param {string} token @param {string} name */
async function show(token, name) {
  const file = `claude-accounts-token-${name.replace(/[^\w.-]+/g, "-")}.txt`;
  await showOnce({ title: t("token_shown", { name: name === FIRST ? t("token_first") : name }), intro: t("token_shown_intro"), text: token, file });
  await showTokens();
  named(form, "token-name").focus();
}
