"""Exact log Z of a model at temperatures, and ``<du/dbeta>`` from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from physebm.errors import InputError
from physebm.free_energy.estimate import Estimate
from physebm.free_energy.exact import exact_estimate
from physebm.model.params import Params
from physebm.schema.load import Loaded

# Relative step of the numerical derivative, and the relative difference of its three- and its
# five-point rule beyond which neither is believed.
STEP, ROUGH = 1e-4, 1e-6


def exact_energies(
    loaded: Loaded, params: Params, temperatures: Sequence[float], where: str
) -> tuple[list[Estimate], np.ndarray]:
    """Log Z, and ``<du/dbeta> = -d log Z / d beta [temperature]`` by the five-point rule.

    NaN where that is rough, or next to the temperature at which continuous units run away.

    Raises
    ------
    LoweringError
        for a model whose log Z is out of reach.
    """
    estimates = exact_estimate(loaded.hamiltonian, params, loaded.coefficients(temperatures), where)
    beta = 1.0 / np.asarray(temperatures, dtype=np.float64)
    near = (beta[:, None] * (1.0 + STEP * np.array([-2.0, -1.0, 1.0, 2.0]))).ravel()
    try:
        around = exact_estimate(loaded.hamiltonian, params, loaded.coefficients(1.0 / near), where)
    except InputError:
        return estimates, np.full(len(beta), np.nan)
    log_z = np.array([each.log_z for each in around]).reshape(-1, 4)
    three = log_z @ np.array([0.0, -6.0, 6.0, 0.0]) / (12.0 * STEP * beta)
    five = log_z @ np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * STEP * beta)
    smooth = np.abs(five - three) <= ROUGH * np.maximum(1.0, np.abs(five))
    return estimates, np.where(smooth, -five, np.nan)
