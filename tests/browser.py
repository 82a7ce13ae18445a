"""A real browser before a real server: what the tests of the page share."""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import warm
from conftest import lack
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect, sync_playwright

PROJECT = Path(__file__).resolve().parent.parent
expect.set_options(timeout=warm.DEADLINE * 1000)
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# The same engine without the windows around it, at a third of the cost, where it is installed.
HEADLESS_SHELL = "/usr/bin/chromium-headless-shell"
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PASSWORD = "correct horse battery"
LANGUAGES = {"en": "en-GB", "fr": "fr-FR"}
# Chromium reports every refused request on the console; a test that means to be refused expects this.
REFUSED = r"status of 4\d\d"
KEY = "sk-ant-api03-" + "a1B2c3D4" * 11 + "e5F6g7H"


# What the page's forms do.
_SIGN_IN = """async (password) => {
    const status = await (await fetch("/api/auth/status")).json();
    const path = status.setup_done ? "login" : "setup";
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`/api/auth/${path}`, { method: "POST", headers, body: JSON.stringify({ password }) });
    const { page_secret: secret } = await answer.json();
    localStorage.setItem("page-secret", secret);
    return secret;
}"""


class Server:
    """One dashboard on a free port, with a data folder of its own; it can be stopped and started again there."""

    def __init__(self, *, environ: dict[str, str] | None = None) -> None:
        self._environ = environ or {}
        self._page_secrets: dict[str, str] = {}
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        """Return the address without a slash at the end."""
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        """Start the server and wait for its line with the address."""
        words = ("--no-browser", "--port", str(self.port))
        environ = os.environ | self._environ
        reader, writer = os.pipe()
        self.process = warm.start(*words, function="warm:page_server", stdout=writer, stderr=writer, env=environ)
        os.close(writer)
        self._said = open(reader)  # noqa: SIM115 - open for as long as the server runs
        said = []
        for line in self._said:
            said.append(line)
            found = re.search(r"http://localhost:(\d+)/", line)
            if found:
                self.port = int(found[1])
                break
        else:
            self._said.close()
            raise AssertionError("the server did not start: " + "".join(said))

    def first_visit(self) -> str:
        """Return the link that the server has printed for a first visit."""
        return next(line.split()[-1] for line in self._said if "#setup=" in line)

    def stop(self) -> None:
        """End the server as Ctrl-C does and wait for its end."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(warm.DEADLINE)
        with self._said:
            errors = self._said.read()
        assert "Traceback" not in errors, errors

    def post(self, path: str, body: object, cookie: str = "") -> tuple[Any, str]:
        """Send one request as the page does and return its answer and the cookie that came with it."""
        headers = {"Content-Type": "application/json", "Origin": self.url, "Cookie": cookie}
        headers["X-Page-Secret"] = self._page_secrets.get(cookie, "")
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            told, given = json.load(answer), (answer.headers["Set-Cookie"] or "").split(";")[0]
        if "page_secret" in told:
            self._page_secrets[given] = told["page_secret"]
        return told, given


class Visitor:
    """One browser with its cookies; whatever it says on the console is kept and must be expected."""

    def __init__(self, browser: Browser, server: Server, **options: Any) -> None:
        options = {"locale": "en-GB", "viewport": {"width": 1200, "height": 800}, "reduced_motion": "reduce"} | options
        self.server = server
        self.context: BrowserContext = browser.new_context(**options)
        self.context.set_default_timeout(warm.DEADLINE * 1000)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
        self.said: list[str] = []
        self.hosts: set[str] = set()
        self._page_secret = ""
        self._expected: list[str] = []
        self.context.on("console", self._on_console)
        self.context.on("weberror", lambda error: self.said.append(str(error.error)))
        self.context.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def _on_console(self, message: ConsoleMessage) -> None:
        self.said.append(message.text)

    def expect(self, pattern: str) -> None:
        """Allow console messages that match: Chromium reports each refused request there."""
        self._expected.append(pattern)

    def open(self, path: str = "/") -> Page:
        """Open a page of the dashboard."""
        page = self.context.new_page()
        page.goto(self.server.url + path)
        return page

    def sign_in(self) -> None:
        """Sign this browser in, choosing the password first where there is none."""
        # Any address of the origin will do; a blank page costs far less than the dashboard.
        page = self.context.new_page()
        address = f"{self.server.url}/blank"
        page.route(address, lambda route: route.fulfill(content_type="text/html", body="<link rel=icon href=data:,>"))
        page.goto(address)
        self._page_secret = page.evaluate(_SIGN_IN, PASSWORD)
        page.close()

    def page_secret(self) -> str:
        """Return what the page keeps of its session besides the cookie, "" for nothing."""
        for page in self.context.pages:
            if page.url.startswith(self.server.url):
                return str(page.evaluate("localStorage.getItem('page-secret') ?? ''"))
        return self._page_secret

    def add(self, name: str, **fields: object) -> str:
        """Add an account (of an API key, unless `fields` say otherwise) and return its id."""
        entry = {"name": name, "auth_type": "api_key", "api_key": KEY} | fields
        if entry["auth_type"] != "api_key":
            del entry["api_key"]
        answer = self.context.request.post(
            f"{self.server.url}/api/accounts",
            data=entry,
            headers={"Origin": self.server.url, "X-Page-Secret": self.page_secret()},
        )
        assert answer.ok, answer.text()
        return str(answer.json()["id"])

    def close(self) -> None:
        """Close the browser window; unexpected words on the console or requests to other hosts fail the test."""
        self.context.close()
        rest = [text for text in self.said if not any(re.search(pattern, text) for pattern in self._expected)]
        assert rest == [], rest
        assert {host for host in self.hosts if host} <= {f"localhost:{self.server.port}"}


@functools.cache
def _playwright() -> Playwright:
    playwright = sync_playwright().start()
    atexit.register(playwright.stop)
    return playwright


@functools.cache
def _started(program: str) -> Browser:
    """Start one browser for all tests, whichever module asks first."""
    started = _playwright().chromium.launch(executable_path=program, args=list(CHROMIUM_OPTIONS))
    atexit.register(started.close)
    return started


@functools.cache
def _cache_with_libraries() -> str:
    cache = tempfile.mkdtemp(prefix="claude-accounts-libraries-")
    atexit.register(shutil.rmtree, cache)
    environ = os.environ | {"XDG_CACHE_HOME": cache}
    program = "import bare_names; bare_names.member('dashboard.browser_libs').ensure()"
    subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=True, env=environ)
    return cache


@pytest.fixture
def browser() -> Browser:
    """Return a Chromium, the headless shell where it is installed."""
    if os.path.exists(HEADLESS_SHELL) and "CHROMIUM" not in os.environ:
        return _started(HEADLESS_SHELL)
    return whole_chromium()


def whole_chromium() -> Browser:
    """Return the Chromium that people have: where windows, cookies and processes of several origins are the claim."""
    if not os.path.exists(CHROMIUM):
        lack("no Chromium here (set CHROMIUM to its path)")
    return _started(CHROMIUM)


@pytest.fixture
def libraries_cache() -> str:
    """Return a cache folder that holds the browser libraries, fetched once for all tests."""
    return _cache_with_libraries()


@contextmanager
def visiting(browser: Browser, server: Server, **options: Any) -> Iterator[Visitor]:
    """Open a browser window of its own cookies, and check at its end what it said."""
    visitor = Visitor(browser, server, **options)
    try:
        yield visitor
    except BaseException:
        visitor.context.close()
        raise
    visitor.close()


@pytest.fixture
def server(home: Path, libraries_cache: str) -> Iterator[Server]:
    """Start a server without a password."""
    started = Server(environ={"XDG_CACHE_HOME": libraries_cache})
    yield started
    started.stop()


@pytest.fixture
def visitor(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Iterator[Visitor]:
    """Return a browser window, in one of the languages: half of the tests have each, and always the same one."""
    language = sorted(LANGUAGES)[zlib.crc32(request.node.name.encode()) % len(LANGUAGES)]
    print("The browser's language:", language)
    with visiting(browser, server, locale=LANGUAGES[language]) as window:
        yield window
