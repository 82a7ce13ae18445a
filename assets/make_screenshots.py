#!/usr/bin/env python3
"""Owns the pictures of the README: the running program with invented accounts, photographed in both themes.

It needs Chromium (its path in CHROMIUM, else /usr/bin/chromium) and `pip install playwright`. Every name and token in
it is made up; nothing leaves this machine, and the user's own accounts are not touched.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

HERE = Path(__file__).resolve().parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PASSWORD = "three calm otters"  # noqa: S105 - of a server that lives for some seconds
HOUR = 3_600_000
# A stand-in for claude: the pictures show our page around it, not the real program.
CLAUDE = r"""#!/bin/sh
[ "$1" = --version ] && echo "2.1.197 (Claude Code)" && exit
printf '\033]0;⠂ checking the release notes\007'
printf '\033[38;5;209m●\033[0m Reading \033[1mCHANGELOG.md\033[0m and the last twelve commits…\r\n\r\n'
printf '  \033[32m+ A lost connection no longer ends a terminal\033[0m\r\n'
printf '  \033[31m- Two notes say the same thing: 0.4.1 and 0.4.2\033[0m\r\n\r\n'
printf '\033[2m  tests ▕██████████████████████▏ 412 passed\033[0m\r\n\r\n> '
exec cat
"""


def main() -> None:
    """Take every picture."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--to", type=Path, default=HERE, help="folder for the pictures")
    folder = parser.parse_args().to
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, serving(Path(home)) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for theme in ("light", "dark"):
            take(browser, url, home, folder, theme)
        browser.close()


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """Serve an empty dashboard from a home folder of its own, and give its address."""
    programs = home / "programs"
    programs.mkdir()
    (programs / "claude").write_text(CLAUDE)
    (programs / "claude").chmod(0o755)
    (home / "atelier").mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CLAUDE", "ANTHROPIC"))}
    environ |= {"HOME": str(home), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, str(HERE.parent / "server.py"), "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ) as server:  # noqa: S603
        try:
            for line in server.stderr or ():
                found = re.search(r"http://localhost:\d+", line)
                if found:
                    yield found[0]
                    break
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)


def take(browser: Browser, url: str, home: str, folder: Path, theme: str) -> None:
    """Photograph the dashboard, wide and on a phone, and a terminal."""
    context = browser.new_context(
        viewport={"width": 1200, "height": 780},
        device_scale_factor=1.5,
        color_scheme="dark" if theme == "dark" else "light",
        locale="en-GB",
        reduced_motion="reduce",
    )
    page = context.new_page()
    prepare(page, url)
    page.goto(url)
    expect(page.locator(".account")).to_have_count(6)
    page.screenshot(path=folder / f"dashboard-{theme}.png")
    page.set_viewport_size({"width": 390, "height": 780})
    page.screenshot(path=folder / f"phone-{theme}.png")
    page.set_viewport_size({"width": 1200, "height": 780})
    page.locator(".account [data-act=open]").first.click()
    path = page.locator("dialog[data-name=folder] [name=path]")
    expect(path).not_to_have_value("")
    path.fill(f"{home}/atelier")
    page.keyboard.press("Enter")
    expect(page.locator(".xterm-rows")).to_contain_text("412 passed")
    page.locator(".toast button").first.click()
    page.screenshot(path=folder / f"terminal-{theme}.png")
    page.keyboard.press("Control+Escape")
    page.locator("dialog [value=stop]").click()
    context.close()


def prepare(page: Page, url: str) -> None:
    """Sign in; the first time, choose the password and import the invented accounts."""
    origin = {"Origin": url, "Content-Type": "application/json"}
    request = page.context.request
    ready = request.get(f"{url}/api/auth/status").json()["setup_done"]
    path = "login" if ready else "setup"
    expect(request.post(f"{url}/api/auth/{path}", data=json.dumps({"password": PASSWORD}), headers=origin)).to_be_ok()
    if not ready:
        expect(request.post(f"{url}/api/import", data=json.dumps(invented()), headers=origin)).to_be_ok()


def invented() -> list[dict[str, object]]:
    """Return accounts in every state."""
    now = int(time.time() * 1000)

    def oauth(name: str, ends: float, **more: object) -> dict[str, object]:
        token = {"access_token": f"sk-ant-oat01-{name}-invented-x8Kq2A", "expires_at": int(now + ends * HOUR)}
        return {"name": name, "auth_type": "oauth"} | token | more

    return [
        {"name": "perso", "auth_type": "api_key", "api_key": "sk-ant-api03-invented-for-the-picture-9fKq2A"},
        {"name": "client", "auth_type": "oauth"},
        oauth("boulot", 7.4, refresh_token="sk-ant-ort01-invented-1"),  # noqa: S106
        oauth("atelier", 3.2, refresh_token="sk-ant-ort01-invented-2"),  # noqa: S106
        oauth("labo", 0.16, refresh_token="sk-ant-ort01-invented-3"),  # noqa: S106
        oauth("ci-runner", 24 * 300),
    ]


if __name__ == "__main__":
    main()
