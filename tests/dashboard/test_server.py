"""The page's files and headers, and the server as its user runs it: in a process of its own."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import select
import signal
import socket as sockets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import warm
from conftest import PROJECT, Cli, assert_fails_cleanly, command_line, write_program
from running_dashboard import ACCESS, API_KEY, PASSWORD, REFRESH, Dashboard, add, set_up, socket
from token_endpoint import TokenEndpoint, in_hours
from warm import DEADLINE

from claude_accounts.dashboard import browser_libs
from claude_accounts.dashboard.callers import COOKIE
from claude_accounts.server import STATIC, create_app


@pytest.fixture
def dashboard() -> Dashboard:
    """Return a dashboard that has been set up."""
    return set_up()


def _policy(header: str) -> dict[str, list[str]]:
    return {part.split()[0]: part.split()[1:] for part in header.split(";") if part.strip()}


def test_injected_markup_cannot_run_script(dashboard: Dashboard) -> None:
    """HDR-01, HDR-02, HDR-07"""
    answer = dashboard.client.get("/")
    policy = _policy(answer.headers["Content-Security-Policy"])
    assert policy["script-src"] == ["'self'"]
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == ["'none'"]
    for sources in policy.values():
        assert not any("unsafe-eval" in source or "*" in source or "//" in source for source in sources)
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_page_itself_needs_no_inline_script_and_no_other_host(dashboard: Dashboard) -> None:
    """HDR-01, HDR-07, HDR-14"""
    html = dashboard.client.get("/").text
    assert re.search(r"<script(?![^>]*\bsrc=)", html) is None
    assert re.search(r"\son[a-z]+\s*=", html) is None
    loaded = re.findall(r"<(?:script|link|img|iframe|source)[^>]*?(?:src|href)=[\"']([^\"']*)", html)
    assert loaded and all(address.startswith("static/") for address in loaded)
    for path in Path(STATIC, "js").rglob("*.js"):
        code = path.read_text()
        assert "sessionStorage" not in code, path
        assert re.search(r"localStorage\S*token", code, re.IGNORECASE) is None, path


def test_every_answer_has_the_protecting_headers(dashboard: Dashboard) -> None:
    """HDR-02, HDR-03, HDR-04, HDR-06"""
    for answer in (
        dashboard.client.get("/"),
        dashboard.client.get("/static/css/base.css"),
        dashboard.client.get("/healthz"),
        dashboard.client.get("/api/accounts"),
        dashboard.stranger().get("/api/accounts"),
        dashboard.client.get("/nothing"),
        dashboard.client.post("/healthz"),
        dashboard.client.get("/", headers={"Host": "evil.example"}),
        dashboard.client.get("/socket.io/?EIO=4&transport=polling"),
        dashboard.client.get("/socket.io/?EIO=1"),
        dashboard.client.post("/api/accounts", data="x"),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_answers_with_account_data_are_not_stored(dashboard: Dashboard) -> None:
    """HDR-05"""
    for path in ("/api/accounts", "/api/export", "/api/auth/status", "/api/auth/sessions", "/api/browse"):
        assert dashboard.client.get(path).headers["Cache-Control"] == "no-store"
    fresh = create_app()
    fresh.test_client()
    rotated = dashboard.client.post("/api/auth/rotate-token", json={"password": PASSWORD})
    assert rotated.headers["Cache-Control"] == "no-store"


def test_failures_are_json_without_a_stack_trace(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """HDR-09"""
    for answer, status in (
        (dashboard.client.get("/api/nothing"), 404),
        (dashboard.client.patch("/api/accounts"), 405),
        (dashboard.client.post("/api/accounts", data="{", content_type="application/json"), 400),
        (dashboard.client.post("/api/accounts", data="{}", content_type="text/plain"), 415),
        (dashboard.client.get("/nothing"), 404),
    ):
        assert answer.status_code == status
        assert set(answer.get_json()) >= {"error", "hint"}
        assert "Traceback" not in answer.text and ".py" not in answer.text
    assert "GET" in dashboard.client.patch("/api/accounts").headers["Allow"]

    def fail() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("claude_accounts.db.list_accounts", fail)
    broken = dashboard.client.get("/api/accounts")
    assert broken.status_code == 500
    assert set(broken.get_json()) == {"error", "hint"}
    assert "secret detail" not in broken.text
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e%2fdb.py",
        "/static/js/../../cli.py",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/..\\server.py",
        "/static/.env",
        "/static/.git/config",
        "/static/css/.hidden.css",
        "/static/index.html%00.css",
        "/static/css",
        "/static/",
        "/server.py",
        "/cli.py",
        "/accounts.db",
        "/.key",
        "/.git/config",
        "/package.json",
        "/static/index.html/../../package.json",
        "/vendor/0000000000000000/xterm.js",
        "/vendor/../server.py",
        "/vendor/x/../../server.py",
    ],
)
def test_nothing_but_the_pages_files_is_served(dashboard: Dashboard, path: str) -> None:
    """HDR-10, HDR-11"""
    answer = dashboard.client.get(path)
    assert answer.status_code in (404, 308), path
    assert b"import" not in answer.data and b"root:" not in answer.data
    assert dashboard.client.get(path, follow_redirects=True).status_code == 404


def test_link_out_of_the_folder_is_not_followed(
    dashboard: Dashboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HDR-10"""
    (tmp_path / "outside.css").write_text("secret")
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "link.css").symlink_to(tmp_path / "outside.css")
    (folder / "real.css").write_text("body {}")
    (folder / "code.py").write_text("secret")
    monkeypatch.setattr("claude_accounts.server.STATIC", str(folder))
    assert dashboard.client.get("/static/real.css").status_code == 200
    assert dashboard.client.get("/static/link.css").status_code == 404
    assert dashboard.client.get("/static/code.py").status_code == 404


