"""Ctrl-C and SIGTERM at a safe place: a sweep in the middle cannot be saved, one that ended can.

Work in a thread that no signal reaches, as on a cluster, ends at the same places where `ended_by` asks.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ASKED_SECONDS = 1.0
_of_thread = threading.local()


@contextmanager
def ended_by(asked: Callable[[], bool]) -> Iterator[None]:
    """Work of this thread ends at its next safe place when `asked()` holds, asked once a second."""
    last = time.monotonic()

    def ended() -> bool:
        nonlocal last
        if time.monotonic() - last < ASKED_SECONDS:
            return False
        last = time.monotonic()
        return asked()

    _of_thread.ended = ended
    try:
        yield
    finally:
        del _of_thread.ended


def end_if_asked() -> None:
    """A safe place: raise KeyboardInterrupt where `ended_by` says so for this thread."""
    ended = getattr(_of_thread, "ended", None)
    if ended is not None and ended():
        raise KeyboardInterrupt("asked to end")


@contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Hold back signals; the function yielded raises KeyboardInterrupt if one has come (or `ended_by`).

    A second Ctrl-C raises at once. Where signals are not this thread's business (not the main
    thread, or SIGINT ignored as in the workers of a pool) they stay as they are.
    """
    came: list[str] = []

    def note(number: int, _frame: object) -> None:
        name = signal.Signals(number).name
        if came and name == "SIGINT":
            raise KeyboardInterrupt(name)
        came.append(name)

    def check() -> None:
        if came:
            raise KeyboardInterrupt(came[0])
        end_if_asked()

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        numbers.append(signal.SIGINT)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    check()
