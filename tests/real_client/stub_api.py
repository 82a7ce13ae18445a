"""Owns the stand-in for every Anthropic address: a proxy that ends TLS itself, answers, and writes down who asked.

It is run as a program inside the network namespace, `stub_api.py FOLDER`, until its standard input ends. In FOLDER it
writes `ca.pem`, `requests.jsonl` (one request a line) and at last `ready` (its port); it reads `rules.json`, which
tests replace: `refused` (a part of a credential: 401), `ended` (a part of a refresh token: invalid_grant),
`lifetime` (seconds of a refreshed token), `held` (a path: answers to prompts wait until it exists).
"""

from __future__ import annotations

import datetime
import fcntl
import ipaddress
import json
import os
import re
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Json = dict[str, Any]
KEPT_HEADERS = ("cookie", "proxy-authorization", "user-agent")
HELD_SECONDS = 30
UUID = "00000000-0000-4000-8000-00000000000"


class Authority:
    """A certificate authority of its own, and a certificate from it for every host that is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests of claude-accounts")])
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))
        (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def context(self, host: str) -> ssl.SSLContext:
        """Return what a server named `host` needs to speak TLS."""
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._made(host)
            return self._contexts[host]

    def _made(self, host: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            names: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            names = x509.DNSName(host)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
        certificate = self._sign(subject, key, x509.SubjectAlternativeName([names]))
        path = self._folder / f"server-{len(self._contexts)}.pem"
        plain = serialization.NoEncryption()
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        path.write_bytes(key.private_bytes(pem, pkcs8, plain) + certificate.public_bytes(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).add_extension(extension, critical=False)
        builder = builder.not_valid_before(now - datetime.timedelta(days=1))
        return builder.not_valid_after(now + datetime.timedelta(days=2)).sign(self._key, hashes.SHA256())


class Record:
    """The file of requests, the rules, and which refresh tokens are spent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._spent: set[str] = set()
        self._test = ""
        self._serial = 0

    def add(self, entry: Json) -> None:
        """Append one request; the line is whole or not there."""
        with self._lock, open(self._folder / "requests.jsonl", "a") as file:
            file.write(json.dumps(entry) + "\n")

    def rules(self) -> Json:
        """Return what the test of the moment wants."""
        try:
            rules: Json = json.loads((self._folder / "rules.json").read_text())
        except FileNotFoundError:
            return {}
        return rules

    def exchange(self, body: Json) -> tuple[int, Json]:
        """Spend a refresh token, once; its family is the part before the last dash."""
        token = str(body.get("refresh_token", ""))
        rules = self.rules()
        test = (self._folder / "test").read_text()
        with self._lock:
            if test != self._test:
                # Every test begins with the same made-up tokens.
                self._test, self._spent = test, set()
            ended = token in self._spent or any(part in token for part in rules.get("ended", []))
            if ended or not token.startswith("sk-ant-ort01-"):
                return 400, {"error": "invalid_grant", "error_description": "Refresh token not found or invalid"}
            self._spent.add(token)
            self._serial += 1
            family = token.removeprefix("sk-ant-ort01-").rpartition("-")[0]
            return 200, {
                "access_token": f"sk-ant-oat01-{family}-{self._serial}",
                "refresh_token": f"sk-ant-ort01-{family}-{self._serial}",
                "expires_in": rules.get("lifetime", 28800),
                "token_type": "Bearer",
                "scope": str(body.get("scope") or "user:inference user:profile"),
            }


