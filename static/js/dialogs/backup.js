/** Owns export and import: a warning before the one, a preview before the other. */

import { request } from "../shared/api.js";
import { dialog, openDialog } from "../shared/dialog.js";
import { download, named } from "../shared/elements.js";
import { clearError, onSubmit, showError } from "../shared/forms.js";
import { t } from "../shared/messages.js";
import { all, reload } from "../shared/store.js";
import { say } from "../shared/toasts.js";

/** @typedef {{name: string, type: string, will: "added" | "skipped" | "refused"}} Foreseen */

const NAME = /^[a-z0-9][a-z0-9-]{1,31}$/;
const LIMIT = 8_000_000;
const SHOWN_AT_MOST = 200;
/** @type {unknown} */
let entries = null;

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
  show(null);
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
  input.addEventListener("change", () => void read(input.files?.[0]));
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    void read(event.dataTransfer?.files[0]);
  });
  onSubmit(form, async () => {
    if (!entries) return;
    const { imported, skipped } = await request("POST", "/api/import", entries);
    await reload();
    dialog("import").close();
    entries = null;
    say(t("imported", { count: count(imported), skipped: count(skipped) }));
  });
}

/** @param {unknown} answer a list of names or their number */
const count = (answer) => (Array.isArray(answer) ? answer.length : Number(answer) || 0);

/** @param {File | undefined} file */
async function read(file) {
  show(null);
  if (!file) return;
  try {
    if (file.size > LIMIT) throw new SyntaxError("too large for an export");
    const parsed = JSON.parse(await file.text());
    if (!Array.isArray(parsed) || !parsed.length) throw new SyntaxError("no list of accounts");
    show(parsed);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    showError(formOf("import"), t("import_not_ours"));
  }
}

/** @param {unknown[] | null} list */
function show(list) {
  const form = formOf("import");
  clearError(form);
  const preview = named(form, "preview");
  const body = /** @type {HTMLElement} */ (preview.querySelector("tbody"));
  const foreseen = list ? foresee(list) : [];
  /** @param {Foreseen["will"]} will */
  const number = (will) => foreseen.filter((entry) => entry.will === will).length;
  // One bad entry refuses the whole file, so the button stays shut.
  const usable = number("added") > 0 && number("refused") === 0;
  entries = usable ? list : null;
  body.replaceChildren(...foreseen.slice(0, SHOWN_AT_MOST).map(line));
  preview.hidden = !foreseen.length;
  named(form, "confirm", HTMLButtonElement).disabled = !usable;
  named(form, "summary").textContent = foreseen.length
    ? t("import_summary", { added: number("added"), skipped: number("skipped"), refused: number("refused") })
    : "";
}

/** Return what will happen to each entry. @param {unknown[]} list @returns {Foreseen[]} */
function foresee(list) {
  const taken = new Set(all().map((account) => account.name));
  return list.map((entry) => {
    const { name, auth_type: type } = /** @type {Record<string, unknown>} */ (entry && typeof entry === "object" ? entry : {});
    const shown = typeof name === "string" ? name.trim().toLowerCase().replace(/\s+/g, "-") : "";
    const known = type === "api_key" || type === "oauth";
    if (!NAME.test(shown) || !known) return { name: shown || "?", type: known ? type : "?", will: "refused" };
    const will = taken.has(shown) ? "skipped" : "added";
    taken.add(shown);
    return { name: shown, type, will };
  });
}

/** @param {Foreseen} foreseen */
function line(foreseen) {
  const row = document.createElement("tr");
  const words = [foreseen.name.slice(0, 64), foreseen.type === "?" ? "?" : t(`type_${foreseen.type}`), t(`import_${foreseen.will}`)];
  for (const text of words) {
    const cell = document.createElement("td");
    cell.textContent = text;
    row.append(cell);
  }
  row.lastElementChild?.classList.add({ added: "will", skipped: "wont", refused: "bad" }[foreseen.will]);
  return row;
}
