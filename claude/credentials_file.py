"""Owns the content of Claude Code's credentials store: reading a login from it, writing one back, removing it.

The store is `.credentials.json` in the store folder, or the Keychain on macOS. It knows no account of ours. Facts
about the file and the Keychain items were measured with Claude Code 2.1.197 and 2.1.330.
"""

import errno
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ..messages import AccountsError, InvalidInput, _, printable
from ..system.access import NOTHING_THERE, cannot_write, open_plain_file, why
from ..system.folders import data_folder, expanded
from ..system.private_files import write_private_file
from . import json_text, keychain

# It moves Claude Code's credentials store, and nothing else of its configuration.
STORE_VARIABLE = "CLAUDE_SECURESTORAGE_CONFIG_DIR"
_LARGEST_FILE = 1024 * 1024
_LAST_MOMENT_MS = 253_402_300_799_000
# What belongs to nobody's login: who is signed in to which MCP server, and what plugins keep.
_OF_SERVERS = ("mcpOAuth", "mcpOAuthClientConfig", "mcpXaaIdp", "mcpXaaIdpConfig", "pluginSecrets")
# What Claude Code itself forgets when somebody signs in over a login.
_OF_ONE_LOGIN = ("claudeAiOauth", "organizationUuid", "trustedDeviceToken", "enterpriseGateway", "designOauth")


class Login(NamedTuple):
    """One OAuth login. Times are epoch milliseconds, 0 unknown; texts are empty when unknown."""

    access_token: str
    refresh_token: str = ""
    expires_at: int = 0
    scopes: tuple[str, ...] = ()
    subscription_type: str = ""
    rate_limit_tier: str = ""
    login_expires_at: int = 0
    account_uuid: str = ""
    organization_uuid: str = ""
    email: str = ""
    organization: str = ""


def store_folder(environ: Mapping[str, str]) -> str:
    """Return the folder whose credentials a claude with this environment uses.

    Inside a session of ours that is not the session's own store: nobody's login may be captured from there.
    """
    chosen = environ.get(STORE_VARIABLE, "")
    if not chosen or is_ours(chosen):
        chosen = environ.get("CLAUDE_CONFIG_DIR") or os.path.join("~", ".claude")
    return os.path.abspath(expanded(chosen))


def is_ours(folder: str) -> bool:
    """Tell whether a store folder lies in our own data folder."""
    # Without a folder there is nothing to look at, and the one we are in may be gone.
    return bool(folder) and os.path.abspath(folder).startswith(os.path.join(data_folder(), ""))


def config_folder(environ: Mapping[str, str]) -> str:
    """Return Claude Code's configuration folder: CLAUDE_CONFIG_DIR, or `~/.claude`."""
    return os.path.abspath(expanded(environ.get("CLAUDE_CONFIG_DIR") or os.path.join("~", ".claude")))


def config_file(environ: Mapping[str, str]) -> str:
    """Return the path of `.claude.json`: beside `~/.claude`, or inside CLAUDE_CONFIG_DIR."""
    return os.path.join(expanded(environ.get("CLAUDE_CONFIG_DIR") or "~"), ".claude.json")


def credentials_path(folder: str) -> str:
    """Return the path of the credentials file of a store folder."""
    return os.path.join(folder, ".credentials.json")


def read_login(folder: str, *, config_folder: str | None = None) -> Login | None:
    """Return the login in the store, or None when it holds none (no file, only MCP logins, blanked tokens).

    `config_folder` is where `.claude.json` lies, the cache that knows e-mail and organisation; by default Claude
    Code's own. Raises InvalidInput, naming the file, for what is not understood. Writes nothing.
    """
    login = read_tokens(folder)
    if login is None:
        return None
    place = os.path.join(config_folder, ".claude.json") if config_folder else config_file(os.environ)
    return with_identity(login, cached_identity(place))


def read_tokens(folder: str) -> Login | None:
    """Return the login in the store as the store alone tells it. Raises as `read_login` does."""
    content = _read_store(folder)
    return None if content is None else _parse(content, credentials_path(folder))


def may_hold_login(folder: str) -> bool:
    """Tell whether a claude that uses this store could find a login in it; what we cannot read may be one."""
    try:
        content = _read_store(folder)
        return content is not None and _parse(content, credentials_path(folder)) is not None
    except AccountsError:
        return True


