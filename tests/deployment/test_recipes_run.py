"""The other recipes of docs/deployment.md: SSH tunnel, own certificate, tunnel headers, services, backup, moving."""

from __future__ import annotations

import json
import os
import plistlib
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from conftest import PROJECT, Cli, Finished, command_line, write_program
from recipes import recipe
from running_dashboard import ACCESS, API_KEY, PASSWORD, REFRESH
from test_proxies import free_port
from test_server import Running, running

NAME = "claude.example.com"


@pytest.fixture
def accounts(cli: Cli, program_folder: Path) -> None:
    """Have an account of each kind, and `claude-accounts` on PATH."""
    program = " ".join(f"'{word}'" for word in command_line())
    write_program(program_folder / "claude-accounts", f'#!/bin/sh\nexec {program} "$@"\n')
    entries = [
        {"name": "work", "auth_type": "api_key", "api_key": API_KEY},
        {"name": "home", "auth_type": "oauth", "access_token": ACCESS, "refresh_token": REFRESH, "expires_at": 1},
    ]
    finished = cli("import", "-", stdin=json.dumps(entries))
    assert finished.returncode == 0, finished


def _run(script: str) -> Finished:
    """Run a recipe as it is pasted into a shell."""
    return subprocess.run(["bash", "-e"], input=script, capture_output=True, text=True, timeout=120)


def test_backup_is_whole_and_private_and_comes_back(accounts: None, home: Path, cli: Cli) -> None:
    """Also while something writes: the copy is SQLite's own."""
    finished = _run(recipe("backup"))
    assert finished.returncode == 0, finished
    copy = home / "claude-accounts-backup"
    assert sorted(path.name for path in copy.iterdir()) == [".key", "accounts.db"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (copy, *copy.iterdir()))
    before = cli("export", "--yes").stdout
    shutil.rmtree(home / ".claude-accounts")
    shutil.copytree(copy, home / ".claude-accounts")
    assert cli("export", "--yes").stdout == before and REFRESH in before


