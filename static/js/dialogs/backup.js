/** Owns export and import: a warning before the one, the server's own dry run before the other. */

import { Refused, request } from "../shared/api.js";
import { dialog, openDialog } from "../shared/dialog.js";
import { download, named } from "../shared/elements.js";
import { clearError, onSubmit, showError, value } from "../shared/forms.js";
import { t } from "../shared/messages.js";
import { reload } from "../shared/store.js";
import { say, sentence } from "../shared/toasts.js";

/**
 * @typedef {{called: string, name: string, auth_type: string, will: "added" | "skipped" | "left_out" | "refused", told: string, hint: string, field: string, may_move: boolean}} Foreseen
 * @typedef {{accounts: Foreseen[], refusal: string, added: number, skipped: number, left_out: number, refused: number}} Plan
 */

const SHOWN_AT_MOST = 200;
const TYPED_MS = 400;
/** @type {Blob | null} */
let chosen = null;
// An answer that a newer question has overtaken is nobody's.
let asked = 0;

/** @param {string} name */
const formOf = (name) => /** @type {HTMLFormElement} */ (dialog(name).querySelector("form"));

export function openExport() {
  const form = formOf("export");
  form.reset();
  clearError(form);
  named(form, "confirm", HTMLButtonElement).disabled = true;
  openDialog("export");
}

export function openImport() {
  const form = formOf("import");
  form.reset();
  choose(undefined);
  openDialog("import");
}

export function wireBackup() {
  const exporting = formOf("export");
  exporting.addEventListener("change", () => {
    named(exporting, "confirm", HTMLButtonElement).disabled = !(/** @type {HTMLInputElement} */ (exporting.elements.namedItem("understood")).checked);
  });
  onSubmit(exporting, async () => {
    const accounts = await request("POST", "/api/export", {});
    download(`claude-accounts-${new Date().toISOString().slice(0, 10)}.json`, `${JSON.stringify(accounts, null, 2)}\n`, "application/json");
    dialog("export").close();
    say(t("exported", { count: accounts.length }));
  });
  wireImport();
}

function wireImport() {
  const form = formOf("import");
  const drop = named(form, "drop");
  const input = /** @type {HTMLInputElement} */ (form.elements.namedItem("file"));
  input.addEventListener("change", () => choose(input.files?.[0]));
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    choose(event.dataTransfer?.files[0]);
  });
  form.addEventListener("change", (event) => {
    if (event.target !== input) void preview();
  });
  // A name that is typed is judged without leaving its field: else the button waits for somebody who waits for it.
  let typing = 0;
  /** @type {HTMLInputElement} */ (form.elements.namedItem("name")).addEventListener("input", () => {
    clearTimeout(typing);
    typing = window.setTimeout(preview, TYPED_MS);
  });
  onSubmit(form, async () => {
    if (!chosen) return;
    const { imported, skipped } = await request("POST", address(), chosen);
    await reload();
    dialog("import").close();
    chosen = null;
    say(t("imported", { count: imported, skipped }));
  });
}

/** Return the route with what the reader has said besides the file. @param {boolean} [dryRun] */
function address(dryRun = false) {
  const form = formOf("import");
  const said = new URLSearchParams();
  if (dryRun) said.set("dry_run", "1");
  if (value(form, "name")) said.set("name", value(form, "name"));
  if (/** @type {HTMLInputElement} */ (form.elements.namedItem("move_logins")).checked) said.set("move_logins", "1");
  return `/api/import?${said}`;
}

/** @param {File | undefined} file */
function choose(file) {
  const form = formOf("import");
  // The server reads it, whatever its encoding; what it is called here says nothing of what it is.
  chosen = file ? new Blob([file], { type: "application/json" }) : null;
  for (const name of ["name-field", "move-field"]) named(form, name).hidden = true;
  // They were said of another file.
  /** @type {HTMLInputElement} */ (form.elements.namedItem("name")).value = "";
  /** @type {HTMLInputElement} */ (form.elements.namedItem("move_logins")).checked = false;
  show(null);
  void preview();
}

/** Ask the server what would happen, and show it. */
async function preview() {
  const form = formOf("import");
  const mine = ++asked;
  clearError(form);
  // What is shown stays until it is known better: nothing moves under the pointer.
  named(form, "confirm", HTMLButtonElement).disabled = true;
  if (!chosen) return;
  try {
    const answer = await request("POST", address(true), chosen);
    if (mine === asked) show(answer.plan);
  } catch (error) {
    if (mine !== asked) return;
    show(null);
    showError(form, sentence(error), error instanceof Refused ? error.hint : "", error instanceof Refused ? error.field : "");
  }
}

/** @param {Plan | null} plan */
function show(plan) {
  const form = formOf("import");
  const table = named(form, "preview");
  const accounts = plan?.accounts ?? [];
  /** @type {HTMLElement} */ (table.querySelector("tbody")).replaceChildren(...accounts.slice(0, SHOWN_AT_MOST).map(line));
  table.hidden = !accounts.length;
  named(form, "confirm", HTMLButtonElement).disabled = !plan || !plan.added || plan.refused > 0;
  named(form, "summary").textContent = plan
    ? accounts.length
      ? t("import_summary", { added: plan.added, skipped: plan.skipped, refused: plan.left_out + plan.refused })
      : t("import_empty")
    : "";
  // What was asked for once stays where it can be changed.
  if (accounts.some((each) => each.field === "name" && each.will === "left_out") && accounts.length === 1) named(form, "name-field").hidden = false;
  if (accounts.some((each) => each.may_move)) named(form, "move-field").hidden = false;
}

/** @param {Foreseen} foreseen */
function line(foreseen) {
  const row = document.createElement("tr");
  const type = foreseen.auth_type === "api_key" || foreseen.auth_type === "oauth" ? t(`type_${foreseen.auth_type}`) : "?";
  for (const text of [(foreseen.name || foreseen.called).slice(0, 64) || "?", type, foreseen.told]) {
    const cell = document.createElement("td");
    cell.textContent = text;
    row.append(cell);
  }
  row.lastElementChild?.classList.add({ added: "will", skipped: "wont", left_out: "wont", refused: "bad" }[foreseen.will]);
  return row;
}
