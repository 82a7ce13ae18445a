"""Several processes at once on one home: real commands in real processes, one token endpoint whose tokens work once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from conftest import NAMELESS, PROJECT, Cli, assert_fails_cleanly, command_line, write_program
from cryptography.fernet import Fernet
from stored import KEY, earlier_database, expired_account, stored_pair
from token_endpoint import TokenEndpoint, in_hours

from claude_accounts import db

MANY = 20


def at_once(*commands: list[str], stdin: str | None = None) -> list[subprocess.CompletedProcess[str]]:
    """Start all commands, then wait for all of them."""
    running = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        for command in commands
    ]
    # All are fed before any is waited for: none may finish only because it was the only one.
    threads, outputs = [], [("", "")] * len(running)

    def attend(number: int) -> None:
        outputs[number] = running[number].communicate(stdin, timeout=120)

    for number in range(len(running)):
        threads.append(threading.Thread(target=attend, args=(number,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *output)
        for process, output in zip(running, outputs, strict=True)
    ]


def test_first_use_by_twenty_processes_makes_one_key(home: Path) -> None:
    """CON-01: every account is there, and decrypts with the one key."""
    done = at_once(*(command_line("add", f"account-{number}", "--key", "-") for number in range(MANY)), stdin=KEY)
    assert [(finished.returncode, finished.stdout) for finished in done] == [(0, "")] * MANY, done
    exported = db.export_accounts()
    assert sorted(entry["name"] for entry in exported) == sorted(f"account-{number}" for number in range(MANY))
    assert {entry["api_key"] for entry in exported} == {KEY}
    assert sorted(path.name for path in (home / ".claude-accounts").iterdir()) == [".key", "accounts.db"]


def test_of_twenty_who_add_one_name_one_wins_and_the_others_are_told(home: Path) -> None:
    """CON-02"""
    done = at_once(*(command_line("add", "work", "--key", "-") for _number in range(MANY)), stdin=KEY)
    losers = [finished for finished in done if finished.returncode]
    assert len(losers) == MANY - 1
    for finished in losers:
        assert_fails_cleanly(finished, "already an account work")
    assert [account.name for account in db.list_accounts()] == ["work"]


def test_twenty_imports_of_one_file_store_each_account_once(home: Path, tmp_path: Path) -> None:
    """CON-08"""
    file = tmp_path / "accounts.json"
    entries = [{"name": f"a-{number}", "auth_type": "api_key", "api_key": KEY} for number in range(50)]
    file.write_text(json.dumps(entries))
    done = at_once(*(command_line("import", str(file)) for _number in range(MANY)))
    assert [finished.returncode for finished in done] == [0] * MANY, done
    assert [account.name for account in db.list_accounts()] == [entry["name"] for entry in entries]


def test_an_earlier_database_is_migrated_once_by_many(home: Path) -> None:
    earlier_database(home, Fernet.generate_key())
    done = at_once(*(command_line("list", "--json") for _number in range(MANY // 2)))
    assert [finished.returncode for finished in done] == [0] * (MANY // 2), done
    assert len({finished.stdout for finished in done}) == 1 and len(json.loads(done[0].stdout)["accounts"]) == 2


def test_twenty_launches_of_an_expired_account_ask_once_and_all_work(
    endpoint: TokenEndpoint, program_folder: Path
) -> None:
    """CON-03, OAU-15: one request, twenty sessions with the new token."""
    write_program(program_folder / "claude", NAMELESS + 'echo "$CLAUDE_CODE_OAUTH_TOKEN"\n')
    expired_account(endpoint)
    done = at_once(*(command_line("launch", "client") for _number in range(MANY)))
    assert [finished.returncode for finished in done] == [0] * MANY, done
    assert {finished.stdout.strip() for finished in done} == {endpoint.issued[-1][0]}
    assert len(endpoint.requests) == 1 and endpoint.reused == []


def test_twenty_refreshes_send_no_spent_token_and_keep_the_newest_pair(endpoint: TokenEndpoint) -> None:
    """CON-03: whoever waited finds a fresh token and asks nobody."""
    expired_account(endpoint)
    done = at_once(*(command_line("refresh", "client") for _number in range(MANY)))
    assert [finished.returncode for finished in done] == [0] * MANY, done
    # One that starts when another has finished may ask anew; none may send what is spent.
    assert endpoint.reused == [] and endpoint.revoked == set()
    assert stored_pair() == endpoint.issued[-1]


def test_commands_and_threads_together_spend_each_token_once(endpoint: TokenEndpoint, program_folder: Path) -> None:
    """CON-04, CON-05: what a server does in its threads beside what shells do."""
    write_program(program_folder / "claude", NAMELESS + 'echo "$CLAUDE_CODE_OAUTH_TOKEN"\n')
    account = expired_account(endpoint)
    failures: list[BaseException] = []

    def use() -> None:
        try:
            assert db.get_launch_env(account.id)["CLAUDE_CODE_OAUTH_TOKEN"] == endpoint.issued[-1][0]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _number in range(10)]
    for thread in threads:
        thread.start()
    commands = [command_line("launch", "client")] * 5 + [command_line("list")] * 5
    done = at_once(*commands)
    for thread in threads:
        thread.join()
    assert failures == [] and [finished.returncode for finished in done] == [0] * 10, done
    assert len(endpoint.requests) == 1 and endpoint.reused == []


def test_a_hanging_refresh_blocks_nobody_else(endpoint: TokenEndpoint, cli: Cli) -> None:
    """CON-07: neither another account, nor a list, nor a write."""
    expired_account(endpoint, family="slow")
    db.add_account("work", db.API_KEY, api_key=KEY)
    db.add_account(
        "other",
        db.OAUTH,
        access_token="sk-ant-oat01-quick-access-expired",
        refresh_token=endpoint.new_login("quick"),
        expires_at=in_hours(-1),
    )
    asked, answer_now = threading.Event(), threading.Event()
    exchange = endpoint.exchange

    def slow(request: dict[str, object]) -> tuple[int, bytes]:
        if "slow" in str(request["refresh_token"]):
            asked.set()
            assert answer_now.wait(60)
        return exchange(request)

    endpoint.answer = slow
    hanging = subprocess.Popen(command_line("refresh", "client"), stderr=subprocess.PIPE, text=True)
    try:
        assert asked.wait(60)
        assert cli("list").returncode == 0
        assert cli("exec", "work", "--", "true").returncode == 0
        assert cli("add", "third", "--key", "-", stdin=KEY).returncode == 0
        assert cli("refresh", "other").returncode == 0
        assert hanging.poll() is None
    finally:
        answer_now.set()
        _output, errors = hanging.communicate(timeout=60)
    assert hanging.returncode == 0, errors
    assert endpoint.reused == []


def test_a_killed_holder_of_the_lock_keeps_nobody_waiting(endpoint: TokenEndpoint, cli: Cli) -> None:
    account = expired_account(endpoint)
    program = (
        "import sys, bare_names\n"
        "refresh, rows = bare_names.member('accounts.refresh'), bare_names.member('accounts.rows')\n"
        "with refresh.login_lock(rows.reread(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, account.id],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.communicate()
    assert cli("refresh", "client").returncode == 0
    assert stored_pair() == endpoint.issued[-1]
