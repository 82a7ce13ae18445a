"""What strangers can do to a server that runs: nothing that its owner notices, and little that is written down."""

from __future__ import annotations

import http.client
import json
import random
import re
import resource
import select
import socket as sockets
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import websocket
from conftest import write_program
from running_dashboard import ACCESS, PASSWORD, Dashboard, add, serving, set_up
from terminal_server import wait_until
from test_server import Running, running
from tls_certificate import write_certificate
from warm import DEADLINE

from claude_accounts.accounts import storage
from claude_accounts.dashboard import sign_in
from claude_accounts.dashboard.callers import cookie_name
from claude_accounts.dashboard.door import HALF_KNOWN, KNOWN, STRANGER
from claude_accounts.dashboard.worker import Limits

# Says after it is asked for its version what it is typed.
ECHO = (
    '#!/bin/sh\n[ "$1" = --version ] && { echo "9.9.9 (Claude Code)"; exit; }\nstty raw -echo; printf READY; exec cat\n'
)
COUNTING = '#!/bin/sh\n[ "$1" = --version ] && { echo "9.9.9 (Claude Code)"; exit; }\n'
COUNTING += "while :; do echo a line; sleep 0.01; done\n"
HEAD = b"Host: localhost\r\nContent-Type: application/json\r\n"
PAGE = b"GET /static/index.html HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def flood(port: int, count: int, first_words: bytes) -> Iterator[None]:
    """Hold so many connections that have sent this and never read; whoever is thrown out comes again."""
    over, full = threading.Event(), threading.Event()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))

    def come(opened: dict[int, sockets.socket], poll: select.poll) -> None:
        stranger = sockets.socket()
        stranger.settimeout(2)
        try:
            stranger.connect(("127.0.0.1", port))
            stranger.setblocking(False)
            stranger.send(first_words)
        except OSError:
            stranger.close()
            return
        opened[stranger.fileno()] = stranger
        poll.register(stranger, select.POLLRDHUP | select.POLLHUP | select.POLLERR)

    def hold() -> None:
        opened: dict[int, sockets.socket] = {}
        poll = select.poll()
        while not over.is_set():
            for _one in range(min(50, count - len(opened))):
                come(opened, poll)
            if len(opened) >= min(count, 90):
                full.set()
            for descriptor, _event in poll.poll(20):
                poll.unregister(descriptor)
                opened.pop(descriptor).close()
        for stranger in opened.values():
            stranger.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        # Where fewer are kept at a time it is never full.
        full.wait(3)
        yield
    finally:
        over.set()
        thread.join()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def typing(server: Running, token: str) -> Iterator[Callable[[str], None]]:
    """Open a terminal whose program says what it is typed, and give a function that types and waits for it."""
    headers = [f"X-Auth-Token: {token}"]
    address = f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket"
    opened = websocket.create_connection(address, timeout=DEADLINE, suppress_origin=True, header=headers)
    seen = ""

    def wait_for(marker: str) -> None:
        nonlocal seen
        while marker not in seen:
            message = opened.recv()
            if message == "2":
                opened.send("3")
            elif str(message).startswith('42["terminal_output"'):
                seen += json.loads(message[2:])[1]["data"]
            assert "terminal_error" not in message
        seen = seen.partition(marker)[2]

    def type_and_see(text: str) -> None:
        opened.send("42" + json.dumps(["terminal_input", {"data": text}]))
        wait_for(text)

    new = {"name": "work", "auth_type": "oauth", "access_token": ACCESS}
    account_id = server.request("POST", "/api/accounts", new, {"X-Auth-Token": token})[2]["id"]
    opened.send("40")
    opened.send("42" + json.dumps(["start_terminal", {"account_id": account_id}]))
    wait_for("READY")
    try:
        yield type_and_see
    finally:
        opened.shutdown()  # type: ignore[no-untyped-call]


