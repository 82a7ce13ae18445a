"""Claims about the web terminal as its clients see it: real server, real sockets, real programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import write_program
from terminal_server import Client, Server, terminal_server, wait_until

import db


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    with terminal_server() as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    connected = Client(server)
    yield connected
    connected.close()


@pytest.fixture
def account(home: Path) -> str:
    return db.add_account("perso", "api_key", api_key="sk-ant-api03-not-a-real-key-0000000001").id


def fake_claude(folder: Path, script: str) -> None:
    write_program(folder / "claude", "#!/bin/bash\n" + script)


def test_plain_client_talks_to_claude(program_folder: Path, client: Client, account: str) -> None:
    fake_claude(program_folder, 'stty -echo; echo ready; read line; echo "got $line as $CLAUDE_ACCOUNT"; exit 3')
    client.emit("start_terminal", {"account_id": account})
    client.wait("terminal_started")
    client.wait_for_output("ready")
    client.emit("terminal_input", {"data": "héllo\r"})
    client.wait_for_output("got héllo as perso")
    assert client.wait("terminal_exit")["exit_code"] == 3
