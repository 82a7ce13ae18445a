/** Owns the one way to the server: every request, its errors, and what happens when the session has ended. */

import { language } from "./language.js";
import { placed } from "./place.js";
import { keepSecret, pageSecret } from "./secret.js";

/**
 * @typedef {object} Account
 * @property {string} id
 * @property {string} name
 * @property {"api_key" | "oauth"} auth_type
 * @property {string} masked_key
 * @property {"valid" | "expired" | "needs_login"} status
 * @property {number} expires_at epoch milliseconds, 0 for unknown or never
 * @property {boolean} has_refresh
 * @property {number} [login_expires_at] epoch milliseconds, 0 for unknown
 * @property {boolean} [login_ended]
 * @property {string} [email]
 * @property {string} [organization]
 * @property {string} [subscription_type]
 * @property {string} created_at
 * @property {string | null} last_used
 * @property {"untried" | "signed_in" | "works" | "refused"} tried whether the credential was ever seen to work
 * @property {number} tried_at epoch milliseconds, 0 for never
 * @property {string} tried_reason the code of a refusal
 * @property {boolean} durable sessions renew the login themselves
 * @property {boolean} approve_key a launch may tell Claude Code to use the key without asking
 * @property {number} ends_at epoch milliseconds at which only a new login helps, 0 for unknown or never
 * @property {"login" | "token" | "none"} ends_kind
 * @property {"" | "soon" | "urgent" | "over"} urgency
 * @property {{period: string, percent: number, resets_at: number, seen_at: number}[]} usage
 *
 * @typedef {{pid: number, account_id: string, account_name: string, folder: string, since: number, origin: "shell" | "web", token_ends: number, state: "running" | "perhaps", elsewhere: "" | "container" | "machine"}} RunningSession
 * @typedef {{folder: string, account_id: string, account_name: string}} Binding
 *
 * @typedef {{setup_done: boolean, authenticated: boolean, setup_code_required: boolean, passkeys?: boolean, vendor?: string, version?: string}} AuthStatus
 * @typedef {{id: string, name: string, rp_id: string, origin: string, created_at: number, last_used_at: number}} Passkey
 * @typedef {{totp_since: number, passkeys: Passkey[], recovery_left: number}} Factors times are epoch milliseconds, 0 for never
 * @typedef {{id: number, name: string, scope: "read" | "launch" | "admin", created_at: number, expires_at: number, last_used_at: number, current: boolean}} ApiToken
 * @typedef {{id: number, at: number, event: string, account: string, actor: string, address: string, detail: string}} Happening
 * @typedef {{id: string, created_at: number, last_seen: number, expires_at: number, address: string, user_agent: string, current?: boolean}} Session
 */

/** The server's refusal: a sentence, a remedy, and the field it is about. */
export class Refused extends Error {
  /** @param {number} status @param {{error?: string, hint?: string, field?: string, step_up?: boolean, second_factor?: string[], pending?: string}} answer @param {number} retryAfter seconds, 0 for unknown */
  constructor(status, answer, retryAfter) {
    super(answer.error || `HTTP ${status}`);
    this.status = status;
    this.hint = answer.hint ?? "";
    this.field = answer.field ?? "";
    this.stepUp = answer.step_up === true;
    /** What a sign-in still lacks: one of these, with `pending`; null where that is not the matter. */
    this.ways = answer.second_factor ?? null;
    this.pending = answer.pending ?? "";
    this.retryAfter = retryAfter;
  }
}

/** No answer at all: the server is away or the network is. */
export class ServerAway extends Error {}

/** @type {() => Promise<void>} */
let signInAgain = () => Promise.reject(new Error("nobody can sign in"));
/** @type {() => void} */
let noticeAway = () => {};
/** @type {() => Promise<boolean>} */
let proveAgain = () => Promise.resolve(false);
/** @type {(seconds: number) => void} */
let noteUnlocked = () => {};

/**
 * Register what signs the reader in over the page, what asks for a fresh proof (and tells whether it was given), what is
 * told for how long that is good, and what is told when the server does not answer.
 * @param {{signIn: () => Promise<void>, prove: () => Promise<boolean>, unlocked: (seconds: number) => void, away: () => void}} handlers
 */
export function handleWith(handlers) {
  signInAgain = handlers.signIn;
  proveAgain = handlers.prove;
  noteUnlocked = handlers.unlocked;
  noticeAway = handlers.away;
}

/**
 * Send one request and return its answer, parsed when it is JSON, as text otherwise.
 * An ended session asks for the password and then sends the request again; so does what wants a fresh proof. Throws Refused, ServerAway.
 * @param {string} method @param {string} path @param {unknown} [body] @param {{asks?: boolean, proves?: boolean}} [options] asks: whether a 401 may open the sign-in; proves: whether a step-up may be asked for
 * @returns {Promise<any>}
 */
