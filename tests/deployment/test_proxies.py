"""Behind nginx and Caddy as docs/deployment.md sets them up: one real proxy, one real server, one real browser."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from browser import CHROMIUM, CHROMIUM_OPTIONS, browser, libraries_cache
from conftest import lack, write_program
from playwright.sync_api import Browser, expect
from recipes import recipe
from running_dashboard import API_KEY, PASSWORD
from test_server import Running, running

from claude_accounts.dashboard import self_signed

__all__ = ["browser", "libraries_cache"]
NAME = "claude.example.com"
FAKE_CLAUDE = """#!/bin/sh
[ "$1" = --version ] && { echo "2.1.330 (Claude Code)"; exit; }
echo "ready $CLAUDE_ACCOUNT"
while read -r line; do echo "said $line"; done
"""


class Proxy(NamedTuple):
    """A proxy in front of a server: their ports, the server's output, the certificate to trust."""

    https_port: int
    http_port: int
    server: Running
    certificate: str

    def request(
        self, method: str, path: str, body: object = None, *, client: str = "127.0.0.1", **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """Send one request over HTTPS from this address and return status, headers and JSON."""
        context = ssl.create_default_context(cafile=self.certificate)
        given = {"Host": NAME} | {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            given["Content-Type"] = "application/json"
        with closing(http.client.HTTPConnection(NAME, timeout=40)) as connection:
            plain = socket.create_connection(("127.0.0.1", self.https_port), 40, source_address=(client, 0))
            connection.sock = context.wrap_socket(plain, server_hostname=NAME)
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, given)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), json.loads(answer.read() or b"null")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _replaced(text: str, **values: str) -> str:
    """Put this test's places for those of the recipe; each must be in it."""
    for old, new in values.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def _nginx(
    folder: Path, server: Running, https_port: int, http_port: int, pair: self_signed.Pair, prefix: bool
) -> list[str]:
    places = {
        "listen 443 ssl;": f"listen 127.0.0.1:{https_port} ssl;",
        "listen 80;": f"listen 127.0.0.1:{http_port};",
        f"/etc/letsencrypt/live/{NAME}/fullchain.pem": pair.path,
        f"/etc/letsencrypt/live/{NAME}/privkey.pem": pair.path,
        "127.0.0.1:5111": f"127.0.0.1:{server.port}",
    }
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi"))
    temporary += "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("uwsgi", "scgi"))
    user = "user root;\n" if os.getuid() == 0 else ""
    text = recipe("nginx")
    if prefix:
        before, _location, after = re.split(r"(?ms)(^    location / \{.*?^    \}\n)", text, maxsplit=1)
        places |= {"127.0.0.1:5111/": f"127.0.0.1:{server.port}/"}
        del places["127.0.0.1:5111"]
        text = before + recipe("nginx-below") + after
    site = _replaced(text, **places)
    config = folder / "nginx.conf"
    config.write_text(
        f"{user}daemon off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{site}}}\n"
    )
    return [shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx", "-c", str(config)]


def _caddy(
    folder: Path, server: Running, https_port: int, http_port: int, pair: self_signed.Pair, prefix: bool
) -> list[str]:
    site = _replaced(
        recipe("caddy-below" if prefix else "caddy"),
        **{f"{NAME} {{": f"{NAME} {{\n    tls {pair.path} {pair.path}", "127.0.0.1:5111": f"127.0.0.1:{server.port}"},
    )
    config = folder / "Caddyfile"
    ports = f"https_port {https_port}\n    http_port {http_port}"
    config.write_text(
        f"{{\n    admin off\n    default_bind 127.0.0.1\n    storage file_system {folder}\n    {ports}\n}}\n{site}"
    )
    return ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]


PROXIES = {"nginx": _nginx, "caddy": _caddy}


@pytest.fixture(params=PROXIES)
def proxy(
    request: pytest.FixtureRequest, tmp_path: Path, program_folder: Path, libraries_cache: str
) -> Iterator[Proxy]:
    """Return a server as the documentation starts it, behind each of the proxies."""
    with _proxied(request.param, tmp_path, program_folder, libraries_cache) as proxy:
        yield proxy


@pytest.fixture(params=[(kind, told) for kind in PROXIES for told in (True, False)], ids=str)
def below(
    request: pytest.FixtureRequest, tmp_path: Path, program_folder: Path, libraries_cache: str
) -> Iterator[tuple[Proxy, bool]]:
    """Return the same below `/claude/`, and whether the proxy tells the server so."""
    kind, told = request.param

    def untold(config: str) -> str:
        return "".join(line for line in config.splitlines(True) if told or "X-Forwarded-Prefix" not in line)

    with _proxied(kind, tmp_path, program_folder, libraries_cache, prefix=True, change=untold) as proxy:
        yield proxy, told


