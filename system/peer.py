"""Owns whose process is at the far end of a connection within this machine.

It knows nothing of what was asked over it.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from . import programs

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
# ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT: what still has a process; a socket without one is listed as root's.
_ALIVE = frozenset({"01", "04", "05", "08"})
_LSOF_SECONDS = 5
STRANGER = -1
# The kernel shows this user for who is unknown where we are (in a container's own numbering of users).
_UNKNOWN_USER = "/proc/sys/kernel/overflowuid"


class _End(NamedTuple):
    address: str
    port: int


def owner(connection: socket.socket) -> int | None:
    """Return the user whose process is at the far end of a TCP connection, None where that cannot be told.

    On a Mac, where nobody sees another's sockets, STRANGER stands for everybody else.
    """
    try:
        peer, own = _end(connection.getpeername()), _end(connection.getsockname())
    except (OSError, ValueError):
        return None
    if sys.platform == "darwin":
        return _owner_by_lsof(peer, own)
    user = _owner_by_proc(peer, own)
    return None if user == _unknown_user() else user


def _end(name: object) -> _End:
    """Return one end of a connection in the one spelling that compares. Raises ValueError for what is no TCP."""
    if not isinstance(name, tuple) or len(name) < 2:
        raise ValueError(name)
    address = ip_address(str(name[0]).partition("%")[0])
    # Where a socket speaks both, IPv4 wears the clothes of IPv6.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return _End(str(mapped or address), int(name[1]))


def _owner_by_proc(peer: _End, own: _End) -> int | None:
    """Return the user of the socket that is the other end of ours (Linux), None where it is in no table."""
    for path in _TABLES:
        try:
            with open(path, encoding="ascii") as table:
                next(table, "")
                for line in table:
                    user = _owner_of_line(line.split(), peer, own)
                    if user is not None:
                        return user
        except OSError:
            # Another system, or one that shows its tables to nobody.
            continue
    return None


def _owner_of_line(fields: list[str], peer: _End, own: _End) -> int | None:
    # sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
    if len(fields) < 10 or fields[3] not in _ALIVE or fields[9] == "0":
        return None
    # The port first: it is cheap, and nearly every line is another's.
    if int(fields[1].rpartition(":")[2], 16) != peer.port:
        return None
    return int(fields[7]) if (_listed_end(fields[1]), _listed_end(fields[2])) == (peer, own) else None


def _listed_end(text: str) -> _End:
    """Return an end as the kernel lists it: words of 32 bits in the machine's own order of bytes, in hexadecimal."""
    address, _colon, port = text.partition(":")
    words = re.findall("." * 8, address)
    packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return _end((socket.inet_ntop(family, packed), int(port, 16)))


def _unknown_user() -> int:
    try:
        with open(_UNKNOWN_USER, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 65534


def _owner_by_lsof(peer: _End, own: _End) -> int | None:
    """Ask lsof (macOS) for our user's own end of the connection at the peer's side."""
    lsof = programs.find("lsof", os.environ) or "/usr/sbin/lsof"
    if not os.access(lsof, os.X_OK):
        return None
    argv = [lsof, "-nP", "-a", "-u", str(os.geteuid()), f"-iTCP:{peer.port}", "-sTCP:ESTABLISHED", "-Fn"]
    status, output = programs.run(argv, os.environ, seconds=_LSOF_SECONDS)
    if status < 0:
        return None
    wanted = f"n{_named(peer)}->{_named(own)}"
    return os.geteuid() if wanted in output.decode("utf-8", "replace").splitlines() else STRANGER


def _named(end: _End) -> str:
    return f"[{end.address}]:{end.port}" if ":" in end.address else f"{end.address}:{end.port}"
