/** Owns loading the terminal emulator, when the first terminal is opened and not before. */

import { placed } from "../shared/place.js";

/**
 * @typedef {{
 *   Terminal: typeof import("@xterm/xterm").Terminal,
 *   FitAddon: typeof import("@xterm/addon-fit").FitAddon,
 *   SearchAddon: typeof import("@xterm/addon-search").SearchAddon,
 *   WebLinksAddon: typeof import("@xterm/addon-web-links").WebLinksAddon,
 *   UnicodeGraphemesAddon: typeof import("@xterm/addon-unicode-graphemes").UnicodeGraphemesAddon,
 *   webgl: () => Promise<typeof import("@xterm/addon-webgl")>,
 * }} Libraries
 */

/** @type {Promise<Libraries> | null} */
let loading = null;

/** @param {string} vendor the folder of the browser libraries @returns {Promise<Libraries>} */
export function loadLibraries(vendor) {
  loading ??= load(vendor).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

/** @param {string} vendor @returns {Promise<Libraries>} */
async function load(vendor) {
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = placed(`${vendor}xterm.css`);
  document.head.append(style);
  const styled = new Promise((resolve) => {
    style.addEventListener("load", resolve);
    style.addEventListener("error", resolve);
  });
  const names = ["xterm", "addon-fit", "addon-search", "addon-web-links", "addon-unicode-graphemes"];
  const [xterm, fit, search, links, graphemes] = await Promise.all([...names.map((name) => import(placed(`${vendor}${name}.js`))), styled]);
  return {
    Terminal: xterm.Terminal,
    FitAddon: fit.FitAddon,
    SearchAddon: search.SearchAddon,
    WebLinksAddon: links.WebLinksAddon,
    UnicodeGraphemesAddon: graphemes.UnicodeGraphemesAddon,
    webgl: () => import(placed(`${vendor}addon-webgl.js`)),
  };
}
