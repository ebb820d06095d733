"""A training that has left the finite numbers: what tells so, and the error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.errors import StudyError

# A parameter beyond this has left every model that a data set could ask for.
LARGEST = 1e6


class Divergence(StudyError):
    """Training left the finite numbers; the last good parameters are kept by whoever recorded them."""


def check_finite(arrays: Mapping[str, np.ndarray], update: int, gradient_norm: float) -> None:
    """Refuse the arrays, by slot, of an update.

    Raises
    ------
    Divergence
        where a number is beyond `LARGEST`, or none.
    """
    from physebm.native import ascent

    for slot, x in arrays.items():
        if ascent.count_beyond(x, LARGEST):
            largest = np.abs(x).max()
            raise Divergence(
                f"training diverged at update {update}: array '{slot}' reached {largest:.3g} "
                f"(gradient norm {gradient_norm:.3g}); the snapshots up to update "
                f"{update - 1} are kept. Lower train.learning_rate, or set train.clip"
            )
