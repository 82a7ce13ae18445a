"""Decides how a login stands: whether its token lasts, whether it is over, whose it is, which copy of it is ahead.

Everything is given; nothing is read, written or asked here. Times are epoch milliseconds.
"""

from __future__ import annotations

from enum import Enum

from ..claude.credentials_file import Login
from .rows import LACKS_LOGIN, OAUTH, Stored

REFRESH_BEFORE_MS = 5 * 60 * 1000


class Ahead(Enum):
    """Which copy of a durable login holds what is newest."""

    NEITHER = "they hold the same"
    STORE = "Claude Code has renewed it there"
    DATABASE = "a write of ours did not reach the store, or the store was put back from a copy"


def lasts(stored: Stored, now: int) -> bool:
    """Tell whether the access token outlives the next minutes."""
    return not 0 < stored.expires_at <= now + REFRESH_BEFORE_MS


def wants_refresh(stored: Stored, now: int) -> bool:
    """Tell whether a session that is given the access token needs a newer one, and there is a way to one."""
    return stored.auth_type == OAUTH and not lasts(stored, now) and bool(stored.refresh_token_enc)


def has_expired(stored: Stored, now: int) -> bool:
    """Tell whether the access token, or the setup token, has ended."""
    return stored.auth_type == OAUTH and 0 < stored.expires_at <= now


def is_over(stored: Stored, now: int) -> bool:
    """Tell whether only a new login helps."""
    return bool(stored.login_ended) or 0 < stored.login_expires_at <= now


def ahead(stored: Stored, login: Login, digest: str, *, same_access: bool, replaced: bool) -> Ahead:
    """Tell which of database and store is ahead, of one and the same login.

    `digest` is that of the store's refresh token, `same_access` whether both hold the same access token, `replaced`
    whether the database knows the store's refresh token as one that it has replaced. Which access token ends earlier
    says nothing: a server may shorten them with each refresh.
    """
    if digest == stored.refresh_digest:
        if same_access and login.expires_at == stored.expires_at:
            return Ahead.NEITHER
        return Ahead.DATABASE if stored.store_lacks else Ahead.STORE
    # A sign-in of ours replaces whatever sessions have gone on to make of the login before.
    return Ahead.DATABASE if replaced or stored.store_lacks == LACKS_LOGIN else Ahead.STORE


def is_somebody_else(stored: Stored, login: Login) -> bool:
    """Tell whether a login that names its owner names another one than the account's."""
    known_and_found = (
        (stored.account_uuid, login.account_uuid),
        (stored.organization_uuid, login.organization_uuid),
    )
    return any(known and found and known != found for known, found in known_and_found)


def is_same_login(stored: Stored, login: Login, digest: str) -> bool:
    """Tell whether what Claude Code's own store holds is this account's login; `digest` is that of its refresh token.

    The token proves it; so does its owner, for an account that was captured from there.
    """
    if not login.refresh_token:
        return False
    if digest in (stored.refresh_digest, stored.spent_digest):
        return True
    same_owner = login.account_uuid != "" and (login.account_uuid, login.organization_uuid) == (
        stored.account_uuid,
        stored.organization_uuid,
    )
    # The end of a login does not move when it is refreshed: another end is another login of the same person.
    same_end = 0 in (login.login_expires_at, stored.login_expires_at) or (
        login.login_expires_at == stored.login_expires_at
    )
    return bool(stored.from_live_store) and same_owner and same_end
