"""Settings files of Claude Code: which are read, what of them is a rival, on which line it stands."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as some

from claude_accounts.claude import settings as claude_settings
from claude_accounts.claude.settings import Setting
from claude_accounts.claude.variables import CREDENTIAL_VARIABLES
from claude_accounts.messages import AccountsError, InvalidInput

KEY, OAUTH = "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"
HELPER = {"apiKeyHelper": "/bin/echo other"}


class Place:
    """A home, a project folder and a folder of managed settings, each with the files a test puts there."""

    def __init__(self, home: Path, root: Path) -> None:
        self.user = home / ".claude" / "settings.json"
        self.project_folder = root / "project"
        self.project = self.project_folder / ".claude" / "settings.json"
        self.local = self.project_folder / ".claude" / "settings.local.json"
        self.managed = root / "managed" / "managed-settings.json"
        for path in (self.user, self.project, self.managed):
            path.parent.mkdir(parents=True)

    def read(self, *arguments: str, cwd: Path | None = None, **environ: str) -> claude_settings.Settings:
        """Read what a claude in the project folder would."""
        return claude_settings.read_settings(
            cwd=str(cwd or self.project_folder),
            environ=environ,
            arguments=list(arguments),
            managed_folder=str(self.managed.parent),
        )

    def rivals(
        self, *arguments: str, variable: str = KEY, value: str = "ours", cwd: Path | None = None
    ) -> list[Setting]:
        """Return the rivals of one variable."""
        return claude_settings.find_rivals(self.read(*arguments, cwd=cwd), variable, value)

    def destinations(self, *allowed: str) -> list[Setting]:
        """Return what the folder itself says of where the credential shall go."""
        return claude_settings.foreign_destinations(self.read(), allowed)


@pytest.fixture
def place(home: Path, tmp_path: Path) -> Place:
    """Return empty settings folders."""
    return Place(home, tmp_path)


def write(path: Path, whole: object) -> Path:
    """Write settings as a person would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(whole if isinstance(whole, str) else json.dumps(whole, indent=2))
    return path


def env(**variables: object) -> dict[str, object]:
    """Return settings with an environment."""
    return {"env": variables}


# Which files


@pytest.mark.parametrize("which", ["user", "project", "local", "managed"])
def test_a_rival_in_each_file_is_found_and_its_line_named(place: Place, which: str) -> None:
    """SEC-07"""
    path = write(getattr(place, which), {"model": "opus", "env": {"OTHER": "1", "ANTHROPIC_AUTH_TOKEN": "secret"}})
    (rival,) = place.rivals()
    assert (rival.scope, rival.path, rival.line) == (which, str(path), 5)
    assert rival.place() == f"{path}:5 env.ANTHROPIC_AUTH_TOKEN"


def test_without_any_file_there_is_no_rival(place: Place) -> None:
    assert place.read() == claude_settings.Settings({}, [])


def test_drop_ins_and_what_the_console_sent_are_managed(place: Place, home: Path) -> None:
    first = write(place.managed.parent / "managed-settings.d" / "10-a.json", HELPER)
    write(place.managed.parent / "managed-settings.d" / "note.txt", env(ANTHROPIC_API_KEY="x"))
    sent = write(home / ".claude" / "remote-settings.json", {"forceLoginOrgUUID": "o"})
    rivals = place.rivals()
    assert {(rival.scope, rival.path) for rival in rivals} == {("managed", str(first)), ("managed", str(sent))}


def test_the_user_file_follows_the_configuration_folder(place: Place, tmp_path: Path) -> None:
    write(place.user, HELPER)
    path = write(tmp_path / "elsewhere" / "settings.json", env(ANTHROPIC_PROFILE="x"))
    (rival,) = claude_settings.find_rivals(place.read(CLAUDE_CONFIG_DIR=str(path.parent)), KEY, "ours")
    assert rival.path == str(path)


def test_local_settings_count_at_the_top_of_the_repository_and_in_the_folder_itself(place: Place) -> None:
    (place.project_folder / ".git").mkdir()
    inside = place.project_folder / "a" / "b"
    inside.mkdir(parents=True)
    top = write(place.local, HELPER)
    here = write(inside / ".claude" / "settings.local.json", env(ANTHROPIC_AUTH_TOKEN="x"))
    write(place.project, env(ANTHROPIC_PROFILE="only for sessions started there"))
    assert {rival.path for rival in place.rivals(cwd=inside)} == {str(top), str(here)}


