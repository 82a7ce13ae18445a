/**
 * Owns the page's half of the session: the secret that goes with the cookie. Cookies know no port, so that every other
 * port of this host is sent the cookie; this is kept for our own origin, shared by its tabs, and sent by hand.
 */

const NAME = "page-secret";
// Where storage is switched off it lasts as long as the page.
let held = "";

/** Return the secret of now (another tab may have changed it), "" for none. */
export function pageSecret() {
  try {
    return localStorage.getItem(NAME) ?? "";
  } catch {
    return held;
  }
}

/** @param {string} secret */
export function keepSecret(secret) {
  held = secret;
  try {
    if (secret) localStorage.setItem(NAME, secret);
    else localStorage.removeItem(NAME);
  } catch {
    // Told above: a reload asks for the password again.
  }
}

/** Call when another tab has signed in (with its secret) or out (with ""). @param {(secret: string) => void} listener */
export function onOtherTab(listener) {
  addEventListener("storage", (event) => {
    // `key` is null when all of it was cleared.
    if (event.key === NAME || event.key === null) listener(pageSecret());
  });
}
