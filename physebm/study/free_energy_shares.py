"""How much of a free-energy job each method is: what a progress bar counts, known before anything runs.

Work is counted in updates of single units: sweeps as in `free_energy_costs`, and one update for a state
(or a multiplication) of an exact sum. Where counts depend on the model, guesses stand for them. Rows of
ladders and populations are as many as a path of thermodynamic length ``sqrt(units)`` needs, one nat^2
of heat capacity per unit: a ladder of acceptance a has gaps of length ``2 erfinv(1 - a)``
(`sampling.ladder`), a population those of effective share 0.9, ``1/3``. A search of fixed points takes
`PASSES` passes from every start.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import erfinv

from physebm.model.hamiltonian import Hamiltonian
from physebm.schema.free_energy_declarations import LADDER_METHODS, FreeEnergyDeclaration
from physebm.study import free_energy_costs as costs

PASSES = 100
# Of a population whose next row has an effective share of 0.9 = 1 / (1 + step^2).
POPULATION_STEP = 1.0 / 3.0


@lru_cache(maxsize=1024)
def work_of(
    asked: FreeEnergyDeclaration, hamiltonian: Hamiltonian, temperatures: int, data: bool
) -> dict[str, float]:
    """Unit updates of every method in one job, in the order of the methods; all are above 0.

    A tempered run counts for the first method that it serves, and one update for each of the others:
    they are there when it is.

    Parameters
    ----------
    temperatures
        Number of temperatures of the job.
    data
        Whether the model was trained: then walks start from its data, too.
    """
    found: dict[str, float] = {}
    for method in asked.method:
        served = method in LADDER_METHODS and any(name in LADDER_METHODS for name in found)
        found[method] = 1.0 if served else _work(method, asked, hamiltonian, temperatures, data)
    return found


def share_of(work: dict[str, float], done: set[str] | frozenset[str]) -> float:
    """The part of all work that the methods in `done` are."""
    return sum(updates for method, updates in work.items() if method in done) / sum(work.values())


def _work(method: str, asked: FreeEnergyDeclaration, H: Hamiltonian, temperatures, data) -> float:
    units = sum(group.size for group in H.groups)
    length = np.sqrt(units)
    if method == "exact":
        return costs.EXACT_SUMS * temperatures * costs.exact_states(H)
    if method in LADDER_METHODS:
        gap = 2.0 * erfinv(1.0 - asked.ladder.acceptance)
        rows = 1 + max(temperatures, int(np.ceil(length / gap)))
        return float(units * costs.ladder_sweeps(asked.ladder, temperatures, rows))
    if method == "ais":
        return float(units * temperatures * costs.annealing_sweeps(asked.annealing, data=data))
    if method == "population-annealing":
        rows = 1 + int(np.ceil(length / POPULATION_STEP))
        return float(units * temperatures * costs.population_sweeps(asked.population, rows, data))
    return float(units * temperatures * asked.fixed_points.starts * PASSES)
