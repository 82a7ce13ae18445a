"""Owns the routes about accounts: list, add, change, refresh, capture, launch, aliases, export, import."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any, NamedTuple

from flask import Blueprint, Response, current_app, jsonify, request

from ... import db
from ...accounts import clocks, journal, pasted, sessions as running_sessions, storage, usage
from ...imports import plan as planning, sources
from ...install import aliases as shell_aliases, rc_files
from ...launch import checking
from ...messages import InvalidInput, _
from ...system import access
from .. import scopes
from ..api import body, flag, json_bytes, note, ok, parts, refuse_browser, require_scope, require_step_up

blueprint = Blueprint("accounts", __name__, url_prefix="/api")
_CREDENTIALS = ("api_key", "access_token", "refresh_token")


class _Listed(NamedTuple):
    mark: tuple[object, ...]
    until_ms: int
    text: bytes


class AccountList:
    """The list as JSON, made again when an account has changed or one of the tokens in it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = _Listed((), 0, b"")

    def text(self) -> bytes:
        """Return the list as it is now."""
        file = (0, 0)
        if access.exists(storage.database_path()):
            status = os.stat(storage.database_path())
            file = (status.st_dev, status.st_ino)
        # Taken before the rows are read: what changes in between is found at the next look.
        mark = (storage.database_path(), file, db.change_mark())
        now = _now_ms()
        with self._lock:
            if self._last.mark == mark and now < self._last.until_ms:
                return self._last.text
        accounts = db.list_accounts()
        limits = usage.of_all()
        until = min(
            (moment for account in accounts for moment in _turns(account) if moment > now), default=now + 3_600_000
        )
        shown = [as_json(account, now, limits.get(account.id, [])) for account in accounts]
        listed = _Listed(mark, until, json.dumps(shown).encode())
        with self._lock:
            self._last = listed
        return listed.text


def _turns(account: db.Account) -> tuple[int, ...]:
    """Return the moments at which what is told of an account changes by itself."""
    ends = account.ends_at
    return account.expires_at, account.login_expires_at, ends, ends - clocks.SOON_MS, ends - clocks.URGENT_MS


def as_json(account: db.Account, now_ms: int, limits: list[usage.Usage] | None = None) -> dict[str, Any]:
    """Return what the API tells of an account: no secret, and its status at `now_ms`.

    `limits` is what is known of its usage, looked up where the caller has not done so for many at once.
    """
    if limits is None:
        limits = list(usage.of_name(account.name).values())
    status = account.status(now_ms)
    return account._asdict() | {
        "created_at": clocks.iso(account.created_at) or "",
        "last_used": clocks.iso(account.last_used),
        "status": status,
        # Clients of the earlier program know the status by this name.
        "token_status": status,
        "ends_at": account.ends_at,
        "ends_kind": clocks.kind(account),
        "urgency": clocks.urgency(account, now_ms),
        "usage": [each._asdict() for each in limits],
    }


@blueprint.get("/accounts")
def list_accounts() -> Response:
    """List all accounts, oldest first."""
    listed: AccountList = current_app.extensions["claude_accounts_list"]
    return Response(listed.text(), mimetype="application/json")


@blueprint.post("/accounts")
def add_account() -> tuple[Response, int]:
    """Add an account."""
    given = body("NewAccount")
    values = {field: value for field, value in given.items() if value is not None}
    _refuse_foreign_fields(values, values["auth_type"])
    account = db.add_account(**values)
    _accounts_changed()
    return jsonify({"id": account.id, "name": account.name} | _doubt(values, account.auth_type)), 201


@blueprint.put("/accounts/<account_id>")
def update_account(account_id: str) -> Response:
    """Change what is given of an account; its type stays."""
    given = body("AccountChange")
    if any(given.get(field) for field in _CREDENTIALS):
        # Another credential erases the one that was there.
        require_step_up()
    account = db.get_account(account_id)
    auth_type = given.pop("auth_type", account.auth_type)
    if auth_type != account.auth_type:
        raise InvalidInput(_("the type of an account does not change"), _("add another account"), field="auth_type")
    durable, force = given.pop("durable", None), given.pop("force", False)
    values = {field: value for field, value in given.items() if value is not None}
    _refuse_foreign_fields(values, auth_type)
    changed = db.update_account(account_id, **values)
    if durable is not None and durable != changed.durable:
        if not (durable or force):
            running_sessions.refuse_while_running(changed)
        changed = db.set_durable(account_id, durable)
    _accounts_changed()
    return jsonify(as_json(changed, _now_ms()) | _doubt(values, auth_type))


@blueprint.delete("/accounts/<account_id>")
def delete_account(account_id: str) -> Response:
    """Remove an account."""
    body("Nothing")
    require_step_up()
    name = db.get_account(account_id).name
    db.delete_account(account_id)
    note("account-removed", account=name)
    _accounts_changed()
    return ok()


@blueprint.get("/accounts/<account_id>/status")
def token_status(account_id: str) -> Response:
    """Tell the state of one account's token."""
    return jsonify(db.get_token_status(account_id))


@blueprint.post("/accounts/<account_id>/capture-oauth")
def capture_oauth(account_id: str) -> Response:
    """Capture the login that Claude Code has now; which file that is no caller may say."""
    given = body("Capture")
    require_step_up()
    account = db.capture_oauth_tokens(account_id, force=given.get("force", False))
    parts().live.accounts_changed()
    return jsonify(as_json(account, _now_ms()))


