"""Owns which packets of Engine.IO and Socket.IO are well formed: the libraries raise on others, each in its own place.

It knows no connection: whoever receives asks before the libraries see anything.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from engineio.payload import Payload  # type: ignore[import-untyped]

# A message is Socket.IO's, which begins with a digit; every other type has a word at most.
_ENGINE_PACKET = re.compile(r"4[0-6].*|[0-356][a-z]{0,16}", re.DOTALL)
_POLLED_TYPES = frozenset("134b")
# Where no WebSocket gets through, a fast typist's keys arrive many in one request; the library takes 16. The size of
# the request is bounded all the same.
_MOST_PACKETS = Payload.max_decode_packets = 1000
_MOST_ATTACHMENTS = 10
CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)
# Events of the library's own; no client sends them.
_RESERVED = frozenset({"*", "connect", "connect_error", "disconnect"})


def is_engine_packet(packet: str | bytes) -> bool:
    """Tell whether Engine.IO can take a packet as it came; what is binary is a message as it stands."""
    if isinstance(packet, bytes):
        return bool(packet)
    if packet.startswith("b"):
        try:
            base64.b64decode(packet[1:])
        except ValueError:
            return False
        return True
    return _ENGINE_PACKET.fullmatch(packet) is not None


def is_engine_payload(body: bytes) -> bool:
    """Tell whether the body of a poll consists of packets that Engine.IO can take there.

    The rest of them it answers by waiting, for ever, until all it has is fetched.
    """
    try:
        packets = body.decode().split("\x1e")
    except UnicodeDecodeError:
        return False
    return len(packets) <= _MOST_PACKETS and all(
        packet[:1] in _POLLED_TYPES and is_engine_packet(packet) for packet in packets
    )


def read_message(packet_class: Any, text: str) -> Any:
    """Return a Socket.IO packet whose parts are of the types that the library takes for granted, None for any other."""
    try:
        packet = packet_class(encoded_packet=text)
        return packet if _is_sound(packet) else None
    except (ValueError, TypeError, IndexError, RecursionError):
        return None


def _is_sound(packet: Any) -> bool:
    kind, data = packet.packet_type, packet.data
    if kind == CONNECT:
        return data is None or isinstance(data, dict)
    if kind == DISCONNECT:
        return True
    if packet.namespace not in (None, "/") or not isinstance(data, list):
        return False
    if kind in (EVENT, BINARY_EVENT):
        if not data or not isinstance(data[0], str) or data[0] in _RESERVED:
            return False
    elif packet.id is None or kind not in (ACK, BINARY_ACK):
        return False
    count = packet.attachment_count
    if kind in (BINARY_EVENT, BINARY_ACK):
        return 0 < count <= _MOST_ATTACHMENTS and _are_attached(data, count)
    return not count


def _are_attached(value: Any, count: int) -> bool:
    """Tell whether all that stands for an attachment stands for one that there is."""
    if isinstance(value, list):
        return all(_are_attached(item, count) for item in value)
    if not isinstance(value, dict):
        return True
    if value.get("_placeholder") and "num" in value:
        return type(value["num"]) is int and 0 <= value["num"] < count
    return all(_are_attached(item, count) for item in value.values())
