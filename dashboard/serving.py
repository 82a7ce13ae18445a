"""Owns how the dashboard is run for its user: address, port, gunicorn with one worker, browser, an end without orphans.

It knows no route and no application; whoever calls it says how the application is made.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import ssl
import sys
import threading
import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]

from ..claude import settings
from ..install.rc_files import CONTAINER_VARIABLE
from ..messages import AccountsError, InvalidInput, Misuse, StorageFailed, _, printable, say, warn
from ..system import limits, programs
from ..terminal import images, survivors
from . import addresses, browser_libs, factors, first_setup, self_signed, sign_in
from .api import Config, live_updates, stop_terminals
from .bounded_log import Bounded
from .worker import Timed, Worker

if TYPE_CHECKING:
    from flask import Flask

_ANSWER_SECONDS = 1
_IN_MEMORY = "/dev/shm"  # noqa: S108 - a nameless file
_END_SECONDS = 12
_LIBRARIES_SECONDS = 15
_HERE, _EVERYWHERE = ("127.0.0.1",), ("0.0.0.0", "::")  # noqa: S104 - what --remote asks for
# A free port of one family may be taken in the other.
_ATTEMPTS = 20
# What strangers may have written down of them.
_LINES_A_MINUTE = 30


class Options(NamedTuple):
    """What `serve` was asked for; port 0 is any free one."""

    port: int = 5111
    remote: bool = False
    browser: bool = True
    trusted_hosts: tuple[str, ...] = ()
    behind_proxy: bool = False
    certificate: str = ""
    key: str = ""
    self_signed: bool = False


def serve(options: Options, create_app: Callable[[Config], Flask]) -> None:
    """Serve what `create_app` makes until a signal ends it. Raises AccountsError when it cannot begin."""
    # Python's own way to a browser looks for programs too.
    os.environ.update(programs.handed_on(os.environ))
    _check_certificate(options)
    limits.keep_memory_private()
    limits.raise_descriptor_limit()
    listeners = _listen(options)
    port = listeners[0].getsockname()[1]
    fingerprint = ""
    if options.self_signed:
        pair = self_signed.ensure(_own_names(options))
        options = options._replace(certificate=pair.path, key=pair.path)
        fingerprint = pair.fingerprint
    scheme = "https" if options.certificate else "http"
    url = f"{scheme}://localhost:{port}/"
    # Reading it first lets a damaged store stop the program here, with one line, rather than every request later.
    code = link_code = ""
    if sign_in.is_setup_done():
        _remember_setup()
    else:
        first_setup.refuse_unwritable()
        code, link_code = sign_in.new_setup_code(), sign_in.new_setup_code()
    config = Config(
        remote=options.remote,
        trusted_hosts=options.trusted_hosts,
        behind_proxy=options.behind_proxy,
        setup_code_hash=sign_in.hash_setup_code(code) if code else "",
        link_code_hash=sign_in.hash_setup_code(link_code) if link_code else "",
    )
    images.sweep()
    opened = _setup_link(url, link_code) if link_code else url
    application = _Application(lambda: create_app(config), options, listeners, opened)
    say(_("Dashboard: {url}", url=url))
    if fingerprint:
        say(_("  its own certificate, SHA-256: {fingerprint}", fingerprint=fingerprint))
        say(_("  (a browser warns of it once: compare this before you go on)"))
    if os.environ.get(CONTAINER_VARIABLE):
        # From in here nobody can tell which address the port is published on.
        say(_("  in a container: the published port decides who can reach it, this machine alone by default"))
    elif options.remote:
        for address in addresses.own():
            say(_("  from other machines: {url}", url=f"{scheme}://{addresses.in_url(address)}:{port}/"))
        if not options.certificate:
            warn(_("plain HTTP: whoever is on the way can read along; put HTTPS in front, or use an SSH tunnel"))
    if options.remote and not factors.are_set():
        say(_("  no second factor is set: a passkey or an authenticator app keeps out whoever learns the password"))
    if code:
        say(_("  first visit: {link}", link=_setup_link(url, code)))
        say(_("  setup code, for a first visit from another machine: {code}", code=code))
    say(_("  Ctrl-C ends it"))
    application.run()


def _setup_link(url: str, code: str) -> str:
    """Return the link that brings the code along where it reaches neither a server nor a log: in the fragment."""
    return f"{url}#setup={code}"


def _remember_setup() -> None:
    try:
        sign_in.remember_setup()
    except StorageFailed as error:
        # What can only be read is served all the same.
        warn(error.message)


def _check_certificate(options: Options) -> None:
    if options.self_signed and (options.certificate or options.key):
        raise Misuse(
            _("--tls makes a certificate of its own; it does not go with --tls-cert and --tls-key"),
            "claude-accounts serve --tls",
        )
    if bool(options.certificate) != bool(options.key):
        raise Misuse(
            _("a certificate needs its key, and a key its certificate"),
            "claude-accounts serve --tls-cert FILE --tls-key FILE",
        )
    for path in (options.certificate, options.key):
        if path and not os.access(path, os.R_OK):
            raise InvalidInput(_("cannot read {path}", path=printable(path)))


def _tls_context(options: Options) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.certificate, options.key)
    except OSError as error:
        # Also what is no certificate, or not this key's: ssl.SSLError is one of these.
        paths = printable(f"{options.certificate}, {options.key}")
        raise InvalidInput(_("{path} is no certificate with its key (PEM)", path=paths)) from error
    return context


def _own_names(options: Options) -> list[str]:
    """Return what a browser may call this server: loopback, the declared names and, when asked for, its address."""
    names = ["localhost", "127.0.0.1", "::1", *(name.lower().strip("[]") for name in options.trusted_hosts)]
    return [*names, *addresses.lasting()] if options.remote else names


def _listen(options: Options) -> list[socket.socket]:
    """Return the sockets that listen, so that a taken port is told before anything else happens."""
    places = _EVERYWHERE if options.remote else _HERE
    try:
        for _attempt in range(_ATTEMPTS):
            listeners = addresses.listen(places, options.port)
            if listeners:
                return listeners
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AccountsError(
                _("port {port} is in use by another program", port=options.port),
                f"claude-accounts serve --port {options.port + 1 if options.port < 65535 else 5111}",
            ) from error
        reason = error.strerror or str(error)
        raise AccountsError(
            _("cannot listen on port {port}: {reason}", port=options.port, reason=reason),
            "claude-accounts serve --port 5111",
        ) from error
    except OverflowError as error:
        raise Misuse(_("a port is a number from 0 to 65535"), "claude-accounts serve --port 5111") from error


def _fetch_browser_libraries() -> None:
    """Install what the web terminal needs in the browser; without a network that fails, late, and the rest works."""
    try:
        browser_libs.ensure(say, lambda: settings.network_environment(os.environ))
    except AccountsError as error:
        warn(error.message)
        if error.hint:
            say(f"  {error.hint}")


class _Application(BaseApplication):  # type: ignore[misc]
    """Gunicorn's face of one server."""

    def __init__(
        self, create: Callable[[], Flask], options: Options, listeners: list[socket.socket], opened: str
    ) -> None:
        self._create = create
        self._options = options
        self._listeners = listeners
        self._opened = opened
        self._flask: Flask | None = None
        # Once, not at every connection: what a running server shows is what it has printed.
        self.tls = _tls_context(options) if options.certificate else None
        self.behind_proxy = options.behind_proxy
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            # Gunicorn takes the descriptors over and closes them.
            "bind": [f"fd://{listener.detach()}" for listener in self._listeners],
            "worker_class": Worker,
            "workers": 1,
            # How many there really are, worker.py says.
            "threads": 200,
            "worker_connections": 1000,
            "keepalive": 5,
            # The terminals live in the worker: nothing may put an end to it that only took long.
            "timeout": 0,
            "graceful_timeout": _END_SECONDS,
            "loglevel": "warning",
            "proc_name": "claude-accounts",
            # By this file, which is empty, the worker shows that it lives: not on a disk that may be full.
            "worker_tmp_dir": _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK | os.X_OK) else None,
            "control_socket_disable": True,
            "forwarded_allow_ips": "",
            "certfile": self._options.certificate or None,
            "keyfile": self._options.key or None,
            "post_fork": self._begin_worker,
            "post_worker_init": self._begin,
            "worker_exit": self._end_worker,
        }
        for name, value in settings.items():
            # Older versions know fewer of them.
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Timed:
        _log_to_stderr()
        self._flask = self._create()
        return Timed(self._flask)

    def recognise(self, environ: dict[str, str]) -> int:
        """Return who seems to send a request, as door.py names it."""
        return live_updates(self._flask).recognise(environ) if self._flask is not None else 0

    def run(self) -> None:
        _Master(self).run()

    def _begin_worker(self, _master: Arbiter, worker: Worker) -> None:
        # Before there is any thread here.
        survivors.watch()
        # How long a worker waits for answers that are under way; its master waits longer before it kills.
        worker.cfg.set("graceful_timeout", _ANSWER_SECONDS)

    def _begin(self, worker: Worker) -> None:
        if worker.age > 1:
            return
        libraries = threading.Thread(target=_fetch_browser_libraries, name="browser-libraries", daemon=True)
        libraries.start()
        if self._options.browser and _has_display():
            threading.Thread(target=_open_browser, args=(self._opened, libraries), daemon=True).start()

    def _end_worker(self, _master: Arbiter, _worker: Worker) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        try:
            if self._flask is not None:
                stop_terminals(self._flask)
        finally:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            # An ordinary exit would wait for the threads of sockets, which end when their browser wants.
            os._exit(0)