REWRITTEN = {
    "Origin": {"Host": "$http_host", "Origin": "http://localhost:5111"},
    "Host": {"Host": "localhost:5111"},
    "Host and Origin": {"Host": "localhost:5111", "Origin": "http://localhost:5111"},
    "Host without its port": {"Host": "$host", "Origin": f"https://{NAME}:8443"},
}


@pytest.fixture(params=REWRITTEN)
def forwarder(
    request: pytest.FixtureRequest, tmp_path: Path, program_folder: Path, libraries_cache: str
) -> Iterator[Proxy]:
    """Return the same behind an nginx that rewrites what the browser sent."""
    headers = "".join(f'proxy_set_header {name} "{value}";\n' for name, value in REWRITTEN[request.param].items())

    def rewriting(config: str) -> str:
        return _replaced(config, **{"proxy_set_header Host $http_host;": headers})

    with _proxied("nginx", tmp_path, program_folder, libraries_cache, change=rewriting) as proxy:
        yield proxy


@contextmanager
def _proxied(
    kind: str,
    tmp_path: Path,
    program_folder: Path,
    libraries_cache: str,
    *,
    prefix: bool = False,
    change: Callable[[str], str] = str,
) -> Iterator[Proxy]:
    if shutil.which(kind, path=f"{os.environ['PATH']}:/usr/sbin") is None:
        lack(f"no {kind} here")
    write_program(program_folder / "claude", FAKE_CLAUDE)
    pair = self_signed.ensure([NAME])
    _program, _serve, *options = recipe("serve-behind-proxy").split()
    with ExitStack() as stack:
        server = stack.enter_context(running(tmp_path, *options, env={"XDG_CACHE_HOME": libraries_cache}))
        https_port, http_port = free_port(), free_port()
        folder = tmp_path / "proxy"
        folder.mkdir()
        command = PROXIES[kind](folder, server, https_port, http_port, pair, prefix)
        config = Path(command[command.index("-c" if kind == "nginx" else "--config") + 1])
        config.write_text(change(config.read_text()))
        stack.enter_context(_proxy_process(command, folder, https_port))
        yield Proxy(https_port, http_port, server, pair.certificate_path)


@contextmanager
def _proxy_process(command: list[str], folder: Path, port: int) -> Iterator[None]:
    log = folder / "log"
    with log.open("wb") as file:
        environ = os.environ | {"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environ)
    try:
        deadline = time.monotonic() + 40
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(40)


def _setup_code(server: Running) -> str:
    found = re.search(r"[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4}", server.output.read_text())
    assert found
    return found[0]


def _set_up(proxy: Proxy, prefix: str = "", **own_page: str) -> tuple[str, dict[str, str]]:
    """Choose the password as a page does; return the cookie as it was set, and what each request shows from then on."""
    body = {"password": PASSWORD, "setup_code": _setup_code(proxy.server)}
    own_page = {"Origin": f"https://{NAME}"} | own_page
    status, headers, told = proxy.request("POST", f"{prefix}/api/auth/setup", body, **own_page)
    assert status == 201, told
    cookie = headers["Set-Cookie"]
    return cookie, {"Cookie": cookie.partition(";")[0], "X_Page_Secret": told["page_secret"]} | own_page


def test_sign_in_through_the_proxy(proxy: Proxy) -> None:
    """NET-03, AUT-20: a visitor of the proxy is no local one, and its cookie is for HTTPS only."""
    assert proxy.request("POST", "/api/auth/setup", {"password": PASSWORD}, Origin=f"https://{NAME}")[0] == 403
    cookie, shown = _set_up(proxy)
    assert "Secure" in cookie.split("; ") and "HttpOnly" in cookie.split("; ")
    assert proxy.request("GET", "/api/accounts", **shown)[0] == 200
    new = {"name": "work", "auth_type": "api_key", "api_key": API_KEY}
    assert proxy.request("POST", "/api/accounts", new, **shown | {"Origin": "https://evil.example"})[0] == 403
    assert proxy.request("POST", "/api/accounts", new, **shown)[0] == 201
    large = b"[" + b" " * 2_000_000
    assert proxy.request("POST", "/api/import", large, **shown)[0] == 400
    sessions = proxy.request("GET", "/api/auth/sessions", **shown)[2]
    assert [found["address"] for found in sessions] == ["127.0.0.1"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on loopback")
def test_failed_sign_ins_are_counted_for_each_real_visitor(proxy: Proxy) -> None:
    """AUT-10, AUT-12: whatever a visitor says of its own address."""
    _set_up(proxy)
    wrong = {"password": "not the right one"}

    def sign_in(client: str, body: object = wrong, **headers: str) -> int:
        return proxy.request("POST", "/api/auth/login", body, client=client, **headers)[0]

    forged = [{}, {"X_Forwarded_For": "192.0.2.7"}, {"X_Real_IP": "192.0.2.8", "Forwarded": "for=192.0.2.9"}]
    assert [sign_in("127.0.0.2", **forged[number % 3]) for number in range(10)] == [403] * 10
    assert [sign_in("127.0.0.2", **headers) for headers in forged] == [429] * 3
    assert sign_in("127.0.0.2", {"password": PASSWORD}) == 429
    # All of loopback is one place; that other visitors have their own count is claimed with the routes.
    assert sign_in("127.0.0.3", {"password": PASSWORD}) == 429


def test_plain_http_is_sent_to_https(proxy: Proxy) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.http_port, timeout=40)) as connection:
        connection.request("GET", "/x", headers={"Host": NAME})
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (301, 308)
        assert answer.headers["Location"].startswith(f"https://{NAME}")


