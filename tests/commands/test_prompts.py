"""What the command line asks on a real terminal: nothing secret is echoed, and only a yes is a yes."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import NAMED, NAMELESS, Cli, command_line, write_program

from claude_accounts import db

KEY = "sk-ant-api03-" + "k" * 89 + "ABCDEF"
TOKEN = "sk-ant-oat01-" + "t" * 89 + "GHIJKL"
DEADLINE = 30.0


class Person:
    """Somebody in front of a terminal in which one command runs."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.seen = ""
        self._master = master

    def reads(self, text: str) -> None:
        """Wait until the text is on the terminal."""
        deadline = time.monotonic() + DEADLINE
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} did not come: {self.seen!r}"
            assert self._read(), f"{text!r} did not come: {self.seen!r}"

    def types(self, keys: str) -> None:
        """Press keys; Enter is a carriage return."""
        os.write(self._master, keys.encode())

    def waits(self) -> int:
        """Return the exit code, everything that was shown being in `seen`."""
        while self._read():
            pass
        return self.process.wait(DEADLINE)

    def echoes(self) -> bool:
        """Tell whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def _read(self) -> bool:
        """Take in what is shown; False at the end."""
        if not select.select([self._master], [], [], DEADLINE)[0]:
            raise AssertionError(f"nothing came any more: {self.seen!r}")
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.seen += data.decode()
        return bool(data)


@contextmanager
def person(*arguments: str, argv: list[str] | None = None) -> Iterator[Person]:
    """Run one command (or another program) on a terminal of its own."""
    master, slave = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        argv or command_line(*arguments),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=take_terminal,  # noqa: PLW1509 - the tests start no thread that could hold a lock here
    )
    os.close(slave)
    try:
        yield Person(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def names(cli: Cli) -> list[str]:
    """Return the names of the accounts there are."""
    return [account["name"] for account in json.loads(cli("list", "--json").stdout)["accounts"]]


@pytest.mark.parametrize(
    ("arguments", "secret", "variable"),
    [
        (["add", "work"], KEY, "ANTHROPIC_API_KEY"),
        (["add", "work", "--key", "-"], KEY, "ANTHROPIC_API_KEY"),
        (["add", "work", "--oauth", "--token", "-"], TOKEN, "CLAUDE_CODE_OAUTH_TOKEN"),
    ],
)
def test_a_secret_is_asked_for_and_not_echoed(cli: Cli, arguments: list[str], secret: str, variable: str) -> None:
    with person(*arguments) as somebody:
        somebody.reads("(sk-ant-")
        somebody.reads("): ")
        assert not somebody.echoes()
        somebody.types(secret + "\r")
        if variable == "ANTHROPIC_API_KEY":
            somebody.reads("[Y/n] ")
            somebody.types("\r")
        somebody.reads("added")
        assert somebody.waits() == 0
        assert secret[-12:] not in somebody.seen and secret[12:24] not in somebody.seen
    assert names(cli) == ["work"]
    assert cli("exec", "work", "--", "printenv", variable).stdout.strip() == secret


@pytest.mark.parametrize("keys", ["\x03", "\x04", "\r"], ids=["Ctrl-C", "Ctrl-D", "Enter"])
def test_giving_up_at_the_prompt_adds_nothing_and_leaves_the_terminal_as_it_was(cli: Cli, keys: str) -> None:
    with person("add", "work") as somebody:
        somebody.reads("API key")
        somebody.types(keys)
        assert somebody.waits() in (1, 130)
        assert "Traceback" not in somebody.seen
    assert names(cli) == []


def test_a_killed_prompt_leaves_nothing_half_made(cli: Cli, home: Path) -> None:
    with person("add", "work") as somebody:
        somebody.reads("API key")
        somebody.process.send_signal(signal.SIGKILL)
        somebody.process.wait(DEADLINE)
    assert names(cli) == []


def test_a_taken_name_is_said_before_a_key_is_asked_for(cli: Cli) -> None:
    cli("add", "work", "--key", "-", stdin=KEY)
    with person("add", "Work") as somebody:
        assert somebody.waits() == 1
        assert "already an account work" in somebody.seen and "API key" not in somebody.seen


def test_a_new_key_is_asked_for_without_echo(cli: Cli) -> None:
    cli("add", "work", "--key", "-", stdin=KEY)
    new = KEY.replace("kk", "nn")
    with person("update", "work") as somebody:
        somebody.reads("API key")
        somebody.types(new + "\r")
        somebody.reads("[Y/n] ")
        somebody.types("n\r")
        assert somebody.waits() == 0
        assert "nnnn" not in somebody.seen
    assert cli("exec", "work", "--", "printenv", "ANTHROPIC_API_KEY").stdout.strip() == new


@pytest.mark.parametrize(
    ("keys", "removed"),
    [("y\r", True), ("YES\r", True), ("oui\r", True), ("n\r", False), ("\r", False), ("\x04", False)],
)
def test_only_a_yes_removes(cli: Cli, keys: str, removed: bool) -> None:
    """CLI-07."""
    cli("add", "work", "--key", "-", stdin=KEY)
    with person("remove", "work") as somebody:
        somebody.reads("[y/N] ")
        somebody.types(keys)
        assert somebody.waits() == (0 if removed else 1)
        # A no is an answer.
        assert "error:" not in somebody.seen and "hint:" not in somebody.seen
    assert names(cli) == ([] if removed else ["work"])


@pytest.mark.parametrize(("keys", "shown"), [("y\r", True), ("\r", False)])
def test_an_export_to_a_terminal_asks_first(cli: Cli, keys: str, shown: bool) -> None:
    cli("add", "work", "--key", "-", stdin=KEY)
    with person("export") as somebody:
        somebody.reads("[y/N] ")
        assert KEY not in somebody.seen
        somebody.types(keys)
        assert somebody.waits() == (0 if shown else 1)
        assert (KEY in somebody.seen) == shown


def test_claude_has_the_terminal_to_itself(cli: Cli, program_folder: Path) -> None:
    """A launch hands over the very terminal: size, keys, Ctrl-C."""
    write_program(
        program_folder / "claude",
        f"""#!{sys.executable}
