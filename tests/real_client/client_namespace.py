"""Owns the place where a real client may run: a network namespace with nothing but `lo`, and the stub inside it.

Nothing is started in it before it was looked at from inside; every program is preceded by the same look.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
START_SECONDS = 20
# Ends with 97 unless `lo` is the only interface and every route belongs to it; else becomes the program.
LOOK = (
    'devices=$(sed -e 1,2d -e "s/:.*//" -e "s/ //g" /proc/net/dev); [ "$devices" = lo ] || exit 97; '
    "while read -r device rest; do [ $device = Iface ] || [ $device = lo ] || exit 97; done </proc/net/route; "
    'if [ -e /proc/net/ipv6_route ]; then sed "s/.* //" /proc/net/ipv6_route | grep -qvx lo && exit 97; fi; '
    'exec "$@"'
)
Request = dict[str, Any]


class NoNamespace(Exception):
    """This machine gives us no network namespace that is cut off; the text says why."""


class ClientNamespace:
    """A running namespace: its folder, its stub's port, and the way to start a program in it."""

    def __init__(self, folder: Path, holder: subprocess.Popen[bytes], enter: list[str]) -> None:
        self.folder = folder
        self._enter = [*enter, "sh", "-c", LOOK, "sh"]
        self._holder = holder
        self._seen = 0
        self.port = int((folder / "ready").read_text())

    @property
    def proxy(self) -> str:
        """The address of the stub."""
        return f"http://127.0.0.1:{self.port}"

    def argv(self, command: list[str]) -> list[str]:
        """Return what starts `command` inside, after the look."""
        return [*self._enter, *command]

    def environment(self) -> dict[str, str]:
        """Return the variables that bring every HTTPS request to the stub."""
        return {
            "HTTPS_PROXY": self.proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "NODE_EXTRA_CA_CERTS": str(self.folder / "ca.pem"),
            "SSL_CERT_FILE": str(self.folder / "ca.pem"),
            "REQUESTS_CA_BUNDLE": str(self.folder / "ca.pem"),
            "CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL": f"{self.proxy}/v1/oauth/token",
        }

    def forget(self) -> None:
        """Begin a test: no rules, and no request counts that came before."""
        (self.folder / "rules.json").unlink(missing_ok=True)
        (self.folder / "test").write_text(os.urandom(8).hex())
        self._seen = len(self._lines())

    def rule(self, **rules: object) -> None:
        """Tell the stub how to answer from now on."""
        (self.folder / "rules.new").write_text(json.dumps(rules))
        (self.folder / "rules.new").replace(self.folder / "rules.json")

    def requests(self) -> list[Request]:
        """Return what has arrived since `forget`."""
        return [json.loads(line) for line in self._lines()[self._seen :]]

    def _lines(self) -> list[str]:
        with suppress(FileNotFoundError):
            return [line for line in (self.folder / "requests.jsonl").read_text().split("\n") if line]
        return []


def popen(argv: list[str], env: Mapping[str, str], cwd: Path, **streams: Any) -> subprocess.Popen[str]:
    """Start a program as the head of a process group, so that all of it can be ended."""
    return subprocess.Popen(argv, env=dict(env), cwd=cwd, text=True, start_new_session=True, **streams)


def end_group(process: subprocess.Popen[Any]) -> None:
    """End a program started by `popen` and what it started in its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_processes_of(home: Path) -> None:
    """End every process whose HOME is this test's: background services outlive their starter and its group."""
    mark = f"HOME={home}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        pid = int(entry.parent.name)
        with suppress(OSError):
            if mark in entry.read_bytes().split(b"\0") and pid != os.getpid():
                os.kill(pid, signal.SIGKILL)


@contextmanager
def client_namespace(folder: Path) -> Iterator[ClientNamespace]:
    """Give a namespace that was seen to be cut off. Raises NoNamespace."""
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("nsenter"):
        raise NoNamespace("a network namespace needs Linux with unshare and nsenter (apt install util-linux)")
    root = os.geteuid() == 0
    unshare = ["unshare", "--net"] if root else ["unshare", "--user", "--map-root-user", "--net"]
    stub = [sys.executable, str(HERE / "stub_api.py"), str(folder)]
    with open(folder / "stub.log", "wb") as log:
        holder = subprocess.Popen([*unshare, *stub], stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        _wait_until_ready(folder, holder)
        enter = ["nsenter", "--target", str(holder.pid), "--net"]
        namespace = ClientNamespace(folder, holder, enter if root else [*enter, "--user", "--preserve-credentials"])
        _verify(namespace)
        yield namespace
    finally:
        try:
            holder.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            holder.kill()
            holder.communicate()


def _wait_until_ready(folder: Path, holder: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (folder / "ready").exists():
        if holder.poll() is not None or time.monotonic() > deadline:
            why = (folder / "stub.log").read_text().strip()[-300:]
            raise NoNamespace(f"this machine gives no network namespace of one's own: {why}")
        select.select([], [], [], 0.02)


def _verify(namespace: ClientNamespace) -> None:
    """Look from inside, and see that the same look refuses outside. Raises NoNamespace."""
    probe = "import socket; s = socket.socket(); s.settimeout(2); print(s.connect_ex(('192.0.2.1', 443)))"
    inside = subprocess.run(namespace.argv([sys.executable, "-c", probe]), capture_output=True, text=True, timeout=20)
    if inside.returncode != 0:
        raise NoNamespace("inside the namespace there is another interface than lo, or a route")
    if inside.stdout.strip() not in ("101", "113"):
        raise NoNamespace(f"from inside the namespace an address outside answered: {inside.stdout.strip()}")
