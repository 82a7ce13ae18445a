"""Under which addresses a server is reached: both families, and what `serve --remote` prints of them."""

from __future__ import annotations

import errno
import http.client
import json
import re
import socket as sockets
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from running_dashboard import PASSWORD
from test_server import _other_address as other_address, running
from warm import DEADLINE

from claude_accounts.dashboard import addresses


def ask(host: str, port: int, path: str, body: object = None, cookie: str = "") -> tuple[Any, str]:
    """Send one request to an address and return the answer's JSON and its cookie."""
    with closing(http.client.HTTPConnection(host, port, timeout=DEADLINE)) as connection:
        headers = {"Content-Type": "application/json", "Cookie": cookie}
        data = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, data, headers)
        answer = connection.getresponse()
        return json.loads(answer.read()), answer.headers.get("Set-Cookie", "").partition(";")[0]


def has_ipv6() -> bool:
    """Tell whether this machine can listen in the newer family."""
    try:
        with sockets.create_server(("::1", 0), family=sockets.AF_INET6):
            return True
    except OSError:
        return False


def test_remote_server_prints_addresses_that_work(tmp_path: Path) -> None:
    """Each of them is asked, in either family; none stands for "all of them"."""
    with running(tmp_path, "--remote") as server:
        said = server.output.read_text()
        assert "0.0.0.0" not in said and "[::]" not in said  # noqa: S104 - what must not be printed
        urls = re.findall(r"from other machines: (http://\S+/)", said)
        for url in urls:
            address = urlsplit(url)
            assert ask(str(address.hostname), int(address.port or 0), "/api/auth/status")[0]["setup_code_required"]
        assert not other_address() or f"http://{other_address()}:{server.port}/" in urls


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_remote_server_listens_on_both_families(tmp_path: Path) -> None:
    """A visitor of either is counted under its own address."""
    with running(tmp_path, "--remote") as server:
        for host, path in (("::1", "setup"), ("127.0.0.1", "login")):
            _body, cookie = ask(host, server.port, f"/api/auth/{path}", {"password": PASSWORD})
            sessions = ask(host, server.port, "/api/auth/sessions", cookie=cookie)[0]
            assert [session["address"] for session in sessions if session["current"]] == [host]


def test_where_one_family_is_missing_the_other_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sockets.socket

    def without_ipv6(family: int = sockets.AF_INET, *given: int) -> sockets.socket:
        if family == sockets.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return made(family, *given)

    monkeypatch.setattr("claude_accounts.dashboard.addresses.socket.socket", without_ipv6)
    (listener,) = addresses.listen(("127.0.0.1", "::1"), 0)
    with listener:
        assert listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_a_port_that_is_taken_in_one_family_is_taken() -> None:
    with (
        sockets.create_server(("::1", 0), family=sockets.AF_INET6) as taken,
        pytest.raises(OSError, match="in use"),
    ):
        addresses.listen(("127.0.0.1", "::1"), taken.getsockname()[1])


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_any_free_port_is_the_same_in_both_families() -> None:
    first, second = addresses.listen(("127.0.0.1", "::1"), 0)
    with first, second:
        assert first.getsockname()[1] == second.getsockname()[1]
