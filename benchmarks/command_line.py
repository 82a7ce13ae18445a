"""Measures the command line in a home of its own, and prints a table of medians with the ratio that each target names.

    python benchmarks/command_line.py [--rounds N] [NAME...]

NAME is one of launch, list, import, expired. What is compared takes turns within one run, so that a busy machine slows
both alike; the absolute figures differ from machine to machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
CLI = [sys.executable, str(PROJECT / "cli.py")]
FLOOR = [sys.executable, "-c", "import sqlite3; from cryptography.fernet import Fernet"]
KEY = "sk-ant-api03-benchmark-{:06}-0123456789abcdef"


def main() -> None:
    """Run the chosen measures and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(MEASURES)
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    for name in arguments.names or MEASURES:
        with home() as environment:
            rows = MEASURES[name](environment, arguments.rounds)
        print(f"\n| {name} | ms | ratio |\n|---|---|---|")
        for label, milliseconds, base in rows:
            print(f"| {label} | {milliseconds:.0f} | {milliseconds / base:.2f} |")


Rows = list[tuple[str, float, float]]


def launch(environment: dict[str, str], rounds: int) -> Rows:
    """Compare a launch with the imports that it cannot avoid, and with what it starts alone."""
    run([*CLI, "add", "work", "--key", "-"], environment, KEY.format(0))
    commands = {
        "the program alone": ["claude"],
        "python3 -c pass": [sys.executable, "-c", "pass"],
        "import sqlite3 and Fernet (the floor)": FLOOR,
        "launch": [*CLI, "launch", "work"],
        "exec": [*CLI, "exec", "work", "--", "claude"],
    }
    times = in_turns(commands, environment, rounds)
    floor = times["import sqlite3 and Fernet (the floor)"]
    return [(label, milliseconds, floor) for label, milliseconds in times.items()]


def list_accounts(environment: dict[str, str], rounds: int) -> Rows:
    """Compare the list of many accounts with the list of one."""
    homes = {}
    for count in (1, 10, 1000, 10_000):
        homes[f"list of {count:,}"] = with_accounts(environment, count)
    times: dict[str, list[float]] = {label: [] for label in homes}
    for _round in range(rounds):
        for label, its_environment in homes.items():
            times[label].append(timed([*CLI, "list"], its_environment))
    one = statistics.median(times["list of 1"])
    return [(label, statistics.median(its), one) for label, its in times.items()]


def import_accounts(environment: dict[str, str], rounds: int) -> Rows:
    """Compare an import of many accounts with the list of one."""
    base = with_accounts(environment, 1)
    one = statistics.median(timed([*CLI, "list"], base) for _round in range(rounds))
    rows = [("list of 1", one, one)]
    for count in (1000, 10_000):
        times = []
        for number in range(max(1, rounds // 4)):
            data = f"{environment['CLAUDE_ACCOUNTS_HOME']}-import-{count}-{number}"
            command = [*CLI, "import", write_accounts(environment, count)]
            times.append(timed(command, environment | {"CLAUDE_ACCOUNTS_HOME": data}))
        rows.append((f"import of {count:,}", statistics.median(times), one))
    return rows


def expired(environment: dict[str, str], rounds: int) -> Rows:
    """Compare twenty launches of an expired account at once with a single one, at an endpoint of half a second."""
    single: list[float] = []
    many: list[float] = []
    unexpired: list[float] = []
    requests = []
    with token_endpoint(seconds=0.5) as endpoint:
        environment = environment | {"CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL": endpoint.url}
        for number in range(max(1, rounds // 4)):
            for count, times in ((1, single), (20, many)):
                data = f"{environment['CLAUDE_ACCOUNTS_HOME']}-expired-{count}-{number}"
                its = environment | {"CLAUDE_ACCOUNTS_HOME": data}
                run([*CLI, "import", "-"], its, json.dumps([expired_account(endpoint)]))
                before = endpoint.requests
                times.append(at_once(count, its))
                requests.append(endpoint.requests - before)
            unexpired.append(at_once(20, its))
    assert set(requests) == {1}, requests
    one = statistics.median(single)
    return [
        ("1 launch, 1 request", one, one),
        ("20 launches at once, 1 request", statistics.median(many), one),
        ("20 launches at once, nothing to refresh", statistics.median(unexpired), one),
    ]


MEASURES: dict[str, Callable[[dict[str, str], int], Rows]] = {
    "launch": launch,
    "list": list_accounts,
    "import": import_accounts,
    "expired": expired,
}


@contextmanager
def home() -> Iterator[dict[str, str]]:
    """Give the environment of an empty home whose `claude` is a program that ends at once."""
    with tempfile.TemporaryDirectory() as folder:
        programs = Path(folder, "programs")
        programs.mkdir()
        # As Claude Code's own installer lays it: the path tells the version, so that nobody need ask for it.
        version = programs / "claude-code" / "2.1.332"
        version.mkdir(parents=True)
        shutil.copy("/bin/true", version / "claude")
        (programs / "claude").symlink_to(version / "claude")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "CLAUDE"))}
        # Without compiled copies every start would compile the sources again, which nobody's start does.
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        yield kept | {
            "HOME": folder,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CLAUDE_ACCOUNTS_HOME": f"{folder}/data",
        }


def with_accounts(environment: dict[str, str], count: int) -> dict[str, str]:
    """Import so many accounts into a data folder of their own and return its environment."""
    own = environment | {"CLAUDE_ACCOUNTS_HOME": f"{environment['CLAUDE_ACCOUNTS_HOME']}-{count}"}
    run([*CLI, "import", write_accounts(environment, count)], own)
    return own


def write_accounts(environment: dict[str, str], count: int) -> str:
    """Write an import file of so many API keys and return its path."""
    path = Path(environment["HOME"], f"{count}.json")
    entries = [{"name": f"account-{n}", "auth_type": "api_key", "api_key": KEY.format(n)} for n in range(count)]
    path.write_text(json.dumps(entries))
    return str(path)


def at_once(count: int, environment: dict[str, str]) -> float:
    """Return how many milliseconds so many launches take that start together; each must succeed."""
    started = time.perf_counter()
    command = [*CLI, "launch", "work"]
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) for _launch in range(count)]
    codes = [process.wait() for process in running]
    assert codes == [0] * count, codes
    return (time.perf_counter() - started) * 1000


