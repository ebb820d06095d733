"""A backend by name; imported only when asked for, with a message that says what to install."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from physebm.errors import BackendError, InputError

BACKENDS = {
    "reference": "physebm.backends.reference",
    "numba": "physebm.backends.numba_cpu.load",
    "cuda": "physebm.backends.cuda.backend",
    "cuda-host": "physebm.backends.cuda.host_backend",
}
ON_DEVICES = ("cuda", "cuda-host")
"""Backends that have a `device` (`backends.cuda.device`)."""


@dataclass(frozen=True)
class Choice:
    """The backend that a name means here, why where there was a choice, and the device it runs on.

    `device` is "" for backends that run on the processor.
    """

    name: str
    why: str = ""
    device: str = ""

    def __str__(self) -> str:
        told = self.device or self.why
        return f"{self.name} ({told})" if told else self.name


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


def choice(name: str = "auto") -> Choice:
    """What `name` means on this machine, to be told to the user before any work.

    Raises
    ------
    InputError
        for an unknown name.
    BackendError
        for "cuda" where no GPU can be used, with the cause and what to do.
    """
    if name == "auto":
        found = automatic()
        return choice("cuda") if found.name == "cuda" else found
    backend = select(name)
    return Choice(name, "", backend.device().title if name in ON_DEVICES else "")


def chosen() -> str:
    """What "auto" means here: the GPU where one can be used, otherwise the processor."""
    return automatic().name


@cache
def automatic() -> Choice:
    """The choice of "auto", made once: the device is not looked up."""
    if importlib.util.find_spec("cupy") is None:
        return Choice("numba", "no GPU: CuPy is not installed")
    from physebm.backends.cuda.cupy_device import trouble

    found = trouble()
    return Choice("cuda") if found is None else Choice("numba", f"no GPU: {found[0]}")