@blueprint.post("/accounts/<account_id>/refresh-oauth")
def refresh_oauth(account_id: str) -> Response:
    """Exchange the account's refresh token for new tokens."""
    body("Nothing")
    try:
        account = db.refresh_oauth_token(account_id)
    finally:
        # A login that has turned out to be over is a change too.
        parts().live.accounts_changed()
    return jsonify(as_json(account, _now_ms()))


@blueprint.post("/accounts/<account_id>/check")
def check(account_id: str) -> Response:
    """Try the account's credential: an API key by a request that costs nothing, a login by asking claude."""
    body("Nothing")
    try:
        account = checking.check(account_id, os.environ)
    finally:
        # A login may have been renewed for it.
        parts().live.accounts_changed()
    note("account-checked", account=account.name, detail=account.tried)
    return jsonify(as_json(account, _now_ms()))


@blueprint.post("/accounts/<account_id>/launch")
def launch(account_id: str) -> Response:
    """Tell the command that launches claude with this account; the credential itself only when asked to reveal it."""
    given = body("Launch")
    if given.get("reveal", False):
        require_scope(scopes.ADMIN)
        require_step_up()
    account = db.get_account(account_id)
    answer = {"command": f"claude-accounts launch {account.name}", "variable": db.VARIABLES[account.auth_type]}
    if given.get("reveal", False):
        ((answer["variable"], answer["value"]),) = db.get_launch_env(account_id).items()
        note("reveal", account=account.name)
        parts().live.accounts_changed()
    return jsonify(answer)


@blueprint.get("/export")
def export_accounts() -> Response:
    """Return every account with its secrets in clear, to a program; a browser could be led here by any page."""
    refuse_browser(_("a browser exports by POST"))
    return _export()


@blueprint.post("/export")
def export_to_browser() -> Response:
    """Return every account with its secrets in clear to whoever has just proved who he is."""
    body("Nothing")
    require_step_up()
    return _export()


def _export() -> Response:
    """Return the answer; a header names the accounts whose tokens may have been replaced."""
    entries = db.export_accounts(refresh_tokens=flag("refresh_tokens", usual=True))
    note("export", detail=journal.names([str(entry["name"]) for entry in entries]))
    response = jsonify(entries)
    if entries.behind:
        # The array is what it always was; names are plain ASCII.
        response.headers["X-Accounts-Behind"] = ", ".join(behind.name for behind in entries.behind)
    response.headers["Content-Disposition"] = 'attachment; filename="claude-accounts.json"'
    return response


@blueprint.post("/import")
def import_accounts() -> Response:
    """Add the accounts of a file, names that are taken are skipped; with `dry_run=1` only say what would happen."""
    dry_run = flag("dry_run")
    if not dry_run:
        require_step_up()
    plan = planning.foresee(
        [sources.of_bytes(json_bytes())],
        name=request.args.get("name", ""),
        move_logins=flag("move_logins"),
    )
    if dry_run:
        added, skipped = (
            [row.name for row in plan.rows if row.will == will] for will in (planning.ADDED, planning.SKIPPED)
        )
        return jsonify(_imported(added, skipped) | {"plan": planning.as_json(plan)})
    done = planning.carry_out(plan)
    note("import", detail=journal.names(done.imported))
    if done.imported:
        _accounts_changed()
    of_another = any(row.tool != sources.OURS for row in plan.rows)
    more = {"plan": planning.as_json(plan)} if of_another else {}
    return jsonify(_imported(done.imported, done.skipped) | more)


def _imported(imported: list[str], skipped: list[str]) -> dict[str, Any]:
    return {
        "imported": len(imported),
        "skipped": len(skipped),
        "imported_names": imported,
        "skipped_names": skipped,
    }


@blueprint.get("/generate-aliases")
def generate_aliases() -> Response:
    """Return the script of aliases, for fish with `shell=fish`; it holds no secret."""
    return jsonify({"script": shell_aliases.alias_script(db.account_names(), request.args.get("shell", "bash"))})


@blueprint.post("/install-aliases")
def install_aliases() -> Response:
    """Install the aliases into the user's shell and tell which files were written."""
    body("Nothing")
    require_step_up()
    changes = rc_files.install(db.account_names(), os.environ)
    return jsonify({"files": [shell_aliases.alias_path("bash"), *(change.path for change in changes)]})


def _doubt(values: dict[str, Any], auth_type: str) -> dict[str, str]:
    """Return what looks wrong about a credential that has just been stored; it is told, and refused to nobody."""
    given = values.get("api_key") or values.get("access_token")
    doubt = pasted.doubt(pasted.cleaned(given), auth_type) if given else ""
    return {"doubt": doubt} if doubt else {}


def _accounts_changed() -> None:
    """Let installed aliases and open pages follow."""
    parts().live.accounts_changed()
    with storage.noting():
        shell_aliases.rewrite_aliases(db.account_names())


def _refuse_foreign_fields(values: dict[str, Any], auth_type: str) -> None:
    """Refuse an API key for an OAuth account, and tokens for an API key account, unless they are empty."""
    tokens = ("access_token", "refresh_token", "expires_at")
    foreign = tokens if auth_type == db.API_KEY else ("api_key", "approve_key")
    for field in foreign:
        if values.pop(field, None):
            raise InvalidInput(_("{field} does not belong to this type of account", field=field), field=field)


def _now_ms() -> int:
    return int(time.time() * 1000)
