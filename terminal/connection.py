"""Owns what one client still has to get: answers to its events, and the output of the terminals it watches.

Nothing is queued but small answers. Output waits in the terminal's replay until the client takes it, so a client that
does not read costs no memory; what it missed for good is told as a gap. It knows no account.
"""

from __future__ import annotations

import codecs
import json
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from typing import Any

from engineio.packet import MESSAGE, Packet  # type: ignore[import-untyped]

from .packets import is_engine_packet
from .process import Terminal
from .replay import PIECE
from .terminals import HIGH, LOW, Terminals
from .web_socket import SourceHasMore, WebSocket, binary_frame, text_frame

_OUTBOX_LIMIT = 1000
_MESSAGES_A_POLL = 8
_GAP_KEEPS = 1024 * 1024
_POLICY_VIOLATION = 1008
_NOOP = "6"
# The backslash comes first, the others bring some. A loop over those that occur is faster than one regular expression.
_ESCAPES = [(b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"\t", b"\\t")]
_ESCAPES += [(bytes((code,)), b"\\u%04x" % code) for code in range(32) if code not in b"\n\r\t"]
Message = tuple[bool, bytes]


class EngineDriver(WebSocket):
    """The WebSocket as Engine.IO uses it: what Engine.IO could only raise on ends the connection instead."""

    def wait(self) -> str | bytes | None:
        """Return the next packet, None when the connection has ended."""
        packet = super().wait()
        if packet is not None and not is_engine_packet(packet):
            self.refuse(_POLICY_VIOLATION)
            packet = None
        if packet is None and self.engine_socket.upgrading:
            # In the middle of an upgrade Engine.IO takes nothing but packets; this one ends it.
            return _NOOP
        return packet


class Stream:
    """One client's view of one terminal: how far it was sent, how far the client says it has got."""

    def __init__(
        self,
        connection: Connection,
        terminal: Terminal,
        position: int,
        *,
        state: bytes = b"",
        ack: bool,
        binary: bool,
        repaint: Callable[[], None],
    ) -> None:
        self.connection = connection
        self.terminal = terminal
        self.position = position
        self.acked = position
        self.ack = ack
        self.behind = False
        self._binary = binary
        self._repaint = repaint
        # What the client's emulator must be shown before the next output, since it has not seen all before it.
        self._state = state
        # The beginning of a character whose rest has not been written yet.
        self._unfinished = b""
        self._exit_told = False
        self._told_title = terminal.title
        self._told_attention = terminal.attention
        self._told_size: tuple[int, int] | None = (terminal.rows, terminal.cols)
        self._told_viewers = 1
        self.size: tuple[int, int] | None = None
        # The number of the client's last word about its size, to be given back with what became of it.
        self._serial: int | None = None

    @property
    def confirmed(self) -> int:
        """The offset up to which the client has got the output, as far as can be known."""
        return self.acked if self.ack else self.position

    def more(self, hold: bool = False) -> None:
        """Send what there is to send; with `hold` the next piece in slices, when asked for them."""
        self.connection.pump(hold)

    def slice(self) -> None:
        """Send a slice of the piece that is held."""
        self.connection.slice()

    def changed(self) -> None:
        """Tell the client what is new of the terminal itself."""
        self.connection.pump()

    def acknowledge(self, offset: int) -> None:
        """Note how far the client has got; it cannot have more than it was sent."""
        self.acked = max(self.acked, min(offset, self.position))
        if self.terminal.end - self.acked <= LOW:
            self.behind = False

    def tell_size(self, serial: int) -> None:
        """Tell the client the size in any case, with the number of its word that this answers."""
        self._serial = serial
        self._told_size = None
        self.connection.pump()

    def has_more(self) -> bool:
        """Tell whether `next_messages` has something."""
        return (
            self._state_changed() or bool(self._state) or self._window() > 0 or (self._at_end() and not self._exit_told)
        )

    def next_messages(self) -> list[Message]:
        """Return the next event for this client as Socket.IO messages, [] when it is up to date."""
        if self._state_changed():
            return [self._state_message()]
        if self._state or self._window() > 0:
            return self._output()
        if self._at_end() and not self._exit_told:
            self._exit_told = True
            terminal = self.terminal
            codes = {"exit_code": terminal.exit_code, "signal": terminal.exit_signal}
            return [*self._rest(), event_message("terminal_exit", {"terminal_id": terminal.id, **codes})]
        return []

    def _window(self) -> int:
        """Return how many bytes may be sent now."""
        there = self.terminal.end - self.position
        return min(there, self.acked + HIGH - self.position) if self.ack else there

    def _at_end(self) -> bool:
        # In this order: once it has ended, its end does not move any more.
        return self.terminal.ended and self.position >= self.terminal.end

    def _output(self) -> list[Message]:
        gap = self._skip_what_is_gone()
        if gap:
            self._repaint()
        if self._state:
            return self._restore(gap)
        data = self.terminal.replay.take(self.position, min(PIECE, max(0, self._window())))
        offset = self.position
        self.position += len(data)
        if not self.ack and self.terminal.end - self.position <= LOW:
            self.behind = False
        place = f'"terminal_id":"{self.terminal.id}","offset":{offset},"end":{self.position}'
        if self._binary:
            return _binary_output(place, data)
        text, self._unfinished = _split_text(self._unfinished + data if self._unfinished else data)
        return [_text_output(place, text)] if text else []

    def _restore(self, gap: int) -> list[Message]:
        """Return output that no program wrote and that takes no place: it brings the client's emulator up to date."""
        state, self._state = self._state, b""
        place = f'"terminal_id":"{self.terminal.id}","offset":{self.position},"end":{self.position},"state":true'
        if gap:
            place += f',"gap":{gap}'
        return _binary_output(place, state) if self._binary else [_text_output(place, state)]

    def _skip_what_is_gone(self) -> int:
        """Move on to what is still kept, where a view can begin; return what was lost."""
        replay = self.terminal.replay
        if self.position >= replay.start:
            return 0
        start, self._state = self.terminal.late_start(max(replay.start + PIECE, replay.end - _GAP_KEEPS))
        gap = start - self.position
        self.position = start
        self.acked = max(self.acked, start)
        self._unfinished = b""
        return gap

    def _rest(self) -> list[Message]:
        """Return what is left of a character that was never finished."""
        text = self._unfinished.decode("utf-8", "replace").encode()
        place = f'"terminal_id":"{self.terminal.id}","offset":{self.position},"end":{self.position}'
        return [_text_output(place, text)] if text else []

    def _state_changed(self) -> bool:
        terminal = self.terminal
        return (
            terminal.title != self._told_title
            or terminal.attention is not self._told_attention
            or (terminal.rows, terminal.cols) != self._told_size
            or terminal.viewers != self._told_viewers
        )

    def _state_message(self) -> Message:
        terminal = self.terminal
        common = {"terminal_id": terminal.id}
        if terminal.title != self._told_title:
            self._told_title = terminal.title
            return event_message("terminal_title", common | {"title": self._told_title})
        attention = terminal.attention
        if attention is not self._told_attention:
            self._told_attention = attention
            return event_message("terminal_attention", common | (attention._asdict() if attention else {"kind": ""}))
        if terminal.viewers != self._told_viewers:
            self._told_viewers = terminal.viewers
            return event_message("terminal_viewers", common | {"viewers": self._told_viewers})
        self._told_size = rows, cols = terminal.rows, terminal.cols
        serial = {} if self._serial is None else {"serial": self._serial}
        return event_message("terminal_resized", common | {"rows": rows, "cols": cols} | serial)


