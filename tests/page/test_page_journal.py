"""The journal in a real browser: the newest first, a page at a time, in words."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from browser import PROJECT, REFUSED, Visitor, browser, libraries_cache, server, visitor
from playwright.sync_api import Locator, Page, expect

from claude_accounts.accounts import journal

__all__ = ["browser", "libraries_cache", "server", "visitor"]
EMPTY = "[data-name=first-steps]"


def open_journal(page: Page) -> Locator:
    """Open the dialog of the journal."""
    page.locator("[popovertarget=menu]").click()
    page.locator("#menu [data-do=journal]").click()
    return page.locator("dialog[data-name=journal]")


def fill(home: Path, count: int) -> None:
    """Write so many happenings, each a minute later than the one before."""
    with closing(sqlite3.connect(home / ".claude-accounts" / "accounts.db")) as connection, connection:
        start = int(time.time() * 1000) - count * 60_000
        connection.executemany(
            "INSERT INTO journal (at, event, account, actor, address, detail) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (start + index * 60_000, "export" if index % 2 else "future-event", "", "", "192.0.2.7", f"no {index}")
                for index in range(count)
            ],
        )


def test_page_has_words_for_every_event() -> None:
    source = (PROJECT / "static" / "js" / "dialogs" / "journal.js").read_text()
    (listed,) = re.findall(r"EVENTS = \[(.*?)\]", source, re.DOTALL)
    assert json.loads(f"[{listed.strip().rstrip(',')}]") == list(journal.events())
    for code in ("en", "fr"):
        words = json.loads((PROJECT / "static" / "locales" / f"{code}.json").read_text())
        told = {key.removeprefix("journal_on_") for key in words if key.startswith("journal_on_")}
        assert told == {event.replace("-", "_") for event in journal.events()}


def test_journal_tells_in_words_what_was_done(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    visitor.sign_in()
    page = visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    dialog = open_journal(page)
    lines = dialog.locator(".happenings li")
    expect(lines.first).to_be_visible()
    told = [line.inner_text() for line in lines.all()]
    words = page.evaluate("fetch(`/static/locales/${document.documentElement.lang}.json`).then((file) => file.json())")
    assert any(words["journal_on_set_up"] in text for text in told), told
    assert all("127.0.0.1" in text for text in told), told
    # Who it was: this very browser, by the name that the list of sessions has.
    this = words["session_this"].removeprefix("{browser}")
    expect(lines.filter(has_text="Chrome").filter(has_text=this)).not_to_have_count(0)
    moments = [line.get_attribute("datetime") or "" for line in lines.locator("time").all()]
    assert moments == sorted(moments, reverse=True)
    page.keyboard.press("Escape")
    expect(lines).to_have_count(0)


def test_journal_shows_more_when_asked_and_one_kind_alone(home: Path, visitor: Visitor) -> None:
    visitor.sign_in()
    fill(home, 120)
    page = visitor.open()
    expect(page.locator(EMPTY)).to_be_visible()
    dialog = open_journal(page)
    lines = dialog.locator(".happenings li")
    expect(lines).to_have_count(50)
    expect(lines.first).to_contain_text("no 119")
    more = dialog.locator("[data-name=journal-more]")
    more.focus()
    page.keyboard.press("Enter")
    expect(lines).to_have_count(100)
    # Who reads with the keyboard goes on where the new ones begin.
    expect(lines.nth(50)).to_be_focused()
    expect(lines.nth(50)).to_contain_text("no 69")
    expect(lines.nth(51)).to_contain_text("future-event")
    more.click()
    expect(more).to_be_hidden()
    expect(lines.filter(has_text="no 0")).to_have_count(1)
    dialog.locator("select").select_option("export")
    expect(lines).to_have_count(50)
    expect(lines.filter(has_text="future-event")).to_have_count(0)
    more.click()
    expect(lines).to_have_count(60)
    expect(more).to_be_hidden()
