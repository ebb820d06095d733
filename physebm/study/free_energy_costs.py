"""What methods of free energies do, counted: sweeps of single chains, and states of exact sums.

With K rows of a path, C chains and s sweeps in each row, a walk of annealing makes
``C (1 + (K - 1) s)`` sweeps of single chains (the draws of row 0 are one), and a tempered run of C
ladders ``C (K + 1)`` per sweep: row 0 is sampled apart, too. To these come the runs that place the rows
beforehand.

Annealing has as many rows as it is told; how many a ladder or a population needs is known only when
they have been placed.
"""

from __future__ import annotations

import numpy as np

from physebm.free_energy.cold import FEWEST, RELAX
from physebm.free_energy.cold import QUENCH as QUENCHED
from physebm.free_energy.exact import reach
from physebm.free_energy.population import BACK
from physebm.free_energy.schedule import PILOT_ROWS, ROUNDS
from physebm.free_energy.tempered_run import QUENCH
from physebm.model.hamiltonian import Hamiltonian
from physebm.sampling.ladder import round_lengths
from physebm.schema.free_energy_declarations import (
    AnnealingDeclaration,
    LadderDeclaration,
    PopulationDeclaration,
)
from physebm.schema.train_declarations import LikelihoodDeclaration
from physebm.theory.transfer_matrix import transfer

# Chains of the pilot of annealing and walkers of that of a population; sweeps and rounds in which the
# rows of a ladder are placed.
PILOT_CHAINS, PILOT_POPULATION, PLACING, PLACING_ROUNDS = 128, 1024, 1024, 4
# Sums per temperature: log Z, and around it the four of its derivative.
EXACT_SUMS = 5


def exact_states(hamiltonian: Hamiltonian) -> float:
    """States of one exact sum; multiplications of a transfer matrix."""
    found = reach(hamiltonian)
    if found.way == "transfer matrix":
        return 2.0 ** transfer(hamiltonian).log2_work
    return 2.0**found.bits


def tempered_sweeps(chains: int, rows: int, sweeps: int) -> int:
    """One tempered run: a draw of row 0, the quench of cold starts, and `sweeps` of all ladders."""
    return chains * (rows + 1) * (1 + QUENCH + sweeps)


def ladder_sweeps(declared: LadderDeclaration, temperatures: int, rows: int) -> int:
    """The tempered run of [free_energy.ladder] over `rows` rows, placed from `temperatures` + 1."""
    total = 0
    for number, length in enumerate(round_lengths(PLACING, PLACING_ROUNDS)):
        half = max(2, length // 2)
        total += tempered_sweeps(declared.chains, rows if number else temperatures + 1, 2 * half)
    draws = declared.sweeps // declared.every
    return total + tempered_sweeps(declared.chains, rows, declared.discard + draws * declared.every)


def walk_sweeps(chains: int, rows: int, sweeps: int) -> int:
    """One walk from draws of row 0 through all rows."""
    return chains * (1 + (rows - 1) * sweeps)


def pilot_sweeps(rows: int) -> int:
    """The walks that place the rows of annealing."""
    return ROUNDS * PILOT_CHAINS * min(PILOT_ROWS, max(rows, 3))


def annealing_sweeps(
    declared: AnnealingDeclaration | LikelihoodDeclaration,
    given: int | None = None,
    data: bool = False,
) -> int:
    """Annealing to one model, its reverse and their pilot.

    Parameters
    ----------
    given
        Draws of the model from which the reverse starts; None: it makes its own, half as many as
        chains, and cold ones.
    data
        Whether there are data that walks back start from, too.
    """
    chains, rows, sweeps = declared.chains, declared.temperatures, declared.sweeps
    total = pilot_sweeps(rows) + walk_sweeps(chains, rows, sweeps)
    if given is not None:
        back = min(given, chains) * max(1, chains // given)
        return total + back * (rows - 1) * sweeps
    back, cold = max(2, -(-chains // 2)), max(FEWEST, chains // 8)
    cold += (cold + 1) // 2 if data else 0
    relaxed = max(rows * sweeps, RELAX)
    return total + back * relaxed + cold * (QUENCHED + relaxed) + (back + cold) * (rows - 1) * sweeps


def population_sweeps(declared: PopulationDeclaration, rows: int, data: bool = False) -> int:
    """Population annealing to one model over `rows` rows, back again, cold starts, and the pilot.

    `data` as in `annealing_sweeps`.
    """
    walkers, walked = declared.runs * declared.size, (rows - 1) * declared.sweeps
    relaxed = max(rows * declared.sweeps, RELAX)
    back = min(walkers, max(BACK, walkers // 8))
    half = -(-back // 2)
    cold = max(FEWEST, half)
    cold += (cold + 1) // 2 if data else 0
    total = PILOT_POPULATION * rows + walk_sweeps(walkers, rows, declared.sweeps)
    total += back * (relaxed + walked)
    return total + cold * (QUENCHED + relaxed) + (half + cold) * walked


def rows_up_to(factors: np.ndarray, share: float) -> int:
    """Rows of a population at ``beta = share beta_coldest``, `factors` being those of the coldest.

    Steps are as long as their weights allow, wherever the path ends.
    """
    return 1 + max(1, int(np.searchsorted(factors, share * (1.0 - 1e-9))))


def tracking_sweeps(declared: LikelihoodDeclaration, updates: int) -> int:
    """Walkers that follow a training: annealed to its start, then carried through its updates."""
    there = walk_sweeps(declared.chains, declared.temperatures, declared.sweeps)
    return pilot_sweeps(declared.temperatures) + there + updates * declared.chains * declared.sweeps
