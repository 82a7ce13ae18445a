"""Every state of the page in both themes and on a phone: no accessibility violation, nothing wider than the screen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from authenticators import plug_in, set_up_app
from browser import PASSWORD, PROJECT, Server, Visitor, browser, libraries_cache, server, visiting
from conftest import lack
from playwright.sync_api import Browser, Page, expect

__all__ = ["browser", "libraries_cache", "server"]
AXE = PROJECT / "node_modules" / "axe-core" / "axe.min.js"
ACCESS = "sk-ant-oat01-" + "e5F6g7H8" * 8
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark", "locale": "fr-FR"},
    "phone": {"color_scheme": "light", "locale": "fr-FR", "viewport": {"width": 360, "height": 740}, "has_touch": True},
    "dark phone": {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}, "has_touch": True},
}
DIALOGS = ("aliases", "export", "import", "security", "tokens", "journal", "shortcuts")
# Words that have no room; the name of an account may be cut, its title has it whole.
CUT = """() => [...document.querySelectorAll("button, a.button, h1, h2, h3, label, legend, .note, .entries *")]
    .filter((element) => element.checkVisibility() && element.scrollWidth > element.clientWidth + 1)
    .filter((element) => !element.matches(".heard-only, .identity *, span, strong") && element.clientWidth)
    .map((element) => element.outerHTML.slice(0, 120))"""


@pytest.fixture(params=LOOKS)
def visitor(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Iterator[Visitor]:
    """Return a browser window in each theme and size."""
    if not AXE.exists():
        lack("npm ci first")
    with visiting(browser, server, **LOOKS[request.param]) as window:
        yield window


def check(page: Page, state: str) -> None:
    """Fail with what axe finds, and when something is wider than the window."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run({ resultTypes: ['violations'] })")["violations"]
    told = [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in found]
    assert told == [], state
    assert page.evaluate(CUT) == [], state
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, state


def test_way_in(visitor: Visitor) -> None:
    page = visitor.open()
    page.locator("#setup-password").fill("short")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    check(page, "setup")
    page.locator("#setup-password").fill("correct horse battery")
    page.keyboard.press("Enter")
    expect(page.locator("[data-name=api-token]")).to_be_visible()
    check(page, "token")
    page.locator("[data-name=token-saved]").click()
    expect(page.locator("[data-name=first-steps]")).to_be_visible()
    check(page, "empty")
    page.locator("[popovertarget=menu]").click()
    check(page, "menu")
    page.locator("[data-do=sign-out]").click()
    expect(page.locator("#sign-in-password")).to_be_visible()
    check(page, "signed out")


def test_accounts_and_every_dialog(visitor: Visitor) -> None:
    visitor.sign_in()
    now = int(time.time() * 1000)
    visitor.add("perso")
    visitor.add("client-with-a-very-long-name-ok", auth_type="oauth", access_token=ACCESS, expires_at=now - 60_000)
    visitor.add("runner", auth_type="oauth", access_token=ACCESS, expires_at=now + 9_000_000)
    visitor.add("atelier", auth_type="oauth")
    page = visitor.open()
    expect(page.locator(".account")).to_have_count(4)
    check(page, "cards")
    if page.locator("[data-layout=rows]").is_visible():
        page.locator("[data-layout=rows]").click()
        check(page, "rows")
    page.locator("[data-name=search]").fill("no such account")
    expect(page.locator("[data-name=nothing]")).to_be_visible()
    check(page, "nothing found")
    page.locator("[data-name=search]").fill("")
    for kind in ("api_key", "login", "setup_token"):
        page.locator(".header [data-do=add]").click()
        page.locator(f"dialog[data-name=add] [name=kind][value={kind}]").check(force=True)
        check(page, f"add {kind}")
        page.keyboard.press("Escape")
    for action in ("edit", "delete"):
        page.locator(f".account [data-act={action}]:visible").first.click()
        expect(page.locator(f"dialog[data-name={action}]")).to_be_visible()
        check(page, action)
        page.keyboard.press("Escape")
    page.locator(".account [data-act=login]:visible").first.click()
    expect(page.locator("dialog[data-name=login]")).to_be_visible()
    check(page, "login")
    page.keyboard.press("Escape")
    for name in DIALOGS:
        page.locator("[popovertarget=menu]").click()
        page.locator(f"#menu [data-do={name}]").click()
        expect(page.locator(f"dialog[data-name={name}]")).to_be_visible()
        check(page, name)
        page.keyboard.press("Escape")


def test_fresh_proof_and_sessions(visitor: Visitor) -> None:
    visitor.expect(r"status of 403")
    visitor.server.post("/api/auth/setup", {"password": PASSWORD})
    visitor.sign_in()
    page = visitor.open()
    page.reload()
    expect(page.locator("[data-name=first-steps]")).to_be_visible()
    page.locator("[popovertarget=menu]").click()
    page.locator("#menu [data-do=security]").click()
    expect(page.locator(".sessions button")).to_have_count(1)
    check(page, "sessions of others")
    page.keyboard.press("Escape")
    expect(page.locator("[data-name=unlocked]")).to_be_visible()
    check(page, "unlocked")
    page.locator("[data-name=lock-now]").click()
    expect(page.locator("[data-name=unlocked]")).to_be_hidden()
    page.locator("[popovertarget=menu]").click()
    page.locator("#menu [data-do=export]").click()
    page.locator("dialog[data-name=export] [name=understood]").check()
    page.locator("dialog[data-name=export] [data-name=confirm]").click()
    expect(page.locator("#step-up-password")).to_be_focused()
    check(page, "step-up")
    page.locator("#step-up-password").fill("not the password")
    page.keyboard.press("Enter")
    expect(page.locator("dialog[data-name=step-up] [role=alert]")).to_be_visible()
    check(page, "step-up refused")


