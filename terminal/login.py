"""Owns signing in on a terminal in the page: claude's own sign-in in a private folder, its address, what it leaves.

The live store is neither read nor written. No token leaves this file but to the accounts database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from .. import db
from ..claude import credentials_file, private_login, program as claude_code
from ..messages import AccountsError, InvalidInput, _, language, printable, use_language
from .process import Terminal, terminal_environment
from .terminals import Terminals

# The address must not be broken by the width of a terminal.
_COLS = 1000
# What ends an address: white space, controls, quotes and angle brackets.
_ENDS = bytes(range(33)) + b"\x7f\"'<>"
_SCHEME, _PAGE = b"https://", b"/authorize?"
_LOOK_SECONDS = 0.2
_IDENTITY_SECONDS = 3.0
_END_SECONDS = 6.0
Tell = Callable[[str, dict[str, Any]], None]


class Login:
    """One sign-in under way."""

    def __init__(
        self,
        terminals: Terminals,
        terminal: Terminal,
        account: db.Account,
        folder: str,
        cleanup: ExitStack,
        *,
        force: bool,
        durable: bool,
    ) -> None:
        self.terminal = terminal
        self.url = ""
        self._terminals = terminals
        self._account = account
        self._folder = folder
        self._cleanup = cleanup
        self._force = force
        self._durable = durable
        self._cancelled = threading.Event()
        self._over = threading.Event()
        self._language = language()

    def follow(self, tell: Tell) -> None:
        """Watch over it in a thread of its own; `tell` passes events on to whoever looks at the terminal."""
        threading.Thread(target=self._follow, args=(tell,), name="login", daemon=True).start()

    def cancel(self) -> None:
        """Note that the user gave up: its end is no failure."""
        self._cancelled.set()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing of it is left on the disk; tell whether that is so."""
        return self._over.wait(seconds)

    def _follow(self, tell: Tell) -> None:
        use_language(self._language)
        try:
            with self._cleanup:
                found = self._wait_for_login(tell)
                if found is not None:
                    tell("login_complete", self._capture(found))
                elif not self._cancelled.is_set():
                    raise AccountsError(_("no login was made for {name}", name=printable(self._account.name)))
                self._end()
        except AccountsError as error:
            code = "login_failed" if type(error) is AccountsError else type(error).__name__.lower()
            told = {"terminal_id": self.terminal.id, "error": error.message, "code": code}
            tell("terminal_error", told | ({"hint": error.hint} if error.hint else {}))
        finally:
            self._over.set()

    def _wait_for_login(self, tell: Tell) -> credentials_file.Login | None:
        """Return the login once it is whole, None when claude ended without one."""
        first_seen = 0.0
        while True:
            ended = self.terminal.ended
            self._look_for_url(tell)
            found = self._read(ended)
            if found is not None:
                first_seen = first_seen or time.monotonic()
                # Whose it is is written after the tokens.
                if ended or found.email or time.monotonic() - first_seen > _IDENTITY_SECONDS:
                    return found
            if ended:
                return None
            time.sleep(_LOOK_SECONDS)

    def _read(self, ended: bool) -> credentials_file.Login | None:
        try:
            return credentials_file.read_login(self._folder, config_folder=self._folder)
        except InvalidInput:
            if ended:
                raise
            # It is being written at this moment.
            return None

    def _look_for_url(self, tell: Tell) -> None:
        if not self.url:
            replay = self.terminal.replay
            self.url = sign_in_address(replay.take(replay.start))
            if self.url:
                about = {"terminal_id": self.terminal.id, "account_id": self._account.id}
                tell("login_url", about | {"url": self.url})

    def _capture(self, found: credentials_file.Login) -> dict[str, Any]:
        try:
            account = db.capture_oauth_tokens(self._account.id, login=found, force=self._force)
            if self._durable and not account.durable:
                account = db.set_durable(account.id, True)
        except AccountsError:
            self._end()
            raise
        return {
            "terminal_id": self.terminal.id,
            "account_id": account.id,
            "account": account.name,
            "email": account.email,
            "organization": account.organization,
            "subscription_type": account.subscription_type,
            "expires_at": account.expires_at,
        }

    def _end(self) -> None:
        """End claude, which has nothing to do any more, before its folder is removed."""
        if not self.terminal.ended:
            self._terminals.stop(self.terminal.id)
        deadline = time.monotonic() + _END_SECONDS
        while not self.terminal.ended and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS / 4)


def sign_in_address(output: bytes) -> str:
    """Return the address of a sign-in page in what a program wrote, "" while there is none in whole."""
    if _PAGE not in output:
        return ""
    # No pattern: where one may begin anew at each place, it reads a long text again for each of them.
    *whole, _unfinished = output.translate(bytes.maketrans(_ENDS, b" " * len(_ENDS))).split(b" ")
    for word in whole:
        begin = word.find(_SCHEME)
        page = word.find(_PAGE, begin + len(_SCHEME)) if begin >= 0 else -1
        if page >= 0 and len(word) > page + len(_PAGE):
            return word[begin:].decode("ascii", "replace")
    return ""


def begin_login(
    terminals: Terminals,
    account: db.Account,
    *,
    cwd: str,
    environ: Mapping[str, str],
    rows: int,
    cols: int,
    force: bool,
    durable: bool = False,
) -> Login:
    """Start `claude auth login` for an account, in a private folder that is removed when it ends.

    Raises InvalidInput for an account without logins, ClaudeMissing, MaxTerminals.
    """
    if account.auth_type != db.OAUTH:
        kind = _("an API key account")
        raise InvalidInput(_("{name} is {kind}", name=printable(account.name), kind=kind), field="account_id")
    program = claude_code.find_claude(environ)
    with ExitStack() as stack:
        folder = stack.enter_context(private_login.folder())
        env = private_login.environment(environ, folder)
        terminal = terminals.start(
            lambda: Terminal(
                ["claude", "auth", "login"],
                terminal_environment(env),
                cwd,
                program=program,
                rows=rows,
                cols=max(cols, _COLS),
            )
        )
        return Login(terminals, terminal, account, folder, stack.pop_all(), force=force, durable=durable)