def test_files_are_sent_compressed_and_only_when_they_have_changed(
    dashboard: Dashboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page opens fast, and never an old one."""
    style = "body { color: red }\n" * 100
    (tmp_path / "page.css").write_text(style)
    monkeypatch.setattr("claude_accounts.server.STATIC", str(tmp_path))
    plain = dashboard.client.get("/static/page.css")
    assert plain.text == style
    assert plain.headers["Cache-Control"] == "no-cache"
    packed = dashboard.client.get("/static/page.css", headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data).decode() == style
    assert len(packed.data) < len(plain.data) / 5
    assert packed.headers["ETag"] != plain.headers["ETag"]
    again = dashboard.client.get(
        "/static/page.css", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")
    (tmp_path / "page.css").write_text(style + "p {}")
    changed = dashboard.client.get("/static/page.css", headers={"If-None-Match": plain.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.text == style + "p {}"


def test_browser_libraries_are_kept_for_ever_under_their_lock(
    dashboard: Dashboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new set of libraries has a new address."""
    (tmp_path / "xterm.js").write_text("export {}")
    monkeypatch.setattr(browser_libs, "vendor_folder", lambda: str(tmp_path))
    address = dashboard.client.get("/api/auth/status").get_json()["vendor"]
    assert address == f"/vendor/{browser_libs.lock_id()}/"
    answer = dashboard.client.get(address + "xterm.js")
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "immutable" in answer.headers["Cache-Control"]
    monkeypatch.setattr(browser_libs, "vendor_folder", lambda: "")
    assert dashboard.client.get("/api/auth/status").get_json()["vendor"] == ""
    assert dashboard.client.get(address + "xterm.js").status_code == 404


def test_two_applications_share_nothing() -> None:
    """No state at import: each test, and each server, has its own."""
    one, other = create_app(), create_app()
    for key in ("claude_accounts", "claude_accounts_list"):
        assert one.extensions[key] is not other.extensions[key]
    assert one.extensions["claude_accounts"].attempts is not other.extensions["claude_accounts"].attempts


COLD = "as a shell starts it"


class Running(NamedTuple):
    """A server in a process of its own, its port, and the files its output goes to."""

    process: subprocess.Popen[bytes] | warm.Process
    port: int
    output: Path

    def request(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and JSON of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            data = None if body is None else json.dumps(body)
            sent = {"Content-Type": "application/json"} if data is not None else {}
            connection.request(method, path, data, sent | (headers or {}))
            answer = connection.getresponse()
            text = answer.read()
            is_json = answer.headers.get("Content-Type", "").startswith("application/json")
            return answer.status, dict(answer.headers), json.loads(text) if is_json else text
        finally:
            connection.close()

    def workers(self) -> list[int]:
        """Return the process ids of the server's children."""
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
        pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
        return [pid for pid, parent in pairs if parent == self.process.pid]


@contextmanager
def running(
    tmp_path: Path, *options: str, env: dict[str, str] | None = None, how: str = "warm:server"
) -> Iterator[Running]:
    """Run `serve` on a free port until it answers, and end it after the test.

    `how` is the function of a warm process; where signals are the claim, it is COLD: as a shell starts it.
    """
    # No package manager in a test: the folder for the libraries cannot be made.
    blocked = tmp_path / "no-cache"
    blocked.write_text("")
    output = tmp_path / f"output-{time.monotonic_ns()}"
    words = ("--port", "0", "--no-browser", *options)
    environ = os.environ | {"XDG_CACHE_HOME": str(blocked)} | (env or {})
    process: subprocess.Popen[bytes] | warm.Process
    with output.open("wb") as file:
        if how == COLD:
            process = subprocess.Popen(
                command_line("serve", *words),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=environ,
                start_new_session=True,
            )
        else:
            process = warm.start(*words, function=how, stdout=file, stderr=file, env=environ, new_session=True)
    try:
        found = _wait_for(output, r"https?://localhost:(\d+)/", process)
        server = Running(process, int(found[1]), output)
        if "https" not in found[0]:
            assert server.request("GET", "/healthz")[0] == 200
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE)
        finally:
            process.kill()


def _wait_for(
    output: Path, pattern: str, process: subprocess.Popen[bytes] | warm.Process | None = None
) -> re.Match[str]:
    deadline = time.monotonic() + DEADLINE
    while True:
        text = output.read_text() if output.exists() else ""
        match = re.search(pattern, text)
        if match:
            return match
        assert time.monotonic() < deadline, text
        assert process is None or process.poll() is None, text
        time.sleep(0.02)


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + DEADLINE
    while any(Path(f"/proc/{pid}").exists() if Path("/proc").exists() else _is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, pids
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_server_names_no_version_and_listens_on_loopback_only(tmp_path: Path) -> None:
    """HDR-08, NET-01"""
    with running(tmp_path) as server:
        _status, headers, _body = server.request("GET", "/")
        assert not re.search(r"\d", headers.get("Server", ""))
        other = _other_address()
        if other:
            with pytest.raises(OSError), sockets.create_connection((other, server.port), timeout=5):
                pass


def _other_address() -> str:
    """Return an address of this machine that is not loopback, "" when it has none."""
    with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def test_remote_server_is_reached_under_its_address_and_asks_for_the_code(tmp_path: Path) -> None:
    """NET-02, NET-04, NET-06"""
    other = _other_address()
    with running(tmp_path, "--remote") as server:
        assert "plain HTTP" in server.output.read_text()
        assert "no second factor is set" in server.output.read_text()
        code = _wait_for(server.output, r"[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4}")[0]
        status, _headers, _body = server.request("GET", "/", headers={"Host": f"evil.example:{server.port}"})
        assert status == 403
        if not other:
            return
        connection = http.client.HTTPConnection(other, server.port, timeout=DEADLINE)
        connection.request("GET", "/api/auth/status")
        assert json.loads(connection.getresponse().read())["setup_code_required"]
        for given, expected in (({}, 403), ({"setup_code": code}, 201)):
            body = json.dumps({"password": PASSWORD, **given})
            connection.request("POST", "/api/auth/setup", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == expected
        connection.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_server_cleanly(tmp_path: Path, how: signal.Signals) -> None:
    """TRM-07, CLI-01: with an open socket, at once and without a word too many."""
    with running(tmp_path, how=COLD) as server:
        _status, headers, body = server.request("POST", "/api/auth/setup", {"password": PASSWORD})
        workers = server.workers()
        with socket(f"http://127.0.0.1:{server.port}", {"X-Auth-Token": body["api_token"]}):
            server.process.send_signal(how)
            assert server.process.wait(DEADLINE) in (0, 130)
        _wait_until_gone(workers)
        text = server.output.read_text()
        assert "Traceback" not in text and "error" not in text.lower(), text
        assert headers["Set-Cookie"].startswith(COOKIE)


def test_ctrl_c_on_a_terminal_ends_the_server_cleanly(tmp_path: Path) -> None:
    """CLI-01: every process of the group gets the signal."""
    with running(tmp_path, how=COLD) as server:
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.process.wait(DEADLINE) in (0, 130)
        assert "Traceback" not in server.output.read_text()


def test_worker_does_not_outlive_a_killed_master(tmp_path: Path) -> None:
    """TRM-07: no orphan keeps the port or the terminals."""
    with running(tmp_path, how=COLD) as server:
        workers = server.workers()
        assert workers
        server.process.kill()
        server.process.wait(DEADLINE)
        _wait_until_gone(workers)


FAKE_CLAUDE = """#!/bin/sh
[ "$1" = --version ] && { echo "9.9.9 (Claude Code)"; exit; }
trap '' HUP TERM
sleep 1000 &
echo "$$ $!" > "$PIDS"
while :; do sleep 1; done
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_end_of_the_server_ends_its_terminals(
    tmp_path: Path, program_folder: Path, how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRM-07: also what ignores SIGHUP and SIGTERM, and when only the master is killed."""
    pids = tmp_path / "pids"
    monkeypatch.setenv("PIDS", str(pids))
    write_program(program_folder / "claude", FAKE_CLAUDE)
    with running(tmp_path, how=COLD) as server:
        auth = {"X-Auth-Token": server.request("POST", "/api/auth/setup", {"password": PASSWORD})[2]["api_token"]}
        new = {"name": "work", "auth_type": "oauth", "access_token": ACCESS}
        account_id = server.request("POST", "/api/accounts", new, auth)[2]["id"]
        with socket(f"http://127.0.0.1:{server.port}", auth) as client:
            client.emit("start_terminal", {"account_id": account_id})
            started = [int(pid) for pid in _wait_for(pids, r"(\d+ \d+)\n")[1].split()]
        (terminal,) = server.request("GET", "/api/terminals", headers=auth)[2]
        assert terminal["account_id"] == account_id
        server.process.send_signal(how)
        server.process.wait(DEADLINE)
        _wait_until_gone(started)


def test_terminal_is_stopped_over_the_api(
    tmp_path: Path, program_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRM-03"""
    pids = tmp_path / "pids"
    monkeypatch.setenv("PIDS", str(pids))
    write_program(program_folder / "claude", FAKE_CLAUDE)
    with running(tmp_path) as server:
        auth = {"X-Auth-Token": server.request("POST", "/api/auth/setup", {"password": PASSWORD})[2]["api_token"]}
        new = {"name": "work", "auth_type": "oauth", "access_token": ACCESS}
        account_id = server.request("POST", "/api/accounts", new, auth)[2]["id"]
        with socket(f"http://127.0.0.1:{server.port}", auth) as client:
            client.emit("start_terminal", {"account_id": account_id})
            started = [int(pid) for pid in _wait_for(pids, r"(\d+ \d+)\n")[1].split()]
        (terminal,) = server.request("GET", "/api/terminals", headers=auth)[2]
        assert server.request("POST", f"/api/terminals/{terminal['terminal_id']}/stop", {}, auth)[0] == 200
        _wait_until_gone(started)


def test_taken_port_is_one_line_and_a_hint(cli: Cli) -> None:
    """CLI-09"""
    with sockets.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finished = cli("serve", "--no-browser", "--port", str(port))
    assert_fails_cleanly(finished, str(port), "in use")
    assert "hint: claude-accounts serve --port" in finished.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--port", "70000"),
        ("--port", "-1"),
        ("--port", "x"),
        ("--trusted-host", "https://me@claude.example.com/"),
        ("--trusted-host", "*.example.com"),
        ("--tls-cert", "/no/such/file"),
        ("--tls-cert", "/no/such/file", "--tls-key", "/no/such/file"),
    ],
)
def test_bad_options_are_one_line_and_a_hint(cli: Cli, options: tuple[str, ...]) -> None:
    """CLI-01"""
    assert_fails_cleanly(cli("serve", "--no-browser", *options), code=None)


def test_server_module_is_the_same_command(tmp_path: Path, cli: Cli) -> None:
    """`python server.py` takes the options of `serve`."""
    import sys

    finished = subprocess.run(
        [sys.executable, str(PROJECT / "server.py"), "--port", "70000"], capture_output=True, text=True, timeout=60
    )
    assert_fails_cleanly(finished, "65535", code=2)


def test_no_secret_reaches_the_servers_output(tmp_path: Path, endpoint: TokenEndpoint) -> None:
    """SEC-01: in a whole session, with its failures and a login over the socket."""
    refresh = endpoint.new_login()
    with running(tmp_path) as server:
        _status, headers, body = server.request("POST", "/api/auth/setup", {"password": PASSWORD})
        token, cookie = body["api_token"], headers["Set-Cookie"].partition(";")[0]
        auth = {"X-Auth-Token": token}
        tokens = {"access_token": ACCESS, "refresh_token": refresh, "expires_at": in_hours(-1)}
        new = {"name": "client", "auth_type": "oauth", **tokens}
        account_id = server.request("POST", "/api/accounts", new, auth)[2]["id"]
        server.request("POST", "/api/accounts", {"name": "w", "auth_type": "api_key", "api_key": API_KEY}, auth)
        server.request("POST", "/api/accounts", {"name": "work", "auth_type": "api_key", "api_key": API_KEY}, auth)
        server.request("POST", f"/api/accounts/{account_id}/refresh-oauth", {}, auth)
        server.request("POST", f"/api/accounts/{account_id}/launch", {"reveal": True}, auth)
        server.request("GET", f"/api/export?token={token}", None, auth)
        server.request("GET", f"/api/nothing?token={token}", None, auth)
        server.request("POST", "/api/auth/login", {"password": PASSWORD})
        server.request("POST", "/api/auth/login", {"password": PASSWORD + "x"})
        server.request("POST", "/api/import", [{"name": "x", "auth_type": "api_key", "api_key": API_KEY + "\n"}], auth)
        url = f"http://127.0.0.1:{server.port}"
        for headers, socket_auth in (({"X-Auth-Token": token}, None), ({"Cookie": cookie}, None)):
            with socket(url, headers, auth=socket_auth) as client:
                client.emit("start_terminal", {"account_id": API_KEY})
                client.emit("nothing", {"token": token})
        with socket(url, {}, auth={"token": token}):
            pass
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(DEADLINE)
        text = server.output.read_text()
    assert "POST /api/accounts 201" in text
    issued = [secret for pair in endpoint.issued for secret in pair]
    for secret in (PASSWORD, token, cookie.partition("=")[2], ACCESS, REFRESH, API_KEY, refresh, *issued):
        assert secret not in text


def test_forty_half_sent_requests_do_not_keep_others_out(tmp_path: Path) -> None:
    """DOS-02"""
    with running(tmp_path) as server, ExitStack() as stack:
        for number in range(40):
            slow = stack.enter_context(sockets.create_connection(("127.0.0.1", server.port), timeout=DEADLINE))
            half = b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
            slow.sendall(half if number % 2 else half + b"Content-Type: application/json\r\n\r\n{")
        assert server.request("GET", "/healthz")[0] == 200
        assert server.request("GET", "/")[0] == 200


def test_half_sent_request_is_given_up(tmp_path: Path) -> None:
    """DOS-02: a thread is not lost for ever."""
    with (
        running(tmp_path, how="warm:hasty_server") as server,
        sockets.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as slow,
    ):
        slow.sendall(b"GET / HTTP/1.1\r\nHost: local")
        assert slow.recv(100) == b""


def test_thirty_password_checks_at_once_leave_the_rest_usable(tmp_path: Path) -> None:
    """DOS-05"""
    with running(tmp_path) as server:
        token = server.request("POST", "/api/auth/setup", {"password": PASSWORD})[2]["api_token"]
        answers: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: answers.append(server.request("POST", "/api/auth/login", {"password": "wrong"})[0])
            )
            for _check in range(30)
        ]
        for thread in threads:
            thread.start()
        assert server.request("GET", "/api/accounts", headers={"X-Auth-Token": token})[0] == 200
        for thread in threads:
            thread.join()
        assert sorted(answers) == [403] * 10 + [429] * 20


def test_two_servers_on_one_home_do_not_disturb_each_other(tmp_path: Path) -> None:
    """CON-10"""
    with running(tmp_path) as one, running(tmp_path) as other:
        token = one.request("POST", "/api/auth/setup", {"password": PASSWORD})[2]["api_token"]
        auth = {"X-Auth-Token": token}
        for number in range(10):
            server = (one, other)[number % 2]
            new = {"name": f"account-{number}", "auth_type": "api_key", "api_key": API_KEY}
            assert server.request("POST", "/api/accounts", new, auth)[0] == 201
        assert len(one.request("GET", "/api/accounts", headers=auth)[2]) == 10
        assert (
            one.request("GET", "/api/accounts", headers=auth)[2]
            == other.request("GET", "/api/accounts", headers=auth)[2]
        )


def test_browser_opens_once_and_finds_the_page_there(tmp_path: Path, program_folder: Path) -> None:
    """With the code for a first visit where neither server nor log sees it. No proxy is asked for our own address."""
    opened = tmp_path / "opened"
    write_program(
        program_folder / "fake-browser",
        f"#!/bin/sh\nunset http_proxy\n{sys.executable} -c 'import sys, urllib.request as u; "
        f'print(u.urlopen(sys.argv[1]).status, sys.argv[1])\' "$1" >> {opened}\n',
    )
    blocked = tmp_path / "no-cache"
    blocked.write_text("")
    output = tmp_path / "output"
    silent = sockets.create_server(("127.0.0.1", 0))
    environment = os.environ | {
        "BROWSER": str(program_folder / "fake-browser"),
        "XDG_CACHE_HOME": str(blocked),
        "http_proxy": f"http://127.0.0.1:{silent.getsockname()[1]}",
    }
    with output.open("wb") as file:
        process = subprocess.Popen(
            command_line("serve", "--port", "0"),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment,
            start_new_session=True,
        )
    try:
        url = _wait_for(output, r"http://localhost:\d+/", process)[0]
        _wait_for(opened, r"\n", process)
        link = re.fullmatch(rf"200 {url}#setup=([A-Z2-9-]{{14}})\n", opened.read_text())
        assert link is not None, opened.read_text()
        # The printed code is another one: a browser's command line can be read by everybody on the machine.
        printed = re.findall(r"[A-Z2-9]{4}(?:-[A-Z2-9]{4}){2}", output.read_text())
        assert len(printed) == 2 and len(set(printed)) == 1
        assert f"{url}#setup={printed[0]}" in output.read_text()
        assert link[1] not in printed
        assert select.select([silent], [], [], 0)[0] == []
    finally:
        silent.close()
        process.terminate()
        process.wait(DEADLINE)


def test_https_is_served_with_a_certificate(tmp_path: Path) -> None:
    """AUT-20: and the cookie is then Secure."""
    import ssl

    from tls_certificate import write_certificate

    certificate, key = write_certificate(tmp_path)
    with running(tmp_path, "--tls-cert", str(certificate), "--tls-key", str(key)) as server:
        context = ssl.create_default_context(cafile=str(certificate))
        connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=DEADLINE)
        origin = {"Content-Type": "application/json", "Origin": f"https://localhost:{server.port}"}
        connection.request("POST", "/api/auth/setup", json.dumps({"password": PASSWORD}), origin)
        answer = connection.getresponse()
        assert answer.status == 201
        assert "Secure" in answer.headers["Set-Cookie"]
        connection.close()


def test_files_stay_private_while_the_server_runs(tmp_path: Path, home: Path) -> None:
    """FS-01: whatever the umask."""
    old = os.umask(0)
    try:
        with running(tmp_path, how=COLD) as server:
            token = server.request("POST", "/api/auth/setup", {"password": PASSWORD})[2]["api_token"]
            new = {"name": "work", "auth_type": "api_key", "api_key": API_KEY}
            assert server.request("POST", "/api/accounts", new, {"X-Auth-Token": token})[0] == 201
            folder = home / ".claude-accounts"
            for path in [folder, *folder.rglob("*")]:
                assert path.stat().st_mode & 0o077 == 0, path
    finally:
        os.umask(old)


def test_added_account_is_seen_by_the_command_line(dashboard: Dashboard, cli: Cli) -> None:
    """Two faces of one store."""
    add(dashboard.client)
    assert "work" in cli("list").stdout
