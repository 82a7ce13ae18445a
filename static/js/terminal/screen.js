/** Owns one terminal emulator: bytes in, keys out, its size, and how far it has read. It knows no account and no socket. */

import { copied } from "../shared/clipboard.js";
import { t } from "../shared/messages.js";
import { onTheme } from "../shared/theme.js";
import { complain, say } from "../shared/toasts.js";
import { colours } from "./colours.js";
import { onKey } from "./keys.js";
import { fontSize, isOn, onOptions } from "./options.js";
import { onPaste } from "./paste.js";

/** @typedef {import("./libraries.js").Libraries} Libraries */

/** What was parsed is told to the server in steps of this size, so that it never runs far ahead. */
const ACKNOWLEDGE_EVERY = 32 * 1024;
const QUIET = 100;
/** What the emulator says without anybody typing: the focus, the place of the cursor. */
// eslint-disable-next-line no-control-regex
const BY_ITSELF = /^\x1b\[(?:[IO]|\??\d+;\d+R)$/;
const SCROLLBACK = 10_000;

export class Screen {
  /**
   * @param {Libraries} libraries @param {HTMLElement} place
   * @param {{input: (data: string | Uint8Array) => void, resize: (size: {rows: number, cols: number, focus: boolean, serial: number}) => void, parsed: (offset: number) => void, picture: (file: File) => Promise<string>}} out
   */
  constructor(libraries, place, out) {
    this.out = out;
    this.place = place;
    /** Offset behind the last byte that arrived, that was parsed, that the server knows of. */
    this.end = 0;
    this.parsed = 0;
    this.acknowledged = 0;
    this.replayEnd = 0;
    this.live = true;
    this.control = false;
    /** The size that fits this window, whether it is the terminal's: another window may be in use, and decide. */
    this.mine = { rows: 24, cols: 80 };
    this.decides = true;
    this.serial = 0;
    this.told = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.terminal = new libraries.Terminal({
      allowProposedApi: true,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
      fontSize: fontSize(),
      minimumContrastRatio: 4.5,
      scrollback: SCROLLBACK,
      screenReaderMode: isOn("reader"),
      theme: colours(),
      macOptionIsMeta: true,
      linkHandler: { activate: (event, uri) => openLink(event, uri) },
    });
    this.fitting = new libraries.FitAddon();
    this.searching = new libraries.SearchAddon();
    this.terminal.loadAddon(this.fitting);
    this.terminal.loadAddon(this.searching);
    this.terminal.loadAddon(new libraries.WebLinksAddon(openLink));
    this.terminal.open(place);
    this.terminal.loadAddon(new libraries.UnicodeGraphemesAddon());
    void this.#useGraphics(libraries);
    this.#listen();
  }

  /** Take bytes that begin at `offset`; what is known already is skipped. @param {Uint8Array} data @param {number} offset */
  write(data, offset) {
    const known = this.end - offset;
    if (known >= data.length && data.length) return;
    const fresh = known > 0 ? data.subarray(known) : data;
    const end = Math.max(offset, this.end) + fresh.length;
    this.end = end;
    this.terminal.write(fresh, () => {
      this.parsed = end;
      if (this.parsed - this.acknowledged >= ACKNOWLEDGE_EVERY || this.parsed === this.end) {
        this.acknowledged = this.parsed;
        this.out.parsed(this.parsed);
      }
      this.#settle();
    });
  }

  /** Take what no program wrote: it sets the modes that held where the replay begins, and takes no place in it. @param {Uint8Array} data */
  restore(data) {
    this.terminal.write(data);
  }

  /** Go on at `offset`: until `replayEnd` was parsed nothing is answered, since it was answered when it happened. @param {number} offset @param {number} replayEnd */
  replay(offset, replayEnd) {
    if (offset > this.end) this.restart(offset);
    this.replayEnd = replayEnd;
    this.acknowledged = Math.min(this.acknowledged, offset);
    this.#settle();
  }

  /** Forget the picture: bytes before `offset` are lost. @param {number} offset */
  restart(offset) {
    this.terminal.reset();
    this.end = this.parsed = this.acknowledged = offset;
  }

  /** Say whether what is typed reaches anybody. @param {boolean} live */
  setLive(live) {
    this.live = live;
    this.#settle();
  }

  get replaying() {
    return this.parsed < this.replayEnd;
  }

  #settle() {
    const deaf = this.replaying || !this.live;
    if (this.terminal.options.disableStdin !== deaf) this.terminal.options.disableStdin = deaf;
  }

  #listen() {
    const { terminal } = this;
    terminal.onData((data) => this.type(data));
    terminal.onBinary((data) => this.out.input(Uint8Array.from(data, (character) => character.charCodeAt(0))));
    terminal.attachCustomKeyEventHandler((event) => onKey(event, this));
    leaveAnswersToServer(terminal);
    terminal.parser.registerOscHandler(52, (data) => {
      if (!this.replaying) void takeToClipboard(data);
      return true;
    });
    terminal.onSelectionChange(() => {
      if (isOn("copy-selection") && terminal.hasSelection()) void copied(terminal.getSelection());
    });
    onPaste(this.place, this);
    onTheme(() => {
      terminal.options.theme = colours();
      this.tell(true);
    });
    onOptions(() => {
      terminal.options.fontSize = fontSize();
      terminal.options.screenReaderMode = isOn("reader");
      this.fit();
    });
    this.#watchSize();
    const typing = terminal.textarea;
    for (const name of ["autocapitalize", "autocorrect", "autocomplete"]) typing?.setAttribute(name, "off");
    typing?.setAttribute("aria-label", t("terminal_input"));
  }

  #watchSize() {
    new ResizeObserver(() => this.fit()).observe(this.place);
    this.terminal.textarea?.addEventListener("focus", () => this.#decide());
  }

  /** Fill the place; a hidden one would give a screen of nine columns, so it is left alone. */
  fit() {
    const size = this.place.offsetParent ? this.fitting.proposeDimensions() : undefined;
    if (!size?.rows || !size.cols) return;
    this.mine = { rows: size.rows, cols: size.cols };
    if (this.decides) this.#show(this.mine);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tell(false), QUIET);
  }

  /** Somebody types here, or looks here: from now on this window's size is the terminal's. */
  #decide() {
    if (this.decides || !this.live) return;
    this.decides = true;
    this.#show(this.mine);
    this.tell(true);
  }

  /** Tell the server the size of this window and, after another theme, its colours. @param {boolean} anyway */
  tell(anyway) {
    const { rows, cols } = this.mine;
    if (!anyway && this.told === `${rows}x${cols}`) return;
    this.told = `${rows}x${cols}`;
    this.out.resize(this.size);
  }

  /** Begin with a terminal of this window's own. @param {number} offset */
  begin(offset) {
    this.restart(offset);
    this.decides = true;
    this.fit();
  }

  /** What is told of this window's size; the number tells which word of the server's answers it. */
  get size() {
    this.serial += 1;
    return { ...this.mine, focus: this.decides, serial: this.serial };
  }

  /** Take the size that the terminal has. @param {{rows: number, cols: number, serial?: number}} size */
  resized({ rows, cols, serial }) {
    // An answer to what was said before the last word: another one follows.
    if (serial !== undefined && serial < this.serial) return;
    this.decides = rows === this.mine.rows && cols === this.mine.cols;
    this.#show({ rows, cols });
  }

  /** @param {{rows: number, cols: number}} size */
  #show({ rows, cols }) {
    if (rows !== this.terminal.rows || cols !== this.terminal.cols) this.terminal.resize(cols, rows);
    this.place.toggleAttribute("data-foreign", !this.decides);
  }

  /** @param {string} data */
  type(data) {
    if (this.control && data.length === 1) {
      this.control = false;
      this.place.dispatchEvent(new CustomEvent("control-used", { bubbles: true }));
      const code = data.toUpperCase().charCodeAt(0);
      if (code >= 64 && code < 96) data = String.fromCharCode(code - 64);
    }
    if (!BY_ITSELF.test(data)) this.#decide();
    this.out.input(data);
  }

  /** The colours it shows, for programs that ask. */
  get look() {
    const { foreground, background, cursor, ...others } = colours();
    const named = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
    const names = [...named, ...named.map((name) => `bright${name.charAt(0).toUpperCase()}${name.slice(1)}`)];
    return { foreground, background, cursor, palette: names.map((name) => others[/** @type {keyof typeof others} */ (name)]) };
  }

  focus() {
    this.terminal.focus();
  }

  dispose() {
    clearTimeout(this.timer);
    this.terminal.dispose();
  }

  /** The graphics card draws faster, a browser that only imitates one draws slower. @param {Libraries} libraries */
  async #useGraphics(libraries) {
    if (isOn("plain") || !hasGraphicsCard()) return;
    const { WebglAddon } = await libraries.webgl();
    const addon = new WebglAddon();
    addon.onContextLoss(() => addon.dispose());
    try {
      this.terminal.loadAddon(addon);
    } catch {
      // The renderer it has goes on drawing.
      addon.dispose();
    }
  }
}

