"""Owns which sockets are open and for whom: closes them at sign-out, tells them that the accounts have changed.

While there are any, what sessions renew of their logins is taken over too. It knows no account and no terminal; who may
open a socket is decided by socket_door.py.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from flask_socketio import SocketIO

from .. import db
from ..accounts import durable_store, sessions as running_sessions
from ..messages import AccountsError, StorageFailed, StoreBusy, _, warn
from . import scopes, sign_in, tokens
from .socket_door import SocketDoor

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_LOOK_EVERY_SECONDS = 0.8
# So many looks are one look at the running sessions, which costs one at each process.
_SESSIONS_EVERY = 3
_LINGER_SECONDS = 10


class _Open(NamedTuple):
    """A socket of somebody signed in: whose, its connection, what he may do, and until when (epoch ms, 0 for ever)."""

    owner: str
    engine_id: str
    scope: str
    ends: int

    def is_over(self) -> bool:
        """Tell whether what opened it has ended by its age."""
        return 0 < self.ends <= time.time() * 1000


class LiveUpdates:
    """The open sockets of one application; a thread looks for changes for as long as there are any."""

    def __init__(self, socketio: SocketIO, *, behind_proxy: bool = False) -> None:
        self._socketio = socketio
        self._server: Any = vars(socketio)["server"]
        self._door = SocketDoor(self._server, behind_proxy)
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._looks = 0
        self._sessions: list[tuple[int, int]] = []
        self._stores = ""
        self._taking_over: threading.Thread | None = None
        self._told: dict[str, set[str]] = {}
        self._failure = ""

    def opened(self, sid: str, owner: str, token: tokens.Token | None = None) -> None:
        """Note a signed-in socket: `owner` is the hash of its session, or the owner that its API token is."""
        engine_id = self._server.manager.eio_sid_from_sid(sid, "/")
        scope, ends = (token.scope, token.expires_at) if token is not None else (scopes.ADMIN, 0)
        with self._lock:
            self._open[sid] = _Open(owner, engine_id, scope, ends)
        self._door.proved(engine_id)
        self._watch()
        # The next look may be later than this one's end.
        self._wake.set()

    def require(self, sid: str, event: str) -> None:
        """Raise ScopeTooSmall for an event beyond the scope of what opened a socket, AccountsError after its end."""
        with self._lock:
            found = self._open.get(sid)
        if found is None or found.is_over():
            self.close_of([found.owner] if found is not None else [])
            raise AccountsError(_("you are not signed in"))
        scopes.require(found.scope, scopes.EVENTS.get(event, scopes.ADMIN))

    def close_of(self, owners: Iterable[str]) -> None:
        """Cut every socket of these owners at once: nothing more is sent to them, what they send reaches nobody."""
        ended = set(owners)
        with self._lock:
            found = [(sid, each.engine_id) for sid, each in self._open.items() if each.owner in ended]
        # All wires first: what tidies up behind them takes its time.
        for _sid, engine_id in found:
            self._door.cut(engine_id)
        self._door.cut_of(ended)
        for sid, _engine_id in found:
            self._server.disconnect(sid)

    def accounts_changed(self) -> None:
        """Look for changes now rather than within a second."""
        self._wake.set()

    def door(self, application: WSGIApplication) -> WSGIApplication:
        """Return the application behind the sockets' door."""
        return self._door.around(application, self._watch)

    def recognise(self, environ: WSGIEnvironment) -> int:
        """Return who seems to send a request, as door.py names it."""
        return self._door.recognise(environ)

    def _watch(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._look, name="live-updates", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        mark = ""
        quiet_until = time.monotonic() + _LINGER_SECONDS
        while True:
            self._close_ended()
            try:
                mark = self._tell_changes(mark)
                self._take_over_renewed()
                self._failure = ""
            except Exception as error:
                # Whatever it is: who is signed out must not go on listening because of it.
                self._tell_failure(error.message if isinstance(error, AccountsError) else repr(error))
            self._wake.wait(self._pause())
            self._wake.clear()
            waiting = self._door.close_late()
            self._forget_closed()
            with self._lock:
                if self._open or waiting:
                    quiet_until = time.monotonic() + _LINGER_SECONDS
                elif time.monotonic() > quiet_until:
                    self._thread = None
                    return

    def _close_ended(self) -> None:
        """Cut what has ended by its age: no database is needed for that."""
        with self._lock:
            ended = {each.owner for each in self._open.values() if each.is_over()}
        if ended:
            self.close_of(ended)

    def _tell_failure(self, message: str) -> None:
        if message != self._failure:
            self._failure = message
            warn(message)

    def _pause(self) -> float:
        """Return how long to wait for the next look: no longer than until the next token's end."""
        now = time.time()
        with self._lock:
            ends = [each.ends / 1000 - now for each in self._open.values() if each.ends]
        return max(0.0, min([_LOOK_EVERY_SECONDS, *ends]))

    def _tell_changes(self, last_mark: str) -> str:
        mark = db.change_mark()
        if last_mark and mark != last_mark:
            self._socketio.emit("accounts_changed")
        self._looks += 1
        if self._looks % _SESSIONS_EVERY == 0:
            sessions = [(session.pid, session.since) for session in running_sessions.listed()]
            if sessions != self._sessions:
                self._sessions = sessions
                self._socketio.emit("sessions_changed")
        # A session may have ended by its age, or on another server of the same home.
        live = {session.id_hash for session in sign_in.list_sessions()} | tokens.live_owners()
        with self._lock:
            owners = {each.owner for each in self._open.values()}
        self.close_of(owners - live)
        return mark

    def _take_over_renewed(self) -> None:
        """See to it that the database holds what sessions have made of their logins; waits for nobody."""
        stores = durable_store.marks()
        # The Keychain may ask its owner before it answers: no look of ours may cause that.
        if stores == self._stores or sys.platform == "darwin":
            return
        if self._taking_over is None or not self._taking_over.is_alive():
            self._stores = stores
            self._taking_over = threading.Thread(target=self._bring_in_step, name="durable-logins", daemon=True)
            self._taking_over.start()

    def _bring_in_step(self) -> None:
        try:
            behind = db.bring_all_in_step()
        except StorageFailed as error:
            self._tell("", error.message)
            return
        # A trouble is told once, until its account is well again, whatever else is wrong with it in between.
        names = {each.name for each in behind}
        self._told = {name: texts for name, texts in self._told.items() if name in names}
        for each in behind:
            self._tell(each.name, each.told())
        if any(isinstance(each.error, StoreBusy) for each in behind):
            # A session holds its store while it renews the login, and writes before it lets go.
            self._stores = ""

    def _tell(self, name: str, text: str) -> None:
        texts = self._told.setdefault(name, set())
        if text not in texts:
            texts.add(text)
            warn(text)

    def _forget_closed(self) -> None:
        # The event of a closing socket belongs to the terminals, and there is room for one handler only.
        manager = self._server.manager
        with self._lock:
            # One that is let in at this moment is not connected yet, to the library.
            coming = manager.pending_connect.get("/", ())
            self._open = {
                sid: each for sid, each in self._open.items() if sid in coming or manager.is_connected(sid, "/")
            }
