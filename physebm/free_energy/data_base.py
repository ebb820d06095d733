"""The path to a model from independent units that have the means of data.

Fields of the data's means put the base where the target is after a training: paths from there are
shorter than those from no fields (R. Salakhutdinov, I. Murray, ICML (2008), section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.free_energy.path import Path, data_path
from physebm.model.conditionals import Conditionals
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.independent import fitted_field
from physebm.model.params import Coefficients, Params
from physebm.model.statistics import feature_means
from physebm.model.units import UnitKind


def path_from_data(
    hamiltonian: Hamiltonian,
    params: Params,
    row: Coefficients,
    states: Mapping[str, np.ndarray],
    weights: np.ndarray,
) -> Path:
    """Two rows: independent units with the data's means, and the model at one coefficient row.

    Parameters
    ----------
    states
        ``{visible group: x[sample, unit]}``. Hidden units start without a field, and so do truncated
        Gaussian ones, whose mean has no inverse in closed form.
    weights
        ``[sample]`` with sum 1.
    """
    conditionals = Conditionals(hamiltonian, row.value[0], params)
    fields = {}
    for name, x in states.items():
        prior = hamiltonian.group(name).prior
        if prior.kind is UnitKind.TRUNCATED_GAUSSIAN:
            continue
        mean = feature_means(hamiltonian, name, x, weights)
        precision = np.ones(0) if prior.discrete else conditionals.precision(name)
        fields[name] = fitted_field(prior, mean, len(weights), precision)
    return data_path(hamiltonian, params, row, np.array([0.0, 1.0]), fields)
