"""Whose process is at the far end of a connection: real sockets, and the tables of this very machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from conftest import write_program

from claude_accounts.system import peer

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="no /proc here")


@contextmanager
def listening(family: socket.AddressFamily, address: str) -> Iterator[socket.socket]:
    """Listen on a free port; an IPv6 socket takes IPv4 too."""
    with closing(socket.socket(family)) as listener:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            listener.bind((address, 0))
        except OSError as error:
            pytest.skip(f"no {address} here: {error}")
        listener.listen()
        yield listener


@needs_proc
@pytest.mark.parametrize(
    ("family", "bound", "reached"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        # A socket for both families sees IPv4 dressed as IPv6.
        (socket.AF_INET6, "::", "127.0.0.1"),
    ],
)
def test_own_process_is_told(family: socket.AddressFamily, bound: str, reached: str) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(listening(family, bound))
        client = stack.enter_context(socket.create_connection((reached, listener.getsockname()[1])))
        accepted = stack.enter_context(closing(listener.accept()[0]))
        assert peer.owner(accepted) == os.geteuid()
        # Half closed, it is still that process's.
        client.shutdown(socket.SHUT_WR)
        assert peer.owner(accepted) == os.geteuid()


@needs_proc
def test_process_of_another_user_is_told() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    with ExitStack() as stack:
        listener = stack.enter_context(listening(socket.AF_INET, "127.0.0.1"))
        words = f"exec 3<>/dev/tcp/127.0.0.1/{listener.getsockname()[1]}; read -u 3"
        child = stack.enter_context(subprocess.Popen(["/bin/bash", "-c", words], user=12345, cwd="/"))
        accepted = stack.enter_context(closing(listener.accept()[0]))
        assert peer.owner(accepted) == 12345
        accepted.close()
        child.wait(10)


@needs_proc
def test_peer_that_is_gone_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel lists a socket without a process as root's."""
    with listening(socket.AF_INET, "127.0.0.1") as listener:
        client = socket.create_connection(listener.getsockname())
        with closing(listener.accept()[0]) as accepted:
            client.close()
            assert peer.owner(accepted) is None


def test_socket_without_an_address_is_nobodys() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert peer.owner(one) is None
    with closing(socket.socket()) as unconnected:
        assert peer.owner(unconnected) is None


@pytest.mark.parametrize("ours", [True, False])
def test_mac_asks_lsof(ours: bool, program_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(listening(socket.AF_INET, "127.0.0.1"))
        client = stack.enter_context(socket.create_connection(listener.getsockname()))
        accepted = stack.enter_context(closing(listener.accept()[0]))
        ends = [f"127.0.0.1:{name[1]}" for name in (client.getsockname(), listener.getsockname())]
        # The server's own end is our user's in any case.
        lines = ["->".join(reversed(ends))] + (["->".join(ends)] if ours else [])
        told = "\n".join(["p1", *(f"n{line}" for line in lines)])
        write_program(program_folder / "lsof", f"#!/bin/sh\ncat <<'END'\n{told}\nEND\n")
        monkeypatch.setattr(sys, "platform", "darwin")
        assert peer.owner(accepted) == (os.geteuid() if ours else peer.STRANGER)


def test_mac_without_an_answer_of_lsof_cannot_tell(program_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_program(program_folder / "lsof", "#!/bin/sh\nexec sleep 100\n")
    monkeypatch.setattr(peer, "_LSOF_SECONDS", 0.1)
    with ExitStack() as stack:
        listener = stack.enter_context(listening(socket.AF_INET, "127.0.0.1"))
        stack.enter_context(socket.create_connection(listener.getsockname()))
        accepted = stack.enter_context(closing(listener.accept()[0]))
        monkeypatch.setattr(sys, "platform", "darwin")
        assert peer.owner(accepted) is None
