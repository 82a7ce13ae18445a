"""Owns the servers that the terminal benchmarks compare: each in a process of its own, running a bare shell.

Run as a program it is one of them: `servers.py ours PORT` or `servers.py terminado PORT`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
SHELL = ["/bin/bash", "--norc", "--noprofile", "--noediting"]


class Running:
    """A server that runs: its port and the process that does the work."""

    def __init__(self, name: str, port: int, pid: int) -> None:
        self.name, self.port, self.pid = name, port, pid

    def cpu_seconds(self) -> float:
        """Return the processor time it has used, in its own code and in the kernel."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> int:
        """Return its resident memory in bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def left_over(self) -> tuple[int, int]:
        """Return how many children (dead ones too) and descriptors it has."""
        children = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            # A thread may end while we look.
            with suppress(FileNotFoundError, ProcessLookupError):
                children += len((task / "children").read_text().split())
        return children, len(os.listdir(f"/proc/{self.pid}/fd"))


@contextmanager
def server(name: str) -> Iterator[Running]:
    """Run one of the servers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"HOME": home, "PYTHONPATH": str(PROJECT), "CLAUDE_ACCOUNTS_HOME": home + "/data"}
        process = subprocess.Popen([sys.executable, __file__, name, str(port)], env=environment, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            pid = int(process.stdout.readline())
            os.environ["BENCHMARK_ACCOUNT"] = process.stdout.readline().decode().strip()
            _wait_for(port)
            yield Running(name, port, pid)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError


def run_ours(port: int) -> None:
    """Serve the project's terminals as the dashboard does: gunicorn, one worker, threads."""
    from flask import Flask
    from flask_socketio import SocketIO
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

    import bare_names

    bare_names.member("messages")
    from claude_accounts import db
    from claude_accounts.claude import program as claude_code
    from claude_accounts.launch.plan import Plan
    from claude_accounts.terminal import events as terminal_events
    from claude_accounts.terminal.terminals import Terminals

    account = db.add_account("benchmark", "api_key", api_key="sk-ant-api03-not-a-real-key-0000000001")

    def plan(chosen: db.Chosen, *_about: object, **_options: object) -> Plan:
        return Plan(claude_code.Launch(SHELL[0], SHELL, dict(os.environ), []), chosen.stored)

    class Application(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            self.cfg.set("bind", f"127.0.0.1:{port}")
            self.cfg.set("worker_class", "gthread")
            self.cfg.set("threads", 200)
            self.cfg.set("timeout", 0)
            self.cfg.set("graceful_timeout", 1)
            self.cfg.set("loglevel", "error")
            self.cfg.set("control_socket_disable", True)

        def load(self) -> Flask:
            app = Flask("benchmark")
            sockets = SocketIO(app, async_mode="threading", async_handlers=False, manage_session=False)
            events = terminal_events.register(sockets, plan=plan, terminals=Terminals(limit=100))
            self.cfg.set("worker_exit", lambda _server, _worker: (events.stop_all(), os._exit(0)))
            print(os.getpid(), account.id, sep="\n", flush=True)
            return app

    Application().run()


def run_terminado(port: int) -> None:
    """Serve terminado's own terminals."""
    import asyncio

    import tornado.web
    from terminado.management import UniqueTermManager
    from terminado.websocket import TermSocket

    async def serve() -> None:
        manager = UniqueTermManager(shell_command=SHELL, max_terminals=100)
        routes: list[Any] = [(r"/websocket", TermSocket, {"term_manager": manager})]
        tornado.web.Application(routes).listen(port, "127.0.0.1")
        print(os.getpid(), "", sep="\n", flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    # What is beside this file must not stand in for the project's own modules.
    sys.path.remove(str(Path(__file__).resolve().parent))
    {"ours": run_ours, "terminado": run_terminado}[sys.argv[1]](int(sys.argv[2]))
