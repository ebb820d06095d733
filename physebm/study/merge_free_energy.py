"""Results of the free-energy stage -> the group /free_energies, and the summary's part of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from physebm.storage.arrays_file import read_arrays
from physebm.storage.free_energy import VERDICTS, free_energy_axes, free_energy_dataset
from physebm.storage.reweighted import reweighted_axes, reweighted_dataset
from physebm.study.grid import FreeEnergies, Grid

# Between a method's name and those of the averages that its run was reweighted to.
INNER = "/reweighted/"
NOT_RUN = VERDICTS.index("not_run")


@dataclass
class FreeEnergyOutcome:
    """What became of a job: its arrays, or the message of its failure."""

    part: FreeEnergies
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""


def read_free_energies(part: FreeEnergies, result: Path | None, failure: str = "") -> FreeEnergyOutcome:
    """The outcome of a job from its result file, or from the message that it failed with."""
    if result is None:
        return FreeEnergyOutcome(part, failure=failure)
    arrays, meta = read_arrays(result)
    return FreeEnergyOutcome(part, arrays, meta)


def free_energy_group(
    grid: Grid, methods: tuple[str, ...], outcomes: list[FreeEnergyOutcome]
) -> xr.Dataset:
    """The group ``/free_energies``; points whose job failed are NaN, with the verdict `not_run`."""
    axes = free_energy_axes(grid.axes)
    places = [grid.axes_index(name) for name in axes]
    shape = (*(len(values) for values in axes.values()), len(methods))
    values: dict[str, np.ndarray] = {
        "verdict": np.full(shape, NOT_RUN, dtype=np.int8),
        "verdict_message": np.full(shape, "", dtype=object),
    }
    diagnostics: dict[str, np.ndarray] = {}
    tails = _tails(outcomes)
    for outcome in outcomes:
        if not outcome.arrays:
            continue
        temperatures = outcome.arrays["temperature"]
        for m, method in enumerate(methods):
            here = _of_method(outcome.arrays, method, temperatures)
            for point in outcome.part.points:
                k = int(np.flatnonzero(temperatures == point.temperature)[0])
                at = (*(point.index[i] for i in places), m)
                for name, array in here.items():
                    if name.startswith("diagnostics/"):
                        name = name.removeprefix("diagnostics/")
                        full = (*shape, *tails[name])
                        placed = diagnostics.setdefault(name, np.full(full, np.nan))
                        placed[(*at, *(slice(0, n) for n in array.shape[1:]))] = array[k]
                    else:
                        placed = values.setdefault(name, np.full(shape, np.nan))
                        placed[at] = str(array[k]) if name == "verdict_message" else array[k]
    ds = free_energy_dataset(grid.axes, methods, values, diagnostics)
    more = _reweighted(grid, outcomes)
    return ds if more is None else ds.merge(more)


def _reweighted(grid: Grid, outcomes: list[FreeEnergyOutcome]) -> xr.Dataset | None:
    """What the ladders were reweighted to, where a study asks for it."""
    held = []
    for outcome in outcomes:
        arrays = outcome.arrays.items()
        own = {name.partition(INNER)[2]: x for name, x in arrays if INNER in name}
        if own:
            held.append((outcome.part, own))
    if not held:
        return None
    axes = reweighted_axes(grid.axes)
    places = [grid.axes_index(name) for name in axes]
    temperatures = held[0][1]["temperature"]
    shape = (*(len(values) for values in axes.values()), len(temperatures))
    names = [name for name in held[0][1] if name != "temperature"]
    values = {name: np.full(shape, np.nan) for name in names}
    for part, own in held:
        for point in part.points:
            for name, placed in values.items():
                placed[tuple(point.index[i] for i in places)] = own[name]
    return reweighted_dataset(grid.axes, temperatures, values)


def _tails(outcomes: list[FreeEnergyOutcome]) -> dict[str, tuple[int, ...]]:
    """The largest sizes of every diagnostic beyond its temperatures."""
    found: dict[str, tuple[int, ...]] = {}
    for outcome in outcomes:
        for name, array in outcome.arrays.items():
            _, inner, short = name.partition("/diagnostics/")
            if inner:
                own = array.shape[1:]
                known = found.get(short, (0,) * len(own))
                rank = max(len(own), len(known))
                own, known = ((1,) * (rank - len(each)) + tuple(each) for each in (own, known))
                found[short] = tuple(max(a, b) for a, b in zip(own, known))
    return found


def _of_method(
    arrays: Mapping[str, np.ndarray], method: str, temperatures: np.ndarray
) -> dict[str, np.ndarray]:
    """Everything of one method ``[temperature, ...]`` under the names of the result file."""
    prefix = f"{method}/"
    own = {n.removeprefix(prefix): x for n, x in arrays.items() if n.startswith(prefix)}
    n, log_z, stderr = arrays["n_units"], own["log_z"], own["stderr"]
    found = {
        "log_z": log_z,
        "log_z_stderr": stderr,
        "log_z_low": own["low"],
        "log_z_high": own["high"],
        "free_energy": -temperatures * log_z / n,
        "free_energy_stderr": temperatures * stderr / n,
        "energy": own["energy"] / n,
        "energy_stderr": own["energy_stderr"] / n,
        "entropy": own.get("entropy", log_z + own["energy"] / temperatures) / n,
        # where the two errors are not known together, their sum bounds that of the sum
        "entropy_stderr": own.get("entropy_stderr", stderr + own["energy_stderr"] / temperatures) / n,
        "verdict": own["verdict"],
        "verdict_message": own["reason"],
    }
    for kind, name in (("potential", "log_likelihood"), ("potential_bound", "log_likelihood_bound")):
        for key, u in arrays.items():
            if key.startswith(f"{kind}/"):
                part = key.removeprefix(f"{kind}/")
                found[f"{name}_{part}"] = -u - log_z
                found[f"{name}_{part}_stderr"] = stderr
    return found | {n: x for n, x in own.items() if n.startswith("diagnostics/")}
