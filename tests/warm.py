"""Owns processes of ours that begin with everything imported, which is most of what a short command or a server costs.

A helper process imports the program once and forks for each command: what runs is a process of its own, with the words,
the environment and the open files that it was given. It knows no test. Where the start itself is the claim (signals,
what is imported at all), tests start a real one.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

PROJECT = Path(__file__).resolve().parent.parent
# Whoever waits in vain waits so long; it says nothing of how fast anything is.
DEADLINE = 60.0
# What Python looks at when it starts.
_AT_START = ("LC_", "LANG", "PYTHON")
_NUMBER = struct.Struct("!i")


HELPER_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
HELPER_ENVIRONMENT["LC_ALL"] = "C.UTF-8"


class Process:
    """What subprocess.Popen offers of a process, as far as tests need it."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.pid = _read_number(status)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code (negative for a signal), None while the process runs."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.wait(None)
        return self.returncode

    def wait(self, timeout: float | None) -> int:
        """Wait for the end and return the exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("warm process", timeout or 0)
            self.returncode = _read_number(self._status)
            os.close(self._status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process."""
        self.send_signal(signal.SIGKILL)


def start(
    *words: str,
    function: str = "warm:command",
    stdin: int | BinaryIO | None = None,
    stdout: int | BinaryIO,
    stderr: int | BinaryIO,
    env: dict[str, str] | None = None,
    new_session: bool = False,
) -> Process:
    """Run `module:function` with these words in a process of its own; it returns the exit code of the process."""
    channel = _helper()
    status, told = os.pipe()
    request = {
        "function": function,
        "words": words,
        "env": dict(os.environ) if env is None else env,
        "umask": _umask(),
        "new_session": new_session,
    }
    # The folder itself, for its name may be gone.
    folder = os.open(".", os.O_RDONLY)
    with tempfile.TemporaryFile() as file, open(os.devnull, "rb") as nothing:
        file.write(json.dumps(request).encode(errors="surrogateescape"))
        file.flush()
        files: list[Any] = [file, folder, nothing if stdin is None else stdin, stdout, stderr, told]
        socket.send_fds(channel, [b"."], [one if isinstance(one, int) else one.fileno() for one in files])
    os.close(folder)
    os.close(told)
    return Process(status)


def run(
    *words: str,
    function: str = "warm:command",
    stdin: str | None = None,
    env: dict[str, str] | None = None,
    timeout: float = DEADLINE,
) -> subprocess.CompletedProcess[str]:
    """Run to the end and return what was said. Raises subprocess.TimeoutExpired."""
    # Pipes, as a shell gives them: a file would be full with the disk.
    ends = [os.pipe(), os.pipe()]
    with tempfile.TemporaryFile() as given:
        given.write((stdin or "").encode())
        given.seek(0)
        fed = None if stdin is None else given
        process = start(*words, function=function, stdin=fed, stdout=ends[0][1], stderr=ends[1][1], env=env)
    for _reader, writer in ends:
        os.close(writer)
    said = {reader: b"" for reader, _writer in ends}
    open_ends = set(said)
    until = time.monotonic() + timeout
    while open_ends:
        ready = select.select([*open_ends], [], [], max(0.0, until - time.monotonic()))[0]
        if not ready:
            process.kill()
            raise subprocess.TimeoutExpired(words, timeout, *said.values())
        for reader in ready:
            piece = os.read(reader, 65536)
            said[reader] += piece
            if not piece:
                open_ends.remove(reader)
                os.close(reader)
    code = process.wait(max(0.0, until - time.monotonic()))
    return subprocess.CompletedProcess(words, code, *(text.decode() for text in said.values()))


def suits(env: dict[str, str]) -> bool:
    """Return whether a process that starts with this environment is no other than a warm one."""

    def of_start(given: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in given.items() if name.startswith(_AT_START)}

    return of_start(env) == of_start(HELPER_ENVIRONMENT)