import os, signal, sys
signal.signal(signal.SIGINT, lambda *about: (print("interrupted", flush=True), os._exit(3)))
print("on-a-terminal" if os.isatty(0) and os.isatty(1) else "elsewhere", flush=True)
sys.stdin.read()
""",
    )
    cli("add", "work", "--key", "-", stdin=KEY)
    with person("launch", "work") as somebody:
        somebody.reads("on-a-terminal")
        somebody.types("\x03")
        somebody.reads("interrupted")
        assert somebody.waits() == 3


def test_a_private_sign_in_has_the_terminal_and_its_login_is_kept(cli: Cli, program_folder: Path, home: Path) -> None:
    write_program(
        program_folder / "claude",
        f"""#!{sys.executable}
import json, os, sys
if input("Paste code here: ") != "right":
    sys.exit("Invalid code")
login = {{"accessToken": "sk-ant-oat01-" + "a" * 40, "refreshToken": f"sk-ant-ort01-{{os.getpid():040}}",
          "expiresAt": 4102444800000, "scopes": ["user:inference"]}}
with open(os.environ["CLAUDE_CONFIG_DIR"] + "/.credentials.json", "w") as file:
    json.dump({{"claudeAiOauth": login}}, file)
""",
    )
    with person("login", "client", "--new") as somebody:
        somebody.reads("Which? [1] ")
        somebody.types("2\r")
        somebody.reads("Paste code here: ")
        somebody.types("right\r")
        somebody.reads("Token captured")
        assert somebody.waits() == 0
        assert "aaaaaaaa" not in somebody.seen.replace("...aaaaaa", "")
    assert names(cli) == ["client"]
    assert not (home / ".claude").exists()
    assert not list((home / ".claude-accounts").glob("private-logins/*"))
    with person("login", "other", "--new", "--injected") as somebody:
        somebody.reads("Paste code here: ")
        somebody.types("wrong\r")
        assert somebody.waits() == 1
    assert names(cli) == ["client"]
    assert not db.find_account("client").durable
    with person("login", "third") as somebody:
        somebody.reads("Which? [1] ")
        somebody.types("\r")
        somebody.reads("Paste code here: ")
        somebody.types("right\r")
        assert somebody.waits() == 0
        assert "renew it by themselves" in somebody.seen
    assert db.find_account("third").durable
    # Once chosen, it is not asked again.
    with person("login", "third") as somebody:
        somebody.reads("Paste code here: ")
        assert "Which?" not in somebody.seen
        somebody.types("right\r")
        assert somebody.waits() == 0


def test_with_a_login_in_claude_code_one_question_offers_a_login_of_its_own_first(
    cli: Cli, program_folder: Path, home: Path
) -> None:
    login = {"accessToken": "sk-ant-oat01-" + "l" * 40, "refreshToken": "sk-ant-ort01-" + "l" * 40}
    (home / ".claude").mkdir()
    (home / ".claude" / ".credentials.json").write_text(
        json.dumps({"claudeAiOauth": login | {"expiresAt": 4102444800000, "scopes": ["user:inference"]}})
    )
    write_program(program_folder / "claude", NAMELESS + "echo signing in for itself; exit 1\n")
    with person("login", "client") as somebody:
        somebody.reads("Which? [1] ")
        somebody.types("\r")
        somebody.reads("signing in for itself")
        assert somebody.waits() == 1
    with person("login", "client") as somebody:
        somebody.reads("Which? [1] ")
        somebody.types("2\r")
        somebody.reads("Token captured")
        assert somebody.waits() == 0
    account = db.find_account("client")
    assert not account.durable and account.masked_key.endswith("llllll")
    with person("login", "other") as somebody:
        somebody.reads("Which? [1] ")
        somebody.types("both\r")
        somebody.reads("is none of them")
        assert somebody.waits() == 1
    assert names(cli) == ["client"]
    assert cli("login", "script").returncode == 0, "without a terminal it is captured, as ever"
    assert not db.find_account("script").durable


def wish(cli: Cli) -> bool:
    """Return whether Claude Code may use the key of the one account without asking."""
    (account,) = json.loads(cli("list", "--json").stdout)["accounts"]
    return bool(account["approve_key"])


@pytest.mark.parametrize(("keys", "approved"), [("\r", True), ("oui\r", True), ("n\r", False), ("\x04", False)])
def test_a_new_key_is_asked_about_once_and_enter_means_yes(cli: Cli, keys: str, approved: bool) -> None:
    with person("add", "work") as somebody:
        somebody.reads("(sk-ant-...): ")
        somebody.types(KEY + "\r")
        somebody.reads("without asking again? [Y/n] ")
        somebody.types(keys)
        somebody.reads("added")
        assert somebody.waits() == 0
    assert wish(cli) == approved
    if approved:
        # What was once allowed is not asked again for the next key.
        with person("update", "work") as somebody:
            somebody.reads("(sk-ant-...): ")
            somebody.types(KEY + "\r")
            somebody.reads("updated")
            assert somebody.waits() == 0 and "[Y/n]" not in somebody.seen
        assert wish(cli)


def test_a_flag_answers_the_question_before_it_is_asked(cli: Cli) -> None:
    with person("add", "work", "--no-approve") as somebody:
        somebody.reads("(sk-ant-...): ")
        somebody.types(KEY + "\r")
        somebody.reads("added")
        assert somebody.waits() == 0 and "[Y/n]" not in somebody.seen
    assert not wish(cli)


def test_giving_up_at_the_question_adds_nothing(cli: Cli) -> None:
    with person("add", "work") as somebody:
        somebody.reads("(sk-ant-...): ")
        somebody.types(KEY + "\r")
        somebody.reads("[Y/n] ")
        somebody.types("\x03")
        assert somebody.waits() == 130
    assert names(cli) == []


def test_what_is_no_key_is_refused_before_the_question(cli: Cli) -> None:
    with person("add", "work") as somebody:
        somebody.reads("(sk-ant-...): ")
        somebody.types(TOKEN + "\r")
        assert somebody.waits() == 1 and "[Y/n]" not in somebody.seen
    assert names(cli) == []


@pytest.mark.parametrize(("keys", "used"), [("y\r", True), ("\r", False), ("n\r", False)])
def test_a_key_that_was_refused_once_is_used_again_only_after_a_yes(
    cli: Cli, home: Path, program_folder: Path, keys: str, used: bool
) -> None:
    write_program(program_folder / "claude", NAMED + "echo started\n")
    cli("add", "work", "--key", "-", stdin=KEY)
    file = home / ".claude.json"
    file.write_text('{"customApiKeyResponses":{"approved":[],"rejected":["' + KEY[-20:] + '"]},"a":1.0}')
    before = file.read_text()
    with person("launch", "work") as somebody:
        somebody.reads("use it from now on? [y/N] ")
        assert file.read_text() == before
        somebody.types(keys)
        somebody.reads("started")
        assert somebody.waits() == 0
        assert ("told not to use this API key" in somebody.seen) == (not used)
    after = '{"customApiKeyResponses":{"approved":["' + KEY[-20:] + '"],"rejected":[]},"a":1.0}'
    assert file.read_text() == (after if used else before)


def test_a_launch_without_a_conversation_asks_nothing(cli: Cli, home: Path, program_folder: Path) -> None:
    write_program(program_folder / "claude", NAMED + "echo started\n")
    cli("add", "work", "--key", "-", stdin=KEY)
    (home / ".claude.json").write_text(json.dumps({"customApiKeyResponses": {"rejected": [KEY[-20:]]}}))
    with person("launch", "work", "-p", "hi") as somebody:
        assert somebody.waits() == 0 and "[y/N]" not in somebody.seen
