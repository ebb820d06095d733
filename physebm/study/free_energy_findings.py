"""What a method of [free_energy] found for one model at all its temperatures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from physebm.free_energy.estimate import Estimate


class Energies(NamedTuple):
    """``<du/dbeta>`` and its standard error, ``[temperature]``; NaN where they are not known."""

    value: np.ndarray
    stderr: np.ndarray


class Findings(NamedTuple):
    """Estimates of log Z and energies ``[temperature]``, and further arrays of the run by name."""

    estimates: list[Estimate]
    energies: Energies
    more: Mapping[str, np.ndarray] = {}
