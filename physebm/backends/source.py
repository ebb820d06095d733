"""Generated source: its text, its content hash, its home on disk, and an indenting writer.

Generated modules are real files in a cache directory, named by the hash of what they depend on; a
file is written once (new file, rename) and never rewritten, because numba's on-disk cache keys on its
modification time.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from physebm.cache import cache_directory
from physebm.errors import BackendError


@dataclass(frozen=True)
class Source:
    """Text of a generated module; `stem` and the hash of `text` and `depends` make its name."""

    stem: str
    text: str
    depends: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over everything that the compiled code depends on."""
        return hashlib.sha256("\x1f".join((self.text, *self.depends)).encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Module name, e.g. ``sweep_numba_3fa9c1d2e4b5a697``."""
        return f"{self.stem}_{self.digest}"


def write_once(source: Source, suffix: str) -> Path:
    """Path of the source on disk, written atomically if it is not there yet.

    Raises
    ------
    BackendError
        when the cache directory cannot be written; says which variable moves it.
    """
    folder = cache_directory()
    path = folder / f"{source.name}{suffix}"
    if path.exists():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(handle, "w") as out:
            out.write(source.text)
        os.replace(temporary, path)
    except OSError as error:
        raise BackendError(
            f"cannot write compiled kernels to {folder}: {error.strerror}\n"
            "  hint      set PHYSEBM_CACHE to a folder that you may write"
        ) from None
    return path


class Writer:
    """Lines of code with an indentation level."""

    def __init__(self):
        self._lines: list[str] = []
        self._level = 0

    def __call__(self, line: str = "") -> None:
        """Add one line at the present level."""
        self._lines.append("    " * self._level + line if line else "")

    @contextmanager
    def block(self, head: str):
        """A line that opens a block, and its indented body."""
        self(head)
        self._level += 1
        yield
        self._level -= 1

    def text(self) -> str:
        """The source so far."""
        return "\n".join(self._lines) + "\n"
