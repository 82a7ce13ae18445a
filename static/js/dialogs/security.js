/** Owns the dialog of the password and the signed-in browsers; the factors in it are factors.js's. */

import { request } from "../shared/api.js";
import { browserName } from "../shared/browsers.js";
import { confirmed, dialog, openDialog } from "../shared/dialog.js";
import { named } from "../shared/elements.js";
import { clearError, onSubmit, value } from "../shared/forms.js";
import { ago, dateTime, t } from "../shared/messages.js";
import { longEnough } from "../shared/passwords.js";
import { moment } from "../shared/store.js";
import { complain, say } from "../shared/toasts.js";
import { showFactors } from "./factors.js";

/** @typedef {import("../shared/api.js").Session} Session */

export function openSecurity() {
  const element = openDialog("security");
  const form = named(element, "password-form", HTMLFormElement);
  form.reset();
  clearError(form);
  void showFactors();
  void showSessions();
}

/** @param {() => void} signedOut called after every session was ended */
export function wireSecurity(signedOut) {
  const element = dialog("security");
  const form = named(element, "password-form", HTMLFormElement);
  onSubmit(form, async () => {
    if (!longEnough(form, "new_password")) return;
    await request("POST", "/api/auth/change-password", { old_password: value(form, "old_password"), new_password: value(form, "new_password") });
    form.reset();
    say(t("password_changed"));
    await showSessions();
  });
  named(element, "sign-out-everywhere").addEventListener("click", async () => {
    if (!(await confirmed(t("sign_out_everywhere"), t("sign_out_everywhere_ask"), t("sign_out_everywhere")))) return;
    try {
      await request("POST", "/api/auth/sign-out-everywhere", {});
      element.close();
      signedOut();
    } catch (error) {
      complain(error);
    }
  });
  element.addEventListener("close", () => form.reset());
}

async function showSessions() {
  try {
    /** @type {Session[] | {sessions: Session[]}} */
    const answer = await request("GET", "/api/auth/sessions");
    const sessions = Array.isArray(answer) ? answer : answer.sessions;
    named(dialog("security"), "sessions").replaceChildren(...sessions.map(line));
  } catch (error) {
    complain(error);
  }
}

/** @param {Session} session */
function line(session) {
  const item = document.createElement("li");
  const title = document.createElement("span");
  title.textContent = session.current ? t("session_this", { browser: browserName(session.user_agent) }) : browserName(session.user_agent);
  const note = document.createElement("span");
  note.className = "note";
  note.textContent = t("session_note", {
    address: session.address,
    since: dateTime(moment(session.created_at)),
    seen: ago(Math.max(0, Date.now() - moment(session.last_seen))),
  });
  item.append(title, note);
  if (!session.current) item.append(endButton(session));
  return item;
}

/** @param {Session} session */
function endButton(session) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = t("session_end");
  button.setAttribute("aria-label", t("session_end_of", { browser: browserName(session.user_agent) }));
  button.addEventListener("click", async () => {
    try {
      await request("DELETE", `/api/auth/sessions/${session.id}`);
    } catch (error) {
      complain(error);
    }
    await showSessions();
    named(dialog("security"), "sign-out-everywhere").focus();
  });
  return button;
}
