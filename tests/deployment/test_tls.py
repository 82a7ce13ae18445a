"""HTTPS with a certificate that the server makes for itself, and the names under which it may be reached."""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import Cli, assert_fails_cleanly
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from running_dashboard import set_up
from test_server import Running, _other_address, running
from warm import DEADLINE

from claude_accounts.dashboard import addresses, self_signed


def _fingerprint(server: Running) -> str:
    found = re.search(r"SHA-256: ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})\n", server.output.read_text())
    assert found, server.output.read_text()
    return found[1]


def _shown_certificate(port: int) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=DEADLINE))


def test_own_certificate_is_made_once_and_its_fingerprint_is_told(tmp_path: Path, home: Path) -> None:
    """What the server prints is the SHA-256 of the certificate on the wire, today and at the next start."""
    seen = []
    for _start in range(2):
        with running(tmp_path, "--tls") as server:
            shown = _shown_certificate(server.port)
            seen.append(_fingerprint(server))
            assert seen[-1].replace(":", "").lower() == hashlib.sha256(shown).hexdigest()
    assert seen[0] == seen[1]
    for name in ("tls.pem", "tls-certificate.pem"):
        assert (home / ".claude-accounts" / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(shutil.which("curl") is None and os.environ.get("CI") != "true", reason="no curl here")
def test_curl_accepts_the_own_certificate_and_no_other(tmp_path: Path, home: Path) -> None:
    """With the certificate as the only trusted one; a server in the middle with another one is found out."""
    with running(tmp_path, "--tls", "--trusted-host", "claude.example.com") as server:
        trusted = home / ".claude-accounts" / "tls-certificate.pem"
        assert "PRIVATE" not in trusted.read_text()
        pin = _pin(x509.load_pem_x509_certificate(trusted.read_bytes()))

        def curl(host: str, pinned: str = pin) -> int:
            command = ["curl", "--silent", "--output", "/dev/null", "--fail", "--cacert", str(trusted)]
            command += ["--resolve", f"claude.example.com:{server.port}:127.0.0.1", "--pinnedpubkey", pinned]
            return subprocess.run([*command, f"https://{host}:{server.port}/healthz"], check=False).returncode

        assert [curl(host) for host in ("localhost", "127.0.0.1", "claude.example.com")] == [0, 0, 0]
        assert curl("localhost", "sha256//" + "A" * 43 + "=") == 90
        other = subprocess.run(
            ["curl", "--silent", f"https://localhost:{server.port}/healthz"], capture_output=True, check=False
        )
        assert other.returncode == 60


def _pin(certificate: x509.Certificate) -> str:
    """Return what curl's --pinnedpubkey takes."""
    der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()


def test_own_certificate_lives_on_until_a_name_is_missing_or_its_end_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    first = self_signed.ensure(["localhost", "127.0.0.1"])
    assert self_signed.ensure(["localhost"]) == first
    named = self_signed.ensure(["localhost", "claude.example.com"])
    assert named.fingerprint != first.fingerprint
    certificate = x509.load_pem_x509_certificate(Path(named.certificate_path).read_bytes())
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc < datetime.timedelta(days=825)
    monkeypatch.setattr(self_signed, "_RENEWED_BEFORE", self_signed._LIFETIME + datetime.timedelta(hours=1))
    assert self_signed.ensure(["localhost"]).fingerprint != named.fingerprint


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"])
def test_damaged_certificate_is_replaced(damage: bytes) -> None:
    pair = self_signed.ensure(["localhost"])
    Path(pair.path).write_bytes(damage)
    again = self_signed.ensure(["localhost"])
    assert again.fingerprint != pair.fingerprint
    assert self_signed.ensure(["localhost"]) == again


def test_certificate_with_the_key_of_another_is_replaced() -> None:
    pair = self_signed.ensure(["localhost"])
    certificate = Path(pair.certificate_path).read_bytes()
    os.unlink(pair.path)
    self_signed.ensure(["localhost"])
    key = Path(pair.path).read_bytes().partition(b"-----BEGIN CERTIFICATE-----")[0]
    Path(pair.path).write_bytes(key + certificate)
    assert self_signed.ensure(["localhost"]).fingerprint != pair.fingerprint


def test_servers_that_start_together_share_one_certificate() -> None:
    found: list[self_signed.Pair] = []
    threads = [threading.Thread(target=lambda: found.append(self_signed.ensure(["localhost"]))) for _one in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_running_server_shows_what_it_printed_after_the_file_has_changed(tmp_path: Path) -> None:
    with running(tmp_path, "--tls") as server:
        assert self_signed.ensure(["localhost", "another.example.com"]).fingerprint != _fingerprint(server)
        shown = hashlib.sha256(_shown_certificate(server.port)).hexdigest()
        assert shown == _fingerprint(server).replace(":", "").lower()


def test_files_that_are_no_certificate_stop_the_start(tmp_path: Path, cli: Cli) -> None:
    """And not every later connection."""
    pair = self_signed.ensure(["localhost"])
    (tmp_path / "key.pem").write_text("nonsense")
    finished = cli("serve", "--no-browser", "--port", "0", "--tls-cert", pair.path, "--tls-key", f"{tmp_path}/key.pem")
    assert_fails_cleanly(finished, "key.pem")


def test_own_certificate_ends_the_warning_about_plain_http(tmp_path: Path, home: Path) -> None:
    """NET-06: and it is good for the address under which others reach this machine."""
    with running(tmp_path, "--remote", "--tls") as server:
        text = server.output.read_text()
        assert "plain HTTP" not in text and f"https://localhost:{server.port}/" in text
    made = x509.load_pem_x509_certificate((home / ".claude-accounts" / "tls.pem").read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    named = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert named == {"127.0.0.1", "::1", *addresses.lasting()} >= {_other_address()} - {""}


def test_trusted_hosts_come_from_the_environment_too(tmp_path: Path) -> None:
    names = {"CLAUDE_ACCOUNTS_TRUSTED_HOSTS": "one.example.com, two.example.com"}
    with running(tmp_path, "--trusted-host", "three.example.com", env=names) as server:
        for name, status in (("one", 200), ("two", 200), ("three", 200), ("four", 403)):
            assert server.request("GET", "/healthz", headers={"Host": f"{name}.example.com"})[0] == status


@pytest.mark.parametrize(
    ("options", "names"),
    [((), "claude!example"), (("--tls", "--tls-cert", "/x", "--tls-key", "/y"), "")],
)
def test_contradictions_are_one_line_and_a_hint(cli: Cli, options: tuple[str, ...], names: str) -> None:
    finished = cli("serve", "--no-browser", "--port", "0", *options, env={"CLAUDE_ACCOUNTS_TRUSTED_HOSTS": names})
    assert_fails_cleanly(finished, "claude-accounts serve --t", code=None)


def test_container_leaves_the_hosts_shell_files_alone(home: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    """Its own start-up files are nobody's, and the machine's are out of reach."""
    (home / ".bashrc").write_text("# mine\n")
    monkeypatch.setenv("CLAUDE_ACCOUNTS_IN_CONTAINER", "1")
    answer = set_up().client.post("/api/install-aliases")
    assert answer.status_code == 409
    assert "container" in answer.get_json()["error"] and "start.sh install" in answer.get_json()["hint"]
    assert_fails_cleanly(cli("install"), "container")
    assert (home / ".bashrc").read_text() == "# mine\n"
    assert not (home / ".claude-accounts" / "aliases.sh").exists()


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_half_a_handshake_is_given_up(tmp_path: Path, sent: bytes) -> None:
    """DOS-02: whoever never finishes saying hello keeps no thread for ever, and nobody out."""
    with running(tmp_path, "--tls", how="warm:hasty_server") as server, ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE))
            for _one in range(40)
        ]
        for connection in slow:
            connection.sendall(sent)
        assert _shown_certificate(server.port)
        assert slow[0].recv(100) == b""
        assert "Traceback" not in server.output.read_text()


def test_half_sent_request_over_tls_is_given_up(tmp_path: Path) -> None:
    """DOS-02"""
    with (
        running(tmp_path, "--tls", how="warm:hasty_server") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as raw,
    ):
        context = ssl.create_default_context(cafile=self_signed.ensure(["localhost"]).certificate_path)
        with context.wrap_socket(raw, server_hostname="localhost") as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: local")
            assert slow.recv(100) == b""
        text = server.output.read_text()
        assert "Traceback" not in text, text
