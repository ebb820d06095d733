"""Whether the exact phase of a model can be summed at every update."""

from __future__ import annotations

import numpy as np

from physebm.errors import LoweringError
from physebm.free_energy.exact import log_states, summed_out
from physebm.lowering.positive import joining_terms
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.terms import groups_of
from physebm.model.units import UnitKind

# States per evaluation that training may ask for: a tenth of a second each.
TRAINING_STATES = 2**20


def check_enumerable(hamiltonian: Hamiltonian, where: str) -> None:
    """Refuse models that have no exact averages, or too many states for every update.

    Raises
    ------
    LoweringError
        with the coupling or the number of states, and the methods that would work.
    """
    hint = 'use method = "pcd", or "pseudo-likelihood" where all units are discrete and visible'
    for t in joining_terms(hamiltonian):
        kinds = [hamiltonian.group(name).prior.kind for name in groups_of(hamiltonian.terms[t])]
        if UnitKind.TRUNCATED_GAUSSIAN in kinds:
            raise LoweringError(
                where,
                got=f"exact, for couplings between {' and '.join(kinds)} units",
                expected="truncated Gaussian units that couple to discrete units only",
                hint=f"their integral has no closed form; {hint}",
            )
    bits = log_states(summed_out(hamiltonian))
    if 2.0**bits > TRAINING_STATES:
        raise LoweringError(
            where,
            got=f"exact, for a model whose smaller side has 2^{bits:.0f} states",
            expected=f"at most 2^{np.log2(TRAINING_STATES):.0f} states",
            hint=hint,
        )