class _Master(Arbiter):  # type: ignore[misc]
    """Gunicorn's master process, with one worker for ever: the terminals and sockets are in its memory."""

    def handle_hup(self) -> None:
        """End with the terminal that the server was started on."""
        raise StopIteration

    def handle_nothing(self) -> None:
        """Ignore what would add workers or replace them."""

    handle_ttin = handle_ttou = handle_usr1 = handle_usr2 = handle_winch = handle_nothing

    def init_signals(self) -> None:
        ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        super().init_signals()
        if ignored:
            # Started with nohup.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _open_browser(url: str, libraries: threading.Thread) -> None:
    """Open the browser, once all that the page can use is there, if that does not take long.

    Nobody has to ask before whether the server answers: its socket listens, and the browser waits for it.
    """
    libraries.join(_LIBRARIES_SECONDS)
    webbrowser.open(url)


def _has_display() -> bool:
    """Tell whether a browser would open a window; one in text mode would take the server's terminal over."""
    if sys.platform == "darwin" or os.environ.get("BROWSER"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    log = logging.getLogger("claude_accounts.requests")
    log.handlers[:] = [handler]
    log.filters[:] = [Bounded(_LINES_A_MINUTE, lambda record: getattr(record, "stranger", False))]
    for name in ("claude_accounts", "engineio.server", "socketio.server"):
        logging.getLogger(name).filters[:] = [Bounded(_LINES_A_MINUTE)]
    log.setLevel(logging.INFO)
    log.propagate = False
