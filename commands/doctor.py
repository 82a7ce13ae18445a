"""The command that finds what is wrong before a launch does: doctor. It shows no secret, and changes nothing: it only
takes over what sessions have renewed of their logins, as every look does that may write."""

from __future__ import annotations

import errno
import os
import shlex
import stat
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from .. import db
from ..accounts import clocks, durable_store, storage
from ..claude import client, credentials_file, finding, program as claude_code, settings as claude_settings
from ..install import aliases as shell_aliases, rc_files, status_line
from ..messages import AccountsError, StorageFailed, StoreBusy, _, plural, printable
from ..system import access, programs
from ..system.folders import data_folder
from ..system.private_files import keeps_permissions
from .console import add_command, print_json
from .tables import coloured

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers

_SOON_MS = 3 * 24 * 3600 * 1000
# No clock that is right shows an earlier time: this program did not exist yet.
_RELEASED = time.mktime((2026, 11, 1, 0, 0, 0, 0, 0, 0))
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


class Check(NamedTuple):
    """One finding: `state` is ok, warn or fail; `hint` is the command that mends it."""

    name: str
    state: str
    message: str
    hint: str = ""


def register(subparsers: Subparsers) -> None:
    """Add `doctor`."""
    parser = add_command(
        subparsers,
        "doctor",
        help=_("check files, key, claude, settings, tokens and aliases"),
        example="claude-accounts doctor",
    )
    parser.add_argument("--json", action="store_true", help=_("print JSON"))
    parser.set_defaults(run=doctor)


def doctor(arguments: argparse.Namespace) -> int:
    """Print one line for each check and return 1 when any failed."""
    # One cause (a lost key, say) keeps several checks from looking: it is told once, by the first.
    by_message: dict[str, Check] = {}
    for look in _LOOKS:
        for check in _guarded(look):
            by_message.setdefault(check.message, check)
    checks = list(by_message.values())
    if arguments.json:
        print_json(checks=[check._asdict() for check in checks])
    else:
        states = {"ok": _("ok"), "warn": _("warn"), "fail": _("fail")}
        names = _names()
        width = max(len(names.get(check.name, check.name)) for check in checks)
        wide = max(map(len, states.values()))
        for check in checks:
            state = coloured(f"{states[check.state]:{wide}}", _COLOURS[check.state])
            print(f"{state}  {names.get(check.name, check.name):{width}}  {check.message}")
            if check.hint:
                print(f"{'':{wide}}  {'':{width}}  → {check.hint}")
    return 1 if any(check.state == "fail" for check in checks) else 0


def _names() -> dict[str, str]:
    """Return what people read for a check's name; programs read the name itself."""
    return {
        "files": _("files"),
        "database": _("database"),
        "key": _("key"),
        "environment": _("environment"),
        "settings": _("settings"),
        "network": _("network"),
        "store": _("store"),
        "stores": _("stores"),
        "tokens": _("tokens"),
        "aliases": _("aliases"),
        "clock": _("clock"),
    }


