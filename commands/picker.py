"""Owns what `claude-accounts` alone shows on a terminal: the accounts to pick from, to launch or to sign in.

It draws on the terminal's other screen and gives the first one back as it was, however it ends. What is picked is
carried out by whoever asked.
"""

from __future__ import annotations

import codecs
import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from .. import db
from ..accounts import bindings, clocks, proofs
from ..messages import Declined, StorageFailed, _, printable
from .tables import cells, cut

LAUNCH, LOGIN, ADD = "launch", "login", "add"
# A key that begins with Escape sends the rest of it at once; over a slow line a little later.
_REST_OF_KEY_SECONDS = 0.1
_OPEN = "\x1b[?1049h\x1b[?2004h"
_CLOSE = "\x1b[?2004l\x1b[?25h\x1b[0m\x1b[?1049l"
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;:<=>?]*[ -/]?[@-~]|O[ -~])")
_KEYS = {
    "\x1b[A": "up", "\x1bOA": "up", "\x10": "up",
    "\x1b[B": "down", "\x1bOB": "down", "\x0e": "down",
    "\x1b[5~": "page-up", "\x1b[6~": "page-down",
    "\x1b[H": "home", "\x1bOH": "home", "\x1b[1~": "home",
    "\x1b[F": "end", "\x1bOF": "end", "\x1b[4~": "end",
    "\x1b[200~": "paste", "\x1b[201~": "pasted",
    "\r": "enter", "\n": "enter", "\x1bOM": "enter",
    "\x7f": "back", "\x08": "back", "\x15": "clear", "\x13": "sign-in",
    "\x1a": "stop", "\x03": "leave", "\x04": "leave", "\x07": "leave", "\x1b": "leave",
}  # fmt: skip


class Row(NamedTuple):
    """One line to pick: what it does, for which account, how it looks, and the small letters it is found by."""

    action: str
    name: str
    shown: str
    found_by: str = ""


class Picked(NamedTuple):
    """What to do, and for which account as it is stored; the empty name is still to be asked for."""

    action: str
    name: str


