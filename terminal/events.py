"""Owns the socket events of the web terminal: what a client may ask for, what it is told.

    terminals = register(socketio)      SocketIO(app, async_mode="threading", async_handlers=False)
    terminals.describe()                one object for each terminal, the newest last
    terminals.stop(terminal_id)         raises NotFound
    terminals.stop_all(seconds=9.0)     ends all; waits until nothing is left
    terminals.disconnect(sid)           closes a client's connection at once, even one that does not read

Who may connect is decided elsewhere, before any event. The events of a plain client are start_terminal,
terminal_input, resize_terminal, stop_terminal; more is in the functions below. Whatever a client sends, it gets
terminal_error at worst.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from .. import db
from ..accounts import sessions as running_sessions
from ..claude import credentials_file, nesting
from ..launch import pins
from ..launch.plan import BoundElsewhere, Plan, plan
from ..messages import LANGUAGES, AccountsError, InvalidInput, NotFound, _, printable, use_language
from ..system.folders import expanded_or_same
from .connection import Connection, EngineDriver, Stream
from .images import Images
from .login import Login, begin_login
from .process import INHERITED, Terminal, terminal_environment
from .replay import PIECE
from .terminals import Terminals

_LONGEST_TEXT = 4096
_MOST_ARGUMENTS = 256
_NOTIFY = ["--settings", '{"preferredNotifChannel":"ghostty"}']
_TELL_LIST_SECONDS = 0.3
_LOOK_SECONDS = 1.0


def register(
    socketio: Any,
    *,
    plan: Callable[..., Any] = plan,
    terminals: Terminals | None = None,
    environ: Mapping[str, str] | None = None,
    allow: Callable[[str, str], None] | None = None,
) -> TerminalEvents:
    """Let the clients of a Flask-SocketIO server open terminals; to be called once it has its application.

    `allow` is told the client and the event before anything is done, and raises AccountsError where that may not be.
    """
    environ = os.environ if environ is None else environ
    return TerminalEvents(socketio.server, plan, terminals or Terminals(), environ, allow)


class TerminalEvents:
    """The terminals of one server, and the connections that watch them."""

    def __init__(
        self,
        server: Any,
        plan: Callable[..., Any],
        terminals: Terminals,
        environ: Mapping[str, str],
        allow: Callable[[str, str], None] | None = None,
    ) -> None:
        self._server = server
        self._allow = allow
        self._plan = plan
        self._environ = environ
        self.terminals = terminals
        self._lock = threading.Lock()
        self._connections: dict[str, Connection] = {}
        self._about: dict[str, dict[str, Any]] = {}
        self._logins: dict[str, Login] = {}
        self._images = Images()
        self._list_changed = threading.Event()
        self._thread: threading.Thread | None = None
        terminals.on_change = self._list_changed.set
        # There is no public way to give Engine.IO another driver.
        server.eio._async = {**server.eio._async, "websocket": EngineDriver}
        for event in (
            self.start_terminal,
            self.attach_terminal,
            self.detach_terminal,
            self.terminal_input,
            self.terminal_ack,
            self.resize_terminal,
            self.stop_terminal,
            self.start_login,
        ):
            server.on(event.__name__, handler=self._guarded(event))

    # For the server

    def describe(self) -> list[dict[str, Any]]:
        """Return what there is to know about each terminal, the newest last."""
        return [self._describe(terminal, viewers=viewers) for terminal, viewers in self.terminals.overview()]

    def stop(self, terminal_id: str) -> None:
        """End a terminal. Raises NotFound."""
        self.terminals.stop(terminal_id)

    def keep_image(self, terminal_id: str, data: bytes) -> str:
        """Store a picture that the program in a terminal shall read, and return its path.

        Raises NotFound for a terminal that has ended, InvalidInput for what is no picture.
        """
        if self.terminals.get(terminal_id).ended:
            raise NotFound(_("there is no such terminal (any more)"))
        return self._images.keep(terminal_id, data)

    def stop_all(self, seconds: float = 9.0) -> bool:
        """End all terminals, wait up to `seconds`, and tell whether nothing is left."""
        deadline = time.monotonic() + seconds
        nothing_left = self.terminals.stop_all(seconds)
        with self._lock:
            logins = list(self._logins.values())
        for login in logins:
            nothing_left &= login.wait(max(0.0, deadline - time.monotonic()))
        self._images.close()
        return nothing_left

    def disconnect(self, sid: str) -> None:
        """Close a client's connection at once."""
        connection = self._connections.get(sid)
        if connection is not None:
            connection.abort()
        self._server.disconnect(sid)

    # The events

    def start_terminal(self, connection: Connection, payload: dict[str, Any]) -> None:
        """Start claude for an account.

        {account_id, rows, cols, look, cwd, args, force, anywhere, notify, ack, binary, request}
        """
        account_id = _text(payload, "account_id", required=True)
        arguments = _arguments(payload)
        cwd = _folder(payload)
        rows, cols = _size(payload)
        chosen = db.choose(cwd, account_id=account_id)
        if chosen is None:
            raise NotFound(_("there is no account with the id {id}", id=repr(account_id[:60])))
        if payload.get("notify") is True and not any(text.startswith("--settings") for text in arguments):
            arguments = [*_NOTIFY, *arguments]
        wishes = {name: payload.get(name) is True for name in ("force", "anywhere")}

        self._take_look(payload)
        plans: list[Plan] = []

        def make() -> Terminal:
            # Whoever started the server, a session of Claude Code perhaps, is no concern of what runs in here.
            environ = nesting.without(self._environ)
            plans.append(self._plan(chosen, arguments, cwd=cwd, environ=environ, **wishes))
            return _start_pinned(plans[0], cwd, rows, cols)

        terminal = self.terminals.start(make)
        self._about[terminal.id] = {"account_id": account_id, "account": chosen.stored.name, "login": False}
        self._begin(connection, terminal, payload, plans[0].launch.notices)

    def start_login(self, connection: Connection, payload: dict[str, Any]) -> None:
        """Sign in for an account, in private.

        {account_id, rows, cols, look, cwd, force, durable, ack, binary, request}
        """
        account_id = _text(payload, "account_id", required=True)
        cwd = _folder(payload)
        rows, cols = _size(payload)
        account = db.get_account(account_id)
        self._take_look(payload)
        wishes = {name: payload.get(name) is True for name in ("force", "durable")}
        login = begin_login(self.terminals, account, cwd=cwd, environ=self._environ, rows=rows, cols=cols, **wishes)
        terminal = login.terminal
        with self._lock:
            self._logins[terminal.id] = login
        self._about[terminal.id] = {"account_id": account_id, "account": account.name, "login": True}
        self._begin(connection, terminal, payload, [])
        login.follow(lambda event, told: self._tell_viewers(terminal.id, event, told))

    def attach_terminal(self, connection: Connection, payload: dict[str, Any]) -> None:
        """Watch a terminal from an offset on.

        {terminal_id, from, rows, cols, look, focus, serial, ack, binary, request}
        """
        terminal = self.terminals.get(_text(payload, "terminal_id", required=True))
        self._take_look(payload)
        start = payload.get("from")
        if start is not None and (isinstance(start, bool) or not isinstance(start, int)):
            raise InvalidInput(_("{field} must be a number", field="from"), field="from")
        end, oldest = terminal.end, terminal.replay.start
        wanted = 0 if start is None else max(0, min(start, end))
        position, state = wanted, b""
        if wanted < oldest:
            position, state = terminal.late_start(oldest + PIECE)
        focus = payload.get("focus") is not False
        size = _size(payload) if "rows" in payload and "cols" in payload else None
        if size and focus:
            self.terminals.resize(terminal.id, *size)
        stream = self._stream(connection, terminal, position, payload, state)
        stream.size = size
        told = self._describe(terminal) | {"offset": position, "end": max(end, position), "gap": position - wanted}
        connection.post("terminal_attached", told | _request(payload))
        connection.watch(stream, focus=focus)
        if serial := _serial(payload):
            stream.tell_size(serial)
        if state:
            self.terminals.repaint(terminal.id)

    def detach_terminal(self, connection: Connection, payload: dict[str, Any]) -> None:
        """Watch a terminal no longer; it lives on: {terminal_id}."""
        connection.unwatch(self._watched_id(connection, payload))

    def terminal_input(self, connection: Connection, payload: dict[str, Any]) -> None:
        """Type something: {data, terminal_id}."""
        data = payload.get("data")
        if isinstance(data, str):
            # Half a character is nothing a program could read.
            data = data.encode("utf-8", "replace")
        if not isinstance(data, bytes):
            raise InvalidInput(_("{field} must be text", field="data"), field="data")
        terminal_id = self._watched_id(connection, payload)
        self.terminals.write(terminal_id, data, connection.stream(terminal_id))

    def terminal_ack(self, connection: Connection, payload: dict[str, Any]) -> None:
        """Tell how far the client has shown the output: {terminal_id, offset}."""
        offset = payload.get("offset")
        if isinstance(offset, bool) or not isinstance(offset, int):
            raise InvalidInput(_("{field} must be a number", field="offset"), field="offset")
        stream = connection.stream(self._watched_id(connection, payload))
        if stream is not None:
            stream.acknowledge(offset)
            connection.pump()
            self.terminals.progressed(stream.terminal.id)

    def resize_terminal(self, connection: Connection, payload: dict[str, Any]) -> None:
        """Change a terminal's size: {rows, cols, look, focus, serial, terminal_id}.

        With `focus` false the size is only noted, for when no other window decides.
        """
        terminal_id = self._watched_id(connection, payload)
        for field in ("rows", "cols"):
            if payload.get(field) is None:
                raise InvalidInput(_("{field} must be a number", field=field), field=field)
        rows, cols = _size(payload)
        self._take_look(payload)
        stream = connection.stream(terminal_id)
        if stream is None:
            return self.terminals.resize(terminal_id, rows, cols)
        self.terminals.set_size(terminal_id, stream, rows, cols, focus=payload.get("focus") is not False)
        if serial := _serial(payload):
            stream.tell_size(serial)

    def stop_terminal(self, connection: Connection, payload: dict[str, Any]) -> None:
        """End a terminal with everything it started: {terminal_id}."""
        terminal_id = self._watched_id(connection, payload)
        login = self._logins.get(terminal_id)
        if login is not None:
            login.cancel()
        self.terminals.stop(terminal_id)

    # What they share

    def _guarded(self, event: Callable[[Connection, dict[str, Any]], None]) -> Callable[..., None]:
        """Return a handler that takes anything and answers what it cannot do with terminal_error."""

        def handle(sid: str, *arguments: object) -> None:
            connection = self._connection(sid)
            if connection is None:
                return
            payload = arguments[0] if arguments and arguments[0] is not None else {}
            try:
                if not isinstance(payload, dict):
                    raise InvalidInput(_("an event needs an object"))
                _choose_language(connection, payload)
                if self._allow is not None:
                    self._allow(sid, event.__name__)
                event(connection, payload)
            except AccountsError as error:
                connection.post("terminal_error", describe_error(error, payload if isinstance(payload, dict) else {}))

        return handle

    def _take_look(self, payload: dict[str, Any]) -> None:
        """Note the colours of the window that has the focus, to answer programs that ask: {look: {foreground, …}}."""
        if payload.get("focus") is not False or not self.terminals.look.is_known:
            self.terminals.take_look(payload.get("look"))

    def _connection(self, sid: str) -> Connection | None:
        """Return a client's connection, None when it was closed in this moment."""
        with self._lock:
            connection = self._connections.get(sid)
            if connection is None:
                engine_id = self._server.manager.eio_sid_from_sid(sid, "/")
                engine_socket = self._server.eio.sockets.get(engine_id)
                if engine_socket is None:
                    return None
                connection = Connection(engine_socket, self.terminals)
                self._connections[sid] = connection
                if self._thread is None:
                    self._thread = threading.Thread(target=self._look_after, name="terminal-events", daemon=True)
                    self._thread.start()
            return connection

    def _begin(self, connection: Connection, terminal: Terminal, payload: dict[str, Any], notices: list[str]) -> None:
        stream = self._stream(connection, terminal, 0, payload)
        if "rows" in payload and "cols" in payload:
            stream.size = terminal.rows, terminal.cols
        told = self._describe(terminal) | {"offset": 0, "notices": notices}
        connection.post("terminal_started", told | _request(payload))
        connection.watch(stream)

    def _stream(
        self, connection: Connection, terminal: Terminal, position: int, payload: dict[str, Any], state: bytes = b""
    ) -> Stream:
        """Make a stream before the terminal is described to the client: what changes in between is told as new."""
        ack = payload.get("ack") is True
        return Stream(
            connection,
            terminal,
            position,
            state=state,
            ack=ack,
            binary=ack or payload.get("binary") is True,
            repaint=lambda: self.terminals.repaint(terminal.id),
        )

    def _watched_id(self, connection: Connection, payload: dict[str, Any]) -> str:
        """Return the terminal an event is about: the named one, else the client's latest. Raises NotFound."""
        terminal_id = payload.get("terminal_id", connection.current)
        if not isinstance(terminal_id, str) or not terminal_id:
            raise NotFound(_("there is no such terminal (any more)"))
        return terminal_id

    def _describe(self, terminal: Terminal, viewers: int | None = None) -> dict[str, Any]:
        attention = terminal.attention
        login = self._logins.get(terminal.id)
        about = self._about.get(terminal.id, {"account_id": "", "account": "", "login": False})
        described = {
            "terminal_id": terminal.id,
            **about,
            "cwd": terminal.cwd,
            "title": terminal.title,
            "since": terminal.since,
            "rows": terminal.rows,
            "cols": terminal.cols,
            "attention": attention._asdict() if attention else None,
            "ended": terminal.ended,
            "exit_code": terminal.exit_code,
            "end": terminal.end,
        }
        if login is not None and login.url:
            described["login_url"] = login.url
        if viewers is not None:
            described["viewers"] = viewers
        return described

    def _tell_viewers(self, terminal_id: str, event: str, payload: dict[str, Any]) -> None:
        with self._lock:
            connections = list(self._connections.values())
        for connection in connections:
            if connection.stream(terminal_id) is not None:
                connection.post(event, payload)

    def _look_after(self) -> None:
        """Let go of clients that are gone, and tell the others when the list of terminals has changed."""
        while True:
            if self._list_changed.wait(_LOOK_SECONDS):
                self._list_changed.clear()
                self._server.emit("terminals_changed", {})
                # What held the account of one that has ended is needed by nobody any more.
                pins.sweep(credentials_file.config_folder(self._environ))
                time.sleep(_TELL_LIST_SECONDS)
            with self._lock:
                gone = {sid: connection for sid, connection in self._connections.items() if connection.is_closed}
                for sid in gone:
                    del self._connections[sid]
                everything = [terminal for terminal, _viewers in self.terminals.overview()]
                known = {terminal.id for terminal in everything}
                self._about = {key: about for key, about in self._about.items() if key in known}
                self._logins = {key: login for key, login in self._logins.items() if key in known}
            self._images.forget_all_but({terminal.id for terminal in everything if not terminal.ended})
            for connection in gone.values():
                # Its writing thread may be waiting for a client that does not read.
                connection.abort()
                connection.closed()


