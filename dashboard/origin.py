"""Owns the gate around the web application: which Host and Origin may speak to it, what headers every answer has.

It wraps the WSGI application, Socket.IO's endpoint included, and knows neither accounts nor sign-in. What an address is
says addresses.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from ..messages import LANGUAGES, InvalidInput, _, printable, use_language
from . import addresses

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SOCKET_PATH = "/socket.io"
_READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Any of these means that somebody else than the browser on this machine may be at the far end.
_FORWARDING_HEADERS = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_FORWARDED_SERVER",
    "HTTP_X_REAL_IP",
    "HTTP_X_CLIENT_IP",
    "HTTP_X_CLUSTER_CLIENT_IP",
    "HTTP_TRUE_CLIENT_IP",
    "HTTP_CF_CONNECTING_IP",
    "HTTP_CF_RAY",
    "HTTP_FLY_CLIENT_IP",
    "HTTP_TAILSCALE_USER_LOGIN",
    "HTTP_VIA",
)
# Names of containers and of Windows machines have underscores; a dot at the end says that a name is complete.
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9_])?)\.?(:(?P<port>[0-9]{1,5}))?")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#@\s]+)")
_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,99}){1,8}/?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
# The page's own files only; styles may also come from the terminal emulator, which writes them at run time.
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}


# Under this name the gate keeps the path below which the browser sees the page.
_BASE_PATH = "claude_accounts.base_path"


class Host(NamedTuple):
    """A Host header taken apart: lower-case name (an IPv6 address without brackets), port (None when not given)."""

    name: str
    port: int | None


class Gate:
    """A WSGI application that lets through what its own page, its own user or a token client sends.

    `trusted_hosts` are names the user declared; with `remote` the machine's own address is one too. With `behind_proxy`
    one proxy is believed that the page lies below its X-Forwarded-Prefix, and that it may have rewritten addresses.
    """

    def __init__(
        self,
        application: WSGIApplication,
        *,
        remote: bool = False,
        trusted_hosts: Iterable[str] = (),
        behind_proxy: bool = False,
    ) -> None:
        self.application = application
        self.remote = remote
        self.trusted_hosts = frozenset(map(trusted_name, trusted_hosts))
        self.behind_proxy = behind_proxy

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        use_language(language_of(environ))
        if self.behind_proxy:
            _go_below_prefix(environ)
        start = with_headers(start_response)
        refusal = self.refusal(environ)
        if refusal is None:
            return self.application(environ, start)
        body = json.dumps(dict(zip(("error", "hint"), refusal, strict=True))).encode()
        length = ("Content-Length", str(len(body)))
        start("403 Forbidden", [("Content-Type", "application/json"), length])
        return [body]

    def refusal(self, environ: WSGIEnvironment) -> tuple[str, str] | None:
        """Return why this request is refused and what to do about it, None for one that may pass."""
        text = environ.get("HTTP_HOST", "")
        host = parse_host(text)
        if host is None:
            return _("the Host header is missing or malformed"), ""
        if not self._is_ours(host, environ):
            name = printable(text)[:100]
            return (
                _("the host name {host} is not one of this server's", host=name),
                _("if it is yours: claude-accounts serve --trusted-host {host}", host=printable(host.name)[:100]),
            )
        is_socket = environ.get("PATH_INFO", "").startswith(SOCKET_PATH)
        if environ["REQUEST_METHOD"] in _READING_METHODS and not is_socket:
            return None
        if not self._comes_from_us(host, environ):
            origin = printable(environ.get("HTTP_ORIGIN", "") or environ.get("HTTP_SEC_FETCH_SITE", ""))[:100]
            return _("a page of another origin ({origin}) may not do this", origin=origin), self._way_out(environ)
        return None

    def _is_ours(self, host: Host, environ: WSGIEnvironment) -> bool:
        if is_loopback_name(host.name) or host.name in self.trusted_hosts:
            return True
        return self.remote and host.name == own_address(environ)

    def _comes_from_us(self, host: Host, environ: WSGIEnvironment) -> bool:
        site = environ.get("HTTP_SEC_FETCH_SITE")
        if site not in (None, "same-origin", "none"):
            return False
        if environ.get("HTTP_ORIGIN") is None:
            # No browser leaves it out where it would matter: this is a program with a token, or our own old page.
            return True
        scheme, origin = origin_of(environ)
        if origin is None:
            return False
        if self.behind_proxy and site == "same-origin" and self._is_declared(origin):
            # The browser itself says that the page is the one it asks; what it called us was rewritten on the way.
            return True
        # A declared name may stand behind a proxy that ends TLS without saying so.
        schemes = ("http", "https") if host.name in self.trusted_hosts else (scheme_of(environ),)
        default = _DEFAULT_PORTS[scheme]
        same_place = (origin.name, origin.port or default) == (host.name, host.port or default)
        return scheme in schemes and same_place

    def _is_declared(self, host: Host) -> bool:
        return is_loopback_name(host.name) or host.name in self.trusted_hosts

    def _way_out(self, environ: WSGIEnvironment) -> str:
        """Return what would let a refused page in: only options that are not given yet, and only where they help."""
        _scheme, origin = origin_of(environ)
        if origin is not None and environ.get("HTTP_SEC_FETCH_SITE") == "same-origin":
            missing = [] if self.behind_proxy else ["--behind-proxy"]
            if not self._is_declared(origin):
                missing.append(f"--trusted-host {printable(origin.name)[:100]}")
            return _(
                "a proxy rewrites the address; if it is yours, add to claude-accounts serve: {options}",
                options=" ".join(missing),
            )
        return _("open the dashboard under one address; a proxy must pass Host and Origin on as the browser sent them")


def with_headers(start_response: StartResponse) -> StartResponse:
    """Return a start_response that adds the headers of every answer which the answer did not set itself."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        present = {name.lower() for name, _value in headers}
        headers = headers + [(name, value) for name, value in _HEADERS.items() if name.lower() not in present]
        return start_response(status, headers, exc_info)

    return start


