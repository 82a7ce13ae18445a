"""What proves who sits at a browser besides the password: an app of codes, and Chromium's virtual authenticator."""

from __future__ import annotations

import time
from typing import Any

import pyotp
from browser import PASSWORD, Server
from playwright.sync_api import Page

STEP = 30


class App:
    """An authenticator app; it never shows a code twice, since none is good twice."""

    def __init__(self, secret: str) -> None:
        self._totp = pyotp.TOTP(secret)
        self._last = 0

    def code(self) -> str:
        """Return the code of now, or of the step after the last one: the server takes one step ahead."""
        self._last = max(int(time.time()) // STEP, self._last + 1)
        return self._totp.at(self._last * STEP)

    def wrong_code(self) -> str:
        """Return a code of none of the steps around."""
        now = int(time.time())
        good = {self._totp.at(now + step * STEP) for step in range(-2, 4)}
        return next(code for code in ("000000", "111111", "222222", "333333", "444444", "555555") if code not in good)


def set_up_app(server: Server) -> tuple[App, list[str]]:
    """Choose the password, set up an app in another browser, and return the app and the recovery codes."""
    _answer, cookie = server.post("/api/auth/setup", {"password": PASSWORD})
    offer, _none = server.post("/api/auth/factors/totp", {}, cookie)
    app = App(offer["secret"])
    confirmed, _none = server.post("/api/auth/factors/totp/confirm", {"code": app.code()}, cookie)
    return app, confirmed["recovery_codes"]


def plug_in(page: Page, **more: Any) -> Any:
    """Give the page an authenticator that knows its user; return the session through which it is told more."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options | more})
    return session