def test_local_settings_of_the_main_folder_count_in_a_linked_worktree(place: Place, tmp_path: Path) -> None:
    administration = place.project_folder / ".git" / "worktrees" / "w"
    administration.mkdir(parents=True)
    (administration / "commondir").write_text("../..\n")
    worktree = tmp_path / "worktree" / "sub"
    worktree.mkdir(parents=True)
    (worktree.parent / ".git").write_text(f"gitdir: {administration}\n")
    path = write(place.local, HELPER)
    assert [rival.path for rival in place.rivals(cwd=worktree)] == [str(path)]


def test_a_repository_at_home_makes_no_local_settings_of_the_user_folder(place: Place, home: Path) -> None:
    (home / ".git").mkdir()
    inside = home / "work"
    inside.mkdir()
    write(home / ".claude" / "settings.local.json", HELPER)
    assert place.rivals(cwd=inside) == []


def test_the_strongest_file_decides(place: Place) -> None:
    write(place.user, env(ANTHROPIC_AUTH_TOKEN="x") | HELPER)
    write(place.project, env(ANTHROPIC_AUTH_TOKEN=""))
    (rival,) = place.rivals()
    assert rival.keys == ("apiKeyHelper",)
    assert place.rivals("--settings", '{"apiKeyHelper": ""}') == []
    write(place.managed, HELPER)
    (rival,) = place.rivals("--settings", '{"apiKeyHelper": ""}')
    assert rival.scope == "managed"


def test_setting_sources_limit_what_counts_but_not_the_managed_ones(place: Place) -> None:
    write(place.user, HELPER)
    write(place.project, env(ANTHROPIC_AUTH_TOKEN="x"))
    write(place.managed, env(ANTHROPIC_PROFILE="x"))

    def scopes(*arguments: str) -> set[str]:
        return {rival.scope for rival in place.rivals(*arguments)}

    assert scopes() == {"user", "project", "managed"}
    assert scopes("--setting-sources", "project,local") == {"project", "managed"}
    assert scopes("--setting-sources=user") == {"user", "managed"}
    assert scopes("--", "--setting-sources=user") == {"user", "project", "managed"}


# What is a rival


@pytest.mark.parametrize("name", [name for name in CREDENTIAL_VARIABLES if name != KEY])
def test_every_credential_variable_in_a_file_is_a_rival(place: Place, name: str) -> None:
    write(place.user, {"env": {name: "1"}})
    (rival,) = place.rivals()
    assert claude_settings.can_be_set_aside(rival)


@pytest.mark.parametrize("value", ["", None, False])
def test_an_empty_setting_is_no_rival(place: Place, value: object) -> None:
    write(place.user, {"env": {"ANTHROPIC_AUTH_TOKEN": value}, "apiKeyHelper": value})
    assert place.rivals() == []


@pytest.mark.parametrize("value", ["0", "false", "", 0])
def test_a_provider_that_is_switched_off_is_no_rival(place: Place, value: object) -> None:
    write(place.user, env(CLAUDE_CODE_USE_BEDROCK=value))
    assert place.rivals() == []


def test_our_own_variable_is_a_rival_unless_it_says_the_same(place: Place) -> None:
    """An empty one too: Claude Code then goes on with whatever else it finds."""
    write(place.project, env(ANTHROPIC_API_KEY="ours"))
    assert place.rivals() == []
    for other in ("theirs", "", None):
        write(place.project, env(ANTHROPIC_API_KEY=other))
        (rival,) = place.rivals()
        assert claude_settings.can_be_set_aside(rival), "the pin says it with our value"
    assert place.rivals(variable=OAUTH) == []


def test_nothing_managed_can_be_set_aside(place: Place) -> None:
    write(place.managed, HELPER | env(ANTHROPIC_AUTH_TOKEN="x") | {"forceLoginMethod": "console"})
    write(place.user, {"forceLoginOrgUUID": "only counts when managed"})
    rivals = place.rivals()
    assert {rival.keys[-1] for rival in rivals} == {"apiKeyHelper", "ANTHROPIC_AUTH_TOKEN", "forceLoginMethod"}
    assert not any(claude_settings.can_be_set_aside(rival) for rival in rivals)


