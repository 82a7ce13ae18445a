"""Owns the one way out: how a request of ours reaches a server, and the sentence about what stands in the way.

Proxies and certificates are those of the environment and of Claude Code's own settings. It follows no redirect, reads
no .netrc, keeps no cookie, and knows nothing of what is asked.
"""

from __future__ import annotations

import base64
import os
import queue
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from ..messages import VERSION, EndpointFailed, _, printable
from . import proxies, settings
from .proxies import Proxy
from .trust import Trust

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 15.0
_WHOLE_ANSWER_SECONDS = 30.0
_LARGEST_ANSWER = 65536
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


class Answer(NamedTuple):
    """What a server answered; `body` is cut off after 64 kB. `way` names the proxy it came through, "" for none."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    way: str

    def is_web_page(self) -> bool:
        """Tell whether it is a page for a person: mostly a proxy's or a hotel's, in the server's place."""
        kind = self.headers.get("Content-Type", "").lower()
        return "html" in kind or self.body[:64].lstrip().lower().startswith((b"<!doctype", b"<html"))


class _Out(NamedTuple):
    """One way out: whom it leads to, through which proxy, believing whom."""

    what: str
    host: str
    proxy: Proxy | None
    trust: Trust
    unreadable: list[str]
    chosen_by: str


def request(
    method: str,
    url: str,
    *,
    what: str,
    headers: Mapping[str, str] | None = None,
    json: object = None,
    whole_seconds: float | None = None,
    hint: str = "",
) -> Answer:
    """Send one request and return the answer, whatever its status is.

    `what` calls the server in a sentence ("the token endpoint"), `json` is sent as the body, `hint` says who chose the
    address. Raises EndpointFailed when there is no answer, with the variable and file that is to blame where one is.
    """
    whole = whole_seconds or _WHOLE_ANSWER_SECONDS
    scheme, host, port = split_address(url, what)
    said, unreadable = settings.network_said(os.environ)
    proxy = proxies.proxy_for(scheme, host, port, said)
    out = _Out(what, host, proxy, Trust(said), unreadable, hint)
    session = _session(out, scheme)
    sent = {"User-Agent": f"claude-accounts/{VERSION}", "Accept": "application/json"} | dict(headers or {})
    outcome: queue.Queue[tuple[int, Mapping[str, str], bytes] | BaseException] = queue.Queue()

    def exchange() -> None:
        try:
            outcome.put(_exchange(session, method, url, sent, json))
        except BaseException as error:
            # Raised again by whoever waits for it.
            outcome.put(error)

    # In a thread of its own: a server that drips one byte at a time outlives every timeout of a socket.
    threading.Thread(target=exchange, name="request", daemon=True).start()
    try:
        result = outcome.get(timeout=whole)
    except queue.Empty:
        raise _failure(out, _("no whole answer within {seconds} seconds", seconds=int(whole))) from None
    if isinstance(result, BaseException):
        if not isinstance(result, (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)):
            raise result
        raise _unreachable(out, result) from result
    if proxy is not None and result[0] == 407:
        raise _proxy_refusal(out, proxy, 407)
    return Answer(*result, proxy.shown() if proxy else "")