def patiently(ask: Callable[[], int]) -> int:
    """Ask as somebody does whose connection was closed before it was heard: again, a few times."""
    for _try in range(4):
        with suppress(ConnectionError):
            return ask()
    return ask()


def set_up_server(server: Running) -> str:
    """Choose the password and return the API token."""
    return str(server.request("POST", "/api/auth/setup", {"password": PASSWORD})[2]["api_token"])


HALF_BODY = b"POST /api/auth/login HTTP/1.1\r\n" + HEAD + b'Content-Length: 100\r\n\r\n{"pass'
FLOODS = {
    "silent connections": b"",
    "half heads": b"GET / HTTP/1.1\r\nHost: loc",
    "half bodies": HALF_BODY,
    "half chunks": b"POST /api/auth/login HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n20\r\n{",
    "forty requests never read": PAGE.replace(b"index.html", b"css/base.css") * 40,
    "sockets that prove nothing": b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
}


@pytest.mark.parametrize("kind", FLOODS)
def test_owner_is_answered_and_types_on_during_a_flood(tmp_path: Path, program_folder: Path, kind: str) -> None:
    write_program(program_folder / "claude", ECHO)
    with running(tmp_path) as server:
        token = set_up_server(server)
        shown = {"X-Auth-Token": token}
        workers = server.workers()
        with typing(server, token) as type_and_see, flood(server.port, 260, FLOODS[kind]):
            for word in ("one", "two", "three"):
                assert patiently(lambda: server.request("GET", "/api/accounts", headers=shown)[0]) == 200
                type_and_see(word)
        assert server.workers() == workers
        text = server.output.read_text()
        assert "Traceback" not in text and len(text.splitlines()) < 60, text[-2000:]


@pytest.mark.parametrize(("descriptors", "count"), [(64, 90), (256, 300), (1024, 1100)])
def test_worker_and_terminal_live_on_when_the_descriptors_are_taken(
    tmp_path: Path, program_folder: Path, descriptors: int, count: int
) -> None:
    """With the limit that `ulimit -n` sets for good."""
    write_program(program_folder / "claude", ECHO)
    limit = {"TEST_DESCRIPTORS": str(descriptors)}
    with running(tmp_path, how="warm:limited_server", env=limit) as server:
        token = set_up_server(server)
        shown = {"X-Auth-Token": token}
        workers = server.workers()
        with typing(server, token) as type_and_see, flood(server.port, count, b""):
            for word in ("one", "two", "three"):
                assert patiently(lambda: server.request("GET", "/api/accounts", headers=shown)[0]) == 200
                type_and_see(word)
        assert server.workers() == workers
        assert "Traceback" not in server.output.read_text()


def test_owner_is_answered_during_half_hellos_of_tls(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    with running(tmp_path, "--tls-cert", str(certificate), "--tls-key", str(key)) as server:
        context = ssl.create_default_context(cafile=str(certificate))
        context.minimum_version = ssl.TLSVersion.TLSv1_2

        def ask(method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
            connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=DEADLINE)
            try:
                connection.request(method, path, json.dumps(body), {"Content-Type": "application/json", **headers})
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())
            finally:
                connection.close()

        token = ask("POST", "/api/auth/setup", {"password": PASSWORD})[1]["api_token"]
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        hello = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with suppress(ssl.SSLWantReadError):
            hello.do_handshake()
        with flood(server.port, 260, outgoing.read()[:100]):
            for _request in range(3):
                assert patiently(lambda: ask("GET", "/api/accounts", **{"X-Auth-Token": token})[0]) == 200


def test_limit_of_open_files_is_raised_as_far_as_it_may(tmp_path: Path) -> None:
    with running(tmp_path, how="warm:soft_limited_server") as server:
        (worker,) = server.workers()
        soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        assert soft == hard


def test_every_number_of_descriptors_leaves_some_for_the_owner() -> None:
    for descriptors in (64, 256, 1024, 1 << 20):
        limits = Limits.of(descriptors)
        assert limits.parked + limits.half_known + limits.sockets + limits.strangers <= descriptors // 2
        assert min(limits) > 0