def in_turns(commands: dict[str, list[str]], environment: dict[str, str], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of each command, all of them run once in every round."""
    times: dict[str, list[float]] = {label: [] for label in commands}
    for _round in range(rounds + 1):
        for label, command in commands.items():
            times[label].append(timed(command, environment))
    # The first round compiles and fills caches.
    return {label: statistics.median(its[1:]) for label, its in times.items()}


def timed(command: list[str], environment: dict[str, str]) -> float:
    """Return how many milliseconds a command takes."""
    started = time.perf_counter()
    run(command, environment)
    return (time.perf_counter() - started) * 1000


def run(command: list[str], environment: dict[str, str], stdin: str = "") -> None:
    """Run a command that must succeed."""
    subprocess.run(command, env=environment, input=stdin, text=True, capture_output=True, check=True)


class Endpoint(ThreadingHTTPServer):
    """A token endpoint whose tokens can be spent once."""

    url = ""
    seconds = 0.0
    requests = 0
    issued = 0

    def next_token(self) -> str:
        """Return a refresh token that has not been seen before."""
        self.issued += 1
        return f"sk-ant-ort01-{self.issued:08}-0123456789abcdef"


class Answer(BaseHTTPRequestHandler):
    """Give a new pair for any refresh token."""

    def do_POST(self) -> None:
        """Answer one refresh after the endpoint's delay."""
        endpoint = self.server
        assert isinstance(endpoint, Endpoint)
        endpoint.requests += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(endpoint.seconds)
        answer = {
            "access_token": f"sk-ant-oat01-{endpoint.issued:08}-0123456789abcdef",
            "refresh_token": endpoint.next_token(),
            "expires_in": 28800,
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep quiet."""


@contextmanager
def token_endpoint(seconds: float) -> Iterator[Endpoint]:
    """Serve a token endpoint on loopback that thinks for so long."""
    with Endpoint(("127.0.0.1", 0), Answer) as endpoint:
        endpoint.url = f"http://127.0.0.1:{endpoint.server_port}/token"
        endpoint.seconds = seconds
        threading.Thread(target=endpoint.serve_forever, daemon=True).start()
        yield endpoint
        endpoint.shutdown()


def expired_account(endpoint: Endpoint) -> dict[str, object]:
    """Return an import entry whose access token ended an hour ago."""
    return {
        "name": "work",
        "auth_type": "oauth",
        "access_token": "sk-ant-oat01-expired-0123456789abcdef",
        "refresh_token": endpoint.next_token(),
        "expires_at": int(time.time() * 1000) - 3_600_000,
    }


if __name__ == "__main__":
    main()
