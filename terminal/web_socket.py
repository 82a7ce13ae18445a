"""Owns the bytes of a WebSocket on a server's accepted socket: handshake, frames in, frames out (RFC 6455).

It knows nothing of terminals. Engine.IO uses it in place of its own driver, for three reasons: a message may be sent
by whatever thread has it, without waiting; several frames go out with nothing in between; and no compression is
negotiated, which costs more time than it saves between a program and a page on one machine.
"""

from __future__ import annotations

import base64
import hashlib
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_RECEIVE = 64 * 1024
_SLICES = 8
_SEND_BUFFER = 128 * 1024
_WRITER_TURNS = 16
# For what is sent at once: a peer that takes less than this asks for holds no thread and no memory.
_WRITE_SECONDS = 60.0
_LARGEST_CONTROL = 125
# What a Close frame may give as its reason: these, and those that libraries and applications have for themselves.
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


class Source(Protocol):
    """Something that always has its next frames ready when they can be sent, and keeps none before."""

    def next_frames(self) -> list[bytes]:
        """Return what to send now, [] for nothing. Only one thread asks at a time."""

    def has_more(self) -> bool:
        """Tell whether next_frames would return something."""

    def ask_for_turn(self) -> None:
        """Take notice that the writing thread went on to other messages with something left."""

    def closed(self) -> None:
        """Take notice that the connection is gone."""


class SourceHasMore:
    """A message for `send`: not itself something to send, but the order to ask the source, waiting if need be."""


class _Broken(Exception):
    """The client breaks the protocol; the argument is the close code."""


