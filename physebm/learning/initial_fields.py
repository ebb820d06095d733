"""Fields of independent units that have the means of the data: where the visible fields start.

``c h = Gamma'^-1(mean)``: atanh m (Ising), logit m (Bernoulli), log p_a less its mean over a (Potts),
m times the precision (Gaussian). Means of discrete units are smoothed by one sample of uniform
states, so that a constant unit has a finite field. Fields of truncated units start as declared.
"""

from __future__ import annotations

import numpy as np

from physebm.learning.centring import field_slots
from physebm.learning.recipe import Problem
from physebm.model.conditionals import Conditionals
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
        mean = feature_means(hamiltonian, name, problem.data[name], problem.weights)
        n = problem.samples
        match prior.kind:
            case UnitKind.ISING:
                theta = np.arctanh(mean * n / (n + 1.0))
            case UnitKind.BERNOULLI:
                p = (mean * n + 0.5) / (n + 1.0)
                theta = np.log(p / (1.0 - p))
            case UnitKind.POTTS:
                logs = np.log((mean * n + 1.0 / prior.q) / (n + 1.0))
                theta = logs - logs.mean(axis=1, keepdims=True)
            case UnitKind.GAUSSIAN:
                theta = mean * conditionals.precision(name)[:, None]
            case UnitKind.TRUNCATED_GAUSSIAN:
                continue
        shape = problem.params.arrays[slot].shape[1:]
        found[slot] = theta.reshape(shape) / problem.row[t]
    return found