def write_back(folder: str, expected_refresh_token: str, login: Login) -> bool:
    """Replace the tokens in the store by `login`'s, if it still holds `expected_refresh_token`; tell whether it did.

    To be called with the store locked. Every other key stays; nothing is created where there was no store.
    """
    try:
        content = _read_store(folder)
        if content is None or _parse(content, credentials_path(folder)) is None:
            return False
    except InvalidInput:
        return False
    whole = json_text.read(content)
    stored = whole["claudeAiOauth"]
    if not expected_refresh_token or stored.get("refreshToken") != expected_refresh_token:
        return False
    stored |= {"accessToken": login.access_token, "refreshToken": login.refresh_token, "expiresAt": login.expires_at}
    if login.scopes:
        stored["scopes"] = list(login.scopes)
    if login.login_expires_at:
        stored["refreshTokenExpiresAt"] = login.login_expires_at
    data = json.dumps(whole, separators=(",", ":")).encode()
    if _keychain_holds(folder):
        keychain.write(exported_text(folder, os.environ), data)
    else:
        write_private_file(credentials_path(folder), data)
    return True


def is_ended(folder: str) -> bool:
    """Tell whether Claude Code has blanked the login in this store, as it does when the endpoint ended it."""
    content = _read_store(folder)
    return content is not None and b'"claudeAiOauth"' in content and _parse(content, credentials_path(folder)) is None


def sign_ins_of_servers(folder: str) -> dict[str, Any]:
    """Return what a store holds that belongs to no login: sign-ins of MCP servers, secrets of plugins, by its key.

    A store that is not understood holds nothing of it.
    """
    try:
        content = _read_store(folder)
        whole = {} if content is None else json_text.read(content)
    except (AccountsError, ValueError, RecursionError):
        return {}
    return {key: whole[key] for key in _OF_SERVERS if whole.get(key)} if isinstance(whole, dict) else {}


def count_sign_ins(folder: str) -> int:
    """Return to how many MCP servers somebody is signed in according to this store."""
    found = sign_ins_of_servers(folder).get("mcpOAuth")
    return len(found) if isinstance(found, dict) else 0


def write_login(folder: str, login: Login, begin_with: Mapping[str, Any] | None = None) -> None:
    """Make `login` the one of this store, whatever was in it; what belongs to no login (of MCP servers) stays.

    `begin_with` is what a store that does not exist yet holds beside it. To be called with the store locked. Raises
    StorageFailed, and InvalidInput for a store that is not understood.
    """
    content = _read_store(folder)
    whole = dict(begin_with or {})
    if content is not None:
        _parse(content, credentials_path(folder))
        whole = {key: value for key, value in json_text.read(content).items() if key not in _OF_ONE_LOGIN}
    stored: dict[str, Any] = {
        "accessToken": login.access_token,
        "refreshToken": login.refresh_token,
        "expiresAt": login.expires_at,
        "refreshTokenExpiresAt": login.login_expires_at,
        "scopes": list(login.scopes),
        "subscriptionType": login.subscription_type,
        "rateLimitTier": login.rate_limit_tier,
        "accountUuid": login.account_uuid,
        "organizationUuid": login.organization_uuid,
    }
    whole["claudeAiOauth"] = {key: value for key, value in stored.items() if value}
    data = json.dumps(whole, separators=(",", ":")).encode()
    if sys.platform == "darwin":
        keychain.write(exported_text(folder, os.environ), data)
    else:
        write_private_file(credentials_path(folder), data)


def remove_store(folder: str) -> None:
    """Remove a store folder of our own with everything in it, its lock and its Keychain item too."""
    remove_tree(folder)
    forget_login(folder)
    with suppress(OSError):
        os.rmdir(os.path.realpath(folder) + ".lock")


def _read_store(folder: str) -> bytes | None:
    if sys.platform == "darwin":
        found = keychain.read(exported_text(folder, os.environ))
        if found is not None:
            return found
    return read_regular_file(credentials_path(folder))


def read_regular_file(path: str, largest: int = _LARGEST_FILE) -> bytes | None:
    """Return a file's bytes, or None where there is none. Raises InvalidInput for what is no readable plain file."""
    try:
        with open(open_plain_file(path), "rb") as file:
            data = file.read(largest + 1)
    except NOTHING_THERE:
        return None
    except OSError as error:
        reason, hint = why(error, path)
        if error.errno == errno.EINVAL:
            raise not_understood(path, reason) from error
        raise InvalidInput(_("cannot read {path}: {reason}", path=printable(path), reason=reason), hint) from error
    if len(data) > largest:
        raise not_understood(path, _("it is too large"))
    return data


def _parse(content: bytes, path: str) -> Login | None:
    """Return the login of a store's content, None when it holds none. Raises InvalidInput for an unknown shape."""
    try:
        whole = json_text.read(content)
    except (ValueError, RecursionError) as error:
        raise not_understood(path, _("it is not JSON")) from error
    return login_in(whole, path)


