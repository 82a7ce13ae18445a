"""Owns all terminals of the server: the thread that reads them, how far ahead of its viewers a program may run, ends.

It knows no account and no browser: a viewer is whoever says how far it has got and can be told that there is more.
One thread owns every pty: it alone reads, reaps and closes, so no descriptor is closed under somebody's feet.
"""

from __future__ import annotations

import os
import selectors
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from ..messages import AccountsError, NotFound, _
from ..system.process_ending import Ending, process_table
from . import survivors
from .answers import SCHEME_REPORTS, Answers, Look, is_reply, may_be_key, place_in
from .process import InputFull, Terminal
from .replay import PIECE

FOCUS, FOCUS_LOST = b"\x1b[I", b"\x1b[O"
FOCUS_REPORTS = 1004
HIGH = 256 * 1024
LOW = 128 * 1024
_PATIENCE_SECONDS = 3.0
_AFTER_EXIT_SECONDS = 2.0
_ENDED_KEPT = 20
_REPAINT_SECONDS = 0.15
_PRESS_SECONDS = 0.1


class MaxTerminals(AccountsError):
    """As many terminals as allowed are running."""


class Viewer(Protocol):
    """Whoever watches a terminal. Its methods are called by the reading thread and must never wait."""

    # The reading thread sets it for a viewer that holds up the program: it is sent what it missed when it comes back.
    behind: bool
    # Rows and columns of its window, None when it has not told; the terminal has those of whoever came to it last.
    size: tuple[int, int] | None

    @property
    def confirmed(self) -> int:
        """The offset up to which it has got the output."""

    def more(self, hold: bool = False) -> None:
        """Take notice that there is new output, or that the terminal has ended.

        With `hold` output keeps coming: what is ready now is passed on in slices, each time `slice` is called.
        """

    def slice(self) -> None:
        """Pass on a slice of what was held."""

    def changed(self) -> None:
        """Take notice that title, attention, size or the number of viewers changed."""


