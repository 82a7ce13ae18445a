"""start.sh: what it prepares here, what it asks of Docker, and one line with a hint for each thing that is missing."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from browser import CHROMIUM, browser, libraries_cache
from conftest import PROJECT, Finished, assert_fails_cleanly, write_program
from playwright.sync_api import Browser
from warm import DEADLINE

__all__ = ["browser", "libraries_cache"]
TOOLS = (
    "bash",
    "basename",
    "cat",
    "chmod",
    "cmp",
    "cp",
    "dirname",
    "env",
    "grep",
    "id",
    "mkdir",
    "mktemp",
    "mv",
    "readlink",
    "rm",
    "sh",
    "sed",
    "sleep",
    "tail",
    "tee",
    "uname",
)
# Writes down what it is asked, and fails where a test wants it to.
FAKE_DOCKER = r"""#!/bin/sh
echo "$*" >> "$DOCKER_LOG"
while [ "$1" = compose ] || [ "$1" = --project-directory ]; do
    [ "$1" = compose ] && shift || shift 2
done
case $1 in
version)
    case " $BROKEN " in *" engine "*) echo "Cannot connect to the Docker daemon" >&2; exit 1;; esac
    case "$# $BROKEN " in "1 compose ") echo "docker: 'compose' is not a docker command." >&2; exit 1;; esac
    echo 28.2.2 ;;
build)
    env | grep ^CLAUDE_ACCOUNTS_ >> "$DOCKER_LOG"
    case " $BROKEN " in *" build "*) echo "failed to resolve source metadata" >&2; exit 1;; esac ;;
up)
    case " $BROKEN " in
    *" port "*) echo "driver failed: Bind for 127.0.0.1:5111 failed: port is already allocated" >&2; exit 1 ;;
    *" up "*) echo "no space left on device" >&2; exit 1 ;;
    esac ;;
