"""What tests find in the data folder: an account whose token has ended, a database of the earlier program."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from cryptography.fernet import Fernet
from token_endpoint import TokenEndpoint, in_hours

from claude_accounts import db

KEY = "sk-ant-api03-" + "k" * 40 + "ABCDEF"


def expired_account(endpoint: TokenEndpoint, name: str = "client", family: str = "family") -> db.Account:
    """Store an account whose access token has ended and whose refresh token is good."""
    return db.add_account(
        name,
        db.OAUTH,
        access_token=f"sk-ant-oat01-{family}-access-expired",
        refresh_token=endpoint.new_login(family),
        expires_at=in_hours(-1),
    )


def stored_pair(name: str = "client") -> tuple[str, str]:
    """Return the account's decrypted tokens."""
    entry = next(entry for entry in db.export_accounts() if entry["name"] == name)
    return entry["access_token"], entry["refresh_token"]


def earlier_database(home: Path, key: bytes) -> Path:
    """Write a database as the earlier program did: its tables, user_version 0, default journal."""
    folder = home / ".claude-accounts"
    folder.mkdir()
    (folder / ".key").write_bytes(key)
    fernet = Fernet(key)
    with sqlite3.connect(folder / "accounts.db") as connection:
        connection.executescript(
            """CREATE TABLE accounts (id TEXT PRIMARY KEY, name TEXT UNIQUE NOT NULL,
            auth_type TEXT NOT NULL CHECK(auth_type IN ('api_key', 'oauth')), api_key_enc TEXT NOT NULL DEFAULT '',
            access_token_enc TEXT NOT NULL DEFAULT '', refresh_token_enc TEXT NOT NULL DEFAULT '',
            expires_at INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL DEFAULT (datetime('now')), last_used TEXT);
            CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
            INSERT INTO settings VALUES ('auth_password_hash', 'pbkdf2:sha256:1$salt$hash');"""
        )
        sealed = fernet.encrypt(KEY.encode()).decode()
        connection.execute(
            "INSERT INTO accounts (id, name, auth_type, api_key_enc) VALUES ('a1', 'perso', 'api_key', ?)", (sealed,)
        )
        tokens = [
            fernet.encrypt(text.encode()).decode() for text in ("sk-ant-oat01-" + "a" * 40, "sk-ant-ort01-" + "r" * 40)
        ]
        connection.execute(
            "INSERT INTO accounts (id, name, auth_type, access_token_enc, refresh_token_enc, expires_at, last_used)"
            " VALUES ('a2', 'Old Näme;', 'oauth', ?, ?, 1700000000000, '2025-01-01 10:00:00')",
            tokens,
        )
    connection.close()
    return folder / "accounts.db"
