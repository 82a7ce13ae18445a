/** Owns the colours of the terminal in both themes; every one of the sixteen is readable on its ground. */

import { isDark } from "../shared/theme.js";

const dark = {
  background: "#131110", foreground: "#f1ece5", cursor: "#f0a172", cursorAccent: "#131110", selectionBackground: "#5a3d2a",
  black: "#2f2a26", red: "#ff8b7d", green: "#86d39f", yellow: "#f0c36a", blue: "#8fb8ff", magenta: "#e0a2e6", cyan: "#7fd3d3", white: "#d9d1c7",
  brightBlack: "#93897d", brightRed: "#ffb0a5", brightGreen: "#a9e5bb", brightYellow: "#ffdc94", brightBlue: "#b3d0ff",
  brightMagenta: "#f0c4f4", brightCyan: "#a8e8e8", brightWhite: "#fffaf3",
};
const light = {
  background: "#fffdfa", foreground: "#1d1915", cursor: "#a6431a", cursorAccent: "#fffdfa", selectionBackground: "#f3d3bf",
  black: "#1d1915", red: "#b3261e", green: "#1c6638", yellow: "#7d4c00", blue: "#1d4fa8", magenta: "#8a2a8f", cyan: "#0b6468", white: "#655b50",
  brightBlack: "#5d544a", brightRed: "#c8342a", brightGreen: "#217a43", brightYellow: "#8f5a05", brightBlue: "#2b62c8",
  brightMagenta: "#a33ba8", brightCyan: "#0f777c", brightWhite: "#3b342d",
};

export const colours = () => (isDark() ? dark : light);
