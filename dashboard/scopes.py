"""Owns which scope of an API token each route and each event of the sockets needs.

`read` is what shows no secret and changes nothing; `launch` is that and what starts, uses and ends terminals (a shell
of this machine's user, after all); `admin` is everything. Sessions are always `admin`, and so is what is in no table.
"""

from __future__ import annotations

from ..messages import AccountsError, _

PUBLIC = "public"
READ, LAUNCH, ADMIN = "read", "launch", "admin"
_HOLDS = {READ: {READ}, LAUNCH: {READ, LAUNCH}, ADMIN: {READ, LAUNCH, ADMIN}}

# By endpoint. Nothing else is public.
ROUTES = {
    "page": PUBLIC,
    "static": PUBLIC,
    "vendor": PUBLIC,
    "health": PUBLIC,
    "auth.status": PUBLIC,
    "auth.setup": PUBLIC,
    "auth.login": PUBLIC,
    "factors.sign_in_options": PUBLIC,
    "factors.second_step": PUBLIC,
    "description": READ,
    "auth.logout": READ,
    "auth.sessions": READ,
    "auth.lock": READ,
    "factors.listed": READ,
    "tokens.listed": READ,
    "journal.listed": READ,
    "accounts.list_accounts": READ,
    "accounts.token_status": READ,
    "accounts.generate_aliases": READ,
    "sessions.list_sessions": READ,
    "sessions.list_bindings": READ,
    "folders.browse": READ,
    "folders.recent_dirs": READ,
    "folders.terminals": READ,
    # To show the credential itself asks for more.
    "accounts.launch": LAUNCH,
    "accounts.refresh_oauth": LAUNCH,
    "accounts.check": LAUNCH,
    "folders.stop_terminal": LAUNCH,
    "folders.keep_image": LAUNCH,
    "auth.step_up": ADMIN,
    "auth.change_password": ADMIN,
    "auth.rotate_token": ADMIN,
    "auth.end_session": ADMIN,
    "auth.sign_out_everywhere": ADMIN,
    "factors.step_up_options": ADMIN,
    "factors.offer_totp": ADMIN,
    "factors.switch_totp_on": ADMIN,
    "factors.switch_totp_off": ADMIN,
    "factors.passkey_options": ADMIN,
    "factors.add_passkey": ADMIN,
    "factors.remove_passkey": ADMIN,
    "factors.make_recovery_codes": ADMIN,
    "tokens.add": ADMIN,
    "tokens.revoke": ADMIN,
    "accounts.add_account": ADMIN,
    "accounts.update_account": ADMIN,
    "accounts.delete_account": ADMIN,
    "accounts.capture_oauth": ADMIN,
    "accounts.export_accounts": ADMIN,
    "accounts.export_to_browser": ADMIN,
    "accounts.import_accounts": ADMIN,
    "accounts.install_aliases": ADMIN,
    "sessions.bind": ADMIN,
    "sessions.unbind": ADMIN,
}
# By event of a socket. To watch a terminal is to read what its shell shows.
EVENTS = {
    "start_terminal": LAUNCH,
    "attach_terminal": LAUNCH,
    "detach_terminal": LAUNCH,
    "terminal_input": LAUNCH,
    "terminal_ack": LAUNCH,
    "resize_terminal": LAUNCH,
    "stop_terminal": LAUNCH,
    # A new login takes the place of the account's old one.
    "start_login": ADMIN,
}


class ScopeTooSmall(AccountsError):
    """An API token was shown for more than its scope allows."""

    def __init__(self, held: str, needed: str) -> None:
        super().__init__(
            _("this API token's scope does not allow this: it is {scope}", scope=held),
            _("use one with the scope {scope}", scope=needed),
        )


def require(held: str, needed: str) -> None:
    """Raise ScopeTooSmall unless one scope is enough for another."""
    if not allows(held, needed):
        raise ScopeTooSmall(held, needed)


def of_route(endpoint: str | None) -> str:
    """Return the scope that a route needs."""
    return ROUTES.get(endpoint or "", ADMIN)


def allows(held: str, needed: str) -> bool:
    """Tell whether one scope is enough for another."""
    return needed in _HOLDS.get(held, ())
