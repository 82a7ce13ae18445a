"""Writes what other tools keep, in their own shapes, with made-up secrets: folders for the tests of imports."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from pathlib import Path

ENDS = 4_000_000_000_000


def key(letter: str) -> str:
    return f"sk-ant-api03-{letter * 95}"


def access(letter: str) -> str:
    return f"sk-ant-oat01-{letter * 95}"


def refresh(letter: str) -> str:
    return f"sk-ant-ort01-{letter * 95}"


def login(letter: str, **changes: object) -> dict[str, object]:
    """Return what a credentials file holds."""
    tokens = {
        "accessToken": access(letter),
        "refreshToken": refresh(letter),
        "expiresAt": ENDS,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    }
    return {"claudeAiOauth": tokens | changes}


def config(letter: str, email: str = "", organization: str = "Org") -> dict[str, object]:
    """Return what a `.claude.json` says of who has signed in."""
    account = {
        "accountUuid": f"uuid-{letter}",
        "emailAddress": email or f"{letter}@example.com",
        "organizationUuid": f"org-{letter}",
        "organizationName": organization,
    }
    return {"oauthAccount": account, "numStartups": 3}


def write(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def claude_folder(path: Path, letter: str) -> Path:
    """Write a folder made for CLAUDE_CONFIG_DIR."""
    write(path / ".credentials.json", login(letter))
    write(path / ".claude.json", config(letter))
    return path


def claude_swap(path: Path, folder: str = "/nowhere") -> Path:
    """Write claude-swap's store: the active login, one with a session newer than its copy, a setup token, a key."""
    records = {
        "1": {"email": "a@example.com", "uuid": "uuid-a", "organizationUuid": "org-a", "organizationName": "A"},
        "2": {"email": "b@example.com", "uuid": "uuid-b", "organizationUuid": "org-b", "alias": "bureau"},
        "3": {"email": "setup-token-3@token.local", "uuid": "", "organizationUuid": "", "alias": "ci"},
        "4": {"email": "api-key-4@token.local", "uuid": "", "organizationUuid": "", "kind": "api_key", "alias": "key"},
        "5": {"email": "../../../e@example.com", "uuid": "uuid-e"},
        "../6": {"email": "f@example.com", "uuid": "uuid-f"},
        "7": {"email": "dead@example.com", "uuid": "uuid-g"},
    }
    contents: dict[str, object] = {
        "1": login("a"),
        "2": login("b"),
        "3": {"claudeAiOauth": {"accessToken": access("c"), "scopes": ["user:inference"]}},
        "4": key("d"),
        "7": login("g", accessToken="", refreshToken="", expiresAt=0),
    }
    write(path / "sequence.json", {"activeAccountNumber": 1, "sequence": [1, 2, 3, 4], "accounts": records})
    for number, content in contents.items():
        text = content if isinstance(content, str) else json.dumps(content)
        write(
            path / "credentials" / f".creds-{number}-{records[number]['email']}.enc",
            base64.b64encode(text.encode()).decode(),
        )
    write(path / "configs" / ".claude-config-1-a@example.com.json", config("a"))
    write(path / "sessions" / "2-b_example.com" / ".credentials.json", login("B"))
    mapping = {"email": "b@example.com", "organizationUuid": "org-b", "added": "2026-01-01"}
    write(path / "mappings.json", {"schemaVersion": 1, "mappings": {folder: mapping, "relative": mapping}})
    return path


def claude_swap_export() -> dict[str, object]:
    """Return claude-swap's export file."""
    accounts = [
        {
            "number": 1,
            "email": "a@example.com",
            "uuid": "uuid-a",
            "organizationUuid": "org-a",
            "organizationName": "A",
            "credentials": login("a"),
            "config": config("a"),
        },
        {
            "number": 2,
            "email": "api-key-2@token.local",
            "kind": "api_key",
            "alias": "key",
            "credentials": key("d"),
            "config": {"oauthAccount": {"emailAddress": "api-key-2@token.local", "organizationUuid": None}},
        },
        {"number": 3, "email": "c@example.com", "credentials": 5, "config": []},
    ]
    return {"version": 1, "swapVersion": "1.0", "encrypted": False, "activeAccountNumber": 1, "accounts": accounts}


PROVIDERS = [
    ("claude-official", "Claude Official", {"env": {}}, {}),
    ("k1", "Anthropic Key", {"env": {"ANTHROPIC_API_KEY": key("k")}}, {"apiKeyField": "ANTHROPIC_API_KEY"}),
    (
        "k2",
        "Anthropic again",
        {"env": {"ANTHROPIC_AUTH_TOKEN": key("l"), "ANTHROPIC_BASE_URL": "https://api.anthropic.com/"}},
        {},
    ),
    ("t1", "Token", {"env": {"ANTHROPIC_AUTH_TOKEN": access("t")}}, {}),
    ("z1", "Z.ai", {"env": {"ANTHROPIC_BASE_URL": "https://api.z.ai/api/anthropic", "ANTHROPIC_AUTH_TOKEN": "z"}}, {}),
    ("p1", "Proxy", {"env": {"ANTHROPIC_AUTH_TOKEN": "PROXY_MANAGED"}}, {}),
    ("c1", "Copilot", {"env": {"ANTHROPIC_API_KEY": "x"}}, {"providerType": "github_copilot"}),
    ("o1", "OpenAI", {"env": {"ANTHROPIC_API_KEY": "x"}}, {"apiFormat": "openai_chat"}),
    ("b1", "Bedrock", {"env": {"CLAUDE_CODE_USE_BEDROCK": "1", "ANTHROPIC_API_KEY": key("m")}}, {}),
    ("q1", "Quoted", {"env": {"ANTHROPIC_API_KEY": "YOUR_KEY_HERE"}}, {}),
]


