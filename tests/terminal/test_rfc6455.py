"""RFC 6455 from a hostile client's side: the rules about frames, text and goodbyes, and a fuzz that ends quietly."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from contextlib import suppress

import pytest
from test_web_socket import BINARY, CLOSE, PING, PONG, TEXT, Peer

Raw = bytes
# What answers: a message, or the code of a Close frame ("" for one without a code).
Answer = tuple[int, bytes]


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Return a client of a server that sends each message back."""
    connected = Peer()
    yield connected
    connected.close()


def raw(opcode: int, payload: bytes = b"", *, final: bool = True, reserved: int = 0, masked: bool = True) -> Raw:
    """Return one frame, also one that nobody should send."""
    first = (0x80 if final else 0) | reserved << 4 | opcode
    count = len(payload)
    size = bytes([count]) if count < 126 else b"\x7e" + struct.pack("!H", count)
    if count > 0xFFFF:
        size = b"\x7f" + struct.pack("!Q", count)
    if not masked:
        return bytes([first]) + size + payload
    mask = b"\x37\xfa\x21\x3d"
    covered = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return bytes([first, size[0] | 0x80]) + size[1:] + mask + covered


def goodbye(code: int, reason: bytes = b"") -> Raw:
    """Return a Close frame with a code."""
    return raw(CLOSE, struct.pack("!H", code) + reason)


def closed(code: int) -> Answer:
    """Return the Close frame that a server answers with."""
    return CLOSE, struct.pack("!H", code)


EURO = "\u20ac".encode()
GOTHIC = "\U0001033c".encode()

CASES: dict[str, tuple[Raw, Answer]] = {
    # 5.5.1 and 7.4: the Close frame
    "close without a body is answered without one": (raw(CLOSE), (CLOSE, b"")),
    "close with half a code": (raw(CLOSE, b"\x03"), closed(1002)),
    **{f"close {code} is echoed": (goodbye(code), closed(code)) for code in (1000, 1001, 1002, 1003)},
    **{f"close {code} is echoed": (goodbye(code), closed(code)) for code in (1007, 1008, 1009, 1010, 1011)},
    **{f"close {code} is echoed": (goodbye(code), closed(code)) for code in (3000, 3999, 4000, 4999)},
    **{f"close {code} is forbidden": (goodbye(code), closed(1002)) for code in (0, 1, 999, 1004, 1005, 1006, 1015)},
    **{f"close {code} is forbidden": (goodbye(code), closed(1002)) for code in (1016, 1100, 2000, 2999, 5000, 65535)},
    "close with a reason": (goodbye(1000, EURO + b" is enough"), closed(1000)),
    "close with the longest reason": (goodbye(1000, b"x" * 123), closed(1000)),
    "close with too long a reason": (goodbye(1000, b"x" * 124), closed(1002)),
    "close with a reason that is no text": (goodbye(1000, b"\xff"), closed(1007)),
    "close with a reason that is cut": (goodbye(1000, EURO[:2]), closed(1007)),
    "close with half a character of UTF-16": (goodbye(1000, b"\xed\xa0\x80"), closed(1007)),
    "close in fragments": (raw(CLOSE, b"\x03\xe8", final=False), closed(1002)),
    "nothing after a close is heard": (goodbye(1000) + raw(TEXT, b"late"), closed(1000)),
    "a close between fragments": (raw(TEXT, b"a", final=False) + goodbye(1001), closed(1001)),
    # 5.2: base framing
    **{f"reserved bit {bit}": (raw(TEXT, b"x", reserved=bit), closed(1002)) for bit in (1, 2, 4, 7)},
    **{f"reserved bits in a {name}": (raw(code, b"", reserved=4), closed(1002)) for name, code in (("ping", PING),)},
    **{f"opcode {code}": (raw(code), closed(1002)) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "a length of two bytes that fits in none": (b"\x81\xfe\x00\x7d" + bytes(4 + 125), closed(1002)),
    "a length of eight bytes that fits in two": (b"\x81\xff" + struct.pack("!Q", 65535), closed(1002)),
    "a length with the highest bit": (b"\x82\xff" + struct.pack("!Q", 1 << 63), closed(1002)),
    # 5.1: masks
    "text without a mask": (raw(TEXT, b"x", masked=False), closed(1002)),
    "close without a mask": (raw(CLOSE, b"\x03\xe8", masked=False), closed(1002)),
    # 5.4: fragments
    "continuation of nothing": (raw(0, b"x"), closed(1002)),
    "unfinished continuation of nothing": (raw(0, b"x", final=False), closed(1002)),
    "a text before the last one's end": (raw(TEXT, b"a", final=False) + raw(TEXT, b"b"), closed(1002)),
    "binary before a text's end": (raw(TEXT, b"a", final=False) + raw(BINARY, b"b"), closed(1002)),
    "empty fragments": (raw(TEXT, final=False) + raw(0, final=False) + raw(0), (TEXT, b"")),
    "three fragments": (raw(BINARY, b"a", final=False) + raw(0, b"b", final=False) + raw(0, b"c"), (BINARY, b"abc")),
    # 5.5.2: pings
    "a ping of the largest size": (raw(PING, b"p" * 125), (PONG, b"p" * 125)),
    "a ping that is too large": (raw(PING, b"p" * 126), closed(1002)),
    "a ping in fragments": (raw(PING, final=False), closed(1002)),
    "a pong that is too large": (raw(PONG, b"p" * 126), closed(1002)),
    # 8.1: text is UTF-8
    "a character across fragments": (raw(TEXT, GOTHIC[:2], final=False) + raw(0, GOTHIC[2:]), (TEXT, GOTHIC)),
    "a character cut at the end": (raw(TEXT, EURO[:2]), closed(1007)),
    "a character cut across fragments": (raw(TEXT, EURO[:1], final=False) + raw(0, b"x"), closed(1007)),
    "an overlong character": (raw(TEXT, b"\xc0\xaf"), closed(1007)),
    "a character beyond the last": (raw(TEXT, b"\xf4\x90\x80\x80"), closed(1007)),
}


def test_there_are_at_least_as_many_cases_as_were_counted() -> None:
    """Two of them failed for each rule about goodbyes."""
    assert len(CASES) >= 67


@pytest.mark.parametrize("case", CASES)
def test_frames_are_answered_as_the_standard_says(peer: Peer, case: str) -> None:
    sent, expected = CASES[case]
    peer.socket.sendall(sent)
    assert peer.receive() == expected
    if expected[0] == CLOSE:
        with pytest.raises((EOFError, ConnectionError)):
            peer.receive()


def test_any_frames_end_without_an_exception() -> None:
    """Seeded: what fails once fails again."""
    chance = random.Random(6455)
    for _connection in range(40):
        peer = Peer()
        with suppress(OSError):
            for _frame in range(20):
                payload = chance.randbytes(chance.choice((0, 1, 2, 125, 126, 300)))
                frame = raw(
                    chance.randrange(16),
                    payload,
                    final=chance.random() < 0.7,
                    reserved=chance.choice((0, 0, 0, 0, chance.randrange(8))),
                    masked=chance.random() < 0.95,
                )
                cut = chance.randrange(len(frame)) if chance.random() < 0.05 else len(frame)
                peer.socket.sendall(frame[:cut])
        # Fails when the server's thread has not ended; an exception in it is a warning, and so an error.
        peer.close()
