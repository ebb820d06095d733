"""Fields of independent units that have the means of the data: where the visible fields start.

``c h = Gamma'^-1(mean)``, see `fitted_field`; fields of truncated units start as declared.
"""

from __future__ import annotations

import numpy as np

from physebm.learning.centring import field_slots
from physebm.learning.recipe import Problem
from physebm.model.conditionals import Conditionals
from physebm.model.independent import fitted_field
from physebm.model.statistics import feature_means
from physebm.model.units import UnitKind


def data_fields(problem: Problem) -> dict[str, np.ndarray]:
    """``{slot: h[*shape]}`` of the trainable fields of visible groups."""
    hamiltonian = problem.hamiltonian
    conditionals = Conditionals(hamiltonian, problem.row, problem.params)
    found = {}
    for name, (t, slot) in field_slots(hamiltonian).items():
        if name not in problem.data:
            continue
        prior = hamiltonian.group(name).prior
        if prior.kind is UnitKind.TRUNCATED_GAUSSIAN:
            continue
        mean = feature_means(hamiltonian, name, problem.data[name], problem.weights)
        precision = np.ones(0) if prior.discrete else conditionals.precision(name)
        theta = fitted_field(prior, mean, problem.samples, precision)
        shape = problem.params.arrays[slot].shape[1:]
        found[slot] = theta.reshape(shape) / problem.row[t]
    return found