export async function request(method, path, body, options = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", "X-Language": language() };
  const secret = pageSecret();
  if (secret) headers["X-Page-Secret"] = secret;
  const file = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = file ? body.type : "application/json";
  const response = await answered(path, { method, headers, body: body === undefined ? undefined : file ? body : JSON.stringify(body) });
  const answer = await content(response);
  if (response.ok) return received(answer);
  if (response.status === 401 && options.asks !== false) {
    await signInAgain();
    return request(method, path, body, { ...options, asks: false });
  }
  const refused = new Refused(response.status, typeof answer === "object" && answer ? answer : {}, Number(response.headers.get("Retry-After")) || 0);
  if (refused.stepUp && options.proves !== false && (await proveAgain())) return request(method, path, body, { ...options, proves: false });
  throw refused;
}

/** Keep what an answer tells of the session, whichever route it came from. @param {any} answer */
function received(answer) {
  if (typeof answer?.page_secret === "string") keepSecret(answer.page_secret);
  if (typeof answer?.unlocked_seconds === "number") noteUnlocked(answer.unlocked_seconds);
  return answer;
}

/** @param {string} path @param {RequestInit} options */
async function answered(path, options) {
  try {
    return await fetch(placed(path), { credentials: "same-origin", cache: path.startsWith("/api/") ? "no-store" : "no-cache", ...options });
  } catch (error) {
    noticeAway();
    throw new ServerAway("the server does not answer", { cause: error });
  }
}

/** @param {Response} response */
async function content(response) {
  const text = await response.text();
  if (!(response.headers.get("Content-Type") ?? "").includes("json")) return text;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @returns {Promise<AuthStatus>} */
export const authStatus = () => request("GET", "/api/auth/status", undefined, { asks: false });
/** @param {string} password @param {string} setupCode @returns {Promise<{api_token: string}>} */
export const setUp = (password, setupCode) =>
  request("POST", "/api/auth/setup", setupCode ? { password, setup_code: setupCode } : { password }, { asks: false });
/** @param {string} password */
export const signIn = (password) => request("POST", "/api/auth/login", { password }, { asks: false });
/** @param {string} pending "" for a passkey alone @returns {Promise<{pending: string, options: import("./passkeys.js").Options}>} */
export const signInOptions = (pending) => request("POST", "/api/auth/login/passkey", pending ? { pending } : {}, { asks: false });
/** @param {string} pending @param {Record<string, unknown>} proof totp, recovery_code or passkey @returns {Promise<{recovery_left?: number}>} */
export const secondStep = (pending, proof) => request("POST", "/api/auth/login/factor", { pending, ...proof }, { asks: false });
/** @returns {Promise<Factors>} */
export const listFactors = () => request("GET", "/api/auth/factors");
export const lock = () => request("POST", "/api/auth/lock", {});
export const signOut = () => request("POST", "/api/auth/logout", {}, { asks: false });
/** @returns {Promise<Account[]>} */
export const listAccounts = () => request("GET", "/api/accounts");
/** @param {Record<string, unknown>} fields @returns {Promise<Account>} */
export const addAccount = (fields) => request("POST", "/api/accounts", fields);
/** @param {string} id @param {Record<string, unknown>} fields */
export const updateAccount = (id, fields) => request("PUT", `/api/accounts/${id}`, fields);
/** @param {string} id */
export const deleteAccount = (id) => request("DELETE", `/api/accounts/${id}`);
/** Try the credential. @param {string} id @returns {Promise<Account>} */
export const checkAccount = (id) => request("POST", `/api/accounts/${id}/check`, {});
/** @param {string} id */
export const refreshAccount = (id) => request("POST", `/api/accounts/${id}/refresh-oauth`, {});
/** @param {string} id @param {boolean} [force] take the login even where it is another person's */
export const captureAccount = (id, force = false) => request("POST", `/api/accounts/${id}/capture-oauth`, force ? { force } : {});
/** @param {string} id @returns {Promise<{command: string}>} */
export const launchCommand = (id) => request("POST", `/api/accounts/${id}/launch`, {});
/** @param {string} terminalId @param {Blob} image @returns {Promise<{path: string}>} */
export const keepImage = (terminalId, image) => request("POST", `/api/terminals/${terminalId}/images`, image);
/** @returns {Promise<RunningSession[]>} */
export const listSessions = () => request("GET", "/api/sessions");
/** @returns {Promise<Binding[]>} */
export const listBindings = () => request("GET", "/api/bindings");
/** @param {string} folder @param {string} accountId */
export const bindFolder = (folder, accountId) => request("PUT", "/api/bindings", { folder, account_id: accountId });
/** @param {string} folder */
export const unbindFolder = (folder) => request("DELETE", "/api/bindings", { folder });