class View:
    """What is looked at: the rows that fit what was typed, and one of them."""

    def __init__(self, rows: list[Row], at: int = 0) -> None:
        self.typed = ""
        self.rows = rows
        self.fitting = rows
        self.at = at
        self.height = 10
        self._letters = False
        self.pasting = False

    def press(self, key: str) -> Picked | None:
        """Take one key; return what it picks. Raises KeyboardInterrupt for one that leaves."""
        steps = {"up": -1, "down": 1, "page-up": -self.height, "page-down": self.height}
        steps |= {"home": -len(self.rows), "end": len(self.rows)}
        if not (self.typed or self._letters or self.pasting):
            # Nothing was typed yet: these move. Behind a slash they are letters like any other.
            key = {"j": "down", "k": "up"}.get(key, key)
        if key in ("paste", "pasted"):
            self.pasting = key == "paste"
        elif self.pasting and len(key) > 1:
            pass  # a line's end in what is pasted picks nothing
        elif key == "leave":
            raise KeyboardInterrupt
        elif key in steps:
            self.at = min(max(self.at + steps[key], 0), len(self.fitting) - 1)
        elif key in ("enter", "sign-in") and self.fitting:
            row = self.fitting[self.at]
            return Picked(LOGIN if key == "sign-in" and row.name else row.action, row.name)
        elif key in ("back", "clear"):
            self._type(self.typed[:-1] if key == "back" else "")
        elif key == "/" and not self.typed and not self._letters:
            self._letters = True
        elif len(key) == 1 and key.isprintable():
            self._type(self.typed + key)
        return None

    def lines(self, width: int, height: int) -> tuple[list[tuple[str, bool]], int]:
        """Return the lines to show, each with whether it is the one, and the column behind what was typed."""
        room = max(width - 1, 0)
        count = sum(1 for row in self.fitting if row.action == LAUNCH)
        head = cut(_("account: {typed}", typed=self.typed), room)
        self.height = max(height - (1 if height > 1 else 0) - (2 if height > 4 else 0), 1)
        first = min(max(self.at - self.height // 2, 0), max(len(self.fitting) - self.height, 0))
        shown = [
            (cut(f"{'>' if number == self.at else ' '} {row.shown}", room), number == self.at)
            for number, row in enumerate(self.fitting[first : first + self.height], first)
        ]
        if height > 1:
            shown.insert(0, (head, False))
        if height > 4:
            total = sum(1 for row in self.rows if row.action == LAUNCH)
            shown.append(("", False))
            keys = _("Enter: launch   Ctrl-S: sign in   type: filter   Esc: leave")
            shown.append((cut(f"{count}/{total}   {keys}", room), False))
        return shown, cells(head)

    def _type(self, text: str) -> None:
        self.typed = text
        words = text.lower().split()
        self.fitting = [row for row in self.rows if all(word in row.found_by for word in words) or not row.name]
        self.at = 0


def possible() -> bool:
    """Tell whether there is a terminal that can be drawn on."""
    if os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        return False
    return sys.stdin.isatty() and sys.stdout.isatty()


def pick() -> Picked:
    """Show the accounts and return what was picked. Raises KeyboardInterrupt when nothing was."""
    rows, at = _rows()
    view = View(rows, at)
    with _screen() as (woken, stop):
        keys = _keys(sys.stdin.fileno(), woken)
        _draw(view)
        for key in keys:
            if key == "stop" and not view.pasting:
                stop()
            picked = view.press(key) if key else None
            if picked:
                break
            _draw(view)
        else:
            raise KeyboardInterrupt
    return picked if picked.name else picked._replace(name=_asked_name())


def _rows() -> tuple[list[Row], int]:
    """Return the accounts, the one used last first, what else can be done, and which row is meant by this folder."""
    accounts = sorted(db.list_accounts(), key=lambda account: clocks.of_text(account.last_used), reverse=True)
    bound = None
    with suppress(OSError, StorageFailed):
        bound = bindings.nearest(os.getcwd())
    widest = max((cells(printable(account.name)) for account in accounts), default=0)
    rows = [_row(account, min(widest, 24)) for account in accounts]
    at = next((number for number, account in enumerate(accounts) if bound and account.id == bound.account_id), 0)
    rows.append(Row(LOGIN, "", _("+ sign in to another account")))
    rows.append(Row(ADD, "", _("+ add an API key")))
    return rows, at


def _row(account: db.Account, width: int) -> Row:
    name = printable(account.name)
    words = {"expired": _("expired"), "needs_login": _("needs login")}
    state = words.get(account.status()) or proofs.text(account, short=True)
    used = clocks.when(clocks.of_text(account.last_used))
    identity = printable(account.email)
    pieces = [name + " " * (width - cells(name)), state, "" if used == "-" else used, identity]
    found_by = f"{name} {identity} {printable(account.organization)}".lower()
    return Row(LAUNCH, account.name, "  ".join(piece for piece in pieces if piece), found_by)


def _asked_name() -> str:
    sys.stderr.write(_("Name of the account:") + " ")
    sys.stderr.flush()
    name = sys.stdin.readline().strip()
    if not name:
        raise Declined(_("nothing was typed"))
    return name


@contextmanager
def _screen() -> Iterator[tuple[int, Callable[[], None]]]:
    """Take the terminal, and give it back as it was.

    Give a descriptor that can be read when its size has changed, and what lets the shell have it for a while.
    """
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    def give_back() -> None:
        with suppress(OSError):
            sys.stdout.write(_CLOSE)
            sys.stdout.flush()
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)

    def again(_number: int = 0, _frame: object = None) -> None:
        # Stopped, the shell had the terminal meanwhile.
        tty.setraw(terminal, termios.TCSADRAIN)
        sys.stdout.write(_OPEN)

    def stop() -> None:
        give_back()
        signal.signal(signal.SIGCONT, signal.SIG_DFL)
        # To the whole group, as the terminal itself does: a script that started us stops too. Where no shell could
        # bring us back the system lets it pass.
        os.kill(0, signal.SIGTSTP)
        signal.signal(signal.SIGCONT, again)
        again()

    handlers: dict[int, Any] = {signal.SIGWINCH: lambda *_about: None, signal.SIGCONT: again, signal.SIGTERM: leave}
    handlers |= {signal.SIGHUP: leave, signal.SIGINT: signal.default_int_handler}
    known = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    woken = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        tty.setraw(terminal, termios.TCSADRAIN)
        sys.stdout.write(_OPEN)
        yield reader, stop
    finally:
        give_back()
        signal.set_wakeup_fd(woken)
        for number, handler in known.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def _keys(terminal: int, woken: int) -> Iterator[str]:
    """Give each key by its name or its letter, and the empty text when the terminal has another size."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    waiting = ""
    while True:
        ready = select.select([terminal, woken], [], [], _REST_OF_KEY_SECONDS if waiting else None)[0]
        if woken in ready:
            os.read(woken, 4096)
            yield ""
        if terminal in ready:
            data = os.read(terminal, 65536)
            if not data:
                return
            waiting += decoder.decode(data)
        elif not ready and waiting:
            # Nothing follows: it was the key Escape itself.
            yield "leave"
            waiting = ""
        while waiting:
            found = _SEQUENCE.match(waiting)
            if (
                found is None
                and waiting.startswith("\x1b")
                and re.fullmatch(r"\x1b(?:O|\[[0-9;:<=>?]*[ -/]?)?", waiting)
            ):
                break
            key = found[0] if found else waiting[0]
            waiting = waiting[len(key) :]
            yield _KEYS.get(key, key if found is None else "unknown")


def _draw(view: View) -> None:
    width, height = os.get_terminal_size(sys.stdout.fileno())
    shown, column = view.lines(width or 80, height or 24)
    plain = bool(os.environ.get("NO_COLOR"))
    lines = [f"\x1b[7m{line}\x1b[0m\x1b[K" if chosen and not plain else f"{line}\x1b[K" for line, chosen in shown]
    sys.stdout.write("\x1b[H" + "\r\n".join(lines) + f"\x1b[J\x1b[1;{column + 1}H")
    sys.stdout.flush()
