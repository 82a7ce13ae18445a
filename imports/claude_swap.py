"""Reads claude-swap: its export file, and its store of numbered accounts with the folders that belong to them.

What its `.enc` files hold is only encoded. On macOS it keeps credentials in the Keychain instead, which an export has.
"""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from ..claude import credentials_file
from ..messages import InvalidInput, _, printable
from ..system.folders import expanded
from . import reading
from .found import Found, left_out, of_key, of_login

_EXPORT = "cswap --export FILE"


def usual(environ: Mapping[str, str]) -> list[str]:
    """Return the places where its store may lie."""
    data = expanded(environ.get("XDG_DATA_HOME", ""))
    data = data if os.path.isabs(data) else expanded("~/.local/share")
    return [os.path.join(data, "claude-swap"), expanded("~/.claude-swap-backup")]


def is_store(path: str) -> bool:
    """Tell whether a folder is its store."""
    return os.path.isfile(os.path.join(path, "sequence.json"))


def is_export(value: dict[str, Any]) -> bool:
    """Tell whether a JSON file is its export."""
    accounts = value.get("accounts")
    return "swapVersion" in value or (
        isinstance(accounts, list) and any(isinstance(each, dict) and "credentials" in each for each in accounts)
    )


def of_export(value: dict[str, Any]) -> list[Found]:
    """Return the accounts of an export file. Raises InvalidInput for one of a form that is not known."""
    if value.get("encrypted"):
        raise InvalidInput(_("it is encrypted: decrypt it first"))
    if value.get("version") not in (None, 1):
        raise InvalidInput(_("it is of a newer version of {tool} than is known here", tool="claude-swap"))
    accounts = value.get("accounts")
    if not isinstance(accounts, list):
        raise InvalidInput(_("there is no list of accounts in it"))
    reading.refuse_too_many(accounts)
    return [_of_record(each, each.get("credentials"), each.get("config")) for each in map(_object, accounts)]


def found(path: str) -> list[Found]:
    """Return the accounts of its store."""
    sequence = reading.held_json(path, "sequence.json")
    folders = _folders(path)
    active = sequence.get("activeAccountNumber")
    accounts = []
    for number, record in sorted(_object(sequence.get("accounts")).items(), key=lambda item: item[0].zfill(9)):
        record = _object(record)
        each = _of_slot(path, number, record)
        key = (_text(record, "email"), _text(record, "organizationUuid"))
        each = each._replace(folders=tuple(folders.get(key, ())) if each.entry else ())
        if str(active) == number and each.tokens:
            # What is newest of it is in Claude Code's own store, and this copy may have been spent.
            each = each._replace(tokens={})
        accounts.append(each)
    return accounts


def _of_slot(path: str, number: str, record: dict[str, Any]) -> Found:
    email = _text(record, "email")
    try:
        if not number.isascii() or not number.isdigit():
            raise InvalidInput(_("{name} is no name of a file", name=repr(printable(number)[:60])))
        kept = reading.held(path, "credentials", f".creds-{number}-{email}.enc")
        config = reading.held_config(path, "configs", f".claude-config-{number}-{email}.json")
        if kept is None and record.get("kind") == "api_key":
            where = _("the Keychain has its key") if sys.platform == "darwin" else _("its key is not there")
            return left_out(_called(record), f"{where}: {_EXPORT}")
        credentials = _decoded(kept) if kept else None
        newer = _of_session(path, number, record, newer_than=f".creds-{number}-{email}.enc")
        return _of_record(record, newer or credentials, config)
    except InvalidInput as error:
        return left_out(_called(record) or number, error.message)


def _of_record(record: dict[str, Any], credentials: object, config: object) -> Found:
    """Return one account: `record` says who it is, `credentials` is a login's object, or the text of an API key."""
    called = _called(record)
    try:
        if isinstance(credentials, str):
            # It makes an address up for a key, which is nobody's.
            return of_key(called, credentials)
        login = credentials_file.login_in(credentials, called) if isinstance(credentials, dict) else None
        account = _object(_object(config).get("oauthAccount")) | {
            key: value
            for key, value in {
                "emailAddress": _text(record, "email"),
                "accountUuid": _text(record, "uuid"),
                "organizationUuid": _text(record, "organizationUuid"),
                "organizationName": _text(record, "organizationName"),
            }.items()
            if value
        }
        if account.get("emailAddress", "").endswith("@token.local"):
            del account["emailAddress"]
        return of_login(called, credentials_file.with_identity(login or credentials_file.Login(""), account))
    except InvalidInput as error:
        return left_out(called, error.message)


def _of_session(path: str, number: str, record: dict[str, Any], newer_than: str) -> dict[str, Any] | None:
    """Return what the account's own session folder holds, where Claude Code has renewed the login there since.

    Who signed in there as somebody else has left somebody else's login in it.
    """
    place = ("sessions", f"{number}-" + re.sub(r"[^A-Za-z0-9._-]", "_", _text(record, "email")))
    try:
        theirs = reading.within(path, *place, ".credentials.json")
        if os.stat(theirs).st_mtime_ns <= os.stat(os.path.join(path, "credentials", newer_than)).st_mtime_ns:
            return None
        cached = _object(reading.held_config(path, *place, ".claude.json").get("oauthAccount"))
    except (OSError, InvalidInput):
        return None
    content = reading.held_json(path, *place, ".credentials.json")
    login = credentials_file.login_in(content, theirs)
    if login is None:
        return None
    owner = credentials_file.with_identity(login, cached)
    known = ((owner.account_uuid, _text(record, "uuid")), (owner.organization_uuid, _text(record, "organizationUuid")))
    return None if any(found and said and found != said for found, said in known) else content


def _folders(path: str) -> dict[tuple[str, str], list[str]]:
    """Return the folders that belong to each account (e-mail, organisation)."""
    try:
        mappings = _object(reading.held_json(path, "mappings.json").get("mappings"))
    except InvalidInput:
        return {}
    folders: dict[tuple[str, str], list[str]] = {}
    for folder, entry in mappings.items():
        key = (_text(_object(entry), "email"), _text(_object(entry), "organizationUuid"))
        if os.path.isabs(folder):
            folders.setdefault(key, []).append(folder)
    return folders


def _decoded(kept: bytes) -> object:
    """Return what an `.enc` file holds: a login's object, or the text of an API key."""
    try:
        data = base64.b64decode(kept.strip(), validate=True)
        text = data.decode()
    except ValueError as error:
        raise InvalidInput(_("its credentials file is damaged")) from error
    return reading.parsed(data) if text.lstrip().startswith("{") else text


def _called(record: dict[str, Any]) -> str:
    return _text(record, "alias") or _text(record, "email")


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(holder: dict[str, Any], field: str) -> str:
    value = holder.get(field)
    return value[:256] if isinstance(value, str) and value.isprintable() else ""
