"""A stand-in for Claude Code where logins are concerned: its store, its locks, its refresh, as they were measured.

It is run as a program: `claude [--version | auth status | auth login]`, or a session of $ROUNDS looks at its login.
Each look re-reads the store, refreshes what ends within five minutes under both lock folders, replaces the file by
rename, and blanks the tokens when the endpoint says that the login is over.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

ENDPOINT = os.environ.get("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", "")
VERSION = os.environ.get("FAKE_VERSION", "2.1.330")
# An older client that knows nothing of the variable, to be told from the others.
IGNORES_OWN_STORE = os.environ.get("FAKE_IGNORES_OWN_STORE") == "1"


def store() -> Path:
    """Return the folder of the credentials."""
    own = "" if IGNORES_OWN_STORE else os.environ.get("CLAUDE_SECURESTORAGE_CONFIG_DIR", "")
    return Path(own or os.environ.get("CLAUDE_CONFIG_DIR") or os.path.expanduser("~/.claude"))


def read() -> dict[str, object]:
    """Return all of the credentials file."""
    try:
        whole: dict[str, object] = json.loads((store() / ".credentials.json").read_text())
        return whole
    except FileNotFoundError:
        return {}


def write(whole: dict[str, object]) -> None:
    """Replace the credentials file as the real client does."""
    store().mkdir(parents=True, exist_ok=True)
    temporary = store() / f".credentials.json.{os.getpid()}"
    temporary.touch(0o600)
    temporary.write_text(json.dumps(whole))
    temporary.replace(store() / ".credentials.json")


def login() -> dict[str, object] | None:
    """Return the login in the store, None for none or a blanked one."""
    found = read().get("claudeAiOauth")
    return found if isinstance(found, dict) and found.get("accessToken") else None


def token() -> str | None:
    """Return an access token that lasts, refreshed when it ends soon."""
    found = login()
    if found is None or float(str(found["expiresAt"])) > (time.time() + 300) * 1000:
        return str(found["accessToken"]) if found else None
    locks = (store() / ".oauth_refresh.lock", store().with_name(store().name + ".lock"))
    held = [lock for lock in locks if acquire(lock)]
    try:
        again = login()
        if again is None or len(held) < 2 or again["accessToken"] != found["accessToken"]:
            # Somebody else is at it, or has done it.
            return str(again["accessToken"]) if again else None
        return refresh(again)
    finally:
        for lock in reversed(held):
            with suppress(FileNotFoundError):
                lock.rmdir()


def acquire(lock: Path) -> bool:
    """Make a lock folder, or give up after a while."""
    for _attempt in range(200):
        with suppress(FileExistsError):
            lock.mkdir()
            return True
        with suppress(OSError):
            if time.time() - lock.stat().st_mtime > 60:
                # Whoever made it has gone.
                lock.rmdir()
                continue
        time.sleep(0.01)
    return False


def refresh(found: dict[str, object]) -> str | None:
    """Spend the refresh token."""
    body = json.dumps({"grant_type": "refresh_token", "refresh_token": found["refreshToken"]}).encode()
    request = urllib.request.Request(ENDPOINT, body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            tokens = json.load(answer)
    except urllib.error.HTTPError as error:
        if json.load(error).get("error") != "invalid_grant":
            return str(found["accessToken"])
        write(read() | {"claudeAiOauth": found | {"accessToken": "", "refreshToken": "", "expiresAt": 0}})
        return None
    new = found | {
        "accessToken": tokens["access_token"],
        "refreshToken": tokens["refresh_token"],
        "expiresAt": int((time.time() + tokens["expires_in"]) * 1000),
    }
    write(read() | {"claudeAiOauth": new})
    return str(new["accessToken"])


def main() -> int:
    """Be one claude."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(f"{VERSION} (Claude Code)")
        return 0
    if arguments[-2:] == ["auth", "status"]:
        # As the real one, it believes any token, and renews a login of its own that has ended.
        given = os.environ.get("CLAUDE_CODE_OAUTH_TOKEN")
        method = "oauth_token" if given else "claude.ai" if token() else "none"
        print(json.dumps({"loggedIn": method != "none", "authMethod": method}))
        return 0 if method != "none" else 1
    if arguments[-2:] == ["auth", "login"]:
        write({"claudeAiOauth": json.loads(os.environ["FAKE_LOGIN"])})
        who = json.loads(os.environ.get("FAKE_IDENTITY", "{}"))
        Path(os.environ["CLAUDE_CONFIG_DIR"], ".claude.json").write_text(json.dumps({"oauthAccount": who}))
        return 0
    injected = os.environ.get("CLAUDE_CODE_OAUTH_TOKEN") or os.environ.get("ANTHROPIC_API_KEY")
    for _look in range(int(os.environ.get("ROUNDS", "1"))):
        used = injected or token()
        if used is None:
            print("Not logged in")
            return 1
        print(used, flush=True)
    if os.environ.get("FAKE_STAYS") == "1":
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