class Connection:
    """One client: its answers and its streams, sent in order by whatever thread is there first."""

    def __init__(self, engine_socket: Any, terminals: Terminals) -> None:
        self._engine = engine_socket
        self._terminals = terminals
        self._outbox: deque[Message] = deque()
        self._streams: tuple[Stream, ...] = ()
        self._turn = 0
        self._turn_asked = False
        self.current = ""
        self.language = ""

    @property
    def is_closed(self) -> bool:
        """Whether the client is gone."""
        return bool(self._engine.closed)

    def post(self, event: str, payload: dict[str, Any]) -> None:
        """Send a small event, after those before it."""
        self._outbox.append(event_message(event, payload))
        if len(self._outbox) > _OUTBOX_LIMIT:
            # It asks and asks and never reads an answer.
            self.abort()
        self.pump()

    def watch(self, stream: Stream, *, focus: bool = True) -> None:
        """Send a terminal's output from now on, in place of a stream of the same terminal."""
        before = self.stream(stream.terminal.id)
        self._streams = (*(other for other in self._streams if other is not before), stream)
        self.current = stream.terminal.id
        self._terminals.attach(stream.terminal.id, stream, focus=focus)
        if before is not None:
            # Only now: the size of others shall not come and go in between.
            self._terminals.detach(stream.terminal.id, before)
        self.pump()

    def unwatch(self, terminal_id: str) -> bool:
        """Send nothing of a terminal any more; tell whether it was watched."""
        stream = self.stream(terminal_id)
        if stream is None:
            return False
        self._streams = tuple(other for other in self._streams if other is not stream)
        self._terminals.detach(terminal_id, stream)
        return True

    def stream(self, terminal_id: str) -> Stream | None:
        """Return this client's stream of a terminal, None when it does not watch it."""
        return next((stream for stream in self._streams if stream.terminal.id == terminal_id), None)

    def slice(self) -> None:
        """Send a slice of the piece that is held."""
        driver: WebSocket | None = getattr(self._engine, "driver", None)
        if driver is not None:
            driver.slice()

    def pump(self, hold: bool = False) -> None:
        """Send what can be sent without waiting, and leave the rest to the connection's writing thread."""
        driver = self._driver()
        if driver is None or not driver.pump(hold):
            self.ask_for_turn()

    def ask_for_turn(self) -> None:
        """Have the writing thread, or the next poll of a client without WebSocket, ask for what there is."""
        if not self._turn_asked and not self._engine.closed:
            self._turn_asked = True
            self._engine.queue.put(_Turn(self))

    def _driver(self) -> WebSocket | None:
        """Return the WebSocket once it is in use, None while (or for ever when) the client polls."""
        driver: WebSocket | None = getattr(self._engine, "driver", None)
        if driver is None or not self._engine.upgraded:
            return None
        if driver.source is None:
            driver.source = self
        return driver

    # For whoever sends: one thread at a time

    def has_more(self) -> bool:
        """Tell whether there is something to send."""
        return bool(self._outbox) or any(stream.has_more() for stream in self._streams)

    def next_messages(self) -> list[Message]:
        """Return the answers that wait, else the next piece of the streams in turn; [] when all is sent."""
        if self._outbox:
            messages = []
            while self._outbox:
                messages.append(self._outbox.popleft())
            return messages
        streams = self._streams
        for _try in streams:
            self._turn += 1
            stream = streams[self._turn % len(streams)]
            # A piece may hold nothing but the beginning of a character.
            while stream.has_more():
                messages = stream.next_messages()
                if not stream.ack:
                    self._terminals.progressed(stream.terminal.id)
                if messages:
                    return messages
        return []

    def next_frames(self) -> list[bytes]:
        """Return the same as WebSocket frames."""
        return [binary_frame(data) if binary else text_frame(b"4" + data) for binary, data in self.next_messages()]

    def turn(self, polled: bool) -> str | SourceHasMore:
        """Take the turn that was asked for: the answer to a poll, or the order to the writing thread to go on."""
        self._turn_asked = False
        if not polled:
            # What was asked for in the middle of an upgrade found no WebSocket yet: this may be its first turn.
            self._driver()
            return _FromWriter(self)
        if self.is_closed:
            return _NOOP
        messages: list[Message] = []
        while len(messages) < _MESSAGES_A_POLL and (found := self.next_messages()):
            messages += found
        if self.has_more():
            self.ask_for_turn()
        return "\x1e".join(_polled(binary, data) for binary, data in messages) or _NOOP

    def abort(self) -> None:
        """End the connection at once."""
        driver: WebSocket | None = getattr(self._engine, "driver", None)
        if driver is not None:
            driver.abort()

    def closed(self) -> None:
        """Let go of everything: the client is gone, its terminals live on."""
        for stream in self._streams:
            self._terminals.detach(stream.terminal.id, stream)
        self._streams = ()
        self._outbox.clear()


