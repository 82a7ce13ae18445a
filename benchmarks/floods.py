"""Measures what the signed-in owner notices while strangers flood the dashboard, each flood in turn.

    python benchmarks/floods.py [--beside FOLDER] [--seconds S] [--descriptors N,...] [NAME...]

NAME is one of calm, silent, half-heads, half-bodies, never-read, half-hellos. Printed for each: how many of the owner's
`GET /api/accounts` (a new connection each, 3 seconds of patience) were answered and how fast, how fast one key's echo
came back over the socket, what the server wrote down, and whether the same worker and the same terminal live on. With
--beside the same is measured with another checkout in turn. The flood is a process of its own: whoever is thrown out
comes again.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import resource
import select
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from web_client import WebSocket

PROJECT = Path(__file__).resolve().parent.parent
PASSWORD = "seven wet owls sing"
PATIENCE = 3.0
PROGRAM = (
    '#!/bin/sh\n[ "$1" = --version ] && { echo "9.9.9 (Claude Code)"; exit; }\nstty raw -echo; printf READY; exec cat\n'
)
LOGIN = b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
FILE = b"GET /static/js/terminal/view.js HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Flood(NamedTuple):
    """So many connections, each of which says this and reads nothing."""

    connections: int
    words: bytes
    tls: bool = False


def _half_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()[:100]


FLOODS = {
    "calm": Flood(0, b""),
    "silent": Flood(1100, b""),
    "half-heads": Flood(230, b"GET / HTTP/1.1\r\nHost: loc"),
    "half-bodies": Flood(230, LOGIN + b'Content-Length: 100\r\n\r\n{"password"'),
    "never-read": Flood(260, FILE * 40),
    "half-hellos": Flood(230, _half_hello(), tls=True),
}


def attack(name: str, port: int) -> None:
    """Hold the flood until somebody ends this process."""
    flood = FLOODS[name]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    opened: dict[int, socket.socket] = {}
    poll = select.poll()
    while True:
        for _one in range(min(50, flood.connections - len(opened))):
            stranger = socket.socket()
            stranger.settimeout(1)
            try:
                stranger.connect(("127.0.0.1", port))
                stranger.setblocking(False)
                stranger.send(flood.words)
            except OSError:
                stranger.close()
                continue
            opened[stranger.fileno()] = stranger
            poll.register(stranger, select.POLLRDHUP)
        for descriptor, _event in poll.poll(5):
            poll.unregister(descriptor)
            opened.pop(descriptor).close()


class Server:
    """A dashboard of some checkout that has been set up, with an account."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, tls: ssl.SSLContext | None, output: Path) -> None:
        self.process, self.port, self.tls, self.output = process, port, tls, output
        self.token = ""

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON of one request over a connection of its own. Raises OSError; HTTPException for any other."""
        connection: http.client.HTTPConnection
        if self.tls is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        else:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=self.tls)
        try:
            data = None if body is None else json.dumps(body)
            headers = {"X-Auth-Token": self.token} | ({"Content-Type": "application/json"} if data else {})
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise http.client.HTTPException(text)
            return json.loads(text)
        finally:
            connection.close()

    def worker(self) -> str:
        """Return the process that serves."""
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        return listed.stdout.strip()


class Terminal:
    """A terminal whose program says what it is typed."""

    def __init__(self, server: Server, account_id: str) -> None:
        path = "/socket.io/?EIO=4&transport=websocket"
        self._socket = WebSocket(server.port, path, tls=server.tls)
        self._socket.send("40" + json.dumps({"token": server.token}))
        self._socket.send("42" + json.dumps(["start_terminal", {"account_id": account_id}]))
        self._wait_for("READY")
        self._socket.socket.settimeout(PATIENCE)

    def type(self, key: str) -> None:
        """Type a key and wait for its echo. Raises OSError, EOFError."""
        self._socket.send("42" + json.dumps(["terminal_input", {"data": key}]))
        self._wait_for(key)

    def _wait_for(self, text: str) -> None:
        seen = ""
        while text not in seen:
            message = self._socket.receive()
            if message == b"2":
                self._socket.send("3")
            elif message.startswith(b'42["terminal_output"'):
                seen += json.loads(message[2:])[1]["data"]
            assert b"terminal_error" not in message, message

    def close(self) -> None:
        """End the connection; the terminal lives on."""
        self._socket.socket.close()


@contextmanager
def serve(checkout: Path, descriptors: int, tls: bool) -> Iterator[Server]:
    """Run a checkout's dashboard with so many open files allowed, as a shell starts it."""
    with tempfile.TemporaryDirectory() as folder:
        home, programs, output = Path(folder, "home"), Path(folder, "programs"), Path(folder, "output")
        home.mkdir()
        programs.mkdir()
        (programs / "claude").write_text(PROGRAM)
        (programs / "claude").chmod(0o755)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("CLAUDE", "ANTHROPIC"))
        }
        # The folder for the browser's libraries cannot be made: nothing is fetched.
        Path(folder, "none").write_text("")
        environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(Path(folder, "none")), "LC_ALL": "C.UTF-8"}
        environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
        words = [sys.executable, str(checkout / "cli.py"), "serve", "--port", "0", "--no-browser"]
        limited = [
            "/bin/bash",
            "-c",
            f'ulimit -n {descriptors} && exec "$@"',
            "bash",
            *words,
            *(["--tls"] if tls else []),
        ]
        with output.open("wb") as file:
            process = subprocess.Popen(limited, env=environment, stdout=file, stderr=file, start_new_session=True)
        try:
            deadline = time.monotonic() + 30
            while (found := re.search(r"https?://localhost:(\d+)/", output.read_text())) is None:
                assert time.monotonic() < deadline and process.poll() is None, output.read_text()
                time.sleep(0.05)
            context = ssl.create_default_context() if tls else None
            if context is not None:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            server = Server(process, int(found[1]), context, output)
            _set_up(server)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _set_up(server: Server) -> None:
    code = re.search(r"[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4}", server.output.read_text())
    body = {"password": PASSWORD} | ({"setup_code": code[0]} if code else {})
    deadline = time.monotonic() + 30
    while True:
        try:
            server.token = server.ask("POST", "/api/auth/setup", body)["api_token"]
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def measure(checkout: Path, name: str, descriptors: int, seconds: float) -> str:
    """Return the line of one flood."""
    with serve(checkout, descriptors, FLOODS[name].tls) as server:
        new = {"name": "work", "auth_type": "oauth", "access_token": "sk-ant-oat01-" + "a" * 40}
        account_id = server.ask("POST", "/api/accounts", new)["id"]
        terminal = Terminal(server, account_id)
        worker = server.worker()
        attacker = subprocess.Popen([sys.executable, __file__, "attack", name, str(server.port)])
        try:
            # The flood is there before it is measured.
            time.sleep(2)
            answers, tried, echoes, lost = _watch_owner(server, terminal, seconds)
        finally:
            attacker.kill()
            attacker.wait()
        terminal.close()
        lives = _lives_on(server)
        same = bool(worker) and server.worker() == worker
        log = server.output.stat().st_size
        return (
            f"answered {len(answers)}/{tried} ({_figures(answers)}), echo {_figures(echoes)}{' LOST' if lost else ''}, "
            f"log {log / 1000:.1f} kB, same worker {'yes' if same else 'NO'}, terminal lives {'yes' if lives else 'NO'}"
        )