ps) echo 0123abcd ;;
inspect) case " $BROKEN " in *" server "*) echo restarting;; *) echo running;; esac ;;
logs) printf '  setup code: ABCD-EFGH-2345\n  setup code: WXYZ-WXYZ-6789\n' ;;
esac
"""
# A Python whose environments are fakes too: their python says what it would have run.
FAKE_PYTHON = r"""#!/bin/sh
[ "$1 $2 $3" = "-I -m venv" ] || exec REAL "$@"
echo venv >> "$PYTHON_LOG"
mkdir -p "$4/bin"
cat > "$4/bin/python" <<'END'
#!/bin/sh
[ "$1" = -Es ] || exit 9
case $2,$3 in
*/own_python.py,try) exec REAL -c "${TRY:-}" ;;
*/own_python.py,install) ;;
*) shift 2; echo "ran: $*"; exit ;;
esac
echo pip >> "$PYTHON_LOG"
echo "Collecting flask"
[ -z "${PIP_WAITS:-}" ] || { : > "$PIP_WAITS.begun"; while ! [ -e "$PIP_WAITS" ]; do sleep 0.05; done; }
[ -z "${PIP_SAYS:-}" ] || { echo "$PIP_SAYS"; exit 1; }
END
chmod +x "$4/bin/python"
"""


class Checkout(NamedTuple):
    """A copy of what start.sh needs, with fakes of Docker and Python, and what those were asked."""

    folder: Path
    tools: Path
    docker_log: Path
    python_log: Path

    def popen(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start start.sh with only the tools of this checkout on PATH."""
        fixed = {"PATH": str(self.tools), "DOCKER_LOG": str(self.docker_log), "PYTHON_LOG": str(self.python_log)}
        return subprocess.Popen(
            [str(self.folder / "start.sh"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8"} | fixed | environ,
            start_new_session=True,
        )

    def start(self, *arguments: str, **environ: str) -> Finished:
        """Run start.sh to its end."""
        process = self.popen(*arguments, **environ)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def asked_docker(self) -> list[str]:
        """Return what docker was asked so far, without the project's folder."""
        if not self.docker_log.exists():
            return []
        return self.docker_log.read_text().replace(f"--project-directory {self.folder} ", "").splitlines()

    def asked_python(self) -> list[str]:
        """Return the steps of a preparation that were taken so far."""
        return self.python_log.read_text().split() if self.python_log.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Return a checkout with everything but a virtual environment."""
    folder, tools = tmp_path / "check out", tmp_path / "tools"
    for made in (folder, tools):
        made.mkdir()
    for name in ("start.sh", "requirements.lock", "docker-compose.yml"):
        shutil.copy(PROJECT / name, folder)
    for name in TOOLS:
        found = shutil.which(name)
        assert found, name
        (tools / name).symlink_to(found)
    write_program(tools / "docker", FAKE_DOCKER)
    # The tests may run as root, whom the container refuses.
    (tools / "id").unlink()
    write_program(tools / "id", "#!/bin/sh\necho 1234\n")
    write_program(tools / "python3", FAKE_PYTHON.replace("REAL", sys.executable))
    return Checkout(folder, tools, tmp_path / "docker-log", tmp_path / "python-log")


class _Answers(http.server.BaseHTTPRequestHandler):
    setup_done = False

    def do_GET(self) -> None:
        """Answer as the dashboard would."""
        body = json.dumps({"status": "ok", "setup_done": type(self).setup_done}, separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve what a container would publish, and return its port."""
    monkeypatch.setattr(_Answers, "setup_done", False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield str(server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


def test_docker_is_asked_to_build_and_start_and_the_code_is_shown(
    checkout: Checkout, published: str, home: Path, tmp_path: Path
) -> None:
    """The container has the user's numbers, and what is mounted was made by the user, privately."""
    opened = tmp_path / "opened"
    write_program(
        checkout.tools / "fake-browser", f'#!/bin/sh\necho "$1" > "{opened}.new"\nmv "{opened}.new" "{opened}"\n'
    )
    finished = checkout.start(CLAUDE_ACCOUNTS_PORT=published, BROWSER="fake-browser")
    assert finished.returncode == 0, finished
    asked = checkout.asked_docker()
    assert [line for line in asked if line.startswith("compose ")][1:3] == ["compose build", "compose up --detach"]
    assert {"CLAUDE_ACCOUNTS_UID=1234", "CLAUDE_ACCOUNTS_GID=1234", f"CLAUDE_ACCOUNTS_PORT={published}"} <= set(asked)
    assert f"http://localhost:{published}/" in finished.stderr
    assert "WXYZ-WXYZ-6789" in finished.stderr and "ABCD-EFGH" not in finished.stderr
    for name, mode in ((".claude-accounts", 0o700), (".claude", 0o700), (".claude.json", 0o600)):
        assert (home / name).stat().st_mode & 0o777 == mode
    assert (home / ".claude.json").read_text() == "{}\n"
    _wait_for(opened)
    assert opened.read_text() == f"http://localhost:{published}/\n"
    assert checkout.asked_python() == []


def test_setup_code_is_not_shown_once_there_is_a_password(
    checkout: Checkout, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Answers, "setup_done", True)
    finished = checkout.start("--docker", "--no-browser", "--port", published)
    assert finished.returncode == 0, finished
    assert "WXYZ" not in finished.stderr and f"localhost:{published}/" in finished.stderr


def test_what_is_mounted_is_left_as_it_is(checkout: Checkout, published: str, home: Path) -> None:
    (home / ".claude.json").write_text('{"mine": true}')
    assert checkout.start("--docker", "--no-browser", f"--port={published}").returncode == 0
    assert (home / ".claude.json").read_text() == '{"mine": true}'


@pytest.mark.parametrize(
    ("broken", "arguments", "words"),
    [
        ("engine", (), ("engine does not answer", "--local")),
        ("compose", (), ("compose plugin", "--local")),
        ("build", (), ("could not be built", "--local")),
        ("port", ("--port", "6000"), ("port 6000 is in use", "--port 6001")),
        ("up", (), ("could not be started", "above")),
        ("server", ("--port", "1"), ("has ended", "above")),
        ("", ("--port", "x"), ("a port is a number", "--port 5111")),
        ("", ("--remote",), ("--remote is not an option", "docs/deployment.md")),
    ],
)
def test_what_docker_lacks_is_one_line_and_a_hint(
    checkout: Checkout, broken: str, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    finished = checkout.start("--docker", *arguments, BROKEN=broken)
    assert_fails_cleanly(finished, *words)
    told = [line for line in finished.stderr.splitlines() if re.match("claude-accounts: (error|hint): ", line)]
    assert len(told) == 2
    assert checkout.asked_python() == []


def test_no_docker_and_a_root_user_are_told_too(checkout: Checkout) -> None:
    write_program(checkout.tools / "id", "#!/bin/sh\necho 0\n")
    assert_fails_cleanly(checkout.start("--docker"), "root", "--local")
    (checkout.tools / "docker").unlink()
    assert_fails_cleanly(checkout.start("--docker"), "docker is not installed", "--local")


def test_folder_in_place_of_a_file_is_not_mounted(checkout: Checkout, home: Path) -> None:
    (home / ".claude.json").mkdir()
    assert_fails_cleanly(checkout.start("--docker"), ".claude.json is not a file", "move it away")
    assert not any("up" in line.split() for line in checkout.asked_docker())


def test_without_an_engine_it_serves_from_here_and_says_why(checkout: Checkout) -> None:
    finished = checkout.start(BROKEN="engine")
    assert finished.stdout == "ran: serve\n"
    assert "without Docker: the Docker engine does not answer" in finished.stderr
    (checkout.tools / "docker").unlink()
    finished = checkout.start("--port", "6000")
    assert (finished.stdout, finished.stderr) == ("ran: serve --port 6000\n", "")


@pytest.mark.parametrize(
    ("arguments", "ran"),
    [
        (("add", "my work"), "add my work"),
        (("launch", "work", "--docker"), "launch work --docker"),
        (("--local",), "serve"),
        (("--local", "--port", "6000"), "serve --port 6000"),
        (("--local", "list"), "list"),
        (("--remote",), "serve --remote"),
        (("--version",), "--version"),
        (("--help",), "--help"),
    ],
)
def test_commands_and_options_of_serve_never_ask_docker(
    checkout: Checkout, arguments: tuple[str, ...], ran: str
) -> None:
    assert checkout.start(*arguments).stdout == f"ran: {ran}\n"
    assert checkout.asked_docker() == []


def test_environment_is_prepared_once_and_again_when_the_requirements_change(checkout: Checkout) -> None:
    first = checkout.start("list")
    assert re.fullmatch(r"claude-accounts: preparing .*\nclaude-accounts: ready\n", first.stderr), "pip's own lines"
    assert checkout.asked_python() == ["venv", "pip"]
    again = checkout.start("list")
    assert (again.stdout, again.stderr) == ("ran: list\n", "")
    assert checkout.asked_python() == ["venv", "pip"]
    with (checkout.folder / "requirements.lock").open("a") as file:
        file.write("another-one\n")
    assert "preparing" in checkout.start("list").stderr
    assert checkout.asked_python() == ["venv", "pip"] * 2
    shutil.rmtree(checkout.folder / "venv" / "bin")
    assert checkout.start("list").stdout == "ran: list\n"
    assert checkout.asked_python() == ["venv", "pip"] * 3


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("WARNING: Retrying after connection broken by 'NewConnectionError'", ("cannot be reached", "the network")),
        ("ERROR: No matching distribution found for flask", ("could not be installed", "above")),
        ("ERROR: [Errno 28] No space left on device", ("could not be installed", "No space left")),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM", ("other files than requirements.lock", "which index")),
        ("ERROR: an OSError: Missing dependencies for SOCKS support.", ("speaks no SOCKS", "HTTPS_PROXY=http://")),
        ("ERROR: Failed to parse: http://me:S3cret/@x#@proxy:99999", ("could not be installed", "//***@proxy:99999")),
        ("ERROR: Failed to parse: http://me:S3cret", ("could not be installed", "//me:***")),
        ("ERROR: cannot ask https://S3cret@index.example:84/simple", ("could not", "//***@index.example:84/simple")),
        ("ERROR: cannot ask http://index.example:84/simple", ("could not", "http://index.example:84/simple")),
    ],
)
def test_failed_preparation_is_one_line_and_a_hint_and_is_tried_again(
    checkout: Checkout, said: str, words: tuple[str, ...]
) -> None:
    finished = checkout.start("list", PIP_SAYS=said)
    assert_fails_cleanly(finished, *words)
    assert finished.stdout == "" and "S3cret" not in finished.stderr
    assert checkout.start("list").stdout == "ran: list\n"


def test_a_folder_for_temporary_files_that_is_gone_stops_nothing(checkout: Checkout, tmp_path: Path) -> None:
    finished = checkout.start("list", TMPDIR=str(tmp_path / "gone"))
    assert finished.stdout == "ran: list\n" and "mktemp" not in finished.stderr, finished


def test_what_cannot_be_imported_is_not_called_ready(checkout: Checkout) -> None:
    finished = checkout.start("list", TRY="import nothing_of_that_name")
    assert_fails_cleanly(finished, "No module named 'nothing_of_that_name'", "cannot be used", "PYTHON=")
    assert "ready" not in finished.stderr and "Traceback" not in finished.stderr and finished.stdout == ""
    assert checkout.start("list").stdout == "ran: list\n"


def test_another_python_gets_another_environment(checkout: Checkout) -> None:
    """An upgrade of the system leaves the link in the environment, and nothing that the new Python would look at."""
    assert checkout.start("list").returncode == 0
    python, newer = checkout.folder / "venv" / "bin" / "python", checkout.tools / "python3.99"
    shutil.move(python, newer)
    python.symlink_to(newer)
    (checkout.folder / "venv" / "old").touch()
    assert "preparing" in checkout.start("list").stderr
    assert not (checkout.folder / "venv" / "old").exists()
    assert checkout.start("list").stderr == ""


@pytest.mark.parametrize("way", ["absolute", "relative", "link to a link", "by another shell", "with CDPATH"])
def test_it_is_called_through_links_and_writes_nothing_beside_them(
    checkout: Checkout, tmp_path: Path, way: str
) -> None:
    places = tmp_path / "my bin", tmp_path / "elsewhere"
    for place in places:
        place.mkdir()
    link = places[0] / "claude-accounts"
    started = [str(link), "list"]
    if way == "absolute":
        link.symlink_to(checkout.folder / "start.sh")
    elif way == "link to a link":
        (places[1] / "second").symlink_to(os.path.join("..", checkout.folder.name, "start.sh"))
        link.symlink_to(os.path.join("..", "elsewhere", "second"))
    else:
        link.symlink_to(os.path.join("..", checkout.folder.name, "start.sh"))
    if way == "by another shell":
        started = [str(checkout.tools / "sh"), link.name, "list"]
    environ = {"PATH": str(checkout.tools), "PYTHON_LOG": str(checkout.python_log), "HOME": str(tmp_path)}
    if way == "with CDPATH":
        started, environ["CDPATH"] = [os.path.join("my bin", link.name), "list"], str(places[1])
    finished = subprocess.run(
        started,
        cwd=tmp_path if way == "with CDPATH" else places[0],
        env=environ,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert (finished.returncode, finished.stdout) == (0, "ran: list\n"), finished
    assert [path.name for place in places for path in place.iterdir() if not path.is_symlink()] == []


def test_starts_at_once_prepare_once(checkout: Checkout, tmp_path: Path) -> None:
    """The others wait for the first and then run."""
    gate = tmp_path / "gate"
    starts = [checkout.popen("list", PIP_WAITS=str(gate)) for _start in range(4)]
    _wait_for(Path(f"{gate}.begun"))
    gate.touch()
    said = [start.communicate(timeout=120) for start in starts]
    assert [out for out, _err in said] == ["ran: list\n"] * 4
    assert checkout.asked_python() == ["venv", "pip"]


def test_killed_preparation_blocks_nobody(checkout: Checkout, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    killed = checkout.popen("list", PIP_WAITS=str(gate))
    _wait_for(Path(f"{gate}.begun"))
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)
    assert checkout.start("list").stdout == "ran: list\n"


def test_no_python_is_one_line_and_a_hint(checkout: Checkout) -> None:
    (checkout.tools / "python3").unlink()
    assert_fails_cleanly(checkout.start("list"), "Python 3.10 or newer is missing", "install it")
    write_program(checkout.tools / "python3", "#!/bin/sh\nexit 1\n")
    assert_fails_cleanly(checkout.start("list"), "Python 3.10 or newer is missing")


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def fresh_checkout(folder: Path) -> Path:
    """Copy the project's own files, as a clone would have them."""
    listed = subprocess.run(
        ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    return folder


def _served(folder: Path, browser: Browser, environ: dict[str, str]) -> str:
    """Run `start.sh --local`, look at its page and return what it said."""
    process = subprocess.Popen(
        [str(folder / "start.sh"), "--local", "--no-browser", "--port", "0"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environ,
        start_new_session=True,
    )
    assert process.stderr
    said = ""
    try:
        for line in process.stderr:
            said += line
            found = re.search(r"http://localhost:\d+/", line)
            if found:
                context = browser.new_context(locale="en-GB")
                page = context.new_page()
                page.goto(found[0])
                page.get_by_label("Password", exact=False).first.wait_for()
                context.close()
                break
        else:
            raise AssertionError(said)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    return said


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("fetched_once")
@pytest.mark.skipif(
    not os.path.exists(CHROMIUM) and os.environ.get("CI") != "true",
    reason="no Chromium here (set CHROMIUM to its path)",
)
def test_fresh_checkout_serves_its_page_and_does_so_again_at_once(
    tmp_path: Path, home: Path, browser: Browser, libraries_cache: str
) -> None:
    """In an empty home, first without a way to the package index, then with one."""
    folder = fresh_checkout(tmp_path / "fresh")
    assert not (folder / "venv").exists()
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
    offline = subprocess.run(
        [str(folder / "start.sh"), "--local"], capture_output=True, text=True, timeout=240, env=os.environ | nowhere
    )
    assert_fails_cleanly(offline, "the Python package index cannot be reached", "check the network")
    # What is meant for other installations of pip, and other programs of Python.
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text("[install]\nuser = true\ntarget = /nowhere/target\n")
    environ = {"PIP_USER": "1", "PIP_PREFIX": "/nowhere/prefix", "PIP_DRY_RUN": "1", "PYTHONHOME": "/nowhere"}
    environ |= {"XDG_CACHE_HOME": libraries_cache}
    first, second = (_served(folder, browser, environ) for _start in range(2))
    assert "preparing" in first and "Collecting" not in first
    assert "preparing" not in second


def test_without_bash_one_line_says_so(checkout: Checkout) -> None:
    (checkout.tools / "bash").unlink()
    assert_fails_cleanly(checkout.start("list"), "bash is missing")


@pytest.mark.parametrize("path", [".:/usr/bin:/bin", ":/usr/bin:/bin", "/usr/bin:/bin:", "here:/usr/bin:/bin"])
def test_it_starts_nothing_of_the_current_folder(tmp_path: Path, path: str) -> None:
    for folder in (tmp_path, tmp_path / "here"):
        folder.mkdir(exist_ok=True)
        for name in ("bash", "dirname", "docker", "env", "python3", "xdg-open"):
            write_program(folder / name, f"#!/bin/sh\necho {name} >> {tmp_path}/ran\nexit 1\n")
    environ = {"PATH": path, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    command = [str(PROJECT / "start.sh"), "--docker", "--port", "x"]
    finished = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, timeout=DEADLINE)
    assert finished.returncode != 0
    assert not (tmp_path / "ran").exists()