def _start_pinned(planned: Plan, cwd: str, rows: int, cols: int) -> Terminal:
    """Start what was planned with its pin, and note the session."""
    launch, stored = planned
    config_folder = credentials_file.config_folder(launch.env)
    pins.sweep(config_folder)
    pin = pins.place(launch)
    try:
        argv = pin.argv(launch, INHERITED)
        env = terminal_environment(launch.env)
        terminal = Terminal(argv, env, cwd, program=launch.program, inherited=pin.descriptor, rows=rows, cols=cols)
    except BaseException:
        pin.remove()
        raise
    pin.close()
    origin = running_sessions.BACKGROUND if launch.pin_outlives else running_sessions.WEB
    running_sessions.record(stored, terminal.pid, cwd, origin, pin=pin.path, config_folder=config_folder)
    return terminal


def describe_error(error: AccountsError, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a client is told of a failure: the sentence, a remedy, a word for programs."""
    # CamelCase to snake_case: MaxTerminals is max_terminals.
    name = type(error).__name__
    code = "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
    told: dict[str, Any] = {"error": error.message, "code": code}
    if error.hint:
        told["hint"] = error.hint
    if isinstance(error, InvalidInput) and error.field:
        told["field"] = error.field
    if isinstance(error, BoundElsewhere):
        told["bound"] = error.bound
    if isinstance(payload.get("terminal_id"), str):
        told["terminal_id"] = payload["terminal_id"][:64]
    return told | _request(payload)


def _choose_language(connection: Connection, payload: Mapping[str, Any]) -> None:
    """Speak the language a client asks for with any event; before, that of its first request is spoken."""
    chosen = payload.get("language")
    if isinstance(chosen, str) and chosen in LANGUAGES:
        connection.language = chosen
    if connection.language:
        use_language(connection.language)


def _request(payload: Mapping[str, Any]) -> dict[str, str]:
    request = payload.get("request")
    return {"request": request[:64]} if isinstance(request, str) else {}


def _text(payload: Mapping[str, Any], field: str, *, required: bool = False) -> str:
    value = payload.get(field)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or (required and not value):
        raise InvalidInput(_("{field} must be text", field=field), field=field)
    _refuse_unusable(value, field)
    return value


def _refuse_unusable(value: str, field: str) -> None:
    """Raise for text that cannot be passed to a program: a null character, half a surrogate pair."""
    if "\0" in value or not _is_encodable(value):
        raise InvalidInput(_("{field} must be text", field=field), field=field)


def _is_encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _arguments(payload: Mapping[str, Any]) -> list[str]:
    arguments = payload.get("args")
    if arguments is None:
        return []
    if not isinstance(arguments, list) or len(arguments) > _MOST_ARGUMENTS:
        raise InvalidInput(_("{field} must be a list of texts", field="args"), field="args")
    for argument in arguments:
        if not isinstance(argument, str) or len(argument) > 128 * 1024 - 1:
            raise InvalidInput(_("{field} must be a list of texts", field="args"), field="args")
        _refuse_unusable(argument, "args")
    return list(arguments)


def _size(payload: Mapping[str, Any]) -> tuple[int, int]:
    return _number(payload, "rows", 24), _number(payload, "cols", 80)


def _number(payload: Mapping[str, Any], field: str, default: int) -> int:
    value = payload.get(field, default)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidInput(_("{field} must be a number", field=field), field=field)
    return int(value)


def _serial(payload: Mapping[str, Any]) -> int:
    """Return the number that a client gives its word about a size, 0 for none."""
    serial = payload.get("serial")
    return serial if isinstance(serial, int) and not isinstance(serial, bool) and 0 < serial < 2**53 else 0


def _folder(payload: Mapping[str, Any]) -> str:
    """Return the folder to start in: the given one, else the home folder, else the root."""
    given = _text(payload, "cwd")
    home = expanded_or_same("~", os.environ)
    if not given:
        return home if os.path.isdir(home) and os.access(home, os.R_OK | os.X_OK) else "/"
    path = os.path.normpath(os.path.join(home, expanded_or_same(given, os.environ)))
    if not os.path.isdir(path):
        raise InvalidInput(_("{path} is not a folder", path=printable(path)), field="cwd")
    if not os.access(path, os.R_OK | os.X_OK):
        raise InvalidInput(_("cannot read {path}", path=printable(path)), field="cwd")
    return path
