"""What a run ends with: tables of ranges over the grid, and how many points may be believed.

Verdicts count points with a result only: a point that failed was not judged. The verdict on the chains
of a training is that of its last recorded age.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from physebm.storage.dataset import DONE, EQUILIBRATION_MEANINGS, record_of
from physebm.storage.free_energy import VERDICTS as FREE_ENERGY_VERDICTS
from physebm.storage.netcdf import open_group
from physebm.storage.training import of_training
from physebm.storage.training_quantities import (
    ESTIMATE_VERDICTS,
    RELIABILITY,
    SHARED_ERRORS,
    VERDICTS,
)

MEANING = "meaning"
"""Head of a column of words."""

ALL_SAMPLES = "all samples"
"""In place of an error of a choice of samples, where none was made."""


@dataclass(frozen=True)
class SummaryTable:
    """A title, the heads of the columns, and rows of texts."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def summary_tables(ds: xr.Dataset, title: str) -> list[SummaryTable]:
    """Observables under the study's `title`, and quantities of trainings: range, typical error, tau.

    Where there is one value only, it stands in one column.
    """
    names = [
        str(name)
        for name, variable in ds.data_vars.items()
        if variable.dtype.kind == "f" and not _beside(str(name), ds)
    ]
    observed = [name for name in names if not of_training(ds[name])]
    learned = [name for name in names if of_training(ds[name])]
    error, tau = ("error", "_stderr", np.nanmedian), ("longest tau", "_tau", np.nanmax)
    tables = [
        _table(ds, title, "observable", observed, (error, tau)),
        _explained(ds, _table(ds, "training, last recorded age", "quantity", learned, (error,))),
    ]
    return [table for table in tables if table.rows]


def verdict_line(ds: xr.Dataset) -> str:
    """How many points there are, how many have no result, and the verdicts on the others."""
    done = ds["status"] == DONE
    failed = int((~done).sum())
    text = f"{done.size} point" + "s" * (done.size != 1)
    text += _samples(done)
    text += f", {failed} without a result (see `message`)" if failed else ""
    text += _parts(done)
    if "equilibration" in ds:
        judged = ds["equilibration"].where(done)
        counts = [
            f"{words.replace('_', ' ')} {int((judged == code).sum())}"
            for code, words in enumerate(EQUILIBRATION_MEANINGS)
        ]
        text += "; " + ", ".join(counts)
        starts = int((ds["equilibration_message"].str.contains("starts disagree") & done).sum())
        text += f", of which {starts} because starts disagree (metastable)" if starts else ""
        text += "; reasons in `equilibration_message`"
    if "chain_verdict" in ds:
        found = ds["chain_verdict"].values
        counts = [
            f"{words.replace('_', ' ')} {int((found == code).sum())}"
            for code, words in enumerate(VERDICTS[:-1])
        ]
        text += "; chains at the last age: " + ", ".join(counts)
        text += "; reasons in `chain_verdict_message`"
    for way, words in (("ais", "annealed"), ("tracked", "tracked")):
        if f"log_z_{way}_verdict" in ds:
            found = ds[f"log_z_{way}_verdict"].values
            counts = [
                f"{each} {int((found == code).sum())}"
                for code, each in enumerate(ESTIMATE_VERDICTS[:-1])
            ]
            text += f"; {words} log Z at the last age: " + ", ".join(counts)
            text += f"; reasons in `log_z_{way}_verdict_message`"
    if "free_energy_verdict" in ds:
        found = ds["free_energy_verdict"].where(done)
        counts = [
            f"{words} {int((found == code).sum())}"
            for code, words in enumerate(FREE_ENERGY_VERDICTS[:-1])
        ]
        text += f"; free energies ({ds['log_z'].attrs['method']}): " + ", ".join(counts)
        text += "; reasons in `free_energy_message`, all methods in /free_energies"
    return text


