"""Owns the certificate that `serve --tls` makes for itself: created once, kept in the data folder, renewed in time.

It knows neither the server that uses it nor who will trust it: whoever connects compares the printed fingerprint.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import ipaddress
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..system.access import read_plain_file
from ..system.folders import data_folder
from ..system.private_files import lock, make_private_folder, write_private_file

# Longer than about two years is refused by Apple's systems, even where the user trusts the certificate.
_LIFETIME = datetime.timedelta(days=397)
_LARGEST_FILE = 1024 * 1024
_RENEWED_BEFORE = datetime.timedelta(days=30)


class Pair(NamedTuple):
    """A certificate with its key in one file, the certificate alone for clients, its SHA-256 as browsers show it."""

    path: str
    certificate_path: str
    fingerprint: str


def ensure(names: Iterable[str]) -> Pair:
    """Return the certificate for these host names and addresses, made first when none fits. Raises StorageFailed.

    Several servers that start at once get the same one.
    """
    wanted = sorted(set(names))
    make_private_folder(data_folder())
    path, certificate_path = (os.path.join(data_folder(), name) for name in ("tls.pem", "tls-certificate.pem"))
    with _locked(data_folder()):
        certificate = _read(path)
        if certificate is None or _ends_soon(certificate) or not set(wanted) <= _names_of(certificate):
            certificate, key = _make(wanted)
            # In one file, so that no crash leaves a key beside another one's certificate.
            write_private_file(path, key + certificate.public_bytes(serialization.Encoding.PEM))
        public = certificate.public_bytes(serialization.Encoding.PEM)
        if _bytes_of(certificate_path) != public:
            write_private_file(certificate_path, public)
    return Pair(path, certificate_path, fingerprint(certificate.public_bytes(serialization.Encoding.DER)))


def fingerprint(der: bytes) -> str:
    """Return the SHA-256 of a certificate as browsers and openssl show it: AB:CD:…"""
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(der).digest())


def _read(path: str) -> x509.Certificate | None:
    """Return the certificate of a file that also holds its own key; None for anything else."""
    data = _bytes_of(path)
    try:
        certificate = x509.load_pem_x509_certificate(data)
        key = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError):
        return None
    return certificate if key.public_key() == certificate.public_key() else None


def _make(names: list[str]) -> tuple[x509.Certificate, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "claude-accounts")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # The clock of another machine may be behind.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return certificate, key.private_bytes(encoding, form, serialization.NoEncryption())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_of(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def _ends_soon(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc < datetime.datetime.now(datetime.timezone.utc) + _RENEWED_BEFORE


def _bytes_of(path: str) -> bytes:
    return read_plain_file(path, _LARGEST_FILE) or b""


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Hold the folder against every other process that makes a certificate; a killed holder's lock is gone."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        lock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