def _guarded(look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Let a check that cannot even look be a finding of its own."""
    try:
        yield from look()
    except AccountsError as error:
        yield Check(look.__name__.strip("_"), "fail", error.message, error.hint)
    except OSError as error:
        reason = error.strerror or str(error)
        message = _("cannot read {path}: {reason}", path=printable(str(error.filename or "")), reason=reason)
        yield Check(look.__name__.strip("_"), "fail", message)


def _files() -> Iterator[Check]:
    folder = data_folder()
    if not access.exists(storage.database_path()):
        message = _("{path} holds no accounts yet", path=printable(folder))
        yield Check("files", "ok", message, "claude-accounts add NAME")
        return
    open_ones = []
    for path in _our_files(folder):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue  # the database's log goes with its last reader
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.getuid():
            open_ones.append(path)
        if not os.access(path, os.R_OK | os.X_OK if stat.S_ISDIR(status.st_mode) else os.R_OK):
            raise access.cannot_read(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    if open_ones and not keeps_permissions(folder):
        message = _(
            "the disk of {path} keeps no permissions: whoever may use it can read your accounts", path=printable(folder)
        )
        yield Check("files", "warn", message)
    elif open_ones:
        message = _("open to other users: {paths}", paths=", ".join(printable(path) for path in open_ones[:3]))
        yield Check("files", "fail", message, f"chmod -R go= {shlex.quote(printable(folder))}")
    else:
        yield Check("files", "ok", _("{path} is yours alone", path=printable(folder)))
    yield from _cannot_be_written()


def _our_files(folder: str) -> Iterator[str]:
    """Give the data folder and all that is in it, but for links."""
    # The folder may be a link, which has no mode of its own; a link in it opens nothing that was not open.
    yield os.path.realpath(folder)
    for place, names, files in os.walk(folder):
        for name in (*names, *files):
            path = os.path.join(place, name)
            if not os.path.islink(path):
                yield path


def _cannot_be_written() -> Iterator[Check]:
    """Give the finding that reading is all that goes."""
    try:
        storage.check_room()
    except StorageFailed as error:
        message = _("{message}; what is there can be read, and nothing new is noted", message=error.message)
        yield Check("files", "warn", message, error.hint)


def _database() -> Iterator[Check]:
    if not access.exists(storage.database_path()):
        return
    with storage.reading() as connection:
        result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    if result != "ok":
        message = _("the accounts database {path} is damaged; it was left as it is", path=storage.database_path())
        yield Check("database", "fail", message, _("put it back from a copy, or move it away to start afresh"))
    else:
        yield Check("database", "ok", _("whole, schema {version}", version=version))


def _key() -> Iterator[Check]:
    # Decrypts every stored credential: one foreign value among good ones is found too.
    exported = db.export_accounts(current=False)
    if exported:
        counted = plural("{count} account", "{count} accounts", len(exported))
        yield Check("key", "ok", _("the key fits ({counted})", counted=counted))


def _claude() -> Iterator[Check]:
    relative = programs.relative_entries(os.environ)
    if relative:
        entries = printable(", ".join(repr(entry) for entry in relative))
        message = _(
            "PATH names folders relative to wherever you are ({entries}); sessions get it without", entries=entries
        )
        yield Check("PATH", "warn", message, _("name them by their absolute path"))
    program, on_path, passed = finding.find(os.environ)
    for path, reason in passed:
        yield Check("claude", "warn", _("{path} is passed over: {reason}", path=printable(path), reason=reason))
    if not on_path:
        folder = os.path.dirname(program)
        message = _("{path} is used, and PATH does not name its folder", path=printable(program))
        yield Check("claude", "warn", message, f'export PATH={shlex.quote(printable(folder))}:"$PATH"')
    # Asked here and now: what a launch remembers of it would be written down.
    found = client.ask(program, os.environ)
    version = found.version
    if version is None and not found.is_claude_code:
        yield Check("claude", "warn", _("{path} does not say that it is Claude Code", path=printable(program)))
        return
    if version is None:
        yield Check("claude", "warn", _("{path} does not tell its version", path=printable(program)))
        return
    shown = f"{'.'.join(map(str, version))} ({printable(program)})"
    if version < claude_code.FIRST_WITHOUT_FALLBACK:
        message = _("{version} falls back to another login when a token is refused", version=shown)
        yield Check("claude", "warn", message, "claude update")
    elif version > client.NEWEST_TRIED:
        newest = ".".join(map(str, client.NEWEST_TRIED))
        message = _(
            "{version} is newer than the newest that was tried with this program, {newest}",
            version=shown,
            newest=newest,
        )
        yield Check("claude", "warn", message, _("a newer version of this program may know it: git pull"))
    else:
        yield Check("claude", "ok", shown)


def _environment() -> Iterator[Check]:
    rivals = sorted(name for name in claude_code.RIVAL_VARIABLES if os.environ.get(name))
    if os.environ.get(claude_code.ACCOUNT_MARKER):
        # Inside a session of ours the credential is the one that we gave it.
        rivals = [name for name in rivals if name not in db.VARIABLES.values()]
    if rivals:
        message = _("set here, and left out of every launch: {names}", names=", ".join(rivals))
        yield Check("environment", "warn", message, "unset " + " ".join(rivals))
    else:
        yield Check("environment", "ok", _("no rival credential"))


def _settings() -> Iterator[Check]:
    settings = claude_settings.read_settings(cwd=os.getcwd(), environ=os.environ, arguments=[])
    for path in settings.unreadable:
        yield Check("settings", "warn", claude_settings.unreadable_notice(path))
    states: dict[str, str] = {}
    # No value is empty here, so that one set on purpose to an account's own secret is a rival as well.
    for variable in db.VARIABLES.values():
        for rival in claude_settings.find_rivals(settings, variable, "\0"):
            if not claude_settings.can_be_set_aside(rival):
                states[rival.place()] = "fail"
            else:
                states.setdefault(rival.place(), "warn")
    for place, state in states.items():
        yield Check("settings", state, _("{place} chooses a credential of its own", place=place), _("remove it there"))
    for setting in claude_settings.foreign_destinations(settings, ()):
        message = _("{place} decides where a credential goes, and a launch here refuses that", place=setting.place())
        hint = _("remove it there, or allow the host: claude-accounts update NAME --allow-host HOST")
        yield Check("settings", "warn", message, hint)
        states[setting.place()] = "warn"
    if not states:
        yield Check("settings", "ok", _("no settings file chooses a credential"))


def _network() -> Iterator[Check]:
    """Look at what people set for their network, without going out."""
    from ..claude import proxies, trust

    said, _unreadable = claude_settings.network_said(os.environ)
    proxy = proxies.proxy_for("https", "platform.claude.com", 443, said)
    believed = trust.Trust(said)
    believed.context()
    if proxy:
        yield Check("network", "ok", _("a refresh goes through {proxy}", proxy=proxy.shown()))
    for name, reason in believed.lacking:
        setting = proxies.shown(name, said[name])
        message = _("{setting} cannot be used: {reason}", setting=setting, reason=reason)
        yield Check("network", "warn", message, proxies.mend(name, said[name].path))
    for name in believed.damaged:
        yield Check("network", "warn", believed.damage(name), _("export that certificate once more, as PEM"))


def _store() -> Iterator[Check]:
    folder = credentials_file.store_folder(os.environ)
    login = credentials_file.read_login(folder)
    if login is None:
        yield Check("store", "ok", _("Claude Code itself is not signed in ({path})", path=printable(folder)))
    else:
        whose = " / ".join(part for part in (login.email, login.organization) if part) or _("an unknown identity")
        yield Check("store", "ok", _("Claude Code itself is signed in as {whose}", whose=printable(whose)))


def _stores() -> Iterator[Check]:
    durable = [account for account in db.list_accounts() if account.durable and account.has_refresh]
    for account in durable:
        yield from _own_store(account)
    if durable:
        counted = plural("{count} durable account", "{count} durable accounts", len(durable))
        yield Check("stores", "ok", counted)


def _own_store(account: db.Account) -> Iterator[Check]:
    name = printable(account.name)
    try:
        if account.login_ended:
            return
        if credentials_file.read_tokens(durable_store.folder_of(account.id)) is None:
            message = _("the store of {name} holds no login; the next launch makes it anew", name=name)
            yield Check("stores", "warn", message)
        elif db.bring_in_step(account.id, wait_seconds=1.0):
            yield Check("stores", "ok", _("{name}: took over what its sessions have renewed", name=name))
    except (StoreBusy, StorageFailed) as error:
        yield Check("stores", "warn", db.Behind(account.name, error).told(), error.hint)
    except AccountsError as error:
        yield Check("stores", "fail", error.message, error.hint)


def _tokens() -> Iterator[Check]:
    now = int(time.time() * 1000)
    for account in db.list_accounts():
        name = printable(account.name)
        state = account.status()
        if state == "needs_login":
            yield Check("tokens", "warn", _("{name} needs a login", name=name), f"claude-accounts login {name}")
        elif state == "expired" and not account.has_refresh:
            yield Check("tokens", "warn", _("{name}: the token has ended", name=name), f"claude-accounts login {name}")
        elif 0 < account.login_expires_at < now + _SOON_MS:
            message = _(
                "{name}: the login ends in {time}", name=name, time=clocks.span_words(account.login_expires_at - now)
            )
            yield Check("tokens", "warn", message, f"claude-accounts login --new {name}")
        elif not account.has_refresh and 0 < account.expires_at < now + _SOON_MS:
            message = _("{name}: the token ends in {time}", name=name, time=clocks.span_words(account.expires_at - now))
            yield Check("tokens", "warn", message, f"claude-accounts login {name}")


def _aliases() -> Iterator[Check]:
    gone = shell_aliases.gone_program()
    if gone:
        message = _("they start what is gone: {path}", path=printable(gone))
        yield Check("aliases", "warn", message, "claude-accounts install")
        return
    current = shell_aliases.aliases_are_current(db.account_names())
    if current is None:
        yield Check("aliases", "warn", _("not installed"), "claude-accounts install")
        return
    if os.environ.get(rc_files.CONTAINER_VARIABLE):
        return  # the shells are another machine's
    if not current or rc_files.plan_install(os.environ):
        yield Check("aliases", "warn", _("out of date"), "claude-accounts install")
    else:
        yield Check("aliases", "ok", _("installed and current"))
    for standing in rc_files.standings(os.environ):
        yield Check("aliases", "ok" if standing.works() else "warn", standing.told(), standing.remedy())


def _status_line() -> Iterator[Check]:
    try:
        program = status_line.installed_program(os.environ)
    except AccountsError:
        return  # the look at settings tells it
    if not program:
        return
    gone = [word for word in (program[0], program[-1]) if os.path.isabs(word) and not os.path.exists(word)]
    if gone:
        message = _("Claude Code's status line starts what is gone: {path}", path=printable(gone[0]))
        yield Check("status line", "warn", message, "claude-accounts install --statusline")
    else:
        yield Check("status line", "ok", _("Claude Code shows the account"))


def _clock() -> Iterator[Check]:
    newest = max((account.last_used or account.created_at for account in db.list_accounts()), default="")
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 60))
    if time.time() < _RELEASED or newest > now:
        yield Check("clock", "fail", _("the clock is behind: tokens would seem to last"), "date")
    else:
        yield Check("clock", "ok", clocks.exactly(int(time.time() * 1000)))


_LOOKS = (
    _files,
    _database,
    _key,
    _claude,
    _environment,
    _settings,
    _network,
    _store,
    _stores,
    _tokens,
    _aliases,
    _status_line,
    _clock,
)
