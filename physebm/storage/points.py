"""From a stored dataset to the points of a figure: select, average over disorder, flag the bad.

A point is one value on the axes that are shown. An axis `disorder` that is not shown is averaged
over, failed points left out; the error is then the standard error over disorder samples, which
contains the thermal one. Any other axis must be shown, selected, or of length one: averaging over
it would mix different physics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from physebm.errors import InputError
from physebm.storage.dataset import DONE, FAILED, NOT_EQUILIBRATED, SUSPECT
from physebm.storage.free_energy import VERDICTS as ESTIMATES
from physebm.storage.training import of_training
from physebm.storage.training_quantities import VERDICTS, of_chains

# Words of `observables.equilibration` by which a verdict gives its reasons.
DISAGREE = "disagree"
DRIFTING = ("half differ", "bins drift")


# One stationary run in a hundred is suspect by chance: a mean over disorder is from this share on.
SUSPECT_SHARE = 0.1


def select_points(ds: xr.Dataset, select: Mapping[str, Any] | None = None) -> xr.Dataset:
    """The part of `ds` at the selected values; a value that is not there lists those that are."""
    for name, wanted in (select or {}).items():
        if name not in ds.dims:
            raise InputError(f"plot: select.{name}", got=name, expected=[str(dim) for dim in ds.dims])
        values = ds[name].values
        if values.dtype.kind == "f":
            found = np.flatnonzero(np.isclose(values, wanted, rtol=1e-9, atol=1e-12))
        else:
            found = np.flatnonzero(values == wanted)
        if not found.size:
            raise InputError(
                f"plot: select.{name}", got=wanted, expected=[str(value) for value in values]
            )
        ds = ds.isel({name: int(found[0])})
    return ds


def split(ds: xr.Dataset, dim: str | None) -> list[xr.Dataset]:
    """One dataset per value of `dim`, in order; the whole when `dim` is None."""
    if dim is None:
        return [ds]
    if dim not in ds.dims:
        raise InputError(f"plot: axis {dim}", got=dim, expected=[str(name) for name in ds.dims])
    return [ds.isel({dim: place}) for place in range(ds.sizes[dim])]


def point_values(
    ds: xr.Dataset, name: str, dims: Sequence[str]
) -> tuple[xr.DataArray, xr.DataArray | None]:
    """The values of `name` on exactly `dims` and their standard errors (None when unknown).

    Where fewer than two disorder samples stand behind a point its error is the stored one.
    """
    if name not in ds.data_vars:
        raise InputError(
            f"plot: quantity {name}", got=name, expected=[str(known) for known in ds.data_vars]
        )
    value, stderr = ds[name], ds.get(f"{name}_stderr")
    missing = [dim for dim in dims if dim not in value.dims]
    if missing:
        raise InputError(
            f"plot: axis of {name}", got=missing[0], expected=[str(dim) for dim in value.dims]
        )
    free = [dim for dim in value.dims if dim not in dims and dim != "disorder"]
    long = [dim for dim in free if value.sizes[dim] > 1]
    if long:
        raise InputError(
            f"plot: {name} also depends on {long[0]}",
            got=f"{value.sizes[long[0]]} values of {long[0]}",
            expected="one value, or an axis that the figure shows",
            hint=f"select one (select = {{ {long[0]} = ... }}), or show it with `panel` or `by`",
        )
    value = value.isel(dict.fromkeys(free, 0))
    stderr = None if stderr is None else stderr.isel(dict.fromkeys(free, 0))
    if "disorder" in value.dims and "disorder" not in dims:
        if "status" in ds:
            done = (ds["status"] == DONE).isel({dim: 0 for dim in free if dim in ds["status"].dims})
            value = value.where(done)
        value, stderr = _over_disorder(value, stderr)
    value = value.transpose(*dims)
    return value, None if stderr is None else stderr.transpose(*dims)


def sample_counts(ds: xr.Dataset, name: str) -> xr.DataArray | None:
    """How many samples of disorder have a value of `name`, on its other axes; None below two."""
    value = ds[name]
    if value.sizes.get("disorder", 1) < 2:
        return None
    known = value.notnull()
    if "status" in ds and set(ds["status"].dims) <= set(value.dims):
        known = known & (ds["status"] == DONE)
    return known.sum("disorder")


def bad_points(ds: xr.Dataset, name: str, dims: Sequence[str]) -> xr.DataArray:
    """True on `dims` where any point behind `name` failed, or is not equilibrated and not metastable.

    That is where its average is no average of anything: first and second half differ, or the run
    drifts. What a training recorded is not judged by the sampling after it: averages over its chains
    are bad where the chains were out of equilibrium, and all else it recorded is what it is. Free
    energies are bad where their own verdict is that they failed.
    """
    if of_training(ds[name]):
        return _chains_out(ds, name, dims)
    judged = verdicts_of(ds, name)
    if judged is not None:
        return _anywhere(ds, judged == ESTIMATES.index("failed"), dims)
    failed, unequal, drifting = _flags(ds, dims)
    return failed | (unequal & drifting)


def metastable_points(ds: xr.Dataset, name: str, dims: Sequence[str]) -> xr.DataArray:
    """True on `dims` where all points behind are stationary runs, but starts or chains disagree.

    Each value is then the average of a metastable state, or of some of them, not of equilibrium.
    Nowhere for what a training recorded. Free energies: where their own verdict is suspect.
    """
    if of_training(ds[name]):
        return _nowhere(ds, dims)
    judged = verdicts_of(ds, name)
    if judged is not None:
        return _anywhere(ds, judged == ESTIMATES.index("suspect"), dims)
    failed, unequal, drifting = _flags(ds, dims)
    return unequal & ~failed & ~drifting


def suspect_points(ds: xr.Dataset, name: str, dims: Sequence[str]) -> xr.DataArray:
    """True on `dims` where sampling is suspect: in a tenth or more of the finished runs behind a point.

    Nowhere for what a training recorded, and for free energies, which have verdicts of their own.
    """
    none = _nowhere(ds, dims)
    judged = not of_training(ds[name]) and verdicts_of(ds, name) is None
    if not judged or "equilibration" not in ds:
        return none
    found = ds["equilibration"]
    found = found.where(ds["status"] == DONE) if "status" in ds else found
    lost = [dim for dim in found.dims if dim not in dims]
    share = (found == SUSPECT).sum(lost) / found.notnull().sum(lost).clip(min=1)
    return (none | (share >= SUSPECT_SHARE)).transpose(*dims)


def verdicts_of(ds: xr.Dataset, name: str) -> xr.DataArray | None:
    """The verdicts on a free energy, of the summary or beside each other; None for anything else."""
    if "estimator" in ds[name].coords:
        return ds.get("verdict")
    return ds.get("free_energy_verdict") if "method" in ds[name].attrs else None


def _chains_out(ds: xr.Dataset, name: str, dims: Sequence[str]) -> xr.DataArray:
    if not of_chains(name) or "chain_verdict" not in ds:
        return _nowhere(ds, dims)
    return _anywhere(ds, ds["chain_verdict"] == VERDICTS.index("out_of_equilibrium"), dims)


def _nowhere(ds: xr.Dataset, dims: Sequence[str]) -> xr.DataArray:
    return xr.DataArray(np.zeros([ds.sizes[dim] for dim in dims], dtype=bool), dims=tuple(dims))


def _anywhere(ds: xr.Dataset, flagged: xr.DataArray, dims: Sequence[str]) -> xr.DataArray:
    """On `dims`, whether any point behind is flagged."""
    lost = [dim for dim in flagged.dims if dim not in dims]
    return (_nowhere(ds, dims) | flagged.any(lost)).transpose(*dims)


def _flags(ds: xr.Dataset, dims: Sequence[str]) -> tuple[xr.DataArray, ...]:
    """On `dims`, any point behind: failed; not equilibrated; not equilibrated and drifting."""
    none = _nowhere(ds, dims)
    failed = _anywhere(ds, ds["status"] == FAILED, dims) if "status" in ds else none
    if "equilibration" not in ds:
        return failed, none, none
    unequal = ds["equilibration"] == NOT_EQUILIBRATED
    if "equilibration_message" in ds:
        texts = ds["equilibration_message"].values.astype(str).ravel()
        apart = np.array(
            [DISAGREE in text and not any(sign in text for sign in DRIFTING) for text in texts]
        ).reshape(unequal.shape)
        drifting = unequal & ~xr.DataArray(apart, dims=ds["equilibration_message"].dims)
    else:
        drifting = unequal
    return failed, _anywhere(ds, unequal, dims), _anywhere(ds, drifting, dims)


def _over_disorder(
    value: xr.DataArray, stderr: xr.DataArray | None
) -> tuple[xr.DataArray, xr.DataArray]:
    known = value.notnull()
    count = known.sum("disorder")
    attrs = value.attrs
    mean = value.where(known, 0.0).sum("disorder") / count.where(count > 0)
    spread = ((value - mean) ** 2).where(known, 0.0).sum("disorder")
    error = np.sqrt(spread / (count * (count - 1)).where(count > 1))
    if stderr is not None:
        single = stderr.where(known, 0.0).sum("disorder")
        error = xr.where(count == 1, single, error)
    return mean.assign_attrs(attrs), error