def command(*words: str) -> int:
    """Be one command of claude-accounts."""
    return int(import_module("bare_names").member("cli").main([*words]))


def server(*words: str) -> int:
    """Be a server."""
    return command("serve", *words)


def page_server(*words: str) -> int:
    """Be a server whose password costs little to check: the real cost is tested where it matters."""
    import_module("bare_names").member("dashboard.sign_in")._METHOD = "pbkdf2:sha256:1000"
    return server(*words)


def hasty_server(*words: str) -> int:
    """Be a server that waits less long for slow visitors, so that its tests do too."""
    import_module("bare_names").member("dashboard.worker")._HEAD_SECONDS = 1
    return server(*words)


def limited_server(*words: str) -> int:
    """Be a server that may have no more open files than TEST_DESCRIPTORS says."""
    limit = int(os.environ["TEST_DESCRIPTORS"])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return server(*words)


def soft_limited_server(*words: str) -> int:
    """Be a server that a shell has given fewer open files than the system would."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 128), hard))
    return server(*words)


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


def _read_number(descriptor: int) -> int:
    data = b""
    while len(data) < _NUMBER.size:
        piece = os.read(descriptor, _NUMBER.size - len(data))
        assert piece, "the helper of warm processes has ended"
        data += piece
    return int(_NUMBER.unpack(data)[0])


@functools.cache
def _helper() -> socket.socket:
    """Start the helper, once for this process, and return the way to it; it ends with us."""
    ours, its = socket.socketpair()
    with its:
        process = subprocess.Popen(
            [sys.executable, __file__, str(its.fileno())],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            env=HELPER_ENVIRONMENT,
        )

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours


def _serve(channel: socket.socket) -> None:
    """Fork for each request, for as long as somebody asks; each fork leaves by an exit."""
    # Nobody here waits for the keepers.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        data, files, _flags, _address = socket.recv_fds(channel, 1, 6)
        if not data:
            return
        if os.fork() == 0:
            channel.close()
            _keep(files)
        for descriptor in files:
            os.close(descriptor)


def _keep(files: list[int]) -> NoReturn:
    """Be the parent of one process: tell its number, then how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *given, told = files
    pid = os.fork()
    if pid == 0:
        os.close(told)
        _become(*given)
    for descriptor in given:
        os.close(descriptor)
    os.write(told, _NUMBER.pack(pid))
    _pid, status = os.waitpid(pid, 0)
    os.write(told, _NUMBER.pack(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _become(request: int, folder: int, *streams: int) -> NoReturn:
    """Be the process that was asked for."""
    with open(request, "rb") as file:
        file.seek(0)
        asked: dict[str, Any] = json.load(file)
    os.fchdir(folder)
    os.close(folder)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if asked["new_session"]:
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.umask(asked["umask"])
    time.tzset()
    module, _colon, function = asked["function"].partition(":")
    _end(lambda: getattr(import_module(module), function)(*asked["words"]))


def _end(body: Callable[[], int]) -> NoReturn:
    """Run it and leave as a program does, but for the taking apart of all that was imported, which nobody sees."""
    try:
        code = body()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        if isinstance(exit_.code, str):
            print(exit_.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # As Python says of an output that nobody takes.
            code = 120
    os._exit(code)


def _main(descriptor: int) -> None:
    sys.path.insert(0, str(PROJECT))
    bare_names = import_module("bare_names")
    for name in ("cli", "server", "dashboard.serving", "commands.serve", "claude.oauth"):
        bare_names.member(name)
    # What the program imports only where it needs it.
    for name in ("requests", "cryptography.fernet", "argparse", "getpass", "gunicorn.workers.gthread", "hmac"):
        import_module(name)
    # What is here now is never collected, so no fork copies it for the collector's marks.
    gc.collect()
    gc.freeze()
    _serve(socket.socket(fileno=descriptor))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
