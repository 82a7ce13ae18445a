/** Owns what other tabs and the browser's own memory do to this page: all of them are signed in or out together. */

import { authStatus } from "../shared/api.js";
import { onOtherTab } from "../shared/secret.js";
import { isSignedInAgain } from "./sign_in.js";

/** Follow the other tabs, and show nothing that was brought back from memory before the server has agreed. */
export function wireTabs() {
  onOtherTab((secret) => {
    if (!secret) return startAnew();
    // Signed in over there: a question that waits here is answered; a page without a session begins again.
    if (!isSignedInAgain() && document.querySelector("main.entry:not([hidden])")) startAnew();
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) void checkAgain();
  });
}

async function checkAgain() {
  document.documentElement.hidden = true;
  try {
    if (!(await authStatus()).authenticated) return startAnew();
  } catch {
    return startAnew();
  }
  document.documentElement.hidden = false;
}

function startAnew() {
  // Nothing that was seen here stays on the screen while the page is fetched.
  document.documentElement.hidden = true;
  location.reload();
}