@pytest.mark.parametrize(
    ("whole", "host"),
    [
        (env(ANTHROPIC_BASE_URL="https://collector.example/v1"), "collector.example"),
        (env(ANTHROPIC_BASE_URL="http://user:word@localhost:4000"), "localhost:4000"),
        (env(ANTHROPIC_BASE_URL="https://api.anthropic.com.example"), "api.anthropic.com.example"),
        (env(ANTHROPIC_BASE_URL="http://api.anthropic.com"), "api.anthropic.com"),
        (env(HTTPS_PROXY="http://proxy.example:3128"), "proxy.example:3128"),
        (env(http_proxy="proxy.example:3128"), ""),
        (env(ANTHROPIC_CUSTOM_HEADERS="X-Team: a"), ""),
        (env(CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL="https://collector.example/token"), "collector.example"),
        (env(CLAUDE_ACCOUNTS_API_URL="https://collector.example"), "collector.example"),
        ({"processWrapper": "./wrap"}, ""),
        ({"inference": {"baseUrl": "https://collector.example"}}, "collector.example"),
    ],
)
def test_where_a_repository_sends_the_credential_is_found_with_its_host(place: Place, whole: object, host: str) -> None:
    for path in (place.project, place.local):
        write(path, whole)
        (found,) = place.destinations()
        assert claude_settings.host_of(found.value) == host and found.path == str(path)
        assert place.destinations(host) == [] or not host
        path.unlink()
    write(place.user, whole)
    assert place.destinations() == [], "what the user wrote is the user's wish"


@pytest.mark.parametrize("value", ["", None, "https://api.anthropic.com", "https://api.anthropic.com/v1"])
def test_anthropics_own_address_in_a_repository_is_no_foreign_destination(place: Place, value: object) -> None:
    write(place.project, env(ANTHROPIC_BASE_URL=value))
    assert place.destinations() == []


def test_custom_headers_are_a_rival_only_when_they_carry_a_credential(place: Place) -> None:
    write(place.user, env(ANTHROPIC_CUSTOM_HEADERS="X-Team: a"))
    assert place.rivals() == []
    for headers in ("X-Team: a\nAuthorization: Bearer x", "x-API-key : y"):
        write(place.user, env(ANTHROPIC_CUSTOM_HEADERS=headers))
        assert [rival.keys[-1] for rival in place.rivals()] == ["ANTHROPIC_CUSTOM_HEADERS"]


def test_the_place_of_a_rival_shows_no_secret(place: Place) -> None:
    write(place.user, env(ANTHROPIC_AUTH_TOKEN="sk-secret") | {"apiKeyHelper": "echo sk-secret"})
    assert all("sk-secret" not in rival.place() for rival in place.rivals())


# Files that are none


def test_odd_files_neither_hang_nor_raise_and_are_told(place: Place) -> None:
    oddities: list[Callable[[Path], object]] = [
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path),
        lambda path: path.write_text('{"env": {}, // a comment\n "apiKeyHelper": "x"}'),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("[" * 200_000),
        lambda path: path.write_bytes(b" " * (9 * 1024 * 1024)),
    ]
    for path in (place.user, place.project, place.local, place.managed):
        for make in oddities:
            make(path)
            assert place.read() == claude_settings.Settings({}, [str(path)])
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


@pytest.mark.parametrize("content", ["", " \n", "[]", "3", "null", '{"env": []}', '{"env": {"A": "b"}}'])
def test_files_that_say_nothing_are_not_worth_a_word(place: Place, content: str) -> None:
    place.user.write_text(content)
    assert place.read() == claude_settings.Settings({}, [])


def test_the_notice_about_a_file_drives_no_terminal() -> None:
    assert "\x1b" not in claude_settings.unreadable_notice("/a/\x1b[31m")
    assert "\x1b" not in Setting("user", "/a/\x1b[31m", 1, ("k",), "").place()


# The user's own --settings


@pytest.mark.parametrize(
    ("arguments", "kept", "value"),
    [
        (["-p", "hi"], ["-p", "hi"], None),
        (["--settings", "a", "-p"], ["-p"], "a"),
        (["--settings=a", "-p"], ["-p"], "a"),
        (["--settings=", "-p"], ["-p"], ""),
        (["--settings", "a", "x", "--settings=b"], ["x"], "b"),
        (["--", "--settings", "a"], ["--", "--settings", "a"], None),
        (["-c", "--settings", "a", "--", "--settings=b"], ["-c", "--", "--settings=b"], "a"),
        (["--settings"], ["--settings"], None),
        ([], [], None),
    ],
)
def test_the_last_settings_argument_before_a_bare_dashes_counts(
    arguments: list[str], kept: list[str], value: str | None
) -> None:
    assert claude_settings.split_settings_argument(arguments) == (kept, value)


