"""Owns gunicorn's worker with a door: no stranger holds a thread, a descriptor or a log for longer than he is given.

One thread accepts, and reads what door.py makes of each connection; a request that is whole goes to a thread of its
room: whoever is signed in has his own, so have half-known browsers, sockets, and strangers, who share a few for each
place. What is counted here is changed by that one thread alone. It knows no route, and asks the application who seems
to be signed in.
"""

from __future__ import annotations

import errno
import resource
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import TYPE_CHECKING, Any, NamedTuple

from gunicorn.http import RequestParser  # type: ignore[import-untyped]
from gunicorn.http.errors import NoMoreData, ParseException  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]
from werkzeug.exceptions import BadRequest

from ..messages import AccountsError
from .api import BODY_READ
from .attempts import place_of
from .bounded_log import Bounded
from .door import CLOSED, IDLE, KNOWN, LINGERING, RUNNING, STRANGER, VISIT, WAITING, Refused, Visit
from .origin import SOCKET_PATH, client_address

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask

_HEAD_SECONDS = 5.0
_WAIT_SECONDS = 10.0
_IDLE_SECONDS = 5.0
_LINGER_SECONDS = 2.0
_BODY_SECONDS = 60.0
# For all of an answer, by who asks; each call alone has less.
_WRITE_SECONDS = (20.0, 60.0, 300.0)
_CALL_SECONDS = 20.0
_TICK_SECONDS = 0.25
_ACCEPTED_AT_ONCE = 64
# Nobody is given up younger than this: who asks does so in the moment he comes, if not in the same instant.
_YOUNG_SECONDS = 0.05
_YOUNG_TLS_SECONDS = 0.05
_KNOWN_THREADS = 200
_LARGEST_DRAIN = 64 * 1024
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_MINUTE = 60.0


