"""Passwords, sessions and the API token, at the module that keeps them."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from claude_accounts.accounts import schema, storage
from claude_accounts.dashboard import attempts as attempts_module, sign_in, tokens as api_tokens
from claude_accounts.messages import AccountsError, Conflict, InvalidInput
from claude_accounts.system.folders import data_folder
from claude_accounts.system.private_files import make_private_folder

PASSWORD = "seven wet owls sing"


def _settings() -> dict[str, str]:
    with storage.reading() as connection:
        return {row["key"]: row["value"] for row in connection.execute("SELECT * FROM settings")}


@pytest.mark.parametrize("password", ["", "a", "1234567", "owls wet", "nine char"])
def test_short_password_is_refused(password: str) -> None:
    """AUT-05"""
    with pytest.raises(InvalidInput, match="at least 10"):
        sign_in.set_up(password)
    assert not sign_in.is_setup_done()


@pytest.mark.parametrize(
    "password",
    [
        "password123",
        "Password1234!",
        "P@ssw0rd1234",
        "passw0rd!!",
        "qwertyuiop",
        "qwerty12345",
        "1234567890",
        "0987654321",
        "1111111111",
        "abcabcabcabc",
        "azertyuiop",
        "letmein12345",
        "iloveyou!!",
        "welcome2024",
        "1q2w3e4r5t",
        "administrator",
        "motdepasse1",
        "aaaaaaaaab",
    ],
)
def test_first_guesses_of_anybody_are_refused(password: str) -> None:
    """AUT-06"""
    with pytest.raises(InvalidInput, match="first"):
        sign_in.check_strength(password, "password")


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "correct horse battery staple",
        "kT9#vm2!xQ",
        "mot de passe très long",
        "пароль из слов",
        "Tr0ub4dor&3x",
    ],
)
def test_ordinary_good_password_is_taken(password: str) -> None:
    """AUT-06: the rule stops guesses, not people."""
    assert sign_in.check_strength(password, "password") == password


@pytest.mark.usefixtures("cheap_hash")
def test_long_unicode_password_works_exactly_and_whole() -> None:
    """AUT-07"""
    password = ("pässwörd-密碼-🦉" * 16)[:127] + "z"
    assert len(password) == 128
    sign_in.set_up(password)
    sign_in.check_password(password)
    for other in (password[:-1], password[:72], password[:-1] + "y", password.upper(), password + " "):
        with pytest.raises(sign_in.WrongPassword):
            sign_in.check_password(other)


@pytest.mark.usefixtures("cheap_hash")
def test_same_characters_from_another_keyboard_fit() -> None:
    """AUT-07: systems compose accents differently."""
    sign_in.set_up(unicodedata.normalize("NFC", "trois hiboux mouillés"))
    sign_in.check_password(unicodedata.normalize("NFD", "trois hiboux mouillés"))


def test_oversized_password_is_refused_without_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """AUT-08"""
    sign_in.set_up(PASSWORD)
    monkeypatch.setattr(sign_in, "check_password_hash", None)
    with pytest.raises(sign_in.WrongPassword):
        sign_in.check_password("x" * 2_000_000)
    with pytest.raises(InvalidInput):
        sign_in.check_strength("xyz mno abc" * 200_000, "password")


def test_password_is_kept_only_as_slow_salted_hash() -> None:
    """AUT-09"""
    sign_in.set_up(PASSWORD)
    kept = _settings()["password_hash"]
    method, salt, _digest = kept.split("$")
    assert method.split(":")[:2] == ["pbkdf2", "sha256"]
    assert int(method.split(":")[2]) >= 600_000
    assert len(salt) >= 16
    sign_in.change_password("eight dry owls sing", sign_in.password_mark())
    assert _settings()["password_hash"].split("$")[1] != salt


def test_no_secret_of_sign_in_is_in_any_file() -> None:
    """AUT-26, AUT-09"""
    token = sign_in.set_up(PASSWORD)
    cookie = sign_in.open_session("127.0.0.1", "browser", sign_in.password_mark()).cookie
    for path in Path(data_folder()).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert token.encode() not in content
            assert cookie.encode() not in content
            assert PASSWORD.encode() not in content
    with storage.reading() as connection:
        kept = connection.execute("SELECT hash FROM api_tokens").fetchone()["hash"]
    assert kept == hashlib.sha256(token.encode()).hexdigest()


@pytest.mark.usefixtures("cheap_hash")
def test_api_token_has_256_bits_and_replaces_the_old_one() -> None:
    """AUT-27"""
    first = sign_in.set_up(PASSWORD)
    second = sign_in.rotate_token(sign_in.password_mark())[0]
    assert len(first) == len(second) == 43
    assert first != second
    assert api_tokens.find(second)
    assert not api_tokens.find(first)


@pytest.mark.usefixtures("cheap_hash")
@pytest.mark.parametrize("text", ["", " ", "x" * 100_000, "ü", "\ud800", "\0", "None"])
def test_odd_token_is_just_wrong(text: str) -> None:
    """AUT-28"""
    assert not api_tokens.find(text)
    sign_in.set_up(PASSWORD)
    assert not api_tokens.find(text)


@pytest.mark.usefixtures("cheap_hash")
def test_twenty_setups_at_once_have_one_winner() -> None:
    """AUT-03: at the table, where it is decided."""
    make_private_folder(data_folder())
    tokens: dict[str, str] = {}
    refused: list[Conflict] = []
    together = threading.Barrier(20)

    def visit(password: str) -> None:
        together.wait()
        try:
            tokens[password] = sign_in.set_up(password)
        except Conflict as error:
            refused.append(error)

    threads = [threading.Thread(target=visit, args=(f"{number} wet owls sing",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 1
    assert len(refused) == 19
    ((password, token),) = tokens.items()
    sign_in.check_password(password)
    assert api_tokens.find(token)


@pytest.mark.usefixtures("cheap_hash")
def test_second_setup_changes_nothing() -> None:
    """AUT-04"""
    token = sign_in.set_up(PASSWORD)
    before = _settings()
    with pytest.raises(Conflict):
        sign_in.set_up("eight dry owls sing")
    assert _settings() == before
    assert api_tokens.find(token)


@pytest.mark.usefixtures("cheap_hash")
def test_session_ends_after_seven_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """AUT-18: on the server too, whatever the browser keeps."""
    sign_in.set_up(PASSWORD)
    cookie = sign_in.open_session("127.0.0.1", "browser", sign_in.password_mark()).cookie
    assert sign_in.find_session(cookie) is not None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + sign_in.SESSION_SECONDS + 1)
    assert sign_in.find_session(cookie) is None
    assert sign_in.list_sessions() == []


@pytest.mark.usefixtures("cheap_hash")
def test_new_session_ends_the_one_it_replaces() -> None:
    """AUT-23"""
    sign_in.set_up(PASSWORD)
    old = sign_in.open_session("127.0.0.1", "browser", sign_in.password_mark()).cookie
    other = sign_in.open_session("127.0.0.1", "another browser", sign_in.password_mark()).cookie
    new = sign_in.open_session("127.0.0.1", "browser", sign_in.password_mark(), replaces=old).cookie
    assert sign_in.find_session(old) is None
    assert sign_in.find_session(other) is not None
    assert sign_in.find_session(new) is not None


@pytest.mark.usefixtures("cheap_hash")
def test_sessions_do_not_pile_up() -> None:
    """A script that signs in each time cannot fill the disk."""
    sign_in.set_up(PASSWORD)
    for number in range(120):
        last = sign_in.open_session("127.0.0.1", f"script {number}", sign_in.password_mark()).cookie
    assert len(sign_in.list_sessions()) == 100
    assert sign_in.find_session(last) is not None


def test_ten_tries_then_none_with_the_seconds_to_wait() -> None:
    """AUT-10, AUT-11"""
    attempts = sign_in.Attempts()
    for _try in range(10):
        attempts.count("login", "192.0.2.1")
    with pytest.raises(sign_in.TooManyAttempts) as refused:
        attempts.count("login", "192.0.2.1")
    assert 890 <= refused.value.retry_after <= 901
    attempts.count("login", "192.0.2.2")
    attempts.count("prove", "192.0.2.1")


def test_thirty_tries_at_once_are_counted_before_any_is_compared() -> None:
    """AUT-13"""
    attempts = sign_in.Attempts()
    together = threading.Barrier(30)
    passed: list[int] = []

    def guess(number: int) -> None:
        together.wait()
        with suppress(sign_in.TooManyAttempts):
            attempts.count("login", "192.0.2.1")
            passed.append(number)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 10


def test_one_customers_ipv6_network_is_one_address() -> None:
    """AUT-12: 2^64 addresses are not 2^64 people."""
    attempts = sign_in.Attempts()
    for number in range(10):
        attempts.count("login", f"2001:db8:1:2::{number:x}")
    with pytest.raises(sign_in.TooManyAttempts):
        attempts.count("login", "2001:db8:1:2:ffff::1")
    attempts.count("login", "2001:db8:1:3::1")


def test_flood_of_addresses_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """NET-05: counting does not itself become the way in."""
    monkeypatch.setattr(attempts_module, "_MOST_PLACES", 50)
    attempts = sign_in.Attempts()
    for number in range(400):
        with suppress(sign_in.TooManyAttempts):
            attempts.count("login", f"10.0.{number // 250}.{number % 250}")
    with storage.reading() as connection:
        assert connection.execute("SELECT count(*) FROM attempts").fetchone()[0] == 60
    # Who was counted before is still counted by himself.
    attempts.count("login", "10.0.0.1")


def test_right_password_starts_the_count_again() -> None:
    """AUT-10: mistypes of a week do not add up."""
    attempts = sign_in.Attempts()
    for _round in range(5):
        for _try in range(9):
            attempts.count("login", "192.0.2.1")
        attempts.forget("login", "192.0.2.1")


@pytest.mark.parametrize("typed", ["{code}", "{lower}", " {code} ", "{plain}"])
def test_setup_code_is_taken_as_people_type_it(typed: str) -> None:
    """NET-02"""
    code = sign_in.new_setup_code()
    given = typed.format(code=code, lower=code.lower(), plain=code.replace("-", ""))
    sign_in.check_setup_code(given, sign_in.hash_setup_code(code))


@pytest.mark.parametrize("given", ["", "AAAA-BBBB-CCCC", "ü", "\ud800"])
def test_wrong_setup_code_is_refused(given: str) -> None:
    """NET-02"""
    with pytest.raises(sign_in.WrongPassword):
        sign_in.check_setup_code(given, sign_in.hash_setup_code(sign_in.new_setup_code()))
    with pytest.raises(sign_in.WrongPassword):
        sign_in.check_setup_code(given, "")


def test_password_before_the_setup_is_a_clear_error() -> None:
    """AUT-30"""
    with pytest.raises(AccountsError, match="no password yet"):
        sign_in.check_password("")


@pytest.mark.usefixtures("cheap_hash")
def test_password_change_ends_every_session() -> None:
    """AUT-22"""
    sign_in.set_up(PASSWORD)
    cookies = [sign_in.open_session("127.0.0.1", "browser", sign_in.password_mark()).cookie for _browser in range(3)]
    (token,) = api_tokens.listed()
    ended = sign_in.change_password("eight dry owls sing", sign_in.password_mark())
    assert sorted(ended) == sorted([token.owner, *map(sign_in.digest, cookies)])
    assert [cookie for cookie in cookies if sign_in.find_session(cookie)] == []
    with pytest.raises(sign_in.WrongPassword):
        sign_in.check_password(PASSWORD)
    sign_in.check_password("eight dry owls sing")


def test_table_itself_refuses_a_second_password() -> None:
    """AUT-03: uniqueness is the database's, not a check before."""
    sign_in.set_up(PASSWORD)
    with pytest.raises(sqlite3.IntegrityError), storage.writing() as connection:
        connection.execute("INSERT INTO settings VALUES ('password_hash', 'x')")


