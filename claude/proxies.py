"""Owns the question through which proxy an address is reached, by the variables people and Claude Code's settings name.

It opens no connection. A proxy's password leaves this file only inside a Proxy; what is shown never holds it.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple
from urllib.parse import quote, unquote

from ..messages import EndpointFailed, _, printable
from .settings import Said

# In Claude Code's own order, small letters first; an https address takes what is meant for http when nothing else is.
_FOR = {
    "https": ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
    "http": ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
}
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080, "socks4a": 1080}
# Letters and digits of any script, `-`, `.` and `_`: what else stands there is a login that is written another way.
_HOST = r"[^\x00-,/:-@\[-^`{-\x7f\s]+"
# `socks://` is how desktops write a SOCKS 5 proxy, which is best asked for names as well.
_MEANT = {"socks": "socks5h"}


class Proxy(NamedTuple):
    """One proxy, and the variable (and settings file) that names it."""

    variable: str
    path: str
    scheme: str
    host: str
    port: int
    user: str
    password: str

    def address(self) -> str:
        """Return its address without name and password, which every library would quote in its own way."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def address_with_password(self) -> str:
        """Return its address with name and password, for SOCKS, and for nobody to see."""
        if not self.user and not self.password:
            return self.address()
        scheme, _colon, place = self.address().partition("://")
        return f"{scheme}://{quote(self.user, safe='')}:{quote(self.password, safe='')}@{place}"

    def mend_to(self, scheme: str, *, login: bool = False) -> str:
        """Return the hint that writes the same proxy another way, with a place for its name and password."""
        place = self.address().partition("://")[2]
        login = login or bool(self.user or self.password)
        return mend(self.variable, self.path, to=f"{scheme}://{'NAME:PASSWORD@' if login else ''}{place}")

    def shown(self) -> str:
        """Return `VARIABLE=address` for a person, with its file; a password is three stars."""
        return shown(self.variable, Said(self._written(), self.path))

    def _written(self) -> str:
        scheme, _colon, place = self.address().partition("://")
        return f"{scheme}://***@{place}" if self.user or self.password else self.address()


def shown(variable: str, said: Said) -> str:
    """Return `VARIABLE=value` for a person, with the settings file that says it."""
    return printable(f"{variable}={said.value}" + (f" ({said.path})" if said.path else ""))


def mend(variable: str, path: str, *, to: str = "") -> str:
    """Return the hint about a variable that has to be changed: a command, or the file it stands in."""
    if path:
        return _("correct {variable} in {path}", variable=variable, path=printable(path))
    return f"export {variable}={to}" if to else f"unset {variable}"


def proxy_for(scheme: str, host: str, port: int, said: Mapping[str, Said]) -> Proxy | None:
    """Return the proxy for an address, None for the direct way. Raises EndpointFailed for one that is no address."""
    chosen = next((name for name in _FOR[scheme] if name in said and said[name].value.strip()), "")
    if not chosen or is_excepted(host, port, said):
        return None if chosen else _of_the_system(scheme, host)
    proxy = parse(chosen, said[chosen])
    # What may travel in clear is meant for this machine, and would pass by others on the way to such a proxy.
    return None if scheme == "http" and is_loopback(host) and not is_loopback(proxy.host) else proxy


def parse(variable: str, said: Said) -> Proxy:
    """Return the proxy that a variable names, as people write it. Raises EndpointFailed for what is none."""
    written, rest = _split(said.value.strip())
    scheme = _MEANT.get(written, written) or "http"
    # A password is often written as it is, with whatever characters it has.
    login, _at, place = rest.rpartition("@")
    found = re.fullmatch(rf"(\[[0-9a-fA-F:.%\w]+\]|{_HOST})(?::([0-9]{{1,5}}))?(?:[/?#].*)?", place)
    port = int(found[2] or _PORTS.get(scheme, 0)) if found else 0
    if found is None or scheme not in _PORTS or not 0 < port < 65536 or not is_host(found[1].strip("[]")):
        harmless = Said(masked(said.value), said.path)
        raise EndpointFailed(
            _("{setting} is no address of a proxy", setting=shown(variable, harmless)),
            mend(variable, said.path, to=f"{scheme if scheme in _PORTS else 'http'}://HOST:PORT"),
        )
    user, _colon, password = login.partition(":")
    return Proxy(variable, said.path, scheme, found[1].strip("[]"), port, unquote(user), unquote(password))


