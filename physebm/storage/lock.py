"""One writer per folder: a lock file that says which process holds it.

The lock is the operating system's (``flock``), so that it ends with its process however that dies; the
text of the file, process and host, only serves the message. On systems without ``flock`` the text
decides: a lock whose process is gone is taken over.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from physebm.errors import ResultFileError
from physebm.storage.atomic import alive

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None

NAME = "lock.json"


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold the lock of an existing folder; it may be removed meanwhile, lock file and all.

    Raises
    ------
    ResultFileError
        naming the process that holds it already.
    """
    path = folder / NAME
    handle = _acquire(path)
    try:
        yield
    finally:
        # Removed while still held: whoever opened this file meanwhile finds it gone, and tries again.
        path.unlink(missing_ok=True)
        os.close(handle)


def holder(folder: Path) -> str | None:
    """The living process that holds the lock of a folder, as text; None where it is free."""
    try:
        handle = os.open(folder / NAME, os.O_RDWR)
    except OSError:
        return None
    try:
        return None if _take(handle) else _described(_read(handle))
    finally:
        os.close(handle)


def _acquire(path: Path) -> int:
    tries = 0
    while True:
        tries += 1
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _take(handle):
                if tries < 4:  # someone may only be asking who the holder is
                    time.sleep(0.05)
                    continue
                raise ResultFileError(
                    str(path.parent),
                    got=f"in use by {_described(_read(handle))}",
                    hint="this study is running there; wait for it, or choose another --out",
                )
            if _is_file(handle, path):
                _write(handle)
                kept, handle = handle, None
                return kept
        finally:
            if handle is not None:
                os.close(handle)


def _take(handle: int) -> bool:
    if fcntl is None:  # pragma: no cover - Windows
        held = _read(handle)
        return not held or held.get("host") != socket.gethostname() or not alive(held["process"])
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _read(handle: int) -> dict:
    os.lseek(handle, 0, os.SEEK_SET)
    try:
        return json.loads(os.read(handle, 4096))
    except ValueError:
        return {}


def _write(handle: int) -> None:
    text = {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T")}
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, json.dumps(text).encode())


def _described(held: dict) -> str:
    if not held:
        return "another process"
    here = "" if held["host"] == socket.gethostname() else f" on {held['host']}"
    return f"process {held['process']}{here} since {held['since']}"