/**
 * The server answers a program's questions, once, whatever number of windows there is. Where the cursor is only an
 * emulator knows: that is answered here, and the server passes one window's answer on.
 * @param {import("@xterm/xterm").Terminal} terminal
 */
function leaveAnswersToServer({ parser }) {
  const mine = () => true;
  for (const prefix of ["", ">", "="]) parser.registerCsiHandler({ ...(prefix && { prefix }), final: "c" }, mine);
  parser.registerCsiHandler({ prefix: ">", final: "q" }, mine);
  for (const prefix of ["", "?"]) parser.registerCsiHandler({ ...(prefix && { prefix }), intermediates: "$", final: "p" }, mine);
  parser.registerCsiHandler({ final: "n" }, ([what]) => what === 5);
  parser.registerDcsHandler({ intermediates: "$", final: "q" }, mine);
  for (const number of [4, 10, 11, 12]) parser.registerOscHandler(number, (data) => data.includes("?"));
}

function hasGraphicsCard() {
  const context = document.createElement("canvas").getContext("webgl2");
  const details = context?.getExtension("WEBGL_debug_renderer_info");
  if (!context || !details) return false;
  return !/swiftshader|llvmpipe|software|basic render/i.test(String(context.getParameter(details.UNMASKED_RENDERER_WEBGL)));
}

/** Output may hold any address: it opens only on purpose, and only on the web. @param {MouseEvent} event @param {string} uri */
function openLink(event, uri) {
  if (!event.ctrlKey && !event.metaKey) return say(t("terminal_link"));
  if (/^https?:\/\//i.test(uri)) window.open(uri, "_blank", "noopener,noreferrer");
}

/** A program may put text on the clipboard; reading it is never answered. @param {string} data */
async function takeToClipboard(data) {
  const coded = data.slice(data.indexOf(";") + 1);
  if (coded === "?" || !coded) return;
  try {
    const text = new TextDecoder().decode(Uint8Array.from(atob(coded), (character) => character.charCodeAt(0)));
    if (await copied(text)) say(t("terminal_copied"));
  } catch (error) {
    // Not base64: nothing to copy.
    if (!(error instanceof DOMException)) complain(error);
  }
}