def is_host(name: str) -> bool:
    """Tell whether something can be the name or number of a machine at all."""
    if ":" in name:
        return _number(name.partition("%")[0]) is not None
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False


def is_loopback(host: str) -> bool:
    """Tell whether an address is this machine itself."""
    number = _number(host)
    return number.is_loopback if number else host.lower().rstrip(".") == "localhost"


def is_excepted(host: str, port: int, said: Mapping[str, Said]) -> bool:
    """Tell whether NO_PROXY names the address, in any of the ways in which people write it.

    Both spellings count together, as for Claude Code.
    """
    host = host.lower().strip("[]").rstrip(".")
    written = " ".join(said[name].value for name in ("no_proxy", "NO_PROXY") if name in said)
    return any(_excepts(entry, host, port) for entry in re.split(r"[,;\s]", written.lower()) if entry)


def _excepts(entry: str, host: str, port: int) -> bool:
    entry = entry.strip("\"'").rpartition("://")[2]
    number = _number(host)
    if entry == "<local>":
        return "." not in host and number is None
    ported = re.fullmatch(r"(\[[^\]]*\]|[^:]*):([0-9]{1,5}|\*)/?", entry)
    if ported:
        if ported[2] not in ("*", str(port)):
            return False
        entry = ported[1]
    entry = entry.strip("[]")
    if number is not None:
        try:
            network = ipaddress.ip_network(entry.replace("]/", "/"), strict=False)
            return network.version == number.version and number in network
        except ValueError:
            return "*" in entry and fnmatchcase(host, entry)
    entry = entry.strip("/").rstrip(".")
    entry = entry[1:] if entry.startswith("*.") else entry
    if "*" in entry:
        return fnmatchcase(host, entry)
    return bool(entry.strip(".")) and (host == entry.strip(".") or host.endswith("." + entry.strip(".")))


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return None
    return number.ipv4_mapped or number if isinstance(number, ipaddress.IPv6Address) else number


def _split(value: str) -> tuple[str, str]:
    """Return scheme, "" for none, and what follows it."""
    found = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*)://", value)
    return (found[1].lower(), value[found.end() :]) if found else ("", value)


def masked(value: str) -> str:
    """Return an address as it was written, without what may be a password in it; what it asks for (`?…`) may be one."""
    value = value.strip()
    _scheme, rest = _split(value.lstrip("\"'"))
    # Who encodes a password often encodes all of it, with what stands before and behind it.
    parts = re.split("@|%40", rest)
    place = parts[-1]
    begin = value[: len(value) - len(rest)] + ("***@" if len(parts) > 1 else "")
    name, colon, port = re.sub("(?i)%3a", ":", place).partition(":")
    is_port = re.fullmatch(r"[0-9]*[\"'\s]*(?:[/?].*)?", port) or _is_number_and_port(place)
    if len(parts) == 1 and colon and not is_port:
        # `name:password` whose end is missing.
        place = f"{name}:***"
    if "?" in rest:
        # Before the last `@` it is part of a password, or the `@` of what is asked for.
        place = place.partition("?")[0] + "?***" if len(parts) == 1 else "***" if "?" in parts[-2] else place
    return begin + place


def _is_number_and_port(place: str) -> bool:
    host = place.partition("/")[0].rstrip("\"' ").lstrip("[").partition("]")[0]
    return _number(host) is not None


def _of_the_system(scheme: str, host: str) -> Proxy | None:
    """Return what macOS itself is told, which counts where no variable says anything."""
    if sys.platform != "darwin":
        return None
    # Here alone it asks the system and not the environment.
    import urllib.request

    address = urllib.request.getproxies_macosx_sysconf().get(scheme)
    if not address or urllib.request.proxy_bypass_macosx_sysconf(host):
        return None
    return parse(_("the proxy of the system"), Said(address))
