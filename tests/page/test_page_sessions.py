"""Durable logins, limits, running sessions and bound folders on the page, in a real browser."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import REFUSED, Server, Visitor, browser, libraries_cache, server, visiting
from conftest import NAMELESS, write_program
from playwright.sync_api import Browser, Locator, Page, Route, expect
from stored import expired_account
from test_page_looks import check
from token_endpoint import TokenEndpoint, in_hours

from claude_accounts import db
from claude_accounts.accounts import bindings, rows as account_rows, sessions as running_sessions, storage, usage

__all__ = ["browser", "libraries_cache", "server"]


@pytest.fixture
def visitor(browser: Browser, endpoint: TokenEndpoint, program_folder: Path, server: Server) -> Iterator[Visitor]:
    """Return a signed-in browser, with an OAuth account whose login ends in 19 days."""
    write_program(program_folder / "claude", NAMELESS + "echo ready $CLAUDE_ACCOUNT\nexec cat\n")
    with visiting(browser, server) as window:
        window.sign_in()
        expired_account(endpoint)
        with storage.writing() as connection:
            connection.execute(
                "UPDATE accounts SET login_expires_at = ?, expires_at = ?", (in_hours(24 * 19.5), in_hours(5))
            )
        yield window


def card(page: Page, name: str = "client") -> Locator:
    """Return the card of one account."""
    return page.locator(".account").filter(has=page.get_by_role("heading", name=name, exact=True))


def test_login_becomes_durable_and_back_by_a_switch(visitor: Visitor) -> None:
    page = visitor.open()
    ends = card(page).locator("dl")
    expect(ends).to_contain_text(re.compile(r"Token ends.*in 4 hr.*Login ends.*19 days", re.DOTALL))
    card(page).locator("[data-act=edit]").click()
    page.locator("dialog[open] [name=durable]").check()
    page.locator("dialog[open] .primary").click()
    expect(card(page)).to_contain_text("OAuth · durable")
    expect(ends).to_contain_text(re.compile(r"Login ends.*19 days", re.DOTALL))
    assert db.find_account("client").durable
    held = account_rows.reread(db.find_account("client").id)
    running_sessions.record(held, os.getpid(), "/tmp", running_sessions.SHELL)
    visitor.expect(REFUSED)
    expect(page.locator("[data-name=sessions-part]")).to_be_visible()
    card(page).locator("[data-act=edit]").click()
    page.locator("dialog[open] [name=durable]").uncheck()
    page.locator("dialog[data-name=edit] .primary").click()
    confirm = page.locator("dialog[data-name=confirm]")
    expect(confirm).to_contain_text("1 session of client")
    confirm.locator("[value=yes]").click()
    expect(card(page)).not_to_contain_text("durable")
    assert not db.find_account("client").durable


def test_limits_are_bars_with_their_age_and_go_when_they_say_nothing(visitor: Visitor) -> None:
    page = visitor.open()
    expect(card(page).locator("meter")).to_have_count(0)
    now = int(time.time() * 1000)
    usage.remember(
        "client", [usage.Usage("five_hour", 42, now + 3_600_000, now), usage.Usage("seven_day", 9, now - 1, now)]
    )
    meter = card(page).get_by_role("meter", name="5 h: 42 % used")
    expect(meter).to_be_visible()
    expect(card(page).locator("meter")).to_have_count(1)
    expect(card(page)).to_contain_text(re.compile("starts anew in .* · told just now"))
    check(page, "limits")
    page.locator("[data-layout=rows]").click()
    expect(meter).to_be_visible()
    check(page, "limits in rows")


def test_login_that_ends_soon_is_on_top(visitor: Visitor) -> None:
    with storage.writing() as connection:
        connection.execute("UPDATE accounts SET login_expires_at = ?", (in_hours(30),))
    page = visitor.open()
    expect(page.locator("[data-name=attention]")).to_contain_text("client")
    expect(card(page)).to_contain_text("Login ends")
    expect(card(page).locator("[data-name=login-ends].soon")).to_be_visible()
    expect(card(page).locator("[data-name=ends].soon")).to_have_count(0)
    expect(card(page).locator("[data-name=login-first]")).to_be_visible()
    check(page, "login ends soon")


def test_ends_that_come_near_are_told_with_the_button_that_helps(visitor: Visitor) -> None:
    token = "sk-ant-oat01-" + "e5F6g7H8" * 8
    for name, end in (("runner", in_hours(10)), ("robot", in_hours(-1)), ("later", in_hours(2000))):
        visitor.add(name, auth_type="oauth", access_token=token, expires_at=end)
    page = visitor.open()
    notice = page.locator("[data-name=attention-text]")
    expect(notice).to_contain_text("The token of robot has ended")
    expect(notice).to_contain_text("The token of runner ends within a day")
    expect(notice).not_to_contain_text("later")
    expect(card(page, "robot").locator("[data-act=open]")).to_be_hidden()
    expect(card(page, "runner").locator("[data-act=open]")).to_be_visible()
    check(page, "ends")
    page.locator("[data-do=show-attention]").click()
    expect(page.locator(".account h2")).to_have_text(["robot", "runner"])
    card(page, "robot").locator("[data-name=edit-first]").click()
    expect(page.locator("dialog[data-name=edit] [name=access_token]")).to_be_visible()


def test_login_that_two_accounts_share_is_offered_anew(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    account = db.find_account("client")
    entry = db.export_accounts()[0]
    db.add_account("twin", db.OAUTH, access_token=entry["access_token"], refresh_token=entry["refresh_token"])
    page = visitor.open()
    card(page).locator("[data-act=edit]").click()
    page.locator("dialog[open] [name=durable]").check()
    page.locator("dialog[data-name=edit] .primary").click()
    confirm = page.locator("dialog[data-name=confirm]")
    expect(confirm).to_contain_text("twin")
    confirm.locator("[value=yes]").click()
    expect(page.locator("dialog[data-name=login] [name=durable]")).to_be_checked()
    assert not db.get_account(account.id).durable


def test_running_sessions_come_and_go(visitor: Visitor) -> None:
    page = visitor.open()
    part = page.locator("[data-name=sessions-part]")
    expect(card(page)).to_be_visible()
    expect(part).to_be_hidden()
    held = account_rows.reread(db.find_account("client").id)
    running_sessions.record(held, os.getpid(), "/some/folder", running_sessions.SHELL)
    expect(part).to_be_visible(timeout=10_000)
    part.locator("summary").click()
    expect(part.locator("li")).to_contain_text("client/some/folder")
    expect(part.locator("li")).to_contain_text(f"PID {os.getpid()}")
    check(page, "sessions")
    card(page).locator("[data-act=delete]").click()
    expect(page.locator("dialog[open]")).to_contain_text("1 session of client is still running")
    page.keyboard.press("Escape")
    card(page).locator("[data-act=refresh]").click()
    expect(page.get_by_text("keeps the token that it was started with")).to_be_visible()
    with storage.writing() as connection:
        connection.execute("DELETE FROM running_sessions")
    expect(part).to_be_hidden(timeout=10_000)


def test_what_is_typed_before_the_folders_are_known_stays(visitor: Visitor, home: Path) -> None:
    """On a slow connection the dialog is used before it is filled."""
    (home / "project").mkdir()
    folder = str(home / "project")
    bindings.bind(db.find_account("client").id, folder)
    page = visitor.open()
    held: list[Route] = []
    # A handler of Python's own code: the browser's driver cannot call a built-in one.
    page.route(re.compile("/api/(browse|bindings)"), lambda route: held.append(route))
    with page.expect_request("**/api/bindings"):
        card(page).locator("[data-act=open]").click()
    dialog = page.locator("dialog[data-name=folder]")
    path, box = dialog.locator("[name=path]"), dialog.get_by_label("In this folder always client")
    path.fill(folder)
    expect(box).not_to_be_checked()
    with page.expect_request("**/api/browse"):
        held.pop(0).continue_()
    expect(dialog).to_contain_text(f"{folder} belongs to client")
    expect(box).to_be_checked()
    box.uncheck()
    held.pop(0).continue_()
    expect(dialog.locator("[data-name=folders]")).to_contain_text("..")
    expect(path).to_have_value(folder)
    expect(box).not_to_be_checked()
    page.unroute_all()
    page.keyboard.press("Enter")
    expect(page.locator(".pane:not([hidden]) .xterm-rows")).to_contain_text("ready client")
    assert bindings.listed() == []


def test_folder_is_bound_in_the_dialog_and_asks_another_account(visitor: Visitor, home: Path) -> None:
    visitor.add("other")
    (home / "project").mkdir()
    folder = str(home / "project")
    page = visitor.open()
    card(page).locator("[data-act=open]").click()
    dialog = page.locator("dialog[data-name=folder]")
    expect(dialog.locator("[name=path]")).to_be_focused()
    dialog.locator("[name=path]").fill(folder)
    dialog.get_by_label("In this folder always client").check()
    check(page, "folder to bind")
    dialog.locator("footer .primary").click()
    rows = page.locator(".pane:not([hidden]) .xterm-rows")
    expect(rows).to_contain_text("ready client")
    assert [(each.folder, each.account_name) for each in bindings.listed()] == [(folder, "client")]
    page.locator("[data-name=to-dashboard]").click()
    card(page, "other").locator("[data-act=open]").click()
    dialog.locator("[name=path]").fill(folder)
    expect(dialog).to_contain_text(f"{folder} belongs to client")
    page.keyboard.press("Enter")
    ended = page.locator(".pane:not([hidden]) [data-name=ended]")
    expect(ended).to_contain_text("belongs to client")
    ended.locator("[data-name=force]").click()
    expect(rows).to_contain_text("ready other")
    page.locator("[data-name=to-dashboard]").click()
    card(page).locator("[data-act=open]").click()
    dialog.locator("[name=path]").fill(folder)
    expect(dialog.get_by_label("In this folder always client")).to_be_checked()
    dialog.get_by_label("In this folder always client").uncheck()
    page.keyboard.press("Enter")
    expect(rows).to_contain_text("ready client")
    assert bindings.listed() == []


def test_it_speaks_french(browser: Browser, server: Server, endpoint: TokenEndpoint) -> None:
    with visiting(browser, server, locale="fr-FR", viewport={"width": 360, "height": 740}) as window:
        window.sign_in()
        account = expired_account(endpoint)
        db.set_durable(account.id, True)
        now = int(time.time() * 1000)
        usage.remember("client", [usage.Usage("seven_day", 91, now + 86_400_000, now)])
        running_sessions.record(account_rows.reread(account.id), os.getpid(), "/dossier", running_sessions.WEB)
        page = window.open()
        expect(card(page)).to_contain_text("durable")
        expect(card(page)).to_contain_text("se renouvelle toute seule")
        expect(card(page)).to_contain_text("7 j 91 %")
        page.get_by_text("Sessions en cours").click()
        expect(page.locator("[data-name=running-sessions]")).to_contain_text("cette page")
        check(page, "French on a phone")
