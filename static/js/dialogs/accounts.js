/** Owns the dialogs about one account: add, edit, delete, sign in. */

import { proven } from "../entry/step_up.js";
import { sessionsOf } from "../running/sessions.js";
import { Refused, addAccount, captureAccount, deleteAccount, updateAccount } from "../shared/api.js";
import { confirmed, dialog, openDialog, setTitle } from "../shared/dialog.js";
import { named } from "../shared/elements.js";
import { clearError, onSubmit, showError, value } from "../shared/forms.js";
import { t } from "../shared/messages.js";
import { account as accountOf, reload } from "../shared/store.js";
import { refuse, say, sentence } from "../shared/toasts.js";

/** @typedef {import("../shared/api.js").Account} Account */
/** @typedef {(account: Account, durable: boolean) => void} StartLogin */

/** @param {HTMLDialogElement} element */
const formOf = (element) => /** @type {HTMLFormElement} */ (element.querySelector("form"));
/** @type {Account | null} */
let edited = null;

/** Wire the dialogs. @param {StartLogin} startLogin signs an account in through a terminal */
export function wireAccountDialogs(startLogin) {
  wireAdd(startLogin);
  wireEdit();
  wireDelete();
  wireLogin(startLogin);
}

/** Say whether there is a terminal to sign in with; without one that choice is not offered. @param {boolean} available */
export function offerTerminalLogin(available) {
  for (const label of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-needs='terminal']"))) {
    label.hidden = !available;
    const input = /** @type {HTMLInputElement} */ (label.querySelector("input"));
    input.disabled = !available;
    if (!available) continue;
    for (const other of /** @type {NodeListOf<HTMLInputElement>} */ (input.form?.querySelectorAll("[name='how']"))) other.defaultChecked = false;
    input.defaultChecked = input.checked = true;
  }
}

export function openAdd() {
  const form = formOf(openDialog("add"));
  clearError(form);
  named(document, "search").blur();
  /** @type {HTMLInputElement} */ (form.elements.namedItem("name")).focus();
}

/** @param {StartLogin} startLogin */
function wireAdd(startLogin) {
  const element = dialog("add");
  const form = formOf(element);
  // Only hidden, never emptied: what was typed for one type is still there after a look at another.
  const showKind = () => {
    for (const part of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-kind]"))) {
      part.hidden = part.dataset.kind !== value(form, "kind");
    }
    for (const part of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-how]"))) {
      part.hidden = part.dataset.how !== value(form, "how");
    }
    showDurable(form);
  };
  form.addEventListener("change", showKind);
  onSubmit(form, async () => {
    const name = value(form, "name").trim();
    if (!name) return showError(form, t("name_missing"), "", "name");
    const kind = value(form, "kind");
    const how = kind === "login" ? value(form, "how") : kind;
    const fields = credentialFields(form, how);
    if (!fields) return;
    const durable = isDurable(form);
    // Asked beforehand: refused afterwards, an empty account would be left.
    if (how === "capture" && !(await proven())) return showError(form, t("proof_needed"));
    const added = await addAccount({ name, ...fields });
    tellDoubt(added);
    if (how === "capture") await captureInto(added);
    await reload();
    element.close();
    form.reset();
    showKind();
    if (how === "terminal") startLogin(accountOf(added.id) ?? added, durable);
    else say(t("added", { name: added.name }));
  });
  showKind();
}

/** Only a login made here and now can be one that nobody else renews. @param {HTMLFormElement} form */
function showDurable(form) {
  /** @type {HTMLElement} */ (form.querySelector("[data-durable]")).hidden = value(form, "how") !== "terminal";
}

/** @param {HTMLFormElement} form */
const durableBox = (form) => /** @type {HTMLInputElement} */ (form.elements.namedItem("durable"));

/** @param {HTMLFormElement} form */
const isDurable = (form) => durableBox(form).checked;

/** @param {HTMLFormElement} form */
const approveBox = (form) => /** @type {HTMLInputElement} */ (form.elements.namedItem("approve_key"));

/** Return what to send for the chosen way, or null after saying what is missing. @param {HTMLFormElement} form @param {string} how */
function credentialFields(form, how) {
  /** @param {string} field @param {string} label */
  const needed = (field, label) => {
    const text = value(form, field).trim();
    if (!text) showError(form, t("missing", { field: t(label) }), "", field);
    return text;
  };
  if (how === "api_key") {
    const key = needed("api_key", "type_api_key");
    return key && { auth_type: "api_key", api_key: key, approve_key: approveBox(form).checked };
  }
  if (how === "setup_token") {
    const token = needed("setup_token", "kind_setup_token");
    return token && { auth_type: "oauth", access_token: token };
  }
  if (how === "paste") {
    const access = needed("access_token", "access_token");
    const refresh = value(form, "refresh_token").trim();
    return access && { auth_type: "oauth", access_token: access, ...(refresh ? { refresh_token: refresh } : {}) };
  }
  return { auth_type: "oauth" };
}

/** Say what looks wrong about a credential that was taken. @param {{name: string, doubt?: string}} saved */
function tellDoubt({ name, doubt }) {
  if (doubt) refuse(t("doubtful", { name, doubt }));
}

/** Capture into a new account, and take the account back when there is nothing to capture. @param {Account} account */
async function captureInto(account) {
  try {
    await captureAccount(account.id);
  } catch (error) {
    await deleteAccount(account.id);
    throw error;
  }
}

