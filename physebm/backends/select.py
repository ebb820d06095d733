"""A backend by name; imported only when asked for, with a message that says what to install."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from types import ModuleType

from physebm.errors import BackendError, InputError

BACKENDS = {
    "reference": "physebm.backends.reference",
    "numba": "physebm.backends.numba_cpu.load",
    "cuda": "physebm.backends.cuda.backend",
    "cuda-host": "physebm.backends.cuda.host_backend",
}


def select(name: str = "auto") -> ModuleType:
    """The backend called `name`; "auto" is `chosen`.

    Raises
    ------
    InputError
        for an unknown name.
    BackendError
        when the backend's library is missing.
    """
    if name == "auto":
        name = chosen()
    if name not in BACKENDS:
        raise InputError("backend", got=name, expected=["auto", *BACKENDS])
    try:
        return importlib.import_module(BACKENDS[name])
    except ImportError as error:
        raise BackendError(
            f"backend '{name}' needs the package '{error.name}': pip install {error.name}"
        ) from error


@cache
def chosen() -> str:
    """What "auto" means here: the GPU where one can be used, otherwise the processor."""
    if importlib.util.find_spec("cupy") is None:
        return "numba"
    from physebm.backends.cuda.cupy_device import why_unusable

    return "numba" if why_unusable() else "cuda"
