/** Owns the dialog of the shell aliases: view, copy, download, install. */

import { request } from "../shared/api.js";
import { copy } from "../shared/clipboard.js";
import { confirmed, dialog, openDialog } from "../shared/dialog.js";
import { download, named } from "../shared/elements.js";
import { clearError, showError } from "../shared/forms.js";
import { t } from "../shared/messages.js";
import { complain, say, sentence } from "../shared/toasts.js";

export async function openAliases() {
  const element = dialog("aliases");
  clearError(element);
  try {
    const answer = await request("GET", "/api/generate-aliases");
    named(element, "script").textContent = typeof answer === "string" ? answer : answer.script ?? answer.aliases ?? "";
  } catch (error) {
    return complain(error);
  }
  openDialog("aliases");
}

export function wireAliases() {
  const element = dialog("aliases");
  const script = () => named(element, "script").textContent ?? "";
  named(element, "copy").addEventListener("click", () => copy(script()));
  named(element, "download").addEventListener("click", () => download("aliases.sh", script(), "text/x-shellscript"));
  named(element, "install").addEventListener("click", async () => {
    if (!(await confirmed(t("aliases_install"), t("aliases_install_ask"), t("install")))) return;
    clearError(element);
    try {
      await request("POST", "/api/install-aliases", {});
      say(t("aliases_installed"));
    } catch (error) {
      showError(element, sentence(error));
    }
  });
}
