"""The terminals of the page, in a real browser on real ptys: typed into, left, found again, ended, signed in with."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import REFUSED, Server, Visitor, browser, libraries_cache, server, visiting
from conftest import write_program
from playwright.sync_api import Browser, Page, Route, expect
from terminal_server import wait_until

from claude_accounts.terminal.screen import Screen, attributes_at_end

__all__ = ["browser", "libraries_cache", "server"]

# Says who it is and where, then does what it is told, one line at a time.
FAKE_CLAUDE = r"""#!/usr/bin/env python3
import os, sys, termios
def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()
if sys.argv[1:2] == ["--version"]:
    print("2.1.197 (Claude Code)")
    sys.exit()
if sys.argv[1:3] == ["auth", "login"]:
    import json, time
    say("Open https://claude.example.com/oauth/authorize?code=true&state=abc \r\nPaste code here: ")
    code = sys.stdin.readline().strip()
    if code != "right-code":
        sys.exit("Invalid code")
    folder = os.environ["CLAUDE_CONFIG_DIR"]
    tokens = {"accessToken": "sk-ant-oat01-" + "l" * 60, "refreshToken": "sk-ant-ort01-" + "m" * 60,
              "expiresAt": int(time.time() * 1000) + 28800000, "scopes": ["user:inference"], "subscriptionType": "max"}
    who = {"emailAddress": "camille@example.org", "accountUuid": "u-1", "organizationUuid": "o-1"}
    with open(os.path.join(folder, ".claude.json"), "w") as file:
        json.dump({"oauthAccount": who}, file)
    with open(os.path.join(folder, ".credentials.json"), "w") as file:
        json.dump({"claudeAiOauth": tokens}, file)
    say("Login successful\r\n")
    time.sleep(30)
say(f"ready {os.environ.get('CLAUDE_ACCOUNT')} in {os.getcwd()}\r\n")
if "--ax-screen-reader" in sys.argv:
    say("linear output\r\n")
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "exit":
        sys.exit(int(rest or 0))
    elif word == "title":
        say(f"\x1b]0;{rest}\x07")
    elif word == "notify":
        say(f"\x1b]777;notify;Claude Code;{rest}\x07")
    elif word == "flood":
        for number in range(int(rest)):
            say(f"line {number} é ─ 漢 🙂\r\n")
        say("done\r\n")
    elif word == "yes":
        try:
            while True:
                say("y\r\n" * 100)
        except KeyboardInterrupt:
            say("stopped\r\n")
    elif word == "size":
        say("size %d %d\r\n" % os.get_terminal_size()[::-1])
    elif word == "pid":
        say(f"pid {os.getpid()}.\r\n")
    elif word == "copy":
        import base64
        say(f"\x1b]52;c;{base64.b64encode(rest.encode()).decode()}\x07")
    elif word == "editor":
        # As an editor or Claude Code sets its terminal, and then more than is kept.
        say("\x1b[?1049h\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[?1h")
        say("\x1b[4mfill \u6f22\x1b[m\r\n" * 150_000 + "filled\r\n")
    elif word == "bracketed":
        say("\x1b[?2004h")
    elif word == "raw":
        mode = termios.tcgetattr(0)
        mode[3] &= ~(termios.ICANON | termios.ECHO)
        mode[0] &= ~termios.ICRNL
        termios.tcsetattr(0, termios.TCSANOW, mode)
        say("every key\r\n")
        data = b""
        while b"q" not in data:
            data = os.read(0, 4096)
            say(f"got {data!r}\r\n")
            if data == b"a":
                say("\x1b]52;c;?\x07\x1b[>q")
    else:
        say(f"said {line.strip()}\r\n")
