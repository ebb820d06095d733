"""A file is there whole or not at all: write beside it, flush to disk, rename over it.

A reader, or a run killed at any moment, sees the old file or the new one, never a part. Temporary
names carry host and process, so that what a killed process left behind is known to be dead and
is swept away by the next write of the same file.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from physebm.errors import ResultFileError


@contextmanager
def replacing(path: str | os.PathLike, synced: bool = True) -> Iterator[Path]:
    """Yield a new empty file beside `path`; on a clean exit it is synced and renamed to `path`.

    Without `synced` it is renamed only: that serves files that prove themselves, or that nothing is
    lost with, since after a failure of the machine itself (not of the run) they may be empty.
    On any exception the new file is removed and `path` is as it was. Problems of the file system
    become `ResultFileError` with the path and what to do.
    """
    path = Path(path)
    temporary = _new_file(path)
    try:
        yield temporary
        if synced:
            _sync(temporary)
        os.replace(temporary, path)
        if synced:
            _sync(path.parent)
    except OSError as err:
        raise _unwritable(path, err) from err
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sweep(path)


def _new_file(path: Path) -> Path:
    for count in range(1000):
        temporary = path.parent / f"{_prefix(path)}{os.getpid()}.{count}.tmp"
        try:
            # Mode 0666 under the umask: mkstemp's 0600 would survive the rename.
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return temporary
        except FileExistsError:
            continue
        except OSError as err:
            raise _unwritable(path, err) from err
    raise ResultFileError(
        str(path), got="1000 unfinished files of this process", hint="remove the .tmp files"
    )


def _prefix(path: Path) -> str:
    return f".{path.name}.{socket.gethostname()}."


def _sweep(path: Path) -> None:
    """Remove what killed processes of this machine left of earlier writes of `path`."""
    prefix = _prefix(path)
    for entry in path.parent.iterdir():
        owner = entry.name.removeprefix(prefix).split(".")[0]
        if entry.name.startswith(prefix) and entry.name.endswith(".tmp") and owner.isdigit():
            if not alive(int(owner)):
                entry.unlink(missing_ok=True)


def alive(process: int) -> bool:
    """Whether a process of this machine exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(path: Path, err: OSError) -> ResultFileError:
    folder = path.parent
    if not folder.exists():
        got, hint = f"no folder {folder}", f"create it (mkdir -p {folder}) or choose another --out"
    elif not folder.is_dir():
        got, hint = f"{folder} is not a folder", "choose another --out"
    elif path.is_dir():
        got, hint = f"{path} is a folder", "give the name of a file"
    else:
        got, hint = err.strerror or str(err), "check permissions and free space, or choose --out"
    return ResultFileError(str(path), got=got, expected="a place that can be written", hint=hint)
