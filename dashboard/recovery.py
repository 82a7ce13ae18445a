"""Owns the recovery codes: ten at a time, shown once, each of them good once. It knows no sign-in and no HTTP."""

from __future__ import annotations

import time

from ..accounts import storage
from .random_secrets import hash_code, new_code

CODES = 10


def make() -> list[str]:
    """Make new codes, shown this once; those of before are good no longer."""
    codes = [new_code() for _code in range(CODES)]
    with storage.writing(secrets=False) as connection:
        connection.execute("DELETE FROM recovery_codes")
        connection.executemany("INSERT INTO recovery_codes (hash) VALUES (?)", [(hash_code(code),) for code in codes])
    return codes


def left() -> int:
    """Return how many codes have not been used."""
    with storage.reading() as connection:
        (count,) = connection.execute("SELECT count(*) FROM recovery_codes WHERE used_at = 0").fetchone()
    return int(count)


def accept(code: str) -> bool:
    """Tell whether this is one of the codes, and spend it."""
    with storage.writing(secrets=False) as connection:
        statement = "UPDATE recovery_codes SET used_at = ? WHERE hash = ? AND used_at = 0"
        return connection.execute(statement, (int(time.time() * 1000), hash_code(code[:100]))).rowcount == 1
