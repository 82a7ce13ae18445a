"""A claude that is a program of its own and no script: a few machine instructions that print one line, whatever asked.

What is remembered of a file that is Claude Code itself cannot be tried with a script, of which nothing is.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from conftest import lack

_BASE, _HEADERS = 0x400000, 120
_MACHINES = {"x86_64": 62, "aarch64": 183}


def native_claude(path: Path, answer: str) -> Path:
    """Write a program that answers so; written again it is the same file, with its old time."""
    machine = os.uname().machine
    if os.uname().sysname != "Linux" or machine not in _MACHINES:
        lack("machine instructions for this kind of machine")
    said = answer.encode() + b"\n"
    body = _code(machine, len(said)) + said
    size = _HEADERS + len(body)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, _MACHINES[machine], 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.stat() if path.exists() else None
    path.write_bytes(head + body)
    path.chmod(0o755)
    if before:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path


def _code(machine: str, length: int) -> bytes:
    """Return write(1, what follows, length); exit(0)."""
    if machine == "x86_64":
        return (
            bytes.fromhex("b801000000bf01000000488d3510000000ba")
            + struct.pack("<I", length)
            + bytes.fromhex("0f05b83c00000031ff0f05")
        )
    words = (
        0xD2800020,
        0x100000E1,
        0xD2800002 | length << 5,
        0xD2800808,
        0xD4000001,
        0xD2800000,
        0xD2800BA8,
        0xD4000001,
    )
    return struct.pack("<8I", *words)
