"""The door, in a real browser: another port, a foreign page, tabs, half a session, a fresh proof, the first link."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import socketio  # type: ignore[import-untyped]
import warm
from browser import (
    KEY,
    LANGUAGES,
    PASSWORD,
    REFUSED,
    Server,
    Visitor,
    libraries_cache,
    server,
    visiting,
    visitor,
    whole_chromium,
)
from playwright.sync_api import Browser, Page, expect

__all__ = ["libraries_cache", "server", "visitor"]
EMPTY = "[data-name=first-steps]"
SIGN_IN = "#sign-in-password"


@pytest.fixture
def browser() -> Browser:
    """Return the Chromium that people have."""
    return whole_chromium()


class Hostile:
    """A little server on a port of its own, as a development server may be one; it keeps what it is sent."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: list[str] = []


@contextmanager
def hostile() -> Iterator[Hostile]:
    """Serve an empty page on another port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.cookies.append(self.headers.get("Cookie", ""))
            body = b'<!doctype html><link rel="icon" href="data:,"><title>hostile</title>'
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the tests' output to what tests say."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Hostile(listener.server_port)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield told
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


@pytest.fixture
def one_visitor(browser: Browser, server: Server) -> Iterator[Visitor]:
    """Return a browser window, where the language is no matter."""
    with visiting(browser, server) as window:
        yield window


def _status(url: str, headers: dict[str, str], method: str = "GET") -> int:
    body = b"{}" if method == "POST" else None
    headers = headers | {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(request, timeout=warm.DEADLINE) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_another_port_is_sent_the_cookie_and_can_do_nothing_with_it(one_visitor: Visitor) -> None:
    """§11.4"""
    visitor = one_visitor
    visitor.sign_in()
    visitor.add("perso")
    ours = visitor.server.url
    with hostile() as other:
        page = visitor.context.new_page()
        page.goto(f"http://localhost:{other.port}/")
        stolen = other.cookies[-1]
        assert "claude_accounts_session" in stolen
        marks = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
        for headers in ({}, {"Origin": ours}, marks, marks | {"Origin": ours, "X-Page-Secret": "x" * 43}):
            for method, path in (
                ("GET", "/api/accounts"),
                ("GET", "/api/export"),
                ("POST", "/api/export"),
                ("POST", "/api/auth/logout"),
                ("GET", "/api/terminals"),
            ):
                assert _status(ours + path, {"Cookie": stolen} | headers, method) == 401, (path, headers)
        client = socketio.Client(reconnection=False)
        for auth in (None, {"page_secret": ""}, {"page_secret": "x" * 43}):
            with pytest.raises(socketio.exceptions.ConnectionError):
                client.connect(ours, headers={"Cookie": stolen}, auth=auth, transports=["websocket"])
        visitor.hosts.discard(f"localhost:{other.port}")
    own = visitor.open()
    expect(own.locator(".account")).to_have_count(1)


# What a page can make its reader's browser do without being allowed to read the answer.
ATTEMPTS = {
    "a link": "(url) => { location.href = url + '/api/export'; }",
    "a link in a new window": "(url) => { window.open(url + '/api/export'); }",
    "a form": """(url) => {
        const form = document.createElement('form');
        form.action = url + '/api/export';
        document.body.append(form);
        form.submit();
    }""",
    "a form that posts": """(url) => {
        const form = document.createElement('form');
        form.method = 'post';
        form.enctype = 'text/plain';
        form.action = url + '/api/export';
        document.body.append(form);
        form.submit();
    }""",
    "a download": """(url) => {
        const link = document.createElement('a');
        link.href = url + '/api/export';
        link.download = 'all.json';
        document.body.append(link);
        link.click();
    }""",
    "a picture": "(url) => { document.body.append(Object.assign(new Image(), { src: url + '/api/export' })); }",
    "a frame": """(url) => {
        document.body.append(Object.assign(document.createElement('iframe'), { src: url + '/api/export' }));
    }""",
    "fetch": """(url) => {
        for (const method of ['GET', 'POST'])
            fetch(url + '/api/export', { method, mode: 'no-cors', credentials: 'include' }).catch(() => undefined);
    }""",
}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_foreign_page_gets_no_secret_out_of_the_browser(one_visitor: Visitor, host: str) -> None:
    """§11.3: of the same site (another port of localhost), and of another one."""
    visitor = one_visitor
    visitor.expect(".")
    visitor.sign_in()
    visitor.add("perso")
    ours = visitor.server.url
    answers: list[int] = []
    ended: list[str] = []
    saved: list[str] = []

    def keep(url: str, status: int) -> None:
        if url.startswith(f"{ours}/api/export"):
            answers.append(status)

    visitor.context.on("response", lambda response: keep(response.url, response.status))
    # One whose answer the browser keeps from the page ends as failed.
    for event in ("requestfinished", "requestfailed"):
        visitor.context.on(event, lambda request: ended.append(request.url))
    visitor.context.on("page", lambda page: page.on("download", lambda download: saved.append(download.url)))
    quiet = visitor.context.new_page()
    with hostile() as other:
        for script in ATTEMPTS.values():
            page = visitor.context.new_page()
            page.goto(f"http://{host}:{other.port}/")
            ended.clear()
            page.evaluate(script, ours)
            deadline = time.monotonic() + warm.DEADLINE
            while f"{ours}/api/export" not in [url.rstrip("?") for url in ended]:
                assert time.monotonic() < deadline, script
                quiet.evaluate("new Promise((resolve) => setTimeout(resolve, 10))")
            for each in visitor.context.pages:
                if each is not quiet:
                    each.close()
        page = visitor.context.new_page()
        page.goto(f"http://{host}:{other.port}/")
        opened = page.evaluate(
            """(url) => new Promise((resolve) => {
                const socket = new WebSocket(url.replace('http', 'ws') + '/socket.io/?EIO=4&transport=websocket');
                socket.onopen = () => resolve('open');
                socket.onerror = () => resolve('refused');
            })""",
            ours,
        )
        assert opened == "refused"
        visitor.hosts.discard(f"{host}:{other.port}")
        page.close()
    assert answers
    assert set(answers) <= {401, 403}
    assert saved == []
    own = visitor.open()
    expect(own.locator(".account")).to_have_count(1)


def _sign_in(page: Page) -> None:
    page.locator(SIGN_IN).fill(PASSWORD)
    page.locator(SIGN_IN).press("Enter")
    expect(page.locator(EMPTY)).to_be_visible()


def _sign_out(page: Page) -> None:
    page.locator("[popovertarget=menu]").click()
    page.locator("[data-do=sign-out]").click()
    expect(page.locator(SIGN_IN)).to_be_visible()


def test_session_is_shared_by_tabs_and_survives_reload_and_restart(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    visitor.expect("ERR_|WebSocket")
    visitor.server.post("/api/auth/setup", {"password": PASSWORD})
    first, second = visitor.open(), visitor.open()
    _sign_in(first)
    # The other tab follows by itself, in and out and in again.
    expect(second.locator(EMPTY)).to_be_visible()
    first.reload()
    expect(first.locator(EMPTY)).to_be_visible()
    third = visitor.open()
    expect(third.locator(EMPTY)).to_be_visible()
    visitor.server.stop()
    visitor.server.start()
    third.reload()
    expect(third.locator(EMPTY)).to_be_visible()
    _sign_out(third)
    for page in (first, second):
        expect(page.locator(SIGN_IN)).to_be_visible()
    _sign_in(second)
    for page in (first, third):
        expect(page.locator(EMPTY)).to_be_visible()


def test_question_over_the_page_is_answered_by_another_tab(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    visitor.sign_in()
    first, second = visitor.open(), visitor.open()
    for page in (first, second):
        expect(page.locator(EMPTY)).to_be_visible()
    _answer, cookie = visitor.server.post("/api/auth/login", {"password": PASSWORD})
    visitor.server.post("/api/auth/sign-out-everywhere", {}, cookie)
    for page in (first, second):
        expect(page.locator("#again-password")).to_be_visible()
    second.locator("#again-password").fill(PASSWORD)
    second.locator("#again-password").press("Enter")
    for page in (first, second):
        expect(page.locator("#again-password")).to_be_hidden()
    visitor.add("perso")
    for page in (first, second):
        expect(page.locator(".account")).to_have_count(1)


@pytest.mark.parametrize("lost", ["cookie", "secret"])
def test_half_a_session_is_one_clean_sign_in(visitor: Visitor, lost: str) -> None:
    """Site data may be cleared by halves."""
    visitor.expect(REFUSED)
    visitor.sign_in()
    page = visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    if lost == "cookie":
        visitor.context.clear_cookies()
    else:
        page.evaluate("localStorage.removeItem('page-secret')")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    expect(page.locator(SIGN_IN)).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert len([url for url in asked if "/api/auth/" in url]) == 1, asked
    _sign_in(page)
    page.reload()
    expect(page.locator(EMPTY)).to_be_visible()


def test_page_brought_back_from_memory_is_blank_until_the_server_agrees(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    visitor.sign_in()
    page = visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    back = "() => { dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));"
    back += " return getComputedStyle(document.documentElement).display; }"
    assert page.evaluate(back) == "none"
    expect(page.locator(EMPTY)).to_be_visible()
    page.route("**/api/auth/status", lambda route: route.fulfill(json=route.fetch().json() | {"authenticated": False}))
    page.evaluate(back)
    expect(page.locator(SIGN_IN)).to_be_visible()


def test_fresh_proof_is_asked_for_and_given_by_keyboard_alone(visitor: Visitor) -> None:
    """§11.14"""
    visitor.expect(REFUSED)
    visitor.sign_in()
    visitor.add("perso")
    page = visitor.open()
    page.reload()
    unlocked = page.locator("[data-name=unlocked]")
    expect(unlocked).to_be_visible()
    page.locator("[data-name=lock-now]").focus()
    page.keyboard.press("Enter")
    expect(unlocked).to_be_hidden()
    page.locator("[popovertarget=menu]").focus()
    page.keyboard.press("Enter")
    page.locator("#menu [data-do=export]").focus()
    page.keyboard.press("Enter")
    page.locator("dialog[data-name=export] [name=understood]").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    field = page.locator("#step-up-password")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    expect(page.locator("dialog[data-name=export] [role=alert]")).to_be_visible()
    page.locator("dialog[data-name=export] [data-name=confirm]").focus()
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    page.keyboard.type("not the password")
    page.keyboard.press("Enter")
    expect(page.locator("dialog[data-name=step-up] [role=alert]")).to_be_visible()
    field.fill("")
    field.focus()
    page.keyboard.type(PASSWORD)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert KEY in download.value.path().read_text()
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(unlocked).to_be_visible()
    assert field.input_value() == ""


def test_what_is_unlocked_shows_in_every_tab(one_visitor: Visitor) -> None:
    one_visitor.sign_in()
    first, second = one_visitor.open(), one_visitor.open()
    for page in (first, second):
        expect(page.locator("[data-name=unlocked]")).to_be_visible()
    first.locator("[data-name=lock-now]").click()
    for page in (first, second):
        expect(page.locator("[data-name=unlocked]")).to_be_hidden()


def test_dashboards_below_several_paths_of_a_host_keep_their_secrets_apart(one_visitor: Visitor) -> None:
    """They are one origin, as a proxy has them."""
    one_visitor.sign_in()
    page = one_visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    # What a proxy does with its prefix.
    page.route(
        "**/below/**", lambda route: route.fulfill(response=route.fetch(url=route.request.url.replace("/below", "")))
    )
    secret = page.evaluate(
        """async () => {
            const other = await import('/below/static/js/shared/secret.js');
            const own = await import('/static/js/shared/secret.js');
            other.keepSecret('of the other');
            return { own: own.pageSecret(), other: other.pageSecret() };
        }"""
    )
    assert secret == {"own": one_visitor.page_secret(), "other": "of the other"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_link_of_the_first_visit_brings_the_code_once(browser: Browser, server: Server, language: str) -> None:
    """§11.5: what was forwarded needs the code, and nobody need type it."""
    link = server.first_visit()
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    with visiting(browser, server, locale=LANGUAGES[language], extra_http_headers=forwarded) as visitor:
        visitor.expect(REFUSED)
        page = visitor.context.new_page()
        seen: list[str] = []
        page.on(
            "request", lambda request: seen.append(page.evaluate("location.href") if "/api/" in request.url else "")
        )
        page.goto(link)
        field = page.locator("#setup-password")
        expect(field).to_be_focused()
        expect(page.locator("#setup-code")).to_be_hidden()
        assert page.url == f"{server.url}/"
        assert not any("setup=" in address for address in seen)
        code = link.partition("#setup=")[2]
        assert code not in str(page.evaluate("Object.values({...localStorage, ...sessionStorage})"))
        field.fill(PASSWORD)
        field.press("Enter")
        expect(page.locator("[data-name=api-token]")).not_to_be_empty()
        page.locator("[data-name=token-saved]").click()
        expect(page.locator(EMPTY)).to_be_visible()
        page.goto(link)
        expect(page.locator(EMPTY)).to_be_visible()
        assert page.url == f"{server.url}/"


def test_link_that_is_good_no_longer_asks_for_the_printed_code(browser: Browser, server: Server) -> None:
    link = server.first_visit()
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    with visiting(browser, server, extra_http_headers=forwarded) as visitor:
        visitor.expect(REFUSED)
        page = visitor.context.new_page()
        page.goto(f"{server.url}/#setup=AAAA-BBBB-CCCC")
        page.locator("#setup-password").fill(PASSWORD)
        page.keyboard.press("Enter")
        field = page.locator("#setup-code")
        expect(field).to_be_visible()
        field.fill(link.partition("#setup=")[2])
        field.press("Enter")
        expect(page.locator("[data-name=api-token]")).not_to_be_empty()
