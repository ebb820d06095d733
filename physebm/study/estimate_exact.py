"""What an exact sum will cost: states, and seconds from a sum over a part of them.

The compiled sum takes as long per state however many there are, so that a sum over the states of a few
units, all factors kept, tells the time of all. Other ways are run where that is quick; where it is not
their seconds are those that their limits stand for, a minute each.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from physebm.free_energy.exact import (
    INTEGRAL_BITS,
    MANY_BITS,
    STATE_BITS,
    exact_log_z,
    reach,
    truncated_units,
)
from physebm.free_energy.state_sums import CHUNK, THREADS, state_sum
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.theory.conditional_form import ConditionalForm, conditional_form
from physebm.theory.transfer_matrix import BATCH, WORK_BITS, transfer

# log2 of the states, or multiplications, that a rehearsal may take.
FEW = 18
LIMIT_SECONDS = 60.0
# Arrays of one chunk of states, or one batch of a transfer matrix, that a thread holds at once.
HELD = 4


@dataclass(frozen=True)
class ExactCost:
    """Of one sum: states (of a transfer matrix multiplications), bytes, and seconds."""

    states: float
    nbytes: int
    seconds: float


def exact_cost(hamiltonian: Hamiltonian, params: Params, row: Coefficients) -> ExactCost:
    """The cost of log Z of one model at one coefficient row; the model is one that has an exact sum."""
    found = reach(hamiltonian)
    if found.way == "transfer matrix":
        planned = transfer(hamiltonian)
        held = len(hamiltonian.groups[0].prior.states) ** planned.width
        nbytes = 8 * THREADS * HELD * max(BATCH, held)
        seconds = _seconds(hamiltonian, params, row, planned.log2_work, WORK_BITS)
        return ExactCost(2.0**planned.log2_work, nbytes, seconds)
    form = conditional_form(found.hamiltonian, params)
    columns = form.h_tf.shape[1] + form.b_ty.shape[1]
    nbytes = 8 * THREADS * HELD * CHUNK * columns
    states = 2.0**found.bits
    if form.truncated:
        limit = min(STATE_BITS, INTEGRAL_BITS - np.log2(truncated_units(found.hamiltonian)))
    elif form.many:
        limit = MANY_BITS if form.conditional else STATE_BITS
    elif found.way == "enumeration" and found.bits > FEW:
        return ExactCost(states, nbytes, _part(form, row) * states)
    else:
        limit = STATE_BITS
    return ExactCost(states, nbytes, _seconds(hamiltonian, params, row, found.bits, limit))


def _seconds(hamiltonian, params, row: Coefficients, bits: float, limit: float) -> float:
    """By a sum, where it is short; else by the limit."""
    if bits > FEW:
        return LIMIT_SECONDS * 2.0 ** (bits - limit)
    exact_log_z(hamiltonian, params, row, hamiltonian.name)  # compiles what is not compiled yet
    start = time.perf_counter()
    exact_log_z(hamiltonian, params, row, hamiltonian.name)
    return time.perf_counter() - start


def _part(form: ConditionalForm, row: Coefficients) -> float:
    """Seconds per state, from the sum over the first units alone."""
    from physebm.native.gray_sums import log_sum

    given = state_sum(form, row, 0)
    units = int(np.searchsorted(np.cumsum(np.log2(given.states)), FEW))
    kept = slice(0, int(given.states[:units].sum()))
    part = replace(
        given, states=given.states[:units], h=given.h[kept], M=given.M[kept, kept], B=given.B[kept]
    )
    log_sum(part)
    start = time.perf_counter()
    log_sum(part)
    return (time.perf_counter() - start) / float(np.prod(part.states.astype(float)))
