"""Owns the tables of the accounts database: as the earlier program made them, and each step from there to today's.

It is SQL and how a script runs within a transaction; when that happens is storage.py's.
"""

from __future__ import annotations

import sqlite3

# What the earlier program made (its PRAGMA user_version is 0); a new database starts from the same tables.
FIRST_TABLES = """
CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY,
    name TEXT UNIQUE NOT NULL,
    auth_type TEXT NOT NULL CHECK (auth_type IN ('api_key', 'oauth')),
    api_key_enc TEXT NOT NULL DEFAULT '',
    access_token_enc TEXT NOT NULL DEFAULT '',
    refresh_token_enc TEXT NOT NULL DEFAULT '',
    expires_at INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    last_used TEXT
);
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

# login_id names one lineage of refresh tokens: accounts that hold the same login share its lock and its tokens.
_VERSION_1 = """
ALTER TABLE accounts ADD COLUMN login_id TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN refresh_digest TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN from_live_store INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN login_ended INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN login_expires_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN scopes TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN subscription_type TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN rate_limit_tier TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN account_uuid TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN organization_uuid TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN organization TEXT NOT NULL DEFAULT '';
CREATE INDEX accounts_by_refresh_digest ON accounts (refresh_digest);
CREATE INDEX accounts_by_login ON accounts (login_id);
CREATE TABLE sessions (
    id_hash TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    address TEXT NOT NULL DEFAULT '',
    user_agent TEXT NOT NULL DEFAULT ''
);
CREATE TABLE recent_folders (
    account_id TEXT NOT NULL,
    folder TEXT NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, folder)
);
CREATE TABLE change_counter (value INTEGER NOT NULL);
INSERT INTO change_counter VALUES (0);
CREATE TRIGGER accounts_added AFTER INSERT ON accounts BEGIN UPDATE change_counter SET value = value + 1; END;
CREATE TRIGGER accounts_updated AFTER UPDATE ON accounts BEGIN UPDATE change_counter SET value = value + 1; END;
CREATE TRIGGER accounts_removed AFTER DELETE ON accounts BEGIN UPDATE change_counter SET value = value + 1; END;
"""

# What belongs to running sessions and folders goes with its account.
_VERSION_2 = """
ALTER TABLE accounts ADD COLUMN durable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN spent_digest TEXT NOT NULL DEFAULT '';
CREATE TABLE running_sessions (
    pid INTEGER NOT NULL,
    process_started TEXT NOT NULL,
    account_id TEXT NOT NULL,
    folder TEXT NOT NULL,
    since INTEGER NOT NULL,
    origin TEXT NOT NULL,
    token_ends INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pid, process_started)
);
CREATE TABLE bindings (folder TEXT PRIMARY KEY, account_id TEXT NOT NULL);
CREATE TABLE usage (
    account_id TEXT NOT NULL,
    period TEXT NOT NULL,
    percent REAL NOT NULL,
    resets_at INTEGER NOT NULL DEFAULT 0,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, period)
);
CREATE TRIGGER account_leaves_nothing AFTER DELETE ON accounts BEGIN
    DELETE FROM running_sessions WHERE account_id = old.id;
    DELETE FROM bindings WHERE account_id = old.id;
    DELETE FROM usage WHERE account_id = old.id;
END;
"""

# Which refresh tokens have been replaced tells a copy that is behind from one that is ahead, and so does what has not
# reached the account's store. A session knows the file that holds its account, and where its process numbers count.
_VERSION_3 = """
CREATE TABLE spent_tokens (digest TEXT PRIMARY KEY, login_id TEXT NOT NULL, spent_at INTEGER NOT NULL);
INSERT OR IGNORE INTO spent_tokens
    SELECT spent_digest, login_id, CAST(strftime('%s', 'now') AS INTEGER) * 1000 FROM accounts WHERE spent_digest != '';
ALTER TABLE accounts ADD COLUMN approve_key INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN allowed_hosts TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN store_lacks TEXT NOT NULL DEFAULT '';
ALTER TABLE running_sessions ADD COLUMN namespace TEXT NOT NULL DEFAULT '';
ALTER TABLE running_sessions ADD COLUMN pin TEXT NOT NULL DEFAULT '';
ALTER TABLE running_sessions ADD COLUMN config_folder TEXT NOT NULL DEFAULT '';
"""

# The dashboard's door. A browser's session of before has no second secret, so it ends; a program's goes on. The journal
# takes nothing back but what is older than its newest ten thousand lines.
_VERSION_4 = """
ALTER TABLE sessions ADD COLUMN page_secret_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN proved_at INTEGER NOT NULL DEFAULT 0;
DELETE FROM sessions WHERE user_agent LIKE 'Mozilla/%';
CREATE TABLE api_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT UNIQUE NOT NULL,
    hash TEXT UNIQUE NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'launch', 'admin')),
    created_at INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL DEFAULT 0,
    last_used_at INTEGER NOT NULL DEFAULT 0
);
INSERT INTO api_tokens (name, hash, scope) SELECT 'first', value, 'admin' FROM settings WHERE key = 'api_token_hash';
DELETE FROM settings WHERE key = 'api_token_hash';
CREATE TABLE passkeys (
    credential_id TEXT PRIMARY KEY,
    public_key BLOB NOT NULL,
    sign_count INTEGER NOT NULL DEFAULT 0,
    name TEXT NOT NULL,
    rp_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE totp (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    secret_enc TEXT NOT NULL,
    last_step INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);
CREATE TABLE recovery_codes (hash TEXT PRIMARY KEY, used_at INTEGER NOT NULL DEFAULT 0);
CREATE TABLE attempts (kind TEXT NOT NULL, place TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX attempts_by_place ON attempts (kind, place, at);
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    account TEXT NOT NULL DEFAULT '',
    actor TEXT NOT NULL DEFAULT '',
    address TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT ''
);
CREATE TRIGGER journal_stands BEFORE UPDATE ON journal BEGIN
    SELECT RAISE(ABORT, 'the journal is append only');
END;
CREATE TRIGGER journal_stays BEFORE DELETE ON journal WHEN old.id > (SELECT max(id) FROM journal) - 10000 BEGIN
    SELECT RAISE(ABORT, 'the journal is append only');
END;
"""

# Whether a credential was ever taken by whoever it is meant for: what is known of limits came with such an answer.
_VERSION_5 = """
ALTER TABLE accounts ADD COLUMN tried TEXT NOT NULL DEFAULT 'untried';
ALTER TABLE accounts ADD COLUMN tried_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN tried_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN credential_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE running_sessions ADD COLUMN first_cost REAL;
UPDATE accounts SET tried = 'works', tried_at = (SELECT max(seen_at) FROM usage WHERE account_id = accounts.id)
    WHERE id IN (SELECT account_id FROM usage);
"""

# From version 0 to 1, from 1 to 2, and so on; what else a step needs stands in storage.py.
STEPS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5)
VERSION = len(STEPS)


def run(connection: sqlite3.Connection, script: str) -> None:
    """Run statements inside the open transaction (executescript would commit it first)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
