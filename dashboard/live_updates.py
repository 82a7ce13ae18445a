"""Owns which sockets are open and for whom: closes them at sign-out, tells them that the accounts have changed.

While there are any, what sessions renew of their logins is taken over too. It knows no account and no terminal; who may
open a socket is decided by sign_in.py.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from flask_socketio import SocketIO

from .. import db
from ..accounts import durable_store, sessions as running_sessions
from ..messages import StorageFailed, StoreBusy, _, warn
from . import callers, sign_in
from .origin import SOCKET_PATH

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_LOOK_EVERY_SECONDS = 0.8
# So many looks are one look at the running sessions, which costs one at each process.
_SESSIONS_EVERY = 3
_STRANGER_SECONDS = 10
_MOST_STRANGERS = 16
_LINGER_SECONDS = 10


class LiveUpdates:
    """The open sockets of one application; a thread looks for changes for as long as there are any."""

    def __init__(self, socketio: SocketIO) -> None:
        self._socketio = socketio
        self._server: Any = vars(socketio)["server"]
        self._lock = threading.Lock()
        self._owners: dict[str, tuple[str, str]] = {}
        self._strangers: dict[str, float] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._looks = 0
        self._sessions: list[tuple[int, int]] = []
        self._stores = ""
        self._taking_over: threading.Thread | None = None
        self._told: set[str] = set()

    def opened(self, sid: str, owner: str) -> None:
        """Note a signed-in socket: `owner` is the hash of its session, or "" for the API token."""
        engine_id = self._server.manager.eio_sid_from_sid(sid, "/")
        with self._lock:
            self._owners[sid] = (owner, engine_id)
        self._watch()

    def close_of(self, owners: Iterable[str]) -> None:
        """Disconnect every socket of these owners; what they send from now on reaches nobody."""
        ended = set(owners)
        with self._lock:
            sids = [sid for sid, (owner, _engine_id) in self._owners.items() if owner in ended]
        for sid in sids:
            self._server.disconnect(sid)

    def accounts_changed(self) -> None:
        """Look for changes now rather than within a second."""
        self._wake.set()

    def door(self, application: WSGIApplication) -> WSGIApplication:
        """Return the application behind a door: who shows neither session nor token must prove himself soon.

        A socket client that sends its token only after connecting is let in for ten seconds, and few at a time.
        """

        def enter(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            opens = environ.get("PATH_INFO", "").startswith(SOCKET_PATH) and "sid" not in parse_qs(
                environ.get("QUERY_STRING", "")
            )
            if opens and not self._is_known(environ) and not self._may_wait():
                answer = json.dumps({"error": _("you are not signed in"), "hint": ""}).encode()
                length = ("Content-Length", str(len(answer)))
                start_response("401 Unauthorized", [("Content-Type", "application/json"), length])
                return [answer]
            return application(environ, start_response)

        return enter

    def _is_known(self, environ: WSGIEnvironment) -> bool:
        if sign_in.is_api_token(environ.get("HTTP_X_AUTH_TOKEN", "")):
            return True
        # A WebSocket's handshake cannot carry the page secret; CONNECT does.
        return sign_in.has_session(callers.cookie_value(environ))

    def _may_wait(self) -> bool:
        if not sign_in.is_setup_done() or len(self._find_strangers()) >= _MOST_STRANGERS:
            return False
        self._watch()
        return True

    def _find_strangers(self) -> set[str]:
        with self._lock:
            known = {engine_id for _owner, engine_id in self._owners.values()}
        return set(self._server.eio.sockets) - known

    def _watch(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="live-updates", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        mark = ""
        quiet_until = time.monotonic() + _LINGER_SECONDS
        while True:
            try:
                mark = self._tell_changes(mark)
                self._take_over_renewed()
            except StorageFailed as error:
                warn(error.message)
                self._wake.wait(30)
            self._wake.wait(_LOOK_EVERY_SECONDS)
            self._wake.clear()
            self._close_strangers()
            self._forget_closed()
            with self._lock:
                if self._owners or self._strangers:
                    quiet_until = time.monotonic() + _LINGER_SECONDS
                elif time.monotonic() > quiet_until:
                    self._thread = None
                    return

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
        live = {session.id_hash for session in sign_in.list_sessions()} | {""}
        with self._lock:
            owners = {owner for owner, _engine_id in self._owners.values()}
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
        behind: list[db.Behind] = []
        try:
            behind = db.bring_all_in_step()
            told = {each.told() for each in behind}
        except StorageFailed as error:
            told = {error.message}
        for text in sorted(told - self._told):
            warn(text)
        self._told = told
        if any(isinstance(each.error, StoreBusy) for each in behind):
            # A session holds its store while it renews the login, and writes before it lets go.
            self._stores = ""

    def _forget_closed(self) -> None:
        # The event of a closing socket belongs to the terminals, and there is room for one handler only.
        is_connected = self._server.manager.is_connected
        with self._lock:
            self._owners = {sid: owner for sid, owner in self._owners.items() if is_connected(sid, "/")}

    def _close_strangers(self) -> None:
        """Close connections that have not proved who they are in time."""
        now = time.monotonic()
        present = self._find_strangers()
        self._strangers = {engine_id: self._strangers.get(engine_id, now) for engine_id in present}
        for engine_id, since in list(self._strangers.items()):
            if now - since > _STRANGER_SECONDS:
                connection = self._server.eio.sockets.get(engine_id)
                if connection is not None:
                    # Waiting for a client that does not read would hold up everybody else's news.
                    connection.close(wait=False)
