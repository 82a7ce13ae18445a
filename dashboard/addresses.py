"""Owns addresses: whose one is, what a proxy wrote of its visitor, under which this machine is reached and listens.

It knows no request and no name that was declared.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress

from ..messages import AccountsError
from ..system import programs

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Addresses for documentation (RFC 5737, RFC 3849): a datagram socket that is connected to one sends nothing.
_SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
# Of /proc/net/if_inet6: an address that is gone tomorrow (temporary, deprecated), found twice or still being tried.
_UNUSABLE_FLAGS = 0x01 | 0x20 | 0x08 | 0x40
_UNUSABLE_WORDS = {"temporary", "deprecated", "duplicated", "tentative"}
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
_IFCONFIG = "/sbin/ifconfig"


def plain(text: str) -> str:
    """Return an address in its one usual form, "" for what is none: IPv4 inside IPv6 as IPv4, without a zone."""
    found = _parsed(text)
    return str(found) if found else ""


def is_loopback(text: str) -> bool:
    """Tell whether an address is this machine's own, in whichever family it came."""
    found = _parsed(text)
    return found is not None and found.is_loopback


def forwarded(x_forwarded_for: str, standard: str) -> str:
    """Return the visitor's address as the nearest proxy wrote it, "" when it wrote none.

    `x_forwarded_for` is that header; `standard` is `Forwarded` (RFC 7239), which counts where the other is missing. A
    proxy appends: what stands before the last entry was sent by the visitor.
    """
    if x_forwarded_for.strip():
        return _without_port(x_forwarded_for.rpartition(",")[2])
    for pair in standard.rpartition(",")[2].split(";"):
        name, _equals, value = pair.partition("=")
        if name.strip().lower() == "for":
            return _without_port(value)
    return ""


def in_url(address: str) -> str:
    """Return an address or name as it stands in a URL: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


def own() -> list[str]:
    """Return the addresses under which other machines reach this one, IPv4 first; those of one link alone are none."""
    return _reachable(_of_interfaces()) or _reachable(_way_out())


def lasting() -> list[str]:
    """Return those of `own` that a certificate may name: none of a containers' network, which comes and goes."""
    newer = [address for address in own() if ":" in address]
    return [address for address in _reachable(_way_out()) if ":" not in address] + newer


def listen(places: Iterable[str], port: int) -> list[socket.socket]:
    """Return a socket that listens on a port at each of these addresses whose family this machine has.

    With port 0 it is any that is free at all of them, or nothing is returned: then try again. Raises OSError, and
    OverflowError for what is no port.
    """
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for place in places:
            try:
                listeners.append(_listener(place, listeners[0].getsockname()[1] if listeners else port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE and listeners and port == 0:
                    raise _Taken from error
                if error.errno not in _NO_SUCH_FAMILY:
                    raise
                missing = error
        if missing and not listeners:
            raise missing
    except BaseException as error:
        for listener in listeners:
            listener.close()
        if isinstance(error, _Taken):
            return []
        raise
    return listeners


class _Taken(Exception):
    """A port that was free in one family is not in the other."""


def _listener(place: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in place else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # The other family has a socket of its own, and its visitors keep the addresses they have.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((place, port))
        # Where a flood waits to be looked at: whoever finds it full comes again a second later.
        listener.listen(1024)
    except BaseException:
        listener.close()
        raise
    return listener


def _parsed(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # ::ffff:127.0.0.1 is how a socket for both families names a visitor of the older one.
    return getattr(address, "ipv4_mapped", None) or address


def _without_port(text: str) -> str:
    text = text.strip().strip('"').strip()
    if text.startswith("["):
        return plain(text[1:].partition("]")[0])
    # One colon stands before a port, several belong to the address.
    return plain(text.partition(":")[0] if text.count(":") == 1 else text)


def _reachable(texts: Iterable[str]) -> list[str]:
    found: list[_Address] = []
    for text in texts:
        address = _parsed(text)
        if address is None or address in found:
            continue
        if not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast):
            found.append(address)
    return [str(address) for address in sorted(found, key=lambda address: address.version)]


def _way_out() -> Iterator[str]:
    for family, somewhere in _SOMEWHERE.items():
        # Without a way out, or without the family, there is no such address.
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((somewhere, 9))
            yield str(probe.getsockname()[0])


def _of_interfaces() -> Iterator[str]:
    if sys.platform == "linux":
        yield from _ipv4_of_linux()
        yield from _ipv6_of_linux()
        return
    with suppress(AccountsError):
        _code, output = programs.run([_IFCONFIG], os.environ, seconds=5)
        for line in output.decode("ascii", "replace").splitlines():
            words = line.split()
            if words[:1] in (["inet"], ["inet6"]) and len(words) > 1 and not _UNUSABLE_WORDS & {*words}:
                yield words[1]


def _ipv4_of_linux() -> Iterator[str]:
    """Give the machine's own addresses of the kernel's routing tree, where each stands before `/32 host LOCAL`."""
    last = ""
    with suppress(OSError), open("/proc/net/fib_trie", encoding="ascii", errors="replace") as file:
        for line in file:
            leaf = re.fullmatch(r"\|-- ([0-9.]{7,15})", line.strip())
            if leaf:
                last = leaf[1]
            elif line.strip() == "/32 host LOCAL":
                yield last


def _ipv6_of_linux() -> Iterator[str]:
    with suppress(OSError), open("/proc/net/if_inet6", encoding="ascii", errors="replace") as file:
        for line in file:
            digits, _index, _length, _scope, flags, *_name = line.split()
            if not int(flags, 16) & _UNUSABLE_FLAGS:
                yield str(ipaddress.IPv6Address(bytes.fromhex(digits)))