def test_a_database_of_before_keeps_its_token_and_programs_but_no_browser_without_a_second_secret(home: Path) -> None:
    folder = Path(data_folder())
    folder.mkdir(mode=0o700)
    (folder / ".key").write_bytes(Fernet.generate_key())
    with sqlite3.connect(folder / "accounts.db") as connection:
        connection.executescript(schema.FIRST_TABLES + "".join(schema.STEPS[:3]))
        connection.execute("INSERT INTO settings VALUES ('api_token_hash', ?)", (sign_in.digest("token"),))
        for name, agent in (("browser", "Mozilla/5.0 (X11)"), ("script", "curl/8.9")):
            row = (sign_in.digest(name), 1, 1, 1 << 47, "127.0.0.1", agent)
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", row)
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    assert api_tokens.find("token")
    assert sign_in.find_session("script") and not sign_in.find_session("browser")


def test_the_journal_takes_nothing_back(home: Path) -> None:
    add = "INSERT INTO journal (at, event) VALUES (1, 'sign in')"
    with storage.writing() as connection:
        connection.execute(add)
    for change in ("UPDATE journal SET event = 'other'", "DELETE FROM journal"):
        with pytest.raises(sqlite3.IntegrityError), storage.writing() as connection:
            connection.execute(change)
    with storage.writing() as connection:
        connection.execute("INSERT INTO journal (id, at, event) VALUES (10001, 1, 'sign in')")
        connection.execute("DELETE FROM journal WHERE id <= (SELECT max(id) FROM journal) - 10000")
        assert [row["id"] for row in connection.execute("SELECT id FROM journal")] == [10001]
