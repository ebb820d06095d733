"""The group ``/free_energies``: log Z and what follows from it, by every method beside each other.

The dimension `estimator` stands behind the scan axes that a free energy depends on (`method` is an
argument of xarray's `sel`). ``X_stderr`` is one standard error, NaN for approximations; `log_z_low` and
`log_z_high` are the bracket; `verdict` and `verdict_message` say what an estimate is worth. Diagnostics
of single methods (`free_energy_diagnostics`) are NaN for the others. The summary holds the first
method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from physebm.storage.dataset import axis_coordinates
from physebm.storage.free_energy_diagnostics import diagnostic
from physebm.storage.quantities import TOTAL, Quantity, axis_attributes, quantity
from physebm.storage.training_scores import PARTS

# Axes that concern sampling alone.
NOT_OF_FREE_ENERGIES = ("start", "sweeps", "discard")
VERDICTS = ("trusted", "suspect", "failed", "not_run")

_BRACKET = "where another argument puts log Z (reverse, other estimators, a bound), noise included"


def _rows() -> dict[str, Quantity]:
    rows = [
        quantity("log_z"),
        quantity("free_energy"),
        quantity("entropy"),
        quantity("energy"),
        Quantity("log_z_low", "lower end of the bracket", r"\log Z_<", _BRACKET, TOTAL, "nat"),
        Quantity("log_z_high", "upper end of the bracket", r"\log Z_>", _BRACKET, TOTAL, "nat"),
    ]
    for part, words in PARTS.items():
        rows.append(
            replace(
                quantity("log_likelihood"),
                name=f"log_likelihood_{part}",
                long_name=f"log-likelihood of the {words} data",
                definition=f"mean over {words} samples of -u(v) - log Z, hidden units summed out",
            )
        )
        rows.append(
            replace(
                quantity("log_likelihood"),
                name=f"log_likelihood_bound_{part}",
                long_name=f"lower bound of the log-likelihood of the {words} data",
                symbol=r"\mathcal{L}_\mathrm{MF}",
                definition=f"mean over {words} samples of the mean-field bound on log p(v)",
            )
        )
    return {row.name: row for row in rows}


ROWS = _rows()
SUMMARY = tuple(name for name in ROWS if name not in ("energy", "log_z_low", "log_z_high"))
"""What the summary takes from the first method."""


def free_energy_axes(axes: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """The scan axes that a free energy depends on."""
    return {name: values for name, values in axes.items() if name not in NOT_OF_FREE_ENERGIES}


def free_energy_dataset(
    axes: Mapping[str, Sequence[Any]],
    methods: Sequence[str],
    values: Mapping[str, np.ndarray],
    diagnostics: Mapping[str, np.ndarray],
) -> xr.Dataset:
    """The group ``/free_energies``.

    Parameters
    ----------
    axes
        The scan axes of the study.
    methods
        In the order of the study.
    values
        Arrays ``[*axes, method]``: names of `ROWS`, these with ``_stderr``, `verdict` and
        `verdict_message`.
    diagnostics
        Arrays ``[*axes, method, ...]`` by names; `free_energy_diagnostics` describes them.
    """
    kept = free_energy_axes(axes)
    ds = xr.Dataset(coords=axis_coordinates(kept))
    names = np.array(methods, dtype=object)
    ds = ds.assign_coords(estimator=("estimator", names, axis_attributes("estimator")))
    dims = (*kept, "estimator")
    for name, value in values.items():
        if name == "verdict":
            ds[name] = (dims, np.asarray(value, dtype=np.int8), _verdict_attributes())
        elif name == "verdict_message":
            ds[name] = (dims, np.asarray(value, dtype=object), {"long_name": "reason of the verdict"})
        else:
            ds[name] = (dims, np.asarray(value, dtype=np.float64), _attributes(name))
    for name, value in diagnostics.items():
        row = diagnostic(name, np.ndim(value) - len(dims))
        ds[name] = ((*dims, *row.dims), value, row.attributes())
    return ds


def summary_of(ds: xr.Dataset) -> xr.Dataset:
    """What the first method says, for the root group."""
    first = ds.isel(estimator=0)
    names = [n for n in first.data_vars if n.removesuffix("_stderr") in SUMMARY]
    found = first[names].drop_vars("estimator")
    for name in found.data_vars:
        found[name].attrs["method"] = str(ds["estimator"].values[0])
    found["free_energy_verdict"] = first["verdict"].drop_vars("estimator")
    found["free_energy_message"] = first["verdict_message"].drop_vars("estimator")
    return found


def _attributes(name: str) -> dict[str, str]:
    row = ROWS[name.removesuffix("_stderr")]
    if not name.endswith("_stderr"):
        return {**row.attributes(), "ancillary_variables": f"{name}_stderr"}
    return {
        "long_name": f"standard error of {row.long_name}",
        "units": row.units,
        "symbol": rf"\sigma({row.symbol})",
        "definition": "one standard deviation of the estimate; 0: exact; NaN: not known",
        "normalisation": row.normalisation,
    }


def _verdict_attributes() -> dict[str, Any]:
    return {
        "long_name": "what the estimate is worth",
        "flag_values": np.arange(len(VERDICTS), dtype=np.int8),
        "flag_meanings": " ".join(VERDICTS),
    }