class WebSocket:
    """One connection, as Engine.IO expects a driver: called with a request, then `wait`, `send`, `close`."""

    def __init__(self, handler: Callable[[WebSocket], object], server: Any) -> None:
        self._handler = handler
        self._largest = int(getattr(server, "max_http_buffer_size", 1_000_000))
        self._silence = float(server.ping_interval) + float(server.ping_timeout) + 5
        self._received = bytearray()
        self._lock = threading.Lock()
        self._unsent: memoryview = memoryview(b"")
        # The length of a slice of the unsent bytes, 0 when they are to go out as soon as possible.
        self._held = 0
        self._closed = False
        # What follows a Close frame, another one too, is an error that browsers report. Under the lock.
        self._parted = False
        self._pipe: _Pipe | None = None
        self.source: Source | None = None
        self.engine_socket: Any = getattr(handler, "__self__", None)
        if self.engine_socket is not None:
            self.engine_socket.driver = self

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """Answer the handshake and serve the connection until it ends."""
        accepted = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
        key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "").encode()
        if accepted is None or not key or environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
            start_response("400 Bad Request", [("Content-Type", "text/plain")])
            return [b"not a WebSocket handshake this server can answer\n"]
        kind = _TlsPipe if isinstance(accepted, ssl.SSLSocket) else _Pipe
        self._pipe = kind(accepted, self._silence)
        if self._closed:
            # Somebody was faster.
            self._pipe.shut()
        digest = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
        self._send_all(b"\r\n".join([*lines, b"Sec-WebSocket-Accept: " + digest, b"", b""]))
        try:
            self._handler(self)
        finally:
            self._abort()
            with self._lock:
                # From here on nobody sends: the server closes the descriptor, and its number will be used again.
                self._unsent = memoryview(b"")
            if self.source is not None:
                self.source.closed()
        if "gunicorn.socket" in environ:
            # This is how each server is told that the connection was taken over and is done.
            raise StopIteration
        raise ConnectionError

    # Receiving: one thread

    def wait(self) -> str | bytes | None:
        """Return the next message, None when the connection has ended."""
        kind, parts, size = 0, [], 0
        try:
            while True:
                final, opcode, payload = self._frame()
                if opcode == _CLOSE:
                    self._send_close(_checked_close(payload))
                    return None
                if opcode == _PING:
                    self.send_frames([frame(_PONG, payload)])
                if opcode in (_PING, _PONG):
                    continue
                if (opcode == _CONTINUATION) != bool(kind):
                    raise _Broken(1002)
                kind = kind or opcode
                parts.append(payload)
                size += len(payload)
                if size > self._largest:
                    raise _Broken(1009)
                if final:
                    message = parts[0] if len(parts) == 1 else b"".join(parts)
                    return message.decode("utf-8") if kind == _TEXT else message
        except UnicodeDecodeError:
            self._send_close(struct.pack("!H", 1007))
        except _Broken as broken:
            self._send_close(struct.pack("!H", broken.args[0]))
        except (OSError, EOFError):
            # The peer is gone; so is the connection.
            return None
        return None

    def _frame(self) -> tuple[bool, int, bytes]:
        """Read one frame: whether it is the last of its message, its opcode, its payload without mask."""
        first, second = self._bytes(2)
        opcode, size = first & 15, second & 127
        if first & 0x70 or not second & 0x80 or opcode not in (_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG):
            raise _Broken(1002)
        if opcode >= _CLOSE and (size > _LARGEST_CONTROL or not first & 0x80):
            raise _Broken(1002)
        if size >= 126:
            width, least, most = (2, 126, 1 << 16) if size == 126 else (8, 1 << 16, 1 << 63)
            size = int.from_bytes(self._bytes(width), "big")
            if not least <= size < most:
                # A length has one way to be written only.
                raise _Broken(1002)
        if size > self._largest:
            raise _Broken(1009)
        mask = self._bytes(4)
        return bool(first & 0x80), opcode, _unmasked(self._bytes(size), mask)

    def _bytes(self, count: int) -> bytes:
        while len(self._received) < count:
            data = self._pipe.receive() if self._pipe is not None else b""
            if not data:
                raise EOFError
            self._received += data
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    # Sending: any thread

    def send(self, message: str | bytes | SourceHasMore) -> None:
        """Send one message, waiting for the peer; called by Engine.IO's writing thread. Raises OSError."""
        if isinstance(message, SourceHasMore):
            self._send_from_source()
        elif isinstance(message, str):
            self.send_frames([frame(_TEXT, message.encode())])
        else:
            self.send_frames([frame(_BINARY, bytes(message))])

    def send_frames(self, frames: Iterable[bytes]) -> None:
        """Send these frames with nothing in between, waiting for the peer. Raises OSError."""
        with self._lock:
            self._flush()
            self._send_all(b"".join(frames))
        if self.source is not None and self.source.has_more():
            # Whoever had something meanwhile found us at it and left it to us.
            self.source.ask_for_turn()

    def slice(self) -> None:
        """Send a slice of what `pump` held back, if the peer takes it at once; never waits."""
        if self._held and self._lock.acquire(blocking=False):
            try:
                if self._held and not self._closed and not self._parted and self._pipe is not None:
                    sent = self._pipe.send(self._unsent[: self._held], wait=False)
                    self._unsent = self._unsent[sent:]
            except OSError:
                # It does not take it, or is gone: whoever sends the rest finds out.
                self._held = 0
            finally:
                self._lock.release()

    def pump(self, hold: bool = False) -> bool:
        """Send what the source has as far as the peer takes it at once; never waits.

        With `hold` the last piece is only made ready: it goes out in slices, or with the next call at the latest.
        Return False when something is left that only a waiting thread can send. Whoever finds another thread at it
        leaves it to that one, which looks again before it goes.
        """
        while True:
            if not self._lock.acquire(blocking=False):
                return True
            try:
                if not self._send_now(hold):
                    return False
            finally:
                self._lock.release()
            if hold or self._closed or self._parted or self.source is None or not self.source.has_more():
                return True

    def _send_now(self, hold: bool) -> bool:
        """Send without waiting until the source has nothing; False when the peer does not take it."""
        self._held = 0
        while True:
            if self._closed or self._parted or self._pipe is None:
                return True
            while self._unsent:
                try:
                    sent = self._pipe.send(self._unsent, wait=False)
                except BlockingIOError:
                    return False
                except OSError:
                    # The receiving thread finds out by itself and ends the connection.
                    self._unsent = memoryview(b"")
                    return True
                self._unsent = self._unsent[sent:]
            frames = self.source.next_frames() if self.source else []
            if not frames:
                return True
            self._unsent = memoryview(frames[0] if len(frames) == 1 else b"".join(frames))
            if hold and len(self._unsent) > _SLICES * 4096:
                self._held = len(self._unsent) // _SLICES
                return True

    def _send_from_source(self) -> None:
        """Send what the source has, waiting for the peer, but not for ever: other messages wait behind this one."""
        for _turn in range(_WRITER_TURNS):
            with self._lock:
                self._flush()
                frames = self.source.next_frames() if self.source else []
                self._send_all(b"".join(frames))
            if self.source is None or not self.source.has_more():
                return
        if self.source is not None:
            self.source.ask_for_turn()

    def _flush(self) -> None:
        unsent, self._unsent, self._held = self._unsent, memoryview(b""), 0
        self._send_all(unsent)

    def _send_all(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        until = time.monotonic() + _WRITE_SECONDS
        while view:
            if self._closed or self._parted or self._pipe is None:
                raise BrokenPipeError
            try:
                view = view[self._pipe.send(view, wait=True) :]
                if view and time.monotonic() > until:
                    raise TimeoutError
            except OSError:
                # Part of a frame may be out: nothing sensible can follow on this connection.
                self._abort()
                raise

    def close(self) -> None:
        """Say goodbye and end the connection."""
        self._send_close(struct.pack("!H", 1000))
        self._abort()

    def refuse(self, code: int) -> None:
        """Say goodbye with a reason; whoever receives ends the connection."""
        self._send_close(struct.pack("!H", code))

    def abort(self) -> None:
        """End the connection at once, whoever waits for it."""
        self._abort()

    def _send_close(self, payload: bytes) -> None:
        if self._closed or self._pipe is None or not self._lock.acquire(timeout=1.0):
            return
        try:
            if not self._unsent and not self._closed and not self._parted:
                self._parted = True
                self._pipe.send(memoryview(frame(_CLOSE, payload)), wait=False)
        except OSError:
            # It was said to somebody who is gone.
            return
        finally:
            self._lock.release()

    def _abort(self) -> None:
        self._closed = True
        if self._pipe is not None:
            self._pipe.shut()


class _Pipe:
    """An accepted socket: one thread receives, another may send meanwhile."""

    def __init__(self, accepted: socket.socket, silence: float) -> None:
        self._socket = accepted
        self._silence = silence
        # Small pieces go out at once.
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # What lies in the system's buffer is shown even after Ctrl-C; left alone it grows to several megabytes.
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self._prepare()

    def _prepare(self) -> None:
        """Give up a peer that neither reads nor speaks for longer than pings allow."""
        self._socket.setblocking(True)
        limit = struct.pack("ll", int(self._silence), 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def receive(self) -> bytes:
        """Return what comes next, b"" at the end. Raises OSError, also after too long a silence."""
        return self._socket.recv(_RECEIVE)

    def send(self, data: memoryview, *, wait: bool) -> int:
        """Send a beginning of `data` and return its length. Raises OSError, BlockingIOError unless it may wait."""
        return self._socket.send(data, 0 if wait else socket.MSG_DONTWAIT)

    def shut(self) -> None:
        """End the connection, whoever waits for it; the descriptor stays open, its owner closes it."""
        try:
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            # The peer was faster.
            return


class _TlsPipe(_Pipe):
    """The same through TLS, whose state must not be touched by two threads at once: nobody waits while he holds it."""

    _socket: ssl.SSLSocket

    def _prepare(self) -> None:
        self._socket.setblocking(False)
        self._state = threading.Lock()

    def receive(self) -> bytes:
        while True:
            try:
                with self._state:
                    return self._socket.recv(_RECEIVE)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)

    def send(self, data: memoryview, *, wait: bool) -> int:
        while True:
            try:
                with self._state:
                    return self._socket.send(data)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                if not wait:
                    raise BlockingIOError from error
                self._wait(select.POLLOUT if isinstance(error, ssl.SSLWantWriteError) else select.POLLIN)

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        if not poll.poll(self._silence * 1000):
            raise TimeoutError


def frame(opcode: int, payload: bytes) -> bytes:
    """Return one whole frame as a server sends it."""
    return header(opcode, len(payload)) + payload


def header(opcode: int, size: int) -> bytes:
    """Return what comes before a payload of that size."""
    if size < 126:
        return bytes((0x80 | opcode, size))
    if size < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size)
    return struct.pack("!BBQ", 0x80 | opcode, 127, size)


def text_frame(text: bytes) -> bytes:
    """Return a text message as one frame."""
    return frame(_TEXT, text)


def binary_frame(data: bytes) -> bytes:
    """Return a binary message as one frame."""
    return frame(_BINARY, data)


def _checked_close(payload: bytes) -> bytes:
    """Return what answers a Close frame: the code it gave. Raises _Broken, UnicodeDecodeError."""
    if not payload:
        return b""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _CLOSE_CODES or 3000 <= code < 5000):
        raise _Broken(1002)
    payload[2:].decode("utf-8")
    return payload[:2]


def _unmasked(data: bytes, mask: bytes) -> bytes:
    count = len(data)
    repeated = (mask * (count // 4 + 1))[:count]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(count, "big")