"""

CUT = "import('/static/js/shared/live.js').then((live) => live.withSocket((socket) => socket.io.engine.close()))"


@pytest.fixture(autouse=True)
def fake_claude(program_folder: Path) -> Path:
    """Put the fake `claude` first on PATH, before the server starts."""
    return write_program(program_folder / "claude", FAKE_CLAUDE)


@pytest.fixture
def visitor(browser: Browser, fake_claude: Path, server: Server) -> Iterator[Visitor]:
    """Return a signed-in browser with one account."""
    with visiting(browser, server) as window:
        window.sign_in()
        window.add("perso")
        yield window


def open_terminal(page: Page, folder: str = "", name: str = "perso") -> None:
    """Open a terminal of the account and wait until its program speaks."""
    page.locator(".account").filter(has_text=name).first.locator("[data-act=open]").click()
    dialog = page.locator("dialog[data-name=folder]")
    expect(dialog.locator("[name=path]")).to_be_focused()
    if folder:
        dialog.locator("[name=path]").fill(folder)
    page.keyboard.press("Enter")
    expect(rows(page)).to_contain_text(f"ready {name}")


def rows(page: Page):  # type: ignore[no-untyped-def]
    """Return the screen of the terminal that is shown."""
    return page.locator(".pane:not([hidden]) .xterm-rows")


def tell(page: Page, line: str) -> None:
    """Type a line."""
    page.keyboard.type(line)
    page.keyboard.press("Enter")


def test_opens_in_the_chosen_folder_with_the_focus_in_it(visitor: Visitor, tmp_path: Path) -> None:
    folder = tmp_path / "a project"
    folder.mkdir()
    page = visitor.open()
    open_terminal(page, str(folder))
    expect(rows(page)).to_contain_text("a project")
    tell(page, "hello é漢🙂")
    expect(rows(page)).to_contain_text("said hello é漢🙂")


def test_folder_is_walked_by_keyboard_and_remembered(visitor: Visitor, home: Path) -> None:
    (home / "work" / "deep").mkdir(parents=True)
    page = visitor.open()
    page.locator(".account [data-act=open]").click()
    dialog = page.locator("dialog[data-name=folder]")
    expect(dialog.locator("[name=path]")).to_have_value(str(home))
    dialog.get_by_role("button", name="work").focus()
    page.keyboard.press("Enter")
    expect(dialog.locator("[name=path]")).to_have_value(str(home / "work"))
    dialog.get_by_role("button", name="deep").click()
    dialog.locator(".primary").click()
    expect(rows(page)).to_contain_text("ready perso")
    page.locator("[data-name=to-dashboard]").click()
    page.locator(".account [data-act=open]").click()
    expect(dialog.locator("[data-name=recent] button")).to_have_text([str(home / "work" / "deep")])


def test_picked_folder_is_meant_before_its_own_folders_are_known(visitor: Visitor, home: Path) -> None:
    (home / "work").mkdir()
    page = visitor.open()
    page.locator(".account [data-act=open]").click()
    dialog = page.locator("dialog[data-name=folder]")
    expect(dialog.locator("[name=path]")).to_have_value(str(home))
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            return route.continue_()
        return held.append(route)

    page.route("**/api/browse?path=*", hold_the_first)
    dialog.get_by_role("button", name="work").click()
    dialog.locator(".primary").click()
    expect(rows(page)).to_contain_text("ready perso")
    page.locator("[data-name=to-dashboard]").click()
    page.locator(".account [data-act=open]").click()
    expect(dialog.locator("[data-name=recent] button")).to_have_text([str(home / "work")])
    # An answer that comes as late as this changes nothing.
    held[0].fulfill(json={"path": str(home), "parent": None, "folders": []})
    expect(dialog.locator("[name=path]")).to_have_value(str(home / "work"))


def test_reload_finds_the_terminal_again_with_all_it_had_said(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    tell(page, "one")
    expect(rows(page)).to_contain_text("said one")
    page.reload()
    expect(rows(page)).to_contain_text("said one")
    tell(page, "two")
    expect(rows(page)).to_contain_text("said two")
    assert rows(page).inner_text().count("ready perso") == 1


def test_lost_connection_starts_nothing_new_and_loses_nothing(visitor: Visitor) -> None:
    visitor.expect("WebSocket|ERR_INTERNET_DISCONNECTED|ERR_CONNECTION")
    page = visitor.open()
    open_terminal(page)
    tell(page, "flood 3000")
    visitor.context.set_offline(True)
    page.evaluate(CUT)
    banner = page.locator("[data-name=connection]")
    expect(banner).to_be_visible(timeout=15_000)
    visitor.context.set_offline(False)
    expect(banner).to_be_hidden(timeout=20_000)
    expect(rows(page)).to_contain_text("done")
    tell(page, "after")
    expect(rows(page)).to_contain_text("said after")
    expect(page.locator(".tab")).to_have_count(1)


def test_flood_arrives_whole_and_in_order(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    tell(page, "flood 8000")
    expect(rows(page)).to_contain_text("done")
    expect(rows(page)).to_contain_text("line 7999 é ─ 漢 🙂")


def test_closing_leaves_it_running_or_stops_it(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    page.keyboard.press("Control+Escape")
    expect(page.locator("dialog[data-name=close-terminal]")).to_be_visible()
    page.keyboard.press("Escape")
    tell(page, "still here")
    expect(rows(page)).to_contain_text("said still here")
    page.keyboard.press("Control+Escape")
    page.locator("dialog[data-name=close-terminal] [value=detach]").click()
    running = page.locator("[data-name=running] button")
    expect(running).to_have_count(1)
    running.click()
    expect(rows(page)).to_contain_text("said still here")
    page.keyboard.press("Control+Escape")
    page.locator("dialog[data-name=close-terminal] [value=stop]").click()
    expect(running).to_have_count(0)


def test_end_is_told_and_restarted(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    tell(page, "exit 3")
    ended = page.locator("[data-name=ended]")
    expect(ended).to_contain_text("3")
    expect(ended.locator("[data-name=restart]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(ended).to_be_hidden()
    expect(rows(page)).to_contain_text("ready perso")
    tell(page, "exit")
    ended.locator("[data-name=close-ended]").click()
    expect(page.locator(".account")).to_be_visible()


def test_tabs_names_titles_and_attention(visitor: Visitor) -> None:
    visitor.add("boulot")
    page = visitor.open()
    open_terminal(page)
    page.locator("[data-name=to-dashboard]").click()
    open_terminal(page, name="boulot")
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_count(2)
    tell(page, "title ✳ fixing the build")
    expect(tabs.nth(1)).to_contain_text("fixing the build")
    tabs.nth(0).click()
    page.evaluate("0")
    tabs.nth(1).click()
    page.keyboard.type("notify look here")
    page.keyboard.press("Enter")
    tabs.nth(0).click()
    tell(page, "first")
    expect(rows(page)).to_contain_text("said first")
    tabs.nth(0).focus()
    page.keyboard.press("ArrowRight")
    expect(tabs.nth(1)).to_have_attribute("aria-selected", "true")


def test_waiting_terminal_marks_its_tab_and_the_title_of_the_page(visitor: Visitor) -> None:
    visitor.add("boulot")
    page = visitor.open()
    open_terminal(page)
    tell(page, "title idle")
    page.locator("[data-name=to-dashboard]").click()
    open_terminal(page, name="boulot")
    other = visitor.open()
    other.locator("[data-name=running] button").filter(has_text="perso").click()
    expect(rows(other)).to_contain_text("ready perso")
    # Until what came before has been shown to its end, the emulator takes no key.
    expect(other.locator(".xterm-helper-textarea:focus")).to_be_editable()
    tell(other, "notify please look")
    page.bring_to_front()
    expect(page.get_by_role("tab").nth(0)).to_have_attribute("data-state", "attention")
    expect(page).to_have_title(re.compile(r"^\(1\) "))
    page.get_by_role("tab").nth(0).click()
    expect(page).to_have_title(re.compile(r"^[^(]"))


def test_pasting_many_lines_asks_and_no_escape_gets_through(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    page.evaluate("navigator.clipboard.writeText('one\\ntwo\\n')")
    page.keyboard.press("Control+v")
    dialog = page.locator("dialog[data-name=confirm]")
    expect(dialog).to_contain_text("2")
    dialog.locator("[value=no]").click()
    page.keyboard.press("Control+v")
    dialog.locator("[value=yes]").click()
    expect(rows(page)).to_contain_text("said two")
    tell(page, "bracketed")
    tell(page, "raw")
    expect(rows(page)).to_contain_text("every key")
    page.evaluate("navigator.clipboard.writeText('a\\x1b[201~b')")
    page.keyboard.press("Control+v")
    expect(rows(page)).to_contain_text(r"got b'\x1b[200~a[201~b\x1b[201~'")


SHOWN = """async ([whole, late]) => {
    const found = performance.getEntriesByType("resource").find((entry) => entry.name.endsWith("/xterm.js"));
    const { Terminal } = await import(found.name);
    const shown = [];
    for (const parts of [whole, late]) {
        const terminal = new Terminal({ allowProposedApi: true, rows: 24, cols: 80 });
        const place = document.body.appendChild(document.createElement("div"));
        terminal.open(place);
        for (const part of parts) {
            const bytes = Uint8Array.from(atob(part), (character) => character.charCodeAt(0));
            await new Promise((done) => terminal.write(bytes, done));
        }
        const buffer = terminal.buffer.active;
        const cells = [];
        for (let y = 0; y < 24; y += 1) {
            const line = buffer.getLine(buffer.baseY + y);
            for (let x = 0; x < 80; x += 1) {
                const cell = line.getCell(x);
                cells.push([cell.getChars(), cell.getFgColor(), cell.getBgColor(), cell.isBold()].join());
            }
        }
        shown.push(JSON.stringify([terminal.modes, buffer.type, buffer.cursorX, buffer.cursorY, cells]));
        terminal.dispose();
        place.remove();
    }
    return shown;
}"""
LINE = "\x1b[38;5;%dm│ line %d é漢🙂\x1b[1m bold\x1b[22m text \x1b[?2026h\x1b[Kend\x1b[?2026l\r\n"
OUTPUTS = {
    "an editor": "\x1b[?1049h\x1b[?1002h\x1b[?1006h\x1b[?2004h\x1b[?1h\x1b=\x1b[?25l\x1b[5;20r\x1b[?6h",
    "line drawing": "\x1b(0\x1b[4h\x1b[?7l\x1b[?1004h",
    "left again": "\x1b[?1049h\x1b[?1003h\x1b[5;20r\x1b[?1003l\x1b[?1049l\x1b)0\x0e\x1b[?45h",
    "reset in between": "\x1b[?2004h\x1b[?1000h\x1b[!p\x1b[?66h",
}


def test_late_view_is_what_a_view_of_all_would_be(visitor: Visitor) -> None:
    """The server's state and the kept rest give the page's own emulator what the whole output gives it."""
    page = visitor.open()
    open_terminal(page)
    for name, beginning in OUTPUTS.items():
        whole = (beginning + "".join(LINE % (number % 256, number) for number in range(3000))).encode()
        screen = Screen()
        for start in range(0, len(whole), 4093):
            screen.feed(whole[start : start + 4093])
        mark = screen.mark(60_000)
        assert mark is not None
        state = mark.restoring + attributes_at_end(whole[mark.offset - 60_000 : mark.offset])
        parts = [[whole], [state, whole[mark.offset :]]]
        all_shown, late_shown = page.evaluate(SHOWN, [[b64encode(part).decode() for part in some] for some in parts])
        assert late_shown == all_shown, name
    # And so does a page that comes when most is no longer kept: a paste goes to the program as one.
    tell(page, "editor")
    expect(rows(page)).to_contain_text("filled")
    late = visitor.open()
    late.locator("[data-name=running] button").click()
    expect(rows(late)).to_contain_text("filled")
    expect(late.locator(".xterm-helper-textarea:focus")).to_be_editable()
    tell(late, "raw")
    expect(rows(late)).to_contain_text("every key")
    late.evaluate("navigator.clipboard.writeText('one\\ntwo')")
    late.keyboard.press("Control+v")
    expect(rows(late)).to_contain_text(r"got b'\x1b[200~one\rtwo\x1b[201~'")
    late.keyboard.press("ArrowUp")
    expect(rows(late)).to_contain_text(r"got b'\x1bOA'")


def test_keys_mean_what_claude_code_expects(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    tell(page, "raw")
    expect(rows(page)).to_contain_text("every key")
    for keys, got in (
        ("Shift+Enter", r"got b'\x1b\r'"),
        ("Escape", r"got b'\x1b'"),
        ("Shift+Tab", r"got b'\x1b[Z'"),
        ("Control+j", r"got b'\n'"),
        ("?", "got b'?'"),
        ("n", "got b'n'"),
    ):
        page.keyboard.press(keys)
        expect(rows(page)).to_contain_text(got)
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_program_may_write_the_clipboard_but_never_reads_it(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    tell(page, "copy from the program")
    expect(page.locator(".toast").last).to_be_visible()
    page.wait_for_function("() => navigator.clipboard.readText().then((text) => text === 'from the program')")
    tell(page, "raw")
    expect(rows(page)).to_contain_text("every key")
    page.keyboard.type("a")
    # What it is told of the terminal, and nothing of the clipboard.
    expect(rows(page)).to_contain_text("xterm.js(6.0.0)")
    assert "ZnJvbSB0" not in rows(page).inner_text()


def test_search_font_and_size(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    tell(page, "flood 200")
    expect(rows(page)).to_contain_text("done")
    page.keyboard.press("Control+Shift+F")
    field = page.locator("[data-name=terminal-search]")
    expect(field).to_be_focused()
    page.keyboard.type("line 17 ")
    expect(rows(page)).to_contain_text("line 17 ")
    page.keyboard.press("Escape")
    page.locator("[popovertarget=terminal-menu]").click()
    before = page.evaluate("document.querySelector('.xterm-rows').children.length")
    for _ in range(5):
        page.locator("[data-name=larger]").click()
    page.wait_for_function(f"() => document.querySelector('.xterm-rows').children.length < {before}")


def test_two_windows_see_one_terminal_in_the_size_of_the_one_in_use(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    large = page.locator(".pane:not([hidden]) .xterm-rows > div").count()
    other = visitor.open()
    other.set_viewport_size({"width": 420, "height": 420})
    other.locator("[data-name=running] button").click()
    expect(rows(other)).to_contain_text("ready perso")

    def both_show(count: int, foreign: Page | None, own: Page) -> None:
        for window in (page, other):
            expect(window.locator(".pane:not([hidden]) .xterm-rows > div")).to_have_count(count)
        expect(own.locator(".screen[data-foreign]")).to_have_count(0)
        if foreign:
            expect(foreign.locator(".screen[data-foreign]")).to_have_count(1)

    # It came last, with the focus.
    expect(page.get_by_role("tab")).to_contain_text("2 watching")
    expect(page.locator(".screen[data-foreign]")).to_have_count(1)
    small = other.locator(".pane:not([hidden]) .xterm-rows > div").count()
    assert small < large
    both_show(small, page, other)
    # Typing in the first one gives it its size again, and the other follows.
    tell(page, "size")
    expect(rows(other)).to_contain_text(f"size {large}")
    both_show(large, other, page)
    expect(other.locator(".xterm-helper-textarea:focus")).to_be_editable()
    tell(other, "size from the other")
    expect(rows(page)).to_contain_text(f"size {small}")
    both_show(small, page, other)
    other.close()
    expect(page.locator(".pane:not([hidden]) .xterm-rows > div")).to_have_count(large)
    expect(page.get_by_role("tab")).not_to_contain_text("watching")


def test_phone_has_the_keys_it_lacks(browser: Browser, server: Server) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    with visiting(browser, server, **phone) as visitor:
        visitor.sign_in()
        visitor.add("perso")
        page = visitor.open()
        open_terminal(page)
        tell(page, "raw")
        expect(rows(page)).to_contain_text("every key")
        keys = page.locator("[data-name=phone-keys]")
        keys.get_by_role("button", name="Esc").tap()
        expect(rows(page)).to_contain_text(r"got b'\x1b'")
        keys.get_by_role("button", name="Ctrl").tap()
        page.keyboard.type("c")
        expect(page.locator("[data-name=ended]")).to_be_visible()


def test_terminal_libraries_load_with_the_first_terminal_only(visitor: Visitor) -> None:
    asked: list[str] = []
    page = visitor.context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(visitor.server.url)
    expect(page.locator(".account")).to_have_count(1)
    expect(page.locator(".account [data-act=open]")).to_be_visible()
    assert [url for url in asked if "xterm" in url or "/terminal/" in url] == []
    open_terminal(page)
    assert [url for url in asked if url.endswith("/xterm.js")] != []


def test_missing_claude_is_told_with_the_command_that_installs_it(visitor: Visitor, fake_claude: Path) -> None:
    fake_claude.unlink()
    page = visitor.open()
    page.locator(".account [data-act=open]").click()
    page.locator("dialog[data-name=folder] .primary").click()
    expect(page.locator("[data-name=ended]")).to_contain_text("npm install")


def test_signing_out_everywhere_takes_the_terminals_along(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    page = visitor.open()
    open_terminal(page)
    page.locator("[data-name=to-dashboard]").click()
    page.locator("[popovertarget=menu]").click()
    page.locator("[data-do=security]").click()
    page.locator("[data-name=sign-out-everywhere]").click()
    page.locator("dialog[data-name=confirm] [value=yes]").click()
    expect(page.locator("#sign-in-password")).to_be_visible()


def test_signing_in_on_the_page(visitor: Visitor) -> None:
    page = visitor.open()
    expect(page.locator(".account")).to_have_count(1)
    page.keyboard.press("n")
    form = page.locator("dialog[data-name=add]")
    form.locator("[name=name]").fill("client")
    form.locator("[name=kind][value=login]").check(force=True)
    expect(form.locator("[name=how][value=terminal]")).to_be_checked()
    form.locator("[name=name]").press("Enter")
    login = page.locator("[data-name=login]:not(dialog)")
    link = login.locator("[data-name=login-open]")
    expect(link).to_have_attribute("href", "https://claude.example.com/oauth/authorize?code=true&state=abc")
    expect(link).to_have_attribute("rel", re.compile("noopener"))
    login.locator("[name=code]").fill("right-code")
    page.keyboard.press("Enter")
    expect(page.locator(".toast").last).to_contain_text("camille@example.org")
    client = page.locator(".account").filter(has_text="client")
    expect(client).to_have_attribute("data-status", "valid")
    expect(client).to_contain_text("camille@example.org")


def test_failed_sign_in_says_so_and_can_be_tried_again(visitor: Visitor) -> None:
    visitor.add("client", auth_type="oauth")
    page = visitor.open()
    page.locator(".account").filter(has_text="client").locator("[data-name=login-first]").click()
    page.locator("dialog[data-name=login] .primary").click()
    login = page.locator("[data-name=login]:not(dialog)")
    login.locator("[name=code]").fill("wrong")
    page.keyboard.press("Enter")
    ended = page.locator("[data-name=ended]")
    expect(ended).to_be_visible(timeout=15_000)
    ended.locator("[data-name=restart]").click()
    expect(login.locator("[data-name=login-open]")).to_be_visible()
    login.locator("[data-name=cancel-login]").click()
    expect(ended).to_be_visible(timeout=15_000)


PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
GIVE = """([kind, type, name, base64]) => {
    const data = new DataTransfer();
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    data.items.add(new File([bytes], name, {type}));
    const about = {bubbles: true, cancelable: true};
    const event = kind === 'paste' ? new ClipboardEvent('paste', {...about, clipboardData: data})
        : new DragEvent('drop', {...about, dataTransfer: data});
    document.querySelector('.pane:not([hidden]) .xterm').dispatchEvent(event);
}"""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_picture_becomes_the_path_of_a_file_that_the_program_can_read(visitor: Visitor, kind: str) -> None:
    page = visitor.open()
    open_terminal(page)
    page.evaluate(GIVE, [kind, "image/png", "evil name;.png", PICTURE])
    expect(rows(page)).to_contain_text("picture-")
    page.keyboard.press("Enter")
    expect(rows(page)).to_contain_text("said ")
    shown = "".join(rows(page).locator("> div").all_inner_texts()).replace("\xa0", " ")
    path = Path(re.findall(r"said (\S+picture-[0-9a-f]{8}\.png)", shown)[-1])
    assert path.read_bytes().startswith(b"\x89PNG") and "evil" not in str(path)
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    tell(page, "exit")
    wait_until(lambda: not path.exists(), "the picture to go with its terminal")


def test_what_is_no_picture_is_refused_in_words(visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    page = visitor.open()
    open_terminal(page)
    page.evaluate(GIVE, ["drop", "text/html", "page.html", PICTURE])
    expect(page.get_by_text("Only pictures")).to_be_visible()
    page.evaluate(GIVE, ["drop", "image/png", "no.png", "bm8="])
    expect(page.get_by_text("no PNG, JPEG, GIF or WebP")).to_be_visible()


def test_screen_reader_mode_is_the_programs_too(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    expect(rows(page)).not_to_contain_text("linear output")
    page.locator("[popovertarget=terminal-menu]").click()
    page.locator("[data-option=reader]").check()
    page.keyboard.press("Escape")
    page.locator("[data-name=to-dashboard]").click()
    open_terminal(page)
    expect(rows(page)).to_contain_text("linear output")


def test_killed_tab_leaves_the_very_same_program_running(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    tell(page, "pid")
    expect(rows(page)).to_contain_text(re.compile(r"pid \d+\."))
    before = re.findall(r"pid (\d+)\.", rows(page).inner_text())[-1]
    page.close()
    page = visitor.open()
    page.locator("[data-name=running] button").click()
    expect(rows(page)).to_contain_text(f"pid {before}.")
    tell(page, "size")
    expect(rows(page)).to_contain_text("size ")
    assert rows(page).inner_text().count("ready perso") == 1


def test_interrupt_stops_a_flood_on_the_screen_too(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    tell(page, "yes")
    expect(rows(page).locator("> div").first).to_have_text("y")
    page.keyboard.press("Control+c")
    expect(rows(page)).to_contain_text("stopped")
    tell(page, "after")
    expect(rows(page)).to_contain_text("said after")


def test_storm_of_sizes_ends_with_the_program_knowing_the_last(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    for number in range(25):
        page.set_viewport_size({"width": 700 + number % 7 * 60, "height": 400 + number * 13 % 300})
    page.set_viewport_size({"width": 900, "height": 600})
    shown = "document.querySelectorAll('.pane:not([hidden]) .xterm-rows > div').length"
    page.wait_for_function(f"{shown} < 40")

    def agrees() -> bool:
        tell(page, "size")
        expect(rows(page)).to_contain_text("size ")
        told = re.findall(r"size (\d+) \d+", rows(page).inner_text())
        return bool(told) and int(told[-1]) == page.evaluate(shown)

    wait_until(agrees, "the program to know the size on the screen")


def test_what_is_selected_is_copied_where_that_is_wanted(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    page.evaluate("navigator.clipboard.writeText('before')")
    page.locator("[popovertarget=terminal-menu]").click()
    page.locator("[data-option=copy-selection]").check()
    page.keyboard.press("Escape")
    page.locator(".pane:not([hidden]) .xterm-screen").dblclick(position={"x": 12, "y": 10})
    page.wait_for_function("async () => (await navigator.clipboard.readText()) === 'ready'")


def test_full_screen_and_back(visitor: Visitor) -> None:
    page = visitor.open()
    open_terminal(page)
    page.locator("[popovertarget=terminal-menu]").click()
    page.locator("[data-name=full-screen]").click()
    page.wait_for_function("document.fullscreenElement !== null")
    tell(page, "large")
    expect(rows(page)).to_contain_text("said large")
    page.evaluate("document.exitFullscreen()")
    page.wait_for_function("document.fullscreenElement === null")


def test_terminal_speaks_french(browser: Browser, server: Server) -> None:
    with visiting(browser, server, locale="fr-FR") as window:
        window.sign_in()
        window.add("perso")
        window.expect("WebSocket|ERR_INTERNET_DISCONNECTED|ERR_CONNECTION")
        page = window.open()
        open_terminal(page)
        window.context.set_offline(True)
        page.evaluate(CUT)
        banner = page.locator("[data-name=connection]")
        # It says when it tries again, and counts.
        expect(banner).to_contain_text(re.compile(r"Nouvel essai dans \d"))
        window.context.set_offline(False)
        expect(banner).to_be_hidden(timeout=20_000)
        page.keyboard.press("Control+Escape")
        expect(page.locator("dialog[data-name=close-terminal]")).to_contain_text("Claude tourne encore pour perso")
        page.keyboard.press("Escape")
        tell(page, "exit 3")
        ended = page.locator("[data-name=ended]")
        expect(ended).to_contain_text("3")
        expect(ended.locator("[data-name=restart]")).to_have_text("Relancer")
