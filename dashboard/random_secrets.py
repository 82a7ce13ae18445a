"""Owns the random secrets that are handed out once: how codes to be typed look, and what is kept of a secret.

It knows neither what a secret opens nor where its hash lies.
"""

from __future__ import annotations

import hashlib
import re
import secrets

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def new_code() -> str:
    """Return a code to be typed, `ABCD-EFGH-JKLM`: 12 letters and digits that cannot be mistaken, 60 bits."""
    letters = "".join(secrets.choice(_LETTERS) for _place in range(12))
    return "-".join(letters[place : place + 4] for place in (0, 4, 8))


def hash_code(code: str) -> str:
    """Return what is kept of such a code; case, spaces and dashes do not matter."""
    return digest(re.sub(r"[\s-]", "", code).upper())


def digest(secret: str) -> str:
    """Return the SHA-256 of a random secret of ours; so many bits need no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