/** @param {Account} account */
export function openEdit(account) {
  edited = account;
  const element = openDialog("edit");
  const form = formOf(element);
  form.reset();
  clearError(form);
  setTitle(element, "edit_one", { name: account.name });
  const name = /** @type {HTMLInputElement} */ (form.elements.namedItem("name"));
  name.value = account.name;
  for (const part of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-kind]"))) {
    // The tokens of a durable login are nobody's to type in.
    part.hidden = part.dataset.kind !== account.auth_type || account.durable;
  }
  named(form, "durable-field").hidden = !account.has_refresh && !account.durable;
  durableBox(form).checked = account.durable;
  approveBox(form).checked = account.approve_key;
  name.focus();
}

/** Save, and ask where that cannot be; false says that the reader wants to sign in anew for it. @param {Account} account @param {Record<string, unknown>} changes */
async function save(account, changes) {
  try {
    await updateAccount(account.id, changes);
  } catch (error) {
    if (error instanceof Refused && error.status === 409 && changes.durable === true && !account.durable) {
      const question = `${sentence(error)}. ${t("durable_shared_help")}`;
      if (!(await confirmed(t("durable_shared"), question, t("durable_login")))) throw error;
      return false;
    }
    const running = error instanceof Refused && error.status === 409 && changes.durable === false && sessionsOf(account.id) > 0;
    if (!running || !(await confirmed(t("durable_end"), sentence(error), t("durable_end_anyway")))) throw error;
    await updateAccount(account.id, { ...changes, force: true });
  }
  return true;
}

function wireEdit() {
  const element = dialog("edit");
  const form = formOf(element);
  onSubmit(form, async () => {
    if (!edited) return;
    /** @type {Record<string, unknown>} */
    const changes = {};
    const name = value(form, "name").trim();
    if (name !== edited.name) changes.name = name;
    for (const field of edited.auth_type === "api_key" ? ["api_key"] : ["access_token", "refresh_token"]) {
      if (value(form, field).trim()) changes[field] = value(form, field).trim();
    }
    const approve = approveBox(form).checked;
    if (edited.auth_type === "api_key" && approve !== edited.approve_key) changes.approve_key = approve;
    if (edited.auth_type === "oauth" && isDurable(form) !== edited.durable) changes.durable = isDurable(form);
    if (Object.keys(changes).length) {
      // A taken name is refused too: only what is left is about the login.
      const { durable, ...rest } = changes;
      if (Object.keys(rest).length) tellDoubt(await updateAccount(edited.id, rest));
      if (durable !== undefined && !(await save(edited, { durable }))) {
        await reload();
        element.close();
        form.reset();
        return openLogin(accountOf(edited.id) ?? edited, true);
      }
      await reload();
      say(t("saved", { name: accountOf(edited.id)?.name ?? name }));
    }
    element.close();
    // Secrets do not stay in the page longer than the dialog.
    form.reset();
  });
}

/** @param {Account} account */
export function openDelete(account) {
  edited = account;
  const element = openDialog("delete");
  const form = formOf(element);
  form.reset();
  clearError(form);
  setTitle(element, "delete_one", { name: account.name });
  const running = sessionsOf(account.id);
  const note = named(element, "delete-sessions");
  note.hidden = !running;
  note.textContent = t("sessions_running", { count: running, name: account.name });
  named(element, "type-name").textContent = t("delete_type_name", { name: account.name });
  named(element, "confirm", HTMLButtonElement).disabled = true;
  /** @type {HTMLInputElement} */ (form.elements.namedItem("typed")).focus();
}

function wireDelete() {
  const element = dialog("delete");
  const form = formOf(element);
  const typed = () => value(form, "typed").trim().toLowerCase() === edited?.name;
  form.addEventListener("input", () => {
    named(element, "confirm", HTMLButtonElement).disabled = !typed();
  });
  onSubmit(form, async () => {
    if (!edited || !typed()) return;
    await deleteAccount(edited.id);
    await reload();
    element.close();
    say(t("deleted", { name: edited.name }));
  });
}

/** @param {Account} account @param {boolean} [durable] what the switch begins with: recommended for a first login, later as it was chosen */
export function openLogin(account, durable = account.durable || !account.masked_key) {
  edited = account;
  const element = openDialog("login");
  const form = formOf(element);
  form.reset();
  clearError(form);
  setTitle(element, "login_one", { name: account.name });
  named(element, "command").textContent = `claude-accounts login ${account.name}`;
  durableBox(form).checked = durable;
  showDurable(form);
}

/** Capture, after a question where the login is another one than the account holds. @param {Account} account */
async function capture(account) {
  try {
    await captureAccount(account.id);
  } catch (error) {
    const other = error instanceof Refused && error.status === 409;
    if (!other || !(await confirmed(t("capture_other"), sentence(error), t("capture_anyway")))) throw error;
    await captureAccount(account.id, true);
  }
}

/** @param {StartLogin} startLogin */
function wireLogin(startLogin) {
  const element = dialog("login");
  const form = formOf(element);
  onSubmit(form, async () => {
    if (!edited) return;
    if (value(form, "how") === "capture") {
      await capture(edited);
      await reload();
      say(t("captured", { name: edited.name }));
      element.close();
    } else {
      element.close();
      startLogin(edited, isDurable(form));
    }
  });
  form.addEventListener("change", () => showDurable(form));
}