def parse_host(text: str) -> Host | None:
    """Return the parts of a Host header, None for one that no browser would send."""
    match = _HOST.fullmatch(text.lower())
    if match is None:
        return None
    name, port = match["name"], int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        return None
    if name.startswith("["):
        name = addresses.plain(name[1:-1])
    return Host(name, port) if name else None


def trusted_name(text: str) -> str:
    """Return the name in what was declared as trusted: a name, an address, or where the page is (https://x:5111/).

    Raises InvalidInput, whose hint says what to leave out.
    """
    place = text.strip().lower()
    place = place.partition("://")[2] or place
    place = re.split(r"[/?#]", place, maxsplit=1)[0]
    if not place.isascii():
        with suppress(UnicodeError):
            # Browsers send the name as the network knows it.
            place = place.encode("idna").decode()
    address = addresses.plain(place.strip("[]"))
    host = parse_host(place)
    if address or host:
        return address or (host.name if host else "")
    problem = _("{name} is not a host name", name=repr(text[:100]))
    if "@" in place:
        raise InvalidInput(problem, _("leave out what stands before the @"))
    if "*" in place:
        raise InvalidInput(problem, _("leave out the *: name each host by itself"))
    raise InvalidInput(problem, "claude-accounts serve --trusted-host claude.example.com")


def base_path(environ: WSGIEnvironment) -> str:
    """Return the path below which the browser sees the page, with a slash at both ends: `/` or a proxy's prefix.

    Nobody but a declared proxy says so; where one takes a prefix away without a word it is `/`, which works too.
    """
    return str(environ.get(_BASE_PATH, "/"))


def is_loopback_name(name: str) -> bool:
    """Tell whether a host name (as Host has it) is this machine's own, whatever any name server says."""
    return name == "localhost" or addresses.is_loopback(name)


def is_local(environ: WSGIEnvironment) -> bool:
    """Tell whether the request comes from this machine and was forwarded by nobody.

    Behind a proxy or tunnel every peer is loopback, so a forwarding header or another Host speaks against it.
    """
    host = parse_host(environ.get("HTTP_HOST", ""))
    if host is None or not is_loopback_name(host.name):
        return False
    return is_loopback_name(environ.get("REMOTE_ADDR", "")) and not any(name in environ for name in _FORWARDING_HEADERS)


def client_address(environ: WSGIEnvironment, *, behind_proxy: bool) -> str:
    """Return the address a request is counted under: the peer's, or what the declared proxy says of its own peer."""
    peer = str(environ.get("REMOTE_ADDR", ""))
    said = ""
    if behind_proxy:
        said = addresses.forwarded(environ.get("HTTP_X_FORWARDED_FOR", ""), environ.get("HTTP_FORWARDED", ""))
    return said or addresses.plain(peer) or peer


def scheme_of(environ: WSGIEnvironment) -> str:
    """Return `https` when the browser's connection is encrypted, here or at a proxy in front, else `http`."""
    forwarded = environ.get("HTTP_X_FORWARDED_PROTO", "").partition(",")[0].strip().lower()
    return "https" if "https" in (environ.get("wsgi.url_scheme"), forwarded) else "http"


def own_address(environ: WSGIEnvironment) -> str:
    """Return the address of this machine that the caller has reached, "" when the server does not tell."""
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    return addresses.plain(str(connection.getsockname()[0])) if connection is not None else ""


def origin_of(environ: WSGIEnvironment) -> tuple[str, Host | None]:
    """Return scheme and host of the Origin header, ("", None) where there is none that can be read."""
    match = _ORIGIN.fullmatch(environ.get("HTTP_ORIGIN", "").lower())
    host = parse_host(match["host"]) if match else None
    return (match["scheme"], host) if match and host else ("", None)


def language_of(environ: WSGIEnvironment) -> str:
    """Return the page's language: its own header, a socket's query, else the browser's first known preference."""
    asked = environ.get("HTTP_X_LANGUAGE", "")
    if environ.get("PATH_INFO", "").startswith(SOCKET_PATH):
        found = re.search(r"(?:^|&)language=([a-z]{2})(?:&|$)", environ.get("QUERY_STRING", ""))
        asked = found[1] if found else asked
    wanted: str = asked or environ.get("HTTP_ACCEPT_LANGUAGE", "")[:200]
    for preference in wanted.split(","):
        code = preference.strip()[:2].lower()
        if code in LANGUAGES:
            return code
    return "en"


def _go_below_prefix(environ: WSGIEnvironment) -> None:
    """Note a proxy's X-Forwarded-Prefix, and take it off a path that still has it."""
    prefix: str = environ.get("HTTP_X_FORWARDED_PREFIX", "")
    if not _PREFIX.fullmatch(prefix):
        return
    prefix = prefix.rstrip("/") + "/"
    environ[_BASE_PATH] = prefix
    path: str = environ.get("PATH_INFO", "")
    if path.startswith(prefix):
        environ["PATH_INFO"] = path[len(prefix) - 1 :]
