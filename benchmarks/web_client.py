"""Owns the client side of the terminal benchmarks: a WebSocket without a library, and the dialect of each server.

It costs as little as Python allows, so that the server is what is measured.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import time
from contextlib import suppress
from typing import Any


class WebSocket:
    """One connection: whole messages in and out."""

    def __init__(self, port: int, path: str, receive_buffer: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(60)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket)
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13", "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self._buffer = bytearray()
        self._scratch = bytearray(256 * 1024)
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        del self._buffer[: self._buffer.index(b"\r\n\r\n") + 4]

    def _fill(self) -> None:
        count = self.socket.recv_into(self._scratch)
        if not count:
            raise EOFError
        self._buffer += memoryview(self._scratch)[:count]

    def receive(self) -> bytes:
        """Return the next message."""
        while True:
            size, start = -1, 2
            if len(self._buffer) >= 2:
                size = self._buffer[1] & 127
                if size == 126:
                    start = 4
                    size = int.from_bytes(self._buffer[2:4], "big") if len(self._buffer) >= 4 else -1
                elif size == 127:
                    start = 10
                    size = int.from_bytes(self._buffer[2:10], "big") if len(self._buffer) >= 10 else -1
            if 0 <= size <= len(self._buffer) - start:
                message = bytes(memoryview(self._buffer)[start : start + size])
                del self._buffer[: start + size]
                return message
            self._fill()

    def send(self, text: str) -> None:
        """Send one text message, with the mask that costs nothing."""
        data = text.encode()
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        self.socket.sendall(b"\x81" + size + b"\0\0\0\0" + data)


class Ours:
    """A terminal of this project; `mode` is plain (text), binary, or ack (binary with flow control)."""

    def __init__(self, port: int, mode: str = "plain", receive_buffer: int = 0) -> None:
        self.mode = mode
        self.socket = WebSocket(port, "/socket.io/?EIO=4&transport=websocket", receive_buffer)
        self.socket.send("40")
        self._acked = 0
        self._end = 0
        self.terminal_id = ""
        while not self.socket.receive().startswith(b"40"):
            pass
        self._emit("start_terminal", {"account_id": os.environ["BENCHMARK_ACCOUNT"], mode: True})
        while not self.terminal_id:
            message = self.socket.receive()
            if message.startswith(b'42["terminal_started"'):
                self.terminal_id = json.loads(message[2:])[1]["terminal_id"]
            elif message.startswith(b'42["terminal_error"'):
                raise RuntimeError(message)

    def _emit(self, event: str, payload: dict[str, Any]) -> None:
        self.socket.send("42" + json.dumps([event, payload]))

    def type(self, text: str) -> None:
        """Type something."""
        self._emit("terminal_input", {"data": text})

    def raw(self) -> bytes:
        """Return the next message of output as it came, acknowledged if that is the mode. Raises EOFError."""
        while True:
            message = self.socket.receive()
            if message == b"2":
                self.socket.send("3")
            elif message.startswith(b'42["terminal_exit"'):
                raise EOFError
            elif message.startswith(b'42["terminal_output"'):
                return message
            elif message.startswith(b'451-["terminal_output"'):
                self._end = json.loads(message[4:])[1]["end"]
                data = self.socket.receive()
                if self.mode == "ack" and self._end - self._acked >= 32 * 1024:
                    self._acked = self._end
                    self._emit("terminal_ack", {"offset": self._end})
                return data

    def decode(self, message: bytes) -> bytes:
        """Return the bytes a message stands for."""
        if self.mode != "plain":
            return message
        data: str = json.loads(message[2:])[1]["data"]
        return data.encode()

    def read(self) -> bytes:
        """Return the next output."""
        return self.decode(self.raw())

    def close(self) -> None:
        """End the terminal and the connection."""
        self._emit("stop_terminal", {})
        with suppress(EOFError):
            while True:
                # Its end comes after its last output, and that only as fast as it is acknowledged.
                self.raw()
        self.socket.socket.close()


class Terminado:
    """A terminal of terminado, which ends with its connection."""

    def __init__(self, port: int, mode: str = "", receive_buffer: int = 0) -> None:
        self.socket = WebSocket(port, "/websocket", receive_buffer)

    def type(self, text: str) -> None:
        """Type something."""
        self.socket.send(json.dumps(["stdin", text]))

    def raw(self) -> bytes:
        """Return the next message of output as it came."""
        while True:
            message = self.socket.receive()
            if message.startswith(b'["stdout"'):
                return message

    def decode(self, message: bytes) -> bytes:
        """Return the bytes a message stands for."""
        data: str = json.loads(message)[1]
        return data.encode()

    def read(self) -> bytes:
        """Return the next output."""
        return self.decode(self.raw())

    def close(self) -> None:
        """End the connection."""
        self.socket.socket.close()


Client = Ours | Terminado


def read_until(client: Client, marker: bytes, seconds: float = 60) -> bytes:
    """Return the output up to and with a marker."""
    deadline = time.monotonic() + seconds
    output = b""
    while marker not in output:
        output += client.read()
        assert time.monotonic() < deadline, output[-200:]
    return output
