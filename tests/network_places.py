"""What stands between a program and a server in real networks: proxies of both kinds, and a company's certificates."""

from __future__ import annotations

import base64
import ipaddress
import select
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple


class Company(NamedTuple):
    """An authority that nobody knows, what it signed (localhost and a name in its own network), and another one."""

    authority: Path
    certificate: Path
    key: Path
    other: Path

    def server_context(self) -> ssl.SSLContext:
        """Return what a server of the company shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def found_company(folder: Path, names: str = "DNS:localhost,IP:127.0.0.1,DNS:tokens.example") -> Company:
    """Make the authority by hand, as companies do, without what the newest rules want; `names` are the server's."""
    company = Company(folder / "authority.pem", folder / "server.pem", folder / "server.key", folder / "other.pem")
    key = folder / "authority.key"
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    whose = ["-subj", "/CN=Example Company Root", "-keyout", str(key), "-out", str(company.authority)]
    _run(*new, *whose, "-addext", "basicConstraints=CA:TRUE", "-days", "2")
    unrelated = ["-subj", "/CN=Another Root", "-keyout", str(folder / "other.key"), "-out", str(company.other)]
    _run(*new, *unrelated, "-days", "2")
    whose = ["-subj", "/CN=localhost", "-keyout", str(company.key), "-out", str(company.certificate)]
    signed = ["-CA", str(company.authority), "-CAkey", str(key), "-addext", "basicConstraints=CA:FALSE"]
    _run(*new, *whose, *signed, "-addext", f"subjectAltName={names}", "-days", "2")
    return company


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


class Middle:
    """A proxy under test: `seen` are the places it was asked for, `logins` what it was told who asks.

    `login` is the only one it takes, "" for anybody; `answer` replaces its work; every name but a number leads to
    `everywhere`, a port of this machine.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.logins: list[str] = []
        self.login = ""
        self.answer = b""
        self.everywhere = 0
        self.port = 0

    def connection_to(self, host: str, port: int) -> socket.socket:
        """Return a connection to where somebody wanted to go."""
        self.seen.append(f"{host}:{port}")
        return socket.create_connection(("127.0.0.1", self.everywhere or port), timeout=30)


class _HttpProxy(socketserver.StreamRequestHandler):
    middle: Middle
    tls: ssl.SSLContext | None

    def setup(self) -> None:
        if self.tls is not None:
            self.request = self.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        with suppress(OSError):
            self._handle()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        if self.tls is not None:
            self.request.close()

    def _handle(self) -> None:
        if self.rfile.peek(1)[:1] in (b"\x05", b"\x16"):  # type: ignore[attr-defined]
            self._say(b"HTTP/1.1 400 Bad Request\r\n")
            return
        method, place, _version = self.rfile.readline().decode().split()
        headers = {}
        while (line := self.rfile.readline().strip()) != b"":
            name, _colon, value = line.decode().partition(": ")
            headers[name.lower()] = value
        told = headers.get("proxy-authorization", "Basic ").partition(" ")[2]
        self.middle.logins.append(base64.b64decode(told).decode())
        if self.middle.login and self.middle.logins[-1] != self.middle.login:
            self._say(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n")
        elif self.middle.answer:
            self.middle.seen.append(place)
            self.wfile.write(self.middle.answer)
        elif method == "CONNECT":
            host, _colon, port = place.rpartition(":")
            with self.middle.connection_to(host.strip("[]"), int(port)) as other:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _carry(self.request, other)
        else:
            host, _slash, path = place.partition("://")[2].partition("/")
            with self.middle.connection_to(host.partition(":")[0], int(host.partition(":")[2] or 80)) as other:
                kept = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name != "connection")
                other.sendall(f"{method} /{path} HTTP/1.1\r\n{kept}Connection: close\r\n\r\n".encode())
                other.sendall(self.rfile.read(int(headers.get("content-length", 0))))
                while piece := other.recv(65536):
                    self.wfile.write(piece)

    def _say(self, head: bytes) -> None:
        self.wfile.write(head + b"Content-Length: 0\r\nConnection: close\r\n\r\n")


class _SocksProxy(socketserver.StreamRequestHandler):
    middle: Middle

    def handle(self) -> None:
        with suppress(OSError, struct.error):
            self._handle()

    def _handle(self) -> None:
        version, count = self.rfile.read(2)
        if version != 5:
            return
        offered = self.rfile.read(count)
        wanted = 2 if self.middle.login else 0
        self.wfile.write(bytes((5, wanted if wanted in offered else 255)))
        if wanted and wanted in offered:
            self.rfile.read(1)
            name, password = (self.rfile.read(self.rfile.read(1)[0]).decode() for _part in range(2))
            self.middle.logins.append(f"{name}:{password}")
            good = self.middle.logins[-1] == self.middle.login
            self.wfile.write(bytes((1, 0 if good else 1)))
            if not good:
                return
        kind = self.rfile.read(4)[3]
        length = self.rfile.read(1)[0] if kind == 3 else {1: 4, 4: 16}[kind]
        host = self.rfile.read(length)
        name = host.decode() if kind == 3 else str(ipaddress.ip_address(host))
        port = struct.unpack("!H", self.rfile.read(2))[0]
        try:
            other = self.middle.connection_to(name, port)
        except OSError:
            self.wfile.write(bytes((5, 5, 0, 1, 0, 0, 0, 0, 0, 0)))
            return
        with other:
            self.wfile.write(bytes((5, 0, 0, 1, 0, 0, 0, 0, 0, 0)))
            _carry(self.request, other)


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either end has enough."""
    while True:
        pending = isinstance(one, ssl.SSLSocket) and one.pending()
        for ready in [one] if pending else select.select([one, other], [], [], 30)[0]:
            piece = ready.recv(65536)
            if not piece:
                return
            (other if ready is one else one).sendall(piece)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep the tests' output to what tests say."""


class _Server6(_Server):
    address_family = socket.AF_INET6


@contextmanager
def proxy(kind: str = "http", tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Middle]:
    """Run a proxy, `http` or `socks`, on loopback; with `tls`, it is spoken to by HTTPS."""
    middle = Middle()
    base = _HttpProxy if kind == "http" else _SocksProxy
    handler = type("Handler", (base,), {"middle": middle, "tls": tls})
    with (_Server6 if ":" in host else _Server)((host, 0), handler) as server:
        middle.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield middle
        finally:
            server.shutdown()
            thread.join()