def test_a_rival_in_the_users_own_settings_is_found(place: Place) -> None:
    path = write(place.project_folder / "mine.json", HELPER)
    (rival,) = place.rivals("--settings", "mine.json")
    assert (rival.scope, rival.line) == ("argument", 2)
    (rival,) = place.rivals("--settings=" + str(path))
    assert rival.path == str(path)
    (rival,) = place.rivals("--settings", ' {"apiKeyHelper": "x"}')
    assert rival.place() == "--settings:1 apiKeyHelper"


def test_the_users_own_settings_are_read_from_json_or_a_file(place: Place) -> None:
    folder = str(place.project_folder)
    write(place.project_folder / "mine.json", HELPER)
    assert claude_settings.settings_of_argument("mine.json", folder) == HELPER
    assert claude_settings.settings_of_argument('{"a": 1}', folder) == {"a": 1}
    (place.project_folder / "list.json").write_text("[]")
    for broken in ("nowhere.json", "list.json", "{", "", "."):
        with pytest.raises(InvalidInput, match="holds no settings"):
            claude_settings.settings_of_argument(broken, folder)


# Lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"env":{"A":"x"}}', 1),
        ('{\n"env":\n{\n"A"\n:\n"x"}}', 4),
        ('{\r\n "env": {\r\n  "A": "x"}}', 3),
        ('{"env": {"A": "1",\n "A": "2"}}', 2),
        ('{"env": {"\\u0041":\n "x"}}', 1),
        ('{"A": 1,\n"list": [{"env": {"A": 1}}],\n"env": {"B": {"A": 1},\n"A": 1}}', 4),
        ('{"text": "\\"env\\": {\\"A\\":",\n"env": {"A": 1}}', 2),
        ('{"env": {"B": "A"}, "A": 1}', 0),
        ('{"env": "A"}', 0),
        ("", 0),
        ("}{]]::", 0),
    ],
)
def test_the_line_is_that_of_the_key_that_counts(text: str, line: int) -> None:
    assert claude_settings.line_of(text, ("env", "A")) == line


def test_the_line_in_a_large_file_is_found(place: Place) -> None:
    text = '{"x": [' + '"a",\n' * 200_000 + '1],\n"apiKeyHelper": "x"}'
    write(place.user, text)
    (rival,) = place.rivals()
    assert rival.line == 200_002


words = some.sampled_from(["env", "apiKeyHelper", KEY, OAUTH, "a", 'é"\\', "\n", ":{[", ""])
json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | words,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


def keys_with_lines(text: str, whole: dict[str, Any]) -> dict[tuple[str, ...], int]:
    """Return the line of each key of the first and second level of an indented text without doubled keys.

    With `indent=1` a key of the first level is the only thing at one space, one of the second at two.
    """
    found: dict[tuple[str, ...], int] = {}
    first = ""
    for number, line in enumerate(text.split("\n"), 1):
        depth = len(line) - len(line.lstrip(" "))
        if line.strip().startswith('"') and depth in (1, 2):
            key = json.JSONDecoder().raw_decode(line.strip())[0]
            if depth == 1:
                first = key
                found[(key,)] = number
            elif isinstance(whole.get(first), dict):
                found[(first, key)] = number
    return found


@settings(max_examples=300, deadline=None)
@given(whole=some.dictionaries(words, json_values, max_size=5), ascii_only=some.booleans())
def test_the_line_of_every_key_of_a_generated_file_is_right(whole: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(whole, indent=1, ensure_ascii=ascii_only)
    for keys, line in keys_with_lines(text, whole).items():
        assert claude_settings.line_of(text, keys) == line, (text, keys)


any_file = some.one_of(
    some.binary(max_size=100),
    some.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    json_values.map(lambda value: json.dumps(value).encode()),
    some.dictionaries(words, json_values).map(lambda value: json.dumps({"env": value}).encode()),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(user=any_file, managed=any_file, argument=some.text(alphabet='{}":,/a ', max_size=12))
def test_no_file_and_no_argument_raises_anything_else_than_our_errors(
    place: Place, user: bytes, managed: bytes, argument: str
) -> None:
    place.user.write_bytes(user)
    place.managed.write_bytes(managed)
    place.rivals("--settings", argument)
    try:
        claude_settings.settings_of_argument(argument, str(place.project_folder))
    except AccountsError as error:
        assert error.message
