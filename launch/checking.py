"""Owns the check of one account that somebody asks for: whether its key is taken, whether claude is signed in with it.

A key is tried with a request that costs nothing. A login is no request of ours: claude itself is asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from .. import db
from ..accounts import proofs, rows as account_rows, storage
from ..claude import api_key, client, nesting, private_login, program as claude_code
from ..claude.credentials_file import STORE_VARIABLE
from ..claude.variables import PROFILES_VARIABLE
from ..messages import AccountsError, LoginEnded, _, printable


def check(account_id: str, environ: Mapping[str, str]) -> db.Account:
    """Try the account's credential, keep what was found, and return the account with it.

    Raises NotFound, and AccountsError where nothing was found out: no answer, no claude, no credential. What was known
    before then stays.
    """
    stored = account_rows.reread(account_id)
    if stored.auth_type == db.API_KEY:
        _check_key(stored, environ)
    else:
        _check_login(stored, environ)
    return db.get_account(account_id)


def _check_key(stored: db.Stored, environ: Mapping[str, str]) -> None:
    key = storage.decrypt(stored.api_key_enc)
    if not key:
        raise account_rows.no_credential(stored)
    if not api_key.can_be_sent(key):
        name = printable(stored.name)
        raise AccountsError(
            _("the key of {name} holds a character that no credential has", name=name),
            f"claude-accounts update {name} --key -",
        )
    reason = api_key.refusal(key, environ)
    proofs.remember(stored, proofs.REFUSED if reason else proofs.WORKS, reason)


def _check_login(stored: db.Stored, environ: Mapping[str, str]) -> None:
    """Let claude say whether it is signed in; only tokens that it, or a refresh before, was given anew are a proof."""
    if not stored.access_token_enc:
        raise account_rows.no_credential(stored)
    program = claude_code.find_claude(environ)
    try:
        if stored.durable and client.honours_own_store(program, environ):
            credential, newest = db.durable(stored)
        else:
            credential, newest = db.injected(stored)
    except LoginEnded:
        proofs.remember(stored, proofs.REFUSED, proofs.LOGIN_ENDED)
        return
    if not _is_signed_in(program, environ, credential, newest):
        proofs.remember(newest, proofs.REFUSED, proofs.NO_LOGIN)
        return
    try:
        db.bring_in_step(stored.id)
    except LoginEnded:
        proofs.remember(newest, proofs.REFUSED, proofs.LOGIN_ENDED)
        return
    newest = account_rows.reread(stored.id)
    if newest.access_token_enc == stored.access_token_enc and newest.tried != proofs.WORKS:
        proofs.remember(newest, proofs.SIGNED_IN)


def _is_signed_in(program: str, environ: Mapping[str, str], credential: dict[str, str], stored: db.Stored) -> bool:
    """Ask claude, with this credential and away from every other login, setting and project."""
    with private_login.folder() as folder:
        env = claude_code.child_env(nesting.without(environ), credential, stored.name)
        env |= {"CLAUDE_CONFIG_DIR": folder, PROFILES_VARIABLE: client.empty_profiles()}
        if STORE_VARIABLE not in credential:
            env[STORE_VARIABLE] = folder
        told = client.auth_status(program, env, folder)
    if told is None or told.get("authMethod") in ("api_key_helper", "third_party"):
        raise AccountsError(
            _("claude did not say whether it is signed in as {name}", name=printable(stored.name)),
            f"claude-accounts exec {printable(stored.name)} -- {os.path.basename(program)} auth status",
        )
    return told["loggedIn"] is True