def split_address(url: str, what: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an address. Raises EndpointFailed for what cannot be one."""
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname or ""
        port = parts.port or {"https": 443, "http": 80}[scheme]
        if not proxies.is_host(host) or re.search(r"[\s\"'<>\\^`{|}]", host):
            raise ValueError(host)
    except (ValueError, KeyError):
        raise EndpointFailed(
            _(
                "{what} cannot be asked at {address}: this is no address",
                what=what,
                address=printable(without_login(url)),
            )
        ) from None
    return scheme, host, port


def may_carry_a_secret(url: str) -> bool:
    """Tell whether a secret may be sent to an address: by https, or by http to this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    by_http_here = parts.scheme == "http" and parts.hostname in _THIS_MACHINE
    return bool(parts.hostname) and (parts.scheme == "https" or by_http_here)


def without_login(url: str) -> str:
    """Return an address without a name and password in it."""
    return proxies.masked(url)


def _session(out: _Out, scheme: str) -> requests.Session:
    session = requests.Session()
    # Else it looks into the environment and .netrc by itself.
    session.trust_env = False
    context = out.trust.context() if scheme == "https" or (out.proxy and out.proxy.scheme == "https") else None
    session.mount(f"{scheme}://", _Adapter(context, out.proxy))
    if out.proxy:
        is_socks = out.proxy.scheme.startswith("socks")
        session.proxies = {scheme: out.proxy.address_with_password() if is_socks else out.proxy.address()}
    return session


def _exchange(
    session: requests.Session, method: str, url: str, headers: Mapping[str, str], json: object
) -> tuple[int, Mapping[str, str], bytes]:
    # A redirect would carry a secret elsewhere.
    with (
        session,
        session.request(
            method,
            url,
            json=json,
            headers=dict(headers),
            timeout=(min(_CONNECT_SECONDS, _SILENCE_SECONDS), _SILENCE_SECONDS),
            allow_redirects=False,
            auth=lambda prepared: prepared,
            stream=True,
        ) as response,
    ):
        body = b""
        for piece in response.iter_content(8192):
            body += piece
            if len(body) > _LARGEST_ANSWER:
                break
        return response.status_code, response.headers, body


class _Adapter(HTTPAdapter):
    """Connections that believe our certificates, and say to a proxy who we are."""

    def __init__(self, context: ssl.SSLContext | None, proxy: Proxy | None) -> None:
        self._context = context
        self._proxy = proxy
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        options["ssl_context"] = self._context
        if self._proxy and not self._proxy.scheme.startswith("socks"):
            options["proxy_ssl_context"] = self._context
        return super().proxy_manager_for(proxy, **options)

    def proxy_headers(self, proxy: Any) -> dict[str, str]:
        if self._proxy is None or not (self._proxy.user or self._proxy.password):
            return {}
        login = f"{self._proxy.user}:{self._proxy.password}".encode()
        return {"Proxy-Authorization": "Basic " + base64.b64encode(login).decode()}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the check to the context, which has everything that counts."""
        conn.cert_reqs = "CERT_REQUIRED"


def _unreachable(out: _Out, error: Exception) -> EndpointFailed:
    chain = list(_chain(error))
    proxy = out.proxy
    untrusted = next((cause for cause in chain if isinstance(cause, ssl.SSLCertVerificationError)), None)
    hint = _certificate_hint(out, untrusted) if untrusted else ""
    if proxy is not None:
        if proxy.scheme.startswith("socks"):
            refused = _socks_failure(out, proxy, chain)
            if refused is not None:
                return refused
        elif any(isinstance(cause, (urllib3.exceptions.ProxyError, requests.exceptions.ProxyError)) for cause in chain):
            status = next((found for cause in chain if (found := _tunnel_status(cause))), 0)
            if not status and proxy.scheme == "https" and _is_no_tls(chain):
                return _proxy_failure(proxy, _("it speaks no HTTPS itself"), proxy.mend_to("http"))
            return _proxy_refusal(out, proxy, status) if status else _proxy_failure(proxy, _reason(chain), hint)
    return _failure(out, _reason(chain), hint)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error and all that led to it, wherever the libraries keep it."""
    seen: set[int] = set()
    left: list[object] = [error]
    while left:
        cause = left.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        names = ("reason", "original_error", "socket_err", "__cause__", "__context__")
        left += [*cause.args, *(getattr(cause, name, None) for name in names)]


def _reason(chain: list[BaseException]) -> str:
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _certificate_reason(cause)
    for cause in chain:
        if isinstance(cause, ssl.SSLError):
            what = str(getattr(cause, "reason", None) or cause).partition(" (_ssl")[0]
            if "CERTIFICATE_REQUIRED" in what:
                return _("it wants a certificate of yours: CLAUDE_CODE_CLIENT_CERT names one")
            return _("no secure connection ({reason})", reason=printable(what))
    if any(isinstance(cause, (socket.gaierror, UnicodeError)) for cause in chain):
        return _("nobody knows its name")
    system = next((cause for cause in chain if isinstance(cause, OSError) and _is_of_the_system(cause)), None)
    if system is not None:
        return _("no connection ({reason})", reason=system.strerror or "")
    if any(isinstance(cause, requests.ConnectTimeout) for cause in chain):
        return _("no answer within {seconds} seconds", seconds=int(_CONNECT_SECONDS))
    if any(isinstance(cause, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)) for cause in chain):
        return _("no answer within {seconds} seconds", seconds=int(_SILENCE_SECONDS))
    if any(isinstance(cause, (requests.ConnectionError, OSError)) for cause in chain):
        return _("no connection")
    return _("no valid answer")


