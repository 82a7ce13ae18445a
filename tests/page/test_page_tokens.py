"""API tokens in a real browser: made, shown once, used by a program, told of, revoked."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import warm
from browser import PASSWORD, REFUSED, Visitor, browser, libraries_cache, server, visitor
from playwright.sync_api import Locator, Page, expect

__all__ = ["browser", "libraries_cache", "server", "visitor"]
EMPTY = "[data-name=first-steps]"


def status(visitor: Visitor, token: str, method: str = "GET", path: str = "/api/accounts") -> int:
    """Send a request as curl would and return its status."""
    headers = {"X-Auth-Token": token, "Content-Type": "application/json"}
    body = json.dumps({}).encode() if method == "POST" else None
    request = urllib.request.Request(visitor.server.url + path, body, headers, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=warm.DEADLINE) as answer:  # noqa: S310 - our own address
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def open_tokens(page: Page) -> Locator:
    """Open the dialog of the tokens."""
    page.locator("[popovertarget=menu]").click()
    page.locator("#menu [data-do=tokens]").click()
    return page.locator("dialog[data-name=tokens]")


def take(page: Page) -> str:
    """Return the token that is shown this once, and say that it is kept."""
    once = page.locator("dialog[data-name=shown-once]")
    expect(once).to_be_visible()
    token = once.locator("[data-name=once-text]").inner_text()
    once.locator("[data-name=copy-once]").click()
    assert page.evaluate("navigator.clipboard.readText()") == token
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(once).to_be_visible()
    once.locator("[data-name=kept]").click()
    expect(once).to_be_hidden()
    assert token not in page.content()
    return token


def test_token_is_made_used_told_of_and_revoked(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    visitor.sign_in()
    page = visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    dialog = open_tokens(page)
    lines = dialog.locator(".entries li")
    expect(lines).to_have_count(1)
    dialog.locator("#token-name").fill("backup")
    dialog.locator("#token-name").press("Enter")
    reader = take(page)
    expect(lines).to_have_count(2)
    expect(lines.last).to_contain_text("backup")
    assert status(visitor, reader) == 200
    assert status(visitor, reader, "POST", "/api/install-aliases") == 403
    # The same name is taken.
    dialog.locator("#token-name").fill("backup")
    dialog.locator("#token-name").press("Enter")
    expect(dialog.get_by_role("alert")).to_be_visible()
    unused = lines.last.inner_text()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("[popovertarget=menu]")).to_be_visible()
    open_tokens(page)
    expect(dialog.get_by_role("alert")).to_be_hidden()
    expect(lines).to_have_count(2)
    expect(lines.last).not_to_have_text(unused)
    lines.last.get_by_role("button").click()
    page.locator("dialog[data-name=confirm] [value=yes]").click()
    expect(lines).to_have_count(1)
    expect(dialog.locator("#token-name")).to_be_focused()
    assert status(visitor, reader) == 401


def test_token_has_the_scope_and_the_end_that_were_chosen(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    visitor.sign_in()
    page = visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    dialog = open_tokens(page)
    end, day = dialog.locator("#token-end"), dialog.locator("#token-day")
    expect(day).to_be_hidden()
    dialog.locator("#token-name").fill("robot")
    dialog.locator("[name=scope][value=admin]").check(force=True)
    end.select_option("day")
    expect(day).to_be_visible()
    dialog.locator("#token-name").press("Enter")
    expect(dialog.get_by_role("alert")).to_be_visible()
    expect(day).to_be_focused()
    day.fill("2020-01-01")
    day.press("Enter")
    expect(dialog.get_by_role("alert")).to_be_visible()
    expect(day).to_be_focused()
    day.fill("2099-12-31")
    day.press("Enter")
    admin = take(page)
    expect(dialog.locator(".entries li").last).to_contain_text("2099")
    assert status(visitor, admin, "POST", "/api/export") == 200


def test_first_token_is_made_anew_with_the_password(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    answer, _cookie = visitor.server.post("/api/auth/setup", {"password": PASSWORD})
    first = answer["api_token"]
    visitor.sign_in()
    page = visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    dialog = open_tokens(page)
    dialog.locator(".entries button").first.click()
    field = page.locator("#rotate-password")
    expect(field).to_be_focused()
    page.keyboard.type("not the password")
    page.keyboard.press("Enter")
    expect(page.locator("dialog[data-name=rotate] [role=alert]")).to_be_visible()
    assert status(visitor, first) == 200
    field.fill(PASSWORD)
    page.keyboard.press("Enter")
    second = take(page)
    assert status(visitor, first) == 401
    assert status(visitor, second) == 200
    assert field.input_value() == ""


def test_token_that_is_copied_by_hand_stays_nowhere(visitor: Visitor) -> None:
    """Where the page may not copy, it shows what there is to copy."""
    visitor.sign_in()
    page = visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    refuse = "navigator.clipboard.writeText = () => Promise.reject(new Error()); document.execCommand = () => false;"
    page.evaluate(f"() => {{ {refuse} }}")
    dialog = open_tokens(page)
    dialog.locator("#token-name").fill("backup")
    dialog.locator("#token-name").press("Enter")
    once = page.locator("dialog[data-name=shown-once]")
    once.locator("[data-name=copy-once]").click()
    by_hand = page.locator("dialog[data-name=copy]")
    expect(by_hand).to_be_visible()
    token = by_hand.locator("[data-name=text]").inner_text()
    assert token == once.locator("[data-name=once-text]").inner_text()
    page.keyboard.press("Escape")
    expect(by_hand).to_be_hidden()
    expect(by_hand.locator("[data-name=text]")).to_be_empty()
    expect(once).to_be_visible()
    once.locator("[data-name=kept]").click()
    expect(once).to_be_hidden()
    assert token not in page.content()
