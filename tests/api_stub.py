"""A stand-in for Anthropic's API, as far as a key is tried there: the list of models, or a refusal."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Api:
    """What it answers to whom, and who asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str | None]] = []
        self.headers: list[Message] = []
        self.status, self.body = 200, b'{"data": [], "has_more": false}'

    def refuses(self, status: int, kind: str, message: str = "no") -> None:
        """Answer with an error as the API words it."""
        self.status, self.body = status, json.dumps({"error": {"type": kind, "message": message}}).encode()


@contextmanager
def api_stub() -> Iterator[Api]:
    """Serve an Api on loopback."""
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers["x-api-key"]))
            state.headers.append(self.headers)
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *about: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
