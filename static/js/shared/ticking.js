/** Owns the ticking of the page: one beat each second while somebody may look, for every clock on it. */

/** @type {Set<() => void>} */
const clocks = new Set();

/** Call back each second while the page is visible. @param {() => void} clock */
export function onSecond(clock) {
  clocks.add(clock);
}

setInterval(() => {
  if (!document.hidden) for (const clock of clocks) clock();
}, 1000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const clock of clocks) clock();
});