def _is_no_tls(chain: list[BaseException]) -> bool:
    """Tell whether what answered is something in clear."""
    return any(isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER" for cause in chain)


def _is_of_the_system(error: OSError) -> bool:
    own = type(error).__module__ == "builtins" and not isinstance(error, TimeoutError)
    return own and bool(error.errno and error.strerror)


def _certificate_reason(error: ssl.SSLCertVerificationError) -> str:
    message = error.verify_message
    if "expired" in message or "not yet valid" in message:
        return _("its certificate has ended, or has not begun: see to the clock of this machine")
    if error.verify_code in (62, 64) or "mismatch" in message:
        return _("another server answers in its place: its certificate is not trusted under this name")
    return _("its certificate is not trusted ({reason})", reason=printable(message))


def _certificate_hint(out: _Out, error: ssl.SSLCertVerificationError) -> str:
    by_nobody = error.verify_code in (2, 18, 19, 20, 21)
    return out.trust.hint() if by_nobody else ""


def _failure(out: _Out, reason: str, hint: str = "") -> EndpointFailed:
    if not hint and out.trust.lacking:
        hint = out.trust.hint()
    if not hint and out.unreadable:
        hint = settings.unreadable_notice(out.unreadable[0])
    if not hint and out.proxy:
        hint = _("it was asked through {proxy}", proxy=out.proxy.shown())
    return EndpointFailed(
        _("{what} {host} cannot be used: {reason}", what=out.what, host=printable(out.host), reason=reason),
        hint or out.chosen_by or _("check the network, then try again"),
    )


def _proxy_failure(proxy: Proxy, reason: str, hint: str = "") -> EndpointFailed:
    return EndpointFailed(
        _("{proxy} cannot be used: {reason}", proxy=proxy.shown(), reason=reason),
        hint or proxies.mend(proxy.variable, proxy.path),
    )


def _proxy_refusal(out: _Out, proxy: Proxy, status: int) -> EndpointFailed:
    if status == 407:
        known = bool(proxy.user or proxy.password)
        reason = _("it refuses this name and password (407)") if known else _("it wants a name and a password (407)")
        return _proxy_failure(proxy, reason, proxy.mend_to(proxy.scheme, login=True))
    return _proxy_failure(
        proxy, _("it refuses the way to {host} (HTTP {status})", host=printable(out.host), status=status)
    )


def _tunnel_status(error: BaseException) -> int:
    found = re.search(r"Tunnel connection failed: ([0-9]{3})", str(error)) if isinstance(error, OSError) else None
    return int(found[1]) if found else 0


def _socks_failure(out: _Out, proxy: Proxy, chain: list[BaseException]) -> EndpointFailed | None:
    """Return what is wrong with the SOCKS proxy itself, None when it is the server behind it."""
    try:
        import socks  # type: ignore[import-untyped]
    except ImportError:
        return _proxy_failure(proxy, _("SOCKS needs the library PySocks"), "pip install PySocks")
    # The library wraps its own errors once more: the narrowest one says most.
    told = [cause for cause in chain if isinstance(cause, socks.ProxyError)]
    if any(isinstance(cause, socks.SOCKS5AuthError) for cause in told):
        hint = proxy.mend_to(proxy.scheme, login=True)
        return _proxy_failure(proxy, _("it refuses without the right name and password"), hint)
    if any(isinstance(cause, (socks.SOCKS5Error, socks.SOCKS4Error)) for cause in told):
        return _proxy_failure(proxy, _("it finds no way to {host}", host=printable(out.host)))
    if any(not cause.socket_err for cause in told):
        return _proxy_failure(proxy, _("what answers there speaks no SOCKS"))
    return _proxy_failure(proxy, _reason(chain)) if told else None
