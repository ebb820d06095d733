"""Averages at temperatures between the rows of a ladder, in the group ``/free_energies``.

Variables ``reweighted_NAME`` with ``_stderr``, on the scan axes that a free energy depends on without
`temperature`, and on `reweighted_temperature`; log Z and the effective number of draws beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from physebm.storage.dataset import axis_coordinates
from physebm.storage.free_energy import free_energy_axes
from physebm.storage.quantities import PER_SAMPLE, Quantity, axis_attributes, quantity

PREFIX = "reweighted_"
DIM = f"{PREFIX}temperature"
EFFECTIVE = Quantity(
    "effective_samples",
    "effective number of draws",
    r"n_\mathrm{eff}",
    "(sum w)^2 / sum w^2 of the weights of all draws of the ladder; below a tenth of the draws of one "
    "row the averages are NaN",
)
ALWAYS = ("log_z", "effective_samples")
"""What is there whichever observables were asked for."""


def reweighted_axes(axes: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """The scan axes that averages inside a ladder depend on."""
    return {name: held for name, held in free_energy_axes(axes).items() if name != "temperature"}


def reweighted_dataset(
    axes: Mapping[str, Sequence[Any]], temperatures: Sequence[float], values: Mapping[str, np.ndarray]
) -> xr.Dataset:
    """The variables from arrays ``[*axes, reweighted_temperature]`` by name.

    Parameters
    ----------
    axes
        The scan axes of the study.
    """
    kept = reweighted_axes(axes)
    about = axis_attributes("temperature")
    ds = xr.Dataset(coords=axis_coordinates(kept) | {DIM: (DIM, np.asarray(temperatures), about)})
    for name, value in values.items():
        of = name.removesuffix("_stderr")
        row = EFFECTIVE if of == EFFECTIVE.name else quantity(of)
        attributes = {**row.attributes(), "disorder": PER_SAMPLE}
        if of != name:
            attributes["long_name"] = f"standard error of {row.long_name}"
            attributes["symbol"] = rf"\sigma({row.symbol})"
            attributes["definition"] = "one standard deviation of the estimate"
        elif f"{name}_stderr" in values:
            attributes["ancillary_variables"] = f"{PREFIX}{name}_stderr"
        ds[PREFIX + name] = ((*kept, DIM), np.asarray(value, dtype=np.float64), attributes)
    return ds