def login_in(whole: object, path: str) -> Login | None:
    """Return the login that the JSON of a store holds, None when it holds none; `path` names it in what is raised.

    Raises InvalidInput for an unknown shape.
    """
    if not isinstance(whole, dict):
        raise not_understood(path, _("it is not a JSON object"))
    stored = whole.get("claudeAiOauth")
    if stored is None:
        return None
    if not isinstance(stored, dict):
        raise not_understood(path, _("its claudeAiOauth is not an object"))
    if stored.get("accessToken") == "" and stored.get("refreshToken", "") == "":
        # This is what Claude Code leaves of a login that has ended.
        return None
    scopes = stored.get("scopes", [])
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise not_understood(path, _("its {field} is damaged", field="scopes"))
    return Login(
        access_token=_secret(stored, "accessToken", path),
        refresh_token=_secret(stored, "refreshToken", path) if stored.get("refreshToken") else "",
        expires_at=_moment(stored, "expiresAt", path),
        scopes=tuple(scopes),
        subscription_type=_text(stored, "subscriptionType"),
        rate_limit_tier=_text(stored, "rateLimitTier"),
        login_expires_at=_moment(stored, "refreshTokenExpiresAt", path),
        account_uuid=_text(stored, "accountUuid"),
        organization_uuid=_text(stored, "organizationUuid"),
    )


def _secret(holder: dict[str, Any], field: str, path: str) -> str:
    value = holder.get(field)
    if isinstance(value, str) and 0 < len(value) <= 8192 and re.fullmatch(r"[!-~]+", value):
        return value
    raise not_understood(path, _("its {field} is damaged", field=field))


def _moment(holder: dict[str, Any], field: str, path: str) -> int:
    value = holder.get(field, 0)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LAST_MOMENT_MS:
        raise not_understood(path, _("its {field} is damaged", field=field))
    return int(value)


def _text(holder: dict[str, Any], field: str) -> str:
    value = holder.get(field)
    return value[:256] if isinstance(value, str) and value.isprintable() else ""


def cached_identity(path: str) -> dict[str, Any]:
    """Return `.claude.json`'s oauthAccount, a cache for display; an unreadable file knows nobody."""
    try:
        content = read_regular_file(path, 64 * _LARGEST_FILE)
        whole = json.loads(content) if content else {}
    except (InvalidInput, ValueError, RecursionError):
        return {}
    found = whole.get("oauthAccount") if isinstance(whole, dict) else None
    return found if isinstance(found, dict) else {}


def with_identity(login: Login, cached: dict[str, Any]) -> Login:
    """Return the login with what an oauthAccount says, unless the login itself says that it is somebody else's."""
    account, organization = _text(cached, "accountUuid"), _text(cached, "organizationUuid")
    if login.account_uuid and (login.account_uuid != account or login.organization_uuid not in ("", organization)):
        return login
    return login._replace(
        account_uuid=login.account_uuid or account,
        organization_uuid=login.organization_uuid or organization,
        email=_text(cached, "emailAddress"),
        organization=_text(cached, "organizationName"),
    )


def not_understood(path: str, reason: str) -> InvalidInput:
    """Return the one sentence for a file of Claude Code's that is not what it should be."""
    return InvalidInput(_("{path} is not understood: {reason}", path=printable(path), reason=reason))


def remove_tree(path: str) -> None:
    """Remove a folder with the tokens in it. Raises StorageFailed when something of it stays."""
    import shutil  # launching must not pay for it

    # A claude that is just ending may still write into it, so a second and third look.
    for last in (False, False, True):
        try:
            shutil.rmtree(path)
            return
        except FileNotFoundError:
            if not os.path.lexists(path):
                return
        except OSError as error:
            if last:
                raise cannot_write(path, error) from error
        time.sleep(0.1)


def forget_login(folder: str) -> None:
    """Remove the Keychain item of a store folder of our own making, on macOS; the folder's files are the caller's."""
    if sys.platform == "darwin":
        keychain.remove(exported_text(folder, os.environ))


def exported_text(folder: str, environ: Mapping[str, str]) -> str:
    """Return the text of the variable by which a claude finds this store, empty for the default one.

    Claude Code names the store's Keychain item after it, as it was exported.
    """
    if store_folder(environ) != folder:
        # Another store than the caller's: of a private login or a durable account, whose claude is given this text.
        return folder
    chosen = environ.get(STORE_VARIABLE, "")
    return (chosen if chosen and not is_ours(chosen) else "") or environ.get("CLAUDE_CONFIG_DIR") or ""


def _keychain_holds(folder: str) -> bool:
    return sys.platform == "darwin" and keychain.read(exported_text(folder, os.environ)) is not None
