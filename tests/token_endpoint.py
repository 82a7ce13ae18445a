"""A stand-in for Anthropic's token endpoint: refresh tokens work once, and spending one twice revokes its family."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, bytes]


class TokenEndpoint:
    """What the server knows, and what tests look at: `requests` (the bodies), `reused` (tokens that came twice)."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.reused: list[str] = []
        self.live: dict[str, str] = {}
        self.spent: dict[str, str] = {}
        self.revoked: set[str] = set()
        self.issued: list[tuple[str, str]] = []
        self.answer: Callable[[dict[str, Any]], Answer | None] | None = None
        self.extra: dict[str, Any] = {}
        self.location = ""
        self.healthy = False
        self.before_answer: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._serial = 0

    def new_login(self, family: str = "family") -> str:
        """Return a refresh token that works once."""
        with self._lock:
            return self._issue(family)[1]

    def _issue(self, family: str) -> tuple[str, str]:
        self._serial += 1
        pair = (f"sk-ant-oat01-{family}-access-{self._serial:06d}", f"sk-ant-ort01-{family}-refresh-{self._serial:06d}")
        self.live[pair[1]] = family
        self.issued.append(pair)
        return pair

    def exchange(self, request: dict[str, Any]) -> Answer:
        """Answer one refresh as the real endpoint does."""
        with self._lock:
            token = str(request.get("refresh_token"))
            family = self.live.pop(token, None)
            if token in self.spent:
                self.reused.append(token)
                self.revoked.add(self.spent[token])
            if family is None or family in self.revoked:
                return 400, json.dumps(
                    {"error": "invalid_grant", "error_description": "Refresh token not found or invalid"}
                ).encode()
            self.spent[token] = family
            access, refresh = self._issue(family)
        answer = {"access_token": access, "refresh_token": refresh, "expires_in": 28800, "token_type": "Bearer"}
        return 200, json.dumps(answer | self.extra).encode()


@contextmanager
def token_endpoint(tls: ssl.SSLContext | None = None) -> Iterator[TokenEndpoint]:
    """Serve a TokenEndpoint on loopback; with `tls`, by HTTPS under the name localhost."""
    state = TokenEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if state.healthy else 501)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append(body)
            state.headers.append(dict(self.headers))
            status, data = (state.answer and state.answer(body)) or state.exchange(body)
            state.before_answer()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if state.location:
                self.send_header("Location", state.location)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def handle(self) -> None:
            # Whoever does not believe the certificate goes away.
            with suppress(OSError):
                super().handle()

        def log_message(self, *_arguments: object) -> None:
            """Keep the tests' output to what tests say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        # The handshake belongs to the connection's own thread, not to the one that accepts.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    place = "http://127.0.0.1" if tls is None else "https://localhost"
    state.url = f"{place}:{server.server_address[1]}/v1/oauth/token"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def in_hours(hours: float) -> int:
    """Return the epoch milliseconds that many hours from now; a negative number is past."""
    return int((time.time() + hours * 3600) * 1000)
