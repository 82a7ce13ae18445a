"""Claims about the WebSocket: what it makes of frames of every kind, and that sending never mixes messages."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from claude_accounts.terminal import web_socket
from claude_accounts.terminal.web_socket import WebSocket, frame

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Engine:
    """What of Engine.IO's server a connection asks for."""

    max_http_buffer_size = 100_000
    ping_interval = 5
    ping_timeout = 5


class Peer:
    """The client's end of a connection to a server that sends each message back."""

    def __init__(self, after_goodbye: Callable[[WebSocket], object] = lambda driver: None) -> None:
        self._after_goodbye = after_goodbye
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.socket = socket.create_connection(listener.getsockname())
            self._accepted = listener.accept()[0]
        self.socket.settimeout(20)
        self.driver = WebSocket(self._echo, Engine())
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self._received = b""
        while b"\r\n\r\n" not in self._received:
            self._received += self.socket.recv(4096)
        self.head, _end, self._received = self._received.partition(b"\r\n\r\n")

    def _serve(self) -> None:
        environ = {"werkzeug.socket": self._accepted, "HTTP_SEC_WEBSOCKET_VERSION": "13"}
        environ["HTTP_SEC_WEBSOCKET_KEY"] = "dGhlIHNhbXBsZSBub25jZQ=="
        with suppress(ConnectionError):
            self.driver(environ, None)
        self._accepted.close()

    def _echo(self, driver: WebSocket) -> None:
        while (message := driver.wait()) is not None:
            driver.send(message)
        with suppress(OSError):
            self._after_goodbye(driver)

    def send(self, opcode: int, payload: bytes, *, final: bool = True, mask: bytes = b"\x11\x22\x33\x44") -> None:
        first = bytes([(0x80 if final else 0) | opcode])
        count = len(payload)
        size = bytes([0x80 | count]) if count < 126 else b"\xfe" + (count & 0xFFFF).to_bytes(2, "big")
        if count > 0xFFFF:
            size = b"\xff" + struct.pack("!Q", count)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        self.socket.sendall(first + size + mask + masked)

    def receive(self) -> tuple[int, bytes]:
        first, second = self._take(2)
        size = second & 127
        if size == 126:
            size = int.from_bytes(self._take(2), "big")
        elif size == 127:
            size = int.from_bytes(self._take(8), "big")
        return first & 15, self._take(size)

    def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self._received += data
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def close(self) -> None:
        self.socket.close()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def peer() -> Iterator[Peer]:
    connected = Peer()
    yield connected
    connected.close()


def test_handshake_answers_the_standard_example(peer: Peer) -> None:
    assert peer.head.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in peer.head
    assert b"Extensions" not in peer.head


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 127, 65535, 65536, 100_000])
def test_messages_of_every_length_arrive_whole(peer: Peer, size: int) -> None:
    payload = bytes(number * 31 % 256 for number in range(size))
    peer.send(BINARY, payload)
    assert peer.receive() == (BINARY, payload)


def test_fragments_are_joined_and_a_ping_between_them_is_answered(peer: Peer) -> None:
    peer.send(TEXT, "h\u00e9".encode()[:2], final=False)
    peer.send(PING, b"are you there")
    peer.send(0, "h\u00e9".encode()[2:], final=False)
    peer.send(PONG, b"unasked")
    peer.send(0, b"llo")
    assert peer.receive() == (PONG, b"are you there")
    assert peer.receive() == (TEXT, "h\u00e9llo".encode())


def test_goodbye_is_answered(peer: Peer) -> None:
    peer.send(CLOSE, struct.pack("!H", 1000) + b"bye")
    assert peer.receive() == (CLOSE, struct.pack("!H", 1000))
    with pytest.raises((EOFError, ConnectionError)):
        peer.receive()


