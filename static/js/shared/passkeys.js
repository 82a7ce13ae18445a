/** Owns what the browser is asked about passkeys, and the form in which its answers travel. It knows no sign-in. */

import { Refused } from "./api.js";
import { t } from "./messages.js";

/** Bytes in the alphabet that WebAuthn's JSON has. @typedef {string} Base64Url */
/** @typedef {Record<string, unknown> & {challenge: Base64Url}} Options what the server sends, as WebAuthn's JSON has it */

/** Tell whether passkeys can work here: they belong to a name, never to an address, and want HTTPS or this machine. */
export function passkeysWork() {
  const address = /^[\d.]+$|^\[/.test(location.hostname);
  return !address && isSecureContext && typeof PublicKeyCredential === "function" && "credentials" in navigator;
}

/** Let the browser make a passkey and return what the server checks. Throws Refused. @param {Options} options */
export function makePasskey(options) {
  const parse = PublicKeyCredential.parseCreationOptionsFromJSON;
  // Older browsers leave the conversion to the page.
  const publicKey = /** @type {PublicKeyCredentialCreationOptions} */ (
    parse ? parse.call(PublicKeyCredential, /** @type {any} */ (options)) : fromJson(options)
  );
  return asked(() => navigator.credentials.create({ publicKey }));
}

/** Let the browser use a passkey and return what the server checks. Throws Refused. @param {Options} options */
export function usePasskey(options) {
  const parse = PublicKeyCredential.parseRequestOptionsFromJSON;
  const publicKey = /** @type {PublicKeyCredentialRequestOptions} */ (
    parse ? parse.call(PublicKeyCredential, /** @type {any} */ (options)) : fromJson(options)
  );
  return asked(() => navigator.credentials.get({ publicKey }));
}

/** @param {() => Promise<Credential | null>} ask @returns {Promise<Record<string, unknown>>} */
async function asked(ask) {
  try {
    const credential = await ask();
    if (credential instanceof PublicKeyCredential) return asJson(credential);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    if (error.name === "InvalidStateError") throw new Refused(0, { error: t("passkey_known") }, 0);
  }
  // Declined, too late, none there: browsers do not tell which, so that pages cannot find out.
  throw new Refused(0, { error: t("passkey_not_used"), hint: t("passkey_again") }, 0);
}

/** @param {any} options */
function fromJson(options) {
  /** @param {{id: Base64Url}} named */
  const named = (named) => ({ ...named, id: bytes(named.id) });
  return {
    ...options,
    challenge: bytes(options.challenge),
    ...(options.user && { user: named(options.user) }),
    ...(options.excludeCredentials && { excludeCredentials: options.excludeCredentials.map(named) }),
    ...(options.allowCredentials && { allowCredentials: options.allowCredentials.map(named) }),
  };
}

/** @param {PublicKeyCredential} credential @returns {Record<string, unknown>} */
function asJson(credential) {
  if (typeof credential.toJSON === "function") return /** @type {any} */ (credential.toJSON());
  const response = /** @type {any} */ (credential.response);
  /** @type {Record<string, unknown>} */
  const told = {};
  for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[part]) told[part] = text(response[part]);
  }
  if (response.getTransports) told.transports = response.getTransports();
  const { id, type, authenticatorAttachment } = credential;
  return { id, rawId: id, type, authenticatorAttachment, response: told, clientExtensionResults: credential.getClientExtensionResults() };
}

/** @param {Base64Url} encoded */
const bytes = (encoded) => Uint8Array.from(atob(encoded.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));

/** @param {ArrayBuffer} buffer @returns {Base64Url} */
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
