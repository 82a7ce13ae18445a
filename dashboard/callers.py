"""Owns what a request tells of its sender: a browser's marks, the session's cookie, the page's secret,
whether it is our own user's.

It reads a WSGI environ and looks the session up; what a session may do is no business of this module.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from werkzeug.http import parse_cookie

from ..install.rc_files import CONTAINER_VARIABLE
from ..system import peer
from ..system.folders import data_folder
from . import sign_in
from .origin import base_path, is_local, parse_host, scheme_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# What every name of the cookie has in it.
COOKIE = "claude_accounts_session"
_FETCH_MARKS = "HTTP_SEC_FETCH_"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_browser(environ: WSGIEnvironment) -> bool:
    """Tell whether a request has a browser's marks: Origin, or any of Sec-Fetch-*, which no page can leave out."""
    return "HTTP_ORIGIN" in environ or _has_fetch_marks(environ)


def cookie_name(environ: WSGIEnvironment) -> str:
    """Return the name of the session's cookie for a request: another one for each data folder, port and scheme.

    Cookies know no port: under one name, dashboards on two ports of a host would sign each other out. A browser that
    holds a Secure cookie takes no plain one of that name, so HTTPS once would mean never again by HTTP.
    """
    scheme = scheme_of(environ)
    host = parse_host(environ.get("HTTP_HOST", ""))
    port = (host.port if host else None) or _DEFAULT_PORTS[scheme]
    folder = sign_in.digest(os.path.realpath(data_folder()))[:8]
    prefix = {"http": "", "https": "__Host-" if base_path(environ) == "/" else "__Secure-"}[scheme]
    return f"{prefix}{COOKIE}_{port}_{folder}"


def cookie_value(environ: WSGIEnvironment) -> str:
    """Return the value of the session's cookie, "" when none came along."""
    return parse_cookie(environ).get(cookie_name(environ), "")


def page_secret(environ: WSGIEnvironment) -> str:
    """Return the second secret of a browser's session, "" when none came along."""
    return str(environ.get("HTTP_X_PAGE_SECRET", ""))


def session_of(environ: WSGIEnvironment, secret: str | None = None) -> sign_in.Session | None:
    """Return the live session that a request has both secrets of; `secret` is what a socket's CONNECT brought.

    A program's session is in no browser, so whoever shows its cookie with Sec-Fetch-* has it from somewhere else. (A
    program's WebSocket library may well send an Origin.)
    """
    secret = page_secret(environ) if secret is None else secret
    session = sign_in.find_session(cookie_value(environ), secret)
    if session is not None and not session.page_secret_hash and _has_fetch_marks(environ):
        return None
    return session


def is_same_user(environ: WSGIEnvironment) -> bool:
    """Tell whether the request comes from this machine and from our own user's process, and that for sure."""
    if not is_local(environ) or _peer_owner(environ) != os.geteuid():
        return False
    # In a container, what its root hands in from outside looks like its root's own.
    return _is_in_process(environ) or not (os.geteuid() == 0 and os.environ.get(CONTAINER_VARIABLE))


def is_another_user(environ: WSGIEnvironment) -> bool:
    """Tell whether the request is known to come from another ordinary user of this machine, or from elsewhere."""
    return not is_local(environ) or _peer_owner(environ) not in (None, 0, os.geteuid())


def _peer_owner(environ: WSGIEnvironment) -> int | None:
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is not None:
        return peer.owner(connection)
    return os.geteuid() if _is_in_process(environ) else None


def _is_in_process(environ: WSGIEnvironment) -> bool:
    """Tell whether a client within our own process asks: every server names itself or its peer's port."""
    return not any(name in environ for name in ("gunicorn.socket", "werkzeug.socket", "SERVER_SOFTWARE", "REMOTE_PORT"))


def _has_fetch_marks(environ: WSGIEnvironment) -> bool:
    return any(name.startswith(_FETCH_MARKS) for name in environ)
