"""Owns the question whose certificates are believed when we ask something of a server.

These are the usual ones (certifi's), those of the system as Claude Code believes them too, and those of every variable
by which people name their company's. Nothing here turns the check off.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping

import certifi

from ..messages import EndpointFailed, _
from ..system.access import open_plain_file
from .proxies import mend, shown
from .settings import Said

# Programs that know these refuse to go on without the file; Node and OpenSSL go on without theirs.
_STRICT = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_LENIENT = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR")
# Where systems keep theirs; a Python from elsewhere is not told.
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_LARGEST_BUNDLE = 16 * 1024 * 1024
_CERTIFICATE, _KEY, _PASSPHRASE = (
    "CLAUDE_CODE_CLIENT_CERT",
    "CLAUDE_CODE_CLIENT_KEY",
    "CLAUDE_CODE_CLIENT_KEY_PASSPHRASE",
)


class Trust:
    """The certificates that count, `lacking`: what is wrong with those that a variable names, and by whose name is a
    file of which only a part can be believed (`damaged`)."""

    def __init__(self, said: Mapping[str, Said]) -> None:
        self._said = {name: about for name, about in said.items() if about.value.strip()}
        self.lacking: list[tuple[str, str]] = []
        self.damaged: list[str] = []
        self.named = [name for name in (*_LENIENT, *_STRICT) if name in self._said]

    def context(self) -> ssl.SSLContext:
        """Return what checks a server's certificate. Raises EndpointFailed for a file that must be there and is not."""
        # Not the library's default: newer ones refuse certificates as companies make them, which Claude Code takes.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # What somebody names is believed, be it a link in the middle of a chain or the server's own.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        stores = self._said.get("CLAUDE_CODE_CERT_STORE", Said("bundled,system")).value.replace(" ", "").split(",")
        if "system" not in stores or "bundled" in stores:
            context.load_verify_locations(certifi.where())
        if "system" in stores:
            _load_system(context)
        for name in self.named:
            self._load(context, name)
        self._load_own(context)
        return context

    def hint(self) -> str:
        """Return what to do about a certificate that nobody vouches for."""
        if self.lacking:
            name, reason = self.lacking[0]
            return f"{shown(name, self._said[name])}: {reason}"
        if self.damaged:
            return self.damage(self.damaged[0])
        if self.named:
            name = self.named[0]
            return _("{setting} does not hold the certificate that signed it", setting=shown(name, self._said[name]))
        return _(
            "name the file (PEM) of the company or proxy that signs it: export NODE_EXTRA_CA_CERTS=/path/to/ca.pem"
        )

    def damage(self, name: str) -> str:
        """Return the sentence about a file of which only a part can be believed."""
        return _("{setting}: one of its certificates is damaged", setting=shown(name, self._said[name]))

    def _load(self, context: ssl.SSLContext, name: str) -> None:
        about = self._said[name]
        places = about.value.split(os.pathsep) if name == "SSL_CERT_DIR" else [about.value.strip()]
        for place in filter(None, places):
            try:
                # A folder is looked into when it is needed, without a word when it is not there.
                if os.path.isdir(place):
                    os.listdir(place)
                    context.load_verify_locations(capath=place)
                elif not _load_file(context, place):
                    self.damaged.append(name)
            except (OSError, ValueError) as error:
                reason = _reason(error)
                if name in _STRICT:
                    raise _unusable(name, about, reason) from error
                self.lacking.append((name, reason))

    def _load_own(self, context: ssl.SSLContext) -> None:
        """Load the certificate by which we show who we are, where somebody asks for one."""
        if _CERTIFICATE not in self._said:
            return
        certificate, key = self._said[_CERTIFICATE], self._said.get(_KEY)
        passphrase = self._said[_PASSPHRASE].value if _PASSPHRASE in self._said else ""
        for name, about in ((_CERTIFICATE, certificate), (_KEY, key)):
            if about is not None:
                try:
                    os.close(open_plain_file(about.value.strip()))
                except (OSError, ValueError) as error:
                    raise _unusable(name, about, _reason(error)) from error
        try:
            # Without a passphrase of ours OpenSSL would ask for one on the terminal.
            context.load_cert_chain(
                certificate.value.strip(), key.value.strip() if key else None, password=lambda: passphrase
            )
        except (OSError, ValueError) as error:
            raise _unusable(
                _CERTIFICATE, certificate, _("it is no certificate with its key (PEM), or the passphrase is another")
            ) from error


def _load_file(context: ssl.SSLContext, path: str) -> bool:
    """Load every certificate of a file, and tell whether all of them are whole. Raises what ssl does for none at all.

    OpenSSL takes nothing of a file that is glued together of two, indented, or damaged in one place, and no DER.
    """
    # OpenSSL would wait at a pipe for ever.
    os.close(open_plain_file(path))
    try:
        context.load_verify_locations(cafile=path)
        return True
    except ssl.SSLError:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_BUNDLE)
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "ascii", "replace")
        pieces: list[str | bytes] = list(re.findall(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----", text))
        loaded = sum(_is_loaded(context, piece) for piece in pieces or [data])
        if not loaded:
            raise
        return loaded >= len(pieces)


def _is_loaded(context: ssl.SSLContext, certificate: str | bytes) -> bool:
    if isinstance(certificate, str):
        certificate = "\n".join(line.strip() for line in certificate.splitlines()) + "\n"
    try:
        context.load_verify_locations(cadata=certificate)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _load_system(context: ssl.SSLContext) -> None:
    paths = ssl.get_default_verify_paths()
    if os.path.isdir(paths.openssl_capath):
        context.load_verify_locations(capath=paths.openssl_capath)
    for path in (paths.openssl_cafile, *_SYSTEM_FILES):
        try:
            context.load_verify_locations(cafile=path)
            return
        except OSError:
            # Not there, or nothing in it: the next one.
            continue


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    return _("there is no certificate in it (PEM)")


def _unusable(name: str, about: Said, reason: str) -> EndpointFailed:
    return EndpointFailed(
        _("{setting} cannot be used: {reason}", setting=shown(name, about), reason=reason), mend(name, about.path)
    )