class _FromWriter(SourceHasMore):
    """The writing thread's turn."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection


class _Turn(Packet):  # type: ignore[misc]
    """A place in Engine.IO's queue: what it stands for is decided when its turn comes."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(MESSAGE, data="")
        self._connection = connection

    def encode(self, b64: bool = False) -> str | SourceHasMore:
        """Return what Engine.IO passes on: text to a polling client, an order to our WebSocket."""
        return self._connection.turn(polled=b64)


def event_message(event: str, payload: dict[str, Any]) -> Message:
    """Return a Socket.IO event as a message."""
    text = json.dumps([event, payload], ensure_ascii=False, separators=(",", ":"))
    # What a client sent and gets back may hold half a character.
    return False, b"2" + text.encode("utf-8", "replace")


def _split_text(data: bytes) -> tuple[bytes, bytes]:
    """Return the whole characters of `data`, what is no text replaced, and the unfinished one at its end."""
    if data.isascii():
        return data, b""
    try:
        count = codecs.utf_8_decode(data, "strict", False)[1]
        return data[:count], data[count:]
    except UnicodeDecodeError:
        text, count = codecs.utf_8_decode(data, "replace", False)
        return text.encode(), data[count:]


def _binary_output(place: str, data: bytes) -> list[Message]:
    return [
        (False, b'51-["terminal_output",{' + place.encode() + b',"data":{"_placeholder":true,"num":0}}]'),
        (True, data),
    ]


def _text_output(place: str, text: bytes) -> Message:
    """Return an event with this UTF-8 text.

    Its JSON is made of bytes throughout: through str, characters of several widths take four times as long.
    """
    for control, escaped in _ESCAPES:
        if control in text:
            text = text.replace(control, escaped)
    return False, b'2["terminal_output",{' + place.encode() + b',"data":"' + text + b'"}]'


def _polled(binary: bool, data: bytes) -> str:
    return "b" + b64encode(data).decode() if binary else "4" + data.decode()
