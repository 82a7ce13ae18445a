/** Owns the order of things: language, who is there, which view, and which act belongs to which button. */

import { checkOne, copyCommand, refreshAll, refreshExpired, refreshOne, showRefreshAll } from "./accounts/actions.js";
import { focusSearch, showHealth, wireFilter } from "./accounts/filter.js";
import { offerTerminals, showMatches, wireAccounts } from "./accounts/list.js";
import { offerTerminalLogin, openAdd, openDelete, openEdit, openLogin, wireAccountDialogs } from "./dialogs/accounts.js";
import { openAliases, wireAliases } from "./dialogs/aliases.js";
import { openExport, openImport, wireBackup } from "./dialogs/backup.js";
import { wireFactors } from "./dialogs/factors.js";
import { chooseFolder, wireFolderPicker } from "./dialogs/folder_picker.js";
import { openJournal, wireJournal } from "./dialogs/journal.js";
import { openSecurity, wireSecurity } from "./dialogs/security.js";
import { openShortcuts, wireShortcuts } from "./dialogs/shortcuts.js";
import { openTokens, wireTokens } from "./dialogs/tokens.js";
import { showEntry, signInAgain, takeSetupCode, wireSignIn, wireSignInAgain } from "./entry/sign_in.js";
import { proveAgain, wireStepUp } from "./entry/step_up.js";
import { wireTabs } from "./entry/tabs.js";
import { wireSessions } from "./running/sessions.js";
import { findRunning, wireRunning } from "./running/terminals.js";
import { authStatus, handleWith, lock, ServerAway, signOut } from "./shared/api.js";
import { wireDialogs } from "./shared/dialog.js";
import { named, wireReveals } from "./shared/elements.js";
import { language } from "./shared/language.js";
import { connect, disconnect, lost } from "./shared/live.js";
import { chooseLanguage, loadLanguage, onLanguage } from "./shared/messages.js";
import { wireOnce } from "./shared/once.js";
import { wireStrength } from "./shared/passwords.js";
import { keepSecret } from "./shared/secret.js";
import { onAccounts, reload } from "./shared/store.js";
import { wireTheme } from "./shared/theme.js";
import { complain } from "./shared/toasts.js";
import { noteUnlocked, wireUnlocked } from "./shared/unlocked.js";
import { showView } from "./shared/views.js";

const RETRY = 2000;
let entered = false;
let vendor = "";

/** @type {Record<string, () => void>} */
const acts = {
  add: openAdd,
  aliases: () => void openAliases(),
  export: openExport,
  import: openImport,
  security: openSecurity,
  tokens: openTokens,
  journal: openJournal,
  shortcuts: openShortcuts,
  "refresh-all": () => void refreshAll(),
  "sign-out": () => void leave(),
};

/** @type {Record<string, (account: import("./shared/api.js").Account) => void>} */
const accountActs = {
  open: (account) => {
    prepareTerminals();
    void chooseFolder(account, (cwd) => openTerminal({ accountId: account.id, name: account.name, cwd }));
  },
  copy: (account) => void copyCommand(account),
  refresh: (account) => void refreshOne(account),
  check: (account) => void checkOne(account),
  login: openLogin,
  edit: openEdit,
  "new-token": openEdit,
  delete: openDelete,
};

async function start() {
  takeSetupCode();
  // The link was opened where the page already is.
  addEventListener("hashchange", takeSetupCode);
  handleWith({ signIn: signInAgain, prove: proveAgain, unlocked: noteUnlocked, away: lost });
  wire();
  await begin();
}

