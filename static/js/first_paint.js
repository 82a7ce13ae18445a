/* Owns what must be settled before the first paint: theme and language of the document. A plain script, so that it blocks. */
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    const language = localStorage.getItem("language") ?? navigator.languages.find((code) => /^(en|fr)/.test(code)) ?? "en";
    document.documentElement.lang = language.slice(0, 2);
  } catch {
    // Storage may be switched off: the system's theme and English will do.
  }
})();
