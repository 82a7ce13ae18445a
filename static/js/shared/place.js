/** Owns where the page lies: at the top of its host, or below a path that a proxy gave it. */

// Found by this file's own address, which holds whatever the page's address says.
const top = new URL("../../../", import.meta.url);

/** Below which path of its host everything lies, with a slash at both ends. */
export const base = top.pathname;

/** Return the whole address of something of ours. @param {string} path from the top, as the server names it: /api/accounts */
export function placed(path) {
  return new URL(path.replace(/^\/+/, ""), top).href;
}
