"""The second factor in a real browser: setting it up, signing in with it, proving oneself again, doing without."""

from __future__ import annotations

import re
import sqlite3
import urllib.parse
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyotp
import pytest
import segno
from authenticators import App, plug_in, set_up_app
from browser import (
    PASSWORD,
    REFUSED,
    Server,
    Visitor,
    browser,
    libraries_cache,
    server,
    visiting,
    visitor,
)
from playwright.sync_api import Browser, Locator, Page, expect

__all__ = ["browser", "libraries_cache", "server", "visitor"]
# Whoever signs out at once is faster than the page's own connection.
EXPECTED = f"{REFUSED}|WebSocket is closed before"
EMPTY = "[data-name=first-steps]"
SIGN_IN = "#sign-in-password"
STEP = "[data-view=sign-in] [data-name=second-step]"
CODE = f"{STEP} [name=code]"
SECURITY = "dialog[data-name=security]"
ONCE = "dialog[data-name=shown-once]"
# As browsers were before they converted the JSON of WebAuthn themselves.
OLDER = """if (globalThis.PublicKeyCredential) {
    delete PublicKeyCredential.parseCreationOptionsFromJSON;
    delete PublicKeyCredential.parseRequestOptionsFromJSON;
    delete PublicKeyCredential.prototype.toJSON;
}"""