class Handler(BaseHTTPRequestHandler):
    """One connection: plain, or a tunnel whose TLS ends here."""

    protocol_version = "HTTP/1.1"
    authority: Authority
    record: Record
    tunnel = ""

    def do_CONNECT(self) -> None:
        """Become the server that the client asked for."""
        host = self.path.rpartition(":")[0]
        entry = {"method": "CONNECT", "host": self.path, "path": "", "tls": False, "direct": False, "marks": []}
        self.record.add(entry | {"prompt": False, "body": "", **self._credentials()})
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.tunnel = self.path
        try:
            self.connection = self.authority.context(host).wrap_socket(self.connection, server_side=True)
        except (ssl.SSLError, OSError):
            self.close_connection = True
            return
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_GET(self) -> None:
        """Answer what is asked without a body."""
        self._take(b"")

    def do_HEAD(self) -> None:
        """Answer the client's looks at whether a host is there."""
        self._take(b"")

    def do_POST(self) -> None:
        """Answer prompts, refreshes and everything else that is sent."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return self._take(b"".join(parts))
        self._take(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    do_PUT = do_PATCH = do_DELETE = do_POST

    def _credentials(self) -> Json:
        """Return the headers that say, or could say, who asks: what is named so, and what looks like a token."""
        telling = re.compile(r"auth|key|token|secret|credential|jwt|session-ingress", re.IGNORECASE)
        kept = {name.lower(): value for name, value in self.headers.items()}
        return {
            "x_api_key": kept.get("x-api-key"),
            "authorization": kept.get("authorization"),
            "headers": {
                name: value
                for name, value in kept.items()
                if name in KEPT_HEADERS or telling.search(name) or "sk-ant" in value or "rival" in value
            },
        }

    def _take(self, raw: bytes) -> None:
        absolute = re.match(r"(https?)://([^/]+)(/.*)", self.path)
        host = self.tunnel or (absolute[2] if absolute else self.headers.get("Host", ""))
        path = (absolute[3] if absolute else self.path).partition("?")[0]
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            body = {}
        kept = raw.decode("utf-8", "replace") if "oauth" in path or "token" in path else ""
        entry = {"method": self.command, "host": host, "path": path, "tls": bool(self.tunnel), "body": kept}
        entry["direct"] = not (self.tunnel or absolute)
        entry["prompt"] = path.endswith("/messages") or "awPredict" in path or "/invoke" in path
        entry["marks"] = sorted({mark.decode() for mark in re.findall(rb"mark-[a-z0-9]+", raw)})
        self.record.add(entry | self._credentials())
        self._answer(path, body if isinstance(body, dict) else {})

    def _answer(self, path: str, body: Json) -> None:
        rules = self.record.rules()
        text = f"{self.headers.get('x-api-key')} {self.headers.get('authorization')}"
        if path.endswith("/oauth/token"):
            is_federation = "assertion" in body or "jwt" in str(body.get("grant_type", ""))
            self._send(*(self._federation(body) if is_federation else self.record.exchange(body)))
        elif "/oauth/token" in path or path.endswith(("/hello", "/revoke")):
            self._send(200, {})
        elif any(part in text for part in rules.get("refused", [])):
            error = {"type": "authentication_error", "message": "invalid credential"}
            self._send(401, {"type": "error", "error": error, "request_id": "req_1"})
        elif path.endswith("/messages/count_tokens"):
            self._send(200, {"input_tokens": 1})
        elif path.endswith("/messages") or ":streamRawPredict" in path or ":rawPredict" in path:
            self._message(body, rules)
        elif path.endswith("/api/oauth/profile"):
            account = {"uuid": UUID + "1", "email": "one@example.com", "display_name": "One", "full_name": "One"}
            organization = {"uuid": UUID + "2", "name": "One", "organization_type": "claude_max"}
            tier = {"rate_limit_tier": "default_claude_max_5x"}
            self._send(200, {"account": account, "organization": organization | tier})
        elif path.endswith("/v1/models"):
            self._send(200, {"data": [], "has_more": False})
        else:
            self._send(404, {"type": "error", "error": {"type": "not_found_error", "message": "not here"}})

    def _federation(self, body: Json) -> tuple[int, Json]:
        """Change an identity token for an access token that carries its mark."""
        token = str(body.get("assertion", "")) or "none"
        return 200, {"access_token": f"sk-ant-oat01-{token}", "expires_in": 3600, "token_type": "Bearer"}

    def _message(self, body: Json, rules: Json) -> None:
        held = rules.get("held")
        deadline = time.monotonic() + HELD_SECONDS
        while held and not os.path.exists(held) and time.monotonic() < deadline:
            # The server waits for its test; the test itself never does.
            time.sleep(0.02)
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body.get("model") or "claude"}
        usage = {"input_tokens": 1, "output_tokens": 1}
        if not body.get("stream"):
            content = [{"type": "text", "text": "hello"}]
            whole = {"content": content, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
            return self._send(200, message | whole)
        begun = message | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
        events: list[Json] = [
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]
        text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        self._send_bytes(200, "text/event-stream", text.encode())

    def _send(self, status: int, answer: Json) -> None:
        self._send_bytes(status, "application/json", json.dumps(answer).encode())

    def _send_bytes(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("request-id", "req_1")
        if status == 401:
            self.send_header("x-should-retry", "false")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        """Keep the tests' output to what tests say."""


class Server(ThreadingHTTPServer):
    """A server whose clients may vanish in the middle of an answer."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that is ended by its test is no error."""


def raise_loopback() -> None:
    """Bring `lo` up in this network namespace."""
    up, get, put = 0x1, 0x8913, 0x8914
    with socket.socket() as any_socket:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(any_socket, get, request))[1]
        fcntl.ioctl(any_socket, put, struct.pack("16sh22x", b"lo", flags | up))


def end_everybody_here() -> None:
    """End every process of this network namespace: background services outlive their tests, also a test run's end."""
    here = os.stat("/proc/self/ns/net").st_ino
    for entry in Path("/proc").glob("[0-9]*/ns/net"):
        pid = int(entry.parts[2])
        with suppress(OSError):
            if pid != os.getpid() and entry.stat().st_ino == here:
                os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Serve until whoever started us closes our standard input."""
    folder = Path(sys.argv[1])
    if os.stat("/proc/self/ns/net").st_ino == os.stat(f"/proc/{os.getppid()}/ns/net").st_ino:
        # What ends with us is everybody in it, so it has to be nobody else's.
        sys.exit("this is not a network namespace of its own")
    raise_loopback()
    Handler.authority, Handler.record = Authority(folder), Record(folder)
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (folder / "ready.new").write_text(str(server.server_address[1]))
    (folder / "ready.new").replace(folder / "ready")
    sys.stdin.read()
    end_everybody_here()


if __name__ == "__main__":
    main()
