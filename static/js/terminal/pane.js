/** Owns one terminal on the page: its tab, its screen, and what it says when it ends or fails. */

import { keepImage } from "../shared/api.js";
import { copyOf, named, setHue, setText } from "../shared/elements.js";
import { t, translate } from "../shared/messages.js";
import { showLogin, wireLogin } from "./login.js";
import { isOn } from "./options.js";
import { Screen } from "./screen.js";

/** @typedef {import("../shared/live.js").Socket} Socket */
/** @typedef {{kind: string, title: string, body: string} | null} Attention */
/** @typedef {{accountId: string, name: string, cwd?: string, login?: boolean, durable?: boolean, anywhere?: boolean, terminalId?: string}} Wish what the pane is opened for */

let requests = 0;

export class Pane {
  /**
   * @param {Wish} wish @param {Socket} socket @param {import("./libraries.js").Libraries} libraries
   * @param {{changed: (pane: Pane) => void, chosen: (pane: Pane) => void, closed: (pane: Pane) => void}} heard
   */
  constructor(wish, socket, libraries, heard) {
    this.wish = wish;
    this.socket = socket;
    this.heard = heard;
    this.name = wish.name;
    this.id = wish.terminalId ?? "";
    this.title = "";
    this.cwd = wish.cwd ?? "";
    this.ended = false;
    this.failed = false;
    /** How many windows show this terminal. */
    this.viewers = 1;
    /** Whether the folder belongs to another account. */
    this.elsewhere = false;
    /** @type {Attention} */
    this.attention = null;
    this.request = "";
    this.element = copyOf("pane");
    this.tab = copyOf("tab");
    translate(this.element);
    this.element.id = `pane-${(requests += 1)}`;
    this.tab.id = `tab-${requests}`;
    this.tab.setAttribute("aria-controls", this.element.id);
    this.element.setAttribute("aria-labelledby", this.tab.id);
    setHue(this.tab, this.name);
    this.tab.addEventListener("click", () => heard.chosen(this));
    /** @type {Screen | null} */
    this.screen = null;
    this.libraries = libraries;
    named(this.element, "restart").addEventListener("click", () => this.start());
    named(this.element, "force").addEventListener("click", () => {
      if (!this.elsewhere) return this.start(true);
      // Only the folder is another account's: settings are looked at all the same.
      this.wish.anywhere = true;
      this.start();
    });
    named(this.element, "close-ended").addEventListener("click", () => heard.closed(this));
    wireLogin(this);
    this.show();
  }

  /** The screen needs a place that is shown; only then is its size known. */
  begin() {
    this.screen = new Screen(this.libraries, named(this.element, "screen"), {
      input: (data) => this.send(data),
      resize: (size) => this.emit("resize_terminal", { ...size, look: this.screen?.look }),
      parsed: (offset) => this.emit("terminal_ack", { offset }),
      picture: async (file) => (this.id && !this.ended ? (await keepImage(this.id, file)).path : ""),
    });
    this.screen.setLive(this.socket.connected);
    this.screen.fit();
    if (this.id) this.attach();
    else this.start();
    this.screen.focus();
  }

  /** Start the program; `force` goes on where another credential or login would be in the way. @param {boolean} [force] */
  start(force = false) {
    if (!this.screen) return;
    this.id = "";
    this.ended = this.failed = false;
    this.title = "";
    this.screen.begin(0);
    this.viewers = 1;
    this.screen.replay(0, 0);
    named(this.element, "ended").hidden = true;
    if (this.wish.login) showLogin(this);
    const { rows, cols } = this.screen.mine;
    this.request = `${Date.now()}-${(requests += 1)}`;
    this.socket.emit(this.wish.login ? "start_login" : "start_terminal", {
      account_id: this.wish.accountId,
      rows,
      cols,
      look: this.screen.look,
      ack: true,
      request: this.request,
      ...(this.wish.cwd ? { cwd: this.wish.cwd } : {}),
      ...(this.wish.durable ? { durable: true } : {}),
      ...(this.wish.anywhere ? { anywhere: true } : {}),
      // Its own linear output, which a reader can follow.
      ...(isOn("reader") && !this.wish.login ? { args: ["--ax-screen-reader"] } : {}),
      ...(force ? { force: true } : {}),
    });
    this.show();
    if (this.element.offsetParent) this.screen.focus();
  }

  /** Go on where this page stopped seeing the terminal, or from the first byte that is kept. */
  attach() {
    if (!this.id || !this.screen || this.ended) return;
    this.request = `${Date.now()}-${(requests += 1)}`;
    const { look, size, end } = this.screen;
    // Whoever comes back in the background takes nothing from who is there.
    const focus = size.focus && document.hasFocus();
    this.socket.emit("attach_terminal", { terminal_id: this.id, from: end || null, ack: true, ...size, focus, look, request: this.request });
  }

  /** @param {string} event @param {Record<string, unknown>} payload */
  emit(event, payload) {
    // What is sent while the connection is broken would come late and twice.
    if (this.id && this.socket.connected) this.socket.emit(event, { terminal_id: this.id, ...payload });
  }

  /** @param {string | Uint8Array} data */
  send(data) {
    if (!this.ended) this.emit("terminal_input", { data });
    if (this.attention) this.setAttention(null);
  }

  detach() {
    this.emit("detach_terminal", {});
  }

  stop() {
    this.emit("stop_terminal", {});
    if (!this.id) this.heard.closed(this);
  }

  /** @param {Attention} attention */
  setAttention(attention) {
    this.attention = attention?.kind ? attention : null;
    this.show();
    this.heard.changed(this);
  }

  /** @param {string} sentence @param {{restart: boolean, hint?: string, force?: boolean}} choices */
  end(sentence, { restart, hint = "", force = false }) {
    this.ended = true;
    const bar = named(this.element, "ended");
    bar.hidden = false;
    named(this.element, "login").hidden = true;
    named(bar, "ended-text").textContent = sentence;
    named(bar, "ended-hint").textContent = hint;
    named(bar, "restart").hidden = !restart;
    named(bar, "force").hidden = !force;
    this.screen?.replay(0, 0);
    this.show();
    this.heard.changed(this);
    if (this.element.offsetParent) /** @type {HTMLElement | null} */ (bar.querySelector("button:not([hidden])"))?.focus();
  }

  /** Show name, title and marks on the tab. */
  show() {
    const working = /^[⠀-⣿]/.test(this.title);
    const state = this.ended ? "ended" : this.attention ? "attention" : working ? "working" : "idle";
    this.tab.dataset.state = state;
    setText(named(this.tab, "tab-name"), this.name);
    const title = this.title.replace(/^[^\p{L}\p{N}/~]+/u, "") || this.cwd.split("/").at(-1) || "";
    const watching = this.viewers > 1 ? t("tab_watching", { count: this.viewers }) : "";
    setText(named(this.tab, "tab-title"), [watching, title].filter(Boolean).join(" · "));
    setText(named(this.tab, "tab-state"), t(`tab_${state}`));
    this.tab.title = [this.name, this.title, this.cwd].filter(Boolean).join(" · ");
  }

  remove() {
    this.screen?.dispose();
    this.tab.remove();
    this.element.remove();
  }
}
