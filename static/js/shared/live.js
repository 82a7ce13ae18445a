/** Owns the live connection: news from the server as they happen, and an honest banner while it is away. */

import { authStatus } from "./api.js";
import { named, setText } from "./elements.js";
import { duration, t } from "./messages.js";
import { base, placed } from "./place.js";
import { pageSecret } from "./secret.js";
import { say } from "./toasts.js";

/**
 * @typedef {{connected: boolean, on(event: string, listener: (...values: any[]) => void): void, emit(event: string, ...values: any[]): void,
 *   connect(): void, disconnect(): void}} Socket
 */

const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;
const POLL = 5000;
const banner = named(document, "connection");
named(banner, "connect-now").addEventListener("click", () => void tryAgain());
/** @type {Socket | null} */
let socket = null;
/** @type {(() => void) | null} */
let news = null;
/** @type {() => Promise<void>} */
let signInAgain = () => Promise.resolve();
/** The folder of the browser libraries, "" while the page asks every few seconds. */
let libraries = "";
let fetches = 0;
let away = false;
let wait = FIRST_WAIT;
let nextTry = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** @type {ReturnType<typeof setInterval> | undefined} */
let ticking;
/** @type {ReturnType<typeof setInterval> | undefined} */
let polling;
/** @type {Set<(socket: Socket) => void>} */
const waiting = new Set();

/**
 * Connect, and call `changed` after each change of the accounts and after each return of the server.
 * Without the socket library the page asks every few seconds instead.
 * @param {string} vendor the folder of the browser libraries, "" where they are not installed
 * @param {() => void} changed @param {() => Promise<void>} signIn
 */
export async function connect(vendor, changed, signIn) {
  news = changed;
  signInAgain = signIn;
  if (!vendor) {
    polling ??= setInterval(() => {
      if (!document.hidden && !away) changed();
    }, POLL);
    return;
  }
  clearInterval(polling);
  libraries = vendor;
  await openSocket();
}

async function openSocket() {
  let io;
  try {
    // Some browsers remember that an address did not answer.
    ({ io } = await import(placed(`${libraries}socket.io.js${fetches ? `?again=${fetches}` : ""}`)));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    fetches += 1;
    return lost();
  }
  // A try of the reader's own may have been quicker.
  if (socket) return;
  socket = /** @type {Socket} */ (io({
    path: `${base}socket.io/`,
    transports: ["websocket", "polling"],
    tryAllTransports: true,
    reconnection: false,
    // Both ask anew each time: after a sign-in the secret is another one.
    auth: (/** @type {(shown: object) => void} */ show) => show({ page_secret: pageSecret() }),
    extraHeaders: {
      get "X-Page-Secret"() {
        return pageSecret();
      },
    },
  }));
  socket.on("connect", () => {
    back();
    news?.();
  });
  socket.on("accounts_changed", () => news?.());
  socket.on("disconnect", (/** @type {string} */ reason) => {
    if (reason !== "io client disconnect") void lost();
  });
  socket.on("connect_error", () => {
    // Refused with the cookie of its handshake, which no later secret fits: the next try needs a connection of its own.
    socket?.disconnect();
    void lost();
  });
  for (const tell of waiting) tell(socket);
}

/** Call with the socket as soon as there is one. @param {(socket: Socket) => void} tell */
export function withSocket(tell) {
  if (socket) tell(socket);
  else waiting.add(tell);
}

/** End the connection for good, when the reader signs out. */
export function disconnect() {
  socket?.disconnect();
  clearTimeout(timer);
  clearInterval(polling);
}

/** A request got no answer, or the connection broke: say so, and try again later and later. */
export function lost() {
  if (nextTry) return;
  away = true;
  const jitter = 0.8 + Math.random() * 0.4;
  nextTry = Date.now() + wait * jitter;
  timer = setTimeout(() => void tryAgain(), wait * jitter);
  wait = Math.min(wait * 2, LONGEST_WAIT);
  // A blink of the connection is nobody's business; the banner comes with the second try.
  if (wait > FIRST_WAIT * 2) showBanner();
}

function showBanner() {
  banner.hidden = false;
  clearInterval(ticking);
  ticking = setInterval(write, 250);
  write();
}

function write() {
  const left = Math.ceil((nextTry - Date.now()) / 1000) * 1000;
  setText(named(banner, "connection-text"), nextTry && left > 0 ? t("connection_lost", { time: duration(left) }) : t("connecting"));
}

async function tryAgain() {
  clearTimeout(timer);
  nextTry = 0;
  if (socket?.connected) return back();
  try {
    const status = await authStatus();
    if (!status.authenticated) {
      hideBanner();
      await signInAgain();
    }
  } catch {
    return lost();
  }
  if (socket) return socket.connect();
  if (libraries) return openSocket();
  back();
  news?.();
}

function back() {
  const wasShown = !banner.hidden;
  away = false;
  wait = FIRST_WAIT;
  nextTry = 0;
  clearTimeout(timer);
  hideBanner();
  if (wasShown) say(t("connection_back"));
}

function hideBanner() {
  clearInterval(ticking);
  banner.hidden = true;
}