def cc_switch(path: Path) -> sqlite3.Connection:
    """Write cc-switch's database, and leave its last writes in the write-ahead log: the connection is still open."""
    path.mkdir(parents=True)
    connection = sqlite3.connect(path / "cc-switch.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(
        "CREATE TABLE providers (id TEXT NOT NULL, app_type TEXT NOT NULL, name TEXT NOT NULL,"
        " settings_config TEXT NOT NULL, category TEXT, meta TEXT NOT NULL DEFAULT '{}',"
        " is_current BOOLEAN NOT NULL DEFAULT 0, PRIMARY KEY (id, app_type))"
    )
    insert = "INSERT INTO providers (id, app_type, name, settings_config, meta) VALUES (?, ?, ?, ?, ?)"
    for number, name, settings, meta in PROVIDERS:
        connection.execute(insert, (number, "claude", name, json.dumps(settings), json.dumps(meta)))
    connection.execute(insert, ("x1", "codex", "Codex", "{}", "{}"))
    connection.execute(insert, ("d1", "claude", "Damaged", "{", "{}"))
    return connection


def cc_switch_config() -> dict[str, object]:
    """Return cc-switch's older configuration."""
    providers = {
        "k1": {"id": "k1", "name": "Old Key", "settingsConfig": {"env": {"ANTHROPIC_API_KEY": key("k")}}},
        "k2": {"id": "k2", "name": "Older", "settingsConfig": {"apiKey": key("n")}},
    }
    return {"version": 2, "claude": {"providers": providers, "current": "k1"}, "codex": {"providers": {}}}


def ccs(path: Path) -> Path:
    """Write ccs's folder: an account, profiles of other makers, and one with a key for Anthropic."""
    claude_folder(path / "instances" / "work", "w")
    write(path / "config.yaml", "version: 7\naccounts:\n  work:\n    created: 2026-01-01\n")
    write(
        path / "glm.settings.json", {"env": {"ANTHROPIC_BASE_URL": "https://api.z.ai/x", "ANTHROPIC_AUTH_TOKEN": "z"}}
    )
    write(path / "mine.settings.json", {"env": {"ANTHROPIC_API_KEY": key("i")}})
    write(path / "kimi.settings.json", {"env": {"ANTHROPIC_AUTH_TOKEN": "YOUR_KIMI_API_KEY_HERE"}})
    write(path / "gemini.settings.json", {"env": {"ANTHROPIC_AUTH_TOKEN": "ccs-internal-managed"}})
    return path


def caam(path: Path) -> Path:
    """Write caam's data: two accounts in its vault, one of its own, and one isolated."""
    claude_folder(path / "vault" / "claude" / "alice@work.example", "v")
    write(path / "vault" / "claude" / "alice@work.example" / "meta.json", {"tool": "claude", "profile": "x"})
    claude_folder(path / "vault" / "claude" / "_original", "o")
    claude_folder(path / "vault" / "codex" / "other", "p")
    home = path / "profiles" / "claude" / "alone" / "home"
    write(home / ".claude" / ".credentials.json", login("s"))
    write(home / ".claude.json", config("s"))
    return path


def clauth(path: Path) -> Path:
    """Write clauth's folder: a login, a setup token, a key, and another maker."""
    write(path / "profiles.toml", 'active_profile = "one"\nprofiles = ["one", "two", "three", "four"]\n')
    write(path / "profiles" / "one" / "credentials.json", login("x"))
    write(path / "profiles" / "two" / "session-token.json", {"claudeAiOauth": {"accessToken": access("y")}})
    write(path / "profiles" / "two" / "credentials.json", login("y"))
    write(path / "profiles" / "three" / "config.toml", f'api_key = "{key("q")}"\n[models]\ndefault = "opus"\n')
    write(
        path / "profiles" / "four" / "config.toml", 'base_url = "https://api.deepseek.com/anthropic"\napi_key = "d"\n'
    )
    write(path / "profiles" / "five" / "config.toml", "api_key = \n")
    return path


def tree(path: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file below with its time and content, so that two looks can be compared."""
    return {
        str(file.relative_to(path)): (file.stat().st_mtime_ns, file.read_bytes())
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def closed(connection: sqlite3.Connection) -> closing[sqlite3.Connection]:
    """Return a context that closes the database at its end."""
    return closing(connection)
