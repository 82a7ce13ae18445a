"""A secret pasted at the prompt, given on standard input or as an argument: whole and bare, or refused in one line."""

from __future__ import annotations

import os
import subprocess

import pytest
from conftest import Cli, command_line
from test_prompts import KEY, TOKEN, names, person

from claude_accounts import db

BEGINS, ENDS = "\x1b[200~", "\x1b[201~"


def held(cli: Cli, name: str = "work") -> str:
    """Return the credential that is stored."""
    (found,) = [entry for entry in db.export_accounts(current=False) if entry["name"] == name]
    return str(found.get("api_key") or found.get("access_token"))


@pytest.mark.parametrize(
    "keys",
    [
        f"{KEY[:80]}\n{KEY[80:]}\r",
        f"{KEY[:80]}\r\n{KEY[80:]}\r\r",
        f"{BEGINS}{KEY[:80]}\r{KEY[80:]}\r{ENDS}\r",
        f'{BEGINS}export ANTHROPIC_API_KEY="{KEY}";{ENDS}\r',
        f"mistaken\x15{KEY}xé\x7f\x7f\r",
    ],
    ids=["two lines", "with an end of its own", "between brackets", "wrapped", "corrected"],
)
def test_what_is_pasted_is_stored_whole_and_never_shown(cli: Cli, keys: str) -> None:
    with person("add", "work", "--no-approve") as somebody:
        somebody.reads("API key")
        assert not somebody.echoes()
        somebody.types(keys)
        assert somebody.waits() == 0
        assert KEY[20:40] not in somebody.seen and KEY[-12:] not in somebody.seen
    assert held(cli) == KEY


@pytest.mark.parametrize(
    "keys",
    [
        f"{KEY[:80]}\r{KEY[80:100]}\r",
        f"{KEY}\r{KEY}\r",
        f"{KEY[:80]}\r\x03",
        f'"{KEY}\r',
        f"{KEY[:50]}\x00{KEY[50:]}\r",
    ],
)
def test_what_is_not_unmistakable_is_refused_and_nothing_of_it_reaches_the_shell(cli: Cli, keys: str) -> None:
    with person("add", "work") as somebody:
        somebody.reads("API key")
        somebody.types(keys)
        assert somebody.waits() in (1, 130)
        assert "[Y/n]" not in somebody.seen and "Traceback" not in somebody.seen and KEY[20:40] not in somebody.seen
    assert names(cli) == []


def test_a_key_longer_than_a_line_of_the_terminal_is_whole(cli: Cli) -> None:
    key = "gateway." + "k" * 6000 + ".END"
    with person("add", "work", "--no-approve") as somebody:
        somebody.reads("API key")
        for at in range(0, len(key), 1000):
            somebody.types(key[at : at + 1000])
        somebody.types("\r")
        somebody.reads("Keep it anyway?")
        somebody.types("y\r")
        assert somebody.waits() == 0
    assert held(cli) == key


def test_a_token_on_two_lines_replaces_the_one_before(cli: Cli) -> None:
    cli("add", "ci", "--oauth", "--token", "-", stdin=TOKEN.replace("t", "o"))
    with person("update", "ci") as somebody:
        somebody.reads("Setup token")
        somebody.types(f"{TOKEN[:80]}\n{TOKEN[80:]}\r")
        assert somebody.waits() == 0
    assert held(cli, "ci") == TOKEN


@pytest.mark.parametrize(
    ("given", "doubt"), [("hello", "does not begin"), (KEY[:80], "80 characters"), ("sk-proj-" + "o" * 40, "OpenAI")]
)
def test_what_looks_wrong_is_asked_about_and_kept_after_a_yes_alone(cli: Cli, given: str, doubt: str) -> None:
    for keys, kept in (("\r", False), ("rest of the paste\r", False), ("y\r", True)):
        with person("add", "work", "--no-approve") as somebody:
            somebody.reads("API key")
            somebody.types(given + "\r")
            somebody.reads("Keep it anyway? [y/N] ")
            assert doubt in somebody.seen
            somebody.types(keys)
            assert somebody.waits() == (0 if kept else 1)
        assert names(cli) == (["work"] if kept else [])
    assert held(cli) == given


def test_a_script_is_warned_and_never_refused_for_how_a_key_looks(cli: Cli) -> None:
    finished = cli("add", "perso", "--key", "sk-ant-api03-xxxxx")
    assert finished.returncode == 0 and "18 characters instead of 108" in finished.stderr
    finished = cli("add", "other", "--key", "-", stdin="hello")
    assert finished.returncode == 0 and "does not begin like an API key" in finished.stderr
    finished = cli("update", "other", "--key", "-", stdin=KEY)
    assert finished.returncode == 0 and "warning" not in finished.stderr
    assert held(cli, "perso") == "sk-ant-api03-xxxxx" and held(cli, "other") == KEY


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (f'\ufeff"{KEY}"\r\n'.encode("utf-16-le"), ""),
        (f"export ANTHROPIC_API_KEY=\u201c{KEY}\u201d\n".encode("cp1252"), ""),
        (f"{KEY[:80]}\n{KEY[80:]}\n".encode(), ""),
        (b"\x81\x8d" + KEY.encode(), "no encoding"),
        (f"{KEY}\n{KEY}\n".encode(), "more than one"),
    ],
)
def test_bytes_on_standard_input_are_understood_or_refused_in_one_line(cli: Cli, data: bytes, problem: str) -> None:
    finished = subprocess.run(
        command_line("add", "work", "--key", "-"), input=data, capture_output=True, env=dict(os.environ), check=False
    )
    told = finished.stderr.decode()
    assert finished.returncode == (1 if problem else 0) and "Traceback" not in told and problem in told, told
    assert names(cli) == ([] if problem else ["work"])
    assert problem or held(cli) == KEY