def test_second_step_at_sign_in(visitor: Visitor) -> None:
    visitor.expect(r"status of 4\d\d")
    app, codes = set_up_app(visitor.server)
    page = visitor.open()
    page.locator("#sign-in-password").fill(PASSWORD)
    page.keyboard.press("Enter")
    step = page.locator("[data-view=sign-in] [data-name=second-step]")
    expect(step.locator("[name=code]")).to_be_focused()
    check(page, "code of the app")
    page.keyboard.type(app.wrong_code())
    page.keyboard.press("Enter")
    expect(step.get_by_role("alert")).to_be_visible()
    check(page, "wrong code")
    step.locator("[data-use=recovery_code]").click()
    check(page, "recovery code")
    page.keyboard.type(codes[0])
    page.keyboard.press("Enter")
    expect(page.locator("[data-name=first-steps]")).to_be_visible()
    check(page, "recovery code used")
    plug_in(page)
    page.locator("[popovertarget=menu]").click()
    page.locator("#menu [data-do=security]").click()
    page.locator("[data-name=add-passkey]").click()
    check(page, "name of a passkey")
    page.keyboard.type("my laptop with a rather long name for a passkey, really")
    page.keyboard.press("Enter")
    entries = page.locator("dialog[data-name=security] .entries li")
    expect(entries).to_have_count(3)
    check(page, "factors")
    page.keyboard.press("Escape")
    page.locator("[popovertarget=menu]").click()
    page.locator("#menu [data-do=export]").click()
    page.locator("dialog[data-name=export] [name=understood]").check()
    page.locator("dialog[data-name=export] [data-name=confirm]").click()
    proof = page.locator("dialog[data-name=step-up]")
    expect(proof.locator("[data-use=totp]")).to_be_visible()
    check(page, "step-up, three ways")
    proof.locator("[data-use=totp]").click()
    check(page, "step-up by code")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    visitor.context.clear_cookies()
    page.keyboard.press("/")
    page.locator(".header [data-do=add]").click()
    page.locator("dialog[data-name=add] [name=name]").fill("perso")
    page.locator("dialog[data-name=add] [name=api_key]").fill("sk-ant-api03-" + "x" * 80)
    page.keyboard.press("Enter")
    again = page.locator("dialog[data-name=sign-in-again]")
    expect(again.locator("[data-name=passkey-alone]")).to_be_visible()
    check(page, "signed out, over the page")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(again.locator("[name=code]")).to_be_focused()
    check(page, "second step over the page")
    again.locator("[data-name=use-passkey]").click()
    expect(again).to_be_hidden()


def test_secrets_shown_once_and_what_tells_of_them(visitor: Visitor) -> None:
    visitor.expect(r"status of 4\d\d")
    visitor.sign_in()
    page = visitor.open()
    expect(page.locator("[data-name=first-steps]")).to_be_visible()
    page.locator("[popovertarget=menu]").click()
    page.locator("#menu [data-do=security]").click()
    page.locator("[data-name=add-totp]").click()
    expect(page.locator("[data-name=qr]")).to_be_visible()
    check(page, "app to set up")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.locator("[popovertarget=menu]").click()
    page.locator("#menu [data-do=tokens]").click()
    page.locator("#token-name").fill("a program of mine with a rather long name")
    page.locator("#token-end").select_option("day")
    page.locator("#token-day").fill("2099-12-31")
    check(page, "token to make")
    page.keyboard.press("Enter")
    once = page.locator("dialog[data-name=shown-once]")
    expect(once).to_be_visible()
    check(page, "shown once")
    page.keyboard.press("Escape")
    check(page, "shown once, to be kept")
    once.locator("[data-name=kept]").click()
    expect(page.locator("dialog[data-name=tokens] .entries li")).to_have_count(2)
    check(page, "tokens")
    page.locator("dialog[data-name=tokens] .entries button").first.click()
    expect(page.locator("#rotate-password")).to_be_focused()
    check(page, "first token anew")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.locator("[popovertarget=menu]").click()
    page.locator("#menu [data-do=journal]").click()
    expect(page.locator(".happenings li").first).to_be_visible()
    check(page, "journal")


def test_terminal_and_folder(fake_claude: Path, visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.add("perso")
    page = visitor.open()
    page.locator(".account [data-act=open]").click()
    expect(page.locator("dialog[data-name=folder]")).to_be_visible()
    check(page, "folder")
    page.locator("dialog[data-name=folder] footer .primary").click()
    expect(page.locator(".xterm-rows")).to_contain_text("ready")
    check(page, "terminal")
    page.locator("[data-name=find]").click()
    check(page, "terminal search")
    page.locator("[popovertarget=terminal-menu]").click()
    check(page, "terminal menu")
    page.keyboard.press("Escape")
    page.locator("[data-name=close-terminal]").first.click()
    expect(page.locator("dialog[data-name=close-terminal]")).to_be_visible()
    check(page, "close terminal")


@pytest.fixture
def fake_claude(program_folder: Path) -> Path:
    """Put a `claude` on PATH that says it is ready and then repeats what it is told."""
    program = program_folder / "claude"
    program.write_text("#!/bin/sh\necho ready\nexec cat\n")
    program.chmod(0o755)
    return program
