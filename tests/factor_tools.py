"""What the tests of factors, tokens and the journal share: a browser's page, an authenticator, an app with codes."""

from __future__ import annotations

import hashlib
import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import closing
from typing import Any

import cbor2
import pyotp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from running_dashboard import PASSWORD
from werkzeug.test import TestResponse

from claude_accounts.accounts import storage

HERE = "http://localhost"
_PRESENT, _VERIFIED, _HAS_KEY = 0x01, 0x04, 0x40


class Page:
    """A page in a browser of its own: it shows a browser's marks, and its secret once it has one."""

    def __init__(self, app: Flask, origin: str = HERE) -> None:
        self.origin = origin
        self.secret = ""
        self._client = app.test_client()

    def __call__(self, method: str, path: str, body: object = None, status: int = 200, **headers: str) -> Any:
        """Send one request, and return the JSON of its answer, which must have this status."""
        answer = self.ask(method, path, body, **headers)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        return answer.get_json()

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> TestResponse:
        """Send one request and return the answer."""
        shown = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin", "X-Page-Secret": self.secret}
        shown |= {name.replace("_", "-"): value for name, value in headers.items()}
        given = {} if body is None and method != "GET" else body
        answer = self._client.open(path, method=method, json=given, headers=shown, base_url=self.origin)
        told = answer.get_json(silent=True)
        if isinstance(told, dict):
            self.secret = told.get("page_secret", self.secret)
        return answer

    def sign_in(self, password: str = PASSWORD, status: int = 200) -> Any:
        """Show the password and return the answer."""
        return self("POST", "/api/auth/login", {"password": password}, status=status)

    def prove(self) -> None:
        """Prove again who sits here."""
        self("POST", "/api/auth/step-up", {"password": PASSWORD})


class Authenticator:
    """A passkey's private half in software; what it says can be wrong on purpose."""

    def __init__(self, count: int = 0) -> None:
        self.id = os.urandom(16)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.count = count

    def create(self, options: dict[str, Any], origin: str = HERE, rp_id: str = "") -> dict[str, Any]:
        """Answer navigator.credentials.create."""
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        data = self._data(rp_id or options["rp"]["id"], _PRESENT | _VERIFIED | _HAS_KEY)
        data += bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        whole = {"fmt": "none", "attStmt": {}, "authData": data}
        about = self._about("webauthn.create", options["challenge"], origin)
        return self._credential({"clientDataJSON": text(about), "attestationObject": text(cbor2.dumps(whole))})

    def get(
        self,
        options: dict[str, Any],
        origin: str = HERE,
        rp_id: str = "",
        *,
        challenge: str = "",
        verified: bool = True,
        key: ec.EllipticCurvePrivateKey | None = None,
        step: int = 1,
    ) -> dict[str, Any]:
        """Answer navigator.credentials.get; `step` is how far its count goes on."""
        self.count += step
        data = self._data(rp_id or options["rpId"], _PRESENT | (_VERIFIED if verified else 0))
        about = self._about("webauthn.get", challenge or options["challenge"], origin)
        signature = (key or self.key).sign(data + hashlib.sha256(about).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(
            {"clientDataJSON": text(about), "authenticatorData": text(data), "signature": text(signature)}
        )

    def _data(self, rp_id: str, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _about(self, kind: str, challenge: str, origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()

    def _credential(self, response: dict[str, str]) -> dict[str, Any]:
        name = text(self.id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}


class App:
    """An authenticator app with one secret."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def code(self, steps: int = 0) -> str:
        """Return the code of now, or of so many steps later."""
        return pyotp.TOTP(self.secret).at(int(time.time()) + 30 * steps)

    def wrong(self) -> str:
        """Return a code that is none of those of these minutes."""
        near = {self.code(steps) for steps in range(-5, 6)}
        return next(code for code in (f"{number:06d}" for number in range(20)) if code not in near)


def text(data: bytes) -> str:
    """Return bytes as WebAuthn's JSON has them."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(encoded: str) -> bytes:
    """Return what `text` was given."""
    return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


def set_up_app(page: Page) -> tuple[App, list[str]]:
    """Set up an authenticator app, and return it with the recovery codes that were shown."""
    page.prove()
    app = App(page("POST", "/api/auth/factors/totp")["secret"])
    answer = page("POST", "/api/auth/factors/totp/confirm", {"code": app.code()})
    let_codes_be_fresh()
    return app, answer.get("recovery_codes", [])


def add_passkey(page: Page, name: str = "laptop", count: int = 0) -> Authenticator:
    """Add a passkey and return it."""
    page.prove()
    passkey = Authenticator(count)
    options = page("POST", "/api/auth/factors/passkeys/options")["options"]
    page("POST", "/api/auth/factors/passkeys", {"name": name, "passkey": passkey.create(options, page.origin)})
    return passkey


def let_codes_be_fresh() -> None:
    """Let it be as though the last code had been used long ago."""
    with storage.writing(secrets=False) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("UPDATE totp SET last_step = 0")
