"""Measures the web terminal beside terminado in one run, and prints a table with ratios.

    python benchmarks/web_terminal.py [--quick] [NAME...]

Needs `pip install terminado` besides the project's own requirements. Absolute figures differ from machine to machine;
the ratios are what to compare. NAME is one of the measures: stream, echo, flood, redraw, memory, interrupt, many.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from servers import Running, server
from web_client import Client, Ours, Terminado, read_until

Row = dict[str, float]
KINDS = {"plain": "ours", "binary": "ours", "ack": "ours", "terminado": "terminado"}
REDRAW = """
import os, sys, tty
tty.setraw(0)
os.write(1, b"READY")
while True:
    key = os.read(0, 1)
    os.write(1, key)
    os.write(1, b"\\x1b[H\\x1b[2Kredraw of a status line, as a TUI does it<")
"""
TUI = """
import os, itertools
for number in itertools.count():
    lines = (b"\\x1b[%d;1H\\x1b[38;5;%dm frame %d \\xe2\\x94\\x82" % (row, row, number) for row in range(1, 40))
    os.write(1, b"".join(line * 3 for line in lines))
"""


def connect(running: Running, kind: str, receive_buffer: int = 0) -> Client:
    """Open a terminal with a shell that is ready and silent."""
    client: Client = (
        Terminado(running.port, "", receive_buffer) if kind == "terminado" else Ours(running.port, kind, receive_buffer)
    )
    client.type("stty raw -echo; PS1=; printf 'RE''ADY'\r")
    read_until(client, b"READY")
    return client


def command(client: Client, text: str) -> None:
    """Type a command to a shell whose terminal is raw."""
    client.type(text + "\n")


def stream(running: Running, kind: str, quick: bool) -> Row:
    """Send a large file through, and check every byte of it."""
    line = "\x1b[38;5;42m│ 日本語のテキスト 😀🎉 └───┘ plain words between them\x1b[0m ░▒▓\r\n".encode()
    size = 10_000_000 if quick else 50_000_000
    whole = line * (size // len(line))
    with tempfile.NamedTemporaryFile() as file:
        file.write(whole)
        file.flush()
        client = connect(running, kind)
        cpu, memory = running.cpu_seconds(), running.resident()
        messages: list[bytes] = []
        # No message ends later than its bytes: counting them exactly would cost more than receiving them.
        begun = time.perf_counter()
        command(client, f"cat {file.name}; printf 'THE''END'")
        while b"THEEND" not in (messages[-1] if messages else b"")[-600:]:
            messages.append(client.raw())
        seconds = time.perf_counter() - begun
        cpu, memory = running.cpu_seconds() - cpu, running.resident() - memory
        received = b"".join(client.decode(message) for message in messages)
        # Before it there may be what the shell said to the command.
        received = received[-len(whole) - len(b"THEEND") :]
        intact = hashlib.sha256(received).digest() == hashlib.sha256(whole + b"THEEND").digest()
        client.close()
    mb = len(whole) / 1e6
    return {"MB/s": mb / seconds, "CPU s": cpu, "messages": len(messages), "growth MB": memory / 1e6, "intact": intact}


def echoes(client: Client, count: int, ends: Callable[[bytes], bool]) -> list[float]:
    """Type one key at a time and return the milliseconds until its echo has arrived."""
    times = []
    for _key in range(count):
        time.sleep(0.004)
        begun = time.perf_counter()
        client.type("k")
        output = client.read()
        while not ends(output):
            output += client.read()
        times.append((time.perf_counter() - begun) * 1000)
    return times


def percentiles(times: list[float]) -> Row:
    """Return the figures of a list of milliseconds."""
    ordered = sorted(times)
    near_the_end = ordered[int(len(ordered) * 0.99) - 1]
    return {"p50 ms": statistics.median(ordered), "p99 ms": near_the_end, "max ms": ordered[-1]}


def echo(running: Running, kind: str, quick: bool) -> Row:
    """Echo of one key while nothing else happens."""
    client = connect(running, kind)
    command(client, "cat")
    result = percentiles(echoes(client, 200 if quick else 1000, lambda output: output.endswith(b"k")))
    client.close()
    return result


def flood(running: Running, kind: str, quick: bool) -> Row:
    """Echo of one key while a program in another terminal draws as fast as it can."""
    other = connect(running, kind)
    with tempfile.NamedTemporaryFile(suffix=".py") as file:
        file.write(TUI.encode())
        file.flush()
        command(other, f"{sys.executable} {file.name}")
        over = threading.Event()
        total = 0

        def watch() -> None:
            nonlocal total
            # A browser takes 7 MB/s; a client without such a limit would measure the speed of its own interpreter.
            begun = time.monotonic()
            while not over.is_set():
                total += len(other.raw())
                ahead = total / 7e6 - (time.monotonic() - begun)
                if ahead > 0:
                    time.sleep(ahead)

        watcher = threading.Thread(target=watch)
        client = connect(running, kind)
        command(client, "cat")
        watcher.start()
        result = percentiles(echoes(client, 200 if quick else 1000, lambda output: output.endswith(b"k")))
        over.set()
        watcher.join()
        client.close()
        other.close()
    return result


def redraw(running: Running, kind: str, quick: bool) -> Row:
    """Echo of one key that a program follows up with a second small write."""
    with tempfile.NamedTemporaryFile(suffix=".py") as file:
        file.write(REDRAW.encode())
        file.flush()
        client = connect(running, kind)
        command(client, f"exec {sys.executable} {file.name}")
        read_until(client, b"READY")
        result = percentiles(echoes(client, 100 if quick else 500, lambda output: output.endswith(b"<")))
        client.close()
    return result


def memory(running: Running, kind: str, quick: bool) -> Row:
    """Growth of the server while a program floods a client that does not read at all."""
    client = connect(running, kind, receive_buffer=65536)
    before = running.resident()
    command(client, "yes 'a line that says nothing much'")
    peak = 0
    deadline = time.monotonic() + (3 if quick else 10)
    while time.monotonic() < deadline:
        peak = max(peak, running.resident())
        time.sleep(0.05)
    client.socket.socket.close()
    return {"growth MB": (peak - before) / 1e6}


def interrupt(running: Running, kind: str, quick: bool) -> Row:
    """Time from Ctrl-C to silence, for a client that read 1 MB/s of a flood until then."""
    client = connect(running, kind)
    command(client, "stty isig; bash -c 'trap \"printf STOPPED\" INT; yes a line that says nothing much'")
    total, begun = 0, time.monotonic()
    while time.monotonic() - begun < (2 if quick else 10):
        total += len(client.raw())
        time.sleep(max(0.0, total / 1e6 - (time.monotonic() - begun)))
    begun = time.perf_counter()
    client.type("\x03")
    client.socket.socket.settimeout(2)
    last = b""
    deadline = time.monotonic() + 60
    while b"STOPPED" not in last and time.monotonic() < deadline:
        last = last[-20:] + client.raw()
    seconds = time.perf_counter() - begun
    with suppress(OSError):
        client.close()
    return {"ms": seconds * 1000}


def many(running: Running, kind: str, quick: bool) -> Row:
    """Fifty terminals at once: starting them, an echo of each, memory, and what is left when all are closed."""
    warm = connect(running, kind)
    warm.close()
    wait_for_quiet(running)
    children, descriptors = running.left_over()
    before = running.resident()
    begun = time.perf_counter()
    clients: list[Client] = [
        Terminado(running.port) if kind == "terminado" else Ours(running.port, kind) for _number in range(50)
    ]
    for client in clients:
        client.type("stty raw -echo; PS1=; printf 'RE''ADY'\r")
    for client in clients:
        read_until(client, b"READY")
    started = time.perf_counter() - begun
    each = (running.resident() - before) / 50 / 1000
    for client in clients:
        command(client, "cat")
    times = [value for client in clients for value in echoes(client, 20, lambda output: output.endswith(b"k"))]
    for client in clients:
        client.close()
    wait_for_quiet(running)
    left_children, left_descriptors = running.left_over()
    return {
        "start s": started,
        **percentiles(times),
        "kB each": each,
        "children left": left_children - children,
        "descriptors left": left_descriptors - descriptors,
    }


def wait_for_quiet(running: Running) -> None:
    """Give the server time to tidy up, as long as it still does."""
    before, deadline = (-1, -1), time.monotonic() + 5
    while running.left_over() != before and time.monotonic() < deadline:
        before = running.left_over()
        time.sleep(0.5)


MEASURES: dict[str, Callable[[Running, str, bool], Row]] = {
    measure.__name__: measure for measure in (stream, echo, flood, redraw, memory, interrupt, many)
}


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*MEASURES, []], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="smaller and shorter")
    parser.add_argument("--kinds", default=",".join(KINDS), help="which clients: " + ", ".join(KINDS))
    options = parser.parse_args()
    for name in options.names or MEASURES:
        print(f"\n{name}: {MEASURES[name].__doc__}")
        rows: dict[str, Row] = {}
        for kind in options.kinds.split(","):
            with server(KINDS[kind]) as running:
                rows[kind] = MEASURES[name](running, kind, options.quick)
            reference = rows.get("terminado", {})
            print(f"  {kind:10}", "  ".join(f"{field} {value:,.2f}" for field, value in rows[kind].items()))
        for kind, row in rows.items():
            if "terminado" in rows and kind != "terminado":
                ratios = [f"{field} {row[field] / value:.2f}" for field, value in reference.items() if value]
                print(f"  {kind} / terminado:", "  ".join(ratios))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    main()