class Limits(NamedTuple):
    """How many connections wait without a thread, and how many threads each room has."""

    parked: int
    signed_in: int
    half_known: int
    sockets: int
    strangers: int

    @classmethod
    def of(cls, descriptors: int) -> Limits:
        """Return the limits under which a process with so many descriptors keeps enough for its owner's work."""
        spare = max(0, descriptors - 40)
        few = max(2, min(32, spare // 12))
        return cls(max(12, min(100, spare // 4)), _KNOWN_THREADS, few, max(4, min(36, spare // 8)), few)


class Worker(ThreadWorker):  # type: ignore[misc]
    """A threaded worker whose connections come through the door; `app` tells `recognise`, `tls` and `behind_proxy`."""

    def init_process(self) -> None:
        self.limits = Limits.of(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self._outside: dict[Visit, None] = {}
        self._waiting: dict[str, deque[Visit]] = {room: deque() for room in Limits._fields[1:]}
        self._running: dict[str, dict[Visit, None]] = {room: {} for room in Limits._fields[1:]}
        self._listening = False
        self._listen_again = 0.0
        self._young = _YOUNG_TLS_SECONDS if self.app.tls else _YOUNG_SECONDS
        self._unheard = 0
        self._told = 0.0
        self._calls: deque[Callable[[], None]] = deque()
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)
        self.log.error_log.addFilter(Bounded(20))
        super().init_process()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Return the threads of all rooms together; each room counts its own."""
        return ThreadPoolExecutor(sum(self.limits[1:]), thread_name_prefix="request")

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.alive = False
        self._ring()

    def handle_quit(self, sig: int, frame: Any) -> None:
        # Ctrl-C reaches this process twice, from the terminal and from the master: no exception out of nowhere.
        self.handle_exit(sig, frame)

    # The one thread at the door

    def run(self) -> None:
        """Serve until a signal ends it, then give the answers that are under way a moment."""
        self.poller.register(self._bell, EVENT_READ, self._answer_bell)
        while self.alive and self.is_parent_alive():
            self.notify()
            if not self._listening and time.monotonic() >= self._listen_again:
                self._listen(True)
            self._turn()
        self._listen(False)
        for listener in self.sockets:
            listener.close()
        for visit in list(self._outside):
            self._close(visit)
        until = time.monotonic() + float(self.cfg.graceful_timeout)
        while any(self._running.values()) and time.monotonic() < until:
            self._turn()
        self.tpool.shutdown(wait=False)

    def _turn(self) -> None:
        for key, _event in self.poller.select(_TICK_SECONDS if self._listening else self._young):
            key.data()
        now = time.monotonic()
        for visit in [visit for visit in self._outside if visit.deadline < now]:
            self._unheard += visit.standing == STRANGER and visit.state < WAITING
            self._close(visit)
        for running in self._running.values():
            for visit in [visit for visit in running if 0 < visit.deadline < now]:
                visit.deadline = 0
                visit.cut()
        if self._unheard and now - self._told > _MINUTE:
            self.log.warning("%d connections of strangers were closed unheard", self._unheard)
            self._unheard, self._told = 0, now

    def _listen(self, on: bool) -> None:
        if on != self._listening:
            self._listening = on
            for listener in self.sockets:
                if on:
                    listener.setblocking(False)
                    self.poller.register(listener, EVENT_READ, partial(self._accept, listener))
                else:
                    self.poller.unregister(listener)

    def _accept(self, listener: Any) -> None:
        for _one in range(_ACCEPTED_AT_ONCE):
            if len(self._outside) >= self.limits.parked and not self._give_one_up(self._young):
                self._pause()
                return
            try:
                sock, client = listener.accept()
            except OSError as error:
                if error.errno in _FULL and not self._give_one_up():
                    self._pause()
                if error.errno not in (*_FULL, errno.ECONNABORTED, errno.EINTR) or not self._listening:
                    return
                continue
            try:
                visit = Visit(sock, client, listener.getsockname(), self.app.tls)
            except OSError:
                # Gone before it was looked at.
                sock.close()
                continue
            visit.on_proof = partial(self._call, partial(self._move_in, visit))
            visit.place = place_of(str(client[0]))
            visit.deadline = visit.since + _HEAD_SECONDS
            self._outside[visit] = None
            self._hear(visit)

    def _pause(self) -> None:
        """Leave whoever comes in the system's own queue for a moment: what he says will be there when he is heard."""
        self._listen(False)
        self._listen_again = time.monotonic() + self._young

    def _give_one_up(self, least_age: float = 0.0) -> bool:
        """Close the one connection that is missed least: the oldest of those that said least; False for none."""
        until = time.monotonic() - least_age
        of_age = [visit for visit in self._outside if visit.state == LINGERING or visit.since <= until]
        candidates = [visit for visit in of_age if visit.standing != KNOWN] or of_age
        if not candidates:
            return False
        crowd = Counter(visit.place for visit in self._outside) if not self.app.behind_proxy else Counter()
        share = max(2, self.limits.parked // 2)
        crowded = [visit for visit in candidates if crowd[visit.place] > share]
        chosen = min(crowded or candidates, key=lambda visit: (visit.state != LINGERING, visit.state, visit.since))
        self._unheard += chosen.standing == STRANGER and chosen.state < WAITING
        self._close(chosen)
        return True

    def _hear(self, visit: Visit) -> None:
        """Take what a connection has sent, and hand its request on or wait for more."""
        was_idle = visit.state == IDLE
        try:
            wanted = visit.advance(self._recognise)
        except Refused as refused:
            visit.refuse(refused.status)
            self._linger(visit)
            return
        except OSError:
            self._close(visit)
            return
        if wanted:
            if was_idle and visit.state != IDLE:
                visit.deadline = time.monotonic() + _HEAD_SECONDS
            self._watch(visit, wanted)
        else:
            self._let_in(visit)

    def _recognise(self, environ: dict[str, str]) -> int:
        try:
            return int(self.app.recognise(environ))
        except AccountsError:
            return STRANGER

    def _watch(self, visit: Visit, event: int) -> None:
        data = partial(self._hear, visit)
        if visit.watched == 0:
            self.poller.register(visit.sock, event, data)
        elif visit.watched != event:
            self.poller.modify(visit.sock, event, data)
        visit.watched = event

    def _unwatch(self, visit: Visit) -> None:
        if visit.watched:
            visit.watched = 0
            self.poller.unregister(visit.sock)

    def _let_in(self, visit: Visit) -> None:
        """Find the room of a whole request, and a thread there, now or when one is free."""
        self._unwatch(visit)
        visit.place = place_of(client_address(visit.environ, behind_proxy=self.app.behind_proxy))
        visit.state = WAITING
        visit.deadline = time.monotonic() + (_WAIT_SECONDS if visit.standing != KNOWN else _BODY_SECONDS)
        if visit.standing == KNOWN:
            visit.room = "signed_in"
        elif visit.standing != STRANGER:
            visit.room = "half_known"
        else:
            visit.room = "sockets" if visit.environ["PATH_INFO"].startswith(SOCKET_PATH) else "strangers"
        self._waiting[visit.room].append(visit)
        self._fill(visit.room)

    def _fill(self, room: str) -> None:
        waiting, running = self._waiting[room], self._running[room]
        for visit in list(waiting):
            if len(running) >= getattr(self.limits, room):
                return
            if room == "strangers" and self._is_crowded(visit.place):
                continue
            waiting.remove(visit)
            del self._outside[visit]
            visit.state = RUNNING
            visit.deadline = time.monotonic() + _BODY_SECONDS
            running[visit] = None
            try:
                self.tpool.submit(self._serve, visit)
            except RuntimeError:
                # No thread can be started: the next one finds one of those that there are.
                self._finish(visit, None)

    def _is_crowded(self, place: str) -> bool:
        share = max(1, min(8, self.limits.strangers // 2))
        return sum(visit.place == place for visit in self._running["strangers"]) >= share

    def _move_in(self, visit: Visit) -> None:
        """Count somebody who has proven himself among those who are signed in."""
        left = visit.room
        visit.standing = KNOWN
        if self._running[left].pop(visit, visit) is None:
            visit.room = "signed_in"
            self._running["signed_in"][visit] = None
            self._fill(left)

    def _finish(self, visit: Visit, rest: bytes | None) -> None:
        """Take a connection back from its thread; `rest` is what came after its request, None when it ends here."""
        room = visit.room
        self._running[room].pop(visit, None)
        self._outside[visit] = None
        if rest is None or not self.alive or (rest and visit.standing != KNOWN):
            # Strangers who ask for more without reading what they were given have had enough.
            self._linger(visit)
        else:
            visit.begin_again(rest)
            visit.deadline = time.monotonic() + _IDLE_SECONDS
            self._hear(visit)
        self._fill(room)

    def _linger(self, visit: Visit) -> None:
        """Close once the peer has read the answer: what it still sends would otherwise take the answer away."""
        self._unwatch(visit)
        try:
            visit.finish_sending()
        except OSError:
            self._close(visit)
            return
        visit.state = LINGERING
        visit.deadline = time.monotonic() + _LINGER_SECONDS
        visit.watched = EVENT_READ
        self.poller.register(visit.sock, EVENT_READ, partial(self._drain, visit))

    def _drain(self, visit: Visit) -> None:
        if visit.state == LINGERING and not visit.discard():
            self._close(visit)

    def _close(self, visit: Visit) -> None:
        self._outside.pop(visit, None)
        if visit.state == WAITING:
            self._waiting[visit.room].remove(visit)
        self._unwatch(visit)
        visit.state = CLOSED
        visit.sock.close()

    # Between threads

    def _call(self, function: Callable[[], None]) -> None:
        self._calls.append(function)
        self._ring()

    def _ring(self) -> None:
        try:
            self._button.send(b".")
        except OSError:
            # It rings already.
            return

    def _answer_bell(self) -> None:
        with suppress(BlockingIOError):
            self._bell.recv(4096)
        while self._calls:
            self._calls.popleft()()

    # In a thread of a room

    def _serve(self, visit: Visit) -> None:
        rest: bytes | None = None
        try:
            rest = self.handle(visit)
        finally:
            self._call(partial(self._finish, visit, rest))

    def handle(self, visit: Visit) -> bytes | None:
        """Answer one request; return what was received after it, None when the connection ends here."""
        request = None
        try:
            visit.sock.settimeout(_CALL_SECONDS)
            parser = RequestParser(self.cfg, visit.sock, visit.client)
            parser.unreader.unread(bytes(visit.received))
            visit.received.clear()
            request = next(parser)
            self.wsgi.local.visit = visit
            if request and self.handle_request(request, visit) and _drained(request.body):
                return bytes(parser.unreader.buf.getvalue())
        except (NoMoreData, StopIteration, OSError):
            # The peer is gone, or its time is up, or a socket was taken over and is done.
            return None
        except Exception as error:
            self.handle_error(request, visit.sock, visit.client, error)
        finally:
            visit.deadline = 0
        return None


class Timed:
    """The application as the worker calls it: knows what each part of a request may take."""

    def __init__(self, flask: Flask) -> None:
        self._flask = flask
        self.local = threading.local()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        visit: Visit = self.local.visit
        environ[VISIT] = visit

        def body_read() -> None:
            visit.deadline = 0

        if environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = _Body(environ["wsgi.input"])
            environ[BODY_READ] = body_read
        else:
            body_read()
        answer = self._flask(environ, start_response)
        visit.deadline = time.monotonic() + _WRITE_SECONDS[visit.standing]
        return answer


class _Body:
    """A request's body; what is malformed in it is the sender's mistake, not the server's."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._body.read(None if size < 0 else size))
        except (OSError, ParseException) as error:
            raise BadRequest from error

    def readline(self, size: int = -1) -> bytes:
        try:
            return bytes(self._body.readline(None if size < 0 else size))
        except (OSError, ParseException) as error:
            raise BadRequest from error

    def readlines(self, _hint: int = -1) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Any:
        return iter(self.readline, b"")


def _drained(body: Any) -> bool:
    """Read what the application left of a body; False when it is too much to be worth it."""
    read = 0
    while read < _LARGEST_DRAIN:
        data = body.read(8192)
        if not data:
            return True
        read += len(data)
    return False