@pytest.fixture
def one_visitor(browser: Browser, server: Server) -> Iterator[Visitor]:
    """Return a browser window, where the language is no matter."""
    with visiting(browser, server) as window:
        window.expect(EXPECTED)
        yield window


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until this has the focus; a reader without a mouse has no other way."""
    for _press in range(80):
        if page.evaluate("(selector) => document.activeElement?.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached")


def open_menu(page: Page, what: str) -> None:
    """Choose something of the menu by keyboard."""
    tab_to(page, "[popovertarget=menu]")
    page.keyboard.press("Enter")
    tab_to(page, f"#menu [data-do={what}]")
    page.keyboard.press("Enter")


def give_password(page: Page) -> None:
    """Type the password into the form of the way in."""
    expect(page.locator(SIGN_IN)).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")


def sign_out(page: Page) -> None:
    """Leave by the menu."""
    page.locator("[popovertarget=menu]").click()
    page.locator("[data-do=sign-out]").click()
    expect(page.locator(SIGN_IN)).to_be_focused()


def open_security(page: Page) -> Locator:
    """Open the dialog that has the factors."""
    page.locator("[popovertarget=menu]").click()
    page.locator("#menu [data-do=security]").click()
    expect(page.locator(SECURITY)).to_be_visible()
    return page.locator(SECURITY)


def add_passkey(page: Page, name: str) -> list[str]:
    """Add a passkey in the dialog, which is open, and return the recovery codes that came with it."""
    page.locator("[data-name=add-passkey]").click()
    field = page.locator("#passkey-name")
    expect(field).to_be_focused()
    assert field.input_value()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.locator(ONCE)).to_be_visible()
    codes = page.locator("[data-name=once-text]").inner_text().split()
    page.locator("[data-name=kept]").click()
    expect(page.locator(".entries").first).to_contain_text(name)
    return codes


def test_app_is_set_up_and_asked_for_by_keyboard_alone(visitor: Visitor) -> None:
    visitor.expect(EXPECTED)
    visitor.sign_in()
    page = visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    open_menu(page, "security")
    tab_to(page, "[data-name=add-totp]")
    page.keyboard.press("Enter")
    code = page.locator("#totp-code")
    expect(code).to_be_focused()
    uri = page.locator("[data-name=open-app]").get_attribute("href") or ""
    picture = page.locator("[data-name=qr]")
    assert picture.get_attribute("src") == segno.make(uri, error="m", micro=False).svg_data_uri(
        scale=4, light="#fff", dark="#000"
    )
    assert picture.evaluate("(image) => image.naturalWidth") > 100
    totp = pyotp.parse_uri(uri)
    app = App(totp.secret)
    assert page.locator("[data-name=totp-secret]").inner_text().replace(" ", "") == totp.secret
    page.keyboard.type(app.wrong_code())
    page.keyboard.press("Enter")
    expect(page.locator("dialog[data-name=totp] [role=alert]")).to_be_visible()
    expect(code).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type(app.code())
    page.keyboard.press("Enter")
    once = page.locator(ONCE)
    expect(once).to_be_visible()
    codes = once.locator("[data-name=once-text]").inner_text().split()
    assert len(set(codes)) == 10
    for _time in range(3):
        page.keyboard.press("Escape")
    expect(once).to_be_visible()
    expect(once.locator("[data-name=once-note]")).to_be_visible()
    expect(once.locator("[data-name=kept]")).to_be_focused()
    tab_to(page, "[data-name=copy-once]")
    page.keyboard.press("Enter")
    expect(once.locator(".toast").first).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").split() == codes
    tab_to(page, "[data-name=download-once]")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".txt")
    assert set(codes) <= set(download.value.path().read_text().split())
    tab_to(page, "[data-name=kept]")
    page.keyboard.press("Enter")
    expect(once).to_be_hidden()
    expect(page.locator("dialog[data-name=totp]")).to_be_hidden()
    expect(page.locator(f"{SECURITY} .entries li")).to_have_count(2)
    assert page.evaluate("(one) => document.activeElement?.closest(one) !== null", SECURITY)
    left = page.content()
    assert [secret for secret in (*codes, totp.secret, urllib.parse.quote(uri)) if secret in left] == []
    assert "data:image/svg" not in left
    page.keyboard.press("Escape")
    expect(page.locator(SECURITY)).to_be_hidden()
    open_menu(page, "sign-out")
    give_password(page)
    expect(page.locator(CODE)).to_be_focused()
    expect(page.locator(SIGN_IN)).to_be_hidden()
    page.keyboard.type(app.wrong_code())
    page.keyboard.press("Enter")
    expect(page.locator(f"{STEP} [role=alert]")).to_be_visible()
    expect(page.locator(CODE)).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type(app.code())
    page.keyboard.press("Enter")
    expect(page.locator(EMPTY)).to_be_visible()
    page.reload()
    expect(page.locator(EMPTY)).to_be_visible()


@pytest.mark.parametrize("conversion", ["the browser's", "ours"])
def test_passkey_is_second_step_then_alone_then_proof_then_gone(one_visitor: Visitor, conversion: str) -> None:
    visitor = one_visitor
    visitor.sign_in()
    if conversion == "ours":
        visitor.context.add_init_script(OLDER)
    page = visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    plug_in(page)
    open_security(page)
    assert len(add_passkey(page, "laptop")) == 10
    expect(page.locator(".entries li").first).to_contain_text("localhost")
    page.keyboard.press("Escape")
    sign_out(page)
    # After the password.
    give_password(page)
    button = page.locator(f"{STEP} [data-name=use-passkey]")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(EMPTY)).to_be_visible()
    sign_out(page)
    # In place of it.
    page.locator("[data-view=sign-in] [data-name=passkey-alone]").click()
    expect(page.locator(EMPTY)).to_be_visible()
    # To prove oneself again.
    page.locator("[data-name=lock-now]").click()
    expect(page.locator("[data-name=unlocked]")).to_be_hidden()
    page.locator("[popovertarget=menu]").click()
    page.locator("#menu [data-do=export]").click()
    page.locator("dialog[data-name=export] [name=understood]").check()
    page.locator("dialog[data-name=export] [data-name=confirm]").click()
    proof = page.locator("dialog[data-name=step-up]")
    expect(page.locator("#step-up-password")).to_be_focused()
    with page.expect_download():
        proof.locator("[data-use=passkey]").click()
    expect(proof).to_be_hidden()
    # Without it the password alone signs in again, and the button for it alone is gone.
    security = open_security(page)
    security.locator(".entries button").first.click()
    page.locator("dialog[data-name=confirm] [value=yes]").click()
    expect(security.locator(".entries li")).to_have_count(0)
    expect(security.locator("[data-name=add-totp]")).to_be_focused()
    page.keyboard.press("Escape")
    sign_out(page)
    expect(page.locator("[data-view=sign-in] [data-name=passkey-alone]")).to_be_hidden()
    give_password(page)
    expect(page.locator(EMPTY)).to_be_visible()


def test_passkey_that_is_declined_is_told_and_something_else_helps(visitor: Visitor) -> None:
    visitor.expect(EXPECTED)
    visitor.sign_in()
    page = visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    plug_in(page)
    open_security(page)
    codes = add_passkey(page, "laptop")
    # The same device once more.
    page.locator("[data-name=add-passkey]").click()
    page.locator("#passkey-name").fill("again")
    page.keyboard.press("Enter")
    expect(page.locator("#step-up-password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("dialog[data-name=passkey] [role=alert]")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    sign_out(page)
    decline = "() => { navigator.credentials.get = () => Promise.reject(new DOMException('no', 'NotAllowedError')); }"
    page.evaluate(decline)
    page.locator("[data-view=sign-in] [data-name=passkey-alone]").click()
    expect(page.locator("[data-view=sign-in] [role=alert]").first).to_be_visible()
    page.locator(SIGN_IN).focus()
    give_password(page)
    page.locator(f"{STEP} [data-name=use-passkey]").click()
    expect(page.locator(f"{STEP} [role=alert]")).to_be_visible()
    page.locator(f"{STEP} [data-use=recovery_code]").click()
    expect(page.locator(f"{STEP} [role=alert]")).to_be_hidden()
    expect(page.locator(CODE)).to_be_focused()
    page.keyboard.type(codes[0])
    page.keyboard.press("Enter")
    expect(page.locator(EMPTY)).to_be_visible()
    expect(page.locator(".toast")).to_contain_text("9")


def test_recovery_code_signs_in_once(visitor: Visitor) -> None:
    visitor.expect(EXPECTED)
    _app, codes = set_up_app(visitor.server)
    page = visitor.open()
    for code, left in ((codes[0], 9), (codes[1].lower().replace("-", " "), 8)):
        give_password(page)
        expect(page.locator(CODE)).to_be_focused()
        page.locator(f"{STEP} [data-use=recovery_code]").click()
        expect(page.locator(CODE)).to_be_focused()
        page.keyboard.type("AAAA-BBBB-CCCC")
        page.keyboard.press("Enter")
        expect(page.locator(f"{STEP} [role=alert]")).to_be_visible()
        expect(page.locator(CODE)).to_be_focused()
        # The wrong one is selected.
        page.keyboard.type(code)
        page.keyboard.press("Enter")
        expect(page.locator(EMPTY)).to_be_visible()
        expect(page.locator(".toast")).to_contain_text(str(left))
        security = open_security(page)
        expect(security.locator(".entries li").last).to_contain_text(str(left))
        page.keyboard.press("Escape")
        sign_out(page)
    give_password(page)
    page.locator(f"{STEP} [data-use=recovery_code]").click()
    page.keyboard.type(codes[0])
    page.keyboard.press("Enter")
    expect(page.locator(f"{STEP} [role=alert]")).to_be_visible()
    page.locator(f"{STEP} [data-name=step-back]").click()
    expect(page.locator(SIGN_IN)).to_be_focused()
    assert page.locator(SIGN_IN).input_value() == ""


def test_sign_in_of_too_many_wrong_codes_begins_again_with_the_password(visitor: Visitor) -> None:
    visitor.expect(EXPECTED)
    app, _codes = set_up_app(visitor.server)
    page = visitor.open()
    give_password(page)
    expect(page.locator(CODE)).to_be_focused()
    wrong = app.wrong_code()
    for _try in range(6):
        with page.expect_response("**/api/auth/login/factor"):
            page.keyboard.type(wrong)
            page.keyboard.press("Enter")
        expect(page.locator("[data-view=sign-in] [role=alert]:visible")).to_have_count(1)
    expect(page.locator(STEP)).to_be_hidden()
    give_password(page)
    expect(page.locator(CODE)).to_be_focused()
    assert page.locator(CODE).input_value() == ""
    page.keyboard.type(app.code())
    page.keyboard.press("Enter")
    expect(page.locator(EMPTY)).to_be_visible()


def test_ended_session_is_taken_up_over_the_page_with_both_steps(visitor: Visitor) -> None:
    visitor.expect(EXPECTED)
    app, codes = set_up_app(visitor.server)
    page = visitor.open()
    give_password(page)
    page.locator(f"{STEP} [data-use=recovery_code]").click()
    page.keyboard.type(codes[0])
    with page.expect_websocket() as opened:
        page.keyboard.press("Enter")
    # Without its cookie the socket would be the first to notice.
    with opened.value.expect_event("framereceived", lambda frame: str(frame).startswith("40")):
        pass
    expect(page.locator(EMPTY)).to_be_visible()
    page.keyboard.press("n")
    form = page.locator("dialog[data-name=add]")
    form.locator("[name=name]").fill("perso")
    form.locator("[name=api_key]").fill("sk-ant-api03-" + "x" * 80)
    visitor.context.clear_cookies()
    form.locator("[name=name]").press("Enter")
    again = page.locator("dialog[data-name=sign-in-again]")
    expect(page.locator("#again-password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    code = again.locator("[name=code]")
    expect(code).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(code).to_be_visible()
    page.keyboard.type(app.code())
    page.keyboard.press("Enter")
    expect(again).to_be_hidden()
    expect(page.locator(".account h2")).to_have_text("perso")


def test_proof_by_a_code_of_the_app(visitor: Visitor) -> None:
    visitor.expect(EXPECTED)
    app, codes = set_up_app(visitor.server)
    page = visitor.open()
    give_password(page)
    page.locator(f"{STEP} [data-use=recovery_code]").click()
    page.keyboard.type(codes[0])
    page.keyboard.press("Enter")
    expect(page.locator(EMPTY)).to_be_visible()
    page.locator("[data-name=lock-now]").click()
    security = open_security(page)
    expect(security.locator("[data-name=add-totp]")).to_be_hidden()
    security.locator(".entries button").first.click()
    page.locator("dialog[data-name=confirm] [value=yes]").click()
    proof = page.locator("dialog[data-name=step-up]")
    expect(page.locator("#step-up-password")).to_be_focused()
    proof.locator("[data-use=totp]").click()
    expect(page.locator("#step-up-code")).to_be_focused()
    page.keyboard.type(app.wrong_code())
    page.keyboard.press("Enter")
    expect(proof.get_by_role("alert")).to_be_visible()
    expect(page.locator("#step-up-code")).to_be_focused()
    proof.locator("[data-use=password]").click()
    expect(page.locator("#step-up-password")).to_be_focused()
    proof.locator("[data-use=totp]").click()
    page.locator("#step-up-code").fill(app.code())
    page.keyboard.press("Enter")
    expect(proof).to_be_hidden()
    expect(security.locator(".entries li")).to_have_count(0)
    assert page.locator("#step-up-code").input_value() == ""


def test_new_recovery_codes_end_those_of_before_and_can_be_printed(visitor: Visitor) -> None:
    visitor.expect(EXPECTED)
    _app, codes = set_up_app(visitor.server)
    page = visitor.open()
    give_password(page)
    page.locator(f"{STEP} [data-use=recovery_code]").click()
    page.keyboard.type(codes[0])
    page.keyboard.press("Enter")
    expect(page.locator(EMPTY)).to_be_visible()
    security = open_security(page)
    security.locator(".entries button").last.click()
    page.locator("dialog[data-name=confirm] [value=yes]").click()
    once = page.locator(ONCE)
    expect(once).to_be_visible()
    new = once.locator("[data-name=once-text]").inner_text().split()
    assert not set(new) & set(codes)
    page.evaluate("window.print = () => { window.printed = true; }")
    once.locator("[data-name=print-once]").click()
    assert page.evaluate("window.printed") is True
    page.emulate_media(media="print", color_scheme="dark")
    expect(once.locator("[data-name=once-text]")).to_be_visible()
    expect(once.locator("[data-name=once-place]")).to_contain_text(f"localhost:{visitor.server.port}")
    for other in (SECURITY, "[data-view=dashboard]", f"{ONCE} footer", f"{ONCE} .row"):
        expect(page.locator(other)).to_be_hidden()
    ink = once.evaluate("(element) => getComputedStyle(element).color")
    assert max(int(part) for part in re.findall(r"\d+", ink)[:3]) < 80, ink
    page.emulate_media(media="screen", color_scheme="light")
    once.locator("[data-name=kept]").click()
    expect(security.locator(".entries li").last).to_contain_text("10")
    page.keyboard.press("Escape")
    sign_out(page)
    give_password(page)
    page.locator(f"{STEP} [data-use=recovery_code]").click()
    page.keyboard.type(codes[1])
    page.keyboard.press("Enter")
    expect(page.locator(f"{STEP} [role=alert]")).to_be_visible()
    page.keyboard.type(new[0])
    page.keyboard.press("Enter")
    expect(page.locator(EMPTY)).to_be_visible()


def test_secret_shown_once_comes_back_when_something_else_closes_it(one_visitor: Visitor) -> None:
    """As the gesture for "back" does on a phone."""
    one_visitor.sign_in()
    page = one_visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    plug_in(page)
    open_security(page)
    page.locator("[data-name=add-passkey]").click()
    page.keyboard.press("Enter")
    text = page.locator("[data-name=once-text]")
    expect(text).to_be_visible()
    codes = text.inner_text()
    page.locator(ONCE).evaluate("(element) => element.close()")
    expect(text).to_have_text(codes)
    expect(text).to_be_visible()


def test_page_at_an_address_offers_no_passkey(browser: Browser, server: Server) -> None:
    app, _codes = set_up_app(server)
    with visiting(browser, server) as visitor:
        visitor.expect(EXPECTED)
        page = visitor.context.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/")
        visitor.hosts.discard(f"127.0.0.1:{server.port}")
        give_password(page)
        expect(page.locator(CODE)).to_be_focused()
        expect(page.locator(f"{STEP} [data-name=use-passkey]")).to_be_hidden()
        page.keyboard.type(app.code())
        page.keyboard.press("Enter")
        expect(page.locator(EMPTY)).to_be_visible()
        security = open_security(page)
        expect(security.locator("[data-name=passkey-place]")).to_be_visible()
        expect(security.locator("[data-name=add-passkey]")).to_be_hidden()
        page.wait_for_load_state("networkidle")
        visitor.hosts.clear()


def test_passkey_of_another_name_is_no_way_in_and_that_is_told(home: Path, visitor: Visitor) -> None:
    visitor.expect(EXPECTED)
    visitor.server.post("/api/auth/setup", {"password": PASSWORD})
    page = visitor.open()
    expect(page.locator(SIGN_IN)).to_be_focused()
    database = home / ".claude-accounts" / "accounts.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        row = ("AAAA", b"", 0, "phone", "dash.example.org", "https://dash.example.org", 1)
        connection.execute("INSERT INTO passkeys VALUES (?, ?, ?, ?, ?, ?, ?, 0)", row)
    give_password(page)
    expect(page.locator(f"{STEP} [role=alert] .hint")).to_be_visible()
    expect(page.locator(f"{STEP} [data-name=use-passkey]")).to_be_hidden()
    expect(page.locator(CODE)).to_be_hidden()
    expect(page.locator(f"{STEP} [data-name=step-back]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(SIGN_IN)).to_be_focused()
    expect(page.locator("[data-view=sign-in] [role=alert]:visible")).to_have_count(0)


def test_secret_of_an_app_that_is_not_set_up_stays_nowhere(one_visitor: Visitor) -> None:
    one_visitor.sign_in()
    page = one_visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    open_security(page)
    page.locator("[data-name=add-totp]").click()
    expect(page.locator("[data-name=qr]")).to_be_visible()
    secret = page.locator("[data-name=totp-secret]").inner_text()
    page.keyboard.type("123")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[data-name=totp]")).to_be_hidden()
    expect(page.locator("[data-name=add-totp]")).to_be_focused()
    expect(page.locator("[data-name=totp-secret]")).to_be_empty()
    left = page.content()
    assert [text for text in (secret, secret.replace(" ", ""), "data:image/svg", "otpauth:") if text in left] == []
    assert page.locator("#totp-code").input_value() == ""
