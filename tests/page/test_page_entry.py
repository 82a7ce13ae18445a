"""The way in, in a real browser: the first password, the token shown once, signing in, signing in over the page."""

from __future__ import annotations

import re

from browser import PASSWORD, REFUSED, Visitor, browser, libraries_cache, server, visitor
from playwright.sync_api import expect

__all__ = ["browser", "libraries_cache", "server", "visitor"]


def test_first_visit_creates_the_password_and_shows_the_token_once(visitor: Visitor) -> None:
    page = visitor.open()
    french = visitor.context.pages[0].evaluate("navigator.language").startswith("fr")
    expect(page.get_by_role("heading", level=1)).to_have_text("Bienvenue" if french else "Welcome")
    assert page.evaluate("document.documentElement.lang") == ("fr" if french else "en")
    field = page.locator("#setup-password")
    expect(field).to_be_focused()
    field.fill("short")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(re.compile("10"))
    field.fill(PASSWORD)
    page.locator("[data-reveal='setup-password']").click()
    expect(field).to_have_attribute("type", "text")
    page.keyboard.press("Enter")
    field.press("Enter")
    token = page.locator("[data-name=api-token]")
    expect(token).to_be_visible()
    words = token.inner_text()
    page.locator("[data-name=copy-token]").click()
    assert page.evaluate("navigator.clipboard.readText()") == words
    page.locator("[data-name=token-saved]").click()
    expect(page.locator("[data-name=first-steps]")).to_be_visible()
    assert words not in page.content()
    assert words not in str(page.evaluate("Object.values({...localStorage, ...sessionStorage})"))
    page.reload()
    expect(page.locator("[data-name=first-steps]")).to_be_visible()


def test_signing_in_and_out(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    visitor.server.post("/api/auth/setup", {"password": PASSWORD})
    page = visitor.open()
    field = page.locator("#sign-in-password")
    field.fill("not the password")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    field.fill(PASSWORD)
    field.press("Enter")
    expect(page.locator("[data-name=first-steps]")).to_be_visible()
    page.locator("[popovertarget=menu]").click()
    page.locator("[data-do=sign-out]").click()
    expect(page.locator("#sign-in-password")).to_be_focused()


def test_ended_session_is_taken_up_over_the_page_and_keeps_what_was_typed(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    visitor.sign_in()
    page = visitor.open()
    expect(page.locator("[data-name=first-steps]")).to_be_visible()
    page.keyboard.press("n")
    form = page.locator("dialog[data-name=add]")
    form.locator("[name=name]").fill("perso")
    form.locator("[name=api_key]").fill("sk-ant-api03-" + "x" * 80)
    # Another browser ends every session, as its owner may.
    _answer, cookie = visitor.server.post("/api/auth/login", {"password": PASSWORD})
    visitor.server.post("/api/auth/sign-out-everywhere", {}, cookie)
    again = page.locator("#again-password")
    expect(again).to_be_visible()
    page.keyboard.press("Escape")
    again.fill(PASSWORD)
    again.press("Enter")
    expect(again).to_be_hidden()
    expect(form.locator("[name=name]")).to_have_value("perso")
    form.locator("[name=name]").press("Enter")
    expect(page.locator(".account h2")).to_have_text("perso")


def test_password_and_sessions_in_their_dialog(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    visitor.sign_in()
    page = visitor.open()
    page.locator("[popovertarget=menu]").click()
    page.locator("[data-do=security]").click()
    dialog = page.locator("dialog[data-name=security]")
    expect(dialog.locator(".sessions li")).to_have_count(1)
    dialog.locator("#old-password").fill("wrong password")
    dialog.locator("#new-password").fill("another good password")
    dialog.locator("#new-password").press("Enter")
    expect(dialog.get_by_role("alert").first).to_be_visible()
    expect(dialog.locator("#old-password")).to_be_focused()
    dialog.locator("#old-password").fill(PASSWORD)
    dialog.locator("#old-password").press("Enter")
    expect(dialog.locator(".toast")).to_be_visible()
    dialog.locator("[data-name=sign-out-everywhere]").click()
    page.locator("dialog[data-name=confirm] [value=yes]").click()
    expect(page.locator("#sign-in-password")).to_be_visible()


def test_server_that_goes_away_is_told_and_its_return_needs_no_reload(visitor: Visitor) -> None:
    visitor.expect(r"ERR_CONNECTION_REFUSED|WebSocket|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET")
    visitor.sign_in()
    visitor.add("perso")
    page = visitor.open()
    expect(page.locator(".account")).to_have_count(1)
    page.evaluate("window.same = true")
    visitor.server.stop()
    banner = page.locator("[data-name=connection]")
    expect(banner).to_be_visible(timeout=15_000)
    visitor.server.start()
    expect(banner).to_be_hidden(timeout=20_000)
    visitor.add("boulot")
    expect(page.locator(".account")).to_have_count(2)
    assert page.evaluate("window.same") is True


def test_server_that_goes_away_before_the_socket_is_there_is_told_too(visitor: Visitor) -> None:
    visitor.expect("ERR_FAILED|Failed to fetch")
    visitor.sign_in()
    page = visitor.context.new_page()
    page.route("**/socket.io.js*", lambda route: route.abort())
    page.goto(visitor.server.url)
    banner = page.locator("[data-name=connection]")
    expect(banner).to_be_visible()
    page.unroute("**/socket.io.js*")
    expect(banner).to_be_hidden()
    visitor.add("perso")
    expect(page.locator(".account")).to_have_count(1)


def test_setup_code_is_asked_for_where_the_server_wants_it(visitor: Visitor) -> None:
    page = visitor.context.new_page()
    # The server wants it from other machines only, and the browser of this test is on this one.
    page.route(
        "**/api/auth/status",
        lambda route: route.fulfill(json=route.fetch().json() | {"setup_code_required": True}),
    )
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or ""))
    page.goto(visitor.server.url)
    field = page.locator("#setup-code")
    expect(field).to_be_visible()
    field.fill("ABCD-EFGH")
    page.locator("#setup-password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("[data-name=api-token]")).not_to_be_empty()
    assert any("ABCD-EFGH" in body for body in sent)
