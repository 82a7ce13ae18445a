"""Owns a connection before any thread has it: its TLS handshake, and its request's head and small body, until whole.

Nothing here waits: whoever runs the poller calls again when there is more. It knows neither sessions nor tokens; who
seems to ask is told by whoever was asked for it.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from ..messages import _
from .origin import with_headers

# Who asks, as far as the head tells: nobody known, a browser whose page has yet to prove itself, somebody signed in.
STRANGER, HALF_KNOWN, KNOWN = range(3)
# What a connection does while no thread has it. The first three are given up for others in this order.
SILENT, SPEAKING, SECURED, WAITING, RUNNING, IDLE, LINGERING, CLOSED = range(8)
# Under this name the application finds the visit that it serves.
VISIT = "claude_accounts.visit"
LARGEST_HEAD = 16 * 1024
LARGEST_BODY = 8 * 1024
# Sizes and ends of chunks come on top of what they carry.
_LARGEST_CHUNKED = 2 * LARGEST_BODY
_AT_ONCE = 64 * 1024
_REASONS = {400: "Bad Request", 413: "Content Too Large", 431: "Request Header Fields Too Large"}
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")
Recognise = Callable[[dict[str, str]], int]


class Refused(Exception):
    """The request is not taken; `status` is the answer's."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Visit:
    """One connection: its socket, what was received and not yet read, who asks, until when what must be done."""

    def __init__(self, sock: socket.socket, client: Any, server: Any, context: ssl.SSLContext | None) -> None:
        # These three names are gunicorn's.
        self.sock = sock
        self.client = client
        self.server = server
        self.since = time.monotonic()
        self.deadline = 0.0
        self.state = SILENT
        # The event it is registered for at the poller.
        self.watched = 0
        self.standing = STRANGER
        self.room = ""
        self.place = ""
        self.received = bytearray()
        self.environ: dict[str, str] = {}
        self.on_proof: Callable[[], None] | None = None
        self._head = 0
        self._ended = False
        self._handshaking = context is not None
        self._looked = False
        sock.setblocking(False)
        if context is not None:
            self.sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def begin_again(self, pipelined: bytes) -> None:
        """Wait for the next request, of which a part may have come with the last one."""
        self.sock.setblocking(False)
        self.received[:] = pipelined
        self.environ = {}
        self._head = 0
        self.state = IDLE

    def advance(self, recognise: Recognise) -> int:
        """Take what has come. Return the event of `selectors` to wait for, 0 when the request can be handed on.

        Raises Refused for what will not be taken, OSError when the peer is gone.
        """
        if self._handshaking:
            wanted = self._shake_hands()
            if wanted:
                return wanted
        self._receive()
        if self._is_whole(recognise):
            return 0
        if self._ended:
            raise ConnectionAbortedError
        return selectors.EVENT_READ

    def proven(self) -> None:
        """Take notice, from any thread, that who asks has proven to be somebody signed in."""
        if self.on_proof is not None and self.standing != KNOWN:
            self.on_proof()

    def cut(self) -> None:
        """End the connection, whoever waits for it; the descriptor stays open."""
        try:
            # Not TLS's own shutdown, which takes the state away from a thread that is at work with it.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        except OSError:
            # It has ended by itself in between.
            return

    def refuse(self, status: int) -> None:
        """Answer with an error, as far as the peer takes it at once."""
        sentences = {413: _("the body is too large"), 431: _("the request's head is too large")}
        body = json.dumps({"error": sentences.get(status, _("the request is malformed")), "hint": ""}).encode()
        lines = [f"HTTP/1.1 {status} {_REASONS[status]}", "Server: gunicorn", "Connection: close"]

        def start(_status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Callable[[bytes], object]:
            lines.extend(f"{name}: {value}" for name, value in headers)
            return lambda _data: None

        with_headers(start)("", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        self._say("\r\n".join([*lines, "", ""]).encode() + body)

    def finish_sending(self) -> None:
        """Tell the peer that nothing follows: what it still sends is thrown away until it has read our answer."""
        self.sock.setblocking(False)
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def discard(self) -> bool:
        """Throw away what comes; tell whether there may be more."""
        try:
            return bool(socket.socket.recv(self.sock, _AT_ONCE))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _say(self, data: bytes) -> None:
        try:
            self.sock.send(data)
        except OSError:
            # It does not take it, or is gone.
            return

    def _shake_hands(self) -> int:
        assert isinstance(self.sock, ssl.SSLSocket)  # noqa: S101 - for the type checker
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            # Called again, there was something. Half a hello names no cipher yet.
            self.state = SECURED if self.sock.cipher() else SPEAKING if self._looked else SILENT
            self._looked = True
            return selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            self.state = SPEAKING
            return selectors.EVENT_WRITE
        self._handshaking = False
        self.state = SECURED
        return 0

    def _receive(self) -> None:
        while len(self.received) < _AT_ONCE and not self._ended:
            try:
                data = self.sock.recv(_AT_ONCE)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not data:
                # It may have said all it wants and still read our answer.
                self._ended = True
            elif self.state in (SILENT, IDLE):
                self.state = SPEAKING
            self.received += data

    def _is_whole(self, recognise: Recognise) -> bool:
        if not self._head:
            end = self.received.find(b"\r\n\r\n", 0, LARGEST_HEAD)
            if self.received and not (65 <= self.received[0] <= 90 or self.received[0] in b"\r\n"):
                # Not HTTP: a browser that was told https finds out at once.
                raise Refused(400)
            if end < 0:
                if len(self.received) >= LARGEST_HEAD:
                    raise Refused(431)
                return False
            self._head = end + 4
            self.environ = self._read_head()
            self.standing = recognise(self.environ)
            if self.standing != KNOWN and self._expects_word():
                self._say(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self.standing == KNOWN or self._has_body()

    def _read_head(self) -> dict[str, str]:
        """Return what matters of the head as WSGI names it; what is odd in it is for the server's own parser."""
        first, *lines = bytes(self.received[: self._head - 4]).decode("latin-1").split("\r\n")
        method, _space, rest = first.partition(" ")
        address = str(self.client[0]) if isinstance(self.client, tuple) else ""
        environ = {"REQUEST_METHOD": method, "PATH_INFO": re.split("[ ?]", rest, maxsplit=1)[0], "REMOTE_ADDR": address}
        for line in lines:
            name, _colon, value = line.partition(":")
            if "_" not in name:
                key = "HTTP_" + name.strip().upper().replace("-", "_")
                environ[key] = f"{environ[key]},{value.strip()}" if key in environ else value.strip()
        return environ

    def _expects_word(self) -> bool:
        return self.environ.get("HTTP_EXPECT", "").lower() == "100-continue" and not self._has_body()

    def _has_body(self) -> bool:
        """Tell whether a stranger's body is whole; which framing is in force, and what is wrong, others decide."""
        length, coding = self.environ.get("HTTP_CONTENT_LENGTH"), self.environ.get("HTTP_TRANSFER_ENCODING")
        if coding is not None:
            return length is not None or coding.lower() != "chunked" or self._has_chunks()
        if length is None or not length.isdecimal() or not length.isascii():
            return True
        if len(length) > 9 or int(length) > LARGEST_BODY:
            raise Refused(413)
        return len(self.received) >= self._head + int(length)

    def _has_chunks(self) -> bool:
        data, at, total = self.received, self._head, 0
        if len(data) > self._head + _LARGEST_CHUNKED:
            raise Refused(413)
        while (end := data.find(b"\r\n", at)) >= 0:
            text = bytes(data[at:end]).partition(b";")[0].strip(b" \t")
            if not _CHUNK_SIZE.fullmatch(text):
                raise Refused(400)
            size = int(text, 16)
            total += size
            if total > LARGEST_BODY:
                raise Refused(413)
            if not size:
                # Trailers may follow, and end as a head does.
                return data.find(b"\r\n\r\n", end) >= 0
            at = end + 2 + size + 2
            if len(data) >= at and data[at - 2 : at] != b"\r\n":
                raise Refused(400)
        return False
