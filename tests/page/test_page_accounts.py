"""The accounts on the page, in a real browser: added, changed, found, refreshed, and true without a reload."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from api_stub import api_stub
from browser import KEY, REFUSED, Server, Visitor, browser, libraries_cache, server, visitor
from conftest import Cli
from playwright.sync_api import Locator, Page, Route, expect
from token_endpoint import TokenEndpoint

from claude_accounts import db

__all__ = ["browser", "libraries_cache", "server", "visitor"]
ACCESS = "sk-ant-oat01-" + "e5F6g7H8" * 11 + "i9J0k1L"
JSON = {"Content-Type": "application/json"}
REFRESH = "sk-ant-ort01-" + "i9J0k1L2" * 11 + "m3N4o5P"


@pytest.fixture
def page(visitor: Visitor) -> Page:
    """Return the dashboard of a signed-in browser, with one account."""
    visitor.sign_in()
    visitor.add("perso")
    opened = visitor.open()
    expect(opened.locator(".account")).to_have_count(1)
    return opened


def card(page: Page, name: str) -> Locator:
    """Return the card of one account."""
    return page.locator(".account").filter(has=page.get_by_role("heading", name=name, exact=True))


def act(page: Page, name: str, what: str) -> None:
    """Click a button of one account."""
    card(page, name).locator(f"[data-act={what}]:visible").click()


def menu(page: Page, what: str) -> None:
    """Choose an entry of the menu."""
    page.locator("[popovertarget=menu]").click()
    page.locator(f"#menu [data-do={what}]").click()


def test_adding_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("n")
    page.keyboard.type("boulot")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    expect(card(page, "boulot")).to_be_visible()
    assert KEY not in page.content()
    expect(card(page, "boulot").locator("code")).to_have_text(re.compile(re.escape(KEY[-6:]) + "$"))


def test_changing_the_type_keeps_what_was_typed(page: Page) -> None:
    page.keyboard.press("n")
    form = page.locator("dialog[data-name=add]")
    form.locator("[name=api_key]").fill(KEY)
    form.locator("[name=kind][value=setup_token]").check(force=True)
    expect(form.locator("[name=api_key]")).to_be_hidden()
    form.locator("[name=kind][value=api_key]").check(force=True)
    expect(form.locator("[name=api_key]")).to_have_value(KEY)


def test_setup_token_and_pasted_login(page: Page) -> None:
    for name, kind, fields in (
        ("runner", "setup_token", {"setup_token": ACCESS}),
        ("client", "login", {"access_token": ACCESS, "refresh_token": REFRESH}),
    ):
        page.keyboard.press("n")
        form = page.locator("dialog[data-name=add]")
        form.locator("[name=name]").fill(name)
        form.locator(f"[name=kind][value={kind}]").check(force=True)
        if kind == "login":
            form.locator("[name=how][value=paste]").check(force=True)
        for field, text in fields.items():
            form.locator(f"[name={field}]").fill(text)
        form.locator("[name=name]").press("Enter")
        expect(card(page, name)).to_be_visible()
        # The news of an account may come before the answer that closes its dialog.
        expect(form).to_be_hidden()
    expect(card(page, "runner").locator("[data-act=refresh]")).to_be_hidden()
    expect(card(page, "client").locator("[data-act=refresh]")).to_be_visible()


def test_taken_name_is_said_beside_the_form_which_stays(page: Page, visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    page.keyboard.press("n")
    form = page.locator("dialog[data-name=add]")
    form.locator("[name=name]").fill("perso")
    form.locator("[name=api_key]").fill(KEY)
    form.locator("[name=name]").press("Enter")
    expect(form.get_by_role("alert")).to_contain_text("perso")
    expect(form.locator("[name=api_key]")).to_have_value(KEY)
    # Where the form is longer than the screen, too.
    page.set_viewport_size({"width": 360, "height": 740})
    form.locator("[name=name]").fill("-")
    form.locator("[name=name]").press("Enter")
    expect(form.get_by_role("alert")).to_contain_text("'-'")
    expect(form.get_by_role("alert")).to_be_in_viewport(ratio=0.9)


def test_renaming_and_a_new_key(page: Page) -> None:
    act(page, "perso", "edit")
    form = page.locator("dialog[data-name=edit]")
    form.locator("[name=name]").fill("maison")
    form.locator("[name=api_key]").fill("sk-ant-api03-" + "n" * 89 + "NEWKEY")
    form.locator("[name=name]").press("Enter")
    expect(card(page, "maison").locator("code")).to_have_text(re.compile("NEWKEY$"))
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_what_is_pasted_is_taken_bare_doubted_aloud_and_tried_on_request(
    page: Page, visitor: Visitor, home: Path
) -> None:
    visitor.expect(REFUSED)
    form = page.locator("dialog[data-name=add]")

    def paste(name: str, text: str) -> None:
        page.keyboard.press("n")
        form.locator("[name=name]").fill(name)
        form.locator("[name=api_key]").fill("")
        form.locator("[name=api_key]").focus()
        page.evaluate(
            """text => {
                const data = new DataTransfer();
                data.setData("text/plain", text);
                document.execCommand("insertText", false, data.getData("text/plain"));
            }""",
            text,
        )
        form.locator("[name=name]").press("Enter")

    # A terminal broke it over two lines, and a field of one line makes a blank of that.
    paste("boulot", f'export ANTHROPIC_API_KEY="{KEY[:80]}\n{KEY[80:]}"')
    expect(card(page, "boulot").locator("code")).to_have_text(re.compile(re.escape(KEY[-6:]) + "$"))
    expect(form).to_be_hidden()
    assert db.holds(db.find_account("boulot").id, KEY)
    paste("autre", f"{KEY};{KEY}")
    expect(form.get_by_role("alert")).to_contain_text(";")
    expect(form.locator("[name=api_key]")).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Escape")
    paste("court", KEY[:80])
    expect(page.locator(".toast.bad")).to_contain_text("80")
    page.locator(".toast.bad button").click()
    # Nothing of it is called ready before it was seen to work.
    expect(card(page, "boulot")).to_have_attribute("data-status", "untried")
    expect(page.locator("[data-name=health] [data-status=valid] .count")).to_have_text("0")
    expect(page.locator("[data-name=health] [data-status=untried] .count")).to_have_text("3")
    (home / ".claude").mkdir()
    with api_stub() as api:
        (home / ".claude" / "settings.json").write_text(json.dumps({"env": {"ANTHROPIC_BASE_URL": api.url}}))
        act(page, "boulot", "check")
        expect(card(page, "boulot")).to_have_attribute("data-status", "valid")
        api.refuses(401, "authentication_error")
        act(page, "court", "check")
        expect(card(page, "court")).to_have_attribute("data-status", "refused")
        assert api.asked == [("/v1/models", KEY), ("/v1/models", KEY[:80])]
    expect(page.locator(".toast.bad")).to_contain_text("court")


def test_whether_claude_asks_about_a_key_is_chosen_with_it_and_changed_later(page: Page) -> None:
    def wishes() -> dict[str, bool]:
        listed = page.evaluate("import('/static/js/shared/api.js').then(({ listAccounts }) => listAccounts())")
        return {account["name"]: account["approve_key"] for account in listed}

    page.keyboard.press("n")
    form = page.locator("dialog[data-name=add]")
    expect(form.locator("[name=approve_key]")).to_be_checked()
    form.locator("[name=kind][value=setup_token]").check(force=True)
    expect(form.locator("[name=approve_key]")).to_be_hidden()
    form.locator("[name=kind][value=api_key]").check(force=True)
    form.locator("[name=name]").fill("boulot")
    form.locator("[name=api_key]").fill(KEY)
    form.locator("[name=name]").press("Enter")
    expect(card(page, "boulot")).to_be_visible()
    expect(form).to_be_hidden()
    assert wishes() == {"perso": False, "boulot": True}
    for name, before in (("boulot", True), ("perso", False)):
        act(page, name, "edit")
        form = page.locator("dialog[data-name=edit]")
        expect(form.locator("[name=approve_key]")).to_be_checked(checked=before)
        form.locator("[name=approve_key]").set_checked(not before)
        form.locator("[name=name]").press("Enter")
        expect(page.locator("dialog[open]")).to_have_count(0)
    assert wishes() == {"perso": True, "boulot": False}


def test_deleting_needs_the_name_typed_and_gives_the_focus_back(page: Page) -> None:
    act(page, "perso", "delete")
    dialog = page.locator("dialog[data-name=delete]")
    button = dialog.locator("[data-name=confirm]")
    expect(button).to_be_disabled()
    page.keyboard.press("Escape")
    expect(card(page, "perso").locator("[data-act=delete]")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("perso")
    expect(button).to_be_enabled()
    page.keyboard.press("Enter")
    expect(page.locator("[data-name=first-steps]")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "accounts"


def test_launch_command_is_copied_without_the_key(page: Page) -> None:
    act(page, "perso", "copy")
    expect(page.locator(".toast")).to_contain_text("claude-accounts launch perso")
    assert page.evaluate("navigator.clipboard.readText()") == "claude-accounts launch perso"


def test_capture_takes_over_the_login_of_claude_code(page: Page, home: Path) -> None:
    folder = home / ".claude"
    folder.mkdir()
    login = {
        "accessToken": ACCESS,
        "refreshToken": REFRESH,
        "expiresAt": int(time.time() * 1000) + 7_200_000,
        "scopes": ["user:inference"],
        "subscriptionType": "max",
    }
    (folder / ".credentials.json").write_text(json.dumps({"claudeAiOauth": login}))
    page.keyboard.press("n")
    form = page.locator("dialog[data-name=add]")
    form.locator("[name=name]").fill("client")
    form.locator("[name=kind][value=login]").check(force=True)
    form.locator("[name=how][value=capture]").check(force=True)
    form.locator("[name=name]").press("Enter")
    expect(card(page, "client")).to_have_attribute("data-status", "untried")
    expect(card(page, "client").locator("[data-name=ends]")).to_contain_text("1")


def test_capture_of_nothing_leaves_no_account_behind(page: Page, visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    page.keyboard.press("n")
    form = page.locator("dialog[data-name=add]")
    form.locator("[name=name]").fill("client")
    form.locator("[name=kind][value=login]").check(force=True)
    form.locator("[name=how][value=capture]").check(force=True)
    form.locator("[name=name]").press("Enter")
    expect(form.get_by_role("alert")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".account")).to_have_count(1)


def test_account_added_by_the_command_line_appears_by_itself(page: Page, cli: Cli) -> None:
    assert cli("add", "boulot", "--key", "-", stdin=KEY).returncode == 0
    expect(card(page, "boulot")).to_be_visible(timeout=5_000)


def test_search_filter_and_their_keys(page: Page, visitor: Visitor) -> None:
    for name in ("boulot", "client-nord", "client-sud"):
        visitor.add(name)
    expect(page.locator(".account")).to_have_count(4)
    page.keyboard.press("/")
    page.keyboard.type("nord client")
    search = page.locator("[data-name=search]")
    expect(search).to_be_focused()
    expect(search).to_have_value("nord client")
    expect(page.locator(".account h2")).to_have_text(["client-nord"])
    page.keyboard.press("Escape")
    expect(page.locator(".account")).to_have_count(4)
    page.locator("[data-name=health] [data-status=needs_login]").click()
    expect(page.locator("[data-name=nothing]")).to_be_visible()
    page.locator("[data-name=type]").select_option("oauth")
    page.locator("[data-name=health] [data-status='']").click()
    expect(page.locator("[data-name=nothing]")).to_be_visible()
    page.locator("[data-name=type]").select_option("api_key")
    expect(page.locator(".account")).to_have_count(4)


def test_shortcuts_are_listed_and_can_be_switched_off(page: Page) -> None:
    page.keyboard.press("?")
    dialog = page.locator("dialog[data-name=shortcuts]")
    expect(dialog.locator("dt")).to_have_count(4)
    dialog.locator("[data-name=single-keys]").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_expired_tokens_are_refreshed_once_however_many_tabs_open(
    endpoint: TokenEndpoint, home: Path, server: Server, visitor: Visitor
) -> None:
    visitor.sign_in()
    spent = int(time.time() * 1000) - 60_000
    visitor.add("client", auth_type="oauth", access_token=ACCESS, refresh_token=endpoint.new_login(), expires_at=spent)
    tabs = [visitor.open() for _ in range(3)]
    for tab in tabs:
        expect(card(tab, "client")).to_have_attribute("data-status", "valid")
        expect(card(tab, "client").locator("[data-name=ends]")).to_contain_text("7")
    assert len(endpoint.requests) == 1
    assert endpoint.reused == []


def test_list_that_a_newer_one_overtook_makes_nobody_refresh_twice(
    endpoint: TokenEndpoint, server: Server, visitor: Visitor
) -> None:
    """The page looks again before it refreshes what ran out, and waits for the newest look."""
    visitor.sign_in()
    spent, login = int(time.time() * 1000) - 60_000, endpoint.new_login()
    client = visitor.add("client", auth_type="oauth", access_token=ACCESS, refresh_token=login, expires_at=spent)
    page = visitor.context.new_page()
    held: list[Route] = []
    first = True

    def hold(route: Route) -> None:
        nonlocal first
        if first:
            first = False
            return route.continue_()
        held.append(route)

    page.route("**/api/accounts", hold)
    with page.expect_request(lambda asked: asked.url.endswith("/api/accounts") and not first):
        page.goto(server.url)
    # Another tab has refreshed it meanwhile, which brings a newer look while the first is under way.
    with page.expect_request(lambda asked: asked.url.endswith("/api/accounts") and len(held) > 0):
        done = visitor.context.request.post(
            f"{server.url}/api/accounts/{client}/refresh-oauth",
            headers={"Origin": server.url, "X-Page-Secret": visitor.page_secret()},
        )
        assert done.ok, done.text()
    while held:
        held.pop(0).continue_()
        page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    page.unroute("**/api/accounts")
    expect(card(page, "client")).to_have_attribute("data-status", "valid")
    assert len(endpoint.requests) == 1


def test_refreshing_one_and_all(endpoint: TokenEndpoint, server: Server, visitor: Visitor) -> None:
    visitor.sign_in()
    soon = int(time.time() * 1000) + 3_600_000
    for name in ("client", "atelier"):
        visitor.add(
            name, auth_type="oauth", access_token=ACCESS, refresh_token=endpoint.new_login(name), expires_at=soon
        )
    page = visitor.open()
    act(page, "client", "refresh")
    expect(page.locator(".toast")).to_contain_text("client")
    french = page.evaluate("document.documentElement.lang") == "fr"
    page.get_by_role("button", name="Rafraîchir tous" if french else "Refresh all").click()
    expect(page.locator(".toast")).to_have_count(2)
    assert len(endpoint.requests) == 3


def test_ended_login_is_told_once_with_what_helps(endpoint: TokenEndpoint, server: Server, visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    visitor.sign_in()
    spent = int(time.time() * 1000) - 60_000
    visitor.add("client", auth_type="oauth", access_token=ACCESS, refresh_token=REFRESH, expires_at=spent)
    page = visitor.open()
    expect(card(page, "client")).to_have_attribute("data-status", "needs_login")
    expect(page.locator("[data-name=attention-text]")).to_contain_text("client")
    expect(card(page, "client").locator("[data-name=login-first]")).to_be_visible()
    page.reload()
    expect(page.locator("[data-name=attention-text]")).to_contain_text("client")
    assert len(endpoint.requests) == 1


def test_countdown_ticks(server: Server, visitor: Visitor) -> None:
    visitor.sign_in()
    end = int(time.time() * 1000) + 600_000
    visitor.add("client", auth_type="oauth", access_token=ACCESS, expires_at=end)
    page = visitor.open()
    clock = card(page, "client").locator("[data-name=ends]")
    first = clock.inner_text()
    expect(clock).not_to_have_text(first)
    assert clock.get_attribute("datetime")


def test_thousand_accounts_keep_the_search_quick_and_focused(server: Server, visitor: Visitor) -> None:
    visitor.sign_in()
    entries = [{"name": f"account-{number:04d}", "auth_type": "api_key", "api_key": KEY} for number in range(1000)]
    origin = {"Origin": server.url, "X-Page-Secret": visitor.page_secret()}
    answer = visitor.context.request.post(f"{server.url}/api/import", data=json.dumps(entries), headers=origin | JSON)
    assert answer.ok, answer.text()
    page = visitor.open()
    expect(page.locator("[data-name=health] .count").first).to_have_text("1000")
    page.keyboard.press("/")
    page.keyboard.type("0999")
    expect(page.locator(".account h2")).to_have_text(["account-0999"])
    expect(page.locator("[data-name=search]")).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Backspace")
    first = page.locator(".account").count()
    assert first < 200
    page.mouse.wheel(0, 100_000)
    expect(page.locator(".account").nth(first)).to_be_attached()


def test_export_then_import_into_an_empty_dashboard(page: Page, tmp_path: Path) -> None:
    menu(page, "export")
    dialog = page.locator("dialog[data-name=export]")
    expect(dialog.locator("[data-name=confirm]")).to_be_disabled()
    dialog.locator("[name=understood]").check()
    with page.expect_download() as download:
        dialog.locator("[data-name=confirm]").click()
    path = tmp_path / "export.json"
    download.value.save_as(path)
    assert [entry["name"] for entry in json.loads(path.read_text())] == ["perso"]
    act(page, "perso", "delete")
    page.keyboard.type("perso")
    page.keyboard.press("Enter")
    expect(page.locator("[data-name=first-steps]")).to_be_visible()
    page.locator("[data-name=first-steps] [data-do=import]").click()
    page.set_input_files("#import-file", path)
    preview = page.locator("dialog[data-name=import]")
    expect(preview.locator("tbody tr")).to_have_count(1)
    preview.locator("[data-name=confirm]").click()
    expect(card(page, "perso").locator("code")).to_have_text(re.compile(re.escape(KEY[-6:]) + "$"))


def test_import_previews_what_the_server_says_and_takes_a_credentials_file(page: Page, visitor: Visitor) -> None:
    visitor.expect(REFUSED)
    menu(page, "import")
    dialog = page.locator("dialog[data-name=import]")
    confirm = dialog.locator("[data-name=confirm]")

    def give(content: bytes) -> None:
        page.set_input_files("#import-file", {"name": "x.json", "mimeType": "text/plain", "buffer": content})

    for content, words in ((b"not json", "t is not JSON (line 1, column 1)"), (b"{}", "a JSON array of accounts")):
        give(content)
        expect(dialog.get_by_role("alert")).to_contain_text(words)
    give(b"[]")
    expect(dialog.get_by_role("status")).to_have_text("There is no account in this file")
    good = {"auth_type": "api_key", "api_key": KEY}
    give(json.dumps([good | {"name": "perso"}, good | {"name": "<img src=x>"}]).encode("utf-16"))
    expect(dialog.locator("tbody tr")).to_have_count(2)
    expect(dialog.locator("tbody .wont")).to_have_text("there is already an account perso")
    expect(dialog.locator("tbody .bad")).to_contain_text("is not an account name")
    expect(confirm).to_be_disabled()
    expect(dialog.locator("img")).to_have_count(0)
    token = {"accessToken": "sk-ant-oat01-" + "a" * 95}
    give(json.dumps({"claudeAiOauth": token}).encode())
    dialog.locator("[name=name]").fill("other")
    # Who types does not have to leave the field first.
    expect(confirm).to_be_enabled()
    expect(dialog.locator("tbody .will")).to_have_count(1)
    # What was said of one file holds for no other, where it could not even be seen.
    give(json.dumps([good | {"name": "perso"}, good | {"name": "more"}]).encode())
    expect(dialog.locator("tbody tr")).to_have_count(2)
    expect(confirm).to_be_enabled()
    tokens = {"accessToken": "sk-ant-oat01-" + "a" * 95, "refreshToken": "sk-ant-ort01-" + "r" * 95}
    give(json.dumps({"claudeAiOauth": tokens | {"expiresAt": 4_000_000_000_000, "scopes": []}}).encode())
    dialog.locator("[name=name]").fill("Client")
    dialog.locator("[name=move_logins]").check()
    expect(dialog.locator("tbody")).to_contain_text("will be added with its login")
    confirm.click()
    expect(card(page, "client").locator("code")).to_have_text(re.compile("a{6}$"))


def test_aliases_are_shown_copied_downloaded_and_hold_no_key(page: Page) -> None:
    menu(page, "aliases")
    dialog = page.locator("dialog[data-name=aliases]")
    script = dialog.locator("[data-name=script]")
    expect(script).to_contain_text("claude-perso")
    assert KEY not in script.inner_text()
    dialog.locator("[data-name=copy]").click()
    assert "claude-perso" in page.evaluate("navigator.clipboard.readText()")
    with page.expect_download() as download:
        dialog.locator("[data-name=download]").click()
    assert download.value.suggested_filename == "aliases.sh"
    dialog.locator("[data-name=install]").click()
    page.locator("dialog[data-name=confirm] [value=yes]").click()
    expect(dialog.locator(".toast").last).to_be_visible()


def test_language_and_theme_are_switched_without_a_reload_and_kept(page: Page) -> None:
    page.locator("[popovertarget=menu]").click()
    page.locator("#language").select_option("fr")
    expect(page.get_by_role("heading", level=1, name="Comptes")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "fr"
    expect(card(page, "perso").locator("[data-name=status-word]")).to_have_text("Non essayé")
    page.locator("#theme").select_option("dark")
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.locator("#theme").select_option("light")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != dark
    page.reload()
    expect(page.get_by_role("heading", level=1, name="Comptes")).to_be_visible()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_layout_is_chosen_and_kept(page: Page) -> None:
    page.locator("[data-layout=rows]").click()
    page.reload()
    expect(page.locator("[data-name=accounts]")).to_have_class(re.compile("rows"))


def test_second_question_does_not_take_the_first_ones_answer(visitor: Visitor) -> None:
    """The browser tells that a dialog was closed when it may be open again already."""
    visitor.sign_in()
    page = visitor.open()
    expect(page.locator("[data-name=first-steps]")).to_be_visible()
    answers = page.evaluate(
        """async () => {
            const main = document.querySelector('script[type=module]').src;
            const { confirmed, dialog } = await import(new URL('shared/dialog.js', main));
            const first = confirmed('one', '', 'yes');
            dialog('confirm').close('no');
            const second = confirmed('two', '', 'yes');
            await new Promise(requestAnimationFrame);
            await new Promise(requestAnimationFrame);
            dialog('confirm').close('yes');
            return [await first, await second];
        }"""
    )
    assert answers == [False, True]
