"""What a launch costs the database: one look and one write, whatever kind of account."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT, write_program
from token_endpoint import TokenEndpoint

from claude_accounts import db

# The opened databases are counted by Python's own audit events; exec would take the count along.
COUNT = """
import os, sys
sys.path.insert(0, sys.argv[1])
opened = []
sys.addaudithook(lambda event, about: opened.append(about) if event == "sqlite3.connect" else None)
os.execve = lambda *program: (print(len(opened)), sys.stdout.flush(), os._exit(0))
import cli
sys.exit(cli.main(sys.argv[2:]))
"""


def looks(*words: str) -> int:
    """Return how often a command opens the database before it becomes another program."""
    done = subprocess.run([sys.executable, "-c", COUNT, str(PROJECT), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.fixture(params=["key", "setup token", "injected", "durable"])
def account(request: pytest.FixtureRequest, endpoint: TokenEndpoint) -> db.Account:
    """Return an account of each kind, whose credential lasts."""
    if request.param == "key":
        return db.add_account("work", db.API_KEY, api_key="sk-ant-api03-" + "k" * 60)
    refresh = "" if request.param == "setup token" else endpoint.new_login()
    ends = 0 if request.param == "setup token" else 4_000_000_000_000
    token = "sk-ant-oat01-" + "a" * 60
    made = db.add_account("work", db.OAUTH, access_token=token, refresh_token=refresh, expires_at=ends)
    return db.set_durable(made.id, True) if request.param == "durable" else made


def test_launch_opens_the_database_twice(account: db.Account, program_folder: Path) -> None:
    answers = """#!/bin/sh
case $1 in --version) echo "2.1.332 (Claude Code)";; *) echo '{"loggedIn": false}';; esac
"""
    write_program(program_folder / "claude", answers)
    assert looks("launch", account.name) == 2
