/** Owns finding and copying markup: the page's elements are reached by `data-name`, never built from strings. */

/**
 * Return the element of that name below `root`; a missing one is a mistake in the markup.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {ParentNode} root @param {string} name @param {new () => T} [type]
 * @returns {T}
 */
export function named(root, name, type) {
  const element = root.querySelector(`[data-name="${name}"]:not(template)`);
  if (!(element instanceof (type ?? HTMLElement))) throw new Error(`no element named ${name}`);
  return /** @type {T} */ (element);
}

/** Return a copy of the template's one element. @param {string} name @returns {HTMLElement} */
export function copyOf(name) {
  const template = document.querySelector(`template[data-name="${name}"]`);
  if (!(template instanceof HTMLTemplateElement)) throw new Error(`no template named ${name}`);
  return /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
}

/** Point an icon at another symbol. @param {Element} parent @param {string} symbol */
export function setIcon(parent, symbol) {
  parent.querySelector("use")?.setAttribute("href", `#i-${symbol}`);
}

/** Write text only where it differs, so that nothing is announced or repainted for nothing. @param {HTMLElement} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Give the element the colour that stays with the account's name. @param {HTMLElement} element @param {string} name */
export function setHue(element, name) {
  element.style.setProperty("--hue", String(hue(name)));
}

/** Return a colour angle that stays with the name. @param {string} name */
function hue(name) {
  let sum = 7;
  for (const character of name) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return sum;
}

/** Wire the buttons that show and hide what was typed in a field. */
export function wireReveals() {
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("[data-reveal]"))) {
    button.addEventListener("click", () => {
      const input = /** @type {HTMLInputElement} */ (document.getElementById(button.dataset.reveal ?? ""));
      const conceals = input.classList.contains("code");
      const shown = conceals ? !input.classList.contains("concealed") : input.type === "text";
      // A credential is no password: as one, browsers would offer to save it and to fill in another.
      if (conceals) input.classList.toggle("concealed", shown);
      else input.type = shown ? "password" : "text";
      button.setAttribute("aria-pressed", String(!shown));
    });
  }
}

/** Offer a text as a file to save. @param {string} name @param {string} text @param {string} type */
export function download(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