class Talker:
    """A source that has one thing to say."""

    def __init__(self) -> None:
        self._rest = [frame(TEXT, b"late")]

    def next_frames(self) -> list[bytes]:
        taken, self._rest = self._rest, []
        return taken

    def has_more(self) -> bool:
        return bool(self._rest)

    def ask_for_turn(self) -> None:
        raise AssertionError("one turn is enough")

    def closed(self) -> None:
        self._rest = []


def pump(driver: WebSocket) -> None:
    driver.source = Talker()
    driver.pump()


@pytest.mark.parametrize(
    "late",
    [lambda driver: driver.send("late"), lambda driver: driver.send_frames([frame(BINARY, b"late")]), pump],
    ids=["message", "frames", "source"],
)
def test_nothing_follows_the_goodbye(late: Callable[[WebSocket], object]) -> None:
    peer = Peer(late)
    peer.send(CLOSE, struct.pack("!H", 1001))
    assert peer.receive() == (CLOSE, struct.pack("!H", 1001))
    try:
        with pytest.raises((EOFError, ConnectionError)):
            peer.receive()
    finally:
        peer.close()


BROKEN: dict[str, tuple[Any, int]] = {
    "without mask": (lambda peer: peer.socket.sendall(frame(TEXT, b"hello")), 1002),
    "unknown opcode": (lambda peer: peer.send(3, b""), 1002),
    "reserved bits": (lambda peer: peer.socket.sendall(b"\xc1\x80\0\0\0\0"), 1002),
    "fragmented ping": (lambda peer: peer.send(PING, b"", final=False), 1002),
    "large ping": (lambda peer: peer.send(PING, b"x" * 126), 1002),
    "continuation of nothing": (lambda peer: peer.send(0, b"x"), 1002),
    "no end before the next": (lambda peer: (peer.send(TEXT, b"a", final=False), peer.send(TEXT, b"b")), 1002),
    "text that is none": (lambda peer: peer.send(TEXT, b"\xff\xfe"), 1007),
    "too large": (lambda peer: peer.socket.sendall(b"\x82\xff" + struct.pack("!Q", 2**60)), 1009),
    "too large in pieces": (lambda peer: [peer.send(kind, b"x" * 60_000, final=False) for kind in (2, 0)], 1009),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_frames_end_the_connection_with_the_reason(peer: Peer, case: str) -> None:
    act, code = BROKEN[case]
    act(peer)
    assert peer.receive() == (CLOSE, struct.pack("!H", code))


def test_messages_of_many_threads_do_not_mix(peer: Peer) -> None:
    def talk(letter: bytes) -> None:
        for _message in range(50):
            peer.driver.send_frames([frame(TEXT, letter * 1000), frame(BINARY, letter * 20_000)])

    threads = [threading.Thread(target=talk, args=(bytes([letter]),)) for letter in b"abcd"]
    for thread in threads:
        thread.start()
    for _message in range(200):
        first, second = peer.receive(), peer.receive()
        assert (first[0], second[0]) == (TEXT, BINARY)
        assert first[1][:1] * 20_000 == second[1]
    for thread in threads:
        thread.join()


def test_end_frees_whoever_waits_for_a_peer_that_does_not_read(peer: Peer) -> None:
    def fill() -> None:
        with suppress(OSError):
            while True:
                peer.driver.send_frames([frame(BINARY, b"x" * 60_000)])

    thread = threading.Thread(target=fill)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    peer.driver.abort()
    thread.join(20)
    assert not thread.is_alive()


def test_peer_that_takes_a_little_now_and_then_is_given_up(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece it takes is in time, the whole never."""
    monkeypatch.setattr(web_socket, "_WRITE_SECONDS", 0.0)
    pipe = peer.driver._pipe
    assert pipe is not None
    whole = pipe.send
    monkeypatch.setattr(pipe, "send", lambda data, *, wait: whole(data[:10], wait=wait))
    with pytest.raises(TimeoutError):
        peer.driver.send_frames([frame(BINARY, b"x" * 60_000)])
    with pytest.raises((EOFError, ConnectionError)):
        peer.receive()