def _watch_owner(server: Server, terminal: Terminal, seconds: float) -> tuple[list[float], int, list[float], bool]:
    answers, echoes, tried, lost = [], [], 0, False
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        tried += 1
        begun = time.perf_counter()
        with suppress(OSError, http.client.HTTPException):
            server.ask("GET", "/api/accounts")
            answers.append((time.perf_counter() - begun) * 1000)
        if not lost:
            begun = time.perf_counter()
            try:
                terminal.type("k")
                echoes.append((time.perf_counter() - begun) * 1000)
            except (OSError, EOFError):
                lost = True
        time.sleep(0.02)
    return answers, tried, echoes, lost


def _lives_on(server: Server) -> bool:
    """Tell whether the terminal is there once the flood is over, with the patience it takes."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError, http.client.HTTPException):
            return len(server.ask("GET", "/api/terminals")) == 1
        time.sleep(0.2)
    return False


def _figures(times: list[float]) -> str:
    if not times:
        return "-"
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {statistics.median(ordered):.1f} p99 {p99:.1f} max {ordered[-1]:.1f} ms"


def main() -> None:
    """Measure what was asked for and print it."""
    if sys.argv[1:2] == ["attack"]:
        attack(sys.argv[2], int(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*FLOODS, []], metavar="NAME")
    parser.add_argument("--beside", type=Path, help="another checkout to measure too")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each flood is measured")
    parser.add_argument("--descriptors", default="1024", help="what `ulimit -n` says, several with commas")
    options = parser.parse_args()
    checkouts = {"this": PROJECT} | ({"beside": options.beside.resolve()} if options.beside else {})
    for descriptors in map(int, options.descriptors.split(",")):
        for name in options.names or FLOODS:
            for title, checkout in checkouts.items():
                line = measure(checkout, name, descriptors, options.seconds)
                print(f"{name:12} ulimit -n {descriptors:5} {title:7} {line}", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    main()
