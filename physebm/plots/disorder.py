"""What a figure says where it averages over samples of disorder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.lines import Line2D

from physebm.plots.legends import mark
from physebm.storage.points import sample_counts


def disorder_note(ds: xr.Dataset, names: Sequence[str], *, bars: bool) -> list[Line2D]:
    """A line for `explain`: how many samples each value is the mean of; none where none are averaged.

    Points whose samples have not all a value (some failed) have their own numbers.

    Parameters
    ----------
    names
        The quantities shown; those that do not depend on disorder do not count.
    bars
        Whether the figure shows errors.
    """
    found = [counts.values.ravel() for name in names if (counts := sample_counts(ds, name)) is not None]
    if not found:
        return []
    samples = ds.sizes["disorder"]
    fewer = np.unique(np.concatenate(found))
    fewer = [str(int(count)) for count in fewer if 0 < count < samples]
    text = f"mean of {samples} samples of disorder"
    if fewer:
        listed = fewer if len(fewer) < 3 else [fewer[0], f"to {fewer[-1]}"]
        text += f" (at some points {(' ' if len(fewer) > 2 else ' or ').join(listed)})"
    return [mark(text + (",\nbars: standard error over them" if bars else ""))]