def made_by(path: Path) -> str:
    """The backends and devices that a result came from, in the order of its runs."""
    record = record_of(open_group(path, "/provenance"))
    runs = json.loads(record.get("runs", "[]")) or [record]
    return " and ".join(dict.fromkeys(f"{run['backend']} on {run['device']}" for run in runs))


def _samples(done: xr.DataArray) -> str:
    """How many of the points differ in their sample of disorder alone; figures average over these."""
    samples = done.sizes.get("disorder", 1)
    if samples < 2:
        return ""
    return (
        f" ({samples} samples of disorder of each of {done.size // samples}; figures show their mean)"
    )


def _parts(done: xr.DataArray) -> str:
    """Where some samples of disorder have a result and some do not: how many have one."""
    samples = done.sizes.get("disorder", 1)
    if samples < 2:
        return ""
    count = done.sum("disorder")
    numbers = count.values.ravel()
    places = np.flatnonzero((numbers > 0) & (numbers < samples))
    if not len(places):
        return ""
    at = dict(zip(count.dims, np.unravel_index(places[0], count.shape)))
    first = ", ".join(f"{dim} = {done[dim].values[i]}" for dim, i in at.items())
    means = "s are means" if len(places) > 1 else " is a mean"
    where = f"{', first ' * (len(places) > 1) or ', '}{first}: " if first else ", "
    return f"; {len(places)} point{means} of fewer samples{where}{numbers[places[0]]} of {samples}"


def _beside(name: str, ds: xr.Dataset) -> bool:
    """Whether it is the error or the time of another quantity."""
    return any(name.endswith(tail) and name.removesuffix(tail) in ds for tail in ("_stderr", "_tau"))


def _table(ds: xr.Dataset, title: str, what: str, names: list[str], columns) -> SummaryTable:
    single = all(ds[name].size == 1 for name in names)
    heads = (what, "value") if single else (what, "least", "greatest")
    heads += tuple(
        f"median {head}" if head == "error" and not single else head for head, _, _ in columns
    )
    rows = []
    for name in names:
        least, greatest = (number(pick, ds[name]) for pick in (np.nanmin, np.nanmax))
        cells = [name, *[_bound(ds, name, 0) + least, _bound(ds, name, 1) + greatest][single:]]
        for _, tail, pick in columns:
            cells.append(_error(name, pick, ds[name + tail]) if name + tail in ds else "")
        rows.append(tuple(cells))
    return SummaryTable(title, heads, tuple(rows))


def _explained(ds: xr.Dataset, table: SummaryTable) -> SummaryTable:
    """The table with what every quantity is, and its unit, in a last column."""
    rows = []
    for name, *cells in table.rows:
        attrs = ds[name].attrs
        unit = attrs.get("units", "1")
        meaning = attrs.get("long_name", "") + (f" [{unit}]" if unit not in ("", "1") else "")
        rows.append((name, *cells, meaning))
    return SummaryTable(table.title, (*table.heads, MEANING), tuple(rows))


def _bound(ds: xr.Dataset, name: str, greatest: int) -> str:
    """A sign before the least or greatest autocorrelation time, where it is a lower bound only."""
    known = f"{name}_reliable"
    if known not in ds:
        return ""
    below = (ds[known] == RELIABILITY.index("lower_bound")) & ds[name].notnull()
    if not greatest:  # the least is one if no value that is known lies below it
        below = below & (ds[name] == ds[name].min())
    return ">= " if bool(below.any()) else ""


def _error(name: str, pick: Callable, errors: xr.DataArray) -> str:
    """An error; of an average over chosen samples words, where all were taken."""
    whole = name in SHARED_ERRORS and bool(errors.notnull().any()) and not errors.fillna(0.0).any()
    return ALL_SAMPLES if whole else number(pick, errors)


def number(pick: Callable, values: xr.DataArray) -> str:
    """One number of many as text; "-" where none is known."""
    numbers = np.asarray(values, dtype=float)
    return f"{pick(numbers):.4g}" if np.isfinite(numbers).any() else "-"
