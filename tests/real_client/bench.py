"""Owns one test's world: a home, our accounts in it, a real client, rivals, and the claim about what may arrive.

Every secret of ours holds `mine`, every other one holds `rival`; that is how the claim tells them apart.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any, TypeVar

from client_namespace import ClientNamespace, Request, end_group, end_processes_of, popen
from client_terminal import ClientTerminal
from real_clients import PROJECT, binary

KEY, TOKEN, INJECTED, DURABLE = "key", "token", "injected", "durable"
KINDS = (KEY, TOKEN, INJECTED, DURABLE)
# What a request of ours may be addressed to, whatever the settings say.
OWN_HOSTS = (
    "api.anthropic.com",
    "platform.claude.com",
    "console.anthropic.com",
    "claude.ai",
    "mcp-proxy.anthropic.com",
)
SESSION_SECONDS = 60
SCOPES = ["user:inference", "user:profile", "user:sessions:claude_code", "user:mcp_servers"]
# Fewer requests that are nobody's subject, and no second and third try of what is refused.
QUIET = {
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_MAX_RETRIES": "1",
}
RIVAL_LOGIN = {
    "accessToken": "sk-ant-oat01-rival-store-0",
    "refreshToken": "sk-ant-ort01-rival-store-0",
    "expiresAt": 4102444800000,
    "scopes": SCOPES,
    "subscriptionType": "max",
}
Finished = subprocess.CompletedProcess[str]
MakeBench = Callable[[str], "Bench"]
Found = TypeVar("Found")


class Session:
    """A `-p` session that takes one prompt after another."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: Queue[str] = Queue()
        self._errors: list[str] = []
        takers = ((process.stdout, self._lines.put), (process.stderr, self._errors.append))
        self._readers = [threading.Thread(target=self._read, args=taker, daemon=True) for taker in takers]
        for reader in self._readers:
            reader.start()

    def end(self) -> None:
        """End the session and all of its group."""
        end_group(self.process)
        for reader in self._readers:
            reader.join(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with suppress(BrokenPipeError):
                if stream:
                    stream.close()

    @staticmethod
    def _read(stream: Any, take: Callable[[str], object]) -> None:
        for line in stream:
            take(line)
        take("")

    def turn(self, prompt: str) -> str:
        """Send a prompt and return the answer; a session that ended answers with what it said on stderr."""
        message = {"type": "user", "message": {"role": "user", "content": prompt}}
        try:
            assert self.process.stdin
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return f"ended: {self.errors()}"
        deadline = time.monotonic() + SESSION_SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                raise AssertionError(f"no answer to {prompt!r}: {self.errors()}") from None
            if not line:
                return f"ended: {self.errors()}"
            said = json.loads(line)
            if said.get("type") == "result":
                return str(said.get("result"))

    def errors(self) -> str:
        """Return what was said on stderr so far."""
        return "".join(self._errors)


class Bench:
    """One home with one real client."""

    def __init__(self, home: Path, namespace: ClientNamespace, version: str) -> None:
        self.home, self.namespace, self.version = home, namespace, version
        self.folder = home / "work"
        self.runtime = home / "run"
        for folder in (self.folder / ".claude", home / ".claude", self.runtime):
            folder.mkdir(parents=True)
        self.runtime.chmod(0o700)
        self.env = self._environment()
        self._changes = 0
        self._told = self.runtime / "told"
        namespace.forget()

    def _environment(self) -> dict[str, str]:
        program = binary(self.version)
        return QUIET | self.namespace.environment() | {
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "USER": os.environ.get("USER", "root"),
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(self.runtime),
            "CLAUDE_ACCOUNTS_HOME": str(self.home / ".claude-accounts"),
            "CLAUDE_CODE_TMPDIR": str(self.runtime),
        }  # fmt: skip

    # Programs.

    def run(self, command: list[str], stdin: str | None = None, env: dict[str, str] | None = None) -> Finished:
        """Run a program in the namespace and in the project's folder; it and its group are ended at the deadline."""
        pipe = subprocess.PIPE
        source = subprocess.DEVNULL if stdin is None else pipe
        argv = self.namespace.argv(command)
        process = popen(argv, self.env | (env or {}), self.folder, stdin=source, stdout=pipe, stderr=pipe)
        try:
            out, err = process.communicate(stdin, timeout=SESSION_SECONDS)
        except subprocess.TimeoutExpired:
            end_group(process)
            out, err = process.communicate()
            raise AssertionError(f"no end of {command[-3:]}: {out[-500:]} {err[-500:]}; {self.seen()}") from None
        return Finished(command, process.returncode, out, err)

    def cli(self, *arguments: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Finished:
        """Run one of our commands."""
        return self.run([sys.executable, str(PROJECT / "cli.py"), *arguments], stdin, env)

    def claude(self, *arguments: str, env: dict[str, str] | None = None) -> Finished:
        """Run the client without us."""
        return self.run(["claude", *arguments], env=env)

    def launch(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> Finished:
        """Launch an account; what stands behind belongs to the client."""
        return self.cli("launch", name, *arguments, env=env)

    @contextmanager
    def session(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> Iterator[Session]:
        """Launch an account for several prompts."""
        self.settings(self._telling_hook())
        stream = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose", *arguments]
        argv = self.namespace.argv([sys.executable, str(PROJECT / "cli.py"), "launch", name, *stream])
        pipe = subprocess.PIPE
        process = popen(argv, self.env | (env or {}), self.folder, stdin=pipe, stdout=pipe, stderr=pipe)
        begun = Session(process)
        try:
            yield begun
        finally:
            begun.end()

    @contextmanager
    def on_terminal(self, name: str, env: dict[str, str] | None = None) -> Iterator[ClientTerminal]:
        """Launch an account interactively."""
        argv = self.namespace.argv([sys.executable, str(PROJECT / "cli.py"), "launch", name])
        terminal = ClientTerminal(argv, self.env | (env or {}), self.folder)
        try:
            yield terminal
        finally:
            terminal.end()

    def close(self) -> None:
        """End what outlived the test."""
        end_processes_of(self.home)

    # Accounts.

    def add(self, kind: str, *, met: bool = True) -> str:
        """Add an account of ours of this kind and return its name, which is the kind.

        With `met` we have seen this client before: what we ask it only once is asked before a rival stands there.
        """
        if kind == KEY:
            self._must("add", kind, "--key", "-", stdin=key(kind))
        elif kind == TOKEN:
            self._must("add", kind, "--oauth", "--token", "-", stdin=f"sk-ant-oat01-mine-{kind}-0")
        else:
            login = {"access_token": f"sk-ant-oat01-mine-{kind}-0", "refresh_token": f"sk-ant-ort01-mine-{kind}-0"}
            ends = int((time.time() + 20 * 3600) * 1000)
            entry = login | {"name": kind, "auth_type": "oauth", "expires_at": ends, "scopes": " ".join(SCOPES)}
            self._must("import", "-", stdin=json.dumps([entry]))
            if kind == DURABLE:
                self._must("update", kind, "--durable")
        if met:
            self._must("launch", kind, "--version")
            self.namespace.forget()
        return kind

    def _must(self, *arguments: str, stdin: str | None = None) -> None:
        finished = self.cli(*arguments, stdin=stdin)
        assert finished.returncode == 0, finished.stderr

    # What stands in the files of the user.

    def settings(self, content: dict[str, Any], *, project: bool = False) -> None:
        """Replace the user's settings, or the project's own of this machine."""
        path = self.folder / ".claude" / "settings.local.json" if project else self.home / ".claude" / "settings.json"
        path.write_text(json.dumps(content))

    def settings_during(self, session: Session, content: dict[str, Any], *, project: bool = False) -> None:
        """Replace settings while a session runs, and send prompts until they count; one more prompt follows.

        The client looks at its files with a delay. A variable in the same `env` tells when it has: a hook, there from
        the beginning, writes down what it sees of it.
        """
        self._changes += 1
        told = f"{self._changes}"
        env = {**content.get("env", {}), "TOLD_BY_TEST": told}
        self.settings({**content, "env": env} | ({} if project else self._telling_hook()), project=project)
        deadline = time.monotonic() + 30
        while not self._told.exists() or self._told.read_text().strip() != told:
            assert time.monotonic() < deadline, f"the client never read the settings again: {session.errors()}"
            session.turn("look again")
            select.select([], [], [], 0.3)
        session.turn("and now")

    def _telling_hook(self) -> dict[str, Any]:
        command = f"echo \"$TOLD_BY_TEST\" >'{self._told}'"
        return {"hooks": {"UserPromptSubmit": [{"hooks": [{"type": "command", "command": command}]}]}}

    def configuration(self, **content: object) -> None:
        """Write `~/.claude.json` of somebody who has used the client in this folder."""
        trusted = {"projects": {str(self.folder): {"hasTrustDialogAccepted": True}}}
        onboarded = {"hasCompletedOnboarding": True, "theme": "dark", "bypassPermissionsModeAccepted": True}
        (self.home / ".claude.json").write_text(json.dumps(onboarded | trusted | content))

    def rival_login(self) -> None:
        """Put somebody else's login into the shared store."""
        path = self.home / ".claude" / ".credentials.json"
        path.write_text(json.dumps({"claudeAiOauth": RIVAL_LOGIN}))
        path.chmod(0o600)

    def profile(self, kind: str) -> None:
        """Put somebody else's Anthropic profile where the client looks, `user_oauth` or `oidc_federation`."""
        folder = self.home / ".config" / "anthropic"
        (folder / "configs").mkdir(parents=True)
        (folder / "credentials").mkdir(mode=0o700)
        identity = folder / "identity-token"
        identity.write_text("rival-identity")
        authentication: dict[str, Any] = {"type": kind, "client_id": "00000000-0000-4000-8000-0000000000aa"}
        if kind == "oidc_federation":
            authentication = {"type": kind, "federation_rule_id": "fdrl_rival"}
            authentication["identity_token"] = {"source": "file", "path": str(identity)}
        who = {"organization_id": "00000000-0000-4000-8000-0000000000bb", "base_url": "https://api.anthropic.com"}
        (folder / "configs" / "default.json").write_text(json.dumps({"authentication": authentication, **who}))
        token = {"type": "oauth_token", "access_token": "sk-ant-oat01-rival-profile-0", "expires_at": 4102444800}
        token |= {"refresh_token": "sk-ant-ort01-rival-profile-0", "scope": " ".join(SCOPES)}
        if kind == "user_oauth":
            (folder / "credentials" / "default.json").write_text(json.dumps(token))
            (folder / "credentials" / "default.json").chmod(0o600)

    # The claim.

    def requests(self) -> list[Request]:
        """Return what arrived since the test began."""
        return self.namespace.requests()

    def seen(self) -> str:
        """Return in one line who asked whom for what."""
        return "; ".join(sorted({_told(request) for request in self.requests() if request["method"] != "CONNECT"}))

    def prompts(self, mark: str = "") -> list[Request]:
        """Return the requests that carry a prompt (with `mark` in it)."""
        return [
            request
            for request in self.requests()
            if request["method"] == "POST" and request["prompt"] and (not mark or mark in request["marks"])
        ]

    def wait_for_prompt(self, mark: str, why: Callable[[], str] = str) -> list[Request]:
        """Return the requests with this mark, as soon as there is one."""
        return wait_for(lambda: self.prompts(mark), lambda: f"no request with {mark}: {self.seen()} {why()}")

    def assert_ours(self, name: str, least: int = 1, said: str = "") -> None:
        """Claim that the account's prompts arrived, and that no request held any other credential or went elsewhere."""
        strangers = [request for request in self.requests() if not is_ours(request, name)]
        assert not strangers, f"not {name}: " + "; ".join(sorted({_told(request) for request in strangers}))
        own = [request for request in self.prompts() if _credential(request)]
        assert len(own) >= least, f"{len(own)} of {least} prompts of {name} arrived: {self.seen()} {said}"

    def assert_ours_or_refused(self, finished: Finished, name: str) -> None:
        """Claim the same, or that we refused in so many words and nothing was sent."""
        if finished.returncode != 0 and "claude-accounts: error: " in finished.stderr:
            assert not self.prompts(), f"refused, and yet: {self.seen()}"
            return
        said = f"exit {finished.returncode}: {finished.stdout.strip()[-200:]} {finished.stderr.strip()[-300:]}"
        self.assert_ours(name, said=said)
        assert finished.returncode == 0, said


def key(kind: str) -> str:
    """Return our API key, as long as a real one."""
    return f"sk-ant-api03-mine-{kind}-" + "0" * 60


def last_twenty(secret: str) -> str:
    """Return what the client remembers of a key."""
    return secret[-20:]


def is_ours(request: Request, name: str) -> bool:
    """Tell whether a request carries nothing, or nothing but this account's credential to where that belongs."""
    texts = [request["x_api_key"], request["authorization"], *request["headers"].values(), request.get("body", "")]
    held = [text for text in texts if text]
    if any("rival" in text for text in held):
        return False
    credentials = [text for text in (request["x_api_key"], request["authorization"]) if text]
    carries = credentials or any("sk-ant-" in text for text in held)
    if carries and (request["direct"] or request["host"].rpartition(":")[0] not in OWN_HOSTS):
        return request["path"] == "/v1/oauth/token" and request["direct"] and f"mine-{name}-" in request["body"]
    return all(f"mine-{name}-" in text for text in credentials)


def wait_for(look: Callable[[], Found], why: Callable[[], str], seconds: float = 45) -> Found:
    """Return what `look` finds as soon as it finds something; fail after a deadline."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, why()
        select.select([], [], [], 0.03)
    return found


def _credential(request: Request) -> str:
    return request["x_api_key"] or request["authorization"] or ""


def _told(request: Request) -> str:
    headers = [f"{name}={value}" for name, value in request["headers"].items() if name not in ("user-agent",)]
    way = "" if request.get("tls") else " unencrypted"
    return f"{request['method']} {request['host']}{request['path']}{way} [{' '.join(headers)}]"