@pytest.mark.skipif(
    not os.path.exists(CHROMIUM) and os.environ.get("CI") != "true",
    reason="no Chromium here (set CHROMIUM to its path)",
)
def test_terminal_works_over_the_proxied_websocket(proxy: Proxy, browser: Browser) -> None:
    """In a browser that reaches the proxy under its own name."""
    sockets, cookie, _addresses = _open_a_terminal(proxy, browser)
    assert [url for url in sockets if url.startswith(f"wss://{NAME}/socket.io/")]
    assert cookie["secure"] and cookie["httpOnly"] and cookie["domain"] == NAME


@pytest.mark.skipif(
    not os.path.exists(CHROMIUM) and os.environ.get("CI") != "true",
    reason="no Chromium here (set CHROMIUM to its path)",
)
def test_below_a_path_everything_of_the_page_works(below: tuple[Proxy, bool], browser: Browser) -> None:
    """Modules, words, vendor files, socket, API and cookie: whether or not the server is told of the path."""
    proxy, told = below
    sockets, cookie, addresses = _open_a_terminal(proxy, browser, "/claude")
    place = f"{NAME}/claude/"
    assert [url for url in sockets if url.startswith(f"wss://{place}socket.io/")]
    for part in ("static/js/main.js", "static/locales/en.json", "static/favicon.svg", "api/accounts", "vendor/"):
        assert [url for url in addresses if url.startswith(f"https://{place}{part}")], part
    assert not [url for url in addresses if url.startswith("https://") and not url.startswith(f"https://{place}")]
    assert cookie["path"] == ("/claude/" if told else "/")


@pytest.mark.skipif(
    not os.path.exists(CHROMIUM) and os.environ.get("CI") != "true",
    reason="no Chromium here (set CHROMIUM to its path)",
)
def test_the_page_works_through_a_forwarder_that_rewrites_its_address(forwarder: Proxy, browser: Browser) -> None:
    _open_a_terminal(forwarder, browser, own_page={"Sec_Fetch_Site": "same-origin"})
    body = {"password": PASSWORD}
    assert forwarder.request("POST", "/api/auth/login", body, Sec_Fetch_Site="cross-site")[0] == 403


def _open_a_terminal(
    proxy: Proxy, browser: Browser, prefix: str = "", own_page: dict[str, str] | None = None
) -> tuple[list[str], Any, list[str]]:
    """Sign in, type into a terminal and read; return the sockets' addresses, the cookie, and what was asked for."""
    shown = _set_up(proxy, prefix, **(own_page or {}))[1]
    new = {"name": "work", "auth_type": "api_key", "api_key": API_KEY}
    assert proxy.request("POST", f"{prefix}/api/accounts", new, **shown)[0] == 201
    there = f"--host-resolver-rules=MAP {NAME} 127.0.0.1:{proxy.https_port}"
    options = [*CHROMIUM_OPTIONS, there, "--ignore-certificate-errors"]
    with closing(browser.browser_type.launch(executable_path=CHROMIUM, args=options)) as visitor:
        page = visitor.new_context(locale="en-GB").new_page()
        sockets: list[str] = []
        addresses: list[str] = []
        page.on("websocket", lambda opened: sockets.append(opened.url))
        page.on("request", lambda request: addresses.append(request.url))
        page.goto(f"https://{NAME}{prefix}/")
        page.locator("input[type=password]:visible").first.fill(PASSWORD)
        page.keyboard.press("Enter")
        page.locator(".account [data-act=open]").click()
        expect(page.locator("dialog[data-name=folder] [name=path]")).to_be_focused()
        page.keyboard.press("Enter")
        screen = page.locator(".pane:not([hidden]) .xterm-rows")
        expect(screen).to_contain_text("ready work")
        page.keyboard.type("through the proxy")
        page.keyboard.press("Enter")
        expect(screen).to_contain_text("said through the proxy")
        (cookie,) = visitor.contexts[0].cookies(f"https://{NAME}{prefix}/")
    return sockets, cookie, addresses