def send(port: int, data: bytes) -> bytes:
    """Send this and return all that comes back until the connection ends."""
    with sockets.create_connection(("127.0.0.1", port), timeout=DEADLINE) as connection:
        connection.sendall(data)
        answer = b""
        with suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
        return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /api/auth/login HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400),
        (b"POST /api/auth/login HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n", 400),
        (b"POST /api/auth/login HTTP/1.1\r\n" + HEAD + b"Content-Length: 9000\r\n\r\n{", 413),
        (b"POST /api/auth/login HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n2329\r\n{", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 17_000, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
def test_what_strangers_send_amiss_is_refused_before_a_thread_has_it(
    tmp_path: Path, request_: bytes, status: int
) -> None:
    with running(tmp_path) as server:
        answer = send(server.port, request_)
        assert answer.startswith(b"HTTP/1.1 %d " % status), answer
        assert b"X-Content-Type-Options: nosniff" in answer
        assert "Traceback" not in server.output.read_text()


def test_malformed_chunk_of_who_is_signed_in_is_his_mistake(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        token = set_up_server(server).encode()
        head = b"POST /api/accounts HTTP/1.1\r\nX-Auth-Token: " + token + b"\r\nConnection: close\r\n" + HEAD
        answer = send(server.port, head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert "Traceback" not in server.output.read_text()


def test_chunks_and_a_body_in_pieces_are_taken_whole(tmp_path: Path) -> None:
    """And who asks whether to go on is told so."""
    with running(tmp_path) as server, sockets.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as opened:
        set_up_server(server)
        body = json.dumps({"password": PASSWORD}).encode()
        opened.sendall(b"POST /api/auth/login HTTP/1.1\r\nConnection: close\r\nExpect: 100-continue\r\n" + HEAD)
        opened.sendall(b"Content-Length: %d\r\n\r\n" % len(body))
        assert opened.recv(100).startswith(b"HTTP/1.1 100 ")
        for place in range(len(body)):
            opened.sendall(body[place : place + 1])
        answer = b""
        while piece := opened.recv(65536):
            answer += piece
        assert b"HTTP/1.1 200 OK" in answer
        chunks = b"".join(b"1;x=y\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        head = b"POST /api/auth/login HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n" + HEAD + b"\r\n"
        assert send(server.port, head + chunks).startswith(b"HTTP/1.1 200 OK")


def test_failed_sign_ins_are_counted_over_servers_and_restarts(tmp_path: Path) -> None:
    """And every address of this machine is one place."""
    wrong = {"password": "wrong"}
    with running(tmp_path) as one, running(tmp_path) as other:
        set_up_server(one)
        answers = [server.request("POST", "/api/auth/login", wrong)[0] for server in (one, other) * 5]
        assert answers == [403] * 10
        assert other.request("POST", "/api/auth/login", wrong)[0] == 429
        with sockets.create_connection(("127.0.0.1", one.port), DEADLINE, source_address=("127.9.9.9", 0)) as opened:
            head = b"POST /api/auth/login HTTP/1.1\r\nConnection: close\r\nContent-Length: 20\r\n"
            opened.sendall(head + HEAD + b'\r\n{"password":"wrong"}')
            assert opened.recv(20).startswith(b"HTTP/1.1 429 ")
    with running(tmp_path) as again:
        assert again.request("POST", "/api/auth/login", wrong)[0] == 429


def test_strangers_fill_no_log(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        token = set_up_server(server)
        for _request in range(100):
            assert server.request("GET", "/api/accounts")[0] == 401
        before = len(server.output.read_text().splitlines())
        assert before < 60
        # Who is signed in is written down all the same.
        assert server.request("DELETE", "/api/accounts/none", headers={"X-Auth-Token": token})[0] == 404
        assert "DELETE /api/accounts/none 404" in server.output.read_text()


POLLING = "/socket.io/?EIO=4&transport=polling"
WORDS = [
    "42null",
    "42",
    "40[",
    "4",
    "",
    "x",
    "\u00b2",
    "4" + "[" * 9000,
    "451-[]",
    "43",
    "44",
    "0",
    "2probe",
    "1",
    "5",
    "b",
]
WORDS += ['42["connect"]', '42["disconnect"]', '42/x,["a"]', "430[]", "40{}", "40[]", '40"x"', "41", "49", "b!!", "d=x"]


def test_no_packet_of_a_stranger_causes_a_traceback(tmp_path: Path) -> None:
    """Over either transport; seeded, so what fails once fails again."""
    chance = random.Random(42)
    pieces = ["4", "2", "0", "5", "1", "-", "/", ",", '["', "null", "{}", "\x1e", "b", "=", "\ud7ff", "[" * 300]
    packets = WORDS + ["".join(chance.choices(pieces, k=chance.randrange(1, 8))) for _packet in range(150)]
    with running(tmp_path) as server:
        set_up_server(server)
        address = f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket"
        for packet in packets:
            opened = websocket.create_connection(address, timeout=DEADLINE, suppress_origin=True)
            with suppress(websocket.WebSocketException, OSError):
                opened.recv()
                opened.send(packet)
                opened.send(packet.encode(), websocket.ABNF.OPCODE_BINARY)
                opened.recv()
            opened.shutdown()  # type: ignore[no-untyped-call]
        for packet in packets[::3]:
            engine_id = json.loads(server.request("GET", POLLING)[2][1:])["sid"]
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
            connection.request("POST", f"{POLLING}&sid={engine_id}", packet.encode())
            assert connection.getresponse().status in (200, 400)
            connection.close()
        text = server.output.read_text()
        assert "Traceback" not in text and len(text.splitlines()) < 60, text[-3000:]


def test_no_packet_of_who_is_signed_in_causes_a_traceback(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        headers = [f"X-Auth-Token: {set_up_server(server)}"]
        address = f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket"
        binary = ['451-["terminal_input",{"data":{"_placeholder":true,"num":7}}]', '450-["x",{}]', '461-["x"]']
        events = ['42["terminal_input"]', '42["terminal_input",1,2]', '42["terminal_input",{"data":{}}]', '427["none"]']
        for packet in WORDS + binary + events:
            opened = websocket.create_connection(address, timeout=DEADLINE, suppress_origin=True, header=headers)
            with suppress(websocket.WebSocketException, OSError):
                opened.recv()
                opened.send("40")
                opened.recv()
                opened.send(packet)
                opened.send(b"\x00", websocket.ABNF.OPCODE_BINARY)
                opened.recv()
            opened.shutdown()  # type: ignore[no-untyped-call]
        # An upgrade that ends in its midst.
        for word in ("", "2probe", "x"):
            engine_id = json.loads(server.request("GET", POLLING)[2][1:])["sid"]
            opened = websocket.create_connection(f"{address}&sid={engine_id}", timeout=DEADLINE, suppress_origin=True)
            if word:
                opened.send(word)
            opened.shutdown()  # type: ignore[no-untyped-call]
        wait_until(lambda: server.request("GET", "/healthz")[0] == 200)
        text = server.output.read_text()
        assert "Traceback" not in text and len(text.splitlines()) < 60, text[-3000:]


@pytest.fixture
def dashboard() -> Dashboard:
    """Return a dashboard that has been set up."""
    return set_up()


def test_id_of_a_socket_is_not_enough_to_go_on_with_it(dashboard: Dashboard) -> None:
    """But for a program at the same place: its library sends what it has to show with the first request alone."""
    engine_id = json.loads(dashboard.client.get(POLLING).text[1:])["sid"]
    address = f"{POLLING}&sid={engine_id}"
    assert dashboard.client.post(address, data="40").status_code == 200
    stranger = dashboard.stranger()
    for where in ({"REMOTE_ADDR": "192.0.2.7"}, {"HTTP_ORIGIN": "http://localhost"}):
        assert stranger.get(address, environ_overrides=where).status_code == 401
        assert stranger.post(address, data='42["stop_terminal"]', environ_overrides=where).status_code == 401
    assert stranger.get(address, headers={"X-Auth-Token": dashboard.token}).status_code == 401
    assert stranger.get(address).text.startswith("40")


def test_id_of_a_browsers_socket_is_never_enough(dashboard: Dashboard) -> None:
    marks = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    browser = dashboard.stranger()
    secret = browser.post("/api/auth/login", json={"password": PASSWORD}, headers=marks).get_json()["page_secret"]
    shown = marks | {"X-Page-Secret": secret}
    engine_id = json.loads(browser.get(POLLING, headers=shown).text[1:])["sid"]
    address = f"{POLLING}&sid={engine_id}"
    assert browser.post(address, data="40", headers=shown).status_code == 200
    assert dashboard.stranger().get(address).status_code == 401
    assert dashboard.client.get(address).status_code == 401
    assert browser.get(address, headers=shown).text.startswith("40")


def _poll(rest: str) -> bytes:
    return f"GET {POLLING}{rest} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()


def test_one_poll_of_a_stranger_at_a_time(dashboard: Dashboard) -> None:
    with serving(dashboard.app) as url:
        port = int(url.rpartition(":")[2])
        engine_id = json.loads(re.findall(r"0(\{.*\})", send(port, _poll("")).decode())[0])["sid"]
        again = _poll(f"&sid={engine_id}")
        waiting = sockets.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        waiting.sendall(again)
        wait_until(lambda: b" 400 " in send(port, again).split(b"\r\n")[0])
        waiting.close()


def test_nothing_of_a_terminal_is_sent_after_signing_out(
    program_folder: Path, dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wire is cut first: what comes is what lay in it already."""
    write_program(program_folder / "claude", COUNTING)
    account_id = add(dashboard.client)
    last = 0
    with serving(dashboard.app) as url:
        address = url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        opened = websocket.create_connection(
            address, timeout=DEADLINE, suppress_origin=True, header=[f"Cookie: {dashboard.cookie_header()}"]
        )

        def receive() -> None:
            nonlocal last
            message = opened.recv()
            assert message or not isinstance(message, str), "closed"
            if str(message).startswith('42["terminal_output"'):
                last = json.loads(message[2:])[1]["end"]

        opened.send("40")
        opened.send("42" + json.dumps(["start_terminal", {"account_id": account_id}]))
        while not last:
            receive()
        assert dashboard.client.post("/api/auth/logout", json={}).status_code == 200
        (terminal,) = dashboard.app.extensions["claude_accounts"].terminals.terminals.overview()
        ended_at = terminal[0].end
        # It goes on writing; none of that is for us.
        wait_until(lambda: terminal[0].end > ended_at + 100)
        with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError, AssertionError)):
            while True:
                receive()
        assert 0 < last <= ended_at
        dashboard.app.extensions["claude_accounts"].terminals.stop_all()


def test_cookie_without_its_second_secret_is_half_known(dashboard: Dashboard) -> None:
    live = dashboard.app.extensions["claude_accounts"].live
    cookie = {"HTTP_COOKIE": f"{cookie_name({})}={dashboard.cookie()}"}
    assert live.recognise({}) == live.recognise({"HTTP_COOKIE": f"{cookie_name({})}=nonsense"}) == STRANGER
    assert live.recognise({"HTTP_X_AUTH_TOKEN": dashboard.token}) == live.recognise(cookie) == KNOWN
    with storage.writing() as connection:
        connection.execute("UPDATE sessions SET page_secret_hash = ?", (sign_in.digest("secret"),))
    assert live.recognise(cookie) == HALF_KNOWN
    assert live.recognise(cookie | {"HTTP_X_PAGE_SECRET": "wrong"}) == HALF_KNOWN
    assert live.recognise(cookie | {"HTTP_X_PAGE_SECRET": "secret"}) == KNOWN