def test_moving_to_another_machine_leaves_the_refresh_token_with_its_owner(
    accounts: None, home: Path, tmp_path: Path, program_folder: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe itself, with the other machine played by another home on this one."""
    other = tmp_path / "other"
    other.mkdir()
    write_program(program_folder / "scp", f'#!/bin/sh\nexec cp "$1" {other}/\n')
    write_program(program_folder / "ssh", f'#!/bin/sh\ncd {other} && HOME={other} exec sh -c "$2"\n')
    monkeypatch.chdir(tmp_path)
    finished = _run(recipe("move"))
    assert finished.returncode == 0, finished
    assert not (tmp_path / "accounts.json").exists() and not (other / "accounts.json").exists()
    there = json.loads(cli("export", "--yes", env={"HOME": str(other)}).stdout)
    assert {account["name"]: account.get("refresh_token", "") for account in there} == {"work": "", "home": ""}
    assert {account.get("api_key") for account in there} > {API_KEY}
    assert REFRESH in cli("export", "--yes").stdout


@pytest.mark.skipif(shutil.which("curl") is None and os.environ.get("CI") != "true", reason="no curl here")
def test_curl_recipe_accepts_the_servers_own_certificate(tmp_path: Path) -> None:
    _program, _serve, *options = recipe("tls").split()
    with running(tmp_path, *options) as server:
        finished = _run(recipe("tls-curl").replace("5111", str(server.port)))
        assert json.loads(finished.stdout) == {"status": "ok"}, finished


def test_visit_through_cloudflare_counts_as_its_visitors(tmp_path: Path) -> None:
    """With the headers that its edge adds: no local visitor, no other site, a cookie for HTTPS only."""
    assert re.findall(r"--url http://127\.0\.0\.1:5111 claude-accounts$", recipe("cloudflared"), re.MULTILINE)

    def headers(visitor: str) -> dict[str, str]:
        edge = {"Cf-Connecting-Ip": visitor, "Cf-Ray": "8f", "X-Forwarded-For": visitor, "X-Forwarded-Proto": "https"}
        return {"Host": NAME, "Origin": f"https://{NAME}"} | edge

    with running(tmp_path, "--behind-proxy", "--trusted-host", NAME) as server:
        one, other = headers("198.51.100.7"), headers("198.51.100.8")
        assert server.request("POST", "/api/auth/setup", {"password": PASSWORD}, one)[0] == 403
        code = re.search(r"(?:[A-Z2-9]{4}-){2}[A-Z2-9]{4}", server.output.read_text())
        assert code
        body = {"password": PASSWORD, "setup_code": code[0]}
        status, answered, _body = server.request("POST", "/api/auth/setup", body, one)
        assert status == 201 and "; Secure" in answered["Set-Cookie"]
        wrong = {"password": "not the right one"}
        tried = [server.request("POST", "/api/auth/login", wrong, one)[0] for _try in range(11)]
        assert tried == [403] * 10 + [429]
        assert server.request("POST", "/api/auth/login", {"password": PASSWORD}, other)[0] == 200


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With the checkout where the recipe has it."""
    text = recipe("systemd")
    assert "%h/claude-accounts/start.sh --local --no-browser" in text
    unit = tmp_path / "claude-accounts.service"
    unit.write_text(text.replace("%h/claude-accounts", str(PROJECT)))
    finished = subprocess.run(["systemd-analyze", "--user", "verify", unit], capture_output=True, text=True)
    assert "claude-accounts.service" not in finished.stderr, finished


def test_launchd_property_list_is_one() -> None:
    agent = plistlib.loads(recipe("launchd").encode())
    assert agent["ProgramArguments"][1:] == ["--local", "--no-browser"]
    assert agent["ProgramArguments"][0].endswith("/claude-accounts/start.sh")
    assert agent["RunAtLoad"] and agent["ExitTimeOut"] > 12 and agent["KeepAlive"] == {"SuccessfulExit": False}


SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


@pytest.mark.skipif(SSHD is None and os.environ.get("CI") != "true", reason="no sshd here")
def test_visitor_of_an_ssh_tunnel_is_a_local_one(tmp_path: Path) -> None:
    """NET-02: who can sign in on the server needs no code for the first password."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    ssh_port, here = free_port(), free_port()
    config = tmp_path / "sshd_config"
    config.write_text(
        f"Port {ssh_port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nPidFile none\nStrictModes no\n"
        f"AuthorizedKeysFile {tmp_path}/user.pub\nPermitRootLogin yes\nUsePAM no\nPasswordAuthentication no\n"
    )
    if os.getuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)
    with running(tmp_path) as server:
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        tunnel = recipe("ssh").replace("5111:localhost:5111", f"{here}:localhost:{server.port}")
        tunnel = tunnel.replace("user@server", f"{user}@127.0.0.1")
        assert str(here) in tunnel and user in tunnel
        options = f"-p {ssh_port} -i {tmp_path}/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        words = tunnel.split()
        log = (tmp_path / "ssh-log").open("wb")
        daemon = subprocess.Popen([str(SSHD), "-D", "-e", "-f", config], stderr=log)
        client = None
        try:
            _wait_for_port(ssh_port, daemon, tmp_path / "ssh-log")
            client = subprocess.Popen([words[0], *options.split(), *words[1:]], stdin=subprocess.DEVNULL, stderr=log)
            _wait_for_port(here, client, tmp_path / "ssh-log")
            through = Running(server.process, here, server.output)
            assert through.request("GET", "/api/auth/status")[2]["setup_code_required"] is False
            origin = {"Origin": f"http://localhost:{here}", "Host": f"localhost:{here}"}
            assert through.request("POST", "/api/auth/setup", {"password": PASSWORD}, origin)[0] == 201
        finally:
            for process in (client, daemon):
                if process is not None:
                    process.terminate()
                    process.wait(40)
            log.close()


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
