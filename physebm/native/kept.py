"""Functions whose compiled code is kept between runs, and what it was compiled from.

numba's own cache looks at the file that a function stands in, but not at those of the functions that it
calls: after a change of one of these, or an update of the package, it would go on with the old code.
Here compiled code stands in a folder named by the text of all that it may call.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numba

from physebm.cache import cache_directory
from physebm.errors import BackendError

__all__ = ["NATIVE", "kept_njit", "text_digest"]

NATIVE = Path(__file__).parent


@cache
def text_digest(*folders: Path) -> str:
    """Sixteen hexadecimal digits over the modules of some folders, and of the folders within."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"\x1f{path.relative_to(folder)}\x1f".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def kept_njit(*folders: Path, **options):
    """``numba.njit(**options)``, kept; modules that the function calls stand in `folders` or here.

    Without a folder that can be written, it is compiled anew in every run.

    Raises
    ------
    BackendError
        where numba is told to compile nothing.
    """
    if numba.config.DISABLE_JIT:
        raise BackendError(
            "kernels are compiled by numba, which NUMBA_DISABLE_JIT tells to compile nothing\n"
            "  hint      unset NUMBA_DISABLE_JIT"
        )

    def decorate(function):
        dispatcher = numba.njit(**options)(function)
        folder = cache_directory() / f"native_{text_digest(*folders, NATIVE)}"
        before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            dispatcher.enable_caching()
        except (OSError, RuntimeError):
            pass
        finally:
            numba.config.CACHE_DIR = before
        return dispatcher

    return decorate
