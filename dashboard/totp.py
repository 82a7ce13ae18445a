"""Owns the codes of an authenticator app (TOTP): one secret for the dashboard, each code good once.

The secret lies in the accounts database under the server's own key. It knows no sign-in and no HTTP.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from ..accounts import storage

ISSUER = "Claude Accounts Manager"
# One step before and after: clocks of phones and servers differ.
_WINDOW = 1
_DIGITS = 6
_OFFER_SECONDS = 600

# pyotp and segno are imported where they are used: most visits need neither.


class Offer(NamedTuple):
    """A secret that is not in use yet: as text, as the address that apps read, and that as a picture."""

    secret: str
    uri: str
    picture: str


def offer(place: str) -> Offer:
    """Return a new secret; `place` is what an app shows beside its codes. The picture is a data URI of an SVG."""
    import pyotp
    import segno

    secret = pyotp.random_base32()
    uri = pyotp.TOTP(secret).provisioning_uri(name=place, issuer_name=ISSUER)
    picture = segno.make(uri, error="m", micro=False).svg_data_uri(scale=4, light="#fff", dark="#000")
    return Offer(secret, uri, picture)


def since() -> int:
    """Return since when (epoch milliseconds) codes are asked for, 0 for not at all."""
    with storage.reading() as connection:
        row = connection.execute("SELECT created_at FROM totp").fetchone()
    return int(row["created_at"]) if row else 0


def switch_on(secret: str, code: str) -> bool:
    """Store the secret if the code is one of it, and tell whether it was; that code is spent then."""
    step = _step_of(secret, code)
    if step is None:
        return False
    sealed = storage.encrypt(secret)
    with storage.writing() as connection:
        row = (sealed, step, int(time.time() * 1000))
        connection.execute(
            "INSERT OR REPLACE INTO totp (id, secret_enc, last_step, created_at) VALUES (1, ?, ?, ?)", row
        )
    return True


def switch_off() -> bool:
    """Forget the secret and tell whether there was one."""
    with storage.writing() as connection:
        return connection.execute("DELETE FROM totp").rowcount > 0


def accept(code: str) -> bool:
    """Tell whether the code is good now, and spend it: neither it nor an earlier one is ever good again."""
    with storage.reading() as connection:
        row = connection.execute("SELECT secret_enc FROM totp").fetchone()
    step = _step_of(storage.decrypt(row["secret_enc"]), code) if row else None
    if step is None:
        return False
    with storage.writing() as connection:
        # Two who come with one code at once: the one statement decides.
        statement = "UPDATE totp SET last_step = ? WHERE id = 1 AND last_step < ? AND secret_enc = ?"
        return connection.execute(statement, (step, step, row["secret_enc"])).rowcount == 1


def _step_of(secret: str, code: str) -> int | None:
    """Return the step that a code belongs to, None for a wrong one."""
    import pyotp

    digits = "".join(code[:40].split())
    if not (digits.isascii() and digits.isdecimal() and len(digits) == _DIGITS):
        return None
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(digits, valid_window=_WINDOW)
    except pyotp.OTPVerificationError:
        return None


class Offers:
    """Secrets that were offered and not confirmed yet: one for each who asked, for ten minutes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, float]] = {}

    def keep(self, asker: str, secret: str) -> None:
        """Keep a secret in place of the asker's last one."""
        now = time.monotonic()
        with self._lock:
            self._kept = {key: kept for key, kept in self._kept.items() if kept[1] > now}
            self._kept[asker] = (secret, now + _OFFER_SECONDS)

    def of(self, asker: str) -> str:
        """Return the secret that was offered, "" for none."""
        with self._lock:
            secret, until = self._kept.get(asker, ("", 0.0))
        return secret if time.monotonic() < until else ""

    def drop(self, asker: str) -> None:
        """Forget it."""
        with self._lock:
            self._kept.pop(asker, None)
