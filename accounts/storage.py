"""Owns the data folder: the accounts database file, its key file and the encryption of single values.

It knows no account rules. It alone opens databases, and with self_signed.py it is the only importer of cryptography.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from ..messages import StorageFailed, _, printable, warn
from ..system.access import NOTHING_THERE, cannot_read, cannot_write, exists, open_plain_file
from ..system.folders import data_folder
from ..system.private_files import (
    create_private_file_once,
    give_to_owner_of,
    is_open_to_others,
    make_private_folder,
    tighten,
)
from . import schema

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

# cryptography is imported where a secret is touched: a status line, which touches none, must not pay 25 ms for it.

_BUSY_SECONDS = 30.0
_KEY_PROOF = "claude-accounts"
_COLUMN_TYPES: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bytes": bytes,
    "str | None": (str, type(None)),
    "str | bytes": (str, bytes),
}
# In milliseconds: the end of the year 9999.
_LATEST = 253_402_300_799_999
_Made = TypeVar("_Made")
_told: set[str] = set()
_ciphers: dict[tuple[str, int, int], tuple[Fernet, bytes]] = {}
# The cipher of the open transaction once it was needed: ten thousand accounts look at the key file once.
_held: ContextVar[list[tuple[Fernet, bytes]] | None] = ContextVar("_held", default=None)


def database_path() -> str:
    """Return the path of the accounts database, whether it exists or not."""
    return os.path.join(data_folder(), "accounts.db")


def key_path() -> str:
    """Return the path of the key file, whether it exists or not."""
    return os.path.join(data_folder(), ".key")


@contextmanager
def reading() -> Iterator[sqlite3.Connection]:
    """Open the database for one consistent look. Raises StorageFailed.

    Where there is none yet, it is an empty one in memory: looking creates nothing. One that cannot be written (of
    others, on a full disk or one that is read only) is read all the same.
    """
    path = database_path() if exists(database_path()) else ":memory:"
    with _connection(path, to_read=True) as connection:
        connection.execute("BEGIN")
        yield connection


@contextmanager
def writing(
    *, durable: bool = True, secrets: bool = True, patience: float | None = None
) -> Iterator[sqlite3.Connection]:
    """Open the database for one transaction: committed when the block ends, rolled back when it raises.

    With `durable` the commit is on the disk before the block is left; without, a power loss may forget it (never more
    than that). Without `secrets` nothing is encrypted, and so the key need not be proven. Who else writes is waited for
    as many seconds as there is `patience`. Raises StorageFailed; lets sqlite3.IntegrityError through, which belongs to
    whoever knows the rule.
    """
    make_private_folder(data_folder())
    _create_empty_database()
    with _connection(database_path(), patience) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if secrets:
                _prove_key(connection)
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def noting() -> Iterator[None]:
    """Go on where what is written inside is only a note and cannot be kept; the reason is told, each once."""
    try:
        yield
    except StorageFailed as error:
        if error.message not in _told:
            _told.add(error.message)
            warn(error.message)


def forget_removed_pages() -> None:
    """Empty the write-ahead log, so that what was deleted is in no file any more; a reader at work may put it off."""
    with _connection(database_path()) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def check_room() -> None:
    """Prove that the data folder takes another 64 kB, before something that cannot be undone is asked for.

    Raises StorageFailed.
    """
    path = os.path.join(data_folder(), f".room.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # A short write is no error to the system: only all of it proves the room.
            if os.write(descriptor, bytes(65536)) < 65536:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            os.unlink(path)
    except OSError as error:
        raise cannot_write(data_folder(), error) from error


def encrypt(text: str) -> str:
    """Return the Fernet token of `text`; the empty text stays empty."""
    return _cipher()[0].encrypt(text.encode()).decode() if text else ""


def decrypt(token: str) -> str:
    """Return the text of a Fernet token; the empty token is the empty text. Raises StorageFailed for a foreign key."""
    if not token:
        return ""
    try:
        return _cipher()[0].decrypt(token.encode()).decode()
    except _refusals() as error:
        raise _foreign_key() from error


def digest(text: str) -> str:
    """Return a keyed digest by which equal secrets are found without decrypting; the empty text has none."""
    if not text:
        return ""
    # Fernet has loaded these; the standard library's own would cost a launch another 4 ms.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.hmac import HMAC

    code = HMAC(_cipher()[1], SHA256())
    code.update(text.encode())
    return code.finalize().hex()


def kept(text: str) -> str | bytes:
    """Return a text as the database takes it: one that is no UTF-8 (a folder's name may be anything) as bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def told(value: str | bytes) -> str:
    """Return the text that `kept` was given. Raises StorageFailed for bytes that it would not have made."""
    try:
        return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value
    except UnicodeDecodeError as error:
        raise _damaged() from error


def made(kind: Callable[..., _Made], row: Iterable[object]) -> _Made:
    """Return a row as the named tuple that it is, whose annotations say what its columns hold.

    SQLite lets anything stand anywhere. Raises StorageFailed for another type, and for moments that no calendar has.
    """
    values = tuple(row)
    types, integers, seen = _columns_of(kind)
    shape = (*map(type, values),)
    if shape not in seen:
        if not all(map(issubclass, shape, types)):
            raise _damaged()
        # There are few: a column that may be None doubles them.
        seen.add(shape)
    moments: list[Any] = [*map(values.__getitem__, integers)]
    if moments and not (max(moments) <= _LATEST and min(moments) >= -_LATEST):
        raise _damaged()
    return kind(*values)


@cache
def _columns_of(kind: Callable[..., object]) -> tuple[list[Any], list[int], set[tuple[type, ...]]]:
    """Return the types of a named tuple's columns, the numbers of those that hold an integer, and room for shapes."""
    told = kind.__annotations__.values()
    texts = [each.__name__ if isinstance(each, type) else getattr(each, "__forward_arg__", str(each)) for each in told]
    return [_COLUMN_TYPES[text] for text in texts], [at for at, text in enumerate(texts) if text == "int"], set()


@contextmanager
def _connection(path: str, patience: float | None = None, *, to_read: bool = False) -> Iterator[sqlite3.Connection]:
    seconds = _BUSY_SECONDS if patience is None else patience
    if path != ":memory:":
        _refuse_odd(path)
        _tighten()
    try:
        with closing(_opened_to_read(path, seconds) if to_read else _opened(path, seconds)) as connection:
            held = _held.set([])
            try:
                yield connection
            finally:
                _held.reset(held)
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as error:
        raise _explain(error) from error
    except UnicodeDecodeError as error:
        raise _damaged() from error


def connect(address: str, seconds: float) -> sqlite3.Connection:
    """Open a database at a path or `file:` address; who else writes is waited for so many seconds."""
    connection = sqlite3.connect(address, timeout=seconds, isolation_level=None, uri=address.startswith("file:"))
    connection.row_factory = sqlite3.Row
    return connection


def _opened(path: str, seconds: float) -> sqlite3.Connection:
    """Open a database, in today's schema."""
    connection = connect(path, seconds)
    try:
        _bring_up_to_date(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _opened_to_read(path: str, seconds: float) -> sqlite3.Connection:
    """Do what `_opened` does, also where nothing can be written beside the database, as SQLite does for every look."""
    try:
        return _opened(path, seconds)
    except sqlite3.OperationalError as error:
        if path == ":memory:" or _is_busy(error):
            raise
        log = path + "-wal"
        try:
            if not os.path.exists(log) or os.path.getsize(log) == 0:
                return _opened_as_it_lies(path)
            # What was written last is in there alone.
            return _opened_copy(path, log)
        except sqlite3.Error:
            raise error from None
        except OSError as denied:
            raise cannot_read(str(denied.filename or path), denied) from denied


def _opened_as_it_lies(path: str) -> sqlite3.Connection:
    """Open a database for reading without a file beside it; one of an older schema as a copy in memory."""
    from urllib.parse import quote  # hardly anybody needs it

    # Here nobody can be writing: he would need what cannot be made.
    connection = connect(f"file:{quote(os.fsencode(path))}?immutable=1", 0)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] >= schema.VERSION:
            _bring_up_to_date(connection, path)
            return connection
        copy = connect(":memory:", 0)
        connection.backup(copy)
    except BaseException:
        connection.close()
        raise
    connection.close()
    _migrate(copy)
    return copy


def _opened_copy(path: str, log: str) -> sqlite3.Connection:
    """Open a copy, in memory, of a database and its log."""
    # Only a database that was left in the middle, on a disk that cannot be written, needs these.
    import shutil
    import tempfile

    in_memory = "/dev/shm"  # noqa: S108 - made private by mkdtemp
    folder = tempfile.mkdtemp(dir=in_memory if os.access(in_memory, os.W_OK | os.X_OK) else None)
    try:
        copied = os.path.join(folder, "accounts.db")
        shutil.copyfile(path, copied)
        shutil.copyfile(log, copied + "-wal")
        copy = connect(":memory:", 0)
        with closing(connect(copied, 0)) as connection:
            connection.backup(copy)
        if copy.execute("PRAGMA user_version").fetchone()[0] < schema.VERSION:
            _migrate(copy)
        return copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bring_up_to_date(connection: sqlite3.Connection, path: str) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == schema.VERSION:
        return
    if version > schema.VERSION:
        raise StorageFailed(
            _("the accounts database was written by a newer version of this program ({version})", version=version),
            _("update this program: git pull"),
        )
    if path == ":memory:":
        connection.executescript(schema.FIRST_TABLES + "".join(schema.STEPS))
        return
    _use_write_ahead_log(connection)
    _migrate(connection)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring an older schema up to today's, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been first while this one waited.
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version < 1:
            _migrate_to_version_1(connection)
        for step in schema.STEPS[max(version, 1) :]:
            schema.run(connection, step)
        connection.execute(f"PRAGMA user_version = {schema.VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migrate_to_version_1(connection: sqlite3.Connection) -> None:
    schema.run(connection, schema.FIRST_TABLES)
    sealed = connection.execute(
        "SELECT coalesce(nullif(api_key_enc, ''), nullif(access_token_enc, ''), refresh_token_enc) FROM accounts"
    ).fetchall()
    sealed = [row[0] for row in sealed if row[0]]
    if sealed:
        # The earlier program's key must be here and fit; a new one would make every secret unreadable.
        decrypt(sealed[0])
    else:
        from cryptography.fernet import Fernet

        create_private_file_once(key_path(), Fernet.generate_key())
    schema.run(connection, schema.STEPS[0])
    for row in connection.execute("SELECT id, refresh_token_enc FROM accounts").fetchall():
        found = digest(decrypt(row["refresh_token_enc"]))
        login_id = found[:32] or os.urandom(16).hex()
        connection.execute(
            "UPDATE accounts SET login_id = ?, refresh_digest = ? WHERE id = ?", (login_id, found, row["id"])
        )
    connection.execute("INSERT OR REPLACE INTO settings VALUES ('key_proof', ?)", (encrypt(_KEY_PROOF),))


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite answers "locked" at once when two first users do so together, whatever the busy timeout.

    A disk that shares no memory between processes (of a network) stays with the journal that SQLite has otherwise.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
                return
        except sqlite3.OperationalError as error:
            if "I/O" in str(error) or "locking protocol" in str(error):
                return
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _prove_key(connection: sqlite3.Connection) -> None:
    """Refuse to write with a key that does not fit what is already there."""
    row = connection.execute("SELECT value FROM settings WHERE key = 'key_proof'").fetchone()
    if row and decrypt(row["value"]) != _KEY_PROOF:
        raise _foreign_key()


def _cipher() -> tuple[Fernet, bytes]:
    held = _held.get()
    if held:
        return held[0]
    found = _cipher_of(key_path())
    if held is not None:
        held.append(found)
    return found


def _refusals() -> tuple[type[Exception], ...]:
    """Return what a cipher raises for a text that it did not make."""
    from cryptography.fernet import InvalidToken

    return InvalidToken, UnicodeError


def _cipher_of(path: str) -> tuple[Fernet, bytes]:
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256, Hash

    try:
        with open(open_plain_file(path), "rb") as file:
            status = os.fstat(file.fileno())
            known = _ciphers.get((path, status.st_ino, status.st_mtime_ns))
            if known:
                return known
            key = file.read(1024).strip()
        cipher = Fernet(key)
    except FileNotFoundError as error:
        raise StorageFailed(
            _("the key file {path} is missing, and without it no stored credential can be read", path=printable(path)),
            _("put the key file back from a copy; to start afresh move {path} away", path=printable(database_path())),
        ) from error
    except OSError as error:
        raise cannot_read(path, error) from error
    except ValueError as error:
        raise StorageFailed(
            _("the key file {path} is damaged", path=printable(path)), _("put the key file back from a copy")
        ) from error
    hashed = Hash(SHA256())
    hashed.update(b"refresh token digest\0" + key)
    found = (cipher, hashed.finalize())
    _ciphers[path, status.st_ino, status.st_mtime_ns] = found
    return found


def _foreign_key() -> StorageFailed:
    return StorageFailed(
        _("the key file {path} does not fit the accounts database", path=printable(key_path())),
        _("put the key file back from the copy that belongs to this database"),
    )


def _create_empty_database() -> None:
    """Create the file for its owner alone; SQLite gives -wal and -shm the database's own mode and owner."""
    try:
        descriptor = os.open(database_path(), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        # Not a link that leads nowhere, which SQLite would follow.
        exists(database_path())
        return
    except OSError as error:
        raise cannot_write(database_path(), error) from error
    # Never closed: that would drop the locks that SQLite may hold on the file for another thread by now.
    give_to_owner_of(data_folder(), descriptor)
    if is_open_to_others(database_path()):
        warn(
            _(
                "the disk of {path} keeps no permissions: whoever may use it can read your accounts",
                path=printable(data_folder()),
            )
        )


def _refuse_odd(path: str) -> None:
    """Raise StorageFailed for what is no file (SQLite would read from a pipe for ever), and for one not to be read.

    It is never opened for that: closing it would drop the locks that SQLite holds on it for this process.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(errno.EINVAL, _("it is not a plain file"), path)
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    except OSError as error:
        raise cannot_read(path, error) from error


def _tighten() -> None:
    """Take group's and others' permissions away from what a copy or an old program left too open."""
    for path in (data_folder(), database_path(), key_path()):
        # What is not ours to change is doctor's to tell, and whoever cannot look at it will be told when he does.
        with suppress(OSError):
            tighten(path)


def _damaged() -> StorageFailed:
    return StorageFailed(
        _("the accounts database {path} is damaged; it was left as it is", path=printable(database_path())),
        _("put it back from a copy, or move it away to start afresh"),
    )


def _explain(error: sqlite3.Error) -> StorageFailed:
    path = printable(database_path())
    text = str(error)
    if "not a database" in text or "malformed" in text or "no such " in text or "decode" in text:
        return _damaged()
    if _is_busy(error):
        return StorageFailed(_("the accounts database {path} is in use by another program", path=path))
    return _denied() or StorageFailed(
        _("the accounts database {path} cannot be used: {reason}", path=path, reason=text)
    )


def _is_busy(error: sqlite3.Error) -> bool:
    return "locked" in str(error) or "busy" in str(error)


def _denied() -> StorageFailed | None:
    """Return the error for what of the database cannot be used by us, where that is seen; SQLite does not name it."""
    path = database_path()
    for place in (data_folder(), path, path + "-wal", path + "-shm", path + "-journal"):
        try:
            status = os.stat(place)
            if place.startswith(path + "-") and not stat.S_ISREG(status.st_mode):
                return cannot_read(place, OSError(errno.EINVAL, _("it is not a plain file")))
            if os.statvfs(place).f_flag & os.ST_RDONLY:
                return cannot_write(place, OSError(errno.EROFS, os.strerror(errno.EROFS)))
        except NOTHING_THERE:
            continue
        except OSError as error:
            return cannot_read(place, error)
        if not os.access(place, os.R_OK):
            return cannot_read(place, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
        if not os.access(place, os.W_OK):
            return cannot_write(place, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    if os.statvfs(data_folder()).f_bavail == 0:
        return cannot_write(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    return None