function wire() {
  wireReveals();
  wireDialogs();
  wireStrength();
  wireSignIn(enter);
  wireSignInAgain(() => void reload().catch(complain));
  wireStepUp();
  wireTabs();
  wireUnlocked(() => void lock().catch(complain));
  wireAccounts((act, account) => accountActs[act]?.(account));
  wireFilter(showMatches);
  wireAccountDialogs((account, durable) => openTerminal({ accountId: account.id, name: account.name, login: true, durable }));
  wireFolderPicker();
  wireBackup();
  wireAliases();
  wireSecurity(startAnew);
  wireFactors();
  wireTokens();
  wireJournal();
  wireOnce();
  wireTheme(named(document, "theme", HTMLSelectElement));
  wireLanguage(named(document, "language", HTMLSelectElement));
  wireShortcuts([
    { key: "n", words: "shortcut_add", run: openAdd },
    { key: "/", words: "shortcut_search", run: focusSearch },
    { key: "Escape", control: true, words: "shortcut_close", run: () => void closeTerminal() },
    { key: "?", words: "shortcut_list", run: openShortcuts },
  ]);
  onAccounts(() => {
    showHealth();
    showRefreshAll();
  });
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-do]"))) {
    button.addEventListener("click", () => {
      document.getElementById("menu")?.hidePopover();
      acts[button.dataset.do ?? ""]?.();
    });
  }
}

/** @param {HTMLSelectElement} select */
function wireLanguage(select) {
  select.addEventListener("change", () => void chooseLanguage(select.value).catch(complain));
  onLanguage(() => {
    select.value = language();
    showHealth();
  });
}

/** Ask who is there and show what fits; while nobody answers, say so and ask again. */
async function begin() {
  try {
    await loadLanguage();
    const status = await authStatus();
    vendor = status.vendor ?? "";
    if (status.authenticated) await enter();
    else showEntry(status);
  } catch (error) {
    if (!(error instanceof ServerAway)) throw error;
    showView("away");
    setTimeout(() => void begin(), RETRY);
  }
}

/** Show the dashboard, once signed in. */
async function enter() {
  await reload();
  showView("dashboard");
  if (entered) return;
  entered = true;
  offerTerminals(false);
  offerTerminalLogin(false);
  await goLive();
  await refreshExpired();
}

/** Connect; where the browser libraries are still being fetched, poll until they are there. */
async function goLive() {
  if (!vendor) vendor = (await authStatus()).vendor ?? "";
  await connect(vendor, () => void reload().catch(complain), signInAgain);
  if (!vendor) {
    setTimeout(() => void goLive().catch(complain), RETRY);
    return;
  }
  offerTerminals(true);
  offerTerminalLogin(true);
  wireRunning(attach);
  wireSessions();
  await comeBack();
}

/** Open a terminal; the emulator is loaded with the first one. @param {import("./terminal/pane.js").Wish} wish */
function openTerminal(wish) {
  void import("./terminal/view.js").then((terminals) => terminals.openTerminal(wish, vendor));
}

/** Fetch the emulator while the reader looks for a folder; what fails now is told when it is wanted. */
function prepareTerminals() {
  void import("./terminal/view.js").catch(() => undefined);
  void import("./terminal/libraries.js").then(({ loadLibraries }) => loadLibraries(vendor)).catch(() => undefined);
}

/** @param {import("./running/terminals.js").Running} running */
function attach(running) {
  openTerminal({ terminalId: running.terminal_id, accountId: running.account_id, name: running.account, cwd: running.cwd });
}

/** Show the terminal that the address names: the page was loaded again. */
async function comeBack() {
  const id = decodeURIComponent(location.hash.match(/^#terminal=(.+)/)?.[1] ?? "");
  if (!id || !vendor) return;
  const running = await findRunning(id);
  if (running) attach(running);
}

async function closeTerminal() {
  if (document.querySelector("[data-view='terminals']:not([hidden])")) await (await import("./terminal/view.js")).closeCurrent();
}

async function leave() {
  disconnect();
  try {
    await signOut();
  } finally {
    startAnew();
  }
}

/** Forget this browser's half of the session; on a fresh page nothing that was seen here stays in memory. */
function startAnew() {
  keepSecret("");
  noteUnlocked(0);
  location.reload();
}

void start();
