/** Owns choosing the folder a terminal starts in: typed, from the recent ones, or by walking. */

import { bindFolder, listBindings, request, unbindFolder } from "../shared/api.js";
import { dialog, openDialog, setTitle } from "../shared/dialog.js";
import { named, setHue } from "../shared/elements.js";
import { clearError, onSubmit, showError, value } from "../shared/forms.js";
import { t } from "../shared/messages.js";
import { sentence } from "../shared/toasts.js";

/** @typedef {import("../shared/api.js").Account} Account */
/** @typedef {{path: string, parent: string | null, folders: {name: string, path: string}[]}} Listing */

const element = dialog("folder");
const form = /** @type {HTMLFormElement} */ (element.querySelector("form"));
const list = named(form, "folders");
/** @type {(folder: string) => void} */
let chosen = () => {};
/** @type {Listing} */
let listing = { path: "", parent: null, folders: [] };

/** @type {import("../shared/api.js").Binding[]} */
let bindings = [];
/** @type {Account | null} */
let account = null;
let asked = 0;
/** Whether the reader has typed a path, or said by the box whose the folder is, since the dialog or a folder was opened. */
let typed = false;
let decided = false;

/** Ask for a folder and call `then` with it. @param {Account} wanted @param {(folder: string) => void} then */
export async function chooseFolder(wanted, then) {
  account = wanted;
  chosen = then;
  // Those of the last opening may be over: until they are known, no folder is let go.
  bindings = [];
  typed = decided = false;
  clearError(form);
  form.reset();
  showBinding();
  openDialog("folder");
  setTitle(element, "open_one", { name: wanted.name });
  setHue(named(element, "title"), wanted.name);
  named(form, "bound-words").textContent = t("bind_here", { name: wanted.name });
  /** @type {string[]} */
  let recent = [];
  /** @type {import("../shared/api.js").Binding[]} */
  let found = [];
  let failure = "";
  try {
    [recent, found] = await Promise.all([request("GET", `/api/recent-dirs?account_id=${wanted.id}`), listBindings()]);
  } catch (error) {
    failure = sentence(error);
  }
  // The dialog may have been opened for another account meanwhile.
  if (chosen !== then) return;
  if (failure) showError(form, failure);
  bindings = found;
  showBinding();
  named(form, "recent-part").hidden = !recent.length;
  named(form, "recent").replaceChildren(...recent.slice(0, 5).map((path) => button(path, path)));
  if (!(await walk(recent[0] ?? ""))) return;
  field().focus();
  field().select();
}

export function wireFolderPicker() {
  const path = field();
  path.addEventListener("input", () => {
    typed = true;
    decided = false;
    show();
  });
  box().addEventListener("change", () => (decided = true));
  list.addEventListener("click", onPick);
  named(form, "recent").addEventListener("click", (event) => {
    const picked = pathOf(event);
    if (picked === null) return;
    path.value = picked;
    form.requestSubmit();
  });
  form.addEventListener("keydown", moveByArrows);
  onSubmit(form, async () => {
    const folder = value(form, "path").trim();
    await bind(folder);
    element.close();
    chosen(folder);
  });
}

const field = () => /** @type {HTMLInputElement} */ (form.elements.namedItem("path"));

/** @param {Event} event */
function pathOf(event) {
  return /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-path]"))?.dataset.path ?? null;
}

/** @param {Event} event */
function onPick(event) {
  const picked = pathOf(event);
  if (picked === null) return;
  typed = decided = false;
  // Whoever opens it before its folders are known means it all the same.
  field().value = picked;
  showBinding();
  void walk(picked).then((there) => there && /** @type {HTMLElement | null} */ (list.querySelector("button"))?.focus());
}

/**
 * Show the folders in the folder, "" is the home folder. What was typed while the answer was under way stays; return
 * whether nothing was, nor another folder asked for.
 * @param {string} path
 */
async function walk(path) {
  const mine = (asked += 1);
  try {
    const found = await request("GET", `/api/browse${path ? `?path=${encodeURIComponent(path)}` : ""}`);
    if (mine !== asked) return false;
    listing = found;
    if (!typed) field().value = listing.path;
    clearError(form);
    show();
  } catch (error) {
    if (mine !== asked) return false;
    showError(form, sentence(error));
  }
  return !typed;
}

/** Return the binding of the folder or of the nearest one above it. @param {string} folder */
function nearest(folder) {
  const path = folder.replace(/\/+$/, "");
  const found = bindings.filter((binding) => path === binding.folder || path.startsWith(`${binding.folder.replace(/\/$/, "")}/`));
  return found.sort((one, other) => other.folder.length - one.folder.length)[0];
}

/** Let the folder belong to the account or no longer, when the box says something else than is so. @param {string} folder */
async function bind(folder) {
  const bound = nearest(folder);
  const own = bound?.account_id === account?.id;
  const wanted = box().checked;
  if (!account || wanted === own) return;
  if (wanted) await bindFolder(folder, account.id);
  else if (bound) await unbindFolder(bound.folder);
}

const box = () => /** @type {HTMLInputElement} */ (form.elements.namedItem("bound"));

/** Say whose the folder is. */
function showBinding() {
  const bound = nearest(field().value.trim());
  const note = named(form, "bound-note");
  note.hidden = !bound;
  note.textContent = bound ? t("bound_to", { folder: bound.folder, name: bound.account_name }) : "";
  const own = bound !== undefined && bound.account_id === account?.id;
  if (!decided) box().checked = own;
  // What belongs to the account with a folder above is let go there.
  box().disabled = own && bound.folder !== field().value.trim().replace(/\/+$/, "");
}

/** What is typed behind the last folder narrows the list. */
function show() {
  showBinding();
  const typed = field().value;
  const inside = typed.startsWith(`${listing.path.replace(/\/$/, "")}/`) ? typed.slice(listing.path.length).replace(/^\//, "").toLowerCase() : "";
  const rows = listing.folders.filter((folder) => folder.name.toLowerCase().startsWith(inside)).map((folder) => button(folder.name, folder.path));
  if (listing.parent && listing.parent !== listing.path) rows.unshift(button("..", listing.parent));
  list.replaceChildren(...rows);
}

/** @param {string} words @param {string} path */
function button(words, path) {
  const item = document.createElement("li");
  const inner = document.createElement("button");
  inner.type = "button";
  inner.className = "button quiet";
  inner.dataset.path = path;
  inner.textContent = words;
  if (words === "..") inner.setAttribute("aria-label", t("folder_up"));
  item.append(inner);
  return item;
}

/** @param {KeyboardEvent} event */
function moveByArrows(event) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const stops = [field(), .../** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-path]"))].filter((stop) => stop.offsetParent);
  const here = stops.findIndex((stop) => stop === document.activeElement);
  const next = stops[here + (event.key === "ArrowDown" ? 1 : -1)];
  if (here < 0 || !next) return;
  event.preventDefault();
  next.focus();
}
