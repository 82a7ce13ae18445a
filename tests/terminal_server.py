"""A real server with real sockets for tests of the terminals, and clients that record what they are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import socketio  # type: ignore[import-untyped]
from flask import Flask
from flask_socketio import SocketIO
from warm import DEADLINE
from werkzeug.serving import make_server

from claude_accounts.terminal import events as terminal_events
from claude_accounts.terminal.terminals import Terminals


class Server:
    """A running server: its address, and its terminals."""

    def __init__(self, port: int, events: terminal_events.TerminalEvents, scheme: str) -> None:
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.events = events


@contextmanager
def terminal_server(
    terminals: Terminals | None = None, certificate: tuple[str, str] | None = None, **options: Any
) -> Iterator[Server]:
    """Serve the terminal events, to anybody, on loopback."""
    app = Flask(__name__)
    sockets = SocketIO(app, async_mode="threading", async_handlers=False, manage_session=False)
    events = terminal_events.register(sockets, terminals=terminals or Terminals(), **options)
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=certificate)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Server(server.server_port, events, "https" if certificate else "http")
    finally:
        assert events.stop_all(DEADLINE)
        server.shutdown()
        server.server_close()
        thread.join(10)
        events.terminals.close()


def wait_until(condition: Callable[[], object], what: str = "", seconds: float = DEADLINE) -> None:
    """Wait for a condition to hold; fail after a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what or condition}"
        time.sleep(0.005)


class Client:
    """A Socket.IO client that records every event in order; `shown` are the `headers` and `auth` it connects with."""

    def __init__(
        self, server: Server | str, *, transports: list[str] | None = None, ack: bool = False, **shown: Any
    ) -> None:
        self.events: list[tuple[str, Any]] = []
        self._arrived = threading.Condition()
        self.socket = socketio.Client(reconnection=False, ssl_verify=False, request_timeout=DEADLINE)
        self.socket.on("*", self._record)
        trigger = self.socket.eio._trigger_event
        # The library handles each message in a thread of its own, which puts them out of order.
        self.socket.eio._trigger_event = lambda *about, **options: trigger(*about, **{**options, "run_async": False})
        self.ack = ack
        url = server if isinstance(server, str) else server.url
        self.socket.connect(url, transports=transports or ["websocket"], wait_timeout=DEADLINE, **shown)

    def __repr__(self) -> str:
        return f"<Client {self.events[-8:]!r}>"

    def _record(self, event: str, payload: Any = None) -> None:
        with self._arrived:
            self.events.append((event, payload))
            self._arrived.notify_all()
        if self.ack and event == "terminal_output":
            self.socket.emit("terminal_ack", {"terminal_id": payload["terminal_id"], "offset": payload["end"]})

    def emit(self, event: str, *payload: Any) -> None:
        """Send an event."""
        self.socket.emit(event, payload[0] if payload else None)

    def wait(self, event: str, *, count: int = 1, seconds: float = DEADLINE, **fields: Any) -> Any:
        """Return the payload of the `count`th event of that name with these fields, waiting for it."""

        def found() -> list[Any]:
            return [
                payload
                for name, payload in self.events
                if name == event and all((payload or {}).get(field) == value for field, value in fields.items())
            ]

        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(found()) >= count, seconds)
            assert arrived, f"no {event} {fields}: {[name for name, _payload in self.events]} {self.events[-3:]}"
            return found()[count - 1]

    def output(self, terminal_id: str | None = None) -> Any:
        """Return all output so far, as text or bytes as it came."""
        parts = [
            payload["data"]
            for name, payload in list(self.events)
            if name == "terminal_output" and terminal_id in (None, payload["terminal_id"])
        ]
        return type(parts[0])().join(parts) if parts else ""

    def wait_for_output(self, marker: Any, terminal_id: str | None = None, seconds: float = DEADLINE) -> Any:
        """Wait until the output holds a marker, and return all output."""
        with self._arrived:
            empty = marker[:0]
            arrived = self._arrived.wait_for(lambda: marker in (self.output(terminal_id) or empty), seconds)
            assert arrived, f"no {marker!r} in {self.output(terminal_id)[-500:]!r}, {self.events[-2:]}"
            return self.output(terminal_id)

    def start(self, account_id: str = "any", **fields: Any) -> Any:
        """Start a terminal and return what the server says of it."""
        request = f"start {len(self.events)}"
        self.emit("start_terminal", {"account_id": account_id, "request": request, **fields})
        return self.wait("terminal_started", request=request)

    def close(self) -> None:
        """Close the connection."""
        self.socket.disconnect()
