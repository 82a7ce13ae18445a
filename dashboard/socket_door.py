"""Owns who may open a socket, who may go on with one, and what it may send before it has proven who it is.

Whoever shows neither session nor token may still prove himself in his first message, soon; there is room for few of
those, and the oldest goes first. What is a session or a token is decided by sign_in.py.
"""

from __future__ import annotations

import io
import json
import resource
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from ..messages import _
from ..terminal import packets
from . import callers, sign_in, tokens
from .attempts import place_of
from .door import HALF_KNOWN, KNOWN, LARGEST_BODY, STRANGER, VISIT
from .origin import SOCKET_PATH, client_address

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_OPENING = "claude_accounts.opening"
_PROOF_SECONDS = 5.0
_MOST_UNPROVEN = 16


class Caller(NamedTuple):
    """Who sends a request: `owner` is a session's hash, an API token's owner, None for nobody known.

    `session` is the hash of the session whose cookie came along, with its second secret or without.
    """

    owner: str | None
    session: str = ""


class _Opening(NamedTuple):
    """Who opened a socket, from where, when (monotonic seconds), and whether it may be a browser."""

    caller: Caller
    place: str
    since: float
    browser: bool


class SocketDoor:
    """The door of one Socket.IO server."""

    def __init__(self, server: Any, behind_proxy: bool) -> None:
        self._server = server
        self._behind_proxy = behind_proxy
        self._lock = threading.Lock()
        # The library fails on a client that goes while it is let in.
        self._letting_in = threading.RLock()
        self._openings: dict[str, _Opening] = {}
        self._proven: set[str] = set()
        self._polling: set[str] = set()
        for event in ("connect", "disconnect", "message"):
            # There is no public way to stand between the two libraries.
            handler = server.eio.handlers[event]
            server.eio.on(event, getattr(self, "_on_" + event)(handler))

    def recognise(self, environ: WSGIEnvironment) -> int:
        """Return who seems to send a request, as door.py names it."""
        caller = self._caller(environ)
        if caller.owner is not None:
            return KNOWN
        return HALF_KNOWN if caller.session else STRANGER

    def around(self, application: WSGIApplication, on_open: Callable[[], None]) -> WSGIApplication:
        """Return the application behind this door; `on_open` is told when a socket may open."""

        def enter(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if not environ.get("PATH_INFO", "").startswith(SOCKET_PATH):
                return application(environ, start_response)
            ids = parse_qs(environ.get("QUERY_STRING", "")).get("sid")
            status = self._go_on(ids[0], environ) if ids else self._open(environ, on_open)
            if status:
                sentences = {400: _("the request is malformed"), 401: _("you are not signed in")}
                answer = json.dumps({"error": sentences[status], "hint": ""}).encode()
                line = {400: "400 Bad Request", 401: "401 Unauthorized"}[status]
                headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
                start_response(line, headers)
                return [answer]
            if not ids or environ["REQUEST_METHOD"] != "GET" or "HTTP_UPGRADE" in environ:
                return application(environ, start_response)
            self._polling.add(ids[0])
            try:
                return application(environ, start_response)
            finally:
                self._polling.discard(ids[0])

        return enter

    def proved(self, engine_id: str) -> None:
        """Take notice that a socket belongs to somebody signed in."""
        environ = self._server.environ.get(engine_id, {})
        with self._lock:
            self._proven.add(engine_id)
        _tell_visit(environ)

    def close_late(self) -> bool:
        """Close sockets that were not proven in time, and tell whether some still have time."""
        now = time.monotonic()
        unproven = self._unproven()
        for engine_id, opening in unproven:
            if now - opening.since > _PROOF_SECONDS:
                self.cut(engine_id)
        return bool(unproven)

    def cut_of(self, owners: Iterable[str]) -> None:
        """Cut what these owners have opened and not proven yet."""
        ended = set(owners)
        for engine_id, opening in self._unproven():
            if opening.caller.owner in ended or opening.caller.session in ended - {""}:
                self.cut(engine_id)

    def cut(self, engine_id: str) -> None:
        """End a connection at once: nothing more is sent to it, nothing it sends is heard."""
        connection = self._server.eio.sockets.get(engine_id)
        if connection is not None:
            driver = getattr(connection, "driver", None)
            if driver is not None:
                driver.abort()
            connection.close(wait=False, abort=True)
            self._server.eio.sockets.pop(engine_id, None)

    # Requests

    def _caller(self, environ: WSGIEnvironment) -> Caller:
        token = tokens.find(environ.get("HTTP_X_AUTH_TOKEN", ""))
        if token is not None:
            return Caller(token.owner)
        session = callers.session_of(environ)
        if session is not None:
            return Caller(session.id_hash, session.id_hash)
        value = callers.cookie_value(environ)
        # A WebSocket's handshake cannot carry the page secret; its first message does.
        return Caller(None, sign_in.digest(value) if sign_in.has_session(value) else "")

    def _place(self, environ: WSGIEnvironment) -> str:
        return place_of(client_address(environ, behind_proxy=self._behind_proxy))

    def _open(self, environ: WSGIEnvironment, on_open: Callable[[], None]) -> int:
        """Return 0 when a socket may open, else the status of the refusal."""
        caller = self._caller(environ)
        is_half_known = caller.owner is None and caller.session != ""
        browser = callers.is_browser(environ) or callers.page_secret(environ) != "" or is_half_known
        opening = _Opening(caller, self._place(environ), time.monotonic(), browser)
        if opening.caller.owner is None:
            if not sign_in.is_setup_done():
                return 401
            self._make_room_for(opening)
        environ[_OPENING] = opening
        on_open()
        return 0

    def _make_room_for(self, newcomer: _Opening) -> None:
        """Close the oldest of those who have proven nothing, first of the newcomer's own place."""
        most = max(2, min(_MOST_UNPROVEN, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 32) // 16))
        for is_rival, room in (
            (lambda opening: opening.place == newcomer.place, max(2, most // 2)),
            (lambda _opening: True, most),
        ):
            rivals = [
                (opening.since, engine_id)
                for engine_id, opening in self._unproven()
                if opening.caller.owner is None
                and bool(opening.caller.session) == bool(newcomer.caller.session)
                and is_rival(opening)
            ]
            for _since, engine_id in sorted(rivals)[: max(0, len(rivals) - room + 1)]:
                self.cut(engine_id)

    def _go_on(self, engine_id: str, environ: WSGIEnvironment) -> int:
        """Return 0 when a request may use this socket, else the status of the refusal."""
        opening = self._openings.get(engine_id)
        if opening is None:
            return 400
        if not self._is_same(opening, environ):
            return 401
        proven = engine_id in self._proven
        if proven or opening.caller.owner is not None:
            _tell_visit(environ)
        elif engine_id in self._polling and environ["REQUEST_METHOD"] == "GET" and "HTTP_UPGRADE" not in environ:
            # Each poll holds a thread.
            return 400
        if "HTTP_UPGRADE" in environ and getattr(self._server.eio.sockets.get(engine_id), "upgrading", False):
            return 400
        if environ["REQUEST_METHOD"] == "POST" and not self._has_packets(environ, proven):
            return 400
        return 0

    def _is_same(self, opening: _Opening, environ: WSGIEnvironment) -> bool:
        """Tell whether a request comes from whoever opened the socket: a browser must show it, its id is not enough.

        Programs' libraries send what they show with the first poll alone: from the same place, and with nothing else to
        show and no browser's marks, the id is enough.
        """
        caller = self._caller(environ)
        if caller == Caller(None) and not opening.browser and not callers.is_browser(environ):
            return self._place(environ) == opening.place
        if opening.caller.session:
            # A browser's own upgrade to a WebSocket cannot carry the second secret, which its first message proves.
            return caller.session == opening.caller.session
        if opening.caller.owner is not None:
            return caller.owner == opening.caller.owner
        return self._place(environ) == opening.place

    def _has_packets(self, environ: WSGIEnvironment, proven: bool) -> bool:
        """Tell whether the body is whole and of packets; hand it on as it came."""
        most = int(self._server.eio.max_http_buffer_size) if proven else LARGEST_BODY
        length = environ.get("CONTENT_LENGTH", "")
        if not (length.isascii() and length.isdecimal()) or not 0 < int(length[:12]) <= most:
            return False
        body = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(body)
        return len(body) == int(length) and packets.is_engine_payload(body)

    # Between the two libraries

    def _on_connect(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        def connected(engine_id: str, environ: WSGIEnvironment) -> Any:
            if _OPENING in environ:
                self._openings[engine_id] = environ[_OPENING]
            return handler(engine_id, environ)

        return connected

    def _on_disconnect(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        def disconnected(engine_id: str, reason: str) -> Any:
            with self._letting_in:
                with self._lock:
                    self._openings.pop(engine_id, None)
                    self._proven.discard(engine_id)
                return handler(engine_id, reason)

        return disconnected

    def _on_message(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        def received(engine_id: str, data: str | bytes) -> Any:
            if isinstance(data, bytes) or engine_id in self._server._binary_packet:
                may_be_heard = isinstance(data, bytes) and engine_id in self._server._binary_packet
                return handler(engine_id, data) if may_be_heard else self.cut(engine_id)
            packet = self._read(engine_id, data)
            if packet is None:
                return self.cut(engine_id)
            if packet.packet_type != packets.CONNECT:
                return handler(engine_id, data)
            with self._letting_in:
                # The library has no answer to a second one, nor to one that is gone.
                is_second = self._server.manager.sid_from_eio_sid(engine_id, packet.namespace or "/") is not None
                return self.cut(engine_id) if is_second or engine_id not in self._openings else handler(engine_id, data)

        return received

    def _read(self, engine_id: str, data: str) -> Any:
        """Return a message that may be heard, None for what is malformed or comes before its sender is known."""
        proven = engine_id in self._proven
        if not proven and len(data) > LARGEST_BODY:
            return None
        packet = packets.read_message(self._server.packet_class, data)
        return packet if packet is not None and (proven or packet.packet_type == packets.CONNECT) else None

    def _unproven(self) -> list[tuple[str, _Opening]]:
        with self._lock:
            return [one for one in self._openings.items() if one[0] not in self._proven]


def _tell_visit(environ: WSGIEnvironment) -> None:
    visit = environ.get(VISIT)
    if visit is not None:
        visit.proven()
