"""Owns what an import will do: the one dry run for the command line, the API and the page, and carrying it out.

A login that another place goes on to renew is not copied unless that is asked for: whoever renews first ends it for the
other. Who it is comes all the same, and a private sign-in makes it whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from .. import db
from ..accounts import bindings, entries, pasted
from ..messages import InvalidInput, NotFound, _, printable
from .found import Found, shown
from .sources import OURS, Source

ADDED, SKIPPED, LEFT_OUT, REFUSED = "added", "skipped", "left_out", "refused"
# What of an account comes.
KEY, TOKEN, LOGIN, IDENTITY, NOTHING = "api_key", "token", "login", "identity", ""


class Row(NamedTuple):
    """What will become of one account: `name` is what it is called here, `called` what it was called there.

    `will` is one of ADDED, SKIPPED (somebody of that name or the very same account is here), LEFT_OUT (it cannot come;
    the others do) and REFUSED (nothing of the file comes). `why`, `hint` and `field` say more where there is more; of
    what is ADDED, why its credential looks as if it could not be one.
    """

    tool: str
    called: str
    name: str
    auth_type: str
    brings: str
    will: str
    why: str = ""
    hint: str = ""
    field: str = ""
    may_move: bool = False
    folders: tuple[str, ...] = ()

    def told(self) -> str:
        """Return one sentence on what will become of the account."""
        if self.will != ADDED:
            return self.why
        if self.why:
            return _("will be added, but {doubt}", doubt=self.why)
        if self.brings == IDENTITY and self.tool != OURS:
            return _("will be added without a login: sign in afterwards")
        if self.brings == LOGIN and self.may_move:
            return _("will be added with its login, which {tool} must drop", tool=self.tool)
        return _("will be added")


class Plan(NamedTuple):
    """The rows in the order of the sources, what is to be stored for them, and the first that refuses everything."""

    rows: list[Row]
    checked: list[dict[str, Any]]
    refusal: InvalidInput | None

    def count(self, will: str) -> int:
        """Return for how many accounts this will happen."""
        return sum(row.will == will for row in self.rows)

    def to_sign_in(self) -> list[str]:
        """Return the names of those that come without a credential."""
        return [row.name for row in self.rows if row.will == ADDED and row.brings == IDENTITY]

    def moved(self) -> list[str]:
        """Return the names of those whose login another place must give up."""
        return [row.name for row in self.rows if row.will == ADDED and row.brings == LOGIN and row.may_move]


class Done(NamedTuple):
    """What was stored, what was there already, and the folders that belong to an account now."""

    imported: list[str]
    skipped: list[str]
    bound: list[str]


def foresee(sources: Iterable[Source], *, name: str = "", move_logins: bool = False) -> Plan:
    """Return what an import of these would do, and change nothing; `name` is what the only account shall be called.

    Raises InvalidInput for a name where there is more than one account to have it.
    """
    given = list(sources)
    if name:
        found = [account for source in given for account in source.accounts]
        if any(source.whole for source in given) or len(found) != 1:
            raise InvalidInput(_("a name can be given to one account alone"), field="name")
    chosen = db.clean_name(name) if name else ""
    planner = _Planner(given, chosen, move_logins)
    for source in given:
        if source.whole:
            planner.add_ours(source)
        else:
            for account in source.accounts:
                planner.add_found(source.tool, account)
    return Plan(planner.settled(), planner.checked, planner.refusal)


def carry_out(plan: Plan) -> Done:
    """Store what was planned, all in one go, and bind the folders that belong to nobody yet.

    Raises InvalidInput where an entry refuses everything.
    """
    if plan.refusal is not None:
        raise plan.refusal
    stored = db.store_entries(plan.checked)
    bound: list[str] = []
    for row in _with_free_folders(plan.rows):
        if row.folders and row.will == ADDED and row.name in stored.imported:
            bound += _bind(row)
    return Done(stored.imported, stored.skipped, bound)


def _with_free_folders(rows: list[Row]) -> list[Row]:
    """Return the rows, each with the real paths of those of its folders that are there and belong to nobody yet."""
    if not any(row.folders for row in rows):
        return rows
    # By real path: a link and a `/` at the end lead to the same folder.
    taken = {binding.folder for binding in bindings.listed()}
    settled = []
    for row in rows:
        mine = dict.fromkeys(
            os.path.realpath(folder) for folder in row.folders if row.will == ADDED and "\0" not in folder
        )
        free = tuple(folder for folder in mine if folder not in taken and os.path.isdir(folder))
        taken.update(free)
        settled.append(row._replace(folders=free))
    return settled


def _bind(row: Row) -> list[str]:
    account = db.find_account(row.name)
    bound = []
    for folder in row.folders:
        try:
            bound.append(bindings.bind(account.id, folder).folder)
        except NotFound:
            # A folder that is gone belongs to nobody.
            continue
    return bound


class _Planner:
    """Goes through the accounts in order, and knows who is here already."""

    def __init__(self, sources: list[Source], chosen: str, move_logins: bool) -> None:
        self.rows: list[Row] = []
        self.checked: list[dict[str, Any]] = []
        self.refusal: InvalidInput | None = None
        self._chosen = chosen
        # Nobody can be asked for a name where there are several: whose name cannot be kept gets one of its tool's.
        self._several = sum(len(source.accounts) for source in sources) > 1
        self._move = move_logins
        self._planned: set[str] = set()
        # Up to which each name has been numbered.
        self._numbers: dict[str, int] = {}
        self._known: dict[tuple[str, str], str] = {}
        self._without_login: set[str] = set()
        self._here = set(db.account_names())
        if not all(source.whole for source in sources):
            for stored in db.export_accounts(current=False):
                self._remember(stored)
                if _brings(stored) == IDENTITY:
                    self._without_login.add(str(stored["name"]))

    def add_ours(self, source: Source) -> None:
        for number, given in enumerate(source.entries, 1):
            try:
                entry = entries.checked_import(given, number)
            except InvalidInput as error:
                self.refusal = self.refusal or error
                name, kind = (given.get("name"), given.get("auth_type")) if isinstance(given, dict) else ("", "")
                row = Row(source.tool, _text(name), _text(name), _text(kind), NOTHING, REFUSED)
                self.rows.append(row._replace(why=error.message, hint=error.hint, field=error.field))
                continue
            self._take(source.tool, str(entry["name"]), entry)

    def add_found(self, tool: str, account: Found) -> None:
        if account.entry is None:
            self.rows.append(Row(tool, shown(account.called), "", "", NOTHING, LEFT_OUT, account.why))
            return
        entry = account.entry | (account.tokens if self._move else {})
        same = self._same(account.entry | account.tokens)
        if same:
            why = _("it is {name} already", name=printable(same))
            if same in self._without_login:
                # Whoever has signed in only elsewhere expects that this mends it.
                command = f"claude-accounts login --new {printable(same)}"
                why = _("it is {name} already; its sign-in: {command}", name=printable(same), command=command)
            self._row(tool, account, same, entry, SKIPPED, why)
            return
        name = self._chosen or self._free_name(account.names or ((tool,) if self._several else ()))
        if not name:
            self._refuse_nameless(tool, account, entry)
            return
        try:
            checked = entries.checked_import(entry | {"name": name}, len(self.rows) + 1)
        except InvalidInput as error:
            why = error.message.partition(": ")[2] or error.message
            row = Row(tool, shown(account.called), name, _text(entry["auth_type"]), NOTHING, LEFT_OUT, why)
            self.rows.append(row._replace(hint=error.hint, field=error.field))
            return
        self._remember({**account.entry, **account.tokens, "name": name})
        self._take(tool, shown(account.called), checked, account)

    def settled(self) -> list[Row]:
        """Return the rows when all are known: where one refuses everything, the others do not come either."""
        if self.refusal is None:
            return _with_free_folders(self.rows)
        why = _("it does not come while another entry is wrong")
        return [row._replace(will=LEFT_OUT, why=why) if row.will == ADDED else row for row in self.rows]

    def _take(self, tool: str, called: str, entry: dict[str, Any], account: Found | None = None) -> None:
        name = str(entry["name"])
        there = name in self._here or name in self._planned
        will = SKIPPED if there else ADDED
        why = _("there is already an account {name}", name=name) if there else _doubt(entry)
        row = Row(tool, called, name, str(entry["auth_type"]), _brings(entry), will, why)
        if account is not None:
            row = row._replace(may_move=bool(account.tokens), folders=account.folders)
        self.rows.append(row)
        self.checked.append(entry)
        self._planned.add(name)

    def _row(self, tool: str, account: Found, name: str, entry: dict[str, Any], will: str, why: str) -> None:
        auth_type = _text(entry.get("auth_type"))
        self.rows.append(Row(tool, shown(account.called), name, auth_type, _brings(entry), will, why))

    def _refuse_nameless(self, tool: str, account: Found, entry: dict[str, Any]) -> None:
        row = Row(tool, shown(account.called), "", _text(entry["auth_type"]), _brings(entry), LEFT_OUT)
        self.rows.append(
            row._replace(
                why=_("it has no name that an account can have here"),
                hint="claude-accounts import FILE --name NAME",
                field="name",
                may_move=bool(account.tokens),
            )
        )

    def _free_name(self, names: tuple[str, ...]) -> str:
        """Return what the account will be called: the first name that nobody has, else one that is here already."""
        free = [name for name in names if name not in self._planned]
        for name in free:
            if name not in self._here:
                return name
        if free:
            return free[0]
        for name in names[:1]:
            for number in range(self._numbers.get(name, 2), 1000):
                self._numbers[name] = number + 1
                numbered = f"{name[:28]}-{number}"
                if numbered not in self._planned:
                    return numbered
        return ""

    def _same(self, entry: dict[str, Any]) -> str:
        return next((self._known[mark] for mark in _marks(entry) if mark in self._known), "")

    def _remember(self, entry: dict[str, Any]) -> None:
        for mark in _marks(entry):
            self._known.setdefault(mark, str(entry["name"]))


def _marks(entry: dict[str, Any]) -> list[tuple[str, str]]:
    """Return by what an account is known as the very same one: its secrets, and who it is in which organisation."""
    marks = [(field, str(entry[field])) for field in ("api_key", "access_token", "refresh_token") if entry.get(field)]
    organization = str(entry.get("organization_uuid", ""))
    for field in ("account_uuid", "email"):
        if entry.get(field):
            marks.append((field, f"{str(entry[field]).lower()} {organization}"))
    return marks


def _brings(entry: dict[str, Any]) -> str:
    if entry.get("api_key"):
        return KEY
    if entry.get("refresh_token"):
        return LOGIN
    return TOKEN if entry.get("access_token") else IDENTITY


def _doubt(entry: dict[str, Any]) -> str:
    secret = str(entry.get("api_key") or entry.get("access_token") or "")
    return pasted.doubt(secret, str(entry["auth_type"])) if secret else ""


def _text(value: object) -> str:
    return shown(value) if isinstance(value, str) else ""


def as_json(plan: Plan) -> dict[str, Any]:
    """Return what the API and `--json` tell of a plan: no secret."""
    rows = [row._asdict() | {"folders": list(row.folders), "told": row.told()} for row in plan.rows]
    refusal = plan.refusal.message if plan.refusal else ""
    return {"accounts": rows, "refusal": refusal} | {
        will: plan.count(will) for will in (ADDED, SKIPPED, LEFT_OUT, REFUSED)
    }
