"""Measures the dashboard with many accounts: list answers a second, and the page in a real browser.

    python benchmarks/web_page.py [--accounts N] [--seconds S] [NAME...]

NAME is one of api, page. `page` needs `pip install playwright` and a Chromium ($CHROMIUM or /usr/bin/chromium). Rates
are given for each second of the server's own processor time too, which does not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

PROJECT = Path(__file__).resolve().parent.parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
PASSWORD = "correct horse battery"
# From the key press to the second frame after it: the one that shows the answer is then on the screen.
SEARCH = """async (text) => {
    const field = document.querySelector('[data-name=search]');
    const started = performance.now();
    field.value = text;
    field.dispatchEvent(new Event('input', {bubbles: true}));
    const work = performance.now() - started;
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    return [work, performance.now() - started];
}"""
WEIGHT = """() => [...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]
    .filter((entry) => !entry.name.includes('/api/') && !entry.name.includes('/socket.io/'))
    .reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""


class Serving(NamedTuple):
    """A dashboard that runs: its port, the process that does the work, the API token."""

    port: int
    worker: int
    token: str

    def cpu_seconds(self) -> float:
        """Return the processor time its worker has used."""
        fields = Path(f"/proc/{self.worker}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run the chosen measures and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    measures: dict[str, Callable[[Serving, float], None]] = {"api": api, "page": page}
    for name in arguments.names or measures:
        with serving(arguments.accounts) as server:
            print(f"\n{name}, {arguments.accounts:,} accounts\n")
            measures[name](server, arguments.seconds)


def api(server: Serving, seconds: float) -> None:
    """Ask for the list over and over: as it is, and with a change before every answer."""
    print("| GET /api/accounts | answers/s | answers for each CPU second |\n|---|---|---|")
    for label, connections, change in (("1 connection", 1, False), ("8 connections", 8, False), ("changing", 1, True)):
        used, started = server.cpu_seconds(), time.perf_counter()
        with ThreadPoolExecutor(connections) as pool:
            counts = list(
                pool.map(ask, [server] * connections, [started + seconds] * connections, [change] * connections)
            )
        total, passed = sum(counts), time.perf_counter() - started
        print(f"| {label} | {total / passed:.0f} | {total / max(server.cpu_seconds() - used, 0.01):.0f} |")


def ask(server: Serving, until: float, change: bool) -> int:
    """Ask for the list on one connection until then and return how often it came."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    headers = {"X-Auth-Token": server.token}
    connection.request("GET", "/api/accounts", headers=headers)
    first = json.loads(connection.getresponse().read())[0]["id"]
    count = 0
    while time.perf_counter() < until:
        if change:
            body = json.dumps({"api_key": f"sk-ant-api03-benchmark-{count:06}-0123456789abcdef"})
            connection.request("PUT", f"/api/accounts/{first}", body, headers | {"Content-Type": "application/json"})
            assert connection.getresponse().read()
        connection.request("GET", "/api/accounts", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
        count += 1
    return count


def page(server: Serving, _seconds: float) -> None:
    """Open the page in a browser, search in it, start a terminal."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        context = browser.new_context(viewport={"width": 1200, "height": 800}, reduced_motion="reduce")
        address = f"http://localhost:{server.port}"
        context.request.post(f"{address}/api/auth/login", data={"password": PASSWORD}, headers={"Origin": address})
        shown = []
        for _round in range(5):
            opened = context.new_page()
            started = time.perf_counter()
            opened.goto(address + "/")
            opened.locator(".account").first.wait_for()
            shown.append((time.perf_counter() - started) * 1000)
            weight = opened.evaluate(WEIGHT) / 1000
            searched = [opened.evaluate(SEARCH, f"account-{number}") for number in range(0, 200, 7)]
            first = first_terminal(opened)
            opened.close()
        browser.close()
    print("| page | |\n|---|---|")
    print(f"| first account visible after the address was opened, ms | {statistics.median(shown):.0f} |")
    print(f"| compressed weight of the first view, kB | {weight:.0f} |")
    print(f"| search: work for one key, ms, median | {statistics.median(work for work, _all in searched):.1f} |")
    print(
        f"| search: until two frames later, ms, median | {statistics.median(whole for _work, whole in searched):.1f} |"
    )
    print(f"| first terminal speaks after the click, ms | {first:.0f} |")


def first_terminal(opened: Any) -> float:
    """Return the milliseconds from the click that starts a terminal to its program's first word on the screen."""
    opened.locator("[data-name=search]").fill("")
    opened.locator(".account [data-act=open]").first.click()
    start = opened.locator("dialog[data-name=folder] footer .primary")
    start.wait_for()
    started = time.perf_counter()
    start.click()
    opened.locator(".pane:not([hidden]) .xterm-rows").get_by_text("ready").wait_for()
    return (time.perf_counter() - started) * 1000


@contextmanager
def serving(accounts: int) -> Iterator[Serving]:
    """Serve a dashboard that has so many accounts and a `claude` that says one word."""
    with tempfile.TemporaryDirectory() as home:
        programs = Path(home, "programs")
        programs.mkdir()
        claude = programs / "claude"
        claude.write_text("#!/bin/sh\necho ready\nexec cat\n")
        claude.chmod(0o755)
        entries = [
            {
                "name": f"account-{n}",
                "auth_type": "api_key",
                "api_key": f"sk-ant-api03-benchmark-{n:06}-0123456789abcdef",
            }
            for n in range(accounts)
        ]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "CLAUDE"))}
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        environment = kept | {"HOME": home, "PATH": f"{programs}:{os.environ['PATH']}", "XDG_CACHE_HOME": cache}
        cli = [sys.executable, str(PROJECT / "cli.py")]
        subprocess.run([*cli, "import", "-"], env=environment, input=json.dumps(entries), text=True, check=True)
        process = subprocess.Popen(
            [*cli, "serve", "--port", "0", "--no-browser"], env=environment, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr
        try:
            found = next(filter(None, (re.search(r"http://localhost:(\d+)/", line) for line in process.stderr)))
            port = int(found[1])
            token = set_up(port)
            listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
            pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
            worker = next(pid for pid, parent in pairs if parent == process.pid)
            yield Serving(port, worker, token)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def set_up(port: int) -> str:
    """Choose the dashboard's password and return the API token."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json", "Origin": f"http://localhost:{port}", "Host": f"localhost:{port}"}
    connection.request("POST", "/api/auth/setup", json.dumps({"password": PASSWORD}), headers)
    return str(json.loads(connection.getresponse().read())["api_token"])


if __name__ == "__main__":
    main()