class _Watched:
    """One terminal as the reading thread sees it."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        # Whoever typed, or got the focus, last is the last one here: his window decides the size.
        self.viewers: tuple[Viewer, ...] = ()
        self.has_focus = False
        self.answers = Answers()
        self.without_viewers_since = time.monotonic()
        self.events = 0
        self.paused = False
        self.hung_up_at: float | None = None
        self.exited_at: float | None = None
        self.ended_at: float | None = None
        self.ending: Ending | None = None
        self.next_press = 0.0
        self.repaint_at: float | None = None
        self.looked_at = time.monotonic()
        self.progress: dict[int, tuple[int, float]] = {}
        self.held_up: dict[int, float] = {}

    def teller(self) -> Viewer | None:
        """Return the viewer who can tell what only an emulator knows, None when there is none."""
        return next((viewer for viewer in reversed(self.viewers) if not viewer.behind), None)

    def pass_on_slices(self) -> None:
        """Have each viewer pass on a slice of the piece before, while the next one is being read."""
        for viewer in self.viewers:
            viewer.slice()


class Terminals:
    """The terminals of this process. Every public method may be called from any thread and returns at once."""

    def __init__(
        self,
        *,
        limit: int = 50,
        idle_seconds: float = 24 * 3600,
        ended_seconds: float = 600,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._ended_seconds = ended_seconds
        self.on_change = on_change
        self.look = Look()
        self._lock = threading.RLock()
        self._all_over = threading.Condition(self._lock)
        self._watched: dict[str, _Watched] = {}
        self._starting = 0
        self._todo: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = -1, -1
        self._awake = False
        self._look_soon = False
        self._closing = False
        self._holding: set[_Watched] = set()

    # For any thread

    def start(self, make: Callable[[], Terminal]) -> Terminal:
        """Start what `make` makes, and watch it. Raises MaxTerminals, and what `make` raises."""
        with self._lock:
            if self.running() + self._starting >= self._limit:
                raise MaxTerminals(_("{count} terminals are running already: stop one first", count=self._limit))
            self._starting += 1
        try:
            terminal = make()
            terminal.screen.look = self.look
            survivors.began(terminal.pid)
        finally:
            with self._lock:
                self._starting -= 1
        watched = _Watched(terminal)
        with self._lock:
            self._ensure_thread()
            self._watched[terminal.id] = watched
        self._do(lambda: self._attend(watched), look=True)
        self.on_change()
        return terminal

    def running(self) -> int:
        """Return how many terminals have not ended."""
        with self._lock:
            return sum(watched.ended_at is None for watched in self._watched.values())

    def get(self, terminal_id: str) -> Terminal:
        """Return a terminal that runs, or ended a little while ago. Raises NotFound."""
        with self._lock:
            return self._find(terminal_id).terminal

    def overview(self) -> list[tuple[Terminal, int]]:
        """Return (terminal, number of viewers) pairs, the newest last."""
        with self._lock:
            return [(watched.terminal, len(watched.viewers)) for watched in self._watched.values()]

    def attach(self, terminal_id: str, viewer: Viewer, *, focus: bool = True) -> None:
        """Let a viewer watch a terminal; without `focus` the others go before it. Raises NotFound."""
        with self._lock:
            watched = self._find(terminal_id)
            if viewer not in watched.viewers:
                watched.viewers = (*watched.viewers, viewer) if focus else (viewer, *watched.viewers)
        self._tell_number(watched)
        self._fit(watched)
        self.progressed(terminal_id)

    def detach(self, terminal_id: str, viewer: Viewer) -> None:
        """Let a viewer go; it holds up nobody any more, and the size is that of who is left."""
        with self._lock:
            watched = self._watched.get(terminal_id)
            if watched is None or viewer not in watched.viewers:
                return
            watched.viewers = tuple(other for other in watched.viewers if other is not viewer)
            watched.without_viewers_since = time.monotonic()
        watched.answers.forget(viewer)
        if watched.answers.is_waiting:
            self._do(lambda: self._answer(watched))
        if not watched.viewers and watched.has_focus:
            self._tell_focus(watched, focus=False)
        self._tell_number(watched)
        self._fit(watched)
        self.progressed(terminal_id)

    def set_size(self, terminal_id: str, viewer: Viewer, rows: int, cols: int, *, focus: bool = True) -> None:
        """Note the size of a viewer's window; with `focus` it is the terminal's from now on. Raises NotFound."""
        with self._lock:
            watched = self._find(terminal_id)
        viewer.size = rows, cols
        if focus:
            self._come_forward(watched, viewer)
        self._fit(watched)

    def _come_forward(self, watched: _Watched, viewer: Viewer) -> None:
        """Let a viewer decide, who types or has got the focus."""
        if watched.viewers[-1:] == (viewer,):
            return
        with self._lock:
            if viewer in watched.viewers:
                watched.viewers = (*(other for other in watched.viewers if other is not viewer), viewer)
        self._fit(watched)

    def _fit(self, watched: _Watched) -> None:
        """Give the terminal the size of the window that decides; without any it keeps what it has."""
        size = next((viewer.size for viewer in reversed(watched.viewers) if viewer.size), None)
        if size:
            self.resize(watched.terminal.id, *size)

    def _tell_number(self, watched: _Watched) -> None:
        watched.terminal.viewers = len(watched.viewers)
        for viewer in watched.viewers:
            viewer.changed()

    def progressed(self, terminal_id: str) -> None:
        """Take notice that a viewer has got further: a program that was held up may go on."""
        watched = self._watched.get(terminal_id)
        if watched is not None and watched.paused:
            self._do(lambda: self._attend(watched))

    def write(self, terminal_id: str, data: bytes, viewer: Viewer | None = None) -> None:
        """Type something; what a viewer's emulator answers by itself is not typed twice.

        Raises NotFound, and InputFull when the program does not read.
        """
        with self._lock:
            watched = self._find(terminal_id)
        if viewer is not None:
            if data.startswith(b"\x1b") and self._is_answered(watched, viewer, data):
                return
            self._come_forward(watched, viewer)
        terminal = watched.terminal
        # Before, for the program may answer at once: what it says then is news.
        seen = terminal.clear_attention()
        try:
            if terminal.write(data):
                self._do(lambda: self._attend(watched))
        finally:
            if seen:
                self._tell_change(terminal_id)

    def take_look(self, told: Any) -> None:
        """Note the colours of the window in use; programs that asked for it hear whether it is dark or light."""
        before = self.look.scheme
        self.look.take(told)
        if self.look.scheme == before:
            return
        with self._lock:
            everything = list(self._watched.values())
        for watched in everything:
            if watched.terminal.screen.modes.private(SCHEME_REPORTS):
                with suppress(InputFull):
                    watched.terminal.write(self.look.scheme)
                self._do(partial(self._attend, watched))

    def _is_answered(self, watched: _Watched, viewer: Viewer, data: bytes) -> bool:
        """Tell whether input is what an emulator says by itself, and take what it tells."""
        if data in (FOCUS, FOCUS_LOST) and watched.terminal.screen.modes.private(FOCUS_REPORTS):
            # That a window which does not decide has lost the focus is no concern of the program.
            if data == FOCUS or watched.viewers[-1:] == (viewer,):
                self._come_forward(watched, viewer)
                self._tell_focus(watched, focus=data == FOCUS)
            return True
        place = place_in(data)
        if place is None:
            return is_reply(data) or self.look.learn(data) is False
        if watched.answers.tell(viewer, *place):
            self._do(lambda: self._answer(watched))
            return True
        return not may_be_key(data)

    def _tell_focus(self, watched: _Watched, *, focus: bool) -> None:
        watched.has_focus = focus
        if watched.terminal.screen.modes.private(FOCUS_REPORTS):
            # Who does not read what is typed will not miss this.
            with suppress(InputFull):
                if watched.terminal.write(FOCUS if focus else FOCUS_LOST):
                    self._do(lambda: self._attend(watched))
        if focus and watched.terminal.clear_attention():
            self._tell_change(watched.terminal.id)

    def resize(self, terminal_id: str, rows: int, cols: int) -> None:
        """Change the size of a terminal for all its viewers. Raises NotFound."""
        terminal = self.get(terminal_id)
        if terminal.resize(rows, cols):
            self._do(terminal.screen.modes.resized)
            self._tell_change(terminal_id)

    def repaint(self, terminal_id: str) -> None:
        """Make the program draw its screen anew, by another size for a moment."""

        def begin() -> None:
            watched = self._watched.get(terminal_id)
            if watched is not None and watched.repaint_at is None:
                terminal = watched.terminal
                rows, cols = terminal.rows, terminal.cols
                # On a screen of its own a program draws all of it for any new size. Elsewhere only another width makes
                # it draw its lines again.
                if terminal.screen.modes.on_alternate_screen:
                    terminal.set_size_for_a_moment(rows - 1 if rows > 1 else 2, cols)
                else:
                    terminal.set_size_for_a_moment(rows, cols - 1 if cols > 1 else 2)
                watched.repaint_at = time.monotonic() + _REPAINT_SECONDS

        self._do(begin, look=True)

    def stop(self, terminal_id: str) -> None:
        """End a terminal with everything it started: HUP, TERM, KILL. Raises NotFound."""
        with self._lock:
            watched = self._find(terminal_id)
        self._do(lambda: self._begin_end(watched), look=True)

    def stop_all(self, seconds: float = 9.0) -> bool:
        """End all terminals and wait up to `seconds` for it; tell whether nothing is left."""
        with self._lock:
            watched_now = list(self._watched.values())
        for watched in watched_now:
            self._do(partial(self._begin_end, watched), look=True)
        with self._lock:
            return self._all_over.wait_for(self._nothing_left, seconds)

    def close(self) -> None:
        """End the reading thread; nothing may be asked of it any more. Whatever still runs is left alone."""
        thread = self._thread
        if thread is not None:
            self._closing = True
            self._do(lambda: None)
            thread.join()
            self._selector.close()
            os.close(self._wake_reader)
            os.close(self._wake_writer)
            self._wake_writer = -1

    def _nothing_left(self) -> bool:
        return all(watched.ended_at is not None and watched.ending is None for watched in self._watched.values())

    def _find(self, terminal_id: str) -> _Watched:
        watched = self._watched.get(terminal_id)
        if watched is None:
            raise NotFound(_("there is no such terminal (any more)"))
        return watched

    def _tell_change(self, terminal_id: str) -> None:
        watched = self._watched.get(terminal_id)
        for viewer in watched.viewers if watched else ():
            viewer.changed()
        self.on_change()

    def _do(self, action: Callable[[], None], *, look: bool = False) -> None:
        """Have the reading thread do something soon, and with `look` see after it what time brings about."""
        with self._lock:
            self._todo.append(action)
            self._look_soon |= look
            if self._awake or self._wake_writer < 0:
                return
            self._awake = True
        with suppress(BlockingIOError):
            os.write(self._wake_writer, b"\0")

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._wake_reader, self._wake_writer = os.pipe()
            os.set_blocking(self._wake_reader, False)
            os.set_blocking(self._wake_writer, False)
            self._selector.register(self._wake_reader, selectors.EVENT_READ, None)
            # By default a thread that waits for the interpreter gets it after 5 ms only: an echo beside a flood of
            # output crosses three threads.
            sys.setswitchinterval(min(sys.getswitchinterval(), 0.0005))
            self._thread = threading.Thread(target=self._run, name="terminals", daemon=True)
            self._thread.start()

    # For the reading thread alone

    def _run(self) -> None:
        next_look = 0.0
        while not self._closing:
            holding, self._holding = self._holding, set()
            timeout = max(0.0, next_look - time.monotonic()) if next_look else None
            for key, mask in self._selector.select(0 if holding else timeout):
                if key.data is None:
                    with suppress(BlockingIOError):
                        os.read(self._wake_reader, 4096)
                elif key.data.terminal.descriptor == key.fd:
                    self._handle(key.data, mask)
            for watched in holding - self._holding:
                # No more came after all.
                for viewer in watched.viewers:
                    viewer.more()
            with self._lock:
                todo, self._todo = self._todo, []
                look, self._look_soon = self._look_soon, False
                self._awake = False
            for action in todo:
                action()
            if look or time.monotonic() >= next_look > 0:
                next_look = self._look_around()

    def _handle(self, watched: _Watched, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            watched.terminal.write_waiting()
        if mask & selectors.EVENT_READ:
            self._read(watched)
        self._attend(watched)

    def _read(self, watched: _Watched) -> None:
        """Read one piece and pass it on; the end comes when the process is gone and nothing is left to read."""
        terminal = watched.terminal
        try:
            data = terminal.read(watched.pass_on_slices if watched.viewers else None)
        except BlockingIOError:
            if watched.exited_at is not None:
                self._end(watched)
            return
        except EOFError:
            watched.hung_up_at = time.monotonic()
            self._check_exit(watched)
            self._look_soon = True
            return
        changed = terminal.screen.feed(data, terminal.replay.start)
        asked = terminal.screen.take_answers()
        if asked:
            # Before any viewer has seen the question: its answer may come at once.
            watched.answers.add(asked, watched.teller())
        more_to_come = len(data) == PIECE
        if more_to_come:
            self._holding.add(watched)
        for viewer in watched.viewers:
            viewer.more(more_to_come)
        if changed:
            self._tell_change(terminal.id)
        if asked:
            self._answer(watched)

    def _answer(self, watched: _Watched) -> None:
        """Answer what the program asked, as far as it can be answered now."""
        if data := watched.answers.ready():
            # A program that asks on and on and reads no answer gets none.
            with suppress(InputFull):
                watched.terminal.write(data)
            self._attend(watched)
        self._look_soon |= watched.answers.is_waiting

    def _attend(self, watched: _Watched) -> None:
        """Decide anew what we wait for: output, unless a viewer is too far behind, and room for input."""
        terminal = watched.terminal
        if terminal.descriptor < 0:
            return
        slowest = min((viewer.confirmed for viewer in watched.viewers if not viewer.behind), default=terminal.end)
        ahead = terminal.end - slowest
        watched.paused = ahead > (LOW if watched.paused else HIGH) and watched.ending is None
        if not watched.paused:
            watched.progress.clear()
        events = 0 if watched.paused or watched.hung_up_at is not None else selectors.EVENT_READ
        if terminal.wants_to_write and watched.hung_up_at is None:
            events |= selectors.EVENT_WRITE
        if events == watched.events:
            return
        if not events:
            self._selector.unregister(terminal.descriptor)
        elif not watched.events:
            self._selector.register(terminal.descriptor, events, watched)
        else:
            self._selector.modify(terminal.descriptor, events, watched)
        watched.events = events

    def _look_around(self) -> float:
        """Do what time brings about, and return when to look again, 0 for when something happens."""
        now = time.monotonic()
        with self._lock:
            everything = list(self._watched.values())
        soonest = min((self._look_at(watched, now) for watched in everything), default=0.0)
        self._press_endings(everything, now)
        self._forget_old(everything, now)
        with self._lock:
            if self._nothing_left():
                self._all_over.notify_all()
        return now + soonest if everything else 0.0

    def _press_endings(self, everything: list[_Watched], now: float) -> None:
        due = [watched for watched in everything if watched.ending and now >= watched.next_press]
        table = process_table() if due else {}
        for watched in due:
            watched.next_press = now + _PRESS_SECONDS
            if watched.ending and not watched.ending.press(table, watched.exited_at is not None):
                watched.ending = None
                if watched.ended_at is not None:
                    survivors.ended(watched.terminal.pid)

    def _look_at(self, watched: _Watched, now: float) -> float:
        """Look after one terminal, and return in how many seconds to do so again."""
        if watched.ended_at is not None:
            return _PRESS_SECONDS if watched.ending else self._ended_seconds
        self._check_exit(watched)
        if watched.ended_at is not None:
            return 0.0
        if watched.exited_at is not None and watched.hung_up_at is None:
            # Somebody else still holds the other side; what the process itself wrote is there by now.
            if not watched.paused:
                self._read(watched)
            if watched.ended_at is None and now - watched.exited_at > _AFTER_EXIT_SECONDS and not watched.paused:
                self._end(watched)
        if watched.repaint_at is not None and now >= watched.repaint_at:
            watched.repaint_at = None
            watched.terminal.set_size_for_a_moment(watched.terminal.rows, watched.terminal.cols)
        if watched.answers.is_waiting:
            self._answer(watched)
        if watched.paused:
            self._leave_behind(watched, now)
            self._attend(watched)
        if watched.viewers:
            watched.without_viewers_since = now
        elif now - watched.without_viewers_since > self._idle_seconds:
            self._begin_end(watched)
        watched.looked_at = now
        if watched.hung_up_at is not None:
            # Its end follows within a millisecond, as a rule.
            return min(0.5, max(0.002, (now - watched.hung_up_at) / 4))
        busy = watched.ending or watched.repaint_at is not None or watched.exited_at is not None
        busy = busy or watched.answers.is_waiting
        return 0.02 if busy else 0.25 if watched.paused else 0.5

    def _leave_behind(self, watched: _Watched, now: float) -> None:
        """Let go of viewers that hold up the program: without any progress, or while others wait for them."""
        end = watched.terminal.end
        for viewer in watched.viewers:
            if viewer.behind or end - viewer.confirmed <= LOW:
                continue
            last, since = watched.progress.get(id(viewer), (-1, now))
            if last != viewer.confirmed:
                since = now
            watched.progress[id(viewer)] = (viewer.confirmed, since)
            others_wait = any(
                end - other.confirmed <= LOW for other in watched.viewers if other is not viewer and not other.behind
            )
            held_up = watched.held_up.get(id(viewer), 0.0) + now - watched.looked_at if others_wait else 0.0
            watched.held_up[id(viewer)] = held_up
            if now - since >= _PATIENCE_SECONDS or held_up >= _PATIENCE_SECONDS:
                viewer.behind = True
                watched.held_up.pop(id(viewer), None)

    def _check_exit(self, watched: _Watched) -> None:
        if watched.exited_at is None and watched.terminal.poll_exit():
            watched.exited_at = time.monotonic()
        if watched.exited_at is not None and watched.hung_up_at is not None:
            self._end(watched)

    def _begin_end(self, watched: _Watched) -> None:
        if watched.ending is None and watched.ended_at is None:
            watched.ending = Ending(watched.terminal.pid, process_table())
            self._attend(watched)

    def _end(self, watched: _Watched) -> None:
        """Announce the end: the process is reaped and its output read to the last byte."""
        terminal = watched.terminal
        if watched.ended_at is not None:
            return
        if watched.events:
            self._selector.unregister(terminal.descriptor)
            watched.events = 0
        watched.paused = False
        terminal.close()
        if watched.ending is None:
            # What it leaves behind in its session goes the same way.
            watched.ending = Ending(terminal.pid, {})
        self._look_soon = True
        with self._lock:
            watched.ended_at = time.monotonic()
            terminal.ended = True
        for viewer in watched.viewers:
            viewer.more()
        self.on_change()

    def _forget_old(self, everything: list[_Watched], now: float) -> None:
        """Forget terminals that ended some time ago, and the oldest of many: each keeps its replay until then."""
        ended = [watched for watched in everything if watched.ended_at is not None and watched.ending is None]
        ended.sort(key=lambda watched: watched.ended_at or 0.0)
        for place, watched in enumerate(ended):
            too_old = now - (watched.ended_at or 0.0) > self._ended_seconds
            if too_old or place < len(ended) - _ENDED_KEPT:
                with self._lock:
                    del self._watched[watched.terminal.id]
                watched.terminal.replay.close()
                self.on_change()
