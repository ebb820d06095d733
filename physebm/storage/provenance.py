"""Where a result came from: versions, machine, texts, seed; and the hash that names a study.

Nothing here reads a clock (the caller passes the date) and no path of the machine is recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = ("numpy", "numba", "llvmlite", "scipy", "xarray", "netCDF4", "msgspec")
NO_NUMBERS = ("plot", "title", "notes", "source")
"""Keys of a study that change no number, and so not its hash."""

UNKNOWN = "unknown"
"""What stands where the commit of the code cannot be known; its version is there always."""


def canonical_json(value: Any) -> str:
    """JSON text that is equal exactly when the values are: sorted keys, shortest round-trip floats.

    Tuples count as lists, numpy scalars and arrays as Python numbers and lists; NaN and infinity
    are refused, since they equal nothing.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def study_hash(study: Mapping[str, Any], models_text: str) -> str:
    """The sha256 (hex) of everything that changes numbers: the model text and the resolved study.

    `study` is the study with its defaults filled in; `title` and `plot` are left out of the hash.
    """
    numbers = {key: value for key, value in study.items() if key not in NO_NUMBERS}
    text = canonical_json({"models": models_text, "study": numbers})
    return hashlib.sha256(text.encode()).hexdigest()


def provenance(
    *,
    study: Mapping[str, Any],
    study_text: str,
    models_text: str,
    seed: int,
    command: str | Sequence[str],
    date: str,
    **more: str | int | float | bool,
) -> dict[str, str | int | float | bool]:
    """A flat record for the group ``/provenance``.

    Parameters
    ----------
    study
        The resolved study, stored as canonical JSON, so that the result can be run again.
    study_text, models_text
        The files as the user wrote them.
    seed
        The study seed.
    command
        What was typed; of an argument list the program's folder is dropped.
    date
        UTC, ISO 8601, from the caller's clock.
    more
        Further texts and numbers, such as timings and the backend.
    """
    if not isinstance(command, str):
        arguments = [str(part) for part in command]
        command = shlex.join([os.path.basename(part) for part in arguments[:1]] + arguments[1:])
    return {
        "physebm_version": _version("physebm"),
        "git_commit": git_commit(),
        "python_version": platform.python_version(),
        **{f"{name.lower()}_version": _version(name) for name in LIBRARIES},
        "platform": platform.platform(),
        "cpu_model": cpu_model(),
        "cpu_count": os.cpu_count() or 1,
        "date_utc": date,
        "command": command,
        "seed": int(seed),
        "study_hash": study_hash(study, models_text),
        "study_text": study_text,
        "models_text": models_text,
        "resolved_study": canonical_json(study),
        **more,
    }


def run_record(backend: str, device: str | None, date: str) -> dict[str, str]:
    """One of the runs that made a result together: backend, device, version and commit, date."""
    return {
        "backend": backend,
        "device": device or cpu_model(),
        "physebm_version": _version("physebm"),
        "git_commit": git_commit(),
        "date_utc": date,
    }


def git_commit() -> str:
    """The commit of the code that runs, or `UNKNOWN`.

    Of a checkout that physebm runs from, "-dirty" behind it if its code is changed; of a copy that pip
    installed from a repository's address (``git+https://...``) the commit that pip wrote down. A copy
    installed from a folder or a package index has none, also when it lies inside somebody else's
    checkout.
    """
    package = Path(__file__).resolve().parents[1]
    root = package.parent
    if not (root / ".git").exists() or not (root / "pyproject.toml").exists():
        return _installed_commit(package)
    try:
        commit = _git(root, "rev-parse", "HEAD").strip()
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", package.name)
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return commit + ("-dirty" if changed.strip() else "")


def _installed_commit(package: Path) -> str:
    """The commit in pip's ``direct_url.json`` beside the package (PEP 610)."""
    try:
        (held,) = package.parent.glob(f"{package.name}-*.dist-info/direct_url.json")
        return str(json.loads(held.read_text(encoding="utf-8"))["vcs_info"]["commit_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return UNKNOWN


def cpu_model() -> str:
    """The processor's name, as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "--no-optional-locks", "-C", str(root), *arguments],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return done.stdout


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("only texts can be keys")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    return value
