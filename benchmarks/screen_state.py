"""Measures what following a program's screen state costs: 50 MB of each kind of output, in megabytes a second.

    python benchmarks/screen_state.py [--megabytes N]

`idle` is output without escape sequences, as `yes` or a compiler writes it; `tui` moves, colours and frames, as Claude
Code does; `modes` little else than modes; `strings` titles and notifications. Processor time, so that a busy machine
disturbs little. Needs the project as an installed package.
"""

from __future__ import annotations

import argparse
import time

PIECE = 64 * 1024
KINDS = {
    "idle": b"a line that says nothing much, as a compiler writes it, again and again\r\n",
    "accents": "une ligne à lire, déjà écrite « ainsi » — 漢字 🙂\r\n".encode(),
    "tui": b"\x1b[?2026h"
    + 40 * "\x1b[12;1H\x1b[38;2;215;119;87m│ \x1b[1mframe\x1b[22m 日本 \x1b[39m\x1b[K\r\n".encode()
    + b"\x1b[?2026l",
    "colours": b"\x1b[32mok\x1b[0m \x1b[1;31mfailed\x1b[0m in \x1b[36mfile.c\x1b[39m:12 \x1b[2mand more\x1b[22m\r\n",
    "modes": b"\x1b[?25l\x1b[?2004h\x1b[?25h\x1b[?2004l",
    "strings": b"\x1b]0;a title\x07\x1b]777;notify;Claude Code;needs you\x1b\\\r\n",
}


def main() -> None:
    """Print the table."""
    from claude_accounts.terminal.screen import Screen

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=50)
    size = parser.parse_args().megabytes * 1_000_000
    for name, line in KINDS.items():
        piece = (line * (PIECE // len(line) + 1))[:PIECE]
        screen, fed = Screen(), 0
        began = time.process_time()
        while fed < size:
            screen.feed(piece, max(0, fed - 2_000_000))
            fed += len(piece)
        spent = time.process_time() - began
        print(f"{name:8} {fed / 1e6 / spent:9,.0f} MB/s   {spent / fed * 1e9:6.2f} ms a megabyte".replace(",", " "))


if __name__ == "__main__":
    main()
