"""Ctrl-C and SIGTERM at a safe place: a sweep in the middle cannot be saved, one that ended can."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Hold back signals; the function yielded raises KeyboardInterrupt if one has come.

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
